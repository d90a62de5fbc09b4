"""AWS as the lab needs it.

What moto lacks for Karpenter, the doors to STS and Pod Identity, and who may enter the cluster.
"""
