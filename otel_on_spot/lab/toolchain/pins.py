"""Where what the lab runs differs from what the stack pins: one line each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

# Source: https://github.com/argoproj/argo-helm/blob/argo-cd-10.1.1/charts/argo-cd/Chart.yaml (appVersion)
ARGOCD_OF_CHART = {"10.1.1": "v3.4.4"}


def notes(versions: Mapping[str, str], stack_file: Path) -> tuple[str, ...]:
    """One line for each tool whose version is not what the stack file pins.

    Args:
        versions: what the lab runs, such as ``{"kube-apiserver": "v1.35.4"}``.
        stack_file: ``Pulumi.<stack>.yaml``; without one there is nothing to compare with.
    """
    if not stack_file.is_file():
        return ()
    config = (yaml.safe_load(stack_file.read_text(encoding="utf-8")) or {}).get("config", {})

    def pinned(section: str, setting: str) -> str:
        values: Any = config.get(f"otel-on-spot:{section}")
        return str(values.get(setting, "")) if isinstance(values, dict) else ""

    found = (
        _argocd(pinned("argocd", "chartVersion"), versions["argocd-application-controller"], stack_file.name),
        _kubernetes(pinned("cluster", "kubernetesVersion"), versions["kube-apiserver"], stack_file.name),
        _karpenter(pinned("karpenter", "version"), versions["karpenter"], stack_file.name),
    )
    return tuple(note for note in found if note)


def _argocd(chart: str, runs: str, stack: str) -> str:
    declared = ARGOCD_OF_CHART.get(chart)
    if not chart or declared == runs:
        return ""
    is_what = f"Argo CD {declared} (chart {chart}" if declared else f"an Argo CD not known here (chart {chart}"
    return f"the program pins {is_what} in {stack}), the lab runs {runs}; ARGOCD=path runs a binary of yours"


def _kubernetes(minor: str, runs: str, stack: str) -> str:
    agrees = not minor or runs.startswith(f"v{minor}.")
    return "" if agrees else f"the program pins Kubernetes {minor} ({stack}), the lab runs {runs}"


def _karpenter(version: str, runs: str, stack: str) -> str:
    agrees = not version or f"v{version}" == runs
    return "" if agrees else f"the program pins Karpenter {version} ({stack}), the lab runs {runs}"
