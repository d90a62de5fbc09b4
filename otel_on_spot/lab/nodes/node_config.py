"""What an instance is told of the cluster that it joins: by its user data, nodeadm's NodeConfig, or its node group.

Source: https://awslabs.github.io/amazon-eks-ami/nodeadm/doc/api/
"""

import email
from dataclasses import dataclass, field
from typing import Any

import yaml


class NodeConfigError(ValueError):
    """The user data holds no NodeConfig: the instance would never start a kubelet."""


@dataclass(frozen=True, kw_only=True)
class NodeConfig:
    """The cluster to join, and as what.

    ``taints`` are Kubernetes taints; ``max_pods`` is 0 where nodeadm computes it; ``role_arn`` is the instance's.
    """

    cluster: str
    endpoint: str
    certificate_authority: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    taints: list[dict[str, str]] = field(default_factory=list)
    max_pods: int = 0
    role_arn: str = ""


def _documents(user_data: str) -> list[Any]:
    message = email.message_from_string(user_data)
    if not message.is_multipart():
        parts = [user_data]
    else:
        parts = [
            str(part.get_payload()) for part in message.walk() if part.get_content_type() == "application/node.eks.aws"
        ]
    found = []
    for part in parts:
        try:
            found += [document for document in yaml.safe_load_all(part) if isinstance(document, dict)]
        except yaml.YAMLError:
            continue
    return found


def _labels(flags: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for flag in flags:
        name, _, value = flag.partition("=")
        if name == "--node-labels":
            found |= dict(pair.partition("=")[::2] for pair in value.strip("\"'").split(",") if pair)
    return found


def parse(user_data: str) -> NodeConfig:
    """The NodeConfig in user data, MIME multipart or plain; later documents win, as nodeadm merges them.

    Raises:
        NodeConfigError: there is none, or it names no cluster.
    """
    cluster: dict[str, Any] = {}
    kubelet: dict[str, Any] = {}
    flags: list[str] = []
    for document in _documents(user_data):
        if document.get("kind") != "NodeConfig":
            continue
        spec = document.get("spec") or {}
        cluster |= spec.get("cluster") or {}
        kubelet |= (spec.get("kubelet") or {}).get("config") or {}
        flags += (spec.get("kubelet") or {}).get("flags") or []
    if not cluster.get("name") or not cluster.get("apiServerEndpoint"):
        raise NodeConfigError("the user data has no NodeConfig with a cluster's name and apiServerEndpoint")
    return NodeConfig(
        cluster=cluster["name"],
        endpoint=cluster["apiServerEndpoint"],
        certificate_authority=cluster.get("certificateAuthority") or "",
        labels=_labels(flags),
        taints=kubelet.get("registerWithTaints") or [],
        max_pods=int(kubelet.get("maxPods") or 0),
    )
