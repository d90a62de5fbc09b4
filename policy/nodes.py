"""Rules about nodes: who may join, what they are made of, where Karpenter finds their parts."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import yaml

from policy.stack import Fault, Resource, Stack, each
from policy.values import (
    NO,
    YES,
    Unknown,
    at,
    is_one_of,
    is_set,
    items,
    may,
    may_be,
    may_be_set,
    may_hold,
    may_match,
    surely,
)

NODE_CLASS, NODE_POOL = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass", "kubernetes:karpenter.sh/v1:NodePool"
CONFIG_MAP, ENTRY = "kubernetes:core/v1:ConfigMap", "aws:eks/accessEntry:AccessEntry"
ROLE, PROFILE = "aws:iam/role:Role", "aws:iam/instanceProfile:InstanceProfile"
TEMPLATE, GROUP = "aws:ec2/launchTemplate:LaunchTemplate", "aws:eks/nodeGroup:NodeGroup"
INSTANCE: Final = "aws:ec2/instance:Instance"
SUBNET, SECURITY_GROUP, TAG = "aws:ec2/subnet:Subnet", "aws:ec2/securityGroup:SecurityGroup", "aws:ec2/tag:Tag"
NODE_GROUPS: Final = ("system:bootstrappers", "system:nodes")
NODE_USERNAME: Final = "system:node:{{EC2PrivateDNSName}}"
ADDON, RELEASE = "aws:eks/addon:Addon", "kubernetes:helm.sh/v3:Release"
CONTROLLERS: Final[dict[str, tuple[str, ...]]] = {
    "coredns": ("nodeSelector",),
    "aws-ebs-csi-driver": ("controller", "nodeSelector"),
    "metrics-server": ("nodeSelector",),
    "snapshot-controller": ("nodeSelector",),
}
"""Add-on with a Deployment -> path of its node selector in its configuration."""
SPEC: Final[dict[str, tuple[str, ...]]] = {TEMPLATE: (), NODE_CLASS: ("spec",)}
"""Type that instances are made from -> path of its properties."""


def _mapped_roles(stack: Stack) -> Iterator[Any]:
    """Rows of ``mapRoles`` in aws-auth; an unknown row where its text, or which object it is, is unknown."""
    for config_map in stack.of(CONFIG_MAP):
        name, text = config_map.at("metadata", "name"), config_map.at("data", "mapRoles")
        if isinstance(name, Unknown):
            yield name
        elif name == "aws-auth":
            with suppress(yaml.YAMLError):
                yield from items(yaml.safe_load(text) if isinstance(text, str) else text)


def _admits_nodes(row: Any) -> bool:
    groups = at(row, "groups")
    return all(may_hold(groups, group) for group in NODE_GROUPS) and may_be(at(row, "username"), NODE_USERNAME)


def _role_names(stack: Stack, node_class: Resource) -> list[Any]:
    """Names of the roles that a node class's nodes may have: its own, or those of the profiles that it may name."""
    if may_be_set(node_class.at("spec", "role")):
        return [node_class.at("spec", "role")]
    profile = node_class.at("spec", "instanceProfile")
    return [declared.at("role") for declared in stack.of(PROFILE) if may_be(profile, declared.at("name"))]


def role_is_admitted(stack: Stack) -> Iterator[Fault]:
    """The role of every node class is in aws-auth, or has an access entry."""
    admitted = [at(row, "rolearn") for row in _mapped_roles(stack) if _admits_nodes(row)]
    admitted += [entry.at("principalArn") for entry in stack.of(ENTRY) if may_be(_type(entry), "EC2_LINUX")]
    for node_class in stack.of(NODE_CLASS):
        names = _role_names(stack, node_class)
        arns = [role.at("arn") for role in stack.of(ROLE) if may_be(role.at("name"), *names)]
        if not any(may_be(arn, *admitted) for arn in arns):
            roles = ", ".join(map(str, names)) or "missing"
            yield Fault(node_class, f"its role ({roles}) is neither in aws-auth nor has an EC2_LINUX access entry")


def entry_is_ec2_linux(stack: Stack) -> Iterator[Fault]:
    """An access entry for a role that an instance profile holds is of type EC2_LINUX."""
    holders = [profile.at("role") for profile in stack.of(PROFILE)]
    arns = [role.at("arn") for role in stack.of(ROLE) if is_one_of(role.at("name"), *holders)]
    for entry in stack.of(ENTRY):
        if is_one_of(entry.at("principalArn"), *arns) and not may_be(_type(entry), "EC2_LINUX"):
            yield Fault(entry, f"a node role with an entry of type {_type(entry)}")


def _type(entry: Resource) -> Any:
    """The type that an access entry declares, else AWS's default."""
    return entry.declared_at("type") or "STANDARD"


@each(*SPEC)
def imds_is_closed_to_pods(template: Resource) -> Iterator[str]:
    """IMDSv2 only, one hop."""
    options = template.at(*SPEC[template.type], "metadataOptions")
    for key, expected in (("httpTokens", "required"), ("httpPutResponseHopLimit", 1)):
        if not may_be(at(options, key), expected):
            yield f"metadataOptions.{key} is {at(options, key)}, not {expected}"


@each(*SPEC)
def volumes_are_encrypted(template: Resource) -> Iterator[str]:
    """Every block device is encrypted."""
    devices = items(template.at(*SPEC[template.type], "blockDeviceMappings"))
    if not devices:
        yield "the root volume is the AMI's"
    for device in devices:
        if not may_be(at(device, "ebs", "encrypted"), *YES):
            yield f"device {at(device, 'deviceName')} is not encrypted"


@each(GROUP, TEMPLATE, INSTANCE)
def nobody_enters_by_ssh(node: Resource) -> Iterator[str]:
    """No key pair and no remote access anywhere."""
    for path in (("keyName",), ("remoteAccess", "ec2SshKey"), ("remoteAccess", "sourceSecurityGroupIds")):
        if is_set(node.at(*path)):
            yield f"{'.'.join(path)} is {node.at(*path)}"


@each(NODE_CLASS, TEMPLATE, SUBNET)
def nodes_are_private(resource: Resource) -> Iterator[str]:
    """No public address from a node class, a launch template or a subnet."""
    if resource.type == NODE_CLASS and not may_be(resource.at("spec", "associatePublicIPAddress"), *NO):
        yield "nodes may get a public address"
    for interface in items(resource.at("networkInterfaces")):
        if is_one_of(at(interface, "associatePublicIpAddress"), *YES):
            yield "nodes get a public address"
    if is_set(resource.at("mapPublicIpOnLaunch")):
        yield "maps public addresses on launch"


def _group_tags(stack: Stack) -> list[Any]:
    """Tags of each security group; single tags are one group's where they may have the same group."""
    groups = [group.at("tags") for group in stack.of(SECURITY_GROUP)]
    for tag in stack.of(TAG):
        same = [other for other in stack.of(TAG) if may_be(other.at("resourceId"), tag.at("resourceId"))]
        unknown = [other.at("key") for other in same if isinstance(other.at("key"), Unknown)]
        groups.append(unknown[0] if unknown else {str(other.at("key")): other.at("value") for other in same})
    return groups


def discovery_matches(stack: Stack) -> Iterator[Fault]:
    """Each selector of a node class finds a subnet and a security group by its tags."""
    subnets = [subnet.at("tags") for subnet in stack.of(SUBNET)]
    groups = _group_tags(stack)
    for node_class in stack.of(NODE_CLASS):
        for selector, tagged, kind in (
            ("subnetSelectorTerms", subnets, "subnet"),
            ("securityGroupSelectorTerms", groups, "security group"),
        ):
            terms = items(node_class.at("spec", selector))
            if not terms:
                yield Fault(node_class, f"{selector} is empty")
            for term in terms:
                tags = at(term, "tags")
                if may_be_set(at(term, "id")) or may_be_set(at(term, "name")):
                    continue  # by identity, not by tags
                if not may_be_set(tags) or not any(may_match(candidate, tags) for candidate in tagged):
                    yield Fault(node_class, f"no {kind} has the tags {tags}")


def _capacity_types(pool: Resource) -> list[Any]:
    """Requirement of a pool on the capacity type; an unknown one where the key of a requirement is unknown."""
    types: list[Any] = []
    for term in items(pool.at("spec", "template", "spec", "requirements")):
        key = at(term, "key")
        if isinstance(key, Unknown):
            types.append(key)
        elif key == "karpenter.sh/capacity-type":
            types += items(at(term, "values"))
    return types


def databases_have_a_home(stack: Stack) -> Iterator[Fault]:
    """At least one pool is On-Demand only and tainted; and stateless pods have an untainted one on Spot."""
    pools = [(_capacity_types(pool), pool.at("spec", "template", "spec", "taints")) for pool in stack.of(NODE_POOL)]
    if pools and not any(
        types and all(may_be(capacity, "on-demand") for capacity in types) and may_be_set(taints)
        for types, taints in pools
    ):
        yield Fault(None, "no On-Demand pool with a taint: the databases would share Spot nodes")
    if pools and not any(may_hold(types, "spot") and not is_set(taints) for types, taints in pools):
        yield Fault(None, "no untainted pool on Spot: nothing runs on Spot by default")


def platform_needs_no_node_of_karpenter(stack: Stack) -> Iterator[Fault]:
    """What makes nodes, and what that needs, is held on a managed node group; Karpenter asks no CoreDNS and no IMDS."""
    labels = [group.at("labels") for group in stack.of(GROUP)]

    def held(owner: Resource, selector: Any) -> Iterator[Fault]:
        # The kubelet's own labels are on every node, and not among the group's.
        wanted = (
            {key: value for key, value in selector.items() if not key.startswith("kubernetes.io/")}
            if isinstance(selector, Mapping)
            else selector
        )
        if not may_be_set(wanted) or not any(may_match(candidate, wanted) for candidate in labels):
            yield Fault(owner, f"its nodeSelector ({selector or 'missing'}) is not that of a managed node group")

    for addon in stack.of(ADDON):
        for name, path in CONTROLLERS.items():
            if is_one_of(addon.at("addonName"), name):
                yield from held(addon, at(addon.document("configurationValues"), *path))
    for release in stack.of(RELEASE):
        if surely(release.at("chart"), lambda chart: str(chart).endswith("/karpenter")):
            yield from held(release, release.at("values", "nodeSelector"))
            if not may_be(release.at("values", "dnsPolicy"), "Default"):
                yield Fault(release, "dnsPolicy is not Default: without CoreDNS the controller finds no AWS service")
            if not any(
                may_be(at(entry, "name"), "AWS_REGION") for entry in items(release.at("values", "controller", "env"))
            ):
                yield Fault(release, "AWS_REGION is not in controller.env: the controller would ask IMDS, one hop away")
        if is_one_of(release.at("chart"), "argo-cd"):
            yield from held(release, release.at("values", "global", "nodeSelector"))


@each(NODE_CLASS)
def ami_is_pinned(node_class: Resource) -> Iterator[str]:
    """Every AMI is named by its id, or by an alias with a release."""
    for term in items(node_class.at("spec", "amiSelectorTerms")) or [None]:
        alias = at(term, "alias")
        if not may_be_set(at(term, "id")) and not may(alias, lambda text: text and not text.endswith("@latest")):
            yield f"selects {alias or term}"
