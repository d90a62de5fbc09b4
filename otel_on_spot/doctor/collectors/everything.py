"""Both halves at once: which task collects which group."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from otel_on_spot.declared import Declared
from otel_on_spot.doctor.collectors import (
    argocd_facts,
    cluster_facts,
    ec2_facts,
    identity_facts,
    interruption_facts,
    karpenter_facts,
)
from otel_on_spot.doctor.collectors.gathering import Gathered, Progress, Task, gather
from otel_on_spot.doctor.collectors.shared_lists import SharedLists
from otel_on_spot.doctor.facts import AWS_GROUPS, KUBERNETES_GROUPS, Facts
from otel_on_spot.drills.kubernetes_api import Api
from otel_on_spot.failures import UnreachableError, reason
from otel_on_spot.target import Target

AWS: Final = "AWS"
KUBERNETES: Final = "Kubernetes"
SERVICES: Final = ("sts", "eks", "iam", "ec2", "sqs", "events", "cloudwatch", "resourcegroupstaggingapi")


def collect(target: Target, progress: Progress) -> tuple[Facts, int]:
    """Facts of a platform, and how many requests its API server got for them. What cannot be seen is in ``Facts.unseen``."""
    api = None if target.cluster_api is None else Api(target.cluster_api)
    facts, unseen = gather({**aws_tasks(target), **kubernetes_tasks(target, api)}, progress)
    seen = Facts(
        taken_at=datetime.now(UTC), declared=target.declared, simulated=target.simulated, unseen=unseen, **facts
    )
    return seen, api.requests if api else 0


def aws_tasks(target: Target) -> dict[str, Task]:
    """A task per group of the AWS half; all of them fail alike where AWS cannot be asked at all."""
    why = why_no_aws(target)
    if why:
        return {group: _failing(f"{AWS}: {why}") for group in AWS_GROUPS}
    client = {service: target.aws(service) for service in SERVICES}
    declared = target.declared
    return {
        "clusters": _alone(identity_facts.clusters, client["eks"], declared),
        "cluster_names": _alone(_cluster_names, client["eks"]),
        "access_entries": identity_facts.access_entries(client["eks"], declared),
        "pod_identities": identity_facts.pod_identities(client["eks"], declared),
        "addons": identity_facts.addons(client["eks"], declared),
        "roles": identity_facts.roles(client["iam"], declared),
        "instance_profiles": identity_facts.instance_profiles(client["iam"], declared),
        "spot_roles": _alone(identity_facts.spot_roles, client["iam"]),
        "subnets": ec2_facts.subnets(client["ec2"], declared),
        "security_groups": ec2_facts.security_groups(client["ec2"], declared),
        "instances": _alone(ec2_facts.instances, client["ec2"]),
        "volumes": _alone(ec2_facts.volumes, client["ec2"]),
        "load_balancers": _alone(ec2_facts.load_balancers, client["resourcegroupstaggingapi"]),
        "interfaces": _alone(ec2_facts.interfaces, client["ec2"]),
        "queues": interruption_facts.queues(client["sqs"], client["cloudwatch"], declared),
        "rules": _alone(interruption_facts.rules, client["events"], declared),
    }


def why_no_aws(target: Target) -> str:
    """Why AWS cannot be asked; empty where it can. One call, which needs no permission."""
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
        "aws_auth": _alone(cluster_facts.aws_auth, api),
        "nodes": lambda _: cluster_facts.nodes(lists.of("Node")),
        "pods": _alone(cluster_facts.pods, api),
        "budgets": _alone(cluster_facts.budgets, api),
        "controllers": _alone(karpenter_facts.controllers, api, declared),
        "custom_kinds": _alone(karpenter_facts.custom_kinds, api),
        "node_classes": lambda _: karpenter_facts.node_classes(lists.of("EC2NodeClass")),
        "node_pools": lambda _: karpenter_facts.node_pools(lists.of("NodePool")),
        "node_claims": lambda _: karpenter_facts.node_claims(lists.of("NodeClaim")),
        "applications": lambda _: argocd_facts.applications(lambda: lists.again("Application")),
        "projects": lambda _: argocd_facts.projects(lists.of("AppProject")),
        "drill_leases": _alone(argocd_facts.drill_leases, api, declared),
        "persistent_volumes": lambda _: cluster_facts.persistent_volumes(lists.of("PersistentVolume")),
        "services": _alone(cluster_facts.services, api),
        "terminating": lambda _: lists.all_terminating(),
    }


def _cluster_names(eks: Any) -> tuple[str, ...]:
    return tuple(str(one) for one in ec2_facts.pages(eks, "list_clusters", "clusters"))


def _alone(act: Callable[..., Any], *arguments: Any) -> Task:
    """A task that needs no other group."""

    def task(_: Gathered) -> Any:
        return act(*arguments)

    return task


def _failing(why: str) -> Task:
    def task(_: Gathered) -> Any:
        raise UnreachableError(why)

    return task
