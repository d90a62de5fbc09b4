"""Both halves at once: which task collects which group."""

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

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
OF_CLUSTER: Final = frozenset(("access_entries", "pod_identities", "addons", "node_groups", "insights"))
"""Groups of which there is nothing where there is no cluster."""


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
    """A task per group of the AWS half: its collector's; all of them fail alike where AWS cannot be asked at all.

    A collector has the name of its group, and parameters by the name of what they are given: the stack's declaration,
    the facts of other groups, a service for its client, or ``client``, which makes any.
    """
    why = why_no_aws(target)
    if why:
        return dict.fromkeys(AWS_GROUPS, _failing(f"{AWS}: {why}"))

    def task(group: str) -> Task:
        collector = getattr(aws, group)
        parameters = inspect.signature(collector).parameters.values()
        wanted = [parameter.name for parameter in parameters if parameter.default is parameter.empty]

        def collected(gathered: Gathered) -> Any:
            if group in OF_CLUSTER and gathered.wait("clusters") == ():
                return ()
            known = {"declared": target.declared, "gathered": gathered, "client": target.aws}
            return collector(*(known[name] if name in known else target.aws(name.replace("_", "-")) for name in wanted))

        return collected

    return {group: task(group) for group in AWS_GROUPS}


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
        return dict.fromkeys(KUBERNETES_GROUPS, _failing(f"{KUBERNETES}: {target.why_no_cluster}"))
    try:
        api.require()
    except UnreachableError as problem:
        return dict.fromkeys(KUBERNETES_GROUPS, _failing(f"{KUBERNETES}: {problem}"))
    lists, declared = SharedLists(api), target.declared
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
