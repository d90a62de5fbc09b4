"""Facts of a platform: one frozen value, written to JSON and read back.

Each field of ``Facts`` below ``unknown`` is a group that one task collects. None means that it is unknown, and
``unknown`` says why; an empty tuple means that it was looked at and nothing is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import AliasChoices, Field, TypeAdapter, ValidationError

from otel_on_spot.declared import Declared
from otel_on_spot.doctor.facts_aws import (
    AccessEntry,
    AwsCluster,
    Instance,
    InstanceProfile,
    Interface,
    LoadBalancer,
    Located,
    PodIdentity,
    Queue,
    Role,
    Rule,
    Volume,
)
from otel_on_spot.doctor.facts_kubernetes import (
    Application,
    AwsAuth,
    Budget,
    Controller,
    CustomKinds,
    DrillLease,
    Node,
    NodeClaim,
    NodeClass,
    NodePool,
    PersistentVolume,
    Pod,
    Project,
    Service,
    Terminating,
)
from otel_on_spot.errors import ToolError

FORMAT: Final = 1
"""Version of the file; a file of another version is refused."""


class FactsError(ToolError):
    """A file of facts cannot be read. The message says which, why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that the checks may look at.

    ``simulated``: AWS was a lab's, on this machine; ``unknown``: reason by group (earlier versions wrote ``unseen``).
    """

    format: int = FORMAT
    taken_at: datetime
    declared: Declared
    simulated: bool = False
    unknown: Annotated[Mapping[str, str], Field(validation_alias=AliasChoices("unknown", "unseen"))] = field(
        default_factory=dict
    )
    # AWS
    clusters: tuple[AwsCluster, ...] | None = None
    cluster_names: tuple[str, ...] | None = None
    access_entries: tuple[AccessEntry, ...] | None = None
    pod_identities: tuple[PodIdentity, ...] | None = None
    addons: tuple[str, ...] | None = None
    roles: tuple[Role, ...] | None = None
    instance_profiles: tuple[InstanceProfile, ...] | None = None
    spot_roles: tuple[str, ...] | None = None
    subnets: tuple[Located, ...] | None = None
    security_groups: tuple[Located, ...] | None = None
    instances: tuple[Instance, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    load_balancers: tuple[LoadBalancer, ...] | None = None
    interfaces: tuple[Interface, ...] | None = None
    queues: tuple[Queue, ...] | None = None
    rules: tuple[Rule, ...] | None = None
    # Kubernetes
    aws_auth: tuple[AwsAuth, ...] | None = None
    nodes: tuple[Node, ...] | None = None
    pods: tuple[Pod, ...] | None = None
    budgets: tuple[Budget, ...] | None = None
    controllers: tuple[Controller, ...] | None = None
    custom_kinds: CustomKinds | None = None
    node_classes: tuple[NodeClass, ...] | None = None
    node_pools: tuple[NodePool, ...] | None = None
    node_claims: tuple[NodeClaim, ...] | None = None
    applications: tuple[Application, ...] | None = None
    projects: tuple[Project, ...] | None = None
    drill_leases: tuple[DrillLease, ...] | None = None
    persistent_volumes: tuple[PersistentVolume, ...] | None = None
    services: tuple[Service, ...] | None = None
    terminating: tuple[Terminating, ...] | None = None


KUBERNETES_GROUPS: Final = frozenset(
    {
        "aws_auth",
        "nodes",
        "pods",
        "budgets",
        "controllers",
        "custom_kinds",
        "node_classes",
        "node_pools",
        "node_claims",
        "applications",
        "projects",
        "drill_leases",
        "persistent_volumes",
        "services",
        "terminating",
    }
)
AWS_GROUPS: Final = frozenset(
    field.name for field in fields(Facts) if field.default is None and field.name not in KUBERNETES_GROUPS
)


@cache
def _adapter() -> TypeAdapter[Facts]:
    """Made when it is asked for: facts that are collected and judged at once need none."""
    return TypeAdapter(Facts)


def dump(facts: Facts) -> str:
    """The facts as JSON."""
    return _adapter().dump_json(facts, indent=1).decode()


def load(file: Path) -> Facts:
    """Facts out of a file that ``--facts-out`` wrote.

    Raises:
        FactsError: no such file, no such JSON, or another version's.
    """
    try:
        facts = _adapter().validate_json(file.read_bytes())
    except OSError as problem:
        raise FactsError(f"--facts {file}: {problem.strerror}. Write such a file with --facts-out FILE") from None
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise FactsError(
            f"--facts {file}: {where}: {first['msg']}. It must be a file that --facts-out of this version wrote"
        ) from None
    if facts.format != FORMAT:
        raise FactsError(f"--facts {file}: format {facts.format}; this version reads {FORMAT}. Write it again")
    return facts
