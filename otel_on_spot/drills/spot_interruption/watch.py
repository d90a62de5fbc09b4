"""The watch over a node that was warned."""

from collections.abc import Callable, Collection
from typing import Final

from otel_on_spot.doctor.collectors.kubernetes import conditions, pods
from otel_on_spot.drills.spot_interruption.candidates import Candidate, Workload
from otel_on_spot.drills.timeline import Timeline
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import DISRUPTED, NODE, NODE_CLAIM

KINDS: Final = {"Deployment": "deployments", "StatefulSet": "statefulsets", "ReplicaSet": "replicasets"}


class Watch:
    """A warned node. ``at``: seconds since the warning, by what happened; the timeline gets a moment for each.

    Args:
        api: the API server.
        timeline: of the drill.
        warned: the node.
        before: NodeClaims that were there before: none of them is the replacement.
    """

    def __init__(self, api: Api, timeline: Timeline, warned: Candidate, before: Collection[str]) -> None:
        self._api, self._timeline, self._warned = api, timeline, warned
        self._before = frozenset(before)
        self._sent = timeline.seconds
        self.at: dict[str, float] = {}
        self.replacement = ""
        self.left: tuple[str, ...] = ()
        self.waiting: tuple[str, ...] = ()

    def heard(self) -> bool:
        """True once Karpenter deletes the node's claim."""
        claim = self._api.get(NODE_CLAIM.path(name=self._warned.claim))
        if claim is None or claim["metadata"].get("deletionTimestamp"):
            self._add("deleting", f"NodeClaim {self._warned.claim}")
        self._unless("tainted", self._tainted)
        return "deleting" in self.at

    def settled(self) -> bool:
        """True once all is over: the instance gone, its pods Ready elsewhere, and any replacement Ready."""
        self._unless("tainted", self._tainted)
        self._unless("drained", self._drained)
        self._unless("ready", self._joined)
        self._unless("gone", self._gone)
        if "drained" in self.at:
            self._unless("workloads", self._whole)
        whole = {"deleting", "drained", "gone", "workloads"} <= set(self.at)
        return whole and (not self.replacement or "ready" in self.at)

    def _unless(self, name: str, look: Callable[[], str]) -> None:
        if name not in self.at and (detail := look()):
            self._add(name, detail)

    def _add(self, name: str, detail: str) -> None:
        self.at[name] = self._timeline.add(name, detail).seconds - self._sent

    def _tainted(self) -> str:
        node = self._node() or {}
        taints = (node.get("spec") or {}).get("taints") or []
        return next((f"{taint['key']}:{taint['effect']}" for taint in taints if taint["key"] == DISRUPTED), "")

    def _node(self) -> Object | None:
        """The warned Node; None where another instance has its address, and so its name, by now."""
        node = self._api.get(NODE.path(name=self._warned.node))
        ours = node is not None and node["spec"].get("providerID", "").endswith(f"/{self._warned.instance}")
        return node if ours else None

    def _drained(self) -> str:
        if self._node() is None:
            self.left = ()
            return f"{self._warned.pods} pods have left, and the Node is gone"
        there = pods(self._api, fieldSelector=f"spec.nodeName={self._warned.node}")
        self.left = tuple(f"{pod.namespace}/{pod.name}" for pod in there if pod.owner[0] not in ("DaemonSet", "Node"))
        return "" if self.left else f"{self._warned.pods} pods have left"

    def _gone(self) -> str:
        return "" if self._api.get(NODE_CLAIM.path(name=self._warned.claim)) else f"{self._warned.instance}"

    def _joined(self) -> str:
        """The first NodeClaim that was not there before, and how far it is."""
        new = [claim for claim in self._api.list(NODE_CLAIM.path()) if claim["metadata"]["name"] not in self._before]
        if not new:
            return ""
        claim = min(new, key=lambda claim: (claim["metadata"]["creationTimestamp"], claim["metadata"]["name"]))
        self.replacement = claim["metadata"]["name"]
        if "replaced" not in self.at:
            self._add("replaced", f"NodeClaim {self.replacement}")
        if "registered" not in self.at and _holds(claim, "Registered"):
            self._add("registered", str((claim.get("status") or {}).get("nodeName") or ""))
        return str((claim.get("status") or {}).get("nodeName") or "") if _holds(claim, "Ready") else ""

    def _whole(self) -> str:
        self.waiting = tuple(waiting(self._api, self._warned.workloads))
        return "" if self.waiting else f"{len(self._warned.workloads)} workloads"


def _holds(thing: Object, kind: str) -> bool:
    return any(condition.type == kind and condition.status == "True" for condition in conditions(thing))


def waiting(api: Api, workloads: Collection[Workload]) -> list[str]:
    """Workloads that are not whole, as namespace/name: one list a namespace and kind."""
    found = []
    for namespace, kind in sorted({(namespace, kind) for namespace, kind, _ in workloads}):
        things = api.list(f"/apis/apps/v1/namespaces/{namespace}/{KINDS[kind]}")
        names = {name for where, what, name in workloads if (where, what) == (namespace, kind)}
        found += [
            f"{namespace}/{thing['metadata']['name']}"
            for thing in things
            if thing["metadata"]["name"] in names and not is_whole(thing)
        ]
    return found


def is_whole(workload: Object) -> bool:
    """True where all its pods are Ready, by a status that knows its newest spec."""
    status, metadata = workload.get("status") or {}, workload["metadata"]
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        return False
    return (status.get("readyReplicas") or 0) >= workload["spec"].get("replicas", 1)
