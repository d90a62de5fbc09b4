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
from otel_on_spot.doctor import facts_aws as aws
from otel_on_spot.doctor import facts_kubernetes as kubernetes
from otel_on_spot.errors import ToolError, first_problem

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
    clusters: tuple[aws.AwsCluster, ...] | None = None
    cluster_names: tuple[str, ...] | None = None
    access_entries: tuple[aws.AccessEntry, ...] | None = None
    pod_identities: tuple[aws.PodIdentity, ...] | None = None
    kubernetes_versions: tuple[aws.KubernetesVersion, ...] | None = None
    addons: aws.Addons | None = None
    node_groups: tuple[aws.NodeGroup, ...] | None = None
    insights: tuple[aws.Insight, ...] | None = None
    roles: tuple[aws.Role, ...] | None = None
    instance_profiles: tuple[aws.InstanceProfile, ...] | None = None
    spot_roles: tuple[str, ...] | None = None
    subnets: tuple[aws.Located, ...] | None = None
    security_groups: tuple[aws.Located, ...] | None = None
    instances: tuple[aws.Instance, ...] | None = None
    volumes: tuple[aws.Volume, ...] | None = None
    load_balancers: tuple[aws.LoadBalancer, ...] | None = None
    interfaces: tuple[aws.Interface, ...] | None = None
    queues: tuple[aws.Queue, ...] | None = None
    encryption_keys: tuple[aws.EncryptionKey, ...] | None = None
    rules: tuple[aws.Rule, ...] | None = None
    quotas: tuple[aws.Quota, ...] | None = None
    # Kubernetes
    aws_auth: tuple[kubernetes.AwsAuth, ...] | None = None
    nodes: tuple[kubernetes.Node, ...] | None = None
    pods: tuple[kubernetes.Pod, ...] | None = None
    budgets: tuple[kubernetes.Budget, ...] | None = None
    controllers: tuple[kubernetes.Controller, ...] | None = None
    custom_kinds: kubernetes.CustomKinds | None = None
    node_classes: tuple[kubernetes.NodeClass, ...] | None = None
    node_pools: tuple[kubernetes.NodePool, ...] | None = None
    node_claims: tuple[kubernetes.NodeClaim, ...] | None = None
    applications: tuple[kubernetes.Application, ...] | None = None
    projects: tuple[kubernetes.Project, ...] | None = None
    drill_leases: tuple[kubernetes.DrillLease, ...] | None = None
    persistent_volumes: tuple[kubernetes.PersistentVolume, ...] | None = None
    services: tuple[kubernetes.Service, ...] | None = None
    webhooks: tuple[kubernetes.Webhook, ...] | None = None
    claim_events: tuple[kubernetes.ClaimEvent, ...] | None = None
    terminating: tuple[kubernetes.Terminating, ...] | None = None


_GROUPS: Final = [field.name for field in fields(Facts) if field.default is None]
_FIRST: Final = _GROUPS.index("aws_auth")
AWS_GROUPS: Final = frozenset(_GROUPS[:_FIRST])
KUBERNETES_GROUPS: Final = frozenset(_GROUPS[_FIRST:])


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
        raise FactsError(
            f"--facts {file}: {first_problem(problem)}. It must be a file that --facts-out of this version wrote"
        ) from None
    if facts.format != FORMAT:
        raise FactsError(f"--facts {file}: format {facts.format}; this version reads {FORMAT}. Write it again")
    return facts
