"""Checks of what answers: webhooks that writes wait for, the cluster's DNS, and Services whose pods are on Spot."""

from datetime import timedelta
from typing import Final

from otel_on_spot.doctor.check import CheckResult, age, check, require
from otel_on_spot.doctor.checks.two_minutes import OnSpot, on_spot, selects
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_kubernetes import Budget, Pod, Service, Webhook
from otel_on_spot.findings import Finding, format_count, format_duration
from otel_on_spot.kubernetes.names import ZONE

MOVING: Final = timedelta(minutes=5)
"""Time in which the pod behind a webhook starts on another node."""
DNS_NAMESPACE: Final = "kube-system"
DNS_LABEL: Final = ("k8s-app", "kube-dns")
"""Label of CoreDNS' pods. Source: https://docs.aws.amazon.com/eks/latest/userguide/managing-coredns.html"""


@check("webhooks", "Webhooks that must answer", "webhooks")
def webhooks(facts: Facts) -> CheckResult:
    """Somebody answers every webhook whose failure refuses a request."""
    found: tuple[Webhook, ...] = require(facts, "webhooks")
    findings = tuple(
        Finding(
            subject=f"{webhook.configuration}: {webhook.name}",
            seen=f"failurePolicy Fail, and {problem}: the API server refuses all that it is asked about",
            rule="a webhook that refuses what it does not answer has a ready endpoint",
            remedy=(
                f"kubectl -n {webhook.namespace} get endpointslices -l kubernetes.io/service-name={webhook.service}",
                f"kubectl -n {webhook.namespace} get pods -o wide",
                f"kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations {webhook.configuration}",
            ),
        )
        for webhook in found
        if (problem := _silent(facts, webhook))
    )
    return CheckResult(count=len(found), what=format_count(len(found), "webhook"), findings=findings)


def _silent(facts: Facts, webhook: Webhook) -> str:
    service = f"Service {webhook.namespace}/{webhook.service}"
    if webhook.endpoints is None:
        return f"{service} does not exist"
    if webhook.endpoints:
        return ""
    since = None if webhook.changed_at is None else age(facts, webhook.changed_at)
    if since is not None and since < MOVING:
        return ""
    return f"{service} has no ready endpoint{f' for {format_duration(since)}' if since else ''}"


@check("coredns", "Spread of CoreDNS", "pods", "nodes")
def dns(facts: Facts) -> CheckResult:
    """CoreDNS has replicas on several nodes, and in several zones where its nodes are in several."""
    zones = {node.name: node.labels.get(ZONE, "") for node in require(facts, "nodes")}
    key, value = DNS_LABEL
    found: list[Pod] = [
        pod
        for pod in require(facts, "pods")
        if pod.namespace == DNS_NAMESPACE and pod.labels.get(key) == value and pod.deleted_at is None
    ]
    placed = [pod.node for pod in found if pod.node]
    used = {zones.get(node, "") for node in placed}
    # Of a node group's nodes: pools bring zones that CoreDNS does not run in.
    of_kind = {zones[node.name] for node in require(facts, "nodes") if "eks.amazonaws.com/nodegroup" in node.labels}
    problem = ""
    if not found:
        problem = "" if facts.simulated else "no pod of it runs: no name is resolved"
    elif len(found) == 1:
        problem = "one replica: names are not resolved while it moves"
    elif len(placed) > 1 and len(set(placed)) == 1:
        problem = f"all {len(placed)} replicas are on node {placed[0]}"
    elif len(placed) > 1 and len(used) == 1 and len(of_kind | used) > 1:
        problem = f"all {len(placed)} replicas are in zone {next(iter(used))}"
    findings = ()
    if problem:
        findings = (
            Finding(
                subject="CoreDNS",
                seen=problem,
                rule="CoreDNS has two replicas or more, on several nodes and in several zones: all names depend on it",
                remedy=(
                    f"kubectl -n {DNS_NAMESPACE} get pods -l {key}={value} -o wide",
                    f"kubectl -n {DNS_NAMESPACE} rollout restart deployment/coredns",
                ),
                severity="warning" if found else "critical",
            ),
        )
    told = f" on {format_count(len(set(placed)), 'node')} in {format_count(len(used), 'zone')}" if placed else ""
    return CheckResult(count=len(found), what=f"{format_count(len(found), 'replica')}{told}", findings=findings)


@check("probes-and-budgets", "Probes and budgets on Spot", "pods", "nodes", "services", "budgets")
def probes_and_budgets(facts: Facts) -> CheckResult:
    """What runs on Spot behind a Service says when it is ready; several replicas have a budget."""
    found = on_spot(facts)
    services: tuple[Service, ...] = require(facts, "services")
    budgets: tuple[Budget, ...] = require(facts, "budgets")
    findings = tuple(
        Finding(
            subject=f"{workload.namespace}/{workload.name}",
            seen="; ".join(problems),
            rule="a pod on Spot is replaced often: a readiness probe keeps its Service from a pod that does not answer "
            "yet, a budget keeps drains from taking all replicas at once",
            remedy=workload.remedy,
            severity="warning",
        )
        for workload in found
        if (problems := [*_unprobed(workload, services), *_unbudgeted(workload, budgets)])
    )
    single = sum(len(workload.ready) == 1 for workload in found)
    what = f"{format_count(len(found), 'workload')} on Spot{f', {single} of one replica' if single else ''}"
    return CheckResult(count=len(found), what=what, findings=findings)


def _unprobed(workload: OnSpot, services: tuple[Service, ...]) -> list[str]:
    pod = next((pod for pod in workload.ready if pod.unprobed), None)
    if pod is None:
        return []
    behind = [
        service.name
        for service in services
        if service.namespace == workload.namespace
        and service.selector
        and selects({"matchLabels": service.selector}, pod.labels)
    ]
    return [f"behind Service {', '.join(behind)}, and no readiness probe"] if behind else []


def _unbudgeted(workload: OnSpot, budgets: tuple[Budget, ...]) -> list[str]:
    if len(workload.ready) < 2 or any(
        budget.namespace == workload.namespace
        and budget.selector is not None
        and selects(budget.selector, workload.ready[0].labels)
        for budget in budgets
    ):
        return []
    return [f"{len(workload.ready)} replicas, and no PodDisruptionBudget selects them"]
