"""Both halves at once: which task collects which group."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from otel_on_spot.declared import Declared
from otel_on_spot.doctor.collectors import aws, kubernetes
from otel_on_spot.doctor.collectors.gathering import Gathered, Progress, Task, gather
from otel_on_spot.doctor.collectors.kubernetes import SharedLists
from otel_on_spot.doctor.facts import AWS_GROUPS, KUBERNETES_GROUPS, Facts
from otel_on_spot.failures import UnreachableError, reason
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.names import (
    APPLICATION,
    NODE,
    NODE_CLAIM,
    NODE_CLASS,
    NODE_POOL,
    PERSISTENT_VOLUME,
    PROJECT,
)
from otel_on_spot.target import Target

AWS: Final = "AWS"
KUBERNETES: Final = "Kubernetes"


def collect(target: Target, progress: Progress) -> tuple[Facts, int]:
    """Facts of a platform, and the number of requests that its API server got for them.

    ``Facts.unknown`` says which groups could not be read, and why.
    """
    api = None if target.cluster_api is None else Api(target.cluster_api)
    with ThreadPoolExecutor(1) as pool:
        of_kubernetes = pool.submit(kubernetes_tasks, target, api)
        tasks = {**aws_tasks(target), **of_kubernetes.result()}
    facts, unknown = gather(tasks, progress)
    seen = Facts(
        taken_at=datetime.now(UTC), declared=target.declared, simulated=target.simulated, unknown=unknown, **facts
    )
    return seen, api.requests if api else 0


def aws_tasks(target: Target) -> dict[str, Task]:
    """A task per group of the AWS half; all of them fail alike where AWS cannot be asked at all."""
    why = why_no_aws(target)
    if why:
        return {group: _failing(f"{AWS}: {why}") for group in AWS_GROUPS}
    declared = target.declared

    def alone(act: Callable[..., Any], service: str, *arguments: Any) -> Task:
        return lambda _gathered: act(target.aws(service), *arguments)

    def after_others(act: Callable[..., Any], *services: str) -> Task:
        return lambda gathered: act(*map(target.aws, services), declared, gathered)

    def of_cluster(task: Task) -> Task:
        return lambda gathered: () if gathered.wait("clusters") == () else task(gathered)

    return {
        "clusters": alone(aws.clusters, "eks", declared),
        "cluster_names": alone(aws.cluster_names, "eks"),
        "access_entries": of_cluster(after_others(aws.access_entries, "eks")),
        "pod_identities": of_cluster(alone(aws.pod_identities, "eks", declared)),
        "kubernetes_versions": lambda gathered: aws.kubernetes_versions(target.aws("eks"), gathered),
        "addons": of_cluster(alone(aws.addons, "eks", declared)),
        "node_groups": of_cluster(alone(aws.node_groups, "eks", declared)),
        "insights": of_cluster(alone(aws.insights, "eks", declared)),
        "roles": after_others(aws.roles, "iam"),
        "instance_profiles": after_others(aws.instance_profiles, "iam"),
        "spot_roles": alone(aws.spot_roles, "iam"),
        "subnets": after_others(aws.subnets, "ec2"),
        "security_groups": after_others(aws.security_groups, "ec2"),
        "instances": alone(aws.instances, "ec2"),
        "volumes": alone(aws.volumes, "ec2"),
        "load_balancers": _alone(aws.load_balancers, target.aws),
        "interfaces": alone(aws.interfaces, "ec2"),
        "queues": after_others(aws.queues, "sqs", "cloudwatch"),
        "encryption_keys": lambda gathered: aws.encryption_keys(partial(target.aws, "kms"), gathered),
        "rules": alone(aws.rules, "events", declared),
        "quotas": alone(aws.quotas, "service-quotas"),
    }


def why_no_aws(target: Target) -> str:
    """Reason why AWS cannot be asked; empty where it can. One call, which needs no permission."""
    try:
        target.aws("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as problem:
        return reason(problem)
    return ""


def kubernetes_tasks(target: Target, api: Api | None) -> dict[str, Task]:
    """A task per group of the Kubernetes half; all of them fail alike where the API cannot be reached."""
    if api is None:
        return {group: _failing(f"{KUBERNETES}: {target.why_no_cluster}") for group in KUBERNETES_GROUPS}
    try:
        api.require()
    except UnreachableError as problem:
        return {group: _failing(f"{KUBERNETES}: {problem}") for group in KUBERNETES_GROUPS}
    return _kubernetes_tasks(api, SharedLists(api), target.declared)


def _kubernetes_tasks(api: Api, lists: SharedLists, declared: Declared) -> dict[str, Task]:
    return {
        "aws_auth": _alone(kubernetes.aws_auth, api),
        "nodes": _alone(lists.parsed, NODE),
        "pods": _alone(kubernetes.pods, api),
        "budgets": _alone(kubernetes.budgets, api),
        "controllers": _alone(kubernetes.controllers, api, declared),
        "custom_kinds": _alone(kubernetes.custom_kinds, api),
        "node_classes": _alone(lists.parsed, NODE_CLASS),
        "node_pools": _alone(lists.parsed, NODE_POOL),
        "node_claims": _alone(lists.parsed, NODE_CLAIM),
        "applications": _alone(kubernetes.applications, partial(lists.of, APPLICATION, again=True)),
        "projects": _alone(lists.parsed, PROJECT),
        "drill_leases": _alone(kubernetes.drill_leases, api, declared),
        "persistent_volumes": _alone(lists.parsed, PERSISTENT_VOLUME),
        "services": _alone(kubernetes.services, api),
        "webhooks": _alone(kubernetes.webhooks, api),
        "claim_events": _alone(kubernetes.claim_events, api),
        "terminating": _alone(lists.terminating),
    }


def _alone(act: Callable[..., Any], *arguments: Any) -> Task:
    """A task that needs no other group."""
    return lambda _gathered: act(*arguments)


def _failing(why: str) -> Task:
    def task(_: Gathered) -> Any:
        raise UnreachableError(why)

    return task
