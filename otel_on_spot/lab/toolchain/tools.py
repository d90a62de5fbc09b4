"""The tools, ready to run: :func:`ensure` builds what is missing."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from otel_on_spot import project
from otel_on_spot.lab.toolchain import display, pins
from otel_on_spot.lab.toolchain.board import Board
from otel_on_spot.lab.toolchain.building import Build
from otel_on_spot.lab.toolchain.given_argocd import GivenArgocd
from otel_on_spot.lab.toolchain.golang import Go
from otel_on_spot.lab.toolchain.modules import MODULES, Module
from otel_on_spot.lab.toolchain.problem import Problem, ToolchainError
from otel_on_spot.lab.toolchain.processes import Processes
from otel_on_spot.lab.toolchain.schedule import Schedule, cores, free_mib
from otel_on_spot.lab.toolchain.store import Store, key


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Where each tool is, which version it has, and what upstream ships with it."""

    paths: Mapping[str, Path]
    versions: Mapping[str, str]
    karpenter_chart: Path
    """The real chart ``karpenter``."""
    karpenter_crd_chart: Path
    """The real chart ``karpenter-crd``."""
    argocd_manifests: Path
    """Upstream's ``manifests`` folder, of the version that runs."""
    notes: tuple[str, ...] = ()
    """One line for each tool whose version is not what the stack pins."""

    @property
    def argocd_crds(self) -> Path:
        """Upstream's ``manifests/crds``."""
        return self.argocd_manifests / "crds"

    def path(self, name: str) -> Path:
        """The binary with this name; its folder can stand on a PATH.

        Raises:
            LookupError: no tool of the lab has this name.
        """
        self._known(name)
        return self.paths[name]

    def version(self, name: str) -> str:
        """The version of this binary, such as v1.35.4.

        Raises:
            LookupError: no tool of the lab has this name.
        """
        self._known(name)
        return self.versions[name]

    def _known(self, name: str) -> None:
        if name not in self.paths:
            raise LookupError(f"no tool {name!r}; the lab has {', '.join(sorted(self.paths))}")


def missing(store: Store, go: Go, modules: tuple[Module, ...]) -> dict[Module, str]:
    """The modules that are not built, with their keys."""
    keys = {module: key(module, go) for module in modules}
    return {module: tool_key for module, tool_key in keys.items() if not store.has(module, tool_key)}


def given_argocd(environment: Mapping[str, str]) -> GivenArgocd | None:
    """The Argo CD that the user gave, if any.

    Raises:
        ToolchainError: ``ARGOCD`` names nothing that runs.
    """
    given = GivenArgocd.from_environment(environment)
    if isinstance(given, Problem):
        raise ToolchainError(f"{given.subject}: {given.found}; {given.rule}; {given.do}")
    return given


def to_build(given: GivenArgocd | None, modules: tuple[Module, ...] = MODULES) -> tuple[Module, ...]:
    """The modules that the lab needs: all, less Argo CD's where one is given."""
    return tuple(module for module in modules if given is None or module.name != "argocd")


def ensure(
    progress: display.Display | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    stack_file: Path | None = None,
) -> Tools:
    """Build what is missing, and say where everything is. When nothing is missing it takes a fraction of a second.

    Call it from the main thread: Ctrl-C then ends every command that it started.

    Args:
        progress: what shows the builds; the default is a table on a terminal and lines elsewhere. ``display.lines(write)``
            sends plain lines to any ``write``.
        environment: the variables that count (``PATH``, ``XDG_CACHE_HOME``, ``ARGOCD``, Go's own); default: this process's.
        stack_file: the stack file that :attr:`Tools.notes` compares with.

    Raises:
        GoMissingError: there is no ``go``.
        BuildError: with every tool that could not be built.
        ToolchainError: ``ARGOCD`` names nothing that runs, or its manifests can't be had.
    """
    environment = dict(os.environ) if environment is None else environment
    given, go, store = given_argocd(environment), Go.found(environment), Store.of_user(environment)
    modules = to_build(given)
    if missing(store, go, modules):
        _build(modules, go, store, progress or display.to_stdout())
    paths: dict[str, Path] = {}
    versions: dict[str, str] = {}
    files: dict[str, Path] = {}
    for module in modules:
        tool_key = key(module, go)
        store.mark_used(module, tool_key)
        place = store.place(module, tool_key)
        paths |= {name: place / name for name in module.names}
        versions |= dict.fromkeys(module.names, module.version)
        files |= {name: place / name for name in module.files}
    if given is not None:
        folder = given.folder(store)
        argocd = next(module for module in MODULES if module.name == "argocd")
        paths |= {name: folder / name for name in argocd.names}
        versions |= dict.fromkeys(argocd.names, given.version)
        files["argocd-manifests"] = given.manifests(store, go)
    return Tools(
        paths=paths,
        versions=versions,
        karpenter_chart=files["karpenter-chart"],
        karpenter_crd_chart=files["karpenter-crd-chart"],
        argocd_manifests=files["argocd-manifests"],
        notes=pins.notes(versions, stack_file or project.root() / "Pulumi.lab.yaml"),
    )


def _build(modules: tuple[Module, ...], go: Go, store: Store, progress: display.Display) -> None:
    core_count = cores()
    board, processes = Board.of(tuple(missing(store, go, modules)), core_count), Processes()
    with progress(board), store.lock(lambda holder: board.say(f"{holder} is building already: waiting for it")):
        absent = missing(store, go, modules)  # that other process may have built them meanwhile
        for name in board.rows.keys() - {module.name for module in absent}:
            board.change(name, "done", detail="built by another process")
        builds = [Build(module, tool_key, go, store, board, processes) for module, tool_key in absent.items()]
        Schedule(board, processes, core_count=core_count, memory_mib=free_mib()).run(builds)
