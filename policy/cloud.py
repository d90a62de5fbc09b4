"""Rules about the AWS account: IAM, the cluster, the network, logs, the topic of alarms."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from ipaddress import ip_network
from typing import Any, Final

from policy.stack import Fault, Resource, Stack, allows_beside, compared, denies_plain_http, each, statements
from policy.values import NO, UNKNOWN, YES, is_one_of, is_set, items, may, may_be, may_be_set, may_hold, surely

CLUSTER: Final = "aws:eks/cluster:Cluster"
TOPIC: Final = "aws:sns/topic:Topic"
VPC, FLOW_LOG = "aws:ec2/vpc:Vpc", "aws:ec2/flowLog:FlowLog"
DEFAULT_GROUP: Final = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
POLICIES: Final = ("aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy")
LOG_TYPES: Final = ("api", "audit", "authenticator", "controllerManager", "scheduler")
READ_PREFIXES: Final = ("get", "list", "describe", "batchget")
WIDEST_NETWORK: Final = 8
"""Prefix length; a network with a shorter one is open to the world."""


def _starred(text: Any) -> bool:
    return isinstance(text, str) and ("*" in text or "?" in text)


def _passes_roles(action: Any) -> bool:
    return isinstance(action, str) and fnmatchcase("iam:passrole", action.lower())


def _writes(action: Any) -> bool:
    return isinstance(action, str) and not action.lower().partition(":")[2].startswith(READ_PREFIXES)


@each(*POLICIES)
def only_exact_roles_are_passed(policy: Resource) -> Iterator[str]:
    """iam:PassRole names one role, with no star."""
    for row in statements(policy.document("policy"), "Allow"):
        if not any(surely(action, _passes_roles) for action in row.get("Action", [])):
            continue
        for role in row.get("Resource", []):
            if surely(role, _starred):
                yield f"may pass {role}"
        if row.get("NotResource"):
            yield "may pass every role but some (NotResource)"


@each(*POLICIES)
def no_wildcard_writes(policy: Resource) -> Iterator[str]:
    """No action has a star; only reads apply to every resource."""
    for row in statements(policy.document("policy"), "Allow"):
        if row.get("NotAction"):
            yield "allows every action but some (NotAction)"
        everything = any(is_one_of(resource, "*") for resource in row.get("Resource", [])) or row.get("NotResource")
        for action in row.get("Action", []):
            if surely(action, _starred):
                yield f"action {action}"
            elif everything and surely(action, _writes):
                yield f"{action} on everything"


def _open(network: Any) -> bool:
    try:
        return ip_network(network, strict=False).prefixlen < WIDEST_NETWORK
    except ValueError:
        return False


@each(CLUSTER)
def endpoint_is_not_open(cluster: Resource) -> Iterator[str]:
    """A public endpoint names its networks."""
    networks = cluster.at("vpcConfig", "publicAccessCidrs")
    if may_be(cluster.at("vpcConfig", "endpointPublicAccess"), *NO):
        return
    if not may_be_set(networks):
        yield "public endpoint for everybody"
    for network in items(networks):
        if surely(network, _open):
            yield f"public endpoint for {network}"


@each(CLUSTER)
def endpoint_is_private(cluster: Resource) -> Iterator[str]:
    """No public endpoint, and a private one."""
    for key, expected in (("endpointPublicAccess", False), ("endpointPrivateAccess", True)):
        if not may_be(cluster.at("vpcConfig", key), expected):
            yield f"vpcConfig.{key} is not {str(expected).lower()}"


def secrets_are_encrypted(stack: Stack) -> Iterator[Fault]:
    """A customer key encrypts secrets, and rotates."""
    for cluster in stack.of(CLUSTER):
        if not may_hold(cluster.at("encryptionConfig", "resources"), "secrets"):
            yield Fault(cluster, "secrets are not encrypted with a key of this stack")
    for key in stack.of("aws:kms/key:Key"):
        if not may_be(key.at("enableKeyRotation"), *YES):
            yield Fault(key, "the key does not rotate")


@each(CLUSTER)
def audit_log_is_kept(cluster: Resource) -> Iterator[str]:
    """The audit log is on."""
    if not may_hold(cluster.at("enabledClusterLogTypes"), "audit"):
        yield "no audit log"


@each(CLUSTER)
def all_logs_are_kept(cluster: Resource) -> Iterator[str]:
    """All five logs are on."""
    missing = [name for name in LOG_TYPES if not may_hold(cluster.at("enabledClusterLogTypes"), name)]
    if missing:
        yield f"without {', '.join(missing)}"


@each("aws:cloudwatch/logGroup:LogGroup")
def logs_expire(group: Resource) -> Iterator[str]:
    """Every log group has a retention."""
    if not may_be_set(group.at("retentionInDays")):
        yield "never expires"


def _of_vpc(resource: Resource, vpc: Resource) -> bool:
    identity = vpc.at("id")
    return may_be(resource.at("vpcId"), UNKNOWN if identity is None else identity)


def flow_logs_are_kept(stack: Stack) -> Iterator[Fault]:
    """Every VPC has a flow log of all traffic."""
    for vpc in stack.of(VPC):
        if not any(_of_vpc(log, vpc) and may_be(log.at("trafficType"), "ALL") for log in stack.of(FLOW_LOG)):
            yield Fault(vpc, "no flow log of all traffic")


def default_group_is_closed(stack: Stack) -> Iterator[Fault]:
    """Every VPC's default security group is taken over, and empty."""
    for vpc in stack.of(VPC):
        if not any(_of_vpc(group, vpc) for group in stack.of(DEFAULT_GROUP)):
            yield Fault(vpc, "its default security group is as AWS made it: open inside")
    for group in stack.of(DEFAULT_GROUP):
        if any(is_set(group.at(key)) or is_set(group.declared_at(key)) for key in ("ingress", "egress")):
            yield Fault(group, "has rules")


@each(CLUSTER)
def cluster_is_protected(cluster: Resource) -> Iterator[str]:
    """AWS refuses to delete the cluster."""
    if not may_be(cluster.at("deletionProtection"), *YES):
        yield "deletionProtection is not true"


@each("aws:eks/addon:Addon")
def addons_are_pinned(addon: Resource) -> Iterator[str]:
    """Every add-on names its version: the program does, for AWS fills in its own default."""
    if not may_be_set(addon.declared_at("addonVersion")):
        yield "no version"


@each(TOPIC)
def topic_takes_this_accounts_alarms(topic: Resource) -> Iterator[str]:
    """Encrypted with a key that CloudWatch may use; published to over TLS, by alarms of one account, by nobody else."""
    if not may(topic.at("kmsMasterKeyId"), lambda key: isinstance(key, str) and bool(key) and "alias/aws/" not in key):
        yield "not encrypted with a key of the stack's own"
    document = topic.document("policy")
    if not denies_plain_http(document, "sns:Publish"):
        yield "plain HTTP is not denied"
    for row in statements(document, "Allow"):
        yield from allows_beside(row, "sns:Publish", "cloudwatch.amazonaws.com")
        if not any(may_be_set(account) for account in compared(row, "aws:SourceAccount")):
            yield "alarms of any account may publish"
