"""Rules about nodes: who may join, what they are made of, where Karpenter finds their parts."""

from collections.abc import Iterator
from typing import Any

import yaml

from policy.resource import Resource, Stack

NODE_CLASS, NODE_POOL = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass", "kubernetes:karpenter.sh/v1:NodePool"
CONFIG_MAP, ENTRY = "kubernetes:core/v1:ConfigMap", "aws:eks/accessEntry:AccessEntry"
NODE_GROUPS = {"system:bootstrappers", "system:nodes"}
NODE_USERNAME = "system:node:{{EC2PrivateDNSName}}"


def _mapped_roles(stack: Stack) -> list[dict[str, Any]]:
    for config_map in stack.of(CONFIG_MAP):
        if config_map.at("metadata", "name") == "aws-auth":
            text = config_map.at("data", "mapRoles")
            return yaml.safe_load(text) if isinstance(text, str) else []
    return []


def _unknown_map(stack: Stack) -> bool:
    return any(
        c.at("metadata", "name") == "aws-auth" and not isinstance(c.at("data", "mapRoles"), str)
        for c in stack.of(CONFIG_MAP)
    )


def role_is_admitted(stack: Stack) -> Iterator[str]:
    """Every instance profile that a node class names holds a role in aws-auth, or with an access entry."""
    profiles = {p.at("name"): p.at("role") for p in stack.of("aws:iam/instanceProfile:InstanceProfile")}
    roles = {r.at("name"): r.at("arn") for r in stack.of("aws:iam/role:Role")}
    mapped = {
        row["rolearn"]
        for row in _mapped_roles(stack)
        if set(row["groups"]) >= NODE_GROUPS and row["username"] == NODE_USERNAME
    }
    entries = {e.at("principalArn") for e in stack.of(ENTRY) if e.at("type") == "EC2_LINUX"}
    for node_class in stack.of(NODE_CLASS):
        profile = node_class.at("spec", "instanceProfile")
        if not isinstance(profile, str) or _unknown_map(stack):
            continue  # not known before the first update; the type of the argument holds until then
        arn = roles.get(profiles.get(profile))
        if arn not in mapped | entries:
            yield f"{node_class.name}: instance profile {profile} holds role {profiles.get(profile)}, which neither aws-auth nor an EC2_LINUX access entry admits"


def entry_is_ec2_linux(stack: Stack) -> Iterator[str]:
    """An access entry for a role that an instance profile holds is of type EC2_LINUX."""
    roles = {r.at("arn"): r.at("name") for r in stack.of("aws:iam/role:Role")}
    node_roles = {p.at("role") for p in stack.of("aws:iam/instanceProfile:InstanceProfile")}
    for entry in stack.of(ENTRY):
        if roles.get(entry.at("principalArn")) in node_roles and entry.at("type") != "EC2_LINUX":
            yield f"{entry.name}: node role with an entry of type {entry.at('type')}"


def imds_is_closed_to_pods(stack: Stack) -> Iterator[str]:
    """IMDSv2 only, one hop."""
    for template in stack.of("aws:ec2/launchTemplate:LaunchTemplate"):
        options = template.at("metadataOptions") or {}
        if options.get("httpTokens") != "required" or options.get("httpPutResponseHopLimit") != 1:
            yield f"{template.name}: metadata options {options}"
    for node_class in stack.of(NODE_CLASS):
        options = node_class.at("spec", "metadataOptions") or {}
        if options.get("httpTokens") != "required" or options.get("httpPutResponseHopLimit") != 1:
            yield f"{node_class.name}: metadata options {options}"


def volumes_are_encrypted(stack: Stack) -> Iterator[str]:
    """Every block device is encrypted."""
    for template in stack.of("aws:ec2/launchTemplate:LaunchTemplate"):
        devices = template.at("blockDeviceMappings") or []
        if not devices or any((d.get("ebs") or {}).get("encrypted") != "true" for d in devices):
            yield f"{template.name}: {devices}"
    for node_class in stack.of(NODE_CLASS):
        devices = node_class.at("spec", "blockDeviceMappings") or []
        if not devices or any((d.get("ebs") or {}).get("encrypted") is not True for d in devices):
            yield f"{node_class.name}: {devices}"


def nobody_enters_by_ssh(stack: Stack) -> Iterator[str]:
    """No key pair and no remote access anywhere."""
    for group in stack.of("aws:eks/nodeGroup:NodeGroup"):
        if group.at("remoteAccess"):
            yield f"{group.name}: remote access"
    for template in stack.of("aws:ec2/launchTemplate:LaunchTemplate"):
        if template.at("keyName"):
            yield f"{template.name}: key {template.at('keyName')}"


def nodes_are_private(stack: Stack) -> Iterator[str]:
    """No public address from the node class or a subnet."""
    for node_class in stack.of(NODE_CLASS):
        if node_class.at("spec", "associatePublicIPAddress") is not False:
            yield f"{node_class.name}: may get a public address"
    for subnet in stack.of("aws:ec2/subnet:Subnet"):
        if subnet.at("mapPublicIpOnLaunch"):
            yield f"{subnet.name}: maps public addresses on launch"


def discovery_matches(stack: Stack) -> Iterator[str]:
    """Each selector of a node class finds a subnet and a security group by its tags."""
    subnets = [s.at("tags") or {} for s in stack.of("aws:ec2/subnet:Subnet")]
    groups = [{t.at("key"): t.at("value")} for t in stack.of("aws:ec2/tag:Tag")]
    for node_class in stack.of(NODE_CLASS):
        for terms, tagged, kind in (
            ("subnetSelectorTerms", subnets, "subnet"),
            ("securityGroupSelectorTerms", groups, "security group"),
        ):
            for term in node_class.at("spec", terms) or [{}]:
                wanted = term.get("tags") or {}
                if not wanted or not any(wanted.items() <= tags.items() for tags in tagged):
                    yield f"{node_class.name}: no {kind} has the tags {wanted}"


def _spot(pool: Resource) -> set[str]:
    terms = pool.at("spec", "template", "spec", "requirements") or []
    return {
        value for term in terms if term.get("key") == "karpenter.sh/capacity-type" for value in term.get("values", [])
    }


def databases_have_a_home(stack: Stack) -> Iterator[str]:
    """At least one pool is On-Demand only and tainted; and stateless pods have an untainted one on Spot."""
    pools = list(stack.of(NODE_POOL))
    if not pools:
        return
    if not any(_spot(p) == {"on-demand"} and p.at("spec", "template", "spec", "taints") for p in pools):
        yield "no On-Demand pool with a taint: the databases would share Spot nodes"
    if not any("spot" in _spot(p) and not p.at("spec", "template", "spec", "taints") for p in pools):
        yield "no untainted pool on Spot: nothing runs on Spot by default"


def ami_is_pinned(stack: Stack) -> Iterator[str]:
    """No alias ends in @latest."""
    for node_class in stack.of(NODE_CLASS):
        for term in node_class.at("spec", "amiSelectorTerms") or [{}]:
            if str(term.get("alias", "@latest")).endswith("@latest"):
                yield f"{node_class.name}: {term}"
