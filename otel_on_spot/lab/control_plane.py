"""The real Kubernetes control plane.

It is etcd, the API server, controller manager, scheduler, and KWOK for what runs on nodes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from otel_on_spot.lab import addresses
from otel_on_spot.lab.folder import Folder
from otel_on_spot.lab.health import http_ok, tcp_open
from otel_on_spot.lab.supervisor import Program
from otel_on_spot.lab.toolchain import Tools

STAGES: Final = Path(__file__).with_name("kwok_stages.yaml")
POD_CIDR: Final = "10.244.0.0/16"
NODE_LABEL: Final = "lab.otel-on-spot/kubelet=kwok"
"""Set by a node itself when it registers; taken off when its instance stops: KWOK posts for nobody else."""
WEBHOOK_SECONDS: Final = 2
"""Time for which the API server remembers the authenticator's answers."""


def programs(tools: Tools, folder: Folder, *, webhook: Path, issuer: str) -> Iterator[Program]:
    """The programs in the order of their start.

    Args:
        tools: the binaries.
        folder: the lab's.
        webhook: kubeconfig by which the API server asks aws-iam-authenticator about tokens.
        issuer: OIDC issuer of service account tokens.
    """
    yield etcd(tools, folder)
    yield api_server(tools, folder, webhook=webhook, issuer=issuer)
    yield controller_manager(tools, folder)
    yield scheduler(tools, folder)
    yield kwok(tools, folder)


def etcd(tools: Tools, folder: Folder) -> Program:
    """etcd, without waiting for the disk: the lab's data is thrown away."""
    client, peer = addresses.ETCD_CLIENT, addresses.ETCD_PEER
    return Program(
        name="etcd",
        command=(
            str(tools.path("etcd")),
            f"--data-dir={folder.etcd}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ),
        environment={},
        ready=lambda: http_ok(f"{client}/health"),
    )


def api_server(tools: Tools, folder: Folder, *, webhook: Path, issuer: str) -> Program:
    """The API server. It is started again when it dies: EKS does so too.

    Args:
        tools: the binaries.
        folder: the lab's, with the certificates.
        webhook: kubeconfig by which it asks aws-iam-authenticator about tokens.
        issuer: OIDC issuer of service account tokens, a URL.
    """
    keys = folder.certificates
    return Program(
        name="kube-apiserver",
        command=(
            str(tools.path("kube-apiserver")),
            f"--etcd-servers={addresses.ETCD_CLIENT}",
            f"--bind-address={addresses.LOOPBACK}",
            f"--secure-port={addresses.API_SERVER_PORT}",
            f"--advertise-address={addresses.LOOPBACK}",
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={keys / 'apiserver.crt'}",
            f"--tls-private-key-file={keys / 'apiserver.key'}",
            f"--client-ca-file={keys / 'ca.crt'}",
            f"--token-auth-file={keys / 'tokens.csv'}",
            f"--service-account-issuer={issuer}",
            f"--service-account-key-file={keys / 'sa.pub'}",
            f"--service-account-signing-key-file={keys / 'sa.key'}",
            f"--service-cluster-ip-range={addresses.SERVICE_CIDR}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--requestheader-client-ca-file={keys / 'ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={keys / 'front-proxy.crt'}",
            f"--proxy-client-key-file={keys / 'front-proxy.key'}",
            "--profiling=false",
            f"--authentication-token-webhook-config-file={webhook}",
            f"--authentication-token-webhook-cache-ttl={WEBHOOK_SECONDS}s",
        ),
        environment={},
        ready=lambda: http_ok(f"{addresses.API_SERVER}/readyz", ca=keys / "ca.crt"),
        ready_seconds=120,
        restart=True,
    )


def controller_manager(tools: Tools, folder: Folder) -> Program:
    """The controller manager, with every controller's own service account."""
    keys = folder.certificates
    return _controller(
        tools,
        folder,
        "controller-manager",
        addresses.CONTROLLER_MANAGER,
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={keys / 'sa.key'}",
        f"--root-ca-file={keys / 'ca.crt'}",
    )


def scheduler(tools: Tools, folder: Folder) -> Program:
    """The scheduler."""
    return _controller(tools, folder, "scheduler", addresses.SCHEDULER)


def _controller(tools: Tools, folder: Folder, name: str, port: int, *flags: str) -> Program:
    """A client of the API server with an HTTPS port of its own, as the user whose kubeconfig has its name."""
    config = folder.kubeconfig(name)
    return Program(
        name=f"kube-{name}",
        command=(
            str(tools.path(f"kube-{name}")),
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            f"--bind-address={addresses.LOOPBACK}",
            f"--secure-port={port}",
            f"--cert-dir={folder.path / name}",
            "--leader-elect=false",
            *flags,
        ),
        environment={},
        ready=lambda: tcp_open(addresses.LOOPBACK, port),
        restart=True,
    )


def kwok(tools: Tools, folder: Folder) -> Program:
    """KWOK: what runs on nodes that joined."""
    return Program(
        name="kwok",
        command=(
            str(tools.path("kwok")),
            f"--kubeconfig={folder.kubeconfig('kwok')}",
            f"--config={STAGES}",
            "--manage-all-nodes=false",
            f"--manage-nodes-with-label-selector={NODE_LABEL}",
            f"--cidr={POD_CIDR}",
            "--node-lease-duration-seconds=40",
            f"--server-address={addresses.LOOPBACK}:{addresses.KWOK}",
        ),
        environment={},
        ready=lambda: http_ok(f"http://{addresses.LOOPBACK}:{addresses.KWOK}/healthz"),
        restart=True,
    )
