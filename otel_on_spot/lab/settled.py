"""Whether the platform is up: every Application Synced and Healthy, every pod of the demo on a node that Karpenter launched."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from otel_on_spot.kubernetes.names import APPLICATION, CAPACITY_TYPE, NODE, POD, POOL_LABEL
from otel_on_spot.lab.kubernetes_api import KubernetesApi

DEMO: Final = "otel-demo"
POLL_SECONDS: Final = 1.0
TELL_SECONDS: Final = 10.0
LONGEST: Final = 400
"""Characters of a reason that are shown."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is there now. ``applications``: name -> sync and health. ``pods``: of the demo, by phase. ``placed``: demo pods by capacity type of their node; ``nodes``: by pool, or ``system``."""

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

    def as_json(self) -> dict[str, Any]:
        """For the control socket."""
        return asdict(self)


def look(api: KubernetesApi, expected: set[str]) -> Seen:
    """See what is there.

    Args:
        expected: Applications that must be there.
    """
    applications, waits_for = {}, []
    for thing in api.objects(*APPLICATION.identity, "argocd"):
        status = thing.get("status") or {}
        sync = (status.get("sync") or {}).get("status", "Unknown")
        health = (status.get("health") or {}).get("status", "Unknown")
        name = thing["metadata"]["name"]
        applications[name] = f"{sync}/{health}"
        if (sync, health) != ("Synced", "Healthy"):
            told = [one.get("message", "") for one in status.get("conditions") or []]
            told += [(status.get("operationState") or {}).get("message", "")]
            waits_for.append(f"Application {name} is {sync}/{health}: {_short(' '.join(filter(None, told)))}")
    waits_for += [f"Application {name} is not there" for name in sorted(expected - applications.keys())]
    labels = {
        one["metadata"]["name"]: one["metadata"].get("labels") or {}
        for one in api.objects(*NODE.identity)
        if any(
            c["type"] == "Ready" and c["status"] == "True" for c in (one.get("status") or {}).get("conditions") or []
        )
    }
    nodes: dict[str, int] = {}
    for own in labels.values():
        pool = own.get(POOL_LABEL, "system")
        nodes[pool] = nodes.get(pool, 0) + 1
    pods: dict[str, int] = {}
    placed: dict[str, int] = {}
    for pod in api.objects(*POD.identity, DEMO):
        if any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences") or []):
            continue
        phase = (pod.get("status") or {}).get("phase", "Unknown")
        pods[phase] = pods.get(phase, 0) + 1
        capacity = labels.get(pod["spec"].get("nodeName", ""), {}).get(CAPACITY_TYPE, "none")
        placed[capacity] = placed.get(capacity, 0) + 1
        if phase != "Running":
            waits_for.append(f"pod {pod['metadata']['name']} is {phase}{_why(pod)}")
        elif capacity == "none":
            waits_for.append(
                f"pod {pod['metadata']['name']} runs on {pod['spec'].get('nodeName')}, no node of Karpenter's"
            )
    if not pods:
        waits_for.append(f"there is no pod in {DEMO}")
    return Seen(applications=applications, pods=pods, placed=placed, nodes=nodes, waits_for=waits_for)


def _short(message: str) -> str:
    """Its beginning and its end: Helm names the reason last."""
    return message if len(message) <= LONGEST else f"{message[: LONGEST // 4]} … {message[-LONGEST * 3 // 4 :]}"


def _why(pod: Mapping[str, Any]) -> str:
    """What the scheduler says of a pod that waits."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    said = next((one.get("message") for one in conditions if one["type"] == "PodScheduled"), None)
    return f": {_short(said)}" if said else ""


def until_settled(
    api: KubernetesApi, expected: set[str], seconds: float, tell: Callable[[str], None], going_on: Callable[[], bool]
) -> Seen:
    """Wait until nothing is waited for, or the time is up: what is there then."""
    end, told = time.monotonic() + seconds, 0.0
    while True:
        seen = look(api, expected)
        now = time.monotonic()
        if not seen.waits_for or now > end or not going_on():
            return seen
        if now - told > TELL_SECONDS:
            tell(seen.line)
            told = now
        time.sleep(POLL_SECONDS)
