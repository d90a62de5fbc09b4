"""Invisible nodes: instances of this cluster that run, are paid for, and are no Node."""

from datetime import timedelta
from typing import Final

from otel_on_spot.doctor.check import Judging, UnknownFactsError, age, aws_command, check, update_command
from otel_on_spot.doctor.checks.node_access import node_role
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_aws import Instance
from otel_on_spot.doctor.facts_kubernetes import Node, NodeClaim
from otel_on_spot.findings import Finding, format_count, format_duration
from otel_on_spot.kubernetes.names import CLAIM_LABEL, POOL_LABEL

GRACE: Final = timedelta(seconds=120)
"""A node is Ready about a minute after its launch; two are too long. Karpenter itself waits for 15 minutes.

Source: https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/controllers/nodeclaim/lifecycle/liveness.go
"""
ALIVE: Final = ("pending", "running")


@check("invisible-nodes", "Invisible nodes")
def invisible_nodes(
    facts: Facts, instances: tuple[Instance, ...], nodes: tuple[Node, ...], node_claims: tuple[NodeClaim, ...]
) -> Judging:
    """Every running instance that Karpenter or a node group launched for this cluster is a Node, or too young to be."""
    found = [
        instance
        for instance in instances
        if instance.state in ALIVE
        and facts.declared.owned_tag in instance.tags
        and (POOL_LABEL in instance.tags or "eks:nodegroup-name" in instance.tags)
    ]
    known = {node.instance_id for node in nodes if node.instance_id} | {node.name for node in nodes}
    missing = [instance for instance in found if instance.id not in known and instance.private_dns not in known]
    young = [instance for instance in missing if age(facts, instance.launched_at) < GRACE]
    of = {claim.instance_id: claim for claim in node_claims if claim.instance_id}
    by_name = {claim.name: claim for claim in node_claims}
    for instance in missing:
        claim = of.get(instance.id) or by_name.get(instance.tags.get(CLAIM_LABEL, ""))
        if (
            instance in young
            or (claim is None and POOL_LABEL in instance.tags)
            or (claim is not None and claim.deleted_at)
        ):
            continue  # too young; nobody's: an orphan, which has its own check; or Karpenter is terminating it
        condition = f"; NodeClaim {claim.name}: {_condition(claim)}" if claim else ""
        yield Finding(
            subject=instance.id,
            seen=f"{instance.state} for {format_duration(age(facts, instance.launched_at))}, no Node{condition}; "
            f"likely cause: {cause(facts, instance)}",
            rule=f"an instance of {facts.declared.cluster} is a Node within {format_duration(GRACE)}",
            remedy=(
                update_command(facts),
                *([f"kubectl delete nodeclaim {claim.name}"] if claim else []),
                aws_command(facts, f"ec2 get-console-output --latest --instance-id {instance.id}"),
            ),
        )
    joining = f", {len(young)} still joining" if young else ""
    return len(found), f"{format_count(len(found), 'instance')}{joining}"


def _condition(claim: NodeClaim) -> str:
    for kind in ("Launched", "Registered", "Initialized"):
        found = next((condition for condition in claim.conditions if condition.type == kind), None)
        if found is None or found.status != "True":
            return f"{kind}={found.status} {found.reason} {found.message}".strip() if found else f"{kind}=unset"
    return "Registered, and its Node is gone"


def cause(facts: Facts, instance: Instance) -> str:
    """The first of the usual causes that the other facts support."""
    if POOL_LABEL not in instance.tags:
        return "the node group's own: its console output says more"
    if not instance.profile_arn:
        return "the instance has no instance profile"
    profile = instance.profile_arn.rpartition("/")[2]
    known = {profile.name: profile for profile in facts.instance_profiles or ()}
    if facts.instance_profiles is not None and profile in known and not known[profile].role_arn:
        return f"instance profile {profile} holds no role"
    try:
        refused = [finding for finding in node_role.judge(facts).findings if finding.severity == "critical"]
    except UnknownFactsError:
        return "unknown: who is admitted could not be seen"
    if refused:
        return f"the cluster does not admit its role ({refused[0].seen})"
    return (
        "the role is admitted: the instance does not reach the API (route, security group, endpoint), "
        "or its kubelet failed"
    )


CHECKS: Final = (invisible_nodes,)
