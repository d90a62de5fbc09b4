"""What the pulumi-eks component says about its cluster."""

import json

from otel_on_spot.kubernetes.kubeconfig import eks_kubeconfig

THUMBPRINT = "9e99a48a9960b14926bb7f3b02e22da2b0ab7280"
"""The real provider asks the issuer's server for it, which is not there in a simulated cloud."""


def kubeconfig(name: str, endpoint: str, authority: str, arn: str) -> str:
    """The kubeconfig of a cluster as JSON, as the component writes it."""
    return json.dumps(eks_kubeconfig(name, endpoint, authority, arn.split(":")[3]), separators=(",", ":"))
