"""Gap: moto's DescribeCluster makes up an endpoint and a certificate authority that nobody can reach or trust.

Karpenter writes both into its nodes' user data, so they must be the API server's own.
"""

import json
from pathlib import Path
from typing import Any

FILE = "endpoints.json"


def write_endpoint(folder: Path, cluster: str, endpoint: str, certificate_authority: str) -> None:
    """Say where a cluster's API is.

    Args:
        folder: that moto reads ``endpoints.json`` in.
        cluster: its name.
        endpoint: URL of its API server.
        certificate_authority: the authority's PEM certificate in base64.
    """
    file = folder / FILE
    known = json.loads(file.read_text()) if file.exists() else {}
    known[cluster] = {"endpoint": endpoint, "certificateAuthority": certificate_authority}
    file.write_text(json.dumps(known))


def install(folder: Path) -> None:
    """Answer DescribeCluster with the endpoint that ``endpoints.json`` has for the cluster."""
    from moto.eks.models import EKSBackend

    inner = EKSBackend.describe_cluster

    def describe_cluster(self: Any, name: str) -> Any:
        cluster, file = inner(self, name), folder / FILE
        known = (json.loads(file.read_text()) if file.exists() else {}).get(name)
        if known:
            cluster.endpoint = known["endpoint"]
            cluster.certificate_authority = {"data": known["certificateAuthority"]}
        return cluster

    EKSBackend.describe_cluster = describe_cluster
