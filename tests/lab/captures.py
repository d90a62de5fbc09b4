"""Keeps what commands printed for the runbook pages: in the folder that ``CAPTURES`` names, where it names one."""

import io
import os
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from otel_on_spot.doctor import examine
from otel_on_spot.report import show
from tests.lab.faults import Seen

COLUMNS = 110


def keep(name: str, seen: Seen, *lines: str) -> None:
    """Write what was printed; with ``lines``, as ``--only`` of them prints it."""
    out = io.StringIO()
    report = examine.examine(seen.facts, examine.select_checks(lines, ()), seconds=seen.report["seconds"])
    show(replace(report, notes=()), Console(file=out, width=COLUMNS, color_system=None))
    write(name.replace(" ", "-"), out.getvalue())


def write(name: str, printed: str) -> None:
    """Write what a command printed."""
    if folder := os.environ.get("CAPTURES"):
        file = Path(folder) / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(line.rstrip() for line in printed.splitlines()) + "\n")
