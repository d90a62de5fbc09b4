"""What the pulumi-eks component says about its cluster."""

import itertools
import json

from otel_on_spot.kubernetes.kubeconfig import eks_kubeconfig

THUMBPRINT = "9e99a48a9960b14926bb7f3b02e22da2b0ab7280"
"""The real provider asks the issuer's server for it, which is not there in a simulated cloud."""


def kubeconfig(name: str, endpoint: str, authority: str, arn: str) -> str:
    """The kubeconfig of a cluster as JSON, as the component writes it."""
    return json.dumps(eks_kubeconfig(name, endpoint, authority, arn.split(":")[3]), separators=(",", ":"))


def cluster_of(kubeconfig: object) -> str:
    """Name of the cluster that a kubeconfig leads to: what its token is asked for, else the end of the server's URL.

    Empty where it is not known.
    """
    if not isinstance(kubeconfig, str):
        return ""
    content = json.loads(kubeconfig)
    for user in content.get("users") or []:
        arguments = (((user.get("user") or {}).get("exec")) or {}).get("args") or []
        for flag, value in itertools.pairwise(arguments):
            if flag == "--cluster-name" and isinstance(value, str):
                return value
    server = content["clusters"][0]["cluster"]["server"]
    return str(server).rpartition("/")[2] if isinstance(server, str) else ""
