"""Namespaces of the lab's own: a network with only loopback, mounts, and processes that end when the first one does."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from otel_on_spot.lab import addresses
from otel_on_spot.lab.folder import Folder, NoLabError
from otel_on_spot.lab.stack import Stack
from otel_on_spot.lab.toolchain import Tools

LAB: Final = "OTEL_ON_SPOT_LAB"
"""Variable of a command in a lab's namespaces: the lab's folder."""
PREPARE: Final = """\
set -e
{up}
mount --bind {hosts} /etc/hosts
exec "$@"
"""
UP_IP: Final = f"ip link set lo up\nip address add {addresses.POD_IDENTITY[0]}/32 dev lo"
UP_IFCONFIG: Final = f"ifconfig lo up\nifconfig lo:1 {addresses.POD_IDENTITY[0]} netmask 255.255.255.255 up"


def as_root() -> bool:
    """True where no user namespace is needed."""
    return os.geteuid() == 0


def isolated(folder: Folder, command: Sequence[str]) -> list[str]:
    """The command line that runs a command as the first process of new namespaces.

    When it ends, by SIGKILL too, the kernel ends everything in them. The folder's ``hosts`` is their ``/etc/hosts``.
    """
    user = [] if as_root() else ["--user", "--map-root-user"]
    up = f"if command -v ip >/dev/null; then\n{UP_IP}\nelse\n{UP_IFCONFIG}\nfi"
    script = PREPARE.format(up=up, hosts=shlex.quote(str(folder.hosts)))
    new = ["unshare", *user, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*new, "sh", "-c", script, "lab", *command]


def inside(folder: Folder, command: Sequence[str]) -> list[str]:
    """The command line that runs a command in the lab's namespaces, from outside.

    Raises:
        NoLabError: no lab is running.
    """
    first = folder.read_state().get("pid")
    if not first or not folder.is_running():
        raise NoLabError(f"no lab {folder.name!r} is running. Start it: make lab")
    user = [] if as_root() else ["--user", "--preserve-credentials"]
    return ["nsenter", f"--target={first}", *user, "--net", "--mount", f"--wd={Path.cwd()}", "--", *command]


def surrounding() -> Folder | None:
    """The lab that this command runs in; None outside of all."""
    path = Path(os.environ.get(LAB, ""))
    return Folder(path.name, path.parent) if path.name else None


def environment(stack: Stack, folder: Folder, tools: Tools) -> dict[str, str]:
    """Variables with which a command in the lab's namespaces reaches its cluster and its AWS, and nothing else."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "KUBE"))}
    return {
        **own,
        LAB: str(folder.path),
        "KUBECONFIG": str(folder.kubeconfig()),
        "AWS_ENDPOINT_URL": addresses.MOTO_URL,
        "AWS_ACCESS_KEY_ID": "simulated",
        "AWS_SECRET_ACCESS_KEY": "simulated",
        "AWS_REGION": stack.region,
        "AWS_DEFAULT_REGION": stack.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "*",
        "PATH": os.pathsep.join(
            [str(tools.path("kubectl").parent), str(tools.path("helm").parent), os.environ["PATH"]]
        ),
    }
