"""Invisible nodes: instances of this cluster that run, are paid for, and are no Node."""

from datetime import timedelta
from typing import Final

from otel_on_spot.doctor.check import Check, CheckResult, UnknownFactsError, age, aws, seen, up
from otel_on_spot.doctor.checks.node_access import node_role
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_aws import Instance
from otel_on_spot.doctor.facts_kubernetes import NodeClaim
from otel_on_spot.findings import Finding, format_count, format_duration
from otel_on_spot.kubernetes.names import CLAIM_LABEL, POOL_LABEL

GRACE: Final = timedelta(seconds=120)
"""A node is Ready about a minute after its launch; two are too long. Karpenter itself waits for 15 minutes.

Source: https://github.com/kubernetes-sigs/karpenter/blob/v1.14.1/pkg/controllers/nodeclaim/lifecycle/liveness.go
"""
ALIVE: Final = ("pending", "running")


def invisible_nodes(facts: Facts) -> CheckResult:
    """Every running instance that Karpenter or a node group launched for this cluster is a Node, or too young to be."""
    instances: list[Instance] = [
        one
        for one in seen(facts, "instances")
        if one.state in ALIVE and facts.declared.owned_tag in one.tags and _launched_as_node(one)
    ]
    nodes, claims = seen(facts, "nodes"), seen(facts, "node_claims")
    known = {one.instance_id for one in nodes if one.instance_id} | {one.name for one in nodes}
    missing = [one for one in instances if one.id not in known and one.private_dns not in known]
    young = [one for one in missing if age(facts, one.launched_at) < GRACE]
    of: dict[str, NodeClaim] = {one.instance_id: one for one in claims if one.instance_id}
    by_name = {one.name: one for one in claims}
    findings = []
    for one in missing:
        claim = of.get(one.id) or by_name.get(one.tags.get(CLAIM_LABEL, ""))
        if one in young or (claim is None and POOL_LABEL in one.tags) or (claim is not None and claim.deleted_at):
            continue  # too young; nobody's: an orphan, which has its own check; or Karpenter is terminating it
        findings.append(_finding(facts, one, claim))
    joining = f", {len(young)} still joining" if young else ""
    return CheckResult(
        count=len(instances), what=f"{format_count(len(instances), 'instance')}{joining}", findings=tuple(findings)
    )


def _launched_as_node(instance: Instance) -> bool:
    return POOL_LABEL in instance.tags or "eks:nodegroup-name" in instance.tags


def _finding(facts: Facts, instance: Instance, claim: NodeClaim | None) -> Finding:
    remedy = [up(facts)]
    if claim is not None:
        remedy.append(f"kubectl delete nodeclaim {claim.name}")
    remedy.append(aws(facts, f"ec2 get-console-output --latest --instance-id {instance.id}"))
    condition = _condition(claim)
    return Finding(
        subject=instance.id,
        seen=(
            f"{instance.state} for {format_duration(age(facts, instance.launched_at))}, no Node"
            f"{f'; NodeClaim {claim.name}: {condition}' if claim else ''}; likely cause: {cause(facts, instance)}"
        ),
        rule=f"an instance of {facts.declared.cluster} is a Node within {format_duration(GRACE)}",
        remedy=tuple(remedy),
    )


def _condition(claim: NodeClaim | None) -> str:
    for kind in ("Launched", "Registered", "Initialized"):
        found = next((one for one in claim.conditions if one.type == kind), None) if claim else None
        if found is None or found.status != "True":
            return f"{kind}={found.status if found else 'unset'} {found.reason if found else ''} {found.message if found else ''}".strip()
    return "Registered, and its Node is gone"


def cause(facts: Facts, instance: Instance) -> str:
    """The first of the usual causes that the other facts support."""
    if POOL_LABEL not in instance.tags:
        return "the node group's own: its console output says more"
    if not instance.profile_arn:
        return "the instance has no instance profile"
    profile = instance.profile_arn.rpartition("/")[2]
    known = {one.name: one for one in facts.instance_profiles or ()}
    if facts.instance_profiles is not None and profile in known and not known[profile].role_arn:
        return f"instance profile {profile} holds no role"
    try:
        refused = [one for one in node_role(facts).findings if one.severity == "critical"]
    except UnknownFactsError:
        return "unknown: who is admitted could not be seen"
    if refused:
        return f"the cluster does not admit its role ({refused[0].seen})"
    return "the role is admitted: the instance does not reach the API (route, security group, endpoint), or its kubelet failed"


CHECKS: Final = (
    Check(
        id="invisible-nodes",
        title="Invisible nodes",
        needs=("instances", "nodes", "node_claims"),
        judge=invisible_nodes,
    ),
)
