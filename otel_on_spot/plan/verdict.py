"""The policy rules' verdict on a plan: the list that the policy pack runs, on the recorded graph."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from otel_on_spot.program.recording import Recording
from otel_on_spot.program.values import Asset, Reference, Secret, Unknown, mapped, secret_texts
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
    """The rules' verdict on a plan. No problem holds the text of a secret."""
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


def summary(document: Mapping[str, Any]) -> str:
    """``28 of 35 passed, 7 waived``, of a verdict as plain values."""
    broken = {violation["rule"]: violation["waiver"] for violation in document["violations"]}
    refused = sum(waiver is None for waiver in broken.values())
    counts = (
        (refused, "violated"),
        (len(broken) - refused, "waived"),
        (len(document["undecided"]), "undecided before the update"),
    )
    passed = len(document["passed"])
    total = passed + len(document["undecided"]) + len(broken)
    return ", ".join([f"{passed} of {total} passed", *(f"{n} {what}" for n, what in counts if n)])


def told(document: Mapping[str, Any], *, markdown: bool) -> str:
    """The verdict of ``as_document`` for a comparison: the count, and each violation that nothing waives."""
    refused = [violation for violation in document["violations"] if violation["waiver"] is None]
    title = f"Policy rules of {document['environment']}: {summary(document)}"
    if not markdown:
        lines = (
            f"  {violation['rule']}: {violation['resource']}: {violation['problem']}. Do: {violation['do']}"
            for violation in refused
        )
        return "\n".join((title, *lines))
    rows = (
        f"| `{violation['rule']}` | `{violation['resource']}` | "
        f"{_cell(violation['problem'])} | {_cell(violation['do'])} |"
        for violation in refused
    )
    table = ("", "| violated | resource | problem | do |", "|---|---|---|---|", *rows) if refused else ()
    return "\n".join((f"**{title}.**", *table))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def show(judged: Verdict, console: Console) -> None:
    """Print every rule that did not simply pass: what breaks it and what mends it, or why it is waived."""
    title = f"policy rules of {judged.environment}: {summary(as_document(judged))}"
    table = Table("rule", "verdict", "detail", title=title, title_justify="left")
    for violation in judged.refused:
        rule, problem = violation.rule, f"{violation.resource}: {violation.fault.problem}"
        table.add_row(rule.name, "violated", escape(f"{problem}\nwhy: {rule.why}\ndo:  {rule.do}"), style="red")
    for name, waiver in sorted({(v.rule.name, v.waiver) for v in judged.violations if v.waiver}):
        table.add_row(name, "waived", waiver)
    for rule in judged.undecided:
        table.add_row(rule.name, "undecided", "depends on values that only the update knows")
    console.print(table if table.row_count else title)
