"""Checks of Spot's way: wide enough, refused at launch, warnings that arrive, and back from On-Demand."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from otel_on_spot.doctor.check import Judging, age, aws_command, check, update_command
from otel_on_spot.doctor.checks.capacity import resolves
from otel_on_spot.doctor.checks.launches import QUOTAS
from otel_on_spot.doctor.checks.nodes import held_by, replacing
from otel_on_spot.doctor.checks.placement import SPOT, keeps_data, kept_off_spot, workloads
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_aws import Instance, Located, Queue
from otel_on_spot.doctor.facts_kubernetes import ClaimEvent, NodeClaim, NodeClass, NodePool, Pod
from otel_on_spot.findings import Finding, format_count, format_duration
from otel_on_spot.kubernetes.names import CAPACITY_TYPE, CLAIM_LABEL, POOL_LABEL, ZONE

FALLEN_BACK: Final = timedelta(hours=1)
RETURNED: Final = timedelta(minutes=30)
"""Time for which Spot is to be had again: consolidation takes a node back within 15 minutes, one after the other."""
SHORT: Final = timedelta(days=1)
"""Time on On-Demand after which it is told, also where no Spot node was launched since."""
LAUNCHING: Final = timedelta(minutes=2)
RECENT: Final = timedelta(minutes=15)
WAITING: Final = timedelta(minutes=5)
LAUNCH_ERRORS: Final = (
    "InsufficientInstanceCapacity",
    "UnfulfillableCapacity",
    "InsufficientFreeAddressesInSubnet",
    "SpotMaxPriceTooLow",
    "Unsupported",
    *(error for _, _, error in QUOTAS.values()),
)
"""Errors of EC2 that Karpenter takes for a want of capacity.

Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/errors/errors.go
"""
REFUSED: Final = "InsufficientCapacityError"
"""Reason of Karpenter's event for a NodeClaim that it gives up for a want of capacity."""
ZONE_NAME: Final = re.compile(r"\b[a-z]{2}(?:-[a-z]+)+-\d[a-z]\b")
RECLAIMED: Final = ("Server.SpotInstanceTermination", "Server.SpotInstanceShutdown")
"""Reasons with which EC2 takes a Spot instance back.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html
"""
HEARD: Final = ("SpotInterrupted", "InstanceTerminating", "InstanceStopping")
"""Reasons of Karpenter's events for a message of the queue.

Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/controllers/interruption/events/events.go
"""
LISTED: Final = timedelta(minutes=50)
"""Time in which both EC2 still lists an instance that ended, and the API server the event of its warning."""
DELIVERED: Final = timedelta(minutes=15)
"""Time after which CloudWatch counts a message for sure."""


@check("spot-diversity", "Width of Spot pools")
def diversity(
    facts: Facts,
    node_pools: tuple[NodePool, ...],
    node_classes: tuple[NodeClass, ...],
    subnets: tuple[Located, ...],
) -> Judging:
    """Every Spot pool may launch enough types, in two zones: each type in a zone is a Spot pool of EC2's own."""
    # The catalogue takes a moment to load.
    from infra.settings.instance_types import SPOT_TO_SPOT_TYPES, meeting

    there = {
        subnet.zone
        for node_class in node_classes
        for subnet in resolves(node_class.subnet_terms, subnets)
        if subnet.zone
    }
    pools = [pool for pool in node_pools if SPOT in pool.capacity_types and pool.requirements]
    told = []
    for pool in pools:
        labels = ({"key": key, "operator": "In", "values": [value]} for key, value in pool.labels.items())
        terms = [*pool.requirements, *labels]
        types = meeting(terms)
        zones = {zone for zone in there if all(_admits(term, zone) for term in terms if term["key"] == ZONE)}
        families = {kind.family for kind in types}
        shown = f"{format_count(len(types), 'type')} of {format_count(len(families), 'family', 'families')}"
        told.append(f"{pool.name}: {shown} in {format_count(len(zones), 'zone')}")
        problems = []
        if len(types) < SPOT_TO_SPOT_TYPES:
            problems.append(f"{shown}: fewer than {SPOT_TO_SPOT_TYPES}, no Spot node is replaced by a cheaper one")
        if there and len(zones) < 2:
            problems.append(f"{format_count(len(zones), 'zone')} ({', '.join(sorted(zones)) or 'none has a subnet'})")
        if problems:
            yield Finding(
                subject=pool.name,
                seen="; ".join(problems),
                rule=f"a Spot pool may launch {SPOT_TO_SPOT_TYPES} types or more, in two zones or more: where one "
                "type in one zone runs dry, others are left",
                remedy=(f"kubectl get nodepool {pool.name} -o yaml", update_command(facts)),
                severity="warning",
            )
    return len(pools), "; ".join(told) or "no Spot pool"


def _admits(term: Mapping[str, Any], zone: str) -> bool:
    values = term.get("values") or ()
    return {"In": zone in values, "NotIn": zone not in values}.get(str(term["operator"]), True)


@check("refused-launches", "Refused launches")
def refusals(
    facts: Facts,
    claim_events: tuple[ClaimEvent, ...],
    node_claims: tuple[NodeClaim, ...],
    node_pools: tuple[NodePool, ...],
    pods: tuple[Pod, ...],
) -> Judging:
    """Launches succeed: EC2 refuses none for long while pods wait, none at a quota, and none for another reason."""
    events = [event for event in claim_events if event.reason == REFUSED]
    for claim in node_claims:
        yield from _not_launched(facts, claim)
    by_error = Counter(error for event in events for error in _errors(event))
    for code, (_, noun, error) in QUOTAS.items():
        if error in by_error:
            refused = format_count(by_error[error], "NodeClaim")
            yield Finding(
                subject=error,
                seen=f"EC2 refused {refused} at the quota of {noun} vCPUs within the hour",
                rule="the account's quotas leave room for what pods ask for",
                remedy=(
                    aws_command(facts, f"service-quotas get-service-quota --service-code ec2 --quota-code {code}"),
                    "kubectl get nodepools",
                ),
            )
    waiting = [pod for pod in pods if _waits(facts, pod)]
    latest = max((event.at for event in events if event.at), default=None)
    if waiting and latest and age(facts, latest) < RECENT:
        yield _dry(node_pools, events, waiting)
    told = f": {', '.join(f'{count} {error}' for error, count in sorted(by_error.items()))}" if by_error else ""
    return len(node_claims), f"{format_count(len(events), 'refusal')} in the last hour{told}"


def _not_launched(facts: Facts, claim: NodeClaim) -> Iterator[Finding]:
    launched = next((condition for condition in claim.conditions if condition.type == "Launched"), None)
    if launched is None or launched.status == "True" or claim.deleted_at or age(facts, claim.created_at) < LAUNCHING:
        return
    told = " ".join(f"{launched.reason}: {launched.message}".split())
    yield Finding(
        subject=claim.name,
        seen=f"not launched for {format_duration(age(facts, claim.created_at))}: {told}",
        rule="EC2 launches what Karpenter asks for; only a want of capacity is passed on to other types",
        remedy=(
            f"kubectl describe nodeclaim {claim.name}",
            f"kubectl -n {facts.declared.karpenter_namespace} logs deployment/karpenter --since=15m",
        ),
    )


def _errors(event: ClaimEvent) -> list[str]:
    return [error for error in LAUNCH_ERRORS if error in event.message] or ["InsufficientCapacity"]


def _waits(facts: Facts, pod: Pod) -> bool:
    return (
        pod.phase == "Pending"
        and not pod.node
        and pod.deleted_at is None
        and pod.created_at is not None
        and age(facts, pod.created_at) >= WAITING
    )


def _dry(node_pools: Iterable[NodePool], events: Sequence[ClaimEvent], waiting: Sequence[Pod]) -> Finding:
    pools = {pool.name: "/".join(pool.capacity_types) for pool in node_pools}
    by_pool = Counter(event.claim.rpartition("-")[0] for event in events)
    told = ", ".join(f"{count} of pool {pool} ({pools.get(pool, '?')})" for pool, count in sorted(by_pool.items()))
    zones = sorted({zone for event in events for zone in ZONE_NAME.findall(event.message)})
    errors = sorted({error for event in events for error in _errors(event)})
    where = f" in {', '.join(zones)}" if zones else ""
    return Finding(
        subject="capacity",
        seen=f"{format_count(len(waiting), 'pod')} without a node for more than {format_duration(WAITING)}; "
        f"within the hour EC2 refused {told}: {', '.join(errors)}{where}",
        rule="where one pool's types are short, another pool's are launched within a minute",
        remedy=(
            "kubectl get pods -A --field-selector status.phase=Pending",
            f"kubectl get events -A --field-selector reason={REFUSED}",
            "kubectl get nodepools",
        ),
    )


@check("interruption-arrivals", "Warnings that arrived")
def arrivals(
    facts: Facts, instances: tuple[Instance, ...], claim_events: tuple[ClaimEvent, ...], queues: tuple[Queue, ...]
) -> Judging:
    """Warnings arrive: judged by instances that ended, without sending anything.

    Of a Spot instance that EC2 took back, Karpenter has an event. Whatever instance ends, EC2 says so to the queue.
    """
    owned = facts.declared.owned_tag
    ended = [
        instance
        for instance in instances
        if owned in instance.tags and POOL_LABEL in instance.tags and instance.state in ("shutting-down", "terminated")
    ]
    heard = {event.claim for event in claim_events if event.reason in HEARD}
    sent = next((queue.sent for queue in queues if queue.name == facts.declared.interruption_queue), None)
    unheard = [
        instance
        for instance in ended
        if instance.reason_code in RECLAIMED
        and instance.tags.get(CLAIM_LABEL)
        and instance.tags[CLAIM_LABEL] not in heard
        # When EC2 took it back it seldom says; the event may then be forgotten, and the queue's traffic decides.
        and (age(facts, instance.changed_at) < LISTED if instance.changed_at else not sent)
    ]
    silent = [
        instance for instance in ended if instance.changed_at and DELIVERED <= age(facts, instance.changed_at) < LISTED
    ]
    problem = ""
    if unheard:
        names = ", ".join(sorted(instance.id for instance in unheard)[:3])
        problem = f"EC2 took {format_count(len(unheard), 'Spot instance')} back ({names}), and Karpenter heard nothing"
    elif silent and sent == 0:
        problem = f"{format_count(len(silent), 'instance')} ended within the hour, and no message was sent to the queue"
    if problem:
        yield Finding(
            subject=facts.declared.interruption_queue,
            seen=problem,
            rule="EC2's notices reach the queue, and Karpenter handles them",
            remedy=(
                "otel-on-spot doctor --only interruption-queue,interruption-key,interruption-policy,interruption-rules "
                f"--stack {facts.declared.stack}",
                f"otel-on-spot drill spot-interruption --stack {facts.declared.stack} --why 'no warning arrived'",
                update_command(facts),
            ),
        )
    told = f", {sent:.0f} messages sent" if sent is not None else ""
    back = sum(instance.reason_code in RECLAIMED for instance in ended)
    return len(ended), f"{format_count(len(ended), 'instance')} ended, {back} taken back{told}"


@check("fallback-stuck", "Back from On-Demand", "node_claims", "node_pools", "pods")
def fallback(facts: Facts, node_claims: tuple[NodeClaim, ...], node_pools: tuple[NodePool, ...]) -> Judging:
    """What fell back to On-Demand returns to Spot when Spot is there again."""
    claims = [claim for claim in node_claims if claim.deleted_at is None]
    if all(pool.tainted for pool in node_pools if SPOT in pool.capacity_types):
        return 0, "no open pool may launch Spot"
    open_pools = {pool.name for pool in node_pools if "on-demand" in pool.capacity_types and not pool.tainted}
    open_pools -= {name for name, pool in facts.declared.pools.items() if pool.tainted}
    movable: dict[str, list[Pod]] = {}
    for pod in workloads(facts):
        if pod.node and not keeps_data(facts.declared, pod) and not kept_off_spot(facts, pod):
            movable.setdefault(pod.node, []).append(pod)
    fallen = [
        claim
        for claim in claims
        if claim.labels.get(CAPACITY_TYPE) == "on-demand" and claim.pool in open_pools and claim.node in movable
    ]
    for claim in fallen:
        if problem := _stuck(facts, claim, claims):
            held = "; ".join(held_by(facts, claim.node, claim, "Underutilized")) or "nothing that is seen holds it"
            count = len(movable[claim.node])
            yield Finding(
                subject=claim.name,
                seen=f"{format_count(count, 'pod')} that may run on Spot {'is' if count == 1 else 'are'} on On-Demand "
                f"for {format_duration(age(facts, claim.created_at))}; {problem}; {held}",
                rule="On-Demand only while Spot is short: consolidation brings pods back, at about a third of the "
                "price",
                remedy=replacing(claim),
                severity="warning",
            )
    return len(fallen), f"{format_count(len(fallen), 'node')} of fall-back"


def _stuck(facts: Facts, claim: NodeClaim, claims: Iterable[NodeClaim]) -> str:
    since = [
        age(facts, other.created_at)
        for other in claims
        if other.labels.get(CAPACITY_TYPE) == SPOT
        and other.created_at > claim.created_at
        and any((condition.type, condition.status) == ("Launched", "True") for condition in other.conditions)
    ]
    old = age(facts, claim.created_at)
    if since and old >= FALLEN_BACK and max(since) >= RETURNED:
        return f"a Spot node was launched {format_duration(max(since))} ago"
    return "no Spot node was launched since" if not since and old >= SHORT else ""
