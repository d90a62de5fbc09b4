"""Makes a pod that wants a node of its own, follows the node, and takes both back."""

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from otel_on_spot.doctor.collectors.kubernetes import moment, pods
from otel_on_spot.doctor.fact import parse_all
from otel_on_spot.doctor.facts_kubernetes import Node, Pod
from otel_on_spot.drills import diagnosis
from otel_on_spot.drills.drill import Drill, DrillRefusedError
from otel_on_spot.drills.node_join.observation import Observation, nominated, observe, words
from otel_on_spot.drills.node_join.verdicts import STEPS, Joining, verdicts
from otel_on_spot.drills.pods import LABEL, NAMESPACE, pod
from otel_on_spot.drills.undo import Step, created
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import (
    HOSTNAME,
    INSTANCE_TYPE,
    NODE,
    NODE_CLAIM,
    NODE_POOL,
    POD,
    POD_NAME,
    POOL_LABEL,
)
from otel_on_spot.report import Report, Verdict

if TYPE_CHECKING:
    from datetime import datetime

DRILL: Final = "node-join"
REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
NOT_OF_A_DAEMON_SET: Final = (
    {"key": "controller-revision-hash", "operator": "DoesNotExist"},
    {"key": POD_NAME, "operator": "Exists"},
)
"""Either of both: DaemonSets and StatefulSets set the first label on their pods, only StatefulSets the second."""
SPARE_SECONDS: Final = 120
"""Seconds that the pod may outlive the drill."""


def manifest(
    name: str, pool: str, taints: Iterable[Mapping[str, Any]], empty_types: Iterable[str], seconds: int
) -> Object:
    """A small pod for which Karpenter must launch a node: anti-affinity keeps it from every pod but a DaemonSet's.

    The scheduler keeps other pods off its node for the same reason. A node that is empty would still do for it, so the
    instance types of such nodes are ruled out: Karpenter allows no pod to rule out nodes by name.

    Args:
        name: of the pod.
        pool: name of the NodePool.
        taints: of the pool, which the pod tolerates.
        empty_types: instance types of the pool's nodes that run nothing.
        seconds: after which the kubelet ends it, if nobody has.
    """
    types = sorted(set(empty_types))
    elsewhere = {"matchExpressions": [{"key": INSTANCE_TYPE, "operator": "NotIn", "values": types}]}
    alone = [
        {
            "topologyKey": HOSTNAME,
            "namespaceSelector": {},
            "labelSelector": {"matchExpressions": [expression]},
        }
        for expression in NOT_OF_A_DAEMON_SET
    ]
    affinity: Object = {"podAntiAffinity": {REQUIRED: alone}}
    if types:
        affinity["nodeAffinity"] = {REQUIRED: {"nodeSelectorTerms": [elsewhere]}}
    return pod(
        {"name": name, "namespace": NAMESPACE, "labels": {LABEL: DRILL}},
        seconds,
        nodeSelector={POOL_LABEL: pool},
        tolerations=[toleration(taint) for taint in taints],
        affinity=affinity,
    )


def toleration(taint: Mapping[str, Any]) -> dict[str, Any]:
    """A toleration of a taint and no other."""
    value = {"operator": "Equal", "value": taint["value"]} if taint.get("value") else {"operator": "Exists"}
    return {"key": taint["key"], "effect": taint["effect"], **value}


def pool_of(api: Api, name: str) -> Object:
    """The NodePool.

    Raises:
        DrillRefusedError: there is none of that name.
    """
    found = api.get(NODE_POOL.path(name=name))
    if found is None:
        there = ", ".join(sorted(pool["metadata"]["name"] for pool in api.list(NODE_POOL.path()))) or "none"
        raise DrillRefusedError(f"--pool {name}: there is no such NodePool. NodePools of this cluster: {there}")
    return found


def empty_types(nodes: Iterable[Node], running: Iterable[Pod], pool: str) -> set[str]:
    """Instance types of the pool's nodes that run nothing but what runs on every node."""
    busy = {pod.node for pod in running if pod.owner[0] not in ("DaemonSet", "Node")}
    idle = [node for node in nodes if node.labels.get(POOL_LABEL) == pool and node.name not in busy]
    return {node.labels[INSTANCE_TYPE] for node in idle if INSTANCE_TYPE in node.labels}


class NodeJoin:
    """One run of the drill.

    ``timeout``: seconds from the pod until it runs.

    Raises:
        LeaseHeldError: somebody took the lease over.
        ApiException: the server refused.
    """

    def __init__(self, drill: Drill, pool: Object, timeout: float) -> None:
        self.drill, self.pool, self.timeout = drill, pool, timeout
        self.name = f"drill-node-join-{int(time.time())}"
        self.uid = ""
        self.began = 0.0
        self.born: datetime | None = None
        self.claims: tuple[str, ...] = ()
        self.reached: dict[str, float] = {}
        self.details: dict[str, str] = {}
        self.own: dict[str, datetime] = {}
        self.last = Observation(at={})

    def run(self) -> Report:
        """Make the pod, follow its node, and report how far it came."""
        path = POD.path(NAMESPACE, self.name)
        try:
            self._make(path)
            self.drill.wait_until(self._observe, self.timeout)
            seen, causes, facts = self._seen(), (), None
            if seen.stopped is not None:
                self.drill.timeline.add("stopped", f"not {seen.stopped.id} in time: asking the doctor")
                facts = diagnosis.collect_facts(self.drill.target)
                causes = diagnosis.causes(facts, seen.stopped.checks) if seen.stopped.checks else ()
                seen = self._seen()
        finally:
            # Before its NodeClaim: for a pod that still waits Karpenter would make another one.
            self.drill.api.delete(path)
        self._own_claims()
        return self._report((*verdicts(seen, facts), *causes))

    def _make(self, path: str) -> None:
        api = self.drill.api
        template = self.pool["spec"]["template"]["spec"]
        taints = [*(template.get("taints") or ()), *(template.get("startupTaints") or ())]
        pool = self.pool["metadata"]["name"]
        empty = empty_types(parse_all(Node, api.list(NODE.path())), pods(api), pool)
        thing = manifest(self.name, pool, taints, empty, int(self.timeout) + SPARE_SECONDS)
        self.drill.lease.record_undo(created(path))
        born = api.create(path.rpartition("/")[0], thing)["metadata"]
        self.uid, self.born = born["uid"], moment(born["creationTimestamp"])
        self.began = self.drill.timeline.add("pod made", f"{self.name}, which wants a node of pool {pool}").seconds

    def _own_claims(self) -> None:
        """Write down every NodeClaim that was made for the pod: each is taken back."""
        for name in nominated(self.drill.api, self.uid):
            if name not in self.claims:
                step = Step(
                    kind="object", what=f"NodeClaim {name} made", arguments={"path": NODE_CLAIM.path(name=name)}
                )
                self.drill.lease.record_undo(step)
                self.claims = (*self.claims, name)

    def _observe(self) -> bool:
        if "launched" not in self.reached:
            self._own_claims()
        self.last = observe(self.drill.api, self.name, self.claims[-1] if self.claims else "")
        for step in STEPS:
            if step.id not in self.last.at:
                continue
            self.own[step.id] = self.last.at[step.id]
            if step.id not in self.reached:
                self.details[step.id] = self.last.details.get(step.id, "")
                self.reached[step.id] = self.drill.timeline.add(step.id, self.details[step.id]).seconds - self.began
        return len(self.reached) == len(STEPS)

    def _seen(self) -> Joining:
        return Joining(
            pool=self.pool["metadata"]["name"],
            timeout=self.timeout,
            reached=dict(self.reached),
            details=dict(self.details),
            pod=f"{NAMESPACE}/{self.name}",
            claim=self.claims[-1] if self.claims else "",
            instance=self.last.instance,
            words=words(self.drill.api, self.uid, self.claims) or self.last.words,
        )

    def _report(self, verdicts: tuple[Verdict, ...]) -> Report:
        """Durations by the objects' own clocks too: they count from what happened, not from when it was seen."""
        before, durations = self.born, []
        for step in STEPS:
            if before is not None and step.id in self.own:
                durations.append(f"{step.id} +{max(0.0, (self.own[step.id] - before).total_seconds()):.0f} s")
                before = self.own[step.id]
        measures = {
            "by the objects' own clocks (to the second), each after the one before": ", ".join(durations) or "nothing"
        }
        if len(self.reached) == len(STEPS):
            measures["from the pod to its running"] = f"{self.reached['running']:.1f} s"
        return self.drill.report(verdicts, measures)
