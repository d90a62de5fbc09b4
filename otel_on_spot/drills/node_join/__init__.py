"""``drill node-join``: launches one node through Karpenter and follows it until a pod runs on it."""
