"""AWS as the lab needs it: what moto lacks for Karpenter, the doors to STS and Pod Identity, and who may enter the cluster."""
