"""Argo CD's processes: the environment that its own manifests give each part, and what the lab adds."""

from pathlib import Path
from typing import Final

from otel_on_spot.kubernetes.names import CONFIG_MAP
from otel_on_spot.lab import addresses
from otel_on_spot.lab.health import http_ok, tcp_open
from otel_on_spot.lab.releases.environment import environment
from otel_on_spot.lab.releases.installation import Installation, ReleaseContext, search_path
from otel_on_spot.lab.supervisor import Program
from otel_on_spot.simcloud.kubernetes_api import Object

CONTROLLER: Final = "argocd-application-controller"
REPO_SERVER: Final = "argocd-repo-server"
PARTS: Final = (CONTROLLER, REPO_SERVER)
REDIS: Final = "redis"
RESYNC_SECONDS: Final = 20
"""How often Argo CD looks at Git by itself."""
REDIS_ADDRESS: Final = f"127.0.0.1:{addresses.REDIS}"
CLIENT_CA: Final = "ARGOCD_REPO_SERVER_CLIENT_CA_PATH"
"""Variable of an Argo CD whose repo server refuses to go without TLS while its clients' authority has a path (3.5)."""
LEFT_OUT: Final = frozenset({"REDIS_PASSWORD", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "KUBECACHEDIR"})
"""Redis of the lab listens on loopback without a password; the rest names folders of the image."""


def programs(context: ReleaseContext, installation: Installation, workloads: list[Object]) -> list[Program]:
    """Redis, the repo server and the application controller, in the order in which they need one another.

    Args:
        context: what every release has.
        installation: of Argo CD.
        workloads: the upstream Deployment or StatefulSet of each part: their variables come from the release's
            ConfigMaps.
    """
    by_name = {workload["metadata"]["name"]: workload for workload in workloads}
    return [
        Program(
            name=REDIS,
            command=(str(context.tools.path("miniredis")), "-address", REDIS_ADDRESS),
            environment={},
            ready=lambda: tcp_open("127.0.0.1", addresses.REDIS),
            restart=True,
        ),
        _repo_server(context, installation, by_name[REPO_SERVER]),
        _controller(context, installation, by_name[CONTROLLER]),
    ]


def _repo_server(context: ReleaseContext, installation: Installation, workload: Object) -> Program:
    address = ("--address", "127.0.0.1", "--port", str(addresses.ARGOCD_REPO_SERVER))
    metrics = ("--metrics-address", "127.0.0.1", "--metrics-port", str(addresses.ARGOCD_REPO_SERVER_METRICS))
    variables = _variables(context, installation, REPO_SERVER, workload)
    tls = ("--disable-tls", *(("--client-ca-path", "") if CLIENT_CA in _declared(workload) else ()))
    variables["ARGOCD_RECONCILIATION_TIMEOUT"] = f"{RESYNC_SECONDS}s"  # how long it trusts what Git said last
    return Program(
        name=REPO_SERVER,
        command=(str(context.tools.path(REPO_SERVER)), *address, *metrics, "--redis", REDIS_ADDRESS, *tls),
        environment=variables,
        ready=lambda: http_ok(f"http://127.0.0.1:{addresses.ARGOCD_REPO_SERVER_METRICS}/healthz"),
        restart=True,
    )


def _declared(workload: Object) -> set[str]:
    """Names of the variables that a workload's first container declares."""
    return {entry["name"] for entry in workload["spec"]["template"]["spec"]["containers"][0].get("env") or ()}


def _controller(context: ReleaseContext, installation: Installation, workload: Object) -> Program:
    peers = (
        "--repo-server",
        f"127.0.0.1:{addresses.ARGOCD_REPO_SERVER}",
        "--repo-server-plaintext",
        "--redis",
        REDIS_ADDRESS,
    )
    own = ("--namespace", installation.namespace, "--metrics-port", str(addresses.ARGOCD_CONTROLLER_METRICS))
    resync = ("--app-resync", str(RESYNC_SECONDS), "--app-resync-jitter", "0")
    return Program(
        name=CONTROLLER,
        command=(str(context.tools.path(CONTROLLER)), *own, *peers, *resync),
        environment=_variables(context, installation, CONTROLLER, workload),
        ready=lambda: http_ok(f"http://127.0.0.1:{addresses.ARGOCD_CONTROLLER_METRICS}/healthz"),
        restart=True,
    )


def _variables(context: ReleaseContext, installation: Installation, part: str, workload: Object) -> dict[str, str]:
    """The variables of the part's container, and the lab's own.

    Of the lab: ``https://kubernetes.default.svc`` is the kubeconfig's server (``ARGOCD_FAKE_IN_CLUSTER``), whose
    token is the part's service account's; folders of its own where the image has them; no GnuPG, so that no commit is
    signed; helm, git and kubectl on PATH.
    """
    api, namespace = installation.api, installation.namespace
    folder = context.folder / "argocd"
    container = workload["spec"]["template"]["spec"]["containers"][0]["name"]
    variables = environment(api, namespace, workload, container, without=LEFT_OUT)
    account = workload["spec"]["template"]["spec"].get("serviceAccountName") or "default"
    config = context.tokens.kubeconfig(folder / f"{part}.kubeconfig", context.authority, api, namespace, account)
    tools = context.tools
    return {
        **variables,
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "KUBECONFIG": str(config),
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_TLS_DATA_PATH": str(_mounted(installation, "argocd-tls-certs-cm", folder / "tls")),
        "ARGOCD_SSH_DATA_PATH": str(_mounted(installation, "argocd-ssh-known-hosts-cm", folder / "ssh")),
        "ARGOCD_GNUPGHOME": str(_made(folder / "gpg")),
        "ARGOCD_PLUGINSOCKFILEPATH": str(_made(folder / "plugins")),
        "TMPDIR": str(_made(folder / f"{part}-tmp")),
        "HOME": str(_made(folder / f"{part}-home")),
        "PATH": search_path(
            tools.path("argocd-git-ask-pass"), tools.path("helm"), tools.path("kubectl"), _signatures(folder / "bin")
        ),
    }


def _mounted(installation: Installation, config_map: str, folder: Path) -> Path:
    """A ConfigMap's data as files, as a volume shows it."""
    there = installation.api.get(*CONFIG_MAP.identity, config_map, installation.namespace) or {}
    data: dict[str, str] = there.get("data") or {}
    for old in _made(folder).iterdir():
        if old.name not in data:
            old.unlink()
    for name, content in data.items():
        (folder / name).write_text(content)
    return folder


def _signatures(folder: Path) -> Path:
    """A script that finds no signature on any commit: from 3.5 on the repo server asks the image's own each time.

    Source: https://github.com/argoproj/argo-cd/blob/v3.5.3/hack/git-verify-wrapper.sh
    """
    script = _made(folder) / "git-verify-wrapper.sh"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    return script


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
