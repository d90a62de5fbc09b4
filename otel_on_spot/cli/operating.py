"""What the commands for a living platform share: their options, how progress shows, how a mistake ends."""

import json
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otel_on_spot.cli.mistake import BAD_INPUT

if TYPE_CHECKING:
    from otel_on_spot.doctor.collectors.gathering import Progress
    from otel_on_spot.report import Report

OPERATE = ("boto3", "kubernetes")
"""Packages of the extra ``operate``."""

Stack = Annotated[str, typer.Option("--stack", "-s", help="The stack: its outputs, else its file's plan.")]
KubeContext = Annotated[
    str | None, typer.Option("--context", help="Context of the kubeconfig, in place of its current one.")
]
Kubeconfig = Annotated[Path | None, typer.Option("--kubeconfig", help="The kubeconfig, in place of the usual places.")]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the report as JSON; - prints it.")]
Why = Annotated[str, typer.Option("--why", help="What it is for: whoever meets the lease reads it.")]


def tell_report(report: "Report", json_file: Path | None) -> None:
    """Show a report, and write it as JSON where that was asked for; ``-`` prints nothing but JSON."""
    from rich.console import Console

    from otel_on_spot.report import as_document, show, write_text

    if json_file is not None:
        document = json.dumps(as_document(report), indent=2)
        if str(json_file) == "-":
            typer.echo(document)
        else:
            write_text(json_file, document)
    if str(json_file) != "-":
        show(report, Console())


@contextmanager
def bar(first: str) -> "Generator[Progress]":
    """A bar where somebody watches; nothing in a log."""
    if not sys.stderr.isatty():
        yield lambda _done, _total, _group: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(first, total=None)
        yield lambda done, total, group: shown.update(task, completed=done, total=total, description=group)


@contextmanager
def could_not_look(context: typer.Context) -> Generator[None]:
    """A mistake or a defect is no finding: it ends with 2 and one clear message."""
    from otel_on_spot.plan.record import PlanError, ProgramError
    from otel_on_spot.plan.stack_file import StackFileError

    mistakes: tuple[type[Exception], ...] = (StackFileError, ProgramError, PlanError)
    try:
        from otel_on_spot.doctor.examine import UnknownCheckError
        from otel_on_spot.doctor.facts import FactsError
        from otel_on_spot.drills.drill import DrillRefused
        from otel_on_spot.drills.holding import LeaseHeld

        mistakes += (UnknownCheckError, FactsError, DrillRefused, LeaseHeld)
        yield
    except mistakes as mistake:
        typer.echo(f"error: {mistake}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in OPERATE:
            raise
        typer.echo(
            f"error: {package} is not installed: this command talks to AWS and clusters with {' and '.join(OPERATE)}. "
            "Install the extra `operate`, for example: pip install 'otel-on-spot[operate]'; make test installs it into .venv",
            err=True,
        )
        raise typer.Exit(BAD_INPUT) from None
    except (typer.Exit, KeyboardInterrupt):
        raise
    except Exception as defect:
        if (context.obj or {}).get("verbose"):
            traceback.print_exc(file=sys.stderr)
        typer.echo(
            f"error: it failed: {type(defect).__name__}: {defect}\nRun again with --verbose for the traceback.",
            err=True,
        )
        raise typer.Exit(BAD_INPUT) from None
