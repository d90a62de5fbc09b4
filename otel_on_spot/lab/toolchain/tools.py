"""The tools, ready to run: :func:`ensure` builds what is missing."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from otel_on_spot import project
from otel_on_spot.lab.toolchain.argocd import GivenArgocd
from otel_on_spot.lab.toolchain.build import BuildProgress, build, is_whole, locked, place
from otel_on_spot.lab.toolchain.golang import Go
from otel_on_spot.lab.toolchain.modules import ARGOCD, ARGOCD_NEXT, KARPENTER_NEXT, MODULES, Module, differences


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Path and version of each tool, and the files that upstream ships with it."""

    paths: Mapping[str, Path]
    versions: Mapping[str, str]
    files: Mapping[str, Path]
    """Folders of upstream's by the names that ``modules`` gives them; Argo CD's are of the version that runs."""
    following: Mapping[str, Path] = field(default_factory=dict)
    """Folder of each module that ``drill upgrade`` moves to, by name, whether or not it is built."""
    notes: tuple[str, ...] = ()
    """One line for each tool whose version is not what the stack pins."""

    def path(self, name: str) -> Path:
        """The binary with this name; its folder can stand on a PATH.

        Raises:
            LookupError: no tool of the lab has this name.
        """
        self._refuse_unknown(name)
        return self.paths[name]

    def version(self, name: str) -> str:
        """The version of this binary, such as v1.36.3.

        Raises:
            LookupError: no tool of the lab has this name.
        """
        self._refuse_unknown(name)
        return self.versions[name]

    def moved_to(self, module: Module) -> "Tools | None":
        """The same tools with those of a module that ``drill upgrade`` moves to; None where it is not built."""
        folder = self.following.get(module.name)
        if folder is None or not is_whole(module, folder):
            return None
        return replace(
            self,
            paths={**self.paths, **{name: folder / name for name in module.names}},
            versions={**self.versions, **dict.fromkeys(module.names, module.version)},
            files={**self.files, **{name: folder / name for name in module.files}},
        )

    def _refuse_unknown(self, name: str) -> None:
        if name not in self.paths:
            raise LookupError(f"no tool {name!r}; the lab has {', '.join(sorted(self.paths))}")


def needed(argocd: GivenArgocd | None) -> list[Module]:
    """The modules that the lab needs: all, less Argo CD's where one is given."""
    return [module for module in MODULES if argocd is None or module != ARGOCD]


def missing(go: Go | None = None, modules: Sequence[Module] = MODULES) -> list[Module]:
    """The modules that are not built.

    Raises:
        UnusableError: there is no ``go`` that can build them.
    """
    go = go or Go.find()
    return [module for module in modules if not is_whole(module, place(module, go))]


def _build_missing(modules: Sequence[Module], go: Go, progress: BuildProgress | None = None) -> None:
    if missing(go, modules):
        with progress or BuildProgress() as shown, locked(shown):
            build(missing(go, modules), go, shown)  # another process may have built them meanwhile


def ensure_module(module: Module) -> Path:
    """Build one module where it is missing, and say in which folder its binaries are.

    Raises:
        UnusableError: there is no ``go`` that can build it.
        BuildError: it could not be built.
    """
    go = Go.find([module])
    _build_missing([module], go)
    folder = place(module, go)
    os.utime(folder)
    return folder


def ensure(progress: BuildProgress | None = None, *, stack_file: Path | None = None) -> Tools:
    """Build what is missing, and say where everything is. When nothing is missing it takes a fraction of a second.

    Args:
        progress: what shows the builds; the default writes to standard error.
        stack_file: the stack file that :attr:`Tools.notes` compares with; default: the lab's.

    Raises:
        UnusableError: there is no ``go`` that can build the tools, or ``ARGOCD`` names nothing that runs.
        BuildError: with every tool that could not be built.
        ToolchainError: the manifests of the given Argo CD can't be had.
    """
    go, argocd = Go.find(), GivenArgocd.find()
    modules = needed(argocd)
    _build_missing(modules, go, progress)
    paths: dict[str, Path] = {}
    files: dict[str, Path] = {}
    versions: dict[str, str] = {}
    for module in modules:
        folder = place(module, go)
        os.utime(folder)  # what nobody used for a month goes
        paths |= {name: folder / name for name in module.names}
        files |= {name: folder / name for name in module.files}
        versions |= dict.fromkeys(module.names, module.version)
    if argocd is not None:
        paths |= {name: argocd.folder() / name for name in ARGOCD.names}
        files["argocd-manifests"] = argocd.manifests()
        versions |= dict.fromkeys(ARGOCD.names, argocd.version)
    return Tools(
        paths=paths,
        versions=versions,
        files=files,
        following={module.name: place(module, go) for module in (KARPENTER_NEXT, ARGOCD_NEXT)},
        notes=differences(versions, stack_file or project.root() / "Pulumi.lab.yaml"),
    )
