"""What was seen in the cluster. Quantities are in Kubernetes' own notation; times carry a zone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

Labels = Mapping[str, str]
QUEUE_VARIABLE: Final = "INTERRUPTION_QUEUE"
"""Name of the controller's variable that holds the queue. Source: https://karpenter.sh/v1.14/reference/settings/"""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A status condition."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RoleMapping:
    """An entry of ``mapRoles``."""

    role_arn: str
    username: str
    groups: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AwsAuth:
    """The ``aws-auth`` ConfigMap. ``problem`` says why ``mapRoles`` cannot be read; empty where it can."""

    mappings: tuple[RoleMapping, ...]
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node. ``instance_id`` comes from its provider id and is empty where it has none."""

    name: str
    instance_id: str
    labels: Labels
    ready: bool
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod that has not ended. ``owner`` is (kind, name) of its workload: Deployment, StatefulSet, DaemonSet, Job, ...

    ``on_demand_only``: its selectors or required affinity leave no Spot node; the text says which. ``claims``: names of its volume claims.
    """

    namespace: str
    name: str
    node: str
    phase: str
    owner: tuple[str, str]
    claims: tuple[str, ...] = ()
    selector: Labels = field(default_factory=dict)
    required: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A PodDisruptionBudget. ``allowed_since``: when its DisruptionAllowed condition last changed."""

    namespace: str
    name: str
    max_unavailable: str
    min_available: str
    expected: int
    healthy: int
    desired: int
    allowed: int
    allowed_since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Controller:
    """Karpenter's Deployment and its service account's IRSA annotation. ``environment`` holds plain values only."""

    namespace: str
    name: str
    image: str
    version_label: str
    replicas: int
    available: int
    environment: Mapping[str, str]
    service_account: str
    service_account_role: str


@dataclass(frozen=True, kw_only=True)
class CustomKinds:
    """CRDs by name -> whether the API server serves them, and the chart versions of the Helm releases that own them.

    A release of which no record was found has no version here.
    """

    established: Mapping[str, bool]
    release_of: Mapping[str, str]
    chart_versions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class NodeClass:
    """An EC2NodeClass: its spec's ways to find things, and its conditions."""

    name: str
    instance_profile: str
    role: str
    subnet_terms: tuple[Mapping[str, Any], ...]
    group_terms: tuple[Mapping[str, Any], ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, kw_only=True)
class NodePool:
    """A NodePool: limits and what is used of them, and the capacity types that it may launch."""

    name: str
    limits: Mapping[str, str]
    used: Mapping[str, str]
    capacity_types: tuple[str, ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, kw_only=True)
class NodeClaim:
    """A NodeClaim and what it stands for."""

    name: str
    pool: str
    instance_id: str
    node: str
    created_at: datetime
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, kw_only=True)
class Application:
    """An Argo CD Application. ``automated``: whether automatic sync is on. ``operation``: phase of its last or running sync.

    ``out_of_sync``: the first objects that differ from Git, as Kind/name.
    """

    namespace: str
    name: str
    project: str
    automated: bool
    sync: str
    health: str
    health_since: datetime | None = None
    operation: str = ""
    operation_message: str = ""
    problems: tuple[str, ...] = ()
    out_of_sync: tuple[str, ...] = ()
    refreshed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class SyncWindow:
    """A sync window of an AppProject, as written."""

    kind: str
    schedule: str
    duration: str
    zone: str
    applications: tuple[str, ...]
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Project:
    """An AppProject and its sync windows."""

    namespace: str
    name: str
    windows: tuple[SyncWindow, ...]


@dataclass(frozen=True, kw_only=True)
class DrillLease:
    """The Lease of a drill. ``renewed_at``: its holder's last word; ``seconds``: how long it may be silent."""

    namespace: str
    name: str
    drill: str
    holder: str
    why: str
    renewed_at: datetime | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class PersistentVolume:
    """A PersistentVolume; ``volume_id`` is the EBS volume behind it, empty for other kinds."""

    name: str
    volume_id: str


@dataclass(frozen=True, kw_only=True)
class Service:
    """A Service of type LoadBalancer."""

    namespace: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Terminating:
    """An object whose deletion was asked for and that is still there, with the finalizers that it waits for."""

    kind: str
    namespace: str
    name: str
    since: datetime
    finalizers: tuple[str, ...]
    message: str = ""
