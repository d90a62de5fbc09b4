"""Addresses inside the lab.

They are fixed: every lab has a network namespace of its own, so nothing else can be there.
"""

from typing import Final

LOOPBACK: Final = "127.0.0.1"

API_SERVER: Final = "https://127.0.0.1:6443"
API_SERVER_PORT: Final = 6443
ETCD_CLIENT: Final = "http://127.0.0.1:2379"
ETCD_PEER: Final = "http://127.0.0.1:2380"
CONTROLLER_MANAGER: Final = 10257
SCHEDULER: Final = 10259
KWOK: Final = 10247
SERVICE_CIDR: Final = "172.20.0.0/16"
"""CIDR that EKS gives Services in a VPC of 10.0.0.0/8.

Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html
"""
SERVICE_ADDRESS: Final = "172.20.0.1"
"""The first of them: ``kubernetes.default.svc``."""

KARPENTER_METRICS: Final = 8080
KARPENTER_HEALTH: Final = 8081
ARGOCD_CONTROLLER_METRICS: Final = 8082
ARGOCD_REPO_SERVER: Final = 8083
ARGOCD_REPO_SERVER_METRICS: Final = 8084
REDIS: Final = 6379

GIT_HOST: Final = "git.lab.test"
GIT: Final = ("127.0.0.1", 3443)
GIT_URL: Final = f"https://{GIT_HOST}:3443"

AUTHENTICATOR: Final = 21362
STS_FRONT: Final = ("127.0.0.2", 443)
"""Address that STS's own host names lead to, see ``hosts``."""
POD_IDENTITY: Final = ("169.254.170.23", 80)
"""The EKS Pod Identity agent. Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html"""
MOTO: Final = 15000
MOTO_URL: Final = f"http://127.0.0.1:{MOTO}"


def sts_hosts(region: str) -> tuple[str, ...]:
    """Host names of AWS that the lab answers for: STS, and EC2, which aws-iam-authenticator asks for a node's name."""
    return ("sts.amazonaws.com", f"sts.{region}.amazonaws.com", f"ec2.{region}.amazonaws.com")


def hosts(region: str) -> str:
    """The lab's own ``/etc/hosts``."""
    lines = [
        (LOOPBACK, ("localhost", "kubernetes.default.svc", "kubernetes.default", GIT_HOST)),
        (STS_FRONT[0], sts_hosts(region)),
    ]
    return "".join(f"{address}\t{' '.join(names)}\n" for address, names in lines)
