"""Warns a Spot node, and watches what becomes of it, its pods and the front path."""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Final

from otel_on_spot.doctor.collectors.kubernetes import SharedLists, conditions, pods
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.drills import diagnosis
from otel_on_spot.drills.drill import Drill
from otel_on_spot.drills.front_path import FrontProbe, require_served
from otel_on_spot.drills.spot_interruption.candidates import Candidate, Workload, choose, judge_nodes
from otel_on_spot.drills.spot_interruption.verdicts import CHECKS, REPLACING, Interruption, verdicts
from otel_on_spot.drills.spot_interruption.warning import (
    FIS,
    Channel,
    channel,
    experiment_failure,
    require_experiment,
    send,
    start_experiment,
)
from otel_on_spot.drills.timeline import Timeline
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import DISRUPTED, NODE, NODE_CLAIM
from otel_on_spot.report import Report
from otel_on_spot.spot_arithmetic import WARNING_SECONDS
from otel_on_spot.target import Target

KINDS: Final = {"Deployment": "deployments", "StatefulSet": "statefulsets", "ReplicaSet": "replicasets"}


class Watch:
    """A warned node. The timeline gets a moment for each thing that happens.

    Args:
        api: the API server.
        timeline: of the drill.
        warned: the node.
        before: NodeClaims that were there before: none of them is the replacement.
        seen: takes what is seen of it.
    """

    def __init__(
        self, api: Api, timeline: Timeline, warned: Candidate, before: Collection[str], seen: Interruption
    ) -> None:
        self._api, self._timeline, self._warned, self.seen = api, timeline, warned, seen
        self._before = frozenset(before)
        self._sent = timeline.seconds

    def heard(self) -> bool:
        """True once Karpenter deletes the node's claim."""
        claim = self._api.get(NODE_CLAIM.path(name=self._warned.claim))
        if claim is None or claim["metadata"].get("deletionTimestamp"):
            self._add("deleting", f"NodeClaim {self._warned.claim}")
        self._unless("tainted", self._tainted)
        return "deleting" in self.seen.at

    def settled(self) -> bool:
        """True once all is over: the instance gone, its pods Ready elsewhere, and any replacement Ready."""
        self._unless("tainted", self._tainted)
        self._unless("drained", self._drained)
        self._unless("ready", self._joined)
        self._unless("gone", self._gone)
        if "drained" in self.seen.at:
            self._unless("workloads", self._whole)
        whole = {"deleting", "drained", "gone", "workloads"} <= set(self.seen.at)
        return whole and (not self.seen.replacement or "ready" in self.seen.at)

    def _unless(self, name: str, look: Callable[[], str]) -> None:
        if name not in self.seen.at and (detail := look()):
            self._add(name, detail)

    def _add(self, name: str, detail: str) -> None:
        self.seen.at[name] = self._timeline.add(name, detail).seconds - self._sent

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
            self.seen.left = ()
            return f"{self._warned.pods} pods have left, and the Node is gone"
        there = pods(self._api, fieldSelector=f"spec.nodeName={self._warned.node}")
        self.seen.left = tuple(
            f"{pod.namespace}/{pod.name}" for pod in there if pod.owner[0] not in ("DaemonSet", "Node")
        )
        return "" if self.seen.left else f"{self._warned.pods} pods have left"

    def _gone(self) -> str:
        return "" if self._api.get(NODE_CLAIM.path(name=self._warned.claim)) else f"{self._warned.instance}"

    def _joined(self) -> str:
        """The first NodeClaim that was not there before, and how far it is."""
        new = [claim for claim in self._api.list(NODE_CLAIM.path()) if claim["metadata"]["name"] not in self._before]
        if not new:
            return ""
        claim = min(new, key=lambda claim: (claim["metadata"]["creationTimestamp"], claim["metadata"]["name"]))
        self.seen.replacement = claim["metadata"]["name"]
        if "replaced" not in self.seen.at:
            self._add("replaced", f"NodeClaim {self.seen.replacement}")
        if "registered" not in self.seen.at and _holds(claim, "Registered"):
            self._add("registered", str((claim.get("status") or {}).get("nodeName") or ""))
        return str((claim.get("status") or {}).get("nodeName") or "") if _holds(claim, "Ready") else ""

    def _whole(self) -> str:
        self.seen.waiting = tuple(waiting(self._api, self._warned.workloads))
        return "" if self.seen.waiting else f"{len(self._warned.workloads)} workloads"


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


def choose_node(target: Target, api: Api, node: str | None, *, allow_stateful: bool, fis: bool) -> Candidate:
    """Choose the node to interrupt.

    Args:
        target: the platform.
        api: its API server.
        node: name of the wanted one; None takes the best candidate.
        allow_stateful: take a node of a pool for databases too.
        fis: AWS FIS sends the warning, by the stack's experiment template.

    Raises:
        DrillRefusedError: none may be, the front path is away already, or there is no experiment to start.
    """
    if fis:
        require_experiment(target)
    chosen = choose(judge_nodes(collect_facts(target, api), allow_stateful=allow_stateful), node)
    require_served(target, api)
    return chosen


def collect_facts(target: Target, api: Api) -> Facts:
    """What candidates are judged by: nodes, pods, NodeClaims."""
    lists = SharedLists(api)
    return Facts(
        taken_at=datetime.now(UTC),
        declared=target.declared,
        nodes=lists.parsed(NODE),
        pods=pods(api),
        node_claims=lists.parsed(NODE_CLAIM),
        terminating=lists.terminating(),
    )


def warn(drill: Drill, by: Channel, instances: Sequence[str]) -> str:
    """Send warnings, one to each instance; the experiment's id, where one sends them.

    Raises:
        DrillRefusedError: they could not be sent.
    """
    if by is FIS:
        return start_experiment(drill.target, drill.lease.record_undo, instances)
    send(drill.target, by, instances)
    return ""


def run(drill: Drill, chosen: Candidate, *, fis: bool, timeout: float, gap: float | None) -> Report:
    """Warn the node and watch.

    Args:
        drill: under way.
        chosen: the node.
        fis: by an experiment of AWS FIS, where this is AWS.
        timeout: seconds from the warning until all is over.
        gap: how long the front path may be away, in seconds; None judges by what the stack promises.

    Raises:
        DrillRefusedError: the warning could not be sent.
        LeaseHeldError: somebody took the lease over.
        ApiException: the server refused.
    """
    api, timeline = drill.api, drill.timeline
    before = {claim["metadata"]["name"] for claim in api.list(NODE_CLAIM.path())}
    seen = Interruption(node=chosen.node, instance=chosen.instance, timeout=timeout)
    by = channel(drill.target, fis=fis)
    timeline.add("chosen", f"{chosen.node}, {chosen.instance}: {chosen.pods} pods, {chosen.front} of the front path")
    with FrontProbe(drill, gap) as probed:
        started = warn(drill, by, [chosen.instance])
        timeline.add("warned", f"{by.description} {started}".rstrip())
        watch = Watch(api, timeline, chosen, before, seen)
        if drill.wait_until(watch.heard, min(timeout, WARNING_SECONDS)):
            drill.wait_until(watch.settled, timeout)
        else:
            why = experiment_failure(drill.target, started) if started else ""
            timeline.add("stopped", why or "Karpenter did nothing: asking the doctor")
    seen.front = probed.front
    judged = diagnosis.explained(drill.target, verdicts(seen), REPLACING if seen.heard else CHECKS)
    return drill.report(judged, {"warning": by.description, "front path": seen.front.text})
