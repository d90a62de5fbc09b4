"""Made-up identities that look like AWS's own: ids, ARNs, URLs, and physical names, the same in every run."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Final

from otel_on_spot.program.recording import Registration
from otel_on_spot.program.values import revealed


@dataclass(frozen=True, kw_only=True)
class Where:
    """The account and region that a resource's provider works in.

    The defaults are the account of AWS's own documentation examples, and any region.
    """

    account: str = "111122223333"
    region: str = "eu-west-1"

    @property
    def partition(self) -> str:
        """Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html."""
        return next((name for prefix, name in PARTITIONS.items() if self.region.startswith(prefix)), "aws")

    @property
    def dns_suffix(self) -> str:
        """The domain of AWS's endpoints in this region."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"


PARTITIONS: Final = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}

EC2_PREFIXES: Final = {
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "sg",
    "aws:ec2/eip:Eip": "eipalloc",
    "aws:ec2/flowLog:FlowLog": "fl",
    "aws:ec2/internetGateway:InternetGateway": "igw",
    "aws:ec2/launchTemplate:LaunchTemplate": "lt",
    "aws:ec2/natGateway:NatGateway": "nat",
    "aws:ec2/routeTable:RouteTable": "rtb",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "rtbassoc",
    "aws:ec2/securityGroup:SecurityGroup": "sg",
    "aws:ec2/securityGroupRule:SecurityGroupRule": "sgrule",
    "aws:ec2/subnet:Subnet": "subnet",
    "aws:ec2/vpc:Vpc": "vpc",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "vpce",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "sgr",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "sgr",
}
"""Prefix of an EC2 id. Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html."""

ARNS: Final = {
    "aws:cloudwatch/eventRule:EventRule": "arn:{partition}:events:{region}:{account}:rule/{name}",
    "aws:cloudwatch/logGroup:LogGroup": "arn:{partition}:logs:{region}:{account}:log-group:{name}",
    "aws:ec2/launchTemplate:LaunchTemplate": "arn:{partition}:ec2:{region}:{account}:launch-template/{id}",
    "aws:ec2/securityGroup:SecurityGroup": "arn:{partition}:ec2:{region}:{account}:security-group/{id}",
    "aws:ec2/subnet:Subnet": "arn:{partition}:ec2:{region}:{account}:subnet/{id}",
    "aws:ec2/vpc:Vpc": "arn:{partition}:ec2:{region}:{account}:vpc/{id}",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "arn:{partition}:ec2:{region}:{account}:vpc-endpoint/{id}",
    "aws:ec2/flowLog:FlowLog": "arn:{partition}:ec2:{region}:{account}:vpc-flow-log/{id}",
    "aws:eks/accessEntry:AccessEntry": "arn:{partition}:eks:{region}:{account}:access-entry/{clusterName}/role/{account}/{hash}",
    "aws:eks/addon:Addon": "arn:{partition}:eks:{region}:{account}:addon/{clusterName}/{addonName}/{hash}",
    "aws:eks/cluster:Cluster": "arn:{partition}:eks:{region}:{account}:cluster/{name}",
    "aws:eks/nodeGroup:NodeGroup": "arn:{partition}:eks:{region}:{account}:nodegroup/{clusterName}/{nodeGroupName}/{hash}",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": "arn:{partition}:eks:{region}:{account}:podidentityassociation/{clusterName}/a-{hash}",
    "aws:iam/instanceProfile:InstanceProfile": "arn:{partition}:iam::{account}:instance-profile/{name}",
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": "arn:{partition}:iam::{account}:oidc-provider/{url}",
    "aws:iam/policy:Policy": "arn:{partition}:iam::{account}:policy/{name}",
    "aws:iam/role:Role": "arn:{partition}:iam::{account}:role/{name}",
    "aws:iam/serviceLinkedRole:ServiceLinkedRole": "arn:{partition}:iam::{account}:role/aws-service-role/{awsServiceName}/AWSServiceRole",
    "aws:kms/alias:Alias": "arn:{partition}:kms:{region}:{account}:{name}",
    "aws:kms/key:Key": "arn:{partition}:kms:{region}:{account}:key/{id}",
    "aws:sqs/queue:Queue": "arn:{partition}:sqs:{region}:{account}:{name}",
}
"""Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html."""

NAMED_BY_ID: Final = {
    "aws:cloudwatch/eventRule:EventRule",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:eks/cluster:Cluster",
    "aws:iam/instanceProfile:InstanceProfile",
    "aws:iam/role:Role",
    "aws:kms/alias:Alias",
}
"""Types whose id is their physical name."""
NAMED_BY_ARN: Final = {
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
    "aws:iam/policy:Policy",
    "aws:iam/serviceLinkedRole:ServiceLinkedRole",
}
"""Types whose id is their ARN."""


def short_hash(urn: str) -> str:
    """Seventeen hexadecimal digits that belong to a URN: the same in every run."""
    return hashlib.sha256(urn.encode()).hexdigest()[:17]


def physical_name(registration: Registration, key: str = "name") -> str:
    """The name given under ``key``, or the one that Pulumi's auto-naming would make: seven random digits behind.

    A secret name counts as not given: an id or an ARN would tell it.
    """
    given = registration.inputs.get(key)
    return given if isinstance(given, str) else f"{registration.name}-{short_hash(registration.urn)[:7]}"


def object_name(registration: Registration) -> str:
    """The name of a Kubernetes object: the one given, or the one that Pulumi's auto-naming would make."""
    metadata = revealed(registration.inputs.get("metadata"))
    given = metadata.get("name") if isinstance(metadata, Mapping) else None
    return given if isinstance(given, str) else physical_name(registration)


def identifier(registration: Registration, where: Where, *, preview: bool) -> str:
    """The physical id; none at preview, and none for a component."""
    token = registration.type
    if not registration.custom or preview:
        return ""
    if registration.import_id:
        return registration.import_id
    if token in NAMED_BY_ID:
        return physical_name(registration)
    if token in NAMED_BY_ARN:
        return arn(registration, where, "")
    if prefix := EC2_PREFIXES.get(token):
        return f"{prefix}-{short_hash(registration.urn)}"
    if token == "aws:sqs/queue:Queue":
        return queue_url(registration, where)
    if token.startswith("kubernetes:"):
        return _object_id(registration)
    return short_hash(registration.urn)


def _object_id(registration: Registration) -> str:
    inputs = revealed(registration.inputs)
    within = inputs if token_is_release(registration.type) else inputs.get("metadata") or {}
    namespace = within.get("namespace")
    name = physical_name(registration) if token_is_release(registration.type) else object_name(registration)
    return f"{namespace}/{name}" if isinstance(namespace, str) else name


def token_is_release(token: str) -> bool:
    """Whether the type is a Helm release, whatever its version."""
    return token.startswith("kubernetes:helm.sh/") and token.endswith(":Release")


def queue_url(registration: Registration, where: Where) -> str:
    """Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-message-identifiers.html."""
    return f"https://sqs.{where.region}.{where.dns_suffix}/{where.account}/{physical_name(registration)}"


def arn(registration: Registration, where: Where, identity: str) -> str:
    """The resource's ARN by the table, or a plausible one for a type that the table lacks."""
    service = registration.type.split(":")[1].split("/")[0]
    pattern = ARNS.get(registration.type, f"arn:{{partition}}:{service}:{{region}}:{{account}}:{{name}}")
    inputs = {key: value for key, value in registration.inputs.items() if isinstance(value, str)}
    known = inputs | {
        "account": where.account,
        "region": where.region,
        "partition": where.partition,
        "id": identity,
        "hash": short_hash(registration.urn),
        "name": physical_name(registration),
        "nodeGroupName": physical_name(registration, "nodeGroupName"),
        "url": inputs.get("url", "").removeprefix("https://"),
    }
    wanted = (field for _, field, _, _ in Formatter().parse(pattern) if field)
    return pattern.format_map({field: known.get(field, field) for field in wanted})
