"""Checks of where pods run: data on On-Demand, everything else free for Spot; and of budgets, which let a node go."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from infra.names import DEMO_NAMESPACE
from otel_on_spot.declared import Declared
from otel_on_spot.doctor.check import Judging, age, check, looked_at, require
from otel_on_spot.doctor.checks.gitops import sync
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_kubernetes import Budget, Node, Pod
from otel_on_spot.findings import Finding, format_count, format_duration
from otel_on_spot.kubernetes.names import CAPACITY_TYPE, FRONT_PATH, POOL_LABEL

SPOT: Final = "spot"
STUCK: Final = timedelta(minutes=10)
"""Time for which a budget may allow nothing before it is more than a rollout."""
RESOURCE: Final = {"Deployment": "deployment", "StatefulSet": "statefulset"}


def keeps_data(declared: Declared, pod: Pod) -> bool:
    """True where the pod is of a listed database, or has a volume claim of its own."""
    listed = pod.namespace == declared.stateful_namespace and pod.owner in set(declared.stateful)
    return listed or bool(pod.claims)


def workloads(facts: Facts) -> list[Pod]:
    """Pods of workloads that move: not the platform's own, not one per node, and none that is on its way out."""
    declared = facts.declared
    own = {declared.karpenter_namespace, declared.argocd_namespace}
    return [
        pod
        for pod in require(facts, "pods")
        if pod.namespace not in own and pod.owner[0] not in ("DaemonSet", "Node", "Job") and pod.deleted_at is None
    ]


@check("stateful-pods", "Data on On-Demand", "pods", "nodes")
def stateful(facts: Facts, nodes: tuple[Node, ...]) -> Judging:
    """No pod that keeps data runs on a Spot node."""
    capacity = {node.name: node.labels.get(CAPACITY_TYPE, "") for node in nodes}
    pods = [pod for pod in workloads(facts) if keeps_data(facts.declared, pod) and pod.node]
    for pod in pods:
        if capacity.get(pod.node) == SPOT:
            yield Finding(
                subject=f"{pod.namespace}/{pod.name}",
                seen=f"{pod.owner[0]} {pod.owner[1]} keeps data and runs on Spot node {pod.node}",
                rule="what keeps data runs on On-Demand nodes: AWS takes a Spot node back with two minutes' notice",
                remedy=_back(facts, pod),
            )
    return len(pods), f"{format_count(len(pods), 'pod')} with data"


def _back(facts: Facts, pod: Pod) -> tuple[str, ...]:
    """Remedy: a full sync of the demo runs the guard, which moves databases; other workloads are others' to change."""
    workload = f"{RESOURCE.get(pod.owner[0], pod.owner[0].lower())} {pod.owner[1]}"
    look = f"kubectl -n {pod.namespace} get {workload} -o jsonpath='{{.spec.template.spec.nodeSelector}}'"
    demo = next((application for application in facts.applications or () if application.name == DEMO_NAMESPACE), None)
    if pod.namespace == facts.declared.stateful_namespace and demo is not None:
        return look, sync(demo)
    return look, f"kubectl -n {pod.namespace} edit {workload}"


def kept_off_spot(facts: Facts, pod: Pod) -> str:
    """Field of the pod's spec that leaves no Spot node; empty where a Spot node would do."""
    pools = {name: pool.capacity_types for name, pool in facts.declared.pools.items()}

    def excludes(key: str, values: list[str], operator: str = "In") -> bool:
        if key == CAPACITY_TYPE:
            return (operator == "In" and SPOT not in values) or (operator == "NotIn" and SPOT in values)
        return (
            key == POOL_LABEL
            and operator == "In"
            and bool(values)
            and all(SPOT not in pools.get(name, (SPOT,)) for name in values)
        )

    for key, value in pod.selector.items():
        if excludes(key, [value]):
            return f"nodeSelector {key}: {value}"

    def closed(term: Mapping[str, Any]) -> bool:
        return any(
            excludes(expression["key"], list(expression.get("values") or ()), expression["operator"])
            for expression in term.get("matchExpressions") or ()
        )

    if pod.required and all(closed(term) for term in pod.required):
        return "required node affinity"
    return ""


@check("stateless-pods", "Stateless pods free for Spot", "pods")
def stateless(facts: Facts) -> Judging:
    """No pod without data is kept off Spot, except the On-Demand replicas of the demo's front path."""
    if not any(SPOT in pool.capacity_types for pool in facts.declared.pools.values()):
        return 0, "no pool may launch Spot"
    pods = [pod for pod in workloads(facts) if not (keeps_data(facts.declared, pod) or _of_floor(facts, pod))]
    kept: dict[tuple[str, tuple[str, str]], list[str]] = {}
    for pod in pods:
        if why := kept_off_spot(facts, pod):
            kept.setdefault((pod.namespace, pod.owner), []).append(why)
    for (namespace, owner), reasons in sorted(kept.items()):
        yield Finding(
            subject=f"{namespace}/{owner[1]}",
            seen=f"{format_count(len(reasons), 'pod')} of {owner[0]} {owner[1]}: {reasons[-1]}, and no data to keep",
            rule="what keeps no data may run on Spot: On-Demand costs about three times as much",
            remedy=(f"kubectl -n {namespace} get {RESOURCE.get(owner[0], 'pod')} {owner[1]} -o yaml",),
            severity="warning",
        )
    return len(pods), f"{format_count(len(pods), 'pod')} without data"


def _of_floor(facts: Facts, pod: Pod) -> bool:
    """Decide if a pod is one of the replicas that the setting ``frontPath.onDemandFloor`` keeps On-Demand."""
    return pod.namespace == facts.declared.stateful_namespace and FRONT_PATH in pod.labels


@check("disruption-budgets", "Disruption budgets")
def budgets(facts: Facts, budgets: tuple[Budget, ...]) -> Judging:
    """Every budget lets at least one pod go."""
    for budget in budgets:
        if problem := _blocks(facts, budget):
            yield Finding(
                subject=f"{budget.namespace}/{budget.name}",
                seen=problem,
                rule="a budget allows at least one eviction: otherwise drains wait for terminationGracePeriod, "
                "and a Spot node dies undrained",
                remedy=(
                    f"kubectl -n {budget.namespace} describe poddisruptionbudget {budget.name}",
                    f"kubectl -n {budget.namespace} delete poddisruptionbudget {budget.name}",
                ),
                severity="warning",
            )
    return looked_at(budgets, "budget")


def _blocks(facts: Facts, budget: Budget) -> str:
    if budget.expected == 0 or budget.allowed > 0:
        return ""
    if budget.desired >= budget.expected:
        given = (
            f"maxUnavailable {budget.max_unavailable}"
            if budget.max_unavailable
            else f"minAvailable {budget.min_available}"
        )
        return f"{given} of {format_count(budget.expected, 'pod')} never allows an eviction"
    since = budget.allowed_since
    if since is None or age(facts, since) < STUCK:
        return ""
    return (
        f"{budget.healthy} of {format_count(budget.expected, 'pod')} healthy, {budget.desired} asked for: "
        f"no eviction for {format_duration(age(facts, since))}"
    )


CHECKS: Final = (stateful, stateless, budgets)
