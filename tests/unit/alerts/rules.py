"""The alert rules as data: which alerts there are, and which metrics and labels the lab serves."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[3]
RULES: Final = ROOT / "gitops" / "charts" / "otel-demo" / "alerts" / "rules.yaml"
SERVED: Final = Path(__file__).with_name("served.json")
"""Metrics and their labels as the lab's Karpenter and Argo CD served them: ``tests/lab/test_alerts.py`` holds it."""
SCRAPED: Final = {"up": ["instance", "job"]}
"""What Prometheus itself writes for each target."""


@dataclass(frozen=True)
class Alert:
    """One alerting rule."""

    name: str
    expr: str
    severity: str
    for_: str
    annotations: Mapping[str, str]
    keep_firing_for: str = ""


@cache
def groups() -> list[dict[str, Any]]:
    """The groups of the file."""
    told: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
    return told


def rules() -> Iterator[dict[str, Any]]:
    """Every rule, in the file's order."""
    for group in groups():
        yield from group["rules"]


def alerts() -> list[Alert]:
    """Every alert, in the file's order."""
    return [
        Alert(
            rule["alert"], rule["expr"], rule["labels"]["severity"], rule.get("for", ""), rule["annotations"],
            rule.get("keep_firing_for", ""),
        )
        for rule in rules()
        if "alert" in rule
    ]  # fmt: skip


def records() -> dict[str, str]:
    """Recorded series -> expression."""
    return {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


@cache
def served() -> dict[str, list[str]]:
    """Metric -> labels of it, over both controllers."""
    told: dict[str, dict[str, list[str]]] = json.loads(SERVED.read_text())
    return {metric: labels for metrics in told.values() for metric, labels in metrics.items()} | SCRAPED


def dropped(metric: str) -> bool:
    """Whether the scrape leaves a metric out."""
    jobs = yaml.safe_load(RULES.with_name("scrape.yaml").read_text())["scrape_configs"]
    return any(re.fullmatch(rule["regex"], metric) for job in jobs for rule in job["metric_relabel_configs"])


def page_of(alert: Alert) -> Path:
    """The alert's page, of this repository."""
    return ROOT / alert.annotations["runbook"]
