"""The tools, ready to run: :func:`ensure` builds what is missing."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from otel_on_spot import project
from otel_on_spot.lab.toolchain.argocd import GivenArgocd
from otel_on_spot.lab.toolchain.build import BuildProgress, build, is_built, is_whole, locked, place
from otel_on_spot.lab.toolchain.golang import Go
from otel_on_spot.lab.toolchain.modules import ARGOCD, ARGOCD_NEXT, KARPENTER_NEXT, MODULES, Module, differences


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Path and version of each tool, and the files that upstream ships with it."""

    paths: Mapping[str, Path]
    versions: Mapping[str, str]
    karpenter_chart: Path
    """The real chart ``karpenter``."""
    karpenter_crd_chart: Path
    """The real chart ``karpenter-crd``."""
    argocd_manifests: Path
    """Upstream's ``manifests`` folder, of the version that runs."""
    snapshot_crds: Path
    """The CRDs of VolumeSnapshots, as the EKS add-on ``snapshot-controller`` brings them."""
    next_karpenter: Path | None = None
    """Folder of the Karpenter that ``drill upgrade`` moves to, whether or not it is built; None where nobody knows."""
    next_argocd: Path | None = None
    """Folder of the Argo CD that ``drill upgrade --what argocd`` moves to: as ``next_karpenter``."""
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

    def with_next_karpenter(self) -> "Tools | None":
        """The same tools with the Karpenter that ``drill upgrade`` moves to; None where it is not built."""
        charts = {"karpenter_chart": "karpenter-chart", "karpenter_crd_chart": "karpenter-crd-chart"}
        return self._with(KARPENTER_NEXT, self.next_karpenter, charts)

    def with_next_argocd(self) -> "Tools | None":
        """The same tools with the Argo CD that ``drill upgrade`` moves to; None where it is not built."""
        return self._with(ARGOCD_NEXT, self.next_argocd, {"argocd_manifests": "argocd-manifests"})

    def _with(self, module: Module, folder: Path | None, files: Mapping[str, str]) -> "Tools | None":
        """The same tools with a module's and its files, by attribute; None where it is not built."""
        if folder is None or not is_whole(module, folder):
            return None
        return replace(
            self,
            paths={**self.paths, **{name: folder / name for name in module.names}},
            versions={**self.versions, **dict.fromkeys(module.names, module.version)},
            **{attribute: folder / name for attribute, name in files.items()},
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
    return [module for module in modules if not is_built(module, go)]


def ensure_module(module: Module) -> Path:
    """Build one module where it is missing, and say in which folder its binaries are.

    Raises:
        UnusableError: there is no ``go`` that can build it.
        BuildError: it could not be built.
    """
    go = Go.find([module])
    if missing(go, [module]):
        with BuildProgress() as shown, locked(shown):
            build(missing(go, [module]), go, shown)
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
    if missing(go, modules):
        with progress or BuildProgress() as shown, locked(shown):
            build(missing(go, modules), go, shown)  # another process may have built them meanwhile
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
        karpenter_chart=files["karpenter-chart"],
        karpenter_crd_chart=files["karpenter-crd-chart"],
        argocd_manifests=files["argocd-manifests"],
        snapshot_crds=files["snapshot-crds"],
        next_karpenter=place(KARPENTER_NEXT, go),
        next_argocd=place(ARGOCD_NEXT, go),
        notes=differences(versions, stack_file or project.root() / "Pulumi.lab.yaml"),
    )
