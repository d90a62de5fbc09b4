"""Everything that would keep the lab from coming up on this machine, found before anything starts."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from otel_on_spot.lab.toolchain import machine
from otel_on_spot.lab.toolchain.given_argocd import GivenArgocd
from otel_on_spot.lab.toolchain.golang import Go, GoMissingError, dotted
from otel_on_spot.lab.toolchain.modules import MODULES, Module
from otel_on_spot.lab.toolchain.problem import Problem
from otel_on_spot.lab.toolchain.schedule import cores, free_mib, jobs_each, peak_mib
from otel_on_spot.lab.toolchain.store import Store
from otel_on_spot.lab.toolchain.tools import missing, to_build

# What the first build of all tools writes, measured: 2.5 GiB of modules and 0.4 of their zips, 7.6 of compiled packages,
# 0.6 of binaries.
_MODULES_GIB, _COMPILED_GIB, _BINARIES_GIB = 3.0, 8.0, 1.0
_LAB_FOLDER_GIB = 1.0
_GO_SITE = "https://go.dev/dl/"


def check(folder: Path, environment: Mapping[str, str] | None = None) -> list[Problem]:
    """All problems at once; an empty list means that the lab can start.

    Args:
        folder: where the lab will keep its state; it need not exist.
        environment: the variables that count; default: this process's.
    """
    environment = dict(os.environ) if environment is None else environment
    not_linux = list(machine.linux())
    if not_linux:
        return not_linux  # nothing else can be said about it
    given = GivenArgocd.from_environment(environment)
    modules = to_build(given if isinstance(given, GivenArgocd) else None)
    try:
        go = Go.found(environment)
    except GoMissingError as reason:
        found, absent = [no_go(reason, modules)], modules
        home = Path(environment.get("HOME") or Path.home())
        caches = home, home
    else:
        found = list(too_old(go, modules))
        absent = tuple(missing(Store.of_user(environment), go, modules))
        caches = Path(go.answers["GOMODCACHE"]), Path(go.answers["GOCACHE"])
    build_mib = max((peak_mib(module, jobs_each(cores())) for module in absent), default=0)
    return [
        *found,
        *([given] if isinstance(given, Problem) else []),
        *machine.commands(environment),
        *machine.namespaces(environment),
        *machine.memory(free_mib(), build_mib),
        *machine.disk(disk_needs(folder, Store.of_user(environment), caches, absent)),
    ]


def no_go(reason: GoMissingError, modules: tuple[Module, ...]) -> Problem:
    """There is no Go."""
    newest = max(modules, key=lambda module: module.go_line)
    return Problem(
        subject="Go",
        found=str(reason),
        rule=f"the lab's tools are built with Go {dotted(newest.go_line)} or newer ({newest.name} asks for it)",
        do=f"install it from {_GO_SITE} and put its bin folder on PATH",
    )


def too_old(go: Go, modules: tuple[Module, ...]) -> Iterator[Problem]:
    """Go is older than the newest ``go`` line, and may not fetch a newer one by itself."""
    newest = max(modules, key=lambda module: module.go_line)
    if not go.serves(newest.go_line):
        yield Problem(
            subject="Go",
            found=f"Go {dotted(go.version)} at {go.binary}, GOTOOLCHAIN={go.answers['GOTOOLCHAIN'] or 'not known'}",
            rule=f"{newest.name} needs Go {dotted(newest.go_line)} or newer",
            do=f"install it from {_GO_SITE}, or let Go 1.21 and newer fetch it: go env -w GOTOOLCHAIN=auto",
        )


def disk_needs(
    folder: Path, store: Store, caches: tuple[Path, Path], absent: tuple[Module, ...]
) -> list[tuple[Path, float, str]]:
    """What goes where, in GiB; the builds count by the share of CPU time that is still to be spent."""
    share = sum(module.cpu_seconds for module in absent) / sum(module.cpu_seconds for module in MODULES)
    module_cache, build_cache = caches
    builds = [
        (module_cache, _MODULES_GIB * share, "Go modules"),
        (build_cache, _COMPILED_GIB * share, "compiled packages"),
        (store.folder, _BINARIES_GIB * share, "the tools"),
    ]
    return [*(builds if absent else []), (folder, _LAB_FOLDER_GIB, "the lab's folder")]
