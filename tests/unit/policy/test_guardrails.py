"""Every committed stack keeps every rule, or has a recorded waiver; every rule sees its fault when it is put back."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from infra.karpenter import interruption
from otel_on_spot.plan.record import record
from otel_on_spot.program.recording import Recording
from policy.guardrails import RULES, violations
from policy.recorded import stack_of
from policy.resource import Resource, Stack
from policy.waivers import WAIVERS
from tests.unit.conftest import recorded


def broken(stack: Stack) -> set[str]:
    return {violation.rule for violation in violations(stack)}


def test_no_rule_is_broken_without_a_waiver(plan: Recording) -> None:
    assert [v for v in violations(stack_of(plan)) if v.waiver is None] == []


def test_prod_has_no_waiver() -> None:
    assert WAIVERS.get("prod", {}) == {}


@pytest.mark.parametrize("environment", ["dev", "staging"])
def test_every_waiver_is_needed_and_names_a_rule(environment: str) -> None:
    assert set(WAIVERS[environment]) == broken(stack_of(recorded(environment)))
    assert set(WAIVERS[environment]) <= {rule.name for rule in RULES}


def test_the_first_preview_breaks_nothing_more(first_preview: Recording) -> None:
    assert [v for v in violations(stack_of(first_preview)) if v.waiver is None] == []


Edit = Callable[[dict[str, Any]], Any]
EKS_CLUSTER, RELEASE = "aws:eks/cluster:Cluster", "kubernetes:helm.sh/v3:Release"
NODE_CLASS, NODE_POOL = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass", "kubernetes:karpenter.sh/v1:NodePool"
PROJECT, APPLICATION = "kubernetes:argoproj.io/v1alpha1:AppProject", "kubernetes:argoproj.io/v1alpha1:Application"
QUEUE, TEMPLATE, GROUP = "aws:sqs/queue:Queue", "aws:ec2/launchTemplate:LaunchTemplate", "aws:eks/nodeGroup:NodeGroup"


def within(*path: str | int) -> Callable[[Any], Edit]:
    """An edit that sets the value at a path."""

    def setting(value: Any) -> Edit:
        def edit(props: dict[str, Any]) -> None:
            target: Any = props
            for step in path[:-1]:
                target = target[step]
            target[path[-1]] = value

        return edit

    return setting


def rewritten(key: str, old: str, new: str) -> Edit:
    """An edit that replaces text in a property."""

    def edit(props: dict[str, Any]) -> None:
        assert old in props[key]
        props[key] = props[key].replace(old, new)

    return edit


FAULTS: dict[str, tuple[str, str, Edit]] = {
    "node-role-admitted": ("kubernetes:core/v1:ConfigMap", "nodeAccess", within("data", "mapRoles")("[]")),
    "imdsv2-hop-one": (TEMPLATE, "", within("metadataOptions", "httpPutResponseHopLimit")(2)),
    "volumes-encrypted": (NODE_CLASS, "", within("spec", "blockDeviceMappings", 0, "ebs", "encrypted")(False)),
    "no-ssh": (GROUP, "", within("remoteAccess")({"ec2SshKey": "mine"})),
    "no-public-nodes": (NODE_CLASS, "", within("spec", "associatePublicIPAddress")(True)),
    "discovery-matches": (
        NODE_CLASS,
        "",
        within("spec", "subnetSelectorTerms")([{"tags": {"karpenter.sh/discovery": "other"}}]),
    ),
    "stateful-on-demand": (NODE_POOL, "capacity-data", within("spec", "template", "spec", "taints")([])),
    "ami-pinned": (NODE_CLASS, "", within("spec", "amiSelectorTerms")([{"alias": "al2023@latest"}])),
    "interruption-rules": (
        "aws:cloudwatch/eventRule:EventRule",
        "state-change",
        rewritten("eventPattern", "EC2 Instance", "C2 Instance"),
    ),
    "interruption-targets": (
        "aws:cloudwatch/eventTarget:EventTarget",
        "rebalance",
        within("arn")("arn:aws:sqs:eu-west-1:111122223333:other"),
    ),
    "interruption-queue-policy": (
        "aws:sqs/queuePolicy:QueuePolicy",
        "",
        rewritten("policy", "rule/otel-prod-rebalance", "rule/other-rebalance"),
    ),
    "interruption-queue-encrypted": (QUEUE, "", within("sqsManagedSseEnabled")(False)),
    "interruption-queue-name": (
        RELEASE,
        "karpenter-controller",
        within("values", "settings", "interruptionQueue")("arn:aws:sqs:eu-west-1:111122223333:q"),
    ),
    "pass-role-exact": (
        "aws:iam/policy:Policy",
        "iam-integration",
        rewritten("policy", "role/otel-prod-karpenter-node", "role/*"),
    ),
    "no-wildcard-writes": ("aws:iam/policy:Policy", "interruption", rewritten("policy", "sqs:DeleteMessage", "sqs:*")),
    "endpoint-not-open": (
        EKS_CLUSTER,
        "",
        within("vpcConfig")(
            {"endpointPublicAccess": True, "endpointPrivateAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]}
        ),
    ),
    "endpoint-private": (EKS_CLUSTER, "", within("vpcConfig", "endpointPublicAccess")(True)),
    "secrets-encrypted": ("aws:kms/key:Key", "", within("enableKeyRotation")(False)),
    "audit-logs": (EKS_CLUSTER, "", within("enabledClusterLogTypes")(["api"])),
    "all-control-plane-logs": (EKS_CLUSTER, "", within("enabledClusterLogTypes")(["audit"])),
    "log-retention": ("aws:cloudwatch/logGroup:LogGroup", "cluster-logs", within("retentionInDays")(0)),
    "flow-logs": ("aws:ec2/flowLog:FlowLog", "", within("trafficType")("REJECT")),
    "default-group-closed": (
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        "",
        within("ingress")([{"protocol": "-1"}]),
    ),
    "deletion-protected": (EKS_CLUSTER, "", within("deletionProtection")(False)),
    "addons-pinned": ("aws:eks/addon:Addon", "coredns", within("addonVersion")(None)),
    "project-bounded": (PROJECT, "", within("spec", "sourceRepos")(["*"])),
    "root-respects-suspension": (APPLICATION, "", within("spec", "ignoreDifferences")([])),
    "root-cascades": (APPLICATION, "", within("metadata", "finalizers")([])),
    "project-keeps-sync-windows": (PROJECT, "", within("spec", "syncWindows")([])),
    "waves-wait": (
        RELEASE,
        "argocd",
        within("values", "configs", "cm", "resource.customizations.health.argoproj.io_Application")("return {}"),
    ),
    "argocd-closed": (RELEASE, "argocd", within("values", "configs", "params", "server.insecure")(True)),
    "argocd-admin-disabled": (RELEASE, "argocd", within("values", "configs", "cm", "admin.enabled")(True)),
    "charts-pinned": (RELEASE, "argocd", within("version")("10.x")),
    "git-revision-pinned": (APPLICATION, "", within("spec", "source", "targetRevision")("main")),
    "node-entry-type": ("aws:eks/accessEntry:AccessEntry", "karpenter-nodes", within("type")("STANDARD")),
}


@cache
def healthy_prod(node_access: str) -> Stack:
    """Prod with node roles admitted in one way only, so that one fault is enough."""
    cluster = _prod_setting("cluster") | {"nodeAccess": node_access}
    return stack_of(record("prod", config_overrides={"cluster": cluster}))


def with_fault(rule: str) -> Stack:
    """Prod with the fault put in."""
    healthy = healthy_prod("access-entry" if rule == "node-entry-type" else "aws-auth")
    assert broken(healthy) == set()
    token, name, edit = FAULTS[rule]
    hit = [r for r in healthy.of(token) if name in r.name]
    assert len(hit) == 1, [r.name for r in hit]
    props = json.loads(json.dumps(hit[0].props))
    edit(props)
    faulty = Resource(type=token, name=hit[0].name, props=props)
    return replace(healthy, resources=tuple(faulty if r is hit[0] else r for r in healthy.resources))


def _prod_setting(key: str) -> dict[str, Any]:
    from tests.unit.settings.test_settings import committed

    return committed("prod")[key]


def test_every_rule_has_a_fault() -> None:
    assert set(FAULTS) == {rule.name for rule in RULES}


@pytest.mark.parametrize("rule", FAULTS)
def test_a_rule_sees_its_fault(rule: str) -> None:
    assert rule in broken(with_fault(rule))


# The four lessons, with the fault put back where a person would put it: in the program.


def test_lesson_1_the_mapping_removed_from_the_program_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.cluster.role_mappings", lambda access, roles: [])

    assert "node-role-admitted" in broken(stack_of(record("dev")))


@pytest.mark.parametrize("access", ["aws-auth", "both", "access-entry"])
def test_lesson_1_the_node_role_is_admitted_in_every_mode(access: str) -> None:
    from tests.unit.settings.test_settings import committed

    plan = record("dev", config_overrides={"cluster": committed("dev")["cluster"] | {"nodeAccess": access}})
    role = plan.named("aws:iam/role:Role", "karpenter-node-role").outputs["arn"]
    (aws_auth,) = [
        r for r in plan.of_type("kubernetes:core/v1:ConfigMap") if r.inputs["metadata"]["name"] == "aws-auth"
    ]
    entries = [e.inputs for e in plan.of_type("aws:eks/accessEntry:AccessEntry")]

    assert (role in aws_auth.inputs["data"]["mapRoles"]) == (access != "access-entry")
    assert ({"principalArn": role, "type": "EC2_LINUX", "clusterName": "otel-dev"} in entries) == (access != "aws-auth")
    assert "node-role-admitted" not in broken(stack_of(plan))


def test_lesson_1_the_system_node_group_has_a_role_of_its_own(plan: Recording) -> None:
    (group,) = plan.of_type("aws:eks/nodeGroup:NodeGroup")

    assert group.inputs["nodeRoleArn"] != plan.named("aws:iam/role:Role", "karpenter-node-role").outputs["arn"]


@pytest.mark.parametrize("event", interruption.EVENTS)
def test_lesson_3_a_rule_removed_from_the_program_is_seen(monkeypatch: pytest.MonkeyPatch, event: str) -> None:
    monkeypatch.setattr(interruption, "EVENTS", {k: v for k, v in interruption.EVENTS.items() if k != event})

    assert "interruption-rules" in broken(stack_of(record("dev")))


def test_lesson_3_a_queue_policy_for_other_rules_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from infra import documents

    real = documents.queue_policy
    monkeypatch.setattr("infra.documents.queue_policy", lambda queue, rules: real(queue, rules[:4]))

    assert "interruption-queue-policy" in broken(stack_of(record("dev")))


def test_lesson_3_the_queues_arn_in_place_of_its_name_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "infra.names.StackNames.interruption_queue", property(lambda stack_names: f"{stack_names.cluster}-other")
    )
    monkeypatch.setattr(
        "infra.karpenter.controller.controller_values",
        lambda args: {"settings": {"interruptionQueue": f"arn:aws:sqs:x:1:{args.stack_names.cluster}"}},
    )

    assert "interruption-queue-name" in broken(stack_of(record("dev")))


def test_lesson_4_a_root_that_reverts_a_suspension_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from infra import app_of_apps

    real = app_of_apps.root_spec
    monkeypatch.setattr(app_of_apps, "root_spec", lambda args: real(args) | {"ignoreDifferences": []})

    assert "root-respects-suspension" in broken(stack_of(record("dev")))
