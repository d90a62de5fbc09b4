"""What this machine offers: namespaces, commands, memory, disk. Each finding is a problem or nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from otel_on_spot.lab.toolchain.problem import Problem

GIB = 1024**3
_SECONDS = 20
# The lab in full runs in 1.6 to 1.8 GiB; its Python processes, the builds of pages and a margin make 3.
LAB_GIB = 3.0
COMMANDS = {
    ("git",): "git",
    ("unshare",): "util-linux",
    ("nsenter",): "util-linux",
    ("mount",): "mount (util-linux)",
    ("ip", "ifconfig"): "iproute2",
}


def unshare_command(user_id: int) -> tuple[str, ...]:
    """How the lab gets its own network, mounts and processes; with a user namespace where it is not root."""
    as_root = ("unshare", "-n", "-m", "-p", "--fork", "--kill-child", "--mount-proc")
    return as_root if user_id == 0 else (*as_root, "-U", "-r")


def linux(platform: str = sys.platform) -> Iterator[Problem]:
    """The lab runs on Linux."""
    if platform != "linux":
        yield Problem(
            subject="operating system",
            found=platform,
            rule="the lab needs Linux: it lives in a network, mount and process namespace of its own",
            do="use a Linux machine or virtual machine; `make plan` and `make test` work here",
        )


def commands(environment: Mapping[str, str], wanted: Mapping[tuple[str, ...], str] = COMMANDS) -> Iterator[Problem]:
    """The commands that the lab calls and does not build."""
    for names, package in wanted.items():
        if not any(shutil.which(name, path=environment.get("PATH")) for name in names):
            yield Problem(
                subject=f"command {' or '.join(names)}",
                found="not on PATH",
                rule="the lab calls it",
                do=f"install the package {package}",
            )


def namespaces(environment: Mapping[str, str], user_id: int | None = None) -> Iterator[Problem]:
    """Whether the lab's namespaces can be made: tried, because no setting tells it all."""
    command = unshare_command(os.geteuid() if user_id is None else user_id)
    if shutil.which("unshare", path=environment.get("PATH")) is None:
        return  # commands() says so
    try:
        tried = subprocess.run(
            [*command, "true"], env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        said = f"no answer in {_SECONDS} s"
    else:
        if tried.returncode == 0:
            return
        said = (tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"])[-1]
    yield Problem(
        subject="namespaces",
        found=f"`{' '.join(command)} true`: {said}",
        rule="the lab lives in a network, mount and process namespace of its own",
        do=(
            "in a container: start it with --privileged; otherwise allow unprivileged user namespaces "
            "(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, "
            "user.max_user_namespaces above 0), or run as root"
        ),
    )


def memory(free_mib: int, build_mib: int) -> Iterator[Problem]:
    """Enough free memory for the lab, and for the largest build that is still to be done (0: none)."""
    needs = {"the lab runs in about": LAB_GIB, "the largest build takes": build_mib / 1024}
    what, gib = max(needs.items(), key=lambda need: need[1])
    if free_mib < gib * 1024:
        yield Problem(
            subject="memory",
            found=f"{free_mib / 1024:.1f} GiB free",
            rule=f"{what} {gib:.1f} GiB",
            do="end what uses memory, or take a larger machine",
        )


def disk(needs: Sequence[tuple[Path, float, str]]) -> Iterator[Problem]:
    """Enough free disk: each need is a folder (it may not exist yet), GiB, and what for; needs on one file system add up."""
    by_device: dict[int, list[tuple[Path, float, str]]] = {}
    for folder, gib, what in needs:
        place = existing(folder)
        by_device.setdefault(place.stat().st_dev, []).append((place, gib, what))
    for places in by_device.values():
        free = shutil.disk_usage(places[0][0]).free / GIB
        total = sum(gib for _, gib, _ in places)
        if free < total:
            yield Problem(
                subject=f"disk at {', '.join(sorted({str(place) for place, _, _ in places}))}",
                found=f"{free:.1f} GiB free",
                rule=f"{total:.1f} GiB are needed: " + ", ".join(f"{gib:.1f} for {what}" for _, gib, what in places),
                do="free some: `go clean -cache -modcache` empties Go's caches; or move them (GOCACHE, GOMODCACHE, XDG_CACHE_HOME)",
            )


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir())
