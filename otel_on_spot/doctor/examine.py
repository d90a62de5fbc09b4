"""Judges facts: every check that was asked for, each by itself."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from otel_on_spot.doctor.check import Check, UnknownFactsError, require
from otel_on_spot.doctor.checks import CHECKS
from otel_on_spot.doctor.facts import AWS_GROUPS, Facts
from otel_on_spot.errors import ToolError
from otel_on_spot.report import Report, Verdict

COMMAND: Final = "doctor"


class UnknownCheckError(ToolError):
    """``--only`` or ``--skip`` names no check. The message lists the checks."""


def select_checks(only: Sequence[str], skip: Sequence[str]) -> tuple[Check, ...]:
    """The checks to run, in order of blast radius.

    Raises:
        UnknownCheckError: a name is no check, or nothing is left.
    """
    known = [check.id for check in CHECKS]
    for option, names in (("--only", only), ("--skip", skip)):
        unknown = [name for name in names if name not in known]
        if unknown:
            raise UnknownCheckError(f"{option} {', '.join(unknown)}: no such check. Checks: {', '.join(known)}")
    left = tuple(check for check in CHECKS if (not only or check.id in only) and check.id not in skip)
    if not left:
        raise UnknownCheckError(
            f"--only {','.join(only)} --skip {','.join(skip)}: no check is left. Leave one of them out"
        )
    return left


def run_check(facts: Facts, check: Check) -> Verdict:
    """One check's verdict."""
    empty = Verdict(id=check.id, title=check.title, runbook=check.runbook, status="ok")
    try:
        for group in check.needs:
            require(facts, group)
        looked = check.judge(facts)
    except UnknownFactsError as missing:
        return replace(empty, status="unknown", why_unknown=_why(facts, missing.group))
    status = "found" if looked.findings else "ok"
    return replace(empty, status=status, count=looked.count, what=looked.what, findings=looked.findings)


def _why(facts: Facts, group: str) -> str:
    half = "AWS" if group in AWS_GROUPS else "Kubernetes"
    why = facts.unknown.get(group, "these facts were not collected")
    return why if why.startswith(f"{half}: ") else f"{half}: {group.replace('_', ' ')}: {why}"


def examine(facts: Facts, checks: Sequence[Check], *, seconds: float = 0.0, notes: Sequence[str] = ()) -> Report:
    """Every check's verdict on the facts.

    Args:
        facts: what was collected.
        checks: in the order of the report.
        seconds: how long the collection took.
        notes: lines over the verdicts, such as what was not asked.
    """
    declared = facts.declared
    return Report(
        command=COMMAND,
        stack=declared.stack,
        cluster=declared.cluster,
        region=declared.region,
        taken_at=facts.taken_at,
        seconds=seconds,
        notes=tuple(notes),
        verdicts=tuple(run_check(facts, check) for check in checks),
    )
