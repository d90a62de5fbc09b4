"""Looks at a platform again and again: what appeared and what cleared between two looks, and when."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from otel_on_spot.findings import Finding, format_duration
from otel_on_spot.report import Report, Verdict

What = Literal["appeared", "cleared", "became worse", "became better", "not judged", "judged again"]
Key = tuple[str, str, int]
"""A check, a subject, and which of the findings of that subject: what is seen may count seconds, and so changes."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something that is otherwise than at the look before."""

    at: datetime
    what: What
    check: str
    told: str

    @property
    def line(self) -> str:
        """The change on one line."""
        return f"{self.at:%H:%M:%S}  {self.what:13}  {self.check}  {self.told}"


@dataclass(kw_only=True)
class Watch:
    """What is wrong so far. A check that could not be looked at keeps its findings until it is judged again."""

    _found: dict[Key, tuple[datetime, Finding]] = field(default_factory=dict)
    _unknown: dict[str, datetime] = field(default_factory=dict)

    def look(self, report: Report) -> list[Change]:
        """Changes since the look before; at the first look, everything that was found."""
        changes: list[Change] = []
        for verdict in report.verdicts:
            if verdict.status == "unknown":
                if verdict.id not in self._unknown:
                    self._unknown[verdict.id] = report.taken_at
                    changes.append(_change(report, "not judged", verdict, verdict.why_unknown))
                continue
            if since := self._unknown.pop(verdict.id, None):
                changes.append(
                    _change(report, "judged again", verdict, f"after {format_duration(report.taken_at - since)}")
                )
            changes += self._judged(report, verdict)
        return changes

    def _judged(self, report: Report, verdict: Verdict) -> list[Change]:
        counted: Counter[str] = Counter()
        there: set[Key] = set()
        changes = []
        for finding in verdict.findings:
            counted[finding.subject] += 1
            key = (verdict.id, finding.subject, counted[finding.subject])
            there.add(key)
            since, before = self._found.get(key, (report.taken_at, None))
            self._found[key] = (since, finding)
            told = f"{finding.severity}: {finding.subject}: {finding.seen}"
            if before is None:
                changes.append(_change(report, "appeared", verdict, told))
            elif before.severity != finding.severity:
                worse: What = "became worse" if finding.severity == "critical" else "became better"
                changes.append(_change(report, worse, verdict, told))
        for key in [key for key in self._found if key[0] == verdict.id and key not in there]:
            since, before = self._found.pop(key)
            told = f"{before.subject}, after {format_duration(report.taken_at - since)}"
            changes.append(_change(report, "cleared", verdict, told))
        return changes


def _change(report: Report, what: What, verdict: Verdict, told: str) -> Change:
    return Change(at=report.taken_at, what=what, check=verdict.id, told=" ".join(told.split()))


def watch(
    look: Callable[[], Report],
    *,
    first: Callable[[Report], None],
    later: Callable[[list[Change]], None],
    pause: Callable[[], None],
) -> int:
    """Look until somebody presses Ctrl-C, and give the exit code of the last whole look.

    Args:
        look: collects the facts and judges them.
        first: takes the first report.
        later: takes the changes of each further look, none among them.
        pause: waits until the next look.

    Raises:
        KeyboardInterrupt: before the first look was over.
    """
    seen = Watch()
    last: Report | None = None
    try:
        while True:
            report = look()
            changes = seen.look(report)
            began, last = last is None, report
            if began:
                first(report)
            else:
                later(changes)
            pause()
    except KeyboardInterrupt:
        if last is None:
            raise
        return last.exit_code
