"""Output of commands: reports on standard output, progress on standard error."""

import contextlib
import io
import sys
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Generator

    from otel_on_spot.doctor.collectors.gathering import Progress
    from otel_on_spot.report import Report

FILE_COLUMNS: Final = 120


class ReportFormat(StrEnum):
    """Form in which a report is printed."""

    TABLE = "table"
    JSON = "json"
    JUNIT = "junit"
    SARIF = "sarif"
    MARKDOWN = "markdown"


def log(line: str) -> None:
    """Print a line of progress on standard error, so that ``--json -`` stays clean."""
    with contextlib.suppress(OSError):  # the terminal may be gone; a drill goes on to put things back
        typer.echo(f"  {line}", err=True)


def exit_with_report(report: "Report", json_file: Path | None) -> None:
    """Print a report, write it as JSON where that was asked for, and exit with its code.

    ``json_file``: where to write it; ``-`` prints JSON and nothing else.

    Raises:
        typer.Exit: always.
    """
    if json_file and str(json_file) != "-":
        write_report(report, ReportFormat.JSON, json_file)
    print_report(report, ReportFormat.JSON if str(json_file) == "-" else ReportFormat.TABLE)
    raise typer.Exit(report.exit_code)


def print_report(report: "Report", form: ReportFormat) -> None:
    """Print a report on standard output, and nothing else there."""
    from rich.console import Console

    from otel_on_spot.report import show
    from otel_on_spot.report_formats import FORMATS

    sys.stderr.flush()
    if form in FORMATS:
        typer.echo(FORMATS[form](report))
    else:
        show(report, Console())


def write_report(report: "Report", form: ReportFormat, file: Path) -> None:
    """Write a report to a file, for its owner alone."""
    from rich.console import Console

    from otel_on_spot.files import write_text
    from otel_on_spot.report import show
    from otel_on_spot.report_formats import FORMATS

    if form in FORMATS:
        write_text(file, FORMATS[form](report))
    else:
        table = io.StringIO()
        show(report, Console(file=table, width=FILE_COLUMNS, color_system=None))
        write_text(file, table.getvalue())


def spinner(text: str) -> AbstractContextManager[object]:
    """A spinner on a terminal; nothing in a log."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(text)


@contextmanager
def progress_bar(text: str) -> "Generator[Progress]":
    """A bar on a terminal, nothing in a log: a callback that takes done, total and the name of a group."""
    if not sys.stderr.isatty():
        yield lambda _done, _total, _group: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total, group: bar.update(task, completed=done, total=total, description=group)
