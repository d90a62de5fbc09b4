"""What was seen in AWS. Tags are plain mappings; times carry a zone; policies are documents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Tags = Mapping[str, str]
Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class AwsCluster:
    """An EKS cluster. ``authentication_mode`` is CONFIG_MAP, API or API_AND_CONFIG_MAP."""

    name: str
    arn: str
    status: str
    version: str
    authentication_mode: str
    vpc_id: str
    issuer: str = ""


@dataclass(frozen=True, kw_only=True)
class AccessEntry:
    """An access entry. Only those of node roles are described; of the others, type and time are None."""

    principal_arn: str
    type: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class PodIdentity:
    """An association of the controller's service account."""

    namespace: str
    service_account: str
    role_arn: str


@dataclass(frozen=True, kw_only=True)
class Role:
    """An IAM role. ``policies``: name of each attached policy -> its document; None for one that AWS manages.

    ``unique_id`` changes when a role is deleted and made again; ``inline`` are the names of inline policies.
    """

    name: str
    arn: str
    unique_id: str
    created_at: datetime
    trust: Document
    policies: Mapping[str, Document | None] = field(default_factory=dict)
    inline: Mapping[str, Document] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class InstanceProfile:
    """An instance profile: ARN and unique id of the role that it holds; empty where it holds none."""

    name: str
    role_arn: str
    role_unique_id: str


@dataclass(frozen=True, kw_only=True)
class Located:
    """A subnet or a security group: what Karpenter's selectors choose from."""

    id: str
    vpc_id: str
    name: str
    tags: Tags


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An EC2 instance that is not terminated. ``profile_arn`` is empty where it has none."""

    id: str
    state: str
    launched_at: datetime
    private_dns: str
    profile_arn: str
    spot: bool
    tags: Tags


@dataclass(frozen=True, kw_only=True)
class Volume:
    """An EBS volume that Kubernetes made. ``state`` is available, in-use, ..."""

    id: str
    state: str
    created_at: datetime
    gib: int
    tags: Tags


@dataclass(frozen=True, kw_only=True)
class LoadBalancer:
    """A load balancer of any kind that has tags."""

    arn: str
    tags: Tags


@dataclass(frozen=True, kw_only=True)
class Interface:
    """A network interface that is attached to nothing."""

    id: str
    vpc_id: str
    description: str
    tags: Tags


@dataclass(frozen=True, kw_only=True)
class Queue:
    """An SQS queue.

    ``waiting`` counts the messages that nobody has received, at two looks some seconds apart when the first saw any;
    ``oldest_seconds`` is CloudWatch's ApproximateAgeOfOldestMessage, None where it has no datapoint.
    """

    name: str
    arn: str
    retention_seconds: int
    policy: Document
    waiting: tuple[int, ...] = ()
    in_flight: int = 0
    oldest_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """An EventBridge rule with its targets' ARNs."""

    name: str
    arn: str
    state: str
    pattern: Document
    targets: tuple[str, ...]
