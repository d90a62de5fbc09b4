"""Rules about the AWS account: IAM, the cluster, the network, logs."""

from collections.abc import Iterator
from typing import Final

from policy.resource import Resource, Stack, statements

CLUSTER: Final = "aws:eks/cluster:Cluster"
LOG_TYPES: Final = {"api", "audit", "authenticator", "controllerManager", "scheduler"}
READ_PREFIXES: Final = ("Get", "List", "Describe", "BatchGet")


def _policies(stack: Stack) -> Iterator[tuple[Resource, dict]]:
    for resource in stack.of("aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy"):
        document = resource.document("policy")
        if document is not None:
            yield resource, document


def only_exact_roles_are_passed(stack: Stack) -> Iterator[str]:
    """iam:PassRole names one role, with no star."""
    for resource, document in _policies(stack):
        for row in statements(document):
            if row["Effect"] == "Allow" and any(action in ("iam:PassRole", "iam:*", "*") for action in row["Action"]):
                for target in row["Resource"]:
                    if "*" in target:
                        yield f"{resource.name}: may pass {target}"


def no_wildcard_writes(stack: Stack) -> Iterator[str]:
    """No action has a star; only reads apply to every resource."""
    for resource, document in _policies(stack):
        for row in statements(document):
            if row["Effect"] != "Allow":
                continue
            for action in row["Action"]:
                if "*" in action:
                    yield f"{resource.name}: action {action}"
                elif "*" in row["Resource"] and not action.split(":")[1].startswith(READ_PREFIXES):
                    yield f"{resource.name}: {action} on everything"


def endpoint_is_not_open(stack: Stack) -> Iterator[str]:
    """A public endpoint names its networks."""
    for cluster in stack.of(CLUSTER):
        if cluster.at("vpcConfig", "endpointPublicAccess") is False:
            continue
        cidrs = cluster.at("vpcConfig", "publicAccessCidrs")
        if not cidrs or "0.0.0.0/0" in cidrs:
            yield f"{cluster.name}: public endpoint for {cidrs or 'everybody'}"


def endpoint_is_private(stack: Stack) -> Iterator[str]:
    """No public endpoint, and a private one."""
    for cluster in stack.of(CLUSTER):
        if (
            cluster.at("vpcConfig", "endpointPublicAccess") is not False
            or cluster.at("vpcConfig", "endpointPrivateAccess") is not True
        ):
            yield f"{cluster.name}: the endpoint is not private only"


def secrets_are_encrypted(stack: Stack) -> Iterator[str]:
    """A customer key encrypts secrets, and rotates."""
    for cluster in stack.of(CLUSTER):
        if cluster.at("encryptionConfig", "resources") != ["secrets"]:
            yield f"{cluster.name}: secrets are not encrypted with a key of ours"
    for key in stack.of("aws:kms/key:Key"):
        if key.at("enableKeyRotation") is not True:
            yield f"{key.name}: does not rotate"


def audit_log_is_kept(stack: Stack) -> Iterator[str]:
    """The audit log is on."""
    for cluster in stack.of(CLUSTER):
        if "audit" not in (cluster.at("enabledClusterLogTypes") or []):
            yield f"{cluster.name}: no audit log"


def all_logs_are_kept(stack: Stack) -> Iterator[str]:
    """All five logs are on."""
    for cluster in stack.of(CLUSTER):
        missing = LOG_TYPES - set(cluster.at("enabledClusterLogTypes") or [])
        if missing:
            yield f"{cluster.name}: without {', '.join(sorted(missing))}"


def logs_expire(stack: Stack) -> Iterator[str]:
    """Every log group has a retention."""
    for group in stack.of("aws:cloudwatch/logGroup:LogGroup"):
        if not group.at("retentionInDays"):
            yield f"{group.name}: keeps for ever"


def flow_logs_are_kept(stack: Stack) -> Iterator[str]:
    """Every VPC has a flow log of all traffic."""
    if stack.has("aws:ec2/vpc:Vpc") and not any(
        f.at("trafficType") == "ALL" for f in stack.of("aws:ec2/flowLog:FlowLog")
    ):
        yield "the VPC has no flow log of all traffic"


def default_group_is_closed(stack: Stack) -> Iterator[str]:
    """The VPC's default security group is taken over, and empty."""
    if stack.has("aws:ec2/vpc:Vpc") and not stack.has("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"):
        yield "the default security group is as AWS made it: open inside"
    for group in stack.of("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"):
        if group.at("ingress") or group.at("egress"):
            yield f"{group.name}: has rules"


def cluster_is_protected(stack: Stack) -> Iterator[str]:
    """AWS refuses to delete the cluster."""
    for cluster in stack.of(CLUSTER):
        if cluster.at("deletionProtection") is not True:
            yield f"{cluster.name}: not protected"


def addons_are_pinned(stack: Stack) -> Iterator[str]:
    """Every add-on names its version."""
    for addon in stack.of("aws:eks/addon:Addon"):
        if not addon.at("addonVersion"):
            yield f"{addon.name}: no version"
