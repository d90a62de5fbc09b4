"""Which node may be interrupted: pure functions of what was seen."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from otel_on_spot.doctor.check import require
from otel_on_spot.doctor.checks.placement import SPOT, keeps_data
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_kubernetes import Node, NodeClaim, Pod
from otel_on_spot.drills.drill import DrillRefused
from otel_on_spot.findings import format_count
from otel_on_spot.kubernetes.names import CAPACITY_TYPE

FRONT: Final = ("frontend-proxy", "frontend")
"""Workloads of the demo's front path, in its namespace: what a visitor's request goes through first."""
MOVING: Final = ("Deployment", "StatefulSet", "ReplicaSet")
Workload = tuple[str, str, str]
"""Namespace, kind, name."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A node. ``why_not``: why it must not be interrupted; empty where it may be. ``front``: its pods of the front path."""

    node: str
    claim: str = ""
    instance: str = ""
    front: int = 0
    pods: int = 0
    workloads: tuple[Workload, ...] = ()
    why_not: str = ""


def candidates(facts: Facts, *, allow_stateful: bool) -> tuple[Candidate, ...]:
    """Every node, with why it must not be interrupted.

    Args:
        facts: with nodes, pods, node_claims and terminating.
        allow_stateful: a node that keeps the only copy of data may be interrupted too.
    """
    claims: dict[str, NodeClaim] = {one.node: one for one in require(facts, "node_claims") if one.node}
    going = {one.name for one in require(facts, "terminating") if one.kind == "NodeClaim"}
    return tuple(
        _candidate(facts, node, claims.get(node.name), going, allow_stateful) for node in require(facts, "nodes")
    )


def _candidate(
    facts: Facts, node: Node, claim: NodeClaim | None, going: Collection[str], allow_stateful: bool
) -> Candidate:
    pods: list[Pod] = [
        one
        for one in require(facts, "pods")
        if one.node == node.name and one.owner[0] not in ("DaemonSet", "Node") and one.phase in ("Running", "Pending")
    ]
    front = [one for one in pods if one.namespace == facts.declared.stateful_namespace and one.owner[1] in FRONT]
    found = Candidate(
        node=node.name,
        claim=claim.name if claim else "",
        instance=claim.instance_id if claim else "",
        front=len(front),
        pods=len(pods),
        workloads=tuple(sorted({(one.namespace, *one.owner) for one in pods if one.owner[0] in MOVING})),
    )
    why_not = _why_not(facts, node, claim, going, pods, allow_stateful)
    return replace(found, why_not=why_not)


def _why_not(
    facts: Facts,
    node: Node,
    claim: NodeClaim | None,
    going: Collection[str],
    pods: Sequence[Pod],
    allow_stateful: bool,
) -> str:
    if claim is None:
        return "Karpenter did not launch it"
    if node.labels.get(CAPACITY_TYPE) != SPOT:
        return f"it is {node.labels.get(CAPACITY_TYPE) or 'of no capacity type'}: no Spot warning is ever about it"
    if claim.name in going:
        return "its NodeClaim is being deleted already"
    if not node.ready:
        return "it is not Ready"
    bare = [f"{one.namespace}/{one.name}" for one in pods if one.owner[0] == "Pod"]
    if bare:
        return f"nothing would make {', '.join(bare)} again: a pod without a controller"
    only = [] if allow_stateful else _only_copies(facts, node, pods)
    if only:
        return f"it keeps the only copy of the data of {', '.join(only)} (--allow-stateful takes it all the same)"
    return ""


def _only_copies(facts: Facts, node: Node, pods: Sequence[Pod]) -> list[str]:
    """Workloads that keep data and have a pod on this node and on no other."""
    elsewhere = {
        (one.namespace, one.owner)
        for one in require(facts, "pods")
        if one.node not in ("", node.name) and one.phase == "Running"
    }
    return sorted(
        {
            f"{one.namespace}/{one.owner[1]}"
            for one in pods
            if keeps_data(facts, one) and (one.namespace, one.owner) not in elsewhere
        }
    )


def choose(found: Sequence[Candidate], wanted: str | None) -> Candidate:
    """The node to interrupt: the one that was asked for, else one of the front path, with as many pods as there are.

    Raises:
        DrillRefused: there is none that may be; the message says why of each.
    """
    if wanted is not None:
        one = next((one for one in found if one.node == wanted), None)
        if one is None:
            raise DrillRefused(
                f"--node {wanted}: there is no such node. Nodes: {', '.join(c.node for c in found) or 'none'}"
            )
        if one.why_not:
            raise DrillRefused(f"--node {wanted}: {one.why_not}. Give another node, or none, and the drill chooses one")
        return one
    free = [one for one in found if not one.why_not]
    if not free:
        told = "".join(f"\n  {one.node}: {one.why_not}" for one in found)
        raise DrillRefused(f"none of {format_count(len(found), 'node')} may be interrupted:{told}")
    return max(free, key=lambda one: (one.front > 0, one.pods, one.node))
