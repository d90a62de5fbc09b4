"""The policy pack: ``pulumi preview --policy-pack policy`` judges the engine's own graph by the list of rules."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

sys.path.insert(0, str(Path(__file__).parents[1]))

from policy.guardrails import RULES, Rule, violations
from policy.stack import Resource, Stack, environment_of
from policy.values import UNKNOWN


def plain(value: Any) -> Any:
    """The SDK's value without its proxies, each unknown leaf as the marker."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_item(value, index) for index in range(len(value))]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _item(container: Any, key: Any) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN


declared: dict[str, Any] = {}
"""URN -> inputs of each resource that this run has registered.

The engine shows a stack policy the outputs alone, and they are empty while a provider is not configured: on a first
preview, every Kubernetes object. A resource policy sees the inputs, earlier in the same run.
Source: https://github.com/pulumi/pulumi/blob/v3.272.0/pkg/resource/plugin/provider_plugin.go (Create, pcfg.known)
"""


def remember(args: ResourceValidationArgs, _report: ReportViolation) -> None:
    """Keep a resource's inputs for the rules, which judge at the end."""
    declared[args.urn] = plain(args.props)


def policy_of(rule: Rule) -> Policy:
    """A rule as a stack policy of the engine. A rule that the environment waives reports nothing."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = tuple(
            Resource.registered(r.resource_type, r.name, r.urn, outputs=plain(r.props), inputs=declared.get(r.urn))
            for r in args.resources
        )
        for violation in violations(Stack(environment_of(resources), resources), rule):
            if violation.waiver is None:
                report(str(violation), violation.fault.resource.urn if violation.fault.resource else None)

    return StackValidationPolicy(rule.name, rule.why, validate, EnforcementLevel.MANDATORY, remediation_steps=rule.do)


DECLARED_INPUTS = ResourceValidationPolicy(
    "declared-inputs", "keeps what the program declares for the rules, and reports nothing", remember
)

if __name__ == "__main__":
    PolicyPack("otel-on-spot", policies=[DECLARED_INPUTS, *(policy_of(rule) for rule in RULES)])
