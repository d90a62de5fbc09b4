"""Readiness of the platform.

Every Application Synced and Healthy, every pod of the demo on a node that Karpenter launched.
"""

import threading
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

from otel_on_spot.kubernetes.names import APPLICATION, CAPACITY_TYPE, NODE, POD, POOL_LABEL
from otel_on_spot.lab.control import Log
from otel_on_spot.lab.kubernetes_api import KubernetesApi
from otel_on_spot.waiting import Deadline

DEMO: Final = "otel-demo"
POLL_SECONDS: Final = 1.0
LOG_SECONDS: Final = 10.0
LONGEST: Final = 400
"""Characters of a reason that are shown."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """State of the cluster.

    Attributes:
        applications: sync and health by name.
        pods: number of the demo's pods by phase.
        placed: number of the demo's pods by capacity type of their node.
        nodes: number of nodes by pool; ``system`` for those of no pool.
        waits_for: what is not ready, and why.
    """

    applications: dict[str, str]
    pods: dict[str, int]
    placed: dict[str, int]
    nodes: dict[str, int]
    waits_for: list[str]

    @property
    def line(self) -> str:
        """One line for people."""
        applications = " ".join(f"{name} {state}" for name, state in self.applications.items()) or "no Application yet"
        pods = " ".join(f"{count} {phase}" for phase, count in sorted(self.pods.items())) or "none"
        nodes = " ".join(f"{count} {pool}" for pool, count in sorted(self.nodes.items())) or "none"
        return f"applications: {applications} | demo pods: {pods} | nodes: {nodes}"


def inspect(api: KubernetesApi, expected: Set[str]) -> Status:
    """Read the state of the cluster.

    ``expected``: Applications that must exist.
    """
    applications, waits_for = _applications(api, expected)
    labels = {
        node["metadata"]["name"]: node["metadata"].get("labels") or {}
        for node in api.objects(*NODE.identity)
        if any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in (node.get("status") or {}).get("conditions") or []
        )
    }
    nodes = Counter(own.get(POOL_LABEL, "system") for own in labels.values())
    pods, placed = Counter[str](), Counter[str]()
    for pod in api.objects(*POD.identity, DEMO):
        if any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences") or []):
            continue
        name, node_name = pod["metadata"]["name"], pod["spec"].get("nodeName", "")
        phase = (pod.get("status") or {}).get("phase", "Unknown")
        pods[phase] += 1
        capacity = labels.get(node_name, {}).get(CAPACITY_TYPE, "none")
        placed[capacity] += 1
        if phase != "Running":
            waits_for.append(f"pod {name} is {phase}{_scheduling(pod)}")
        elif capacity == "none":
            waits_for.append(f"pod {name} runs on {node_name}, no node of Karpenter's")
    if not pods:
        waits_for.append(f"there is no pod in {DEMO}")
    return Status(
        applications=applications, pods=dict(pods), placed=dict(placed), nodes=dict(nodes), waits_for=waits_for
    )


def _applications(api: KubernetesApi, expected: Set[str]) -> tuple[dict[str, str], list[str]]:
    states, waits_for = {}, []
    for application in api.objects(*APPLICATION.identity, "argocd"):
        status = application.get("status") or {}
        sync = (status.get("sync") or {}).get("status", "Unknown")
        health = (status.get("health") or {}).get("status", "Unknown")
        name = application["metadata"]["name"]
        states[name] = f"{sync}/{health}"
        if (sync, health) != ("Synced", "Healthy"):
            messages = [condition.get("message", "") for condition in status.get("conditions") or []]
            messages += [(status.get("operationState") or {}).get("message", "")]
            waits_for.append(f"Application {name} is {sync}/{health}: {_short(' '.join(filter(None, messages)))}")
    return states, waits_for + [f"Application {name} is not there" for name in sorted(expected - states.keys())]


def _short(message: str) -> str:
    """Its beginning and its end: Helm names the reason last."""
    return message if len(message) <= LONGEST else f"{message[: LONGEST // 4]} … {message[-LONGEST * 3 // 4 :]}"


def _scheduling(pod: Mapping[str, Any]) -> str:
    """The scheduler's message for a pod that waits."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    message = next((condition.get("message") for condition in conditions if condition["type"] == "PodScheduled"), None)
    return f": {_short(message)}" if message else ""


def wait_ready(api: KubernetesApi, expected: Set[str], seconds: float, log: Log, cancelled: threading.Event) -> Status:
    """Wait until the platform is ready, or the time is up.

    Args:
        api: of the cluster.
        expected: Applications that must exist.
        seconds: how long to wait.
        log: takes the state as a line, every ten seconds.
        cancelled: ends the wait.

    Returns:
        The last state.
    """
    deadline, logged = Deadline(seconds, cancelled), -LOG_SECONDS
    while True:
        over, status = deadline.over, inspect(api, expected)
        if over or not status.waits_for:
            return status
        if deadline.elapsed - logged > LOG_SECONDS:
            log(status.line)
            logged = deadline.elapsed
        deadline.pause(POLL_SECONDS)
