"""Checks of what answers: webhooks that writes wait for, the cluster's DNS, and Services whose pods are on Spot."""

from datetime import timedelta
from typing import Final

from otel_on_spot.doctor.check import Judging, age, check, looked_at
from otel_on_spot.doctor.checks.two_minutes import OnSpot, on_spot, services_of
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_kubernetes import Budget, Node, Pod, Service, Webhook
from otel_on_spot.findings import Finding, format_count, format_duration
from otel_on_spot.kubernetes.names import ZONE

MOVING: Final = timedelta(minutes=5)
"""Time in which the pod behind a webhook starts on another node."""
DNS_NAMESPACE: Final = "kube-system"
DNS_LABEL: Final = ("k8s-app", "kube-dns")
"""Label of CoreDNS' pods. Source: https://docs.aws.amazon.com/eks/latest/userguide/managing-coredns.html"""


@check("webhooks", "Webhooks that must answer")
def webhooks(facts: Facts, webhooks: tuple[Webhook, ...]) -> Judging:
    """Somebody answers every webhook whose failure refuses a request."""
    for webhook in webhooks:
        if problem := _silent(facts, webhook):
            name, namespace = webhook.configuration, webhook.namespace
            yield Finding(
                subject=f"{name}: {webhook.name}",
                seen=f"failurePolicy Fail, and {problem}: the API server refuses all that it is asked about",
                rule="a webhook that refuses what it does not answer has a ready endpoint",
                remedy=(
                    f"kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={webhook.service}",
                    f"kubectl -n {namespace} get pods -o wide",
                    f"kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations {name}",
                ),
            )
    return looked_at(webhooks, "webhook")


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


@check("coredns", "Spread of CoreDNS")
def dns(facts: Facts, pods: tuple[Pod, ...], nodes: tuple[Node, ...]) -> Judging:
    """CoreDNS has replicas on several nodes, and in several zones where its nodes are in several."""
    zones = {node.name: node.labels.get(ZONE, "") for node in nodes}
    key, value = DNS_LABEL
    found = [
        pod
        for pod in pods
        if pod.namespace == DNS_NAMESPACE and pod.labels.get(key) == value and pod.deleted_at is None
    ]
    placed = [pod.node for pod in found if pod.node]
    used = {zones.get(node, "") for node in placed}
    # Of a node group's nodes: pools bring zones that CoreDNS does not run in.
    of_kind = {zones[node.name] for node in nodes if "eks.amazonaws.com/nodegroup" in node.labels}
    problem = ""
    if not found:
        problem = "" if facts.simulated else "no pod of it runs: no name is resolved"
    elif len(found) == 1:
        problem = "one replica: names are not resolved while it moves"
    elif len(placed) > 1 and len(set(placed)) == 1:
        problem = f"all {len(placed)} replicas are on node {placed[0]}"
    elif len(placed) > 1 and len(used) == 1 and len(of_kind | used) > 1:
        problem = f"all {len(placed)} replicas are in zone {next(iter(used))}"
    if problem:
        yield Finding(
            subject="CoreDNS",
            seen=problem,
            rule="CoreDNS has two replicas or more, on several nodes and in several zones: all names depend on it",
            remedy=(
                f"kubectl -n {DNS_NAMESPACE} get pods -l {key}={value} -o wide",
                f"kubectl -n {DNS_NAMESPACE} rollout restart deployment/coredns",
            ),
            severity="warning" if found else "critical",
        )
    told = f" on {format_count(len(set(placed)), 'node')} in {format_count(len(used), 'zone')}" if placed else ""
    return len(found), f"{format_count(len(found), 'replica')}{told}"


@check("probes-and-budgets", "Probes and budgets on Spot", "pods", "nodes", "services", "budgets")
def probes_and_budgets(facts: Facts, services: tuple[Service, ...], budgets: tuple[Budget, ...]) -> Judging:
    """What runs on Spot behind a Service says when it is ready; several replicas have a budget."""
    found = on_spot(facts)
    for workload in found:
        if problems := [*_unprobed(workload, services), *_unbudgeted(workload, budgets)]:
            yield Finding(
                subject=f"{workload.namespace}/{workload.name}",
                seen="; ".join(problems),
                rule="a pod on Spot is replaced often: a readiness probe keeps its Service from a pod that does not "
                "answer yet, a budget keeps drains from taking all replicas at once",
                remedy=workload.remedy,
                severity="warning",
            )
    single = sum(len(workload.ready) == 1 for workload in found)
    what = f"{format_count(len(found), 'workload')} on Spot{f', {single} of one replica' if single else ''}"
    return len(found), what


def _unprobed(workload: OnSpot, services: tuple[Service, ...]) -> list[str]:
    pod = next((pod for pod in workload.ready if pod.unprobed), None)
    behind = ", ".join(service.name for service in services_of(pod, services)) if pod else ""
    return [f"behind Service {behind}, and no readiness probe"] if behind else []


def _unbudgeted(workload: OnSpot, budgets: tuple[Budget, ...]) -> list[str]:
    if len(workload.ready) < 2 or any(map(workload.is_selected_by, budgets)):
        return []
    return [f"{len(workload.ready)} replicas, and no PodDisruptionBudget selects them"]
