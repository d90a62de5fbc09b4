"""Checks, their results, and what they share: required facts, ages, commands of a remedy."""

import inspect
from collections.abc import Callable, Generator, Sized
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Final

from otel_on_spot.doctor.facts import Facts
from otel_on_spot.findings import Finding, format_count

RUNBOOKS: Final = "docs/runbooks/doctor"


class UnknownFactsError(Exception):
    """A check needs a group of facts that is unknown."""

    def __init__(self, group: str) -> None:
        super().__init__(group)
        self.group = group


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """Result of a check: how many things it looked at, in words, and what is wrong with them."""

    count: int
    what: str
    findings: tuple[Finding, ...] = ()


Judging = Generator[Finding, None, tuple[int, str]]
"""What is wrong, one finding after another, and at the end how many things were looked at, and they in words."""


def result_of(judging: Callable[..., Judging]) -> Callable[..., CheckResult]:
    """Make a function that judges return its result."""

    @wraps(judging)
    def judge(*arguments: Any, **options: Any) -> CheckResult:
        going, findings = judging(*arguments, **options), []
        while True:
            try:
                findings.append(next(going))
            except StopIteration as end:
                count, what = end.value
                return CheckResult(count=count, what=what, findings=tuple(findings))

    return judge


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check of the doctor. ``needs``: the groups of facts without which it never judges."""

    id: str
    title: str
    needs: tuple[str, ...]
    judge: Callable[[Facts], CheckResult] = field(repr=False)

    @property
    def runbook(self) -> str:
        """Path of the runbook page in the repository."""
        return f"{RUNBOOKS}/{self.id}.md"


def check(identity: str, title: str, *needs: str) -> Callable[[Callable[..., Judging]], Check]:
    """Make a check of the function that judges: behind the facts it takes groups of them, by their names.

    ``needs``: the groups without which it never judges, where what it calls asks for more than it is given.
    """

    def make(judging: Callable[..., Judging]) -> Check:
        _, *given = inspect.signature(judging).parameters

        judged = result_of(judging)

        def judge(facts: Facts) -> CheckResult:
            return judged(facts, *(require(facts, group) for group in given))

        return Check(id=identity, title=title, needs=needs or tuple(given), judge=judge)

    return make


def looked_at(things: Sized, singular: str, plural: str = "") -> tuple[int, str]:
    """The end of a check that looked at things of one kind."""
    return len(things), format_count(len(things), singular, plural)


def require(facts: Facts, group: str) -> Any:
    """A group of facts.

    Raises:
        UnknownFactsError: it is unknown.
    """
    found = getattr(facts, group)
    if found is None:
        raise UnknownFactsError(group)
    return found


def update_command(facts: Facts) -> str:
    """The command that puts back what the program declares, drift included."""
    if facts.simulated:
        return f"otel-on-spot lab up --stack {facts.declared.stack}"
    return f"pulumi up --stack {facts.declared.stack} --refresh"


def aws_command(facts: Facts, command: str) -> str:
    """A command of the AWS CLI in the stack's region."""
    return f"aws {command} --region {facts.declared.region}"


def age(facts: Facts, since: datetime) -> timedelta:
    """Time since something happened, when the facts were taken."""
    return facts.taken_at - since
