"""User data of the nodes, Karpenter's and the system ones: what nodeadm is told, and the certificates that they trust.

Sources: https://awslabs.github.io/amazon-eks-ami/nodeadm/doc/api/ (NodeConfig, and ``instance.environment``),
https://karpenter.sh/docs/concepts/nodeclasses/#specuserdata (AL2023: parts of a MIME archive stay as they are),
https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html#launch-template-user-data
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

from infra.settings.models import Network

BOUNDARY: Final = "//"
ANCHOR: Final = "/etc/pki/ca-trust/source/anchors/otel-on-spot.pem"
"""Source: https://docs.fedoraproject.org/en-US/quick-docs/using-shared-system-certificates/ (update-ca-trust(8))"""
ALWAYS_DIRECT: Final = (
    *("localhost", "127.0.0.1"),
    "169.254.169.254",  # IMDS
    "169.254.170.23",  # the Pod Identity agent
    *("10.100.0.0/16", "172.20.0.0/16"),  # EKS's Service ranges, one of which the cluster has
    *(".svc", ".cluster.local", ".internal"),
    ".amazonaws.com",  # AWS's services, the registry and the cluster's endpoint among them
)
"""What no proxy is asked for. Sources: https://repost.aws/knowledge-center/eks-http-proxy-containerd-automation,
https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
"""


def proxy_environment(network: Network, ranges: Iterable[str]) -> dict[str, str]:
    """The variables by which containerd, kubelet, nodeadm and Argo CD find the proxy; none without one.

    AWS's own services and the cluster's endpoint are asked directly: by a route or by endpoints, as add-ons ask them,
    which no proxy is told to.
    """
    if network.proxy is None:
        return {}
    direct = ",".join(dict.fromkeys((*ALWAYS_DIRECT, *ranges, *network.proxy.no_proxy)))
    told = {"HTTP_PROXY": network.proxy.url, "HTTPS_PROXY": network.proxy.url, "NO_PROXY": direct}
    return told | {name.lower(): value for name, value in told.items()}


def node_config(parallel_image_pulls: int | None, environment: Mapping[str, str]) -> str:
    """NodeConfig that is merged with Karpenter's or EKS's own; empty where nothing is to be said."""
    spec: dict[str, Any] = {}
    if environment:
        spec["instance"] = {"environment": {"default": dict(environment)}}
    if parallel_image_pulls is not None:
        pulls = {"serializeImagePulls": False, "maxParallelImagePulls": parallel_image_pulls}
        spec["kubelet"] = {"config": pulls}
    if not spec:
        return ""
    told = {"apiVersion": "node.eks.aws/v1alpha1", "kind": "NodeConfig", "spec": spec}
    return yaml.safe_dump(told, sort_keys=False, width=1_000_000)


def archive(config: str, ca_bundle: str | None) -> str:
    """A MIME archive of the NodeConfig and of a script that has the node trust the certificates; empty without both.

    cloud-init runs the script before nodeadm starts containerd and kubelet, which read what is trusted at their start.
    """
    parts = []
    if ca_bundle:
        ca_bundle = ca_bundle.replace("\r\n", "\n")
        script = f"#!/bin/bash\nset -euo pipefail\ncat > {ANCHOR} <<'PEM'\n{ca_bundle.strip()}\nPEM\nupdate-ca-trust\n"
        parts.append(f'Content-Type: text/x-shellscript; charset="us-ascii"\n\n{script}')
    if config:
        parts.append(f"Content-Type: application/node.eks.aws\n\n{config}")
    if not parts:
        return ""
    head = f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{BOUNDARY}"\n\n'
    return head + "".join(f"--{BOUNDARY}\n{part}\n" for part in parts) + f"--{BOUNDARY}--\n"
