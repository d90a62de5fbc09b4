"""The policy pack: ``pulumi preview --policy-pack policy`` judges the engine's own graph by the list of rules."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyPack,
    PolicyResource,
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


def resource_of(args: PolicyResource | ResourceValidationArgs) -> Resource:
    """A resource as the rules see it."""
    return Resource(type=args.resource_type, name=args.name, urn=args.urn, props=plain(args.props))


def policy_of(rule: Rule) -> Policy:
    """A rule as a policy of the engine. A rule that the environment waives reports nothing."""

    def judge(stack: Stack, report: ReportViolation) -> None:
        for violation in violations(stack, rule):
            if violation.waiver is None:
                report(str(violation), violation.fault.resource.urn if violation.fault.resource else None)

    def of_stack(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = tuple(map(resource_of, args.resources))
        judge(Stack(environment_of(resources), resources), report)

    def of_resource(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resources = (resource_of(args),)
        judge(Stack(environment_of(resources), resources), report)

    common: dict[str, Any] = {
        "name": rule.name,
        "description": rule.why,
        "remediation_steps": rule.do,
        "enforcement_level": EnforcementLevel.MANDATORY,
    }
    # The engine shows a resource policy the declared inputs, and a stack policy the outputs.
    if rule.declared_only:
        return ResourceValidationPolicy(validate=of_resource, **common)
    return StackValidationPolicy(validate=of_stack, **common)


if __name__ == "__main__":
    PolicyPack("otel-on-spot", policies=[policy_of(rule) for rule in RULES])
