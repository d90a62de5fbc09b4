"""Judges facts: every check that was asked for, each by itself."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from otel_on_spot.doctor.check import Check, UnknownFactsError
from otel_on_spot.doctor.checks import CHECKS
from otel_on_spot.doctor.facts import AWS_GROUPS, Facts
from otel_on_spot.errors import ToolError
from otel_on_spot.report import Report, Verdict

COMMAND: Final = "doctor"


class UnknownCheckError(ToolError):
    """``--only`` or ``--skip`` names no line. The message lists the lines."""


def chosen(only: Sequence[str], skip: Sequence[str]) -> tuple[Check, ...]:
    """The checks to run, in order of blast radius.

    Raises:
        UnknownCheckError: a name is no line, or nothing is left.
    """
    known = [one.id for one in CHECKS]
    for option, given in (("--only", only), ("--skip", skip)):
        strangers = [name for name in given if name not in known]
        if strangers:
            raise UnknownCheckError(f"{option} {', '.join(strangers)}: no such line. Lines: {', '.join(known)}")
    left = tuple(one for one in CHECKS if (not only or one.id in only) and one.id not in skip)
    if not left:
        raise UnknownCheckError(
            f"--only {','.join(only)} --skip {','.join(skip)}: no line is left. Leave one of them out"
        )
    return left


def judge(facts: Facts, check: Check) -> Verdict:
    """One check's verdict."""
    empty = Verdict(id=check.id, title=check.title, runbook=check.runbook, status="ok")
    try:
        for group in check.needs:
            if getattr(facts, group) is None:
                raise UnknownFactsError(group)
        looked = check.judge(facts)
    except UnknownFactsError as missing:
        return replace(empty, status="unseen", why_unseen=_why(facts, missing.group))
    status = "found" if looked.findings else "ok"
    return replace(empty, status=status, count=looked.count, what=looked.what, findings=looked.findings)


def _why(facts: Facts, group: str) -> str:
    half = "AWS" if group in AWS_GROUPS else "Kubernetes"
    why = facts.unseen.get(group, "these facts were not collected")
    return why if why.startswith(f"{half}: ") else f"{half}: {group.replace('_', ' ')}: {why}"


def examine(facts: Facts, checks: Sequence[Check], *, seconds: float = 0.0, notes: Sequence[str] = ()) -> Report:
    """Every check's verdict on the facts."""
    declared = facts.declared
    return Report(
        command=COMMAND,
        stack=declared.stack,
        cluster=declared.cluster,
        region=declared.region,
        taken_at=facts.taken_at,
        seconds=seconds,
        notes=tuple(notes),
        verdicts=tuple(judge(facts, check) for check in checks),
    )
