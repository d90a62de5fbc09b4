"""Checks of what a Spot warning means for each workload: whether its pods are away in time, and how many it takes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from otel_on_spot.doctor.check import Judging, check, require
from otel_on_spot.doctor.checks.placement import RESOURCE, SPOT, keeps_data, workloads
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_kubernetes import Budget, Node, Pod, Service
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.kubernetes.names import CAPACITY_TYPE, INSTANCE_TYPE, ZONE
from otel_on_spot.spot_arithmetic import WARNING_SECONDS, Drain, evictable, greatest_share


@dataclass(frozen=True, kw_only=True)
class OnSpot:
    """A workload with ready pods on Spot nodes.

    ``ready``: all its ready pods, wherever they run. ``beside``: ready pods of other workloads that answer the same
    Service, such as the On-Demand replicas of the front path.
    """

    namespace: str
    kind: str
    name: str
    ready: Sequence[Pod]
    spot: Sequence[Pod]
    beside: Sequence[Pod] = ()

    @property
    def remedy(self) -> tuple[str, ...]:
        """Commands that show what decides it."""
        workload = f"{RESOURCE.get(self.kind, self.kind.lower())} {self.name}"
        return (
            f"kubectl -n {self.namespace} get {workload} -o yaml",
            f"kubectl -n {self.namespace} get poddisruptionbudget",
        )

    def is_selected_by(self, budget: Budget) -> bool:
        """True where the budget is about its pods."""
        selector = budget.selector if budget.namespace == self.namespace else None
        return selector is not None and selects(selector, self.ready[0].labels)


def on_spot(facts: Facts) -> list[OnSpot]:
    """Workloads with ready pods on Spot nodes. What keeps data is never counted: it does not belong there."""
    nodes: Mapping[str, Node] = {node.name: node for node in require(facts, "nodes")}
    groups: dict[tuple[str, tuple[str, str]], list[Pod]] = defaultdict(list)
    for pod in workloads(facts):
        if pod.ready and pod.node in nodes and not keeps_data(facts.declared, pod):
            groups[pod.namespace, pod.owner].append(pod)
    found = []
    for (namespace, (kind, name)), ready in sorted(groups.items()):
        spot = [pod for pod in ready if nodes[pod.node].labels.get(CAPACITY_TYPE) == SPOT]
        if spot:
            found.append(OnSpot(namespace=namespace, kind=kind, name=name, ready=ready, spot=spot))
    return found


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Decide if a label selector of the Kubernetes API selects an object; an empty one selects all."""

    def met(expression: Mapping[str, Any]) -> bool:
        value, values = labels.get(expression["key"]), expression.get("values") or []
        match expression["operator"]:
            case "In":
                return value in values
            case "NotIn":
                return value not in values
            case "Exists":
                return value is not None
        return value is None

    plain = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in plain.items()) and all(
        map(met, selector.get("matchExpressions") or [])
    )


def at_once(workload: OnSpot, budgets: Sequence[Budget]) -> int:
    """Pods of a workload that its budgets let go at once, all of it being healthy; the strictest decides."""
    return min(
        (
            evictable(
                budget.expected or len(workload.ready),
                max_unavailable=budget.max_unavailable,
                min_available=budget.min_available,
            )
            for budget in budgets
            if workload.is_selected_by(budget)
        ),
        default=len(workload.ready),
    )


def services_of(pod: Pod, services: Sequence[Service]) -> list[Service]:
    """Services that lead to a pod."""
    return [
        service
        for service in services
        if service.namespace == pod.namespace
        and service.selector
        and selects({"matchLabels": service.selector}, pod.labels)
    ]


@check("two-minutes", "Away within two minutes", "pods", "nodes", "budgets")
def two_minutes(facts: Facts, budgets: tuple[Budget, ...]) -> Judging:
    """Every workload's pods leave a warned node before it is gone.

    A budget that never lets a pod go has a check of its own.
    """
    found = on_spot(facts)
    longest = 0.0
    for workload in found:
        share = greatest_share(pod.node for pod in workload.spot)
        drain = Drain(
            pods=share.pods,
            at_once=at_once(workload, budgets),
            pre_stop_seconds=max(pod.pre_stop_seconds for pod in workload.spot),
            grace_seconds=max(pod.grace_seconds for pod in workload.spot),
        )
        if drain.steps is None:
            continue
        longest = max(longest, drain.seconds)
        if not drain.fits:
            yield Finding(
                subject=f"{workload.namespace}/{workload.name}",
                seen=f"{format_count(share.pods, 'ready pod')} on Spot node {share.place}: {drain.arithmetic}",
                rule=f"steps of the budget x boot + preStop + grace are within the {WARNING_SECONDS} s of a "
                f"warning: {drain.remedy}",
                remedy=workload.remedy,
            )
    told = f", at most {longest:.0f} s of {WARNING_SECONDS}" if found else ""
    return len(found), f"{format_count(len(found), 'workload')} on Spot{told}"


def with_beside(facts: Facts, services: Sequence[Service]) -> list[OnSpot]:
    """Workloads on Spot, with what answers the same Service beside them."""
    nodes = {node.name for node in require(facts, "nodes")}
    pods = [pod for pod in workloads(facts) if pod.ready and pod.node in nodes]

    def beside(workload: OnSpot) -> list[Pod]:
        before = services_of(workload.ready[0], services)
        return [
            pod
            for pod in pods
            if pod.owner != (workload.kind, workload.name)
            and any(service in before for service in services_of(pod, services))
        ]

    return [replace(workload, beside=beside(workload)) for workload in on_spot(facts)]


@check("blast-radius", "Blast radius", "pods", "nodes", "services")
def blast_radius(facts: Facts, nodes: tuple[Node, ...], services: tuple[Service, ...]) -> Judging:
    """No single Spot node, and no single type in a zone, carries all that answers for a workload that has several.

    Pods of another workload behind the same Service count: On-Demand replicas of the front path are there for that.
    """
    by_name = {node.name: node for node in nodes}
    found = [workload for workload in with_beside(facts, services) if len(workload.ready) + len(workload.beside) > 1]
    greatest = {"node": 0, "zone": 0, "type x zone": 0}
    for workload in found:
        answering = (*workload.ready, *workload.beside)
        shares = {
            "node": greatest_share(pod.node for pod in answering),
            "zone": greatest_share(by_name[pod.node].labels.get(ZONE, "") for pod in answering),
            "type x zone": greatest_share(_spot_pool(by_name[pod.node]) for pod in answering),
        }
        greatest = {what: max(greatest[what], share.percent) for what, share in shares.items()}
        if shares["node"].percent == 100:
            seen, rule = f"Spot node {shares['node'].place}", "one node: its interruption takes the workload"
            change = "required anti-affinity by kubernetes.io/hostname keeps them apart"
        elif shares["type x zone"].percent == 100:
            seen, rule = (
                f"Spot nodes of {shares['type x zone'].place}",
                "one Spot pool of EC2: it is taken back at once",
            )
            change = "a spread over topology.kubernetes.io/zone keeps them apart"
        else:
            continue
        yield Finding(
            subject=f"{workload.namespace}/{workload.name}",
            seen=f"all {len(answering)} ready pods on {seen}",
            rule=f"not all ready pods are on {rule}; {change}",
            remedy=workload.remedy,
            severity="warning",
        )
    most = ", ".join(f"{percent} % on one {what}" for what, percent in greatest.items())
    told = f", at most {most}" if found else ""
    return len(found), f"{format_count(len(found), 'workload')} with replicas on Spot{told}"


def _spot_pool(node: Node) -> str:
    """What EC2 takes back together: a type in a zone. An On-Demand node is a place of its own."""
    if node.labels.get(CAPACITY_TYPE) != SPOT:
        return node.name
    return f"{node.labels.get(INSTANCE_TYPE, '')} in {node.labels.get(ZONE, '')}"


CHECKS: Final = (two_minutes, blast_radius)
