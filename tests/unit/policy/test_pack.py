"""The policy pack in its own process: what it answers to the engine's requests, with unknown values and without."""

from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import analyzer_pb2

from otel_on_spot.program.values import UNKNOWN, Secret
from policy import guardrails
from policy.guardrails import RULES
from tests.unit.conftest import STACKS, recorded
from tests.unit.policy.faults import AT_ONCE, FAULTS, put_in
from tests.unit.policy.pack import Pack, sent, started
from tests.unit.policy.test_guardrails import recorded_prod


@pytest.fixture(scope="module")
def pack() -> Generator[Pack]:
    with started(Path(guardrails.__file__).parent) as running:
        yield running


def test_every_rule_is_a_mandatory_policy_of_the_pack(pack: Pack) -> None:
    mandatory = {p.name: p for p in pack.policies if p.policy_type == analyzer_pb2.POLICY_TYPE_STACK}

    assert set(mandatory) == {rule.name for rule in RULES}
    assert {p.enforcementLevel for p in mandatory.values()} == {analyzer_pb2.MANDATORY}
    assert all(p.description and p.remediation_steps for p in mandatory.values())


@pytest.mark.parametrize("preview", [True, False], ids=["first preview", "update"])
@pytest.mark.parametrize("stack", STACKS)
def test_a_sound_stack_has_no_diagnostic(pack: Pack, stack: str, preview: bool) -> None:
    assert [f"{d.policyName}: {d.message}" for d in pack.judge(sent(recorded(stack, preview)))] == []


def test_a_first_preview_without_its_inputs_has_no_diagnostic(pack: Pack) -> None:
    """Outputs that no provider gave are unknown, not absent."""
    resources = sent(recorded("prod", preview=True))

    assert sum(resource.outputs == {} for resource in resources) > 20
    assert [f"{d.policyName}: {d.message}" for d in pack.judge(resources, analyze=False)] == []


@pytest.fixture(scope="module")
def faulty(pack: Pack) -> Any:
    """Every fault at once in prod, and what the pack says of it: URN of the broken resource by rule, diagnostics."""

    @cache
    def judged(preview: bool) -> tuple[dict[str, str], list[Any]]:
        resources = sent(recorded_prod(preview=preview))
        urns: dict[str, str] = {}
        for rule, fault in AT_ONCE.items():
            (hit,) = [r for r in resources if r.type == fault.type and fault.name in r.name and r.inputs]
            hit.inputs = put_in(fault, hit.inputs)
            hit.outputs = hit.outputs and put_in(fault, hit.outputs)
            urns[rule] = hit.urn
        return urns, pack.judge(resources)

    return judged


ELSEWHERE = {
    "stateful-on-demand": "the stack",
    "interruption-rules": "the stack",
    "interruption-targets": "interruption-rebalance",
    "interruption-queue-name": "karpenter-controller",
    "node-role-admitted": "capacity-node-class",
    "flow-logs": "network-vpc",
}
"""Rules that name another resource than the one with the fault: what stands in the message."""


@pytest.mark.parametrize("rule", FAULTS)
def test_an_update_reports_the_fault_at_its_resource_with_what_to_do(faulty: Any, rule: str) -> None:
    urns, diagnostics = faulty(preview=False)
    found = [d for d in diagnostics if d.policyName == rule]

    assert found
    assert all("Do: " in d.message and d.enforcementLevel == analyzer_pb2.MANDATORY for d in found)
    if rule in ELSEWHERE:
        assert any(f"{ELSEWHERE[rule]}: " in d.message for d in found)
    elif rule in urns:
        assert urns[rule] in {d.urn for d in found}


@pytest.mark.parametrize("rule", FAULTS)
def test_a_first_preview_reports_the_faults_that_rest_on_known_values_and_no_others(faulty: Any, rule: str) -> None:
    _, diagnostics = faulty(preview=True)

    assert (rule in {d.policyName for d in diagnostics}) == (not FAULTS[rule].needs)
    assert [d.message for d in diagnostics if "can't run" in d.message] == []


def test_an_environment_reports_no_rule_that_it_waives(pack: Pack) -> None:
    resources = sent(recorded("dev"))
    fault = FAULTS["git-revision-pinned"]
    (root,) = [r for r in resources if r.type == fault.type]

    assert root.inputs["spec"]["source"]["targetRevision"] == "main"
    assert pack.judge(resources) == []


def test_secrets_and_assets_and_unknown_values_of_every_kind_are_taken(pack: Pack) -> None:
    resources = sent(recorded("dev"))
    for resource in resources:
        if not resource.type.startswith("pulumi:providers:aws"):
            resource.outputs = {key: Secret(value) for key, value in resource.outputs.items()}
    assert [d.message for d in pack.judge(resources)] == []

    for resource in resources:
        if not resource.type.startswith("pulumi:providers:aws"):
            resource.inputs = resource.outputs = dict.fromkeys(resource.outputs, UNKNOWN)
    assert [d.message for d in pack.judge(resources)] == []


def test_a_window_that_a_drill_wrote_into_the_project_is_not_the_programs(pack: Pack) -> None:
    """The living object carries the lease; the program declares none, and an update during a drill goes through."""
    resources = sent(recorded("dev"))
    (project,) = [r for r in resources if r.type == FAULTS["project-keeps-sync-windows"].type]
    project.outputs = project.outputs | {"spec": project.outputs["spec"] | {"syncWindows": [{"kind": "deny"}]}}

    assert pack.judge(resources) == []
