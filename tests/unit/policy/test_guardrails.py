"""Every committed stack keeps every rule, or has a recorded waiver; every rule sees its fault when it is put back."""

import ast
import json
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra.karpenter import interruption
from otel_on_spot.plan.record import record
from otel_on_spot.plan.verdict import stack_of
from otel_on_spot.program.recording import Recording
from policy import guardrails
from policy.guardrails import RULES, judge, violations
from policy.stack import Resource, Stack
from policy.values import UNKNOWN
from policy.waivers import WAIVERS
from tests.unit.conftest import STACKS, recorded
from tests.unit.policy.faults import FAULTS, RELEASE, edited, put_in
from tests.unit.settings.test_settings import committed


def broken(stack: Stack) -> set[str]:
    return {violation.rule.name for violation in violations(stack)}


def test_no_rule_is_broken_without_a_waiver(plan: Recording) -> None:
    assert judge(stack_of(plan)).refused == ()


def test_prod_has_no_waiver() -> None:
    assert WAIVERS.get("prod", {}) == {}


@pytest.mark.parametrize("environment", ["dev", "staging", "lab"])
def test_every_waiver_is_needed_and_names_a_rule(environment: str) -> None:
    assert set(WAIVERS[environment]) == broken(stack_of(recorded(environment)))
    assert set(WAIVERS[environment]) <= {rule.name for rule in RULES}


def test_the_first_preview_breaks_nothing_more(first_preview: Recording) -> None:
    assert judge(stack_of(first_preview)).refused == ()


def test_after_an_update_no_rule_is_undecided(plan: Recording) -> None:
    assert judge(stack_of(plan)).undecided == ()


@cache
def healthy_prod(node_access: str = "both", *, preview: bool = False) -> Stack:
    """Prod with node roles admitted in one way only, so that one fault is enough, or in both, to take any fault."""
    return stack_of(recorded_prod(node_access, preview=preview))


@cache
def recorded_prod(node_access: str = "both", *, preview: bool = False) -> Recording:
    cluster = committed("prod")["cluster"] | {"nodeAccess": node_access}
    more = {"cluster": cluster, "alarms": {"emails": ["on-call@example.com"]}}
    return record("prod", config_overrides=more, preview=preview)


@cache
def sound_prod(node_access: str, *, preview: bool) -> Stack:
    """As ``healthy_prod``, seen to break no rule."""
    healthy = healthy_prod(node_access, preview=preview)
    assert broken(healthy) == set()
    return healthy


def with_fault(rule: str, *, preview: bool = False) -> Stack:
    """Prod with the fault put in."""
    healthy = sound_prod("access-entry" if rule == "node-entry-type" else "aws-auth", preview=preview)
    fault = FAULTS[rule]
    (hit,) = [r for r in healthy.of(fault.type) if fault.name in r.name]
    faulty = replace(hit, props=put_in(fault, hit.props), declared=put_in(fault, hit.declared))
    return replace(healthy, resources=tuple(faulty if r is hit else r for r in healthy.resources))


def test_every_rule_has_a_fault() -> None:
    assert set(FAULTS) == {rule.name for rule in RULES}


@pytest.mark.parametrize("rule", FAULTS)
def test_a_rule_sees_its_fault_and_no_other_rule_does(rule: str) -> None:
    assert broken(with_fault(rule)) == {rule, *FAULTS[rule].also}


@pytest.mark.parametrize("rule", FAULTS)
def test_a_first_preview_shows_a_fault_that_rests_on_known_values(rule: str) -> None:
    judged = judge(with_fault(rule, preview=True))

    if FAULTS[rule].needs:
        seen, undecided = {v.rule.name for v in judged.violations}, {entry.name for entry in judged.undecided}
        assert seen <= set(FAULTS[rule].also)
        assert {rule, *FAULTS[rule].also} - seen <= undecided
    else:
        assert {v.rule.name for v in judged.violations} == {rule, *FAULTS[rule].also}


def hidden(value: Any, chance: random.Random, share: float) -> Any:
    """The value with some parts unknown, whole branches or single leaves."""
    if chance.random() < share:
        return UNKNOWN
    if isinstance(value, Mapping):
        return {key: hidden(item, chance, share) for key, item in value.items()}
    return [hidden(item, chance, share) for item in value] if isinstance(value, list) else value


def partly_unknown(stack: Stack, seed: int, share: float) -> Stack:
    def part(resource: Resource, index: int) -> Resource:
        if resource.type.startswith("pulumi:providers:"):
            return resource
        return replace(
            resource,
            props=hidden(resource.props, random.Random(f"{seed}-{index}"), share),
            declared=hidden(resource.declared, random.Random(f"{seed}-{index}"), share),
        )

    return replace(stack, resources=tuple(part(r, index) for index, r in enumerate(stack.resources)))


@pytest.mark.parametrize("share", [0.02, 0.1, 0.4, 1.0])
@pytest.mark.parametrize("name", STACKS)
def test_what_is_unknown_never_breaks_a_rule(name: str, share: float) -> None:
    for seed in range(5):
        assert judge(partly_unknown(stack_of(recorded(name)), seed, share)).refused == ()


@pytest.mark.parametrize("rule", FAULTS)
def test_a_fault_is_seen_or_undecided_whatever_else_is_unknown_and_never_passes(rule: str) -> None:
    """Each rule is silent about unknown leaves alone: hiding others hides no fault."""
    stack = with_fault(rule)
    for seed in range(3):
        judged = judge(partly_unknown(stack, seed, 0.1))
        assert rule in {v.rule.name for v in judged.violations} | {undecided.name for undecided in judged.undecided}


def allows(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", **statement}})


NODE_CLASS, POOL = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass", "kubernetes:karpenter.sh/v1:NodePool"
POLICY, CLUSTER, TARGET = "aws:iam/policy:Policy", "aws:eks/cluster:Cluster", "aws:cloudwatch/eventTarget:EventTarget"
PROJECT, APPLICATION = "kubernetes:argoproj.io/v1alpha1:AppProject", "kubernetes:argoproj.io/v1alpha1:Application"
OPEN: dict[str, Any] = {"endpointPublicAccess": True, "endpointPrivateAccess": True}
FORMS: list[tuple[str, str, dict[str, Any], bool]] = [
    # rule, type, properties, broken?
    ("pass-role-exact", POLICY, {"policy": allows(Action="iam:passrole", Resource="*")}, True),
    ("pass-role-exact", POLICY, {"policy": allows(Action=["iam:Pass*"], Resource=["arn:aws:iam::1:role/?"])}, True),
    ("pass-role-exact", POLICY, {"policy": allows(Action="*", NotResource="arn:aws:iam::1:role/a")}, True),
    ("pass-role-exact", POLICY, {"policy": allows(Action="iam:PassRole", Resource="arn:aws:iam::1:role/a")}, False),
    ("no-wildcard-writes", POLICY, {"policy": allows(NotAction="iam:*", Resource="arn:aws:s3:::b")}, True),
    ("no-wildcard-writes", POLICY, {"policy": allows(Action="s3:PutObject", NotResource="arn:aws:s3:::b")}, True),
    ("no-wildcard-writes", POLICY, {"policy": allows(Action="sqs:Send?essage", Resource="arn:aws:sqs:::q")}, True),
    ("no-wildcard-writes", POLICY, {"policy": allows(Action="malformed", Resource="*")}, True),
    ("no-wildcard-writes", POLICY, {"policy": allows(Action="ec2:describeInstances", Resource="*")}, False),
    ("no-wildcard-writes", POLICY, {"policy": "{not JSON"}, False),
    ("endpoint-not-open", CLUSTER, {"vpcConfig": OPEN}, True),
    ("endpoint-not-open", CLUSTER, {"vpcConfig": OPEN | {"publicAccessCidrs": ["203.0.113.0/24", "::/0"]}}, True),
    ("endpoint-not-open", CLUSTER, {"vpcConfig": OPEN | {"publicAccessCidrs": ["0.0.0.0/1", "128.0.0.0/1"]}}, True),
    ("endpoint-not-open", CLUSTER, {"vpcConfig": OPEN | {"publicAccessCidrs": ["203.0.113.0/24", UNKNOWN]}}, False),
    ("endpoint-not-open", CLUSTER, {"vpcConfig": OPEN | {"publicAccessCidrs": [UNKNOWN, "0.0.0.0/0"]}}, True),
    ("audit-logs", CLUSTER, {"enabledClusterLogTypes": ["api", UNKNOWN]}, False),
    ("project-bounded", PROJECT, {"spec": {"destinations": [{"server": "*", "namespace": "a"}]}}, True),
    ("project-bounded", PROJECT, {"spec": {"destinations": [UNKNOWN, {"namespace": "otel-*"}]}}, True),
    ("project-bounded", PROJECT, {"spec": {"clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}}, True),
    ("project-bounded", PROJECT, {"spec": {"sourceRepos": ["!https://example.com/*", "https://example.com/a"]}}, False),
    ("project-bounded", APPLICATION, {"spec": {}}, True),
    ("git-revision-pinned", APPLICATION, {"spec": {"sources": [{"targetRevision": "v1.2.3"}, {}]}}, True),
    ("git-revision-pinned", APPLICATION, {"spec": {"source": {"chart": "a", "targetRevision": "1.2.3"}}}, False),
    ("ami-pinned", NODE_CLASS, {"spec": {"amiSelectorTerms": [{"id": "ami-1"}]}}, False),
    ("ami-pinned", NODE_CLASS, {"spec": {"amiSelectorTerms": [{"id": "ami-1"}, {"name": "mine"}]}}, True),
    ("imdsv2-hop-one", NODE_CLASS, {"spec": {"metadataOptions": {"httpTokens": "required"}}}, True),
    ("volumes-encrypted", NODE_CLASS, {"spec": {}}, True),
    ("volumes-encrypted", NODE_CLASS, {"spec": {"blockDeviceMappings": [UNKNOWN, {"ebs": {}}]}}, True),
    ("stateful-on-demand", POOL, {"spec": {"template": {"spec": {"taints": UNKNOWN, "requirements": []}}}}, True),
    ("interruption-rules", "aws:cloudwatch/eventRule:EventRule", {"eventPattern": '{"source": ["aws.s3"]}'}, True),
    ("log-retention", "aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": None}, True),
]


@pytest.mark.parametrize(("rule", "token", "properties", "expected"), FORMS)
def test_a_rule_judges_every_form_of_its_fault(
    rule: str, token: str, properties: dict[str, Any], expected: bool
) -> None:
    assert (rule in broken(Stack("prod", (Resource(type=token, name="a", props=properties),)))) is expected


ODD: list[Any] = [None, "", "text", 0, 1.5, True, [], {}, [None], [[]], [{}], {"a": None}, UNKNOWN, [UNKNOWN], "[{]"]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_no_rule_raises_whatever_the_shape_of_a_value(odd: Any) -> None:
    """Every property of every resource, down to the second level, is replaced by the odd value in turn."""

    def variants(value: Any, depth: int) -> Iterator[Any]:
        yield odd
        if isinstance(value, Mapping) and depth:
            for key, item in value.items():
                yield from ({**value, key: variant} for variant in variants(item, depth - 1))
        if isinstance(value, list) and depth:
            for index, item in enumerate(value):
                yield from ([*value[:index], variant, *value[index + 1 :]] for variant in variants(item, depth - 1))

    for resource in {r.type: r for r in healthy_prod().resources}.values():
        for props in variants(resource.props, 2):
            judge(Stack("prod", (replace(resource, props=props, declared=props),)))


def test_the_pack_stands_by_itself() -> None:
    """It imports nothing of the tools nor of the program: the engine starts it in a project without either."""
    folder = Path(guardrails.__file__).parent
    imported = {
        (alias.name if isinstance(node, ast.Import) else node.module or ".").partition(".")[0]
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    assert imported - sys.stdlib_module_names == {"policy", "pulumi_policy", "yaml"}
    # The engine runs the folder itself: a module named as one of the standard library would take its place.
    assert {file.stem for file in folder.glob("*.py")} & sys.stdlib_module_names == set()


# The four lessons, with the fault put back where a person would put it: in the program.


def test_lesson_1_the_mapping_removed_from_the_program_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.cluster.role_mappings", lambda access, roles: [])

    assert "node-role-admitted" in broken(stack_of(record("dev")))


@pytest.mark.parametrize("access", ["aws-auth", "both", "access-entry"])
def test_lesson_1_the_node_role_is_admitted_in_every_mode(access: str) -> None:
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


@pytest.mark.parametrize(
    ("kind", "name", "path", "value"),
    [
        ("aws:eks/addon:Addon", "coredns", ("configurationValues",), '{"autoScaling": {"enabled": true}}'),
        ("aws:eks/addon:Addon", "coredns", ("configurationValues",), None),
        (
            "aws:eks/addon:Addon",
            "aws-ebs-csi-driver",
            ("configurationValues",),
            '{"nodeSelector": {"node-role": "system"}}',
        ),
        ("aws:eks/addon:Addon", "metrics-server", ("configurationValues",), '{"nodeSelector": {"node-role": "other"}}'),
        (RELEASE, "karpenter-controller", ("values", "nodeSelector"), None),
        (RELEASE, "karpenter-controller", ("values", "controller", "env"), []),
        (RELEASE, "argocd", ("values", "global", "nodeSelector"), {"kubernetes.io/os": "linux"}),
    ],
)
def test_each_controller_of_the_platform_is_held_on_system_nodes(
    kind: str, name: str, path: tuple[str, ...], value: Any
) -> None:
    healthy = healthy_prod()
    (hit,) = [r for r in healthy.of(kind) if name in r.name]
    faulty = replace(hit, props=edited(hit.props, path, lambda _: value))

    found = violations(replace(healthy, resources=tuple(faulty if r is hit else r for r in healthy.resources)))

    assert [(v.rule.name, v.resource) for v in found] == [("platform-on-system-nodes", hit.name)]
