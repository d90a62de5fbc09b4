"""The guard rails' verdict on a plan: the rules of the policy pack, on the recorded graph."""

from dataclasses import replace
from typing import Any

from otel_on_spot.plan.recording import Recording
from otel_on_spot.plan.values import Asset, Reference, Secret, Unknown, mapped, secret_texts
from policy.guardrails import Verdict, judge
from policy.stack import Fault, Resource, Stack, environment_of
from policy.values import UNKNOWN


def stack_of(recording: Recording) -> Stack:
    """The recording's resources as the engine shows them to a policy pack: secrets open, references as URNs."""
    resources = tuple(
        Resource.registered(r.type, r.name, r.urn, outputs=_opened(dict(r.outputs)), inputs=_opened(dict(r.inputs)))
        for r in recording
        if r.custom
    )
    return Stack(environment_of(resources), resources)


def _opened(value: Any) -> Any:
    def leaf(value: Any) -> Any:
        match value:
            case Unknown():
                return UNKNOWN
            case Secret(inner):
                return _opened(inner)
            case Reference(urn):
                return urn
            case Asset():
                return repr(value)
        return value

    return mapped(value, leaf)


def verdict(recording: Recording) -> Verdict:
    """What the rules say of a plan. No problem holds the text of a secret."""
    hidden = {text for r in recording for text in secret_texts(dict(r.inputs) | dict(r.outputs))}

    def masked(fault: Fault) -> Fault:
        problem = fault.problem
        for text in hidden:
            problem = problem.replace(text, "[secret]")
        return fault._replace(problem=problem)

    judged = judge(stack_of(recording))
    return replace(judged, violations=tuple(replace(v, fault=masked(v.fault)) for v in judged.violations))


def as_document(judged: Verdict) -> dict[str, Any]:
    """The verdict as plain JSON values."""
    return {
        "environment": judged.environment,
        "passed": [rule.name for rule in judged.passed],
        "undecided": [rule.name for rule in judged.undecided],
        "violations": [
            {
                "rule": violation.rule.name,
                "resource": violation.resource,
                "urn": violation.fault.resource.urn if violation.fault.resource else None,
                "problem": violation.fault.problem,
                "why": violation.rule.why,
                "do": violation.rule.do,
                "waiver": violation.waiver,
            }
            for violation in judged.violations
        ],
    }
