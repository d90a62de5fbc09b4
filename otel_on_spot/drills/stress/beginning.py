"""What the stress drill finds before it changes anything, and why it may not begin."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from kubernetes.utils.quantity import parse_quantity

from otel_on_spot.drills.drill import Drill, DrillRefused
from otel_on_spot.drills.kubernetes_api import Api, Object
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

SYNCED_SECONDS: Final = 30
"""How long an Application may take to be Synced before the drill begins: what an earlier drill left was just put back."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The Deployment under stress. ``before``: replicas that Git declares. ``application``: the Application that deploys it."""

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
        asked = [
            (one.get("resources") or {}).get("requests") or {} for one in self.template["spec"].get("containers") or []
        ]
        cpu = sum((parse_quantity(one.get("cpu", 0)) for one in asked), Decimal(0))
        return cpu, sum((parse_quantity(one.get("memory", 0)) for one in asked), Decimal(0))

    @property
    def one_a_node(self) -> bool:
        """Whether two of its pods never share a node."""
        spec = self.template["spec"]
        spread = any(
            one.get("topologyKey") == HOSTNAME and one.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"
            for one in spec.get("topologySpreadConstraints") or []
        )
        anti = ((spec.get("affinity") or {}).get("podAntiAffinity") or {}).get(
            "requiredDuringSchedulingIgnoredDuringExecution"
        ) or []
        return spread or any(one.get("topologyKey") == HOSTNAME for one in anti)


def workload(drill: Drill, namespace: str, name: str, replicas: int) -> Workload:
    """The Deployment, when the drill may begin on it.

    Raises:
        DrillRefused: it is not there, has as many replicas already, is scaled by an HPA, is not from Git, or differs from it.
    """
    api = drill.api
    path = DEPLOYMENT.path(namespace, name)
    found = api.get(path)
    if found is None:
        raise DrillRefused(
            f"there is no Deployment {name} in namespace {namespace}. Look: kubectl -n {namespace} get deployments; "
            "then give --deployment and --namespace"
        )
    _no_autoscaler(api, namespace, name)
    application = _application(drill, namespace, name)
    _synced(drill, application)
    found = api.get(path) or found
    before = found["spec"].get("replicas", 1)
    if replicas <= before:
        raise DrillRefused(
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
    for one in api.list(AUTOSCALER.path(namespace)):
        target = one["spec"].get("scaleTargetRef") or {}
        if (target.get("kind"), target.get("name")) == ("Deployment", name):
            raise DrillRefused(
                f"HorizontalPodAutoscaler {one['metadata']['name']} owns the scale of Deployment {name}, and would undo the drill's. "
                "Choose another Deployment (--deployment), or raise the autoscaler's minReplicas in Git instead"
            )


def _application(drill: Drill, namespace: str, name: str) -> str:
    declared = drill.declared
    for one in applications(drill):
        if one["spec"].get("project") != declared.project:
            continue
        for thing in (one.get("status") or {}).get("resources") or ():
            if (thing.get("kind"), thing.get("namespace"), thing.get("name")) == ("Deployment", namespace, name):
                return str(one["metadata"]["name"])
    raise DrillRefused(
        f"no Application of project {declared.project} deploys Deployment {namespace}/{name}: what it should be afterwards is "
        f"not known from Git. Look: kubectl -n {declared.argocd_namespace} get applications"
    )


def applications(drill: Drill) -> list[Object]:
    """Every Application, as Argo CD last saw it."""
    return list(drill.api.list(APPLICATION.path(drill.declared.argocd_namespace)))


def sync_status(drill: Drill, name: str) -> str:
    """``Synced``, ``OutOfSync`` or ``Unknown``."""
    found = drill.api.get(APPLICATION.path(drill.declared.argocd_namespace, name)) or {}
    return str(((found.get("status") or {}).get("sync") or {}).get("status") or "Unknown")


def _synced(drill: Drill, application: str) -> None:
    end = time.monotonic() + SYNCED_SECONDS
    while (status := sync_status(drill, application)) != "Synced":
        if time.monotonic() > end:
            raise DrillRefused(
                f"Application {application} is {status}: the cluster differs from Git before the drill begins, so afterwards nobody "
                f"could tell. Wait for its sync, or see otel-on-spot doctor --stack {drill.declared.stack} --only applications"
            )
        time.sleep(1.0)


@dataclass(frozen=True, kw_only=True)
class Room:
    """What the pods to come need. ``short``: how much the pools' limits lack, empty where they have it. ``nodes``: about how many more."""

    short: str
    nodes: int | None
    like: tuple[str, str, str] | None


def room(drill: Drill, work: Workload, replicas: int) -> Room:
    """Whether the limits of the pools that the pods may use have room for them, and about how many nodes they need."""
    more = replicas - work.before
    pools = [one for one in drill.api.list(NODE_POOL.path()) if _may_use(work, one)]
    cpu, memory = work.requests
    lacks = []
    for resource, each, unit in (("cpu", cpu, Decimal(1)), ("memory", memory, Decimal(2**30))):
        free = _free(pools, resource)
        if free is not None and each * more > free:
            what = "vCPU" if resource == "cpu" else "GiB"
            lacks.append(f"{(each * more - free) / unit:.1f} {what} of {each * more / unit:.1f}")
    nodes, like = _nodes(drill, work, {one["metadata"]["name"] for one in pools}, more)
    names = ", ".join(sorted(one["metadata"]["name"] for one in pools)) or "none"
    short = f"{more} more pods lack {' and '.join(lacks)} under the limits of the pools ({names})" if lacks else ""
    return Room(short=short, nodes=nodes, like=like)


def _may_use(work: Workload, pool: Object) -> bool:
    spec = work.template["spec"]
    selector = spec.get("nodeSelector") or {}
    inside = pool["spec"]["template"]["spec"]
    if selector.get(POOL_LABEL, pool["metadata"]["name"]) != pool["metadata"]["name"]:
        return False
    kinds = next(
        (one.get("values") for one in inside.get("requirements") or [] if one["key"] == CAPACITY_TYPE),
        None,
    )
    wanted = selector.get(CAPACITY_TYPE)
    if wanted and kinds and wanted not in kinds:
        return False
    tolerated = {one.get("key") for one in spec.get("tolerations") or []}
    return None in tolerated or all(one["key"] in tolerated for one in inside.get("taints") or [])


def _free(pools: list[Object], resource: str) -> Decimal | None:
    """What is left below the limits of all of them; None where one has no limit."""
    left = Decimal(0)
    for one in pools:
        limit = (one["spec"].get("limits") or {}).get(resource)
        if limit is None:
            return None
        used = ((one.get("status") or {}).get("resources") or {}).get(resource, "0")
        left += max(Decimal(0), parse_quantity(limit) - parse_quantity(used))
    return left


def _nodes(drill: Drill, work: Workload, pools: set[str], more: int) -> tuple[int | None, tuple[str, str, str] | None]:
    """(how many nodes, their capacity type, instance type and zone) as if they were like the smallest that is there."""
    there = [
        one for one in drill.api.list(NODE.path()) if (one["metadata"].get("labels") or {}).get(POOL_LABEL) in pools
    ]
    if not there:
        return None, None
    smallest = min(there, key=lambda one: parse_quantity(one["status"]["allocatable"]["cpu"]))
    labels, size = smallest["metadata"]["labels"], smallest["status"]["allocatable"]
    cpu, memory = work.requests
    fit = parse_quantity(size.get("pods", "110"))
    fit = min([fit, *(parse_quantity(size[key]) / each for key, each in (("cpu", cpu), ("memory", memory)) if each)])
    nodes = more if work.one_a_node else math.ceil(more / max(1, int(fit)))
    keys = (CAPACITY_TYPE, INSTANCE_TYPE, ZONE)
    return nodes, (labels.get(keys[0], ""), labels.get(keys[1], ""), labels.get(keys[2], ""))
