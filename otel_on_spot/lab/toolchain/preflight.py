"""Everything that would keep the lab from coming up on this machine, found before anything starts."""

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from infra.settings.problem import Problem
from otel_on_spot.lab.toolchain.argocd import GivenArgocd
from otel_on_spot.lab.toolchain.build import PEAK_MIB, cache_folder, free_mib
from otel_on_spot.lab.toolchain.golang import Go, UnusableError
from otel_on_spot.lab.toolchain.modules import MODULES
from otel_on_spot.lab.toolchain.tools import missing, needed

GIB = 1024**3
# The lab in full runs in 1.6 to 1.8 GiB; its Python processes, the builds of pages and a margin make 3.
LAB_GIB = 3.0
# What the first build of all tools writes, measured: 2.5 GiB of modules, 0.4 of their zips, 7.6 of compiled packages
# and 0.6 of binaries.
_MODULES_GIB, _COMPILED_GIB, _BINARIES_GIB = 3.0, 8.0, 1.0
_LAB_FOLDER_GIB = 1.0
_UNSHARE_SECONDS = 20
COMMANDS = {
    ("git",): "git",
    ("unshare",): "util-linux",
    ("nsenter",): "util-linux",
    ("mount",): "mount (util-linux)",
    ("ip", "ifconfig"): "iproute2",
}
Program = TypeVar("Program")


def check(folder: Path) -> list[Problem]:
    """All problems at once; an empty list means that the lab can start.

    ``folder``: where the lab will keep its state; it need not exist.
    """
    if sys.platform != "linux":
        rule = "the lab needs Linux: it lives in a network, mount and process namespace of its own"
        do = "use a Linux machine or virtual machine; `make plan` and `make test` work here"
        return [Problem("operating system", sys.platform, rule, do)]
    problems: list[Problem] = []

    def usable(find: Callable[[], Program]) -> Program | None:
        try:
            return find()
        except UnusableError as error:
            problems.append(error.problem)
            return None

    go, argocd = usable(Go.find), usable(GivenArgocd.find)
    absent = missing(go, needed(argocd)) if go else needed(argocd)
    places = [(folder, _LAB_FOLDER_GIB, "the lab's folder")]
    if absent:
        share = sum(bool(module.package) for module in absent) / sum(bool(module.package) for module in MODULES)
        caches = [Path(go.answers[name]) if go else Path.home() for name in ("GOMODCACHE", "GOCACHE")]
        places = [
            (caches[0], _MODULES_GIB * share, "Go modules"),
            (caches[1], _COMPILED_GIB * share, "compiled packages"),
            (cache_folder(), _BINARIES_GIB * share, "the tools"),
            *places,
        ]
    lab = [*commands(), *namespaces(os.geteuid())]
    return [*problems, *lab, *memory(free_mib(), PEAK_MIB if absent else 0), *disk(places)]


def commands() -> Iterator[Problem]:
    """The commands that the lab calls and does not build."""
    for names, package in COMMANDS.items():
        if not any(map(shutil.which, names)):
            key = f"command {' or '.join(names)}"
            yield Problem(key, "not on PATH", "the lab calls it", f"install the package {package}")


def namespaces(user_id: int) -> Iterator[Problem]:
    """The lab's namespaces, one of users where the user is not root: tried, because no setting says it all."""
    command = [
        "unshare",
        "-n",
        "-m",
        "-p",
        "--fork",
        "--kill-child",
        "--mount-proc",
        *(["-U", "-r"] if user_id else []),
    ]
    if shutil.which("unshare") is None:
        return  # commands() says so
    try:
        tried = subprocess.run(
            [*command, "true"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_UNSHARE_SECONDS,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        answer = f"no answer in {_UNSHARE_SECONDS} s"
    else:
        if tried.returncode == 0:
            return
        answer = (tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"])[-1]
    yield Problem(
        "namespaces",
        f"`{' '.join(command)} true`: {answer}",
        "the lab lives in a network, mount and process namespace of its own",
        "in a container: start it with --privileged; otherwise allow unprivileged user namespaces "
        "(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, "
        "user.max_user_namespaces above 0), or run as root",
    )


def memory(available_mib: int, build_mib: int) -> Iterator[Problem]:
    """Enough free memory for the lab, and for the largest build that is still to be done (0: none)."""
    what, gib = max(
        ("the lab runs in about", LAB_GIB), ("the largest build takes", build_mib / 1024), key=lambda n: n[1]
    )
    if available_mib < gib * 1024:
        do = "end what uses memory, or take a larger machine"
        yield Problem("memory", f"{available_mib / 1024:.1f} GiB free", f"{what} {gib:.1f} GiB", do)


def disk(places: Sequence[tuple[Path, float, str]]) -> Iterator[Problem]:
    """Enough free disk: each place is a folder, which need not exist, GiB, and what for; on one disk they add up."""
    by_device: dict[int, list[tuple[Path, float, str]]] = defaultdict(list)
    for folder, gib, what in places:
        existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir())
        by_device[existing.stat().st_dev].append((existing, gib, what))
    for needs in by_device.values():
        free, total = shutil.disk_usage(needs[0][0]).free / GIB, sum(gib for _, gib, _ in needs)
        if free < total:
            yield Problem(
                f"disk at {', '.join(sorted({str(folder) for folder, _, _ in needs}))}",
                f"{free:.1f} GiB free",
                f"{total:.1f} GiB are needed: " + ", ".join(f"{gib:.1f} for {what}" for _, gib, what in needs),
                "free some: `go clean -cache -modcache` empties Go's caches; or move them (GOCACHE, GOMODCACHE, "
                "XDG_CACHE_HOME)",
            )
