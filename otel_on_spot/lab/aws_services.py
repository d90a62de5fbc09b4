"""The programs that stand for what AWS runs itself: who may come in, credentials, nodes, volumes; and Git."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from otel_on_spot import project
from otel_on_spot.lab import addresses
from otel_on_spot.lab.aws import authenticator
from otel_on_spot.lab.folder import Folder
from otel_on_spot.lab.health import http_ok, tcp_open
from otel_on_spot.lab.stack import Stack
from otel_on_spot.lab.supervisor import Program
from otel_on_spot.lab.toolchain import Tools

AUTHENTICATOR_STARTS_SECONDS: Final = 30.0


def programs(
    stack: Stack, folder: Folder, tools: Tools, *, moto: str, authority: Path, boot_seconds: float
) -> list[Program]:
    """Programs around the simulated AWS, in the order in which they start.

    Args:
        stack: the stack that runs.
        folder: the lab's.
        tools: the lab's.
        moto: URL of the simulated AWS.
        authority: certificate of the lab's own authority.
        boot_seconds: how long an instance boots before its node joins.
    """
    keys, tables = folder.certificates, str(folder.cloud / "tables.sqlite")
    home = folder.path / "authenticator"
    reviewer = ("--kubeconfig", str(folder.kubeconfig("authenticator")))
    aws = ("--moto", moto, "--region", stack.region)
    sts_host, sts_port = addresses.STS_FRONT
    git_host, git_port = addresses.GIT
    agent_host, agent_port = addresses.POD_IDENTITY
    standin = str(folder.kubeconfig("kubelet-standin"))
    return [
        _python(
            "access-entries",
            ("otel_on_spot.lab.aws.access_entries", "--cluster", stack.cluster, "--tables", tables),
            ("--entries", str(home / "entries.json"), "--mode", str(home / "mode.json")),
            ready=(home / "mode.json").exists,
        ),
        _python(
            "sts-front",
            ("otel_on_spot.lab.aws.sts_front", "--host", sts_host, "--port", str(sts_port), *aws, *reviewer),
            ("--certificate", str(keys / "sts.crt"), "--key", str(keys / "sts.key")),
            ready=lambda: tcp_open(sts_host, sts_port),
        ),
        _python(
            "pod-identity-agent",
            ("otel_on_spot.lab.aws.pod_identity", "--host", agent_host, "--port", str(agent_port), *aws, *reviewer),
            ("--cluster", stack.cluster, "--tables", tables),
            ready=lambda: tcp_open(agent_host, agent_port),
        ),
        Program(
            name=authenticator.NAME,
            command=authenticator.command(
                tools.path("aws-iam-authenticator"),
                home,
                addresses.AUTHENTICATOR,
                stack.cluster,
                folder.kubeconfig("authenticator"),
            ),
            environment=authenticator.environment(stack.region, authority),
            ready=lambda: tcp_open(addresses.LOOPBACK, addresses.AUTHENTICATOR),
            ready_seconds=AUTHENTICATOR_STARTS_SECONDS,
            restart=True,
        ),
        _python(
            "nodes",
            (
                "otel_on_spot.lab.nodes",
                "--folder",
                str(folder.nodes),
                "--cluster",
                stack.cluster,
                *aws,
                "--tables",
                tables,
            ),
            ("--kubeconfig", standin, "--kubectl", str(tools.path("kubectl"))),
            ("--boot-seconds", str(boot_seconds)),
        ),
        _python(
            "volumes",
            ("otel_on_spot.lab.volumes", "--cluster", stack.cluster, *aws, "--tables", tables),
            ("--kubeconfig", str(folder.kubeconfig("ebs-csi-driver")), "--definitions", str(tools.snapshot_crds)),
        ),
        _python(
            "git",
            (
                "otel_on_spot.lab.gitops.server",
                "--folder",
                str(folder.git),
                "--host",
                git_host,
                "--port",
                str(git_port),
            ),
            ("--certificate", str(keys / "git.crt"), "--key", str(keys / "git.key")),
            ready=lambda: http_ok(f"https://{git_host}:{git_port}/healthz", ca=authority),
        ),
    ]


def _python(name: str, *parts: tuple[str, ...], ready: Callable[[], bool] | None = None) -> Program:
    module, *first = parts[0]
    rest = [word for part in parts[1:] for word in part]
    return Program(
        name=name,
        command=(sys.executable, "-m", module, *first, *rest),
        environment={"PYTHONPATH": project.python_path(), "PYTHONUNBUFFERED": "1"},
        directory=project.root(),
        ready=ready,
        restart=True,
    )
