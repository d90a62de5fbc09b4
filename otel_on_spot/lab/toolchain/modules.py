"""The Go modules below ``tools/`` that the lab is built from: what each holds, and what building it costs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1] / "go"
_REQUIRE = r"^(?:require\s+|\s+){path}\s+(v\S+)"
_GO_LINE = re.compile(r"^go\s+(\d+)\.(\d+)(?:\.(\d+))?", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, eq=False)
class Module:
    """One tools module.

    ``upstream`` is the Go module whose required version is the tool's version. ``binaries`` maps the name the lab uses
    to the name that ``go build`` writes; ``links`` are further names of one binary. ``files`` maps a name to a folder of the
    upstream module that is kept beside the binaries. ``version_variables`` are ``-ldflags -X`` settings with
    ``{version}`` (v1.2.3), ``{number}`` (1.2.3), ``{major}`` and ``{minor}``.
    """

    name: str
    upstream: str
    packages: tuple[str, ...]
    binaries: Mapping[str, str]
    links: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    version_variables: tuple[str, ...] = ()
    peak_mib: int
    """Memory at the worst moment of ``go build -p 2``, measured."""
    cpu_seconds: int
    """CPU time of a build with empty caches, measured: the weight in the estimate of the time left."""
    root: Path = ROOT

    @property
    def folder(self) -> Path:
        """Where go.mod is."""
        return self.root / self.name

    @cached_property
    def go_mod(self) -> str:
        """The text of go.mod."""
        return (self.folder / "go.mod").read_text(encoding="utf-8")

    @cached_property
    def version(self) -> str:
        """The pinned version of the upstream module, such as v1.35.4.

        Raises:
            LookupError: go.mod does not require the upstream module.
        """
        found = re.search(_REQUIRE.format(path=re.escape(self.upstream)), self.go_mod, re.MULTILINE)
        if not found:
            raise LookupError(f"{self.folder / 'go.mod'}: no version of {self.upstream}; add a require line for it")
        return found[1]

    @cached_property
    def go_line(self) -> tuple[int, int, int]:
        """The oldest Go that go.mod allows.

        Raises:
            LookupError: go.mod has no ``go`` line.
        """
        found = _GO_LINE.search(self.go_mod)
        if not found:
            raise LookupError(f"{self.folder / 'go.mod'}: no go line; add one such as: go 1.25.0")
        return int(found[1]), int(found[2]), int(found[3] or 0)

    @property
    def linker_flags(self) -> str:
        """The value of ``-ldflags``: no symbol tables, and the version where the tool prints one."""
        major, minor = self.version.lstrip("v").split(".")[:2]
        values = {"version": self.version, "number": self.version.lstrip("v"), "major": major, "minor": minor}
        return " ".join(["-s -w", *(f"-X {variable.format_map(values)}" for variable in self.version_variables)])

    @property
    def names(self) -> tuple[str, ...]:
        """Every name under which the lab finds a binary of this module."""
        return (*self.binaries, *self.links)


# Source: https://github.com/kubernetes/kubernetes/blob/v1.35.4/hack/lib/version.sh
_KUBERNETES_VERSION = tuple(
    f"{package}.{variable}"
    for package in ("k8s.io/client-go/pkg/version", "k8s.io/component-base/version")
    for variable in ("gitVersion={version}", "gitMajor={major}", "gitMinor={minor}")
)
_KUBERNETES_BINARIES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")

MODULES = (
    Module(
        name="kubernetes",
        upstream="k8s.io/kubernetes",
        packages=tuple(f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES_BINARIES),
        binaries={name: name for name in _KUBERNETES_BINARIES},
        version_variables=_KUBERNETES_VERSION,
        # 548 measured for the three servers of v1.34.4; kubectl added by the size of its binary.
        peak_mib=2764,
        cpu_seconds=600,
    ),
    Module(
        name="karpenter",
        upstream="github.com/aws/karpenter-provider-aws",
        packages=("github.com/aws/karpenter-provider-aws/cmd/controller",),
        binaries={"karpenter": "controller"},
        files={"karpenter-chart": "charts/karpenter", "karpenter-crd-chart": "charts/karpenter-crd"},
        # Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.1/Makefile
        version_variables=("sigs.k8s.io/karpenter/pkg/operator.Version={number}",),
        peak_mib=3344,
        cpu_seconds=393,
    ),
    Module(
        name="argocd",
        upstream="github.com/argoproj/argo-cd/v3",
        packages=(".",),
        binaries={"argocd-application-controller": "argocd"},
        links={
            "argocd-repo-server": "argocd-application-controller",
            "argocd-git-ask-pass": "argocd-application-controller",
        },
        files={"argocd-manifests": "manifests"},
        # Source: https://github.com/argoproj/argo-cd/blob/v3.2.11/common/version.go
        version_variables=("github.com/argoproj/argo-cd/v3/common.version={number}",),
        peak_mib=1437,
        cpu_seconds=320,
    ),
    Module(
        name="kwok",
        upstream="sigs.k8s.io/kwok",
        packages=("sigs.k8s.io/kwok/cmd/kwok",),
        binaries={"kwok": "kwok"},
        peak_mib=1026,
        cpu_seconds=151,
    ),
    Module(
        name="aws-iam-authenticator",
        upstream="sigs.k8s.io/aws-iam-authenticator",
        packages=("sigs.k8s.io/aws-iam-authenticator/cmd/aws-iam-authenticator",),
        binaries={"aws-iam-authenticator": "aws-iam-authenticator"},
        # Source: https://github.com/kubernetes-sigs/aws-iam-authenticator/blob/v0.6.13/.goreleaser.yaml
        version_variables=("sigs.k8s.io/aws-iam-authenticator/pkg.Version={number}",),
        peak_mib=897,
        cpu_seconds=119,
    ),
    Module(
        name="helm",
        upstream="helm.sh/helm/v3",
        packages=("helm.sh/helm/v3/cmd/helm",),
        binaries={"helm": "helm"},
        # Source: https://github.com/helm/helm/blob/v3.19.5/Makefile
        version_variables=("helm.sh/helm/v3/internal/version.version={version}",),
        peak_mib=881,
        cpu_seconds=108,
    ),
    Module(
        name="etcd",
        upstream="go.etcd.io/etcd/server/v3",
        packages=("go.etcd.io/etcd/server/v3",),
        binaries={"etcd": "server"},
        peak_mib=382,
        cpu_seconds=95,
    ),
    Module(
        name="miniredis",
        upstream="github.com/alicebob/miniredis/v2",
        packages=(".",),
        binaries={"miniredis": "miniredis"},
        peak_mib=300,
        cpu_seconds=47,
    ),
)
