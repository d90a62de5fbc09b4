"""Nodes that may be interrupted: pure functions of what was seen."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from otel_on_spot.doctor.check import require
from otel_on_spot.doctor.checks.placement import SPOT, keeps_data
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_kubernetes import Node, NodeClaim, Pod
from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.drills.front_path import FRONT
from otel_on_spot.findings import format_count
from otel_on_spot.kubernetes.names import CAPACITY_TYPE

MOVING: Final = ("Deployment", "StatefulSet", "ReplicaSet")
Workload = tuple[str, str, str]
"""Namespace, kind, name."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A node. ``why_not``: why it must not be interrupted, or nothing. ``front``: number of its front path's pods."""

    node: str
    claim: str = ""
    instance: str = ""
    front: int = 0
    pods: int = 0
    workloads: tuple[Workload, ...] = ()
    why_not: str = ""


def judge_nodes(facts: Facts, *, allow_stateful: bool) -> tuple[Candidate, ...]:
    """Judge every node: why it must not be interrupted.

    ``facts`` have nodes, pods, node_claims and terminating. ``allow_stateful``: a node that keeps the only copy of data
    may be interrupted too.
    """
    claims: dict[str, NodeClaim] = {claim.node: claim for claim in require(facts, "node_claims") if claim.node}
    going = {thing.name for thing in require(facts, "terminating") if thing.kind == "NodeClaim"}
    return tuple(
        _candidate(facts, node, claims.get(node.name), going, allow_stateful=allow_stateful)
        for node in require(facts, "nodes")
    )


def _candidate(
    facts: Facts, node: Node, claim: NodeClaim | None, going: Collection[str], *, allow_stateful: bool
) -> Candidate:
    pods: list[Pod] = [
        pod
        for pod in require(facts, "pods")
        if pod.node == node.name and pod.owner[0] not in ("DaemonSet", "Node") and pod.phase in ("Running", "Pending")
    ]
    bare = [f"{pod.namespace}/{pod.name}" for pod in pods if pod.owner[0] == "Pod"]
    why_not = ""
    if claim is None:
        why_not = "Karpenter did not launch it"
    elif node.labels.get(CAPACITY_TYPE) != SPOT:
        kind = node.labels.get(CAPACITY_TYPE) or "of no capacity type"
        why_not = f"it is {kind}: no Spot warning is ever about it"
    elif claim.name in going:
        why_not = "its NodeClaim is being deleted already"
    elif not node.ready:
        why_not = "it is not Ready"
    elif bare:
        why_not = f"nothing would make {', '.join(bare)} again: a pod without a controller"
    elif not allow_stateful and (only := _only_copies(facts, node, pods)):
        why_not = f"it keeps the only copy of the data of {', '.join(only)} (--allow-stateful takes it all the same)"
    return Candidate(
        node=node.name,
        claim=claim.name if claim else "",
        instance=claim.instance_id if claim else "",
        front=sum(pod.namespace == facts.declared.stateful_namespace and pod.owner[1] in FRONT for pod in pods),
        pods=len(pods),
        workloads=tuple(sorted({(pod.namespace, *pod.owner) for pod in pods if pod.owner[0] in MOVING})),
        why_not=why_not,
    )


def _only_copies(facts: Facts, node: Node, pods: Sequence[Pod]) -> list[str]:
    """Workloads that keep data and have a pod on this node and on no other."""
    elsewhere = {
        (pod.namespace, pod.owner)
        for pod in require(facts, "pods")
        if pod.node not in ("", node.name) and pod.phase == "Running"
    }
    return sorted(
        {
            f"{pod.namespace}/{pod.owner[1]}"
            for pod in pods
            if keeps_data(facts.declared, pod) and (pod.namespace, pod.owner) not in elsewhere
        }
    )


def choose(candidates: Sequence[Candidate], name: str | None) -> Candidate:
    """The node to interrupt: the named one, else one of the front path, with as many pods as there are.

    Raises:
        DrillRefusedError: there is none that may be; the message says why of each.
    """
    if name is not None:
        named = next((candidate for candidate in candidates if candidate.node == name), None)
        if named is None:
            nodes = ", ".join(candidate.node for candidate in candidates) or "none"
            raise DrillRefusedError(f"--node {name}: there is no such node. Nodes: {nodes}")
        if named.why_not:
            raise DrillRefusedError(
                f"--node {name}: {named.why_not}. Give another node, or none, and the drill chooses one"
            )
        return named
    free = [candidate for candidate in candidates if not candidate.why_not]
    if not free:
        reasons = "".join(f"\n  {candidate.node}: {candidate.why_not}" for candidate in candidates)
        raise DrillRefusedError(f"none of {format_count(len(candidates), 'node')} may be interrupted:{reasons}")
    return max(free, key=lambda candidate: (candidate.front > 0, candidate.pods, candidate.node))
