"""The demo's requests against what its pods use, by a Prometheus that scrapes the kubelets' cAdvisor. Changes nothing.

CPU and memory are each pod's 95th percentile over a window, and of a workload's pods the most. The demo's own
Prometheus has no such metrics: its collector is one Deployment without a way to a kubelet.
Source of the names: https://kubernetes.io/docs/reference/instrumentation/cri-pod-container-metrics/ and
https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md
"""

import json
import math
import re
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError

from otel_on_spot.errors import ToolError
from otel_on_spot.plan.workloads import Workload

SECONDS: Final = 60
"""Time that one query may take."""
WINDOW: Final = re.compile(r"[1-9][0-9]*[mhdw]")
CPU: Final = "container_cpu_usage_seconds_total"
MEMORY: Final = "container_memory_working_set_bytes"
OF_A_POD: Final = re.compile(r"-([a-z0-9]{5,10}-[a-z0-9]{5}|[0-9]+)")
"""What a Deployment, or a StatefulSet, puts behind its name in its pods'."""
MUCH: Final = 1.5
"""A request this many times what is used holds room that nobody uses."""


class PrometheusError(ToolError):
    """A Prometheus that does not answer, or has no such metrics."""


@dataclass(frozen=True, kw_only=True)
class Use:
    """A workload's requests, and what its pods use: mCPU and MiB a pod. None where no pod was seen."""

    workload: Workload
    cpu_millis: float | None
    memory_mib: float | None

    @property
    def verdict(self) -> str:
        """What the numbers say of the requests."""
        if self.cpu_millis is None or self.memory_mib is None:
            return "no pod seen"
        said = [
            f"{what} {told}"
            for what, asked, used in (
                ("CPU", self.workload.cpu_millis, self.cpu_millis),
                ("memory", self.workload.memory_mib, self.memory_mib),
            )
            if (told := _judged(asked, used))
        ]
        return "; ".join(said) or "fits"


def _judged(asked: float, used: float) -> str:
    if used > asked:
        return "uses more than it asks for"
    if asked > MUCH * max(used, 1):
        return f"asks for {asked / max(used, 1):.1f} times what it uses"
    return ""


def queries(namespace: str, window: str) -> dict[str, str]:
    """The two queries, by metric: the 95th percentile of each pod of a namespace over a window."""
    chosen = f'{{namespace="{namespace}",container!="",container!="POD"}}'
    return {
        CPU: f"quantile_over_time(0.95, sum by (pod) (rate({CPU}{chosen}[5m]))[{window}:5m])",
        MEMORY: f"quantile_over_time(0.95, sum by (pod) ({MEMORY}{chosen})[{window}:5m])",
    }


def uses(
    ask: Callable[[str], Mapping[str, float]], workloads: Sequence[Workload], namespace: str, window: str
) -> list[Use]:
    """What each workload asks for and uses, the greatest waste of CPU first.

    Args:
        ask: a query -> value by pod.
        workloads: of the demo.
        namespace: where they run.
        window: such as ``7d``.

    Raises:
        PrometheusError: the window is none, Prometheus does not answer, or has no metrics of these pods.
    """
    if not WINDOW.fullmatch(window):
        raise PrometheusError(f"--window {window}: a window is a number and m, h, d or w, such as 7d")
    found: dict[str, dict[str, float]] = {}
    for metric, query in queries(namespace, window).items():
        by_pod = ask(query)
        if not by_pod:
            raise PrometheusError(
                f"Prometheus has no {metric} of namespace {namespace} in the last {window}. It must scrape the "
                "kubelets' /metrics/cadvisor; the demo's own does not. Give another --prometheus, --namespace or "
                "--window"
            )
        found[metric] = _by_workload(by_pod, [workload.name for workload in workloads])
    told = [
        Use(
            workload=workload,
            cpu_millis=found[CPU][workload.name] * 1000 if workload.name in found[CPU] else None,
            memory_mib=found[MEMORY][workload.name] / 2**20 if workload.name in found[MEMORY] else None,
        )
        for workload in workloads
    ]
    return sorted(told, key=_waste, reverse=True)


def _waste(use: Use) -> float:
    return 0.0 if use.cpu_millis is None else use.workload.replicas * (use.workload.cpu_millis - use.cpu_millis)


def _by_workload(by_pod: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """The most that a pod of each workload uses."""
    found: dict[str, float] = {}
    for pod, value in by_pod.items():
        for name in names:
            if pod.startswith(name) and OF_A_POD.fullmatch(pod.removeprefix(name)):
                found[name] = max(found.get(name, 0.0), value)
    return found


def prometheus(url: str) -> Callable[[str], Mapping[str, float]]:
    """Instant queries to a Prometheus, whose answers are by the label ``pod``.

    Source: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries

    Raises:
        PrometheusError: the URL is none; when asked, it does not answer, or refuses the query.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        given = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # of what is no address or no port
        given = False
    if not given:
        raise PrometheusError(f"--prometheus {url}: give a URL such as http://localhost:9090")

    def ask(query: str) -> dict[str, float]:
        form = urllib.parse.urlencode({"query": query}).encode()
        try:
            with urllib.request.urlopen(f"{url.rstrip('/')}/api/v1/query", form, timeout=SECONDS) as answer:
                told: dict[str, Any] = json.load(answer)
            values = {row["metric"]["pod"]: float(row["value"][1]) for row in told["data"]["result"]}
            return {pod: value for pod, value in values.items() if math.isfinite(value)}
        except HTTPError as refusal:
            with refusal:
                said = refusal.read(300).decode(errors="replace")
            raise PrometheusError(f"--prometheus {url}: {refusal.code} {said}") from None
        except (OSError, HTTPException, ValueError, LookupError, TypeError) as problem:
            raise PrometheusError(
                f"--prometheus {url}: no answer of a Prometheus ({type(problem).__name__}: {problem}). Look whether it "
                "is reachable from here: kubectl port-forward"
            ) from None

    return ask


def rows(found: Sequence[Use]) -> Iterator[tuple[str, str, str, str, str]]:
    """Rows of a table: workload, replicas, CPU and memory as asked and used, and what that says."""
    for use in found:
        cpu = "" if use.cpu_millis is None else f"{use.workload.cpu_millis} / {use.cpu_millis:.0f}"
        memory = "" if use.memory_mib is None else f"{use.workload.memory_mib} / {use.memory_mib:.0f}"
        yield use.workload.name, str(use.workload.replicas), cpu, memory, use.verdict


def totals(found: Sequence[Use]) -> dict[str, float]:
    """Sums of vCPUs and GiB of all pods that were seen: asked for, and used at the 95th percentile."""
    seen = [(use, use.cpu_millis, use.memory_mib) for use in found]
    return {
        "requestedVcpus": sum(u.workload.replicas * u.workload.cpu_millis for u, c, _ in seen if c is not None) / 1000,
        "usedVcpus": sum(u.workload.replicas * c for u, c, _ in seen if c is not None) / 1000,
        "requestedGib": sum(u.workload.replicas * u.workload.memory_mib for u, _, m in seen if m is not None) / 1024,
        "usedGib": sum(u.workload.replicas * m for u, _, m in seen if m is not None) / 1024,
    }


def as_document(found: Sequence[Use], window: str) -> dict[str, Any]:
    """The report as plain JSON values."""
    return {
        "window": window,
        "quantile": 0.95,
        "totals": {key: round(value, 2) for key, value in totals(found).items()},
        "workloads": [
            {
                "name": use.workload.name,
                "replicas": use.workload.replicas,
                "cpuMillis": {"requested": use.workload.cpu_millis, "used": use.cpu_millis},
                "memoryMib": {"requested": use.workload.memory_mib, "used": use.memory_mib},
                "verdict": use.verdict,
            }
            for use in found
        ],
    }
