"""Checks of nodes that are there: their conditions, repair that does not come, drift that stays, kubelets' versions."""

import math
import re
from datetime import timedelta
from typing import Final

from otel_on_spot.doctor.check import Judging, age, aws_command, check, require
from otel_on_spot.doctor.checks.two_minutes import selects
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_aws import Addon, AwsCluster
from otel_on_spot.doctor.facts_kubernetes import Condition, Controller, Node, NodeClaim, NodePool
from otel_on_spot.findings import Finding, Severity, format_count, format_duration
from otel_on_spot.kubernetes.names import POOL_LABEL

HALF_AN_HOUR: Final = timedelta(minutes=30)
REPAIRED: Final = {
    ("Ready", "False"): HALF_AN_HOUR,
    ("Ready", "Unknown"): HALF_AN_HOUR,
    ("AcceleratedHardwareReady", "False"): timedelta(minutes=10),
    ("StorageReady", "False"): HALF_AN_HOUR,
    ("NetworkingReady", "False"): HALF_AN_HOUR,
    ("KernelReady", "False"): HALF_AN_HOUR,
    ("ContainerRuntimeReady", "False"): HALF_AN_HOUR,
}
"""Conditions of the kubelet and of the node monitoring agent, and how long Karpenter tolerates each before it repairs.

Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/cloudprovider/cloudprovider.go (RepairPolicies),
https://docs.aws.amazon.com/eks/latest/userguide/node-health.html
"""
PRESSURES: Final = frozenset(
    (kind, "True") for kind in ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
)
"""Source: https://kubernetes.io/docs/reference/node/node-status/#condition"""
LASTING: Final = timedelta(minutes=10)
"""Time in which a node joins, a reclaimed one goes, and pressure is relieved by an eviction."""
LATE: Final = timedelta(minutes=10)
"""Time beyond the toleration: Karpenter looks again every five minutes at what it may not repair."""
MOST_UNHEALTHY: Final = 0.2
"""Share of a pool's nodes, rounded up, above which Karpenter repairs none of them.

Source: https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/controllers/node/health/controller.go
"""
BUDGETS_HOLD_REPAIR: Final = (1, 15)
"""Version from which a pool's budgets hold for the reason Unhealthy. Source: https://karpenter.sh/docs/concepts/disruption/"""
JOINING: Final = "does not have an associated node"
"""Karpenter's word on a NodeClaim that is joining: the event stays for an hour, and holds nothing any more."""
DRIFTED: Final = timedelta(days=8)
"""A weekly window of a budget has passed."""
SKEW: Final = 3
"""Minors that a kubelet may be older than the API server. Source: https://kubernetes.io/releases/version-skew-policy/#kubelet"""
NODES: Final = ("nodes", "node_claims", "controllers")


def claim_of(facts: Facts, node: Node) -> NodeClaim | None:
    """The NodeClaim of a node; None of a node group's."""
    return next((claim for claim in require(facts, "node_claims") if claim.node == node.name), None)


def bad_conditions(node: Node) -> list[Condition]:
    """Conditions of a node that say that something is wrong."""
    return [
        condition
        for condition in node.conditions
        if (condition.type, condition.status) in REPAIRED or (condition.type, condition.status) in PRESSURES
    ]


def _staying(facts: Facts) -> list[Node]:
    """Nodes that nobody is taking away."""
    going = {claim.node for claim in require(facts, "node_claims") if claim.deleted_at}
    return [node for node in require(facts, "nodes") if node.deleted_at is None and node.name not in going]


def _age(facts: Facts, condition: Condition) -> timedelta:
    return age(facts, condition.since) if condition.since else timedelta()


def _repairs(facts: Facts) -> bool:
    """Decide if the controller repairs nodes at all."""
    controllers: tuple[Controller, ...] = require(facts, "controllers")
    return any(
        "noderepair=true" in controller.environment.get("FEATURE_GATES", "").lower() for controller in controllers
    )


def _overdue(facts: Facts, node: Node) -> Condition | None:
    """A condition for which Karpenter should have replaced the node by now; None where there is none."""
    if POOL_LABEL not in node.labels or not _repairs(facts):
        return None
    return next(
        (
            condition
            for condition in bad_conditions(node)
            if (tolerated := REPAIRED.get((condition.type, condition.status))) is not None
            and _age(facts, condition) >= tolerated + LATE
        ),
        None,
    )


def _told(facts: Facts, condition: Condition) -> str:
    since = f" for {format_duration(_age(facts, condition))}" if condition.since else ""
    words = " ".join(f"{condition.reason} {condition.message}".split())
    return f"{condition.type}={condition.status}{since}{f': {words}' if words else ''}"


@check("node-conditions", "Conditions of nodes", *NODES)
def node_conditions(facts: Facts) -> Judging:
    """No condition of a node says for long that something is wrong; what Karpenter should repair has its own check."""
    found = _staying(facts)
    for node in found:
        lasting = [condition for condition in bad_conditions(node) if _age(facts, condition) >= LASTING]
        if lasting and not _overdue(facts, node):
            broken = any((condition.type, condition.status) in REPAIRED for condition in lasting)
            yield Finding(
                subject=node.name,
                seen="; ".join(_told(facts, condition) for condition in lasting),
                rule=f"no condition of the kubelet or of the node monitoring agent is bad for "
                f"{format_duration(LASTING)}",
                remedy=(f"kubectl describe node {node.name}",),
                severity="critical" if broken else "warning",
            )
    conditions = sum(len(node.conditions) for node in found)
    return len(found), f"{format_count(len(found), 'node')} with {format_count(conditions, 'condition')}"


@check("repair-held", "Repair of nodes", *NODES, "node_pools")
def repair(facts: Facts) -> Judging:
    """Karpenter replaces a node that is unhealthy, as soon as it no longer tolerates it."""
    found = [node for node in _staying(facts) if POOL_LABEL in node.labels]
    for node in found:
        condition = _overdue(facts, node)
        if condition is None:
            continue
        pool = node.labels[POOL_LABEL]
        yield Finding(
            subject=node.name,
            seen=f"{_told(facts, condition)}; not replaced: {'; '.join(_why_no_repair(facts, node, pool))}",
            rule="Karpenter replaces an unhealthy node after "
            f"{format_duration(REPAIRED[condition.type, condition.status])}, as long as at most "
            f"{MOST_UNHEALTHY:.0%} of its pool's nodes are",
            remedy=(
                f"kubectl get nodes -l {POOL_LABEL}={pool}",
                f"kubectl get events -A --field-selector involvedObject.name={node.name}",
                f"kubectl delete node {node.name}",
            ),
        )
    gate = "" if _repairs(facts) else "; NodeRepair is off"
    return len(found), f"{format_count(len(found), 'node')} of pools{gate}"


def _why_no_repair(facts: Facts, node: Node, pool: str) -> list[str]:
    peers = [peer for peer in require(facts, "nodes") if peer.labels.get(POOL_LABEL) == pool]
    unhealthy = [
        peer for peer in peers if any((condition.type, condition.status) in REPAIRED for condition in peer.conditions)
    ]
    reasons = []
    if len(unhealthy) > math.ceil(MOST_UNHEALTHY * len(peers)):
        reasons.append(f"{len(unhealthy)} of {format_count(len(peers), 'node')} of pool {pool} are unhealthy")
    if any(_minor(controller.version_label) >= BUDGETS_HOLD_REPAIR for controller in require(facts, "controllers")):
        reasons += _closed_budgets(facts, pool, "Unhealthy")
    claim = claim_of(facts, node)
    events = facts.claim_events or ()
    reasons += {
        event.message
        for event in events
        if claim is not None and event.claim == claim.name and event.reason == "NodeRepairBlocked"
    }
    return reasons or ["nothing that is seen holds it"]


def _closed_budgets(facts: Facts, pool: str, reason: str) -> list[str]:
    """Budgets of a pool that let no node go, for a reason of disruption."""
    pools: tuple[NodePool, ...] = require(facts, "node_pools")
    return [
        f"pool {pool}'s budget lets {budget.nodes} go"
        f"{f' ({budget.schedule} for {budget.duration})' if budget.schedule else ''}"
        for found in pools
        if found.name == pool
        for budget in found.budgets
        if budget.nodes in ("0", "0%") and (not budget.reasons or reason in budget.reasons)
    ]


def held_by(facts: Facts, node: str, claim: NodeClaim, reason: str) -> list[str]:
    """What keeps Karpenter from disrupting a node, as far as it is seen: its own words, protection, budgets.

    Source: https://karpenter.sh/v1.14/concepts/disruption/

    Args:
        facts: what was collected; groups that are unknown tell nothing.
        node: name of the node.
        claim: its NodeClaim, with the pool whose budgets count.
        reason: of the disruption, in a budget's words: Drifted, Underutilized or Empty.
    """
    reasons = [
        f"{event.reason}: {event.message}"
        for event in facts.claim_events or ()
        if event.claim == claim.name
        and event.reason in ("DisruptionBlocked", "Unconsolidatable")
        and JOINING not in event.message
    ]
    if any(seen.protected for seen in facts.nodes or () if seen.name == node):
        reasons.append("the node has karpenter.sh/do-not-disrupt")
    pods = [pod for pod in facts.pods or () if pod.node == node and pod.deleted_at is None]
    protected = [f"{pod.namespace}/{pod.name}" for pod in pods if pod.protected]
    if protected:
        reasons.append(f"karpenter.sh/do-not-disrupt on {', '.join(protected[:3])}")
    blocking = [
        f"{budget.namespace}/{budget.name}"
        for budget in facts.budgets or ()
        if budget.expected
        and not budget.allowed
        and budget.selector is not None
        and any(pod.namespace == budget.namespace and selects(budget.selector, pod.labels) for pod in pods)
    ]
    if blocking:
        reasons.append(f"PodDisruptionBudget {', '.join(blocking[:3])} allows no eviction")
    if facts.node_pools is not None:
        reasons += _closed_budgets(facts, claim.pool, reason)
        reasons += [
            f"pool {claim.pool} consolidates never"
            for pool in facts.node_pools
            if reason == "Underutilized" and pool.name == claim.pool and pool.consolidate_after == "Never"
        ]
    return reasons


def replacing(claim: NodeClaim) -> tuple[str, ...]:
    """Commands that say what holds a NodeClaim's node, and have it replaced."""
    return (
        f"kubectl describe nodeclaim {claim.name}",
        f"kubectl get pods -A -o wide --field-selector spec.nodeName={claim.node}",
        f"kubectl delete nodeclaim {claim.name}",
    )


@check("drift-age", "Age of drift")
def drift(facts: Facts, node_claims: tuple[NodeClaim, ...]) -> Judging:
    """A node that drifted is replaced within a week and a day: an old AMI is an unpatched one."""
    claims = [claim for claim in node_claims if claim.deleted_at is None]
    drifted = 0
    for claim in claims:
        condition = next((told for told in claim.conditions if (told.type, told.status) == ("Drifted", "True")), None)
        if condition is None:
            continue
        drifted += 1
        if _age(facts, condition) < DRIFTED:
            continue
        held = "; ".join(held_by(facts, claim.node, claim, "Drifted")) or "nothing that is seen holds it"
        yield Finding(
            subject=claim.name,
            seen=f"{_told(facts, condition)}; {held}",
            rule=f"a node that is no longer as declared is replaced within {format_duration(DRIFTED)}: the weekly "
            "window of a budget has then passed",
            remedy=replacing(claim),
            severity="warning",
        )
    return len(claims), f"{format_count(len(claims), 'NodeClaim')}{f', {drifted} drifted' if drifted else ''}"


def _minor(version: str) -> tuple[int, int]:
    """Major and minor out of ``v1.35.2-eks-1``, ``1.35``; (0, 0) where it has none."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


@check("version-skew", "Versions of kubelets and control plane")
def skew(facts: Facts, clusters: tuple[AwsCluster, ...], nodes: tuple[Node, ...], addons: tuple[Addon, ...]) -> Judging:
    """No kubelet, and no kube-proxy, is newer than the control plane, or as old as it may be."""
    control = max((_minor(cluster.version) for cluster in clusters), default=(0, 0))
    parts = [(node.name, "kubelet", node.kubelet) for node in nodes]
    # In the lab an add-on has a version of the lab's own.
    parts += [
        (addon.name, "add-on", addon.version) for addon in addons if addon.name == "kube-proxy" and not facts.simulated
    ]
    judged = [(name, what, version) for name, what, version in parts if _minor(version) > (0, 0) and control > (0, 0)]
    for name, what, version in judged:
        if problem := _skew(control, _minor(version)):
            yield Finding(
                subject=name,
                seen=f"{what} {version}, control plane {control[0]}.{control[1]}: {problem[0]}",
                rule=f"kubelet and kube-proxy are no newer than the control plane, and at most {SKEW} minors older",
                remedy=_newer(facts, name, what),
                severity=problem[1],
            )
    versions = sorted({_minor(version) for _, _, version in judged})
    told = ", ".join(f"{major}.{minor}" for major, minor in versions)
    return len(judged), f"{format_count(len(judged), 'version')}{f': {told}' if told else ''}"


def _skew(control: tuple[int, int], part: tuple[int, int]) -> tuple[str, Severity] | None:
    older = control[1] - part[1]
    if older < 0:
        return "it is newer: this is not supported", "critical"
    if older > SKEW:
        return f"it is {older} minors older: this is not supported", "critical"
    if older == SKEW:
        return f"it is {older} minors older: the next upgrade of the control plane leaves it behind", "warning"
    return None


def _newer(facts: Facts, name: str, what: str) -> tuple[str, ...]:
    if what == "add-on":
        cluster = facts.declared.cluster
        return (aws_command(facts, f"eks describe-addon --cluster-name {cluster} --addon-name {name}"),)
    return (f"kubectl get node {name} -o wide", f"kubectl describe node {name}")
