"""The shape of a verdict: what was looked at, and what was found."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from otel_on_spot.doctor.facts import Facts

Severity = Literal["critical", "warning"]
"""critical: pods cannot run, data may be lost, or money runs away. warning: it will be, when the next thing happens."""

RUNBOOKS: Final = "docs/runbooks/doctor"


class NotSeen(Exception):  # noqa: N818
    """A check needs a group of facts that was not seen."""

    def __init__(self, group: str) -> None:
        super().__init__(group)
        self.group = group


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong. ``subject`` is its name; ``remedy`` are commands, in the order in which to run them."""

    subject: str
    seen: str
    rule: str
    remedy: tuple[str, ...]
    severity: Severity = "critical"


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What a check looked at: how many things, in words, and what is wrong with them."""

    count: int
    what: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the doctor. ``needs`` are the groups of facts without which it never judges."""

    id: str
    title: str
    needs: tuple[str, ...]
    judge: Callable[[Facts], Looked] = field(repr=False)

    @property
    def runbook(self) -> str:
        """Path of the runbook page in the repository."""
        return f"{RUNBOOKS}/{self.id}.md"


def seen(facts: Facts, group: str) -> Any:
    """A group of facts.

    Raises:
        NotSeen: it was not seen.
    """
    found = getattr(facts, group)
    if found is None:
        raise NotSeen(group)
    return found


def counted(count: int, one: str, many: str = "") -> str:
    """``1 node``, ``3 nodes``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def up(facts: Facts) -> str:
    """The command that puts back what the program declares, drift included."""
    if facts.simulated:
        return f"otel-on-spot lab up --stack {facts.declared.stack}"
    return f"pulumi up --stack {facts.declared.stack} --refresh"


def aws(facts: Facts, command: str) -> str:
    """A command of the AWS CLI in the stack's region."""
    return f"aws {command} --region {facts.declared.region}"


def age(facts: Facts, since: datetime) -> timedelta:
    """How long ago something was when the facts were taken."""
    return facts.taken_at - since


def told(duration: timedelta) -> str:
    """A duration in the largest units that say enough: ``45 s``, ``12 min``, ``3 h 20 min``, ``4 d 6 h``."""
    seconds = int(duration.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 120:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
