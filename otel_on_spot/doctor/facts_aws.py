"""Facts of AWS. Tags are plain mappings; times carry a zone; policies are documents."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AliasChoices, BeforeValidator, Field

from otel_on_spot.doctor.fact import Fact, at, computed
from otel_on_spot.iam import document, tags_of

TRANSITION: Final = re.compile(r"\((?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (GMT|UTC)\)")
SPOT_VCPUS: Final = "L-34B43A08"
ON_DEMAND_VCPUS: Final = "L-1216C47A"
"""Quotas of the standard instance families (A, C, D, H, I, M, R, T, Z), in vCPUs.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-limits.html,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-on-demand-instances.html#ec2-on-demand-instances-limits
"""
Document = Annotated[Mapping[str, Any], computed(document, str)]
Tags = Annotated[Mapping[str, str], Field(validation_alias=AliasChoices("Tags", "TagSet")), computed(tags_of, list)]


@dataclass(frozen=True, kw_only=True)
class HealthIssue(Fact):
    """A problem that EKS itself names of a cluster or of an add-on.

    Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_ClusterIssue.html, API_AddonIssue.html beside it
    """

    code: str = ""
    message: str = ""
    resources: Annotated[tuple[str, ...], at("resourceIds")] = ()


Issues = Annotated[tuple[HealthIssue, ...], at("health", "issues")]


@dataclass(frozen=True, kw_only=True)
class AwsCluster(Fact):
    """An EKS cluster. ``authentication_mode`` is CONFIG_MAP, API or API_AND_CONFIG_MAP.

    ``support_type``: STANDARD or EXTENDED, what follows the end of its version's standard support.
    """

    name: str
    arn: str
    status: str
    version: str = ""
    authentication_mode: Annotated[str, at("accessConfig", "authenticationMode")] = ""
    vpc_id: Annotated[str, at("resourcesVpcConfig", "vpcId")] = ""
    issuer: Annotated[str, at("identity", "oidc", "issuer")] = ""
    support_type: Annotated[str, at("upgradePolicy", "supportType")] = ""
    issues: Issues = ()


@dataclass(frozen=True, kw_only=True)
class KubernetesVersion(Fact):
    """A Kubernetes minor of EKS, and the ends of its standard and extended support."""

    version: Annotated[str, at("clusterVersion")]
    standard_until: Annotated[datetime | None, at("endOfStandardSupportDate")] = None
    extended_until: Annotated[datetime | None, at("endOfExtendedSupportDate")] = None


@dataclass(frozen=True, kw_only=True)
class Addon(Fact):
    """An EKS add-on. Facts that earlier versions recorded have its name alone."""

    name: Annotated[str, at("addonName")]
    version: Annotated[str, at("addonVersion")] = ""
    status: str = ""
    issues: Issues = ()


Addons = Annotated[
    tuple[Addon, ...],
    BeforeValidator(lambda listed: [{"name": item} if isinstance(item, str) else item for item in listed or ()]),
]


@dataclass(frozen=True, kw_only=True)
class NodeGroup(Fact):
    """A managed node group. Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_Nodegroup.html"""

    name: Annotated[str, at("nodegroupName")]
    status: str = ""
    issues: Issues = ()


@dataclass(frozen=True, kw_only=True)
class Insight(Fact):
    """A finding of EKS's own. ``status`` is WARNING, ERROR or UNKNOWN; those that pass are not asked for.

    ``category``: UPGRADE_READINESS, MISCONFIGURATION or ROLLBACK_READINESS; ``minor``: the Kubernetes minor that it is
    about. Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_InsightSummary.html
    """

    id: str
    name: str = ""
    category: str = ""
    minor: Annotated[str, at("kubernetesVersion")] = ""
    status: Annotated[str, at("insightStatus", "status")] = ""
    reason: Annotated[str, at("insightStatus", "reason")] = ""
    refreshed_at: Annotated[datetime | None, at("lastRefreshTime")] = None


@dataclass(frozen=True, kw_only=True)
class AccessEntry(Fact):
    """An access entry. Only those of node roles are described; of the others, type and time are None."""

    principal_arn: Annotated[str, at("principalArn")]
    type: str | None = None
    created_at: Annotated[datetime | None, at("createdAt")] = None


@dataclass(frozen=True, kw_only=True)
class PodIdentity(Fact):
    """An association of the controller's service account."""

    namespace: str
    service_account: Annotated[str, at("serviceAccount")]
    role_arn: Annotated[str, at("roleArn")]


@dataclass(frozen=True, kw_only=True)
class Role(Fact):
    """An IAM role. ``policies``: name of each attached policy -> its document; None for one that AWS manages.

    ``unique_id`` changes when a role is deleted and made again; ``inline``: documents of inline policies by name.
    """

    name: Annotated[str, at("RoleName")]
    arn: Annotated[str, at("Arn")]
    unique_id: Annotated[str, at("RoleId")]
    created_at: Annotated[datetime, at("CreateDate")]
    trust: Annotated[Document, at("AssumeRolePolicyDocument")] = field(default_factory=dict)
    policies: Mapping[str, Document | None] = field(default_factory=dict)
    inline: Mapping[str, Document] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class InstanceProfile(Fact):
    """An instance profile: ARN and unique id of the role that it holds; empty where it holds none."""

    name: Annotated[str, at("InstanceProfileName")]
    role_arn: Annotated[str, at("Roles", 0, "Arn")] = ""
    role_unique_id: Annotated[str, at("Roles", 0, "RoleId")] = ""


@dataclass(frozen=True, kw_only=True)
class Located(Fact):
    """A subnet or a security group, for Karpenter's selectors. ``name``: the group's, or the subnet's tag.

    ``free_addresses`` and ``zone``: of a subnet; None and empty of a group.
    """

    id: Annotated[str, Field(validation_alias=AliasChoices("SubnetId", "GroupId"))]
    vpc_id: Annotated[str, at("VpcId")] = ""
    name: Annotated[
        str,
        Field(validation_alias=AliasChoices("GroupName", "Tags")),
        computed(lambda tags: tags_of(tags).get("Name", ""), list),
    ] = ""
    free_addresses: Annotated[int | None, at("AvailableIpAddressCount")] = None
    zone: Annotated[str, at("AvailabilityZone")] = ""
    tags: Tags = field(default_factory=dict)


def _transition(reason: str) -> datetime | None:
    """Time in ``User initiated (2026-11-23 12:00:00 GMT)``, or recorded alone; None for a reclaimed Spot instance."""
    if found := TRANSITION.search(reason):
        return datetime.fromisoformat(found["time"]).replace(tzinfo=UTC)
    try:
        return datetime.fromisoformat(reason)
    except ValueError:
        return None


@dataclass(frozen=True, kw_only=True)
class Instance(Fact):
    """An EC2 instance. ``profile_arn`` is empty where it has none.

    A terminated one is listed for up to an hour; ``changed_at``: when its state last changed, where EC2 says;
    ``reason_code`` and ``reason``: why.
    Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
    """

    id: Annotated[str, at("InstanceId")]
    type: Annotated[str, at("InstanceType")] = ""
    zone: Annotated[str, at("Placement", "AvailabilityZone")] = ""
    state: Annotated[str, at("State", "Name")]
    launched_at: Annotated[datetime, at("LaunchTime")]
    private_dns: Annotated[str, at("PrivateDnsName")] = ""
    profile_arn: Annotated[str, at("IamInstanceProfile", "Arn")] = ""
    changed_at: Annotated[datetime | None, at("StateTransitionReason"), computed(_transition, str)] = None
    reason_code: Annotated[str, at("StateReason", "Code")] = ""
    reason: Annotated[str, at("StateReason", "Message")] = ""
    spot: Annotated[bool, at("InstanceLifecycle"), computed(lambda lifecycle: lifecycle == "spot", str)] = False
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Volume(Fact):
    """An EBS volume that Kubernetes made. ``state`` is available, in-use, ..."""

    id: Annotated[str, at("VolumeId")]
    state: Annotated[str, at("State")]
    created_at: Annotated[datetime, at("CreateTime")]
    gib: Annotated[int, at("Size")]
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LoadBalancer(Fact):
    """A load balancer of any kind that has tags."""

    arn: Annotated[str, at("ResourceARN")]
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Interface(Fact):
    """A network interface that is attached to nothing."""

    id: Annotated[str, at("NetworkInterfaceId")]
    vpc_id: Annotated[str, at("VpcId")] = ""
    description: Annotated[str, at("Description")] = ""
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Queue(Fact):
    """An SQS queue.

    ``waiting`` counts the messages that nobody has received, at several looks some seconds apart while nobody takes
    any; ``in_flight``: the most that were received and not deleted; ``oldest_seconds``: CloudWatch's
    ApproximateAgeOfOldestMessage, None where it has no datapoint; ``sent``: messages of the last hour by CloudWatch's
    NumberOfMessagesSent, None where it has no datapoint; ``kms_key``: id, alias or ARN of the KMS key that
    encrypts its messages, empty where SQS's own does.
    """

    name: str
    arn: Annotated[str, at("QueueArn")]
    retention_seconds: Annotated[int, at("MessageRetentionPeriod")] = 0
    policy: Annotated[Document, at("Policy")] = field(default_factory=dict)
    waiting: tuple[int, ...] = ()
    in_flight: Annotated[int, at("ApproximateNumberOfMessagesNotVisible")] = 0
    oldest_seconds: float | None = None
    sent: float | None = None
    kms_key: Annotated[str, at("KmsMasterKeyId")] = ""


@dataclass(frozen=True, kw_only=True)
class EncryptionKey(Fact):
    """A KMS key. ``named``: as the queue names it; ``manager`` is AWS or CUSTOMER; ``state`` Enabled, Disabled, ..."""

    named: str
    arn: Annotated[str, at("Arn")]
    manager: Annotated[str, at("KeyManager")] = "CUSTOMER"
    state: Annotated[str, at("KeyState")] = "Enabled"
    policy: Document = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Quota(Fact):
    """A quota of the account in the region."""

    code: Annotated[str, at("QuotaCode")]
    name: Annotated[str, at("QuotaName")] = ""
    value: Annotated[float, at("Value")] = 0.0


@dataclass(frozen=True, kw_only=True)
class Rule(Fact):
    """An EventBridge rule with its targets' ARNs."""

    name: Annotated[str, at("Name")]
    arn: Annotated[str, at("Arn")]
    state: Annotated[str, at("State")] = ""
    pattern: Annotated[Document, at("EventPattern")] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
