"""The page of ``report``: HTML that holds everything it shows. It runs no script and loads nothing."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any, Final

from otel_on_spot.errors import ToolError
from otel_on_spot.plan import cost, picture, verdict
from otel_on_spot.plan.manifests import as_document
from otel_on_spot.program.recording import Recording
from otel_on_spot.report import FORMAT, MARKS, Report, Status

STYLE: Final = """
body { font: 15px/1.5 Helvetica, Arial, sans-serif; color: #1f2933; max-width: 1100px; margin: 2em auto }
body { padding: 0 1em }
h1 { margin-bottom: 0 }
h2 { border-top: 1px solid #cbd2d9; padding-top: 1em; margin-top: 2em }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .25em .75em .25em 0 }
th { border-bottom: 1px solid #cbd2d9 }
td { border-bottom: 1px solid #eef1f4; vertical-align: top }
@media (min-width: 1000px) {
  td { overflow-wrap: anywhere; min-width: 6em }
  td:first-child { white-space: nowrap }
}
.n { text-align: right; white-space: nowrap }
.faint { color: #616e7c }
.found { color: #ba2525 }
.unknown { color: #8d6708 }
.figure { font-size: 1.6em; margin-right: 1.5em; display: inline-block }
.figure small { font-size: .6em; color: #616e7c }
.wide { overflow-x: auto }
.drawing { overflow-x: auto; margin: 0 calc(50% - 50vw + 1em) }
.drawing svg { width: 100%; min-width: 1235px; height: auto }
"""
CLOSED: Final = "default-src 'none'; style-src 'unsafe-inline'"
"""Policy of the page: a browser that keeps it asks for nothing."""


class DrillFileError(ToolError):
    """A file that is no drill's report."""


def drill_of(file: Path) -> Mapping[str, Any]:
    """A drill's report, as ``drill ... --json FILE`` wrote it.

    Raises:
        DrillFileError: the file is not there, or is none.
    """
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError) as problem:
        raise DrillFileError(f"--drill {file}: {problem}. Give what `drill ... --json FILE` wrote") from None
    if not (isinstance(found, dict) and _is_drills(found)):
        raise DrillFileError(f"--drill {file}: this is no drill's report. Give what `drill ... --json FILE` wrote")
    return found


def _is_drills(found: Mapping[str, Any]) -> bool:
    """Decide if a map is a drill's report, as far as the page shows it."""
    words = (found.get(key) for key in ("command", "stack", "taken_at"))
    verdicts, measures = found.get("verdicts"), found.get("measures") or {}
    return (
        found.get("format") == FORMAT
        and all(isinstance(word, str) for word in words)
        and found["command"].startswith("drill ")
        and isinstance(verdicts, list)
        and all(isinstance(row, dict) and row.get("status") in MARKS for row in verdicts)
        and all(isinstance(row.get("title"), str) for row in verdicts)
        and isinstance(measures, dict)
    )


def page(
    recording: Recording, root: Path, doctor: Report | str, drills: Sequence[Mapping[str, Any]], at: datetime
) -> str:
    """The page.

    Args:
        recording: the plan of the stack.
        root: folder of the project.
        doctor: its report, or why there is none.
        drills: reports of drills, as plain values.
        at: when it is made.
    """
    sections = (
        _plan(recording),
        _posture(recording),
        _cost(recording, root),
        _doctor(doctor),
        _drills(drills),
    )
    title = f"{recording.project} {recording.stack}"
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{CLOSED}">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<h1>{escape(title)}</h1>\n<p class="faint">Made {at:%Y-%m-%d %H:%M} UTC by otel-on-spot report.</p>\n'
        f"{''.join(sections)}</body>\n</html>\n"
    )


def _section(identity: str, title: str, *parts: str) -> str:
    return f'<section id="{identity}">\n<h2>{escape(title)}</h2>\n{"".join(parts)}</section>\n'


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>\n"


def _figures(**figures: str) -> str:
    """Figures in large print, each over its name."""
    told = (
        f'<span class="figure" data-figure="{name}">{escape(figure)} <small>{_spaced(name)}</small></span>'
        for name, figure in figures.items()
    )
    return f"<p>{''.join(told)}</p>\n"


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int = 0, marked: bool = False) -> str:
    """A table. The last ``numbers`` columns stand right; of ``marked`` rows the first cell is the row's class."""
    classes = ["" if column < len(head) - numbers else ' class="n"' for column in range(len(head))]

    def line(row: Sequence[str], tag: str, kind: str = "") -> str:
        cells = (f"<{tag}{attribute}>{escape(cell)}</{tag}>" for attribute, cell in zip(classes, row, strict=True))
        return f"<tr{kind}>{''.join(cells)}</tr>"

    lines = [
        line(head, "th"),
        *(line(row[1:], "td", f' class="{escape(row[0])}"') if marked else line(row, "td") for row in rows),
    ]
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>\n"


def _plan(recording: Recording) -> str:
    made = sum(registration.custom for registration in recording)
    components = len(picture.by_component(recording).nodes)
    return _section(
        "plan",
        "Plan",
        _figures(resources=str(made), components=str(components)),
        _paragraph("What is made first stands left; teardown runs from right to left."),
        f'<div class="drawing">{picture.svg(recording)}</div>\n',
    )


def _posture(recording: Recording) -> str:
    judged = verdict.as_document(verdict.verdict(recording))
    broken = {violation["rule"]: violation["waiver"] for violation in judged["violations"]}
    rows = [
        (
            "found" if violation["waiver"] is None else "faint",
            violation["rule"],
            violation["waiver"] or violation["problem"],
            violation["why"],
        )
        for violation in {violation["rule"]: violation for violation in judged["violations"]}.values()
    ]
    return _section(
        "posture",
        "Posture",
        _figures(
            rules_kept=str(len(judged["passed"])),
            violated=str(sum(waiver is None for waiver in broken.values())),
            waived=str(sum(waiver is not None for waiver in broken.values())),
        ),
        _paragraph(f"The guard rails of {judged['environment']}: {verdict.summary(judged)}."),
        _table(("rule", "why it does not hold", "what it is for"), rows, marked=True) if rows else "",
    )


def _cost(recording: Recording, root: Path) -> str:
    document = as_document(recording)
    try:
        found = cost.as_document(cost.estimate(document, cost.workloads_of(document, root)))
    except ToolError as problem:
        return _section("cost", "Cost", _paragraph(f"No estimate: {problem}"))
    limit = cost.monthly_limit(root, recording.stack)
    rows = [
        (line["what"], f"{', '.join(line['known'])}, {line['date']}", *(f"{line[key]:,.0f}" for key in AMOUNTS))
        for line in found["lines"]
    ]
    bound = "" if limit is None else f" costs.monthlyLimitUsd is {limit:,}."
    return _section(
        "cost",
        "Cost, USD a month",
        _figures(**{name: f"{found[key]:,.0f}" for key, name in AMOUNTS.items()}),
        _paragraph(
            f"List prices of {found['region']}, no tax; {found['expectedLow']:,.0f} to {found['expectedHigh']:,.0f} by "
            f"Spot's price.{bound}"
        ),
        _table(("what", "known from", *map(_spaced, AMOUNTS.values())), rows, numbers=len(AMOUNTS)),
    )


AMOUNTS: Final = {"rest": "at_rest", "expected": "with_the_demo", "limits": "at_the_limits"}
"""Key of the estimate -> what the page calls it."""


def _doctor(found: Report | str) -> str:
    if isinstance(found, str):
        return _section("doctor", "Doctor", _paragraph(f"Not looked at a living platform. {found}"))
    statuses = [check.status for check in found.verdicts]
    rows = [
        (
            check.status,
            f"{MARKS[check.status][0]} {check.id}",
            check.what or check.why_unknown,
            "; ".join(f"{finding.subject}: {finding.seen}" for finding in check.findings),
            check.runbook if check.findings else "",
        )
        for check in sorted(found.verdicts, key=lambda check: ("found", "unknown", "ok").index(check.status))
    ]
    return _section(
        "doctor",
        "Doctor",
        _figures(**{name: str(statuses.count(status)) for status, name in DOCTORS.items()}),
        _paragraph(f"{found.cluster} in {found.region}, looked at {found.taken_at:%Y-%m-%d %H:%M} UTC."),
        _table(("check", "looked at", "found", "page"), rows, marked=True),
    )


DOCTORS: Final[Mapping[Status, str]] = {"found": "with_findings", "unknown": "not_known", "ok": "in_order"}


def _drills(ran: Sequence[Mapping[str, Any]]) -> str:
    if not ran:
        why = "None was given. A drill writes its report with --json FILE; give each file as --drill FILE."
        return _section("drills", "Last drills", _paragraph(why))
    rows = []
    for drill in sorted(ran, key=lambda drill: str(drill["taken_at"]), reverse=True):
        statuses = [row["status"] for row in drill["verdicts"]]
        worst = next((status for status in ("found", "unknown") if status in statuses), "ok")
        broken = "; ".join(row["title"] for row in drill["verdicts"] if row["status"] == "found")
        measures = "; ".join(f"{name}: {value}" for name, value in (drill.get("measures") or {}).items())
        when = str(drill["taken_at"])[:16].replace("T", " ")
        kept = f"{statuses.count('ok')} of {len(statuses)} promises kept"
        rows.append(
            (worst, when, drill["command"], drill["stack"], kept + (f"; broken: {broken}" if broken else ""), measures)
        )
    return _section(
        "drills", "Last drills", _table(("when, UTC", "drill", "stack", "promises", "measured"), rows, marked=True)
    )
