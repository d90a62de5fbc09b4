"""``drill upgrade``: moves Karpenter to another version and back, or its nodes to another AMI and back.

With Karpenter's version Spot nodes are warned while its controller restarts; nodes are replaced by drift.
"""
