"""``drill upgrade``: moves Karpenter to another version and back, with Spot warnings while its controller restarts."""
