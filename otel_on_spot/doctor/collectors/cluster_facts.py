"""Facts of the cluster's own kinds: nodes, pods, budgets, volumes, services, and who may join."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import yaml

from otel_on_spot.doctor.facts_kubernetes import (
    AwsAuth,
    Budget,
    Condition,
    Node,
    PersistentVolume,
    Pod,
    RoleMapping,
    Service,
    Terminating,
)
from otel_on_spot.drills.kubernetes_api import Api, Object
from otel_on_spot.kubernetes.names import CONFIG_MAP, DISRUPTION_BUDGET, POD, SERVICE

EBS: Final = "ebs.csi.aws.com"
ENDED: Final = ("Succeeded", "Failed")


def moment(text: str | None) -> datetime | None:
    """A time of the Kubernetes API."""
    return datetime.fromisoformat(text) if text else None


def conditions(thing: Object) -> tuple[Condition, ...]:
    """Status conditions of an object. Argo CD's have no status: one that is there holds."""
    return tuple(
        Condition(
            type=one["type"],
            status=one.get("status") or "True",
            reason=one.get("reason") or "",
            message=one.get("message") or "",
            since=moment(one.get("lastTransitionTime")),
        )
        for one in (thing.get("status") or {}).get("conditions") or []
    )


def aws_auth(api: Api) -> tuple[AwsAuth, ...]:
    """The ``aws-auth`` ConfigMap, where there is one."""
    found = api.get(CONFIG_MAP.path("kube-system", "aws-auth"))
    return () if found is None else (_aws_auth((found.get("data") or {}).get("mapRoles") or ""),)


def _aws_auth(text: str) -> AwsAuth:
    try:
        listed = yaml.safe_load(text) or []
        return AwsAuth(
            mappings=tuple(
                RoleMapping(
                    role_arn=str(one["rolearn"]),
                    username=str(one.get("username") or ""),
                    groups=tuple(map(str, one.get("groups") or ())),
                )
                for one in listed
            )
        )
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as problem:
        return AwsAuth(mappings=(), problem=" ".join(f"{type(problem).__name__}: {problem}".split())[:160])


def nodes(things: Iterable[Object]) -> tuple[Node, ...]:
    """Every node."""
    return tuple(map(_node, things))


def _node(thing: Object) -> Node:
    ready = next((one for one in conditions(thing) if one.type == "Ready"), None)
    provider = (thing.get("spec") or {}).get("providerID") or ""
    return Node(
        name=thing["metadata"]["name"],
        instance_id=provider.rpartition("/")[2] if provider.startswith("aws://") else "",
        labels=thing["metadata"].get("labels") or {},
        ready=ready is not None and ready.status == "True",
        since=ready.since if ready else None,
    )


def pods(api: Api, **query: str) -> tuple[Pod, ...]:
    """Every pod that has not ended. ``query``: ``fieldSelector`` and the like."""
    found = api.list(POD.path(), **query)
    return tuple(_pod(one) for one in found if (one.get("status") or {}).get("phase") not in ENDED)


def _pod(thing: Object) -> Pod:
    metadata, spec = thing["metadata"], thing["spec"]
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        node=spec.get("nodeName") or "",
        phase=(thing.get("status") or {}).get("phase") or "",
        owner=_owner(metadata),
        claims=tuple(
            volume["persistentVolumeClaim"]["claimName"]
            for volume in spec.get("volumes") or []
            if volume.get("persistentVolumeClaim")
        ),
        selector=spec.get("nodeSelector") or {},
        required=tuple(affinity.get("nodeSelectorTerms") or ()),
    )


def _owner(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """(kind, name) of the workload: a ReplicaSet's name is its Deployment's and the hash that the pod's label repeats."""
    owner = next((one for one in metadata.get("ownerReferences") or [] if one.get("controller")), None)
    if owner is None:
        return "Pod", metadata["name"]
    template = (metadata.get("labels") or {}).get("pod-template-hash")
    if owner["kind"] == "ReplicaSet" and template and owner["name"].endswith(f"-{template}"):
        return "Deployment", owner["name"].removesuffix(f"-{template}")
    return owner["kind"], owner["name"]


def budgets(api: Api) -> tuple[Budget, ...]:
    """Every PodDisruptionBudget."""
    return tuple(map(_budget, api.list(DISRUPTION_BUDGET.path())))


def _budget(thing: Object) -> Budget:
    spec, status = thing.get("spec") or {}, thing.get("status") or {}
    allowed = next((one for one in conditions(thing) if one.type == "DisruptionAllowed"), None)

    def given(key: str) -> str:
        return "" if spec.get(key) is None else str(spec[key])

    return Budget(
        namespace=thing["metadata"]["namespace"],
        name=thing["metadata"]["name"],
        max_unavailable=given("maxUnavailable"),
        min_available=given("minAvailable"),
        expected=status.get("expectedPods") or 0,
        healthy=status.get("currentHealthy") or 0,
        desired=status.get("desiredHealthy") or 0,
        allowed=status.get("disruptionsAllowed") or 0,
        allowed_since=allowed.since if allowed else None,
    )


def persistent_volumes(things: Iterable[Object]) -> tuple[PersistentVolume, ...]:
    """Every PersistentVolume."""

    def volume_id(spec: Object) -> str:
        if (spec.get("csi") or {}).get("driver") == EBS:
            return spec["csi"]["volumeHandle"]
        return ((spec.get("awsElasticBlockStore") or {}).get("volumeID") or "").rpartition("/")[2]

    return tuple(PersistentVolume(name=one["metadata"]["name"], volume_id=volume_id(one["spec"])) for one in things)


def services(api: Api) -> tuple[Service, ...]:
    """Every Service of type LoadBalancer."""
    return tuple(
        Service(namespace=one["metadata"]["namespace"], name=one["metadata"]["name"])
        for one in api.list(SERVICE.path())
        if one["spec"].get("type") == "LoadBalancer"
    )


def terminating(thing: Object, kind: str) -> Terminating | None:
    """The object as one whose deletion was asked for; None when it was not."""
    metadata = thing["metadata"]
    since = moment(metadata.get("deletionTimestamp"))
    if since is None:
        return None
    told = [one.message for one in conditions(thing) if one.message and one.status == "True"]
    own = (thing.get("spec") or {}).get("finalizers") or [] if kind == "Namespace" else []
    return Terminating(
        kind=kind,
        namespace=metadata.get("namespace") or "",
        name=metadata["name"],
        since=since,
        finalizers=(*(metadata.get("finalizers") or ()), *own),
        message="; ".join(told)[:300],
    )
