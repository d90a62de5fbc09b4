"""Facts of the cluster. Quantities are in Kubernetes' own notation; times carry a zone."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AliasChoices, AliasPath, Field

from otel_on_spot.doctor.fact import Fact, at, computed
from otel_on_spot.drill_lease import DURATION_SECONDS, NAME, PREFIX
from otel_on_spot.kubernetes.names import APP_VERSION, CAPACITY_TYPE, DO_NOT_DISRUPT, EBS_DRIVER, POOL_LABEL
from otel_on_spot.spot_arithmetic import DEFAULT_GRACE_SECONDS

Labels = Mapping[str, str]
QUEUE_VARIABLE: Final = "INTERRUPTION_QUEUE"
"""Name of the controller's variable that holds the queue. Source: https://karpenter.sh/v1.14/reference/settings/"""
TEXT_LIMIT: Final = 300
"""Characters of a message that are recorded."""
OUT_OF_SYNC_LIMIT: Final = 5
"""Objects of an Application that are named."""


def _condition(conditions: Iterable[Mapping[str, Any]], kind: str) -> Mapping[str, Any]:
    return next((condition for condition in conditions if condition["type"] == kind), {})


def _since(kind: str) -> Any:
    """Time at which the condition of that type last changed."""
    return computed(lambda conditions: _condition(conditions, kind).get("lastTransitionTime"), list)


def _instance_id(provider_id: str) -> str:
    """Id out of ``aws:///eu-west-1a/i-0123``; empty for a node of another provider."""
    scheme, separator, rest = provider_id.rpartition("://")
    return provider_id if not separator else rest.rpartition("/")[2] if scheme == "aws" else ""


Ready = Annotated[
    bool,
    at("status", "conditions"),
    computed(lambda conditions: _condition(conditions, "Ready").get("status") == "True", list),
]
Name = Annotated[str, at("metadata", "name")]
Namespace = Annotated[str, at("metadata", "namespace")]
DeletedAt = Annotated[datetime | None, at("metadata", "deletionTimestamp")]
CreatedAt = Annotated[datetime | None, at("metadata", "creationTimestamp")]
InstanceId = Annotated[str, computed(_instance_id, str)]
ShortText = Annotated[str, computed(lambda text: text[:TEXT_LIMIT], str)]


@dataclass(frozen=True, kw_only=True)
class Condition(Fact):
    """A status condition. Argo CD's have no status: one that is there holds."""

    type: str
    status: str = "True"
    reason: str = ""
    message: str = ""
    since: Annotated[datetime | None, at("lastTransitionTime")] = None


Conditions = Annotated[tuple[Condition, ...], at("status", "conditions")]


@dataclass(frozen=True, kw_only=True)
class RoleMapping(Fact):
    """An entry of ``mapRoles``."""

    role_arn: Annotated[str, at("rolearn")]
    username: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AwsAuth(Fact):
    """The ``aws-auth`` ConfigMap. ``problem`` says why ``mapRoles`` cannot be read; empty where it can."""

    mappings: tuple[RoleMapping, ...]
    problem: str = ""


def _protected(annotations: Mapping[str, str]) -> bool:
    """True where Karpenter is told to leave it: "true", or for a duration; "false" is no protection.

    Source: https://karpenter.sh/v1.14/concepts/disruption/#pod-level-controls
    """
    return annotations.get(DO_NOT_DISRUPT, "false") != "false"


Protected = Annotated[bool, at("metadata", "annotations"), computed(_protected, dict)]


@dataclass(frozen=True, kw_only=True)
class Node(Fact):
    """A node. ``instance_id`` comes from its provider id and is empty where it has none.

    ``kubelet``: version of its kubelet; ``protected``: Karpenter is told not to disrupt it.
    """

    name: Name
    deleted_at: DeletedAt = None
    instance_id: Annotated[InstanceId, at("spec", "providerID")] = ""
    labels: Annotated[Labels, at("metadata", "labels")] = field(default_factory=dict)
    ready: Ready = False
    since: Annotated[datetime | None, at("status", "conditions"), _since("Ready")] = None
    conditions: Conditions = ()
    kubelet: Annotated[str, at("status", "nodeInfo", "kubeletVersion")] = ""
    protected: Protected = False


def _owner(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """(kind, name) of the workload: a ReplicaSet's name is its Deployment's and the hash in the pod's label."""
    owner = next(
        (reference for reference in metadata.get("ownerReferences") or [] if reference.get("controller")), None
    )
    if owner is None:
        return "Pod", metadata["name"]
    template = (metadata.get("labels") or {}).get("pod-template-hash")
    if owner["kind"] == "ReplicaSet" and template and owner["name"].endswith(f"-{template}"):
        return "Deployment", owner["name"].removesuffix(f"-{template}")
    return owner["kind"], owner["name"]


def _claims(volumes: Iterable[Mapping[str, Any]]) -> list[str]:
    return [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if volume.get("persistentVolumeClaim")]


def _pre_stop(containers: Iterable[Mapping[str, Any]]) -> int:
    """Seconds that the longest preStop sleeps: by its ``sleep``, or by a command that sleeps; others are not known."""
    longest = 0
    for container in containers:
        hook = (container.get("lifecycle") or {}).get("preStop") or {}
        command = " ".join((hook.get("exec") or {}).get("command") or ())
        slept = re.search(r"\bsleep ['\"]?(\d+)\b", command)
        longest = max(longest, int((hook.get("sleep") or {}).get("seconds") or (slept[1] if slept else 0)))
    return longest


def _unprobed(containers: Iterable[Mapping[str, Any]]) -> bool:
    """True where no container has a readiness probe: then a pod is Ready as soon as it runs."""
    return not any(container.get("readinessProbe") for container in containers)


@dataclass(frozen=True, kw_only=True)
class Pod(Fact):
    """A pod that has not ended. ``owner`` is (kind, name) of its workload: Deployment, StatefulSet, DaemonSet, Job, ...

    ``deleted_at``: when its deletion was asked for; ``claims``: names of its volume claims; ``selector`` and
    ``required``: its node selector and required affinity; ``pre_stop_seconds`` and ``grace_seconds``: how it ends;
    ``unprobed``: no container of it has a readiness probe; ``protected``: Karpenter is told not to disrupt it.
    """

    namespace: Namespace
    name: Name
    created_at: CreatedAt = None
    deleted_at: DeletedAt = None
    node: Annotated[str, at("spec", "nodeName")] = ""
    phase: Annotated[str, at("status", "phase")] = ""
    owner: Annotated[tuple[str, str], at("metadata"), computed(_owner, dict)]
    labels: Annotated[Labels, at("metadata", "labels")] = field(default_factory=dict)
    ready: Ready = False
    pre_stop_seconds: Annotated[int, at("spec", "containers"), computed(_pre_stop, list)] = 0
    grace_seconds: Annotated[int, at("spec", "terminationGracePeriodSeconds")] = DEFAULT_GRACE_SECONDS
    unprobed: Annotated[bool, at("spec", "containers"), computed(_unprobed, list)] = False
    protected: Protected = False
    claims: Annotated[tuple[str, ...], at("spec", "volumes"), computed(_claims, list)] = ()
    selector: Annotated[Labels, at("spec", "nodeSelector")] = field(default_factory=dict)
    required: Annotated[
        tuple[Mapping[str, Any], ...],
        at("spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"),
    ] = ()


@dataclass(frozen=True, kw_only=True)
class Budget(Fact):
    """A PodDisruptionBudget. ``allowed_since``: when its DisruptionAllowed condition last changed.

    ``selector``: the label selector as the API has it; None where it has none, and so selects nothing.
    """

    namespace: Namespace
    name: Name
    selector: Annotated[Mapping[str, Any] | None, at("spec", "selector")] = None
    max_unavailable: Annotated[str, at("spec", "maxUnavailable")] = ""
    min_available: Annotated[str, at("spec", "minAvailable")] = ""
    expected: Annotated[int, at("status", "expectedPods")] = 0
    healthy: Annotated[int, at("status", "currentHealthy")] = 0
    desired: Annotated[int, at("status", "desiredHealthy")] = 0
    allowed: Annotated[int, at("status", "disruptionsAllowed")] = 0
    allowed_since: Annotated[datetime | None, at("status", "conditions"), _since("DisruptionAllowed")] = None


def _plain_values(variables: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in variables if "value" in variable}


@dataclass(frozen=True, kw_only=True)
class Controller(Fact):
    """Karpenter's Deployment and its service account's IRSA annotation. ``environment`` holds plain values only.

    ``available_since``: when its Available condition last changed.
    """

    namespace: Namespace
    name: Name
    image: Annotated[str, at("spec", "template", "spec", "containers", 0, "image")]
    version_label: Annotated[str, at("metadata", "labels", APP_VERSION)] = ""
    replicas: Annotated[int, at("spec", "replicas")] = 1
    available: Annotated[int, at("status", "availableReplicas")] = 0
    available_since: Annotated[datetime | None, at("status", "conditions"), _since("Available")] = None
    environment: Annotated[
        Mapping[str, str], at("spec", "template", "spec", "containers", 0, "env"), computed(_plain_values, list)
    ] = field(default_factory=dict)
    service_account: Annotated[str, at("spec", "template", "spec", "serviceAccountName")] = "default"
    service_account_role: str = ""


@dataclass(frozen=True, kw_only=True)
class CustomKinds(Fact):
    """CRDs by name -> whether the API server serves them, and the chart versions of the Helm releases that own them.

    A release of which no record was found has no version here.
    """

    established: Mapping[str, bool]
    release_of: Mapping[str, str]
    chart_versions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class NodeClass(Fact):
    """An EC2NodeClass: its spec's ways to find things, and its conditions."""

    name: Name
    created_at: CreatedAt = None
    instance_profile: Annotated[str, at("spec", "instanceProfile")] = ""
    role: Annotated[str, at("spec", "role")] = ""
    subnet_terms: Annotated[tuple[Mapping[str, Any], ...], at("spec", "subnetSelectorTerms")] = ()
    group_terms: Annotated[tuple[Mapping[str, Any], ...], at("spec", "securityGroupSelectorTerms")] = ()
    conditions: Conditions = ()


def _capacity_types(requirements: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    return next(
        (requirement.get("values") or () for requirement in requirements if requirement["key"] == CAPACITY_TYPE), ()
    )


def _keeps_out(taints: Iterable[Mapping[str, Any]]) -> bool:
    return any(taint.get("effect") != "PreferNoSchedule" for taint in taints)


@dataclass(frozen=True, kw_only=True)
class PoolBudget(Fact):
    """A disruption budget of a NodePool: how many nodes at once, within a window where it has a schedule.

    ``reasons``: for which it holds; none for every one.
    """

    nodes: str = ""
    reasons: tuple[str, ...] = ()
    schedule: str | None = None
    duration: str | None = None


@dataclass(frozen=True, kw_only=True)
class NodePool(Fact):
    """A NodePool: limits and what is used of them, the capacity types that it may launch, and its budgets.

    ``requirements`` and ``labels``: of its nodes, as the API has them; ``tainted``: a taint keeps pods out that do not
    tolerate it; ``consolidate_after``: "Never" where nothing is consolidated.
    """

    name: Name
    created_at: CreatedAt = None
    limits: Annotated[Mapping[str, str], at("spec", "limits")] = field(default_factory=dict)
    used: Annotated[Mapping[str, str], at("status", "resources")] = field(default_factory=dict)
    capacity_types: Annotated[
        tuple[str, ...], at("spec", "template", "spec", "requirements"), computed(_capacity_types, list)
    ] = ()
    requirements: Annotated[tuple[Mapping[str, Any], ...], at("spec", "template", "spec", "requirements")] = ()
    labels: Annotated[Labels, at("spec", "template", "metadata", "labels")] = field(default_factory=dict)
    tainted: Annotated[bool, at("spec", "template", "spec", "taints"), computed(_keeps_out, list)] = False
    consolidate_after: Annotated[str, at("spec", "disruption", "consolidateAfter")] = ""
    budgets: Annotated[tuple[PoolBudget, ...], at("spec", "disruption", "budgets")] = ()
    conditions: Conditions = ()


@dataclass(frozen=True, kw_only=True)
class NodeClaim(Fact):
    """A NodeClaim. ``deleted_at``: when its deletion was asked for; None while it is wanted."""

    name: Name
    labels: Annotated[Labels, at("metadata", "labels")] = field(default_factory=dict)
    pool: Annotated[str, at("metadata", "labels", POOL_LABEL)] = ""
    instance_id: Annotated[InstanceId, at("status", "providerID")] = ""
    node: Annotated[str, at("status", "nodeName")] = ""
    created_at: Annotated[datetime, at("metadata", "creationTimestamp")]
    deleted_at: DeletedAt = None
    conditions: Conditions = ()


def _errors(conditions: Iterable[Mapping[str, Any]]) -> list[str]:
    found = (condition for condition in conditions if condition["type"].endswith("Error"))
    return [f"{condition['type']}: {condition.get('message') or ''}"[:TEXT_LIMIT] for condition in found]


def _errors_since(conditions: Iterable[Mapping[str, Any]]) -> str | None:
    times = (condition.get("lastTransitionTime") for condition in conditions if condition["type"].endswith("Error"))
    return min(filter(None, times), default=None)


def _out_of_sync(resources: Iterable[Mapping[str, Any]]) -> list[str]:
    found = (resource for resource in resources if resource.get("status") == "OutOfSync")
    return [f"{resource['kind']}/{resource['name']}" for resource in found][:OUT_OF_SYNC_LIMIT]


@dataclass(frozen=True, kw_only=True)
class Application(Fact):
    """An Argo CD Application.

    ``automated``: automatic sync is on; ``operation``: phase of its last or running sync; ``problems``: its errors, the
    oldest of ``problems_since``; ``out_of_sync``: the first objects that differ from Git, as Kind/name;
    ``sync_options``: of its sync policy, as Name=value. ``failed_tries`` of its last or running sync, which tries
    ``tried_revision`` where ``wanted_revision`` is declared by now.
    """

    namespace: Namespace
    name: Name
    project: Annotated[str, at("spec", "project")]
    automated: Annotated[
        bool,
        at("spec", "syncPolicy", "automated"),
        computed(lambda policy: policy.get("enabled", True) is not False, dict),
    ] = False
    sync_options: Annotated[tuple[str, ...], at("spec", "syncPolicy", "syncOptions")] = ()
    sync: Annotated[str, at("status", "sync", "status")] = "Unknown"
    health: Annotated[str, at("status", "health", "status")] = "Unknown"
    health_since: Annotated[datetime | None, at("status", "health", "lastTransitionTime")] = None
    operation: Annotated[str, at("status", "operationState", "phase")] = ""
    operation_message: Annotated[ShortText, at("status", "operationState", "message")] = ""
    failed_tries: Annotated[int, at("status", "operationState", "retryCount")] = 0
    tried_revision: Annotated[str, at("status", "operationState", "operation", "sync", "source", "targetRevision")] = ""
    wanted_revision: Annotated[str, at("spec", "source", "targetRevision")] = ""
    problems: Annotated[tuple[str, ...], at("status", "conditions"), computed(_errors, list)] = ()
    problems_since: Annotated[datetime | None, at("status", "conditions"), computed(_errors_since, list)] = None
    out_of_sync: Annotated[tuple[str, ...], at("status", "resources"), computed(_out_of_sync, list)] = ()
    refreshed_at: Annotated[datetime | None, at("status", "reconciledAt")] = None
    destination_namespace: Annotated[str, at("spec", "destination", "namespace")] = ""
    destination_server: Annotated[str, at("spec", "destination", "server")] = ""
    destination_name: Annotated[str, at("spec", "destination", "name")] = ""


@dataclass(frozen=True, kw_only=True)
class SyncWindow(Fact):
    """A sync window of an AppProject, as written.

    ``manual_sync``: a sync by hand is let through; ``all_must_match``: what it names are conditions, not alternatives.
    """

    kind: str = ""
    schedule: str = ""
    duration: str = ""
    zone: Annotated[str, at("timeZone")] = "UTC"
    applications: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    manual_sync: Annotated[bool, at("manualSync")] = False
    all_must_match: Annotated[bool, at("andOperator")] = False
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Project(Fact):
    """An AppProject and its sync windows."""

    namespace: Namespace
    name: Name
    windows: Annotated[tuple[SyncWindow, ...], at("spec", "syncWindows")] = ()


@dataclass(frozen=True, kw_only=True)
class DrillLease(Fact):
    """The Lease of a drill. ``renewed_at``: its holder's last word; ``seconds``: how long it may be silent."""

    namespace: Namespace
    name: str = NAME
    drill: Annotated[str, at("metadata", "annotations", f"{PREFIX}drill")] = "?"
    holder: Annotated[str, at("spec", "holderIdentity")] = "?"
    why: Annotated[str, at("metadata", "annotations", f"{PREFIX}why")] = ""
    renewed_at: Annotated[
        datetime | None,
        Field(
            validation_alias=AliasChoices(AliasPath("spec", "renewTime"), AliasPath("metadata", "creationTimestamp"))
        ),
    ] = None
    seconds: Annotated[float, at("spec", "leaseDurationSeconds")] = DURATION_SECONDS


def _volume_id(spec: Mapping[str, Any]) -> str:
    csi = spec.get("csi") or {}
    if csi.get("driver") == EBS_DRIVER:
        return csi["volumeHandle"]
    return ((spec.get("awsElasticBlockStore") or {}).get("volumeID") or "").rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class PersistentVolume(Fact):
    """A PersistentVolume; ``volume_id`` is the EBS volume behind it, empty for other kinds."""

    name: Name
    volume_id: Annotated[str, at("spec"), computed(_volume_id, dict)]


@dataclass(frozen=True, kw_only=True)
class Service(Fact):
    """A Service. Facts that earlier versions recorded have those of type LoadBalancer alone, without a selector."""

    namespace: Namespace
    name: Name
    type: Annotated[str, at("spec", "type")] = "LoadBalancer"
    selector: Annotated[Labels, at("spec", "selector")] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Webhook(Fact):
    """A webhook of the API server that is called at a Service, and whose failure refuses the request.

    ``endpoints``: ready ones of the Service, None where there is no such Service; ``changed_at``: when they last did.
    """

    configuration: str
    name: str
    namespace: str
    service: str
    endpoints: int | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ClaimEvent(Fact):
    """An event of a NodeClaim. The API server forgets an event an hour after it last happened.

    Source: https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/ (--event-ttl)
    """

    claim: Annotated[str, at("involvedObject", "name")] = ""
    reason: str = ""
    message: Annotated[ShortText, at("message")] = ""
    count: int = 1
    at: Annotated[
        datetime | None,
        Field(validation_alias=AliasChoices("lastTimestamp", "eventTime", AliasPath("metadata", "creationTimestamp"))),
    ] = None


def _messages(conditions: Iterable[Mapping[str, Any]]) -> str:
    found = (
        condition["message"]
        for condition in conditions
        if condition.get("message") and condition.get("status", "True") == "True"
    )
    return "; ".join(found)[:TEXT_LIMIT]


@dataclass(frozen=True, kw_only=True)
class Terminating(Fact):
    """An object whose deletion was asked for and that is still there, with the finalizers that it waits for."""

    kind: str
    namespace: Annotated[str, at("metadata", "namespace")] = ""
    name: Name
    since: Annotated[datetime, at("metadata", "deletionTimestamp")]
    finalizers: Annotated[tuple[str, ...], at("metadata", "finalizers")] = ()
    message: Annotated[str, at("status", "conditions"), computed(_messages, list)] = ""
