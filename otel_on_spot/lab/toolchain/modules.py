"""The Go modules below ``lab/go`` that the lab is built from, and where they differ from what a stack pins."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import yaml
from packaging.version import Version

ROOT = Path(__file__).parents[1] / "go"
# Source: https://github.com/argoproj/argo-helm/blob/argo-cd-10.2.2/charts/argo-cd/Chart.yaml (appVersion), and the same
# file of the tags argo-cd-10.9.5 and argo-cd-10.10.0
ARGOCD_OF_CHART = {"10.2.2": "v3.4.6", "10.9.5": "v3.5.3", "10.10.0": "v3.5.4"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Module:
    """One module with its pins.

    Attributes:
        upstream: Go module whose required version is the tool's version.
        binaries: name in the lab -> name that ``go build`` writes.
        links: further names of the first binary.
        files: name -> folder of the upstream module that is kept beside the binaries.
        package: ``tool``: the ``tool`` directives of go.mod; ``.``: the module's own main.go; empty: nothing is
            compiled, the module is there for its files.
        variables: ``-ldflags -X`` settings with ``{version}`` (v1.2.3), ``{number}`` (1.2.3), ``{major}``, ``{minor}``.
        tags: build tags.
    """

    name: str
    upstream: str
    binaries: Mapping[str, str]
    links: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    package: str = "tool"
    variables: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    root: Path = ROOT

    @property
    def folder(self) -> Path:
        """Folder of go.mod."""
        return self.root / self.name

    @property
    def names(self) -> tuple[str, ...]:
        """Every name under which the lab finds a binary of this module."""
        return (*self.binaries, *self.links)

    @cached_property
    def version(self) -> str:
        """Pinned version of the upstream module, such as v1.36.3."""
        return self._line(rf"(?:require\s+|\s+){re.escape(self.upstream)}\s+(v\S+)", f"version of {self.upstream}")

    @cached_property
    def go_line(self) -> Version:
        """Oldest Go that go.mod allows."""
        return Version(self._line(r"go\s+(\S+)", "go line"))

    @property
    def linker_flags(self) -> str:
        """Value of ``-ldflags``: no symbol tables, and the version where the tool prints one."""
        number = Version(self.version)
        values = {"version": self.version, "number": self.version[1:], "major": number.major, "minor": number.minor}
        return " ".join(["-s -w", *(f"-X {variable.format_map(values)}" for variable in self.variables)])

    def _line(self, pattern: str, what: str) -> str:
        go_mod = self.folder / "go.mod"
        match = re.search(f"^{pattern}", go_mod.read_text(encoding="utf-8"), re.MULTILINE)
        if match is None:
            raise LookupError(f"{go_mod}: there is no {what}; add one")
        return match[1]


MODULES = (
    Module(
        name="kubernetes",
        upstream="k8s.io/kubernetes",
        binaries={n: n for n in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")},
        # Source: https://github.com/kubernetes/kubernetes/blob/v1.36.3/hack/lib/version.sh
        variables=tuple(
            f"{package}.{variable}"
            for package in ("k8s.io/client-go/pkg/version", "k8s.io/component-base/version")
            for variable in ("gitVersion={version}", "gitMajor={major}", "gitMinor={minor}")
        ),
    ),
    Module(
        name="karpenter",
        upstream="github.com/aws/karpenter-provider-aws",
        binaries={"karpenter": "controller"},
        files={"karpenter-chart": "charts/karpenter", "karpenter-crd-chart": "charts/karpenter-crd"},
        # Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/Makefile
        variables=("sigs.k8s.io/karpenter/pkg/operator.Version={number}",),
    ),
    Module(
        name="argocd",
        upstream="github.com/argoproj/argo-cd/v3",
        binaries={"argocd-application-controller": "argocd"},
        links=("argocd-repo-server", "argocd-git-ask-pass"),
        files={"argocd-manifests": "manifests"},
        package=".",
        # Source: https://github.com/argoproj/argo-cd/blob/v3.5.3/common/version.go
        variables=("github.com/argoproj/argo-cd/v3/common.version={number}",),
    ),
    Module(name="kwok", upstream="sigs.k8s.io/kwok", binaries={"kwok": "kwok"}),
    Module(
        name="aws-iam-authenticator",
        upstream="sigs.k8s.io/aws-iam-authenticator",
        binaries={"aws-iam-authenticator": "aws-iam-authenticator"},
        # Source: https://github.com/kubernetes-sigs/aws-iam-authenticator/blob/v0.6.13/.goreleaser.yaml
        variables=("sigs.k8s.io/aws-iam-authenticator/pkg.Version={number}",),
    ),
    Module(
        name="helm",
        upstream="helm.sh/helm/v4",
        binaries={"helm": "helm"},
        # Source: https://github.com/helm/helm/blob/v4.2.1/Makefile
        variables=("helm.sh/helm/v4/internal/version.version={version}",),
    ),
    Module(name="etcd", upstream="go.etcd.io/etcd/server/v3", binaries={"etcd": "server"}),
    Module(
        name="miniredis", upstream="github.com/alicebob/miniredis/v2", binaries={"miniredis": "miniredis"}, package="."
    ),
    Module(
        name="external-snapshotter",
        upstream="github.com/kubernetes-csi/external-snapshotter/client/v8",
        binaries={},
        files={"snapshot-crds": "config/crd"},
        package="",
    ),
)
ARGOCD = next(module for module in MODULES if module.name == "argocd")
KARPENTER = next(module for module in MODULES if module.name == "karpenter")
KARPENTER_NEXT = replace(KARPENTER, name="karpenter-next")
"""The Karpenter that ``drill upgrade`` moves to. It is built for who asks for it, and no part of the lab else."""
ARGOCD_NEXT = replace(ARGOCD, name="argocd-next", binaries={"argocd-application-controller": "argocd-next"})
"""The Argo CD that ``drill upgrade --what argocd`` moves to: built as ``KARPENTER_NEXT`` is."""
ARGOCD_NEXT_CHART = "0.0.0"
"""Stands in the lab for the chart that brings ``ARGOCD_NEXT``: public sources show none, seen on 2026-11-26."""
_DISCOVERY_BY_DNS = ("remove_all_sd", "enable_dns_sd")
"""Build tags: service discovery as the platform's scrape jobs use it, and no SDK of a cloud, half of the build.

Source: https://github.com/prometheus/prometheus/blob/v0.316.0/plugins/plugin_dns.go
"""
PROMETHEUS = Module(
    name="prometheus",
    upstream="github.com/prometheus/prometheus",
    binaries={"prometheus": "prometheus", "promtool": "promtool"},
    tags=_DISCOVERY_BY_DNS,
)
"""Judges and runs the alerts. No part of the lab's platform, so built only where somebody asks for it."""
COLLECTOR = Module(
    name="otel-collector",
    upstream="go.opentelemetry.io/collector/otelcol",
    binaries={"otel-collector": "otel-collector"},
    package=".",
    variables=("main.version={number}",),
    tags=_DISCOVERY_BY_DNS,
)
"""Reads what the demo's collector is told of another backend, scrapes and sends there: asked for as well."""
ARGOCD_CLI = Module(
    name="argocd-cli",
    upstream=ARGOCD.upstream,
    binaries={"argocd": "argocd-cli"},
    package=".",
    variables=ARGOCD.variables,
)
"""Argo CD's command line, which the pages name beside kubectl: asked for as well."""


def differences(versions: Mapping[str, str], stack_file: Path) -> tuple[str, ...]:
    """One line for each tool whose version is not what the stack file pins; nothing where there is no such file.

    ``versions``: what the lab runs, such as ``{"kube-apiserver": "v1.36.3"}``.
    """
    stack = yaml.safe_load(stack_file.read_text(encoding="utf-8")) if stack_file.is_file() else None

    def pin(section: str, setting: str) -> str:
        return str(((stack or {}).get("config", {}).get(f"otel-on-spot:{section}") or {}).get(setting, ""))

    chart, file = pin("argocd", "chartVersion"), stack_file.name
    argocd = chart and ARGOCD_OF_CHART.get(chart, "of a version not known here")
    pins = (
        ("Argo CD", argocd, f"chart {chart} in {file}", "argocd-application-controller"),
        ("Kubernetes", pin("cluster", "kubernetesVersion"), file, "kube-apiserver"),
        ("Karpenter", pin("karpenter", "version"), file, "karpenter"),
    )
    return tuple(
        f"the program pins {name} {pinned} ({where}), the lab runs {versions[tool]}"
        + ("; ARGOCD=path runs a binary of yours" if name == "Argo CD" else "")
        for name, pinned, where, tool in pins
        if pinned and not f"{versions[tool]}.".startswith(f"v{pinned.removeprefix('v')}.")
    )
