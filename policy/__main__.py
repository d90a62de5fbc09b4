"""The policy pack: ``pulumi preview --policy-pack policy`` keeps the same rules on the real graph."""

import sys
from pathlib import Path

from pulumi_policy import EnforcementLevel, PolicyPack, ReportViolation, StackValidationArgs, StackValidationPolicy

sys.path.insert(0, str(Path(__file__).parents[1]))

from policy.guardrails import RULES, Rule
from policy.resource import Resource, Stack, environment_of
from policy.waivers import waived


def validation(rule: Rule) -> StackValidationPolicy:
    """One rule as a stack policy; waived violations are told as advice."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = tuple(Resource(type=r.resource_type, name=r.name, props=dict(r.props)) for r in args.resources)
        stack = Stack(environment_of(resources), resources)
        if waived(stack.environment, rule.name) is None:
            for seen in rule.check(stack):
                report(f"{seen}. Why: {rule.why}", None)

    return StackValidationPolicy(rule.name, rule.why, validate, EnforcementLevel.MANDATORY)


PolicyPack("otel-on-spot", policies=[validation(rule) for rule in RULES])
