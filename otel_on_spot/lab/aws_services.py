"""The programs that stand for what AWS runs itself: who may come in, credentials, nodes, volumes; and Git."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from otel_on_spot import project
from otel_on_spot.lab import addresses, options
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
    keys, home = folder.certificates, folder.path / "authenticator"
    aws = {"moto": moto, "region": stack.region}
    cluster = {"cluster": stack.cluster, "tables": folder.cloud / "tables.sqlite"}
    reviewer = folder.kubeconfig("authenticator")
    sts_host, sts_port = addresses.STS_FRONT
    git_host, git_port = addresses.GIT
    agent_host, agent_port = addresses.POD_IDENTITY
    return [
        _python(
            "access-entries",
            options.command("aws.access_entries", **cluster, entries=home / "entries.json", mode=home / "mode.json"),
            ready=(home / "mode.json").exists,
        ),
        _python(
            "sts-front",
            options.command(
                "aws.sts_front", host=sts_host, port=sts_port, **aws, kubeconfig=reviewer,
                certificate=keys / "sts.crt", key=keys / "sts.key",
            ),
            ready=lambda: tcp_open(sts_host, sts_port),
        ),
        _python(
            "pod-identity-agent",
            options.command(
                "aws.pod_identity", host=agent_host, port=agent_port, **aws, **cluster, kubeconfig=reviewer
            ),
            ready=lambda: tcp_open(agent_host, agent_port),
        ),
        Program(
            name=authenticator.NAME,
            command=authenticator.command(
                tools.path("aws-iam-authenticator"), home, addresses.AUTHENTICATOR, stack.cluster, reviewer
            ),
            environment=authenticator.environment(stack.region, authority),
            ready=lambda: tcp_open(addresses.LOOPBACK, addresses.AUTHENTICATOR),
            ready_seconds=AUTHENTICATOR_STARTS_SECONDS,
            restart=True,
        ),
        _python(
            "nodes",
            options.command(
                "nodes", folder=folder.nodes, **cluster, **aws, kubeconfig=folder.kubeconfig("kubelet-standin"),
                kubectl=tools.path("kubectl"), boot_seconds=boot_seconds,
            ),
        ),
        _python(
            "volumes",
            options.command(
                "volumes", **cluster, **aws, kubeconfig=folder.kubeconfig("ebs-csi-driver"),
                definitions=tools.files["snapshot-crds"],
            ),
        ),
        _python(
            "git",
            options.command(
                "gitops.server", folder=folder.git, host=git_host, port=git_port, certificate=keys / "git.crt",
                key=keys / "git.key",
            ),
            ready=lambda: http_ok(f"https://{git_host}:{git_port}/healthz", ca=authority),
        ),
    ]  # fmt: skip


def _python(name: str, command: tuple[str, ...], ready: Callable[[], bool] | None = None) -> Program:
    return Program(
        name=name,
        command=command,
        environment={"PYTHONPATH": project.python_path(), "PYTHONUNBUFFERED": "1"},
        directory=project.root(),
        ready=ready,
        restart=True,
    )
