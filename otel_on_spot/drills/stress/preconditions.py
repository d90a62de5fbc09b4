"""Preconditions of the stress drill, seen before anything is changed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from kubernetes.utils.quantity import parse_quantity

from otel_on_spot.drills.drill import Drill, DrillRefusedError
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import (
    APPLICATION,
    AUTOSCALER,
    CAPACITY_TYPE,
    DEPLOYMENT,
    HOSTNAME,
    INSTANCE_TYPE,
    NODE,
    NODE_POOL,
    POOL_LABEL,
    ZONE,
)
from otel_on_spot.waiting import wait_until

SYNCED_SECONDS: Final = 30
"""Seconds for an Application to be Synced before the drill begins: an earlier drill may just be undone."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The Deployment under stress. ``before``: replicas that Git declares. ``application``: what deploys it."""

    namespace: str
    name: str
    path: str
    selector: str
    before: int
    application: str
    template: Mapping[str, Any]

    @property
    def requests(self) -> tuple[Decimal, Decimal]:
        """(vCPUs, bytes) that one pod asks for."""
        containers = self.template["spec"].get("containers") or []
        requests = [(container.get("resources") or {}).get("requests") or {} for container in containers]
        cpu = sum((parse_quantity(request.get("cpu", 0)) for request in requests), Decimal(0))
        return cpu, sum((parse_quantity(request.get("memory", 0)) for request in requests), Decimal(0))

    @property
    def exclusive(self) -> bool:
        """True where two of its pods never share a node."""
        spec = self.template["spec"]
        spread = any(
            rule.get("topologyKey") == HOSTNAME and rule.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"
            for rule in spec.get("topologySpreadConstraints") or []
        )
        anti = ((spec.get("affinity") or {}).get("podAntiAffinity") or {}).get(
            "requiredDuringSchedulingIgnoredDuringExecution"
        ) or []
        return spread or any(term.get("topologyKey") == HOSTNAME for term in anti)


def workload(drill: Drill, namespace: str, name: str, replicas: int) -> Workload:
    """The Deployment, where the drill may begin on it.

    Args:
        drill: under way.
        namespace: of the Deployment.
        name: of the Deployment.
        replicas: to scale to.

    Raises:
        DrillRefusedError: it is not there, has as many replicas already, is scaled by an HPA, is not from Git, or
            differs from it.
    """
    api = drill.api
    path = DEPLOYMENT.path(namespace, name)
    found = api.get(path)
    if found is None:
        raise DrillRefusedError(
            f"there is no Deployment {name} in namespace {namespace}. Look: kubectl -n {namespace} get deployments; "
            "then give --deployment and --namespace"
        )
    _no_autoscaler(api, namespace, name)
    application = _application(drill, namespace, name)
    _synced(drill, application)
    found = api.get(path) or found
    before = found["spec"].get("replicas", 1)
    if replicas <= before:
        raise DrillRefusedError(
            f"--replicas {replicas}: {name} has {before} already. A stress drill scales up: give more than {before}"
        )
    labels = found["spec"]["selector"].get("matchLabels") or {}
    return Workload(
        namespace=namespace,
        name=name,
        path=path,
        selector=",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        before=before,
        application=application,
        template=found["spec"]["template"],
    )


def _no_autoscaler(api: Api, namespace: str, name: str) -> None:
    for autoscaler in api.list(AUTOSCALER.path(namespace)):
        target = autoscaler["spec"].get("scaleTargetRef") or {}
        if (target.get("kind"), target.get("name")) == ("Deployment", name):
            raise DrillRefusedError(
                f"HorizontalPodAutoscaler {autoscaler['metadata']['name']} owns the scale of Deployment {name}, and "
                "would undo the drill's. Choose another Deployment (--deployment), or raise minReplicas in Git instead"
            )


def _application(drill: Drill, namespace: str, name: str) -> str:
    declared = drill.declared
    for application in applications(drill):
        if application["spec"].get("project") != declared.project:
            continue
        for thing in (application.get("status") or {}).get("resources") or ():
            if (thing.get("kind"), thing.get("namespace"), thing.get("name")) == ("Deployment", namespace, name):
                return str(application["metadata"]["name"])
    raise DrillRefusedError(
        f"no Application of project {declared.project} deploys Deployment {namespace}/{name}: what it should be "
        f"afterwards is not known from Git. Look: kubectl -n {declared.argocd_namespace} get applications"
    )


def applications(drill: Drill) -> list[Object]:
    """Every Application, as Argo CD last saw it."""
    return list(drill.api.list(APPLICATION.path(drill.declared.argocd_namespace)))


def sync_status(drill: Drill, name: str) -> str:
    """``Synced``, ``OutOfSync`` or ``Unknown``, of an Application by its name."""
    return sync_of(drill.api.get(APPLICATION.path(drill.declared.argocd_namespace, name)) or {})


def sync_of(application: Object) -> str:
    """``Synced``, ``OutOfSync`` or ``Unknown``."""
    return str(((application.get("status") or {}).get("sync") or {}).get("status") or "Unknown")


def _synced(drill: Drill, application: str) -> None:
    if not wait_until(lambda: sync_status(drill, application) == "Synced", SYNCED_SECONDS, every=1.0):
        raise DrillRefusedError(
            f"Application {application} is {sync_status(drill, application)}: the cluster differs from Git before the "
            "drill begins, so afterwards nobody could tell. Wait for its sync, or see otel-on-spot doctor "
            f"--stack {drill.declared.stack} --only applications"
        )


@dataclass(frozen=True, kw_only=True)
class Headroom:
    """Room for the pods to come. ``short``: what the pools' limits lack, or nothing. ``nodes``: about how many more.

    ``like``: capacity type, instance type and zone of the node that they are taken to be like.
    """

    short: str
    nodes: int | None
    like: tuple[str, str, str] | None


def headroom(drill: Drill, work: Workload, replicas: int) -> Headroom:
    """Room for the pods under the limits of the pools that they may use, and about how many nodes they need."""
    more = replicas - work.before
    pools = [pool for pool in drill.api.list(NODE_POOL.path()) if _may_use(work, pool)]
    cpu, memory = work.requests
    lacks = []
    for resource, request, unit in (("cpu", cpu, Decimal(1)), ("memory", memory, Decimal(2**30))):
        free = _free(pools, resource)
        if free is not None and request * more > free:
            what = "vCPU" if resource == "cpu" else "GiB"
            lacks.append(f"{(request * more - free) / unit:.1f} {what} of {request * more / unit:.1f}")
    nodes, like = _nodes(drill, work, {pool["metadata"]["name"] for pool in pools}, more)
    names = ", ".join(sorted(pool["metadata"]["name"] for pool in pools)) or "none"
    short = f"{more} more pods lack {' and '.join(lacks)} under the limits of the pools ({names})" if lacks else ""
    return Headroom(short=short, nodes=nodes, like=like)


def _may_use(work: Workload, pool: Object) -> bool:
    spec = work.template["spec"]
    selector = spec.get("nodeSelector") or {}
    inside = pool["spec"]["template"]["spec"]
    if selector.get(POOL_LABEL, pool["metadata"]["name"]) != pool["metadata"]["name"]:
        return False
    kinds = next(
        (rule.get("values") for rule in inside.get("requirements") or [] if rule["key"] == CAPACITY_TYPE),
        None,
    )
    wanted = selector.get(CAPACITY_TYPE)
    if wanted and kinds and wanted not in kinds:
        return False
    tolerated = {toleration.get("key") for toleration in spec.get("tolerations") or []}
    return None in tolerated or all(taint["key"] in tolerated for taint in inside.get("taints") or [])


def _free(pools: list[Object], resource: str) -> Decimal | None:
    """Room below the limits of all of them; None where one has no limit."""
    left = Decimal(0)
    for pool in pools:
        limit = (pool["spec"].get("limits") or {}).get(resource)
        if limit is None:
            return None
        used = ((pool.get("status") or {}).get("resources") or {}).get(resource, "0")
        left += max(Decimal(0), parse_quantity(limit) - parse_quantity(used))
    return left


def _nodes(drill: Drill, work: Workload, pools: set[str], more: int) -> tuple[int | None, tuple[str, str, str] | None]:
    """(how many nodes, their capacity type, instance type and zone) as if they were like the smallest that is there."""
    there = [
        node for node in drill.api.list(NODE.path()) if (node["metadata"].get("labels") or {}).get(POOL_LABEL) in pools
    ]
    if not there:
        return None, None
    smallest = min(there, key=lambda node: parse_quantity(node["status"]["allocatable"]["cpu"]))
    labels, size = smallest["metadata"]["labels"], smallest["status"]["allocatable"]
    cpu, memory = work.requests
    fit = parse_quantity(size.get("pods", "110"))
    fit = min(
        [fit, *(parse_quantity(size[key]) / request for key, request in (("cpu", cpu), ("memory", memory)) if request)]
    )
    nodes = more if work.exclusive else math.ceil(more / max(1, int(fit)))
    keys = (CAPACITY_TYPE, INSTANCE_TYPE, ZONE)
    return nodes, (labels.get(keys[0], ""), labels.get(keys[1], ""), labels.get(keys[2], ""))
