"""Checks of what Karpenter needs to launch: matches of its selectors, Ready classes and pools, room below limits."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from infra.schedules import ScheduleError, check_schedule, check_window
from otel_on_spot.doctor.check import Judging, age, check, looked_at, update_command
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_aws import AwsCluster, Located
from otel_on_spot.doctor.facts_kubernetes import NodeClass, NodePool, PoolBudget
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.kubernetes.names import INTERNAL_BALANCER_ROLE, NODE_CLASS, NODE_POOL, POOL_LABEL

SETTLING: Final = timedelta(minutes=2)
"""Time that Karpenter gets for an object that is new or was changed: its Ready is Unknown until then."""
NEARLY: Final = Decimal("0.8")
"""Share of a limit from which the doctor speaks: at the limit, pods stay Pending."""


def resolves(terms: Iterable[Mapping[str, Any]], things: Iterable[Located]) -> list[Located]:
    """Matches of a node class's selector terms: any term, all tags of it; ``*`` is any value.

    Source: https://karpenter.sh/v1.14/concepts/nodeclasses/#specsubnetselectorterms
    """

    def matches(term: Mapping[str, Any], thing: Located) -> bool:
        tags = term.get("tags") or {}
        return (
            all(key in thing.tags and value in ("*", thing.tags[key]) for key, value in tags.items())
            and term.get("id", thing.id) == thing.id
            and term.get("name", thing.name) == thing.name
            and bool(term)
        )

    wanted = list(terms)
    return [thing for thing in things if any(matches(term, thing) for term in wanted)]


@check("discovery-tags", "Discovery tags")
def discovery(
    facts: Facts,
    clusters: tuple[AwsCluster, ...],
    subnets: tuple[Located, ...],
    security_groups: tuple[Located, ...],
    node_classes: tuple[NodeClass, ...],
) -> Judging:
    """The selectors of every node class find subnets and a security group, in the cluster's own VPC."""
    home = {cluster.vpc_id for cluster in clusters}
    found_subnets: set[str] = set()
    found_groups: set[str] = set()
    for node_class in node_classes:
        for kind, terms, things, found in (
            ("subnet", node_class.subnet_terms, subnets, found_subnets),
            ("security group", node_class.group_terms, security_groups, found_groups),
        ):
            chosen = resolves(terms, things)
            found |= {thing.id for thing in chosen}
            strangers = sorted(thing.id for thing in chosen if home and thing.vpc_id not in home)
            # Whoever names subnets by their ids says which; others of a shared VPC are nobody's to miss.
            by_id = kind == "subnet" and all("id" in term for term in terms)
            untagged = [] if by_id else _forgotten(kind, things, chosen, home)
            problem = "" if by_id else _surplus(kind, chosen)
            if not chosen:
                problem = f"no {kind} matches {list(terms)}"
            elif strangers:
                problem = f"{', '.join(strangers)} match{'es' if len(strangers) == 1 else ''} and lie in another VPC"
            elif untagged:
                problem = f"{', '.join(untagged)} lost the discovery tag: no node is launched in its zone"
            if problem:
                yield Finding(
                    subject=f"{node_class.name}: {kind}s",
                    seen=problem,
                    rule="the node class finds every private subnet and the cluster's security group, "
                    "and no other VPC's",
                    remedy=(update_command(facts),),
                    severity="critical" if not chosen else "warning",
                )
    what = f"{format_count(len(found_subnets), 'subnet')}, {format_count(len(found_groups), 'security group')}"
    return len(found_subnets) + len(found_groups), what


def _forgotten(kind: str, things: Iterable[Located], chosen: Iterable[Located], home: set[str]) -> list[str]:
    """Private subnets of this cluster's VPC that the selector does not find: they carry the other private tag."""
    ids = {thing.id for thing in chosen}
    return sorted(
        thing.id
        for thing in things
        if kind == "subnet" and thing.vpc_id in home and INTERNAL_BALANCER_ROLE in thing.tags and thing.id not in ids
    )


def _surplus(kind: str, chosen: Iterable[Located]) -> str:
    """What a selector finds beyond the program's own: subnets that are not private, or a second security group.

    Every node wears all groups that are found; a load balancer controller refuses a node with two groups of the
    cluster's tag.
    Source: https://karpenter.sh/v1.14/concepts/nodeclasses/#specsecuritygroupselectorterms
    """
    found = {thing.id: thing for thing in chosen}
    if kind == "subnet":
        public = sorted(id for id, subnet in found.items() if INTERNAL_BALANCER_ROLE not in subnet.tags)
        return (
            f"{', '.join(public)} carr{'ies' if len(public) == 1 else 'y'} it too, and no private subnet's tag: "
            "nodes are launched there"
            if public
            else ""
        )
    groups = sorted(found)
    return f"{', '.join(groups)} match: every node wears all {len(groups)} groups" if len(groups) > 1 else ""


def not_ready(facts: Facts, thing: NodeClass | NodePool) -> str:
    """Reason why an object is not Ready, in its own conditions' words.

    Empty where it is, or where Karpenter may still be looking at it.
    """
    ready = next((condition for condition in thing.conditions if condition.type == "Ready"), None)
    if ready is not None and ready.status == "True":
        return ""
    since = ready.since if ready else thing.created_at
    undecided = ready is None or ready.status == "Unknown"
    if undecided and since is not None and age(facts, since) < SETTLING:
        return ""
    causes = [condition for condition in thing.conditions if condition.type != "Ready" and condition.status == "False"]
    if not causes and ready is not None:
        causes = [ready]
    told = "; ".join(
        f"{condition.type}={condition.status} {condition.reason} {condition.message}".strip() for condition in causes
    )
    return told or "it has no conditions: Karpenter has not looked at it"


def _ready(
    facts: Facts, things: Sequence[NodeClass | NodePool], kind: str, declared: Iterable[str], noun: str
) -> Iterator[Finding]:
    """A finding for each object that is declared and not there, or not Ready."""
    found = {thing.name: thing for thing in things}
    problems = {name: f"there is no such {kind}" for name in declared if name not in found}
    problems |= {name: why for name, thing in found.items() if (why := not_ready(facts, thing))}
    look = f"kubectl describe {kind.lower()} "
    for name, why in problems.items():
        yield Finding(
            subject=name,
            seen=why,
            rule=f"every {noun} of the program exists and is Ready",
            remedy=(look + name, update_command(facts)) if name in found else (update_command(facts),),
        )


@check("node-classes", "Node classes Ready")
def node_classes(facts: Facts, node_classes: tuple[NodeClass, ...]) -> Judging:
    """Every declared EC2NodeClass exists and is Ready."""
    yield from _ready(facts, node_classes, NODE_CLASS.kind, facts.declared.node_classes, "node class")
    return looked_at(node_classes, "node class", "node classes")


@check("node-pools", "Node pools Ready")
def node_pools(facts: Facts, node_pools: tuple[NodePool, ...]) -> Judging:
    """Every declared NodePool exists and is Ready."""
    yield from _ready(facts, node_pools, NODE_POOL.kind, facts.declared.pools, "NodePool")
    return looked_at(node_pools, "pool")


def raised(limit: str) -> str:
    """Half as much again, in the limit's own unit."""
    number = re.match(r"[0-9.]+", limit)
    return limit if number is None else f"{math.ceil(float(number[0]) * 1.5)}{limit[number.end() :]}"


@check("pool-limits", "Pool limits")
def limits(facts: Facts, node_pools: tuple[NodePool, ...]) -> Judging:
    """No pool uses four fifths of a limit, or more."""
    from kubernetes.utils.quantity import parse_quantity  # the package takes half a second to load

    told = []
    for pool in node_pools:
        for resource, limit in pool.limits.items():
            most, used = parse_quantity(limit), parse_quantity(pool.used.get(resource, "0"))
            share = used / most if most else Decimal(1)
            told.append(share)
            if share >= NEARLY:
                yield Finding(
                    subject=f"{pool.name}: {resource}",
                    seen=f"{pool.used.get(resource, '0')} of {limit} used ({share:.0%})",
                    rule=f"below {NEARLY:.0%}: at the limit the pool launches nothing, and pods stay Pending",
                    remedy=(
                        f"kubectl get nodeclaims -l {POOL_LABEL}={pool.name} -o wide",
                        f"pulumi config set --stack {facts.declared.stack} --type string "
                        f"--path 'otel-on-spot:pools.{pool.name}.limits.{resource}' {raised(limit)}",
                        update_command(facts),
                    ),
                    severity="critical" if share >= 1 else "warning",
                )
    fullest = f", the fullest at {max(told):.0%}" if told else ""
    return len(told), f"{format_count(len(told), 'limit')}{fullest}"


@check("pool-budgets", "Budgets of pools")
def budgets(facts: Facts, node_pools: tuple[NodePool, ...]) -> Judging:
    """Karpenter can read every disruption budget of a pool: one that it cannot allows nothing, for any reason."""
    found = [(pool.name, budget) for pool in node_pools for budget in pool.budgets]
    for pool, budget in found:
        if problem := _unreadable(budget):
            yield Finding(
                subject=f"{pool}: budget {budget.schedule or budget.nodes}",
                seen=f"{problem}: Karpenter disrupts no node of the pool, for any reason: no drift, no new AMI",
                rule="Karpenter reads the schedule and duration of every budget (robfig's cron, Go's durations), "
                "in UTC",
                remedy=(f"kubectl get nodepool {pool} -o jsonpath={{.spec.disruption.budgets}}", update_command(facts)),
            )
    return len(found), f"{format_count(len(found), 'budget')} of pools"


def _unreadable(budget: PoolBudget) -> str:
    try:
        if budget.schedule is not None:
            check_schedule(budget.schedule)
        if budget.duration is not None:
            check_window(budget.duration)
    except ScheduleError as problem:
        return str(problem)
    return "" if (budget.schedule is None) == (budget.duration is None) else "a schedule and a duration go together"


CHECKS: Final = (discovery, node_classes, node_pools)
