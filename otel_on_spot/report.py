"""Report of a check-up or a drill: a table of verdicts, JSON, an exit code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import TypeAdapter
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from otel_on_spot.errors import EXIT_FINDINGS, EXIT_INCOMPLETE
from otel_on_spot.findings import Finding, format_count

FORMAT: Final = 1

Status = Literal["ok", "found", "unknown"]
MARKS: Final[dict[Status, tuple[str, str]]] = {"ok": ("✓", "green"), "found": ("✗", "red"), "unknown": ("?", "yellow")}


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Something that happened. ``seconds``: since the drill began, by a clock that never jumps."""

    at: datetime
    seconds: float
    what: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One line: what was looked at, what is wrong with it, or why it could not be looked at."""

    id: str
    title: str
    status: Status
    runbook: str
    count: int = 0
    what: str = ""
    why_unknown: str = ""
    findings: tuple[Finding, ...] = ()


def verdict_of(
    runbook: str, identity: str, title: str, what: str, *findings: Finding | None, count: int = 1
) -> Verdict:
    """A line that could be looked at: found where there is a finding, else ok.

    Args:
        runbook: page of the check or the drill.
        identity: of the line.
        title: of its findings, for people.
        what: was looked at, or what was seen.
        findings: what is wrong; None is nothing.
        count: number of things that were looked at.
    """
    wrong = tuple(finding for finding in findings if finding is not None)
    status: Status = "found" if wrong else "ok"
    return Verdict(id=identity, title=title, status=status, runbook=runbook, count=count, what=what, findings=wrong)


@dataclass(frozen=True, kw_only=True)
class Report:
    """The verdicts of one run; the doctor's in order of blast radius. ``seconds``: how long it took.

    ``moments`` and ``measures``: what happened in a drill, and its numbers by name, each with its unit.
    """

    format: int = FORMAT
    command: str
    stack: str
    cluster: str
    region: str
    taken_at: datetime
    seconds: float
    notes: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    moments: tuple[Moment, ...] = ()
    measures: Mapping[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 nothing found, 1 found, 2 something is unknown: it may be wrong, and outranks the rest."""
        statuses = {verdict.status for verdict in self.verdicts}
        return EXIT_INCOMPLETE if "unknown" in statuses else EXIT_FINDINGS if "found" in statuses else 0


def as_document(report: Report) -> dict[str, Any]:
    """The report as plain values."""
    return {**TypeAdapter(Report).dump_python(report, mode="json"), "exit_code": report.exit_code}


def show(report: Report, console: Console) -> None:
    """Print what happened, the table and, below it, each finding with its remedy."""
    if report.moments:
        console.print(_moments(report))
        console.print()
    for name, measure in report.measures.items():
        console.print(Text(f"{name}: {measure}"), soft_wrap=True)
    console.print(_table(report))
    found = [verdict for verdict in report.verdicts if verdict.findings]
    for verdict in found:
        console.print()
        console.print(Text(f"{verdict.title} ({verdict.id})", style="bold red"))
        for finding in verdict.findings:
            console.print(Padding(_finding(finding), (0, 0, 0, 2)))
            for command in finding.remedy:
                console.print(Text(f"  do    {command}"), soft_wrap=True)  # in one piece, to be copied
        console.print(Text(f"  see   {verdict.runbook}", style="dim"))
    for why, ids in _unknown(report.verdicts).items():
        console.print()
        console.print(Text("could not look: ", style="bold yellow").append(why, style="not bold"), soft_wrap=True)
        console.print(Text(f"  not judged: {', '.join(ids)}", style="dim"))
    for note in report.notes:
        console.print(Text(f"note: {note}", style="dim"))
    console.print(Text(summary(report), style={0: "green", 1: "red", 2: "yellow"}[report.exit_code]))


def _table(report: Report) -> Table:
    table = Table(
        title=f"{report.command} {report.stack}: {report.cluster}, {report.region}",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for name in ("", "check", "looked at", ""):
        table.add_column(name, overflow="fold")
    for verdict in report.verdicts:
        mark, colour = MARKS[verdict.status]
        told = verdict.what if verdict.status != "unknown" else "unknown"
        ending = Text(f"{len(verdict.findings)} found", style="red") if verdict.findings else Text("")
        table.add_row(Text(mark, style=colour), verdict.id, told, ending)
    return table


def _moments(report: Report) -> Table:
    table = Table(
        title=f"{report.command} {report.stack}: what happened", title_justify="left", box=None, pad_edge=False
    )
    for name in ("at (UTC)", "since start", "step took", "what", ""):
        table.add_column(name, justify="right" if name.startswith(("since", "step")) else "left", overflow="fold")
    before = 0.0
    for moment in report.moments:
        took = moment.seconds - before
        table.add_row(
            f"{moment.at:%H:%M:%S}", f"{moment.seconds:.1f} s", f"{took:.1f} s", moment.what, Text(moment.detail)
        )
        before = moment.seconds
    return table


def _finding(finding: Finding) -> RenderableType:
    style = "red" if finding.severity == "critical" else "yellow"
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=4)
    grid.add_column(overflow="fold")
    grid.add_row("seen", Text(finding.seen))
    grid.add_row("rule", Text(finding.rule))
    return Group(Text(f"{finding.severity}: {finding.subject}", style=style), grid)


def _unknown(verdicts: Sequence[Verdict]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.status == "unknown":
            found.setdefault(verdict.why_unknown, []).append(verdict.id)
    return found


def summary(report: Report) -> str:
    """One line: how many checks looked at how many things, and what came of it."""
    counts = {status: sum(verdict.status == status for verdict in report.verdicts) for status in MARKS}
    things = sum(verdict.count for verdict in report.verdicts if verdict.status != "unknown")
    findings = sum(len(verdict.findings) for verdict in report.verdicts)
    return (
        f"{format_count(len(report.verdicts), 'check')}, {format_count(things, 'thing')} looked at "
        f"in {report.seconds:.1f} s: {counts['ok']} in order, "
        f"{counts['found']} with {findings} found, {counts['unknown']} unknown"
    )
