"""A fault for each rule: data alone, so that the tests edit a recorded graph by it, and a program on the real engine.

Prod, with node roles admitted in both ways, is the sound stack that they break.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

CLUSTER, RELEASE = "aws:eks/cluster:Cluster", "kubernetes:helm.sh/v3:Release"
NODE_CLASS, NODE_POOL = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass", "kubernetes:karpenter.sh/v1:NodePool"
PROJECT, APPLICATION = "kubernetes:argoproj.io/v1alpha1:AppProject", "kubernetes:argoproj.io/v1alpha1:Application"
QUEUE, TEMPLATE, GROUP = "aws:sqs/queue:Queue", "aws:ec2/launchTemplate:LaunchTemplate", "aws:eks/nodeGroup:NodeGroup"
POLICY = "aws:iam/policy:Policy"


@dataclass(frozen=True)
class Broken:
    """One edit: the resource by type and part of its name, the path, and the value that breaks the rule there.

    ``old``: instead of the whole value, this part of its text is replaced. ``also``: rules that the same edit breaks.
    ``needs``: what the rule must know and a first preview does not tell.
    """

    type: str
    name: str
    path: tuple[str | int, ...]
    value: Any
    old: str = ""
    also: tuple[str, ...] = ()
    needs: str = ""


FAULTS: Mapping[str, Broken] = {
    "node-role-admitted": Broken("kubernetes:core/v1:ConfigMap", "nodeAccess", ("data", "mapRoles"), "[]"),
    "node-entry-type": Broken(
        "aws:eks/accessEntry:AccessEntry",
        "karpenter-nodes",
        ("type",),
        "STANDARD",
        also=("node-role-admitted",),
        needs="ARNs of roles",
    ),
    "imdsv2-hop-one": Broken(TEMPLATE, "", ("metadataOptions", "httpPutResponseHopLimit"), 2),
    "volumes-encrypted": Broken(NODE_CLASS, "", ("spec", "blockDeviceMappings", 0, "ebs", "encrypted"), value=False),
    "no-ssh": Broken(TEMPLATE, "", ("keyName",), "mine"),
    "no-public-nodes": Broken(NODE_CLASS, "", ("spec", "associatePublicIPAddress"), value=True),
    "discovery-matches": Broken(
        NODE_CLASS, "", ("spec", "subnetSelectorTerms"), [{"tags": {"karpenter.sh/discovery": "other"}}]
    ),
    "stateful-on-demand": Broken(NODE_POOL, "capacity-data", ("spec", "template", "spec", "taints"), []),
    "ami-pinned": Broken(NODE_CLASS, "", ("spec", "amiSelectorTerms"), [{"alias": "al2023@latest"}]),
    "platform-on-system-nodes": Broken(RELEASE, "karpenter-controller", ("values", "dnsPolicy"), "ClusterFirst"),
    "interruption-rules": Broken(
        "aws:cloudwatch/eventRule:EventRule", "state-change", ("eventPattern",), "C2 Instance", old="EC2 Instance"
    ),
    "interruption-targets": Broken(
        "aws:cloudwatch/eventTarget:EventTarget",
        "rebalance",
        ("arn",),
        "arn:aws:sqs:eu-west-1:111122223333:other",
        needs="the queue's ARN",
    ),
    "interruption-queue-policy": Broken(
        "aws:sqs/queuePolicy:QueuePolicy",
        "",
        ("policy",),
        "rule/other-rebalance",
        old="rule/otel-prod-rebalance",
        needs="ARNs of event rules",
    ),
    "interruption-queue-encrypted": Broken(QUEUE, "", ("sqsManagedSseEnabled",), value=False),
    "interruption-queue-name": Broken(
        RELEASE,
        "karpenter-controller",
        ("values", "settings", "interruptionQueue"),
        "arn:aws:sqs:eu-west-1:111122223333:q",
    ),
    "alarm-topic": Broken("aws:sns/topic:Topic", "", ("policy",), "aws:PrincipalAccount", old="aws:SourceAccount"),
    "pass-role-exact": Broken(
        POLICY, "iam-integration", ("policy",), "role/*", old="role/otel-prod-karpenter-node", needs="ARNs of roles"
    ),
    "no-wildcard-writes": Broken(
        POLICY, "interruption", ("policy",), "sqs:*", old="sqs:DeleteMessage", needs="the queue's ARN"
    ),
    "endpoint-not-open": Broken(
        CLUSTER,
        "",
        ("vpcConfig",),
        {"endpointPublicAccess": True, "endpointPrivateAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]},
        also=("endpoint-private",),
    ),
    "endpoint-private": Broken(CLUSTER, "", ("vpcConfig", "endpointPrivateAccess"), value=False),
    "secrets-encrypted": Broken("aws:kms/key:Key", "secrets", ("enableKeyRotation",), value=False),
    "audit-logs": Broken(CLUSTER, "", ("enabledClusterLogTypes",), ["api"], also=("all-control-plane-logs",)),
    "all-control-plane-logs": Broken(CLUSTER, "", ("enabledClusterLogTypes",), ["audit"]),
    "log-retention": Broken("aws:cloudwatch/logGroup:LogGroup", "cluster-logs", ("retentionInDays",), 0),
    "flow-logs": Broken("aws:ec2/flowLog:FlowLog", "", ("trafficType",), "REJECT"),
    "default-group-closed": Broken(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        "",
        ("ingress",),
        [{"protocol": "-1", "fromPort": 0, "toPort": 0, "self": True}],
    ),
    "deletion-protected": Broken(CLUSTER, "", ("deletionProtection",), value=False),
    "addons-pinned": Broken("aws:eks/addon:Addon", "coredns", ("addonVersion",), None),
    "project-bounded": Broken(PROJECT, "", ("spec", "destinations"), [{"server": "*", "namespace": "*"}]),
    "root-respects-suspension": Broken(APPLICATION, "", ("spec", "ignoreDifferences"), []),
    "root-cascades": Broken(APPLICATION, "", ("metadata", "finalizers"), []),
    "project-keeps-sync-windows": Broken(PROJECT, "", ("spec", "syncWindows"), []),
    "waves-wait": Broken(
        RELEASE,
        "argocd",
        ("values", "configs", "cm", "resource.customizations.health.argoproj.io_Application"),
        "return {}",
    ),
    "argocd-closed": Broken(RELEASE, "argocd", ("values", "configs", "params", "server.insecure"), value=True),
    "argocd-admin-disabled": Broken(RELEASE, "argocd", ("values", "configs", "cm", "admin.enabled"), value=True),
    "charts-pinned": Broken(RELEASE, "argocd", ("version",), "10.x"),
    "git-revision-pinned": Broken(APPLICATION, "", ("spec", "source", "targetRevision"), "main"),
}

AT_ONCE = {rule: fault for rule, fault in FAULTS.items() if rule not in ("endpoint-private", "all-control-plane-logs")}
"""The faults that one graph can have together, which break every rule: the two left out hide that of another rule."""


def edited(value: Any, path: tuple[str | int, ...], change: Callable[[Any], Any]) -> Any:
    """A copy of a value with the part at a path changed. ``value.apply`` is used where a part is an output."""
    if hasattr(value, "apply"):
        return value.apply(lambda known: edited(known, path, change))
    if not path:
        return change(value)
    step, *rest = path
    if isinstance(step, int):
        return [edited(item, tuple(rest), change) if index == step else item for index, item in enumerate(value)]
    return {**(value or {}), step: edited((value or {}).get(step), tuple(rest), change)}


def put_in(fault: Broken, properties: Any) -> Any:
    """Properties with the fault."""

    def change(value: Any) -> Any:
        if not fault.old or not isinstance(value, str):
            return value if fault.old else fault.value
        assert fault.old in value, f"nothing to break: {fault.old!r} is not there"
        return value.replace(fault.old, fault.value)

    return edited(properties, fault.path, change)
