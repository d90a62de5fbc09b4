"""``doctor``: what is wrong with a living platform, in order of blast radius."""

import json
import sys
import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.mistake import BAD_INPUT

if TYPE_CHECKING:
    from drills.doctor.collecting.gathering import Progress
    from drills.doctor.facts import Facts

OPERATE = ("boto3", "kubernetes")
"""Packages of the extra ``operate``."""
EXAMPLES = """
[bold]Examples[/bold]

  otel-on-spot doctor --stack prod                      look at everything

  otel-on-spot doctor --only node-role,invisible-nodes  look at two lines

  otel-on-spot doctor --facts-out facts.json            keep what was seen, to judge it again elsewhere

  otel-on-spot doctor --facts facts.json                judge it, with no cluster and no account
"""


def doctor(
    context: typer.Context,
    stack: Annotated[str, typer.Option("--stack", "-s", help="The stack: its outputs, else its file's plan.")] = "dev",
    kube_context: Annotated[
        str | None, typer.Option("--context", help="Context of the kubeconfig, in place of its current one.")
    ] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option("--kubeconfig", help="The kubeconfig, in place of the usual places.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="LINES", help="Judge these lines alone.")] = None,
    skip: Annotated[list[str] | None, typer.Option("--skip", metavar="LINES", help="Leave these lines out.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the report as JSON; - prints it.")
    ] = None,
    facts_file: Annotated[
        Path | None, typer.Option("--facts", metavar="FILE", help="Judge facts that --facts-out wrote.")
    ] = None,
    facts_out: Annotated[
        Path | None, typer.Option("--facts-out", metavar="FILE", help="Write what was seen as JSON.")
    ] = None,
) -> None:
    """Find what is wrong: reads AWS and the cluster, changes nothing.

    Exit code 0: nothing found. 1: something was found. 2: not everything could be looked at; the rest is judged all the same.
    """
    with _could_not_look(context):
        from rich.console import Console

        from drills.doctor import examine, facts
        from drills.report import as_document, show, write_text

        checks = examine.chosen(_listed(only), _listed(skip))
        started = time.monotonic()
        notes: tuple[str, ...] = ()
        if facts_file is not None:
            seen = facts.load(facts_file)
            notes = (f"facts of {seen.taken_at:%Y-%m-%d %H:%M:%S %Z} out of {facts_file}",)
        else:
            seen, notes = _look(stack, kube_context, kubeconfig)
        if facts_out is not None:
            write_text(facts_out, facts.dump(seen))
        report = examine.examine(seen, checks, seconds=time.monotonic() - started, notes=notes)
        if json_file is not None:
            document = json.dumps(as_document(report), indent=2)
            if str(json_file) == "-":
                typer.echo(document)
            else:
                write_text(json_file, document)
        if str(json_file) != "-":
            show(report, Console())
    raise typer.Exit(report.exit_code)


def _listed(given: list[str] | None) -> tuple[str, ...]:
    return tuple(name.strip() for one in given or () for name in one.split(",") if name.strip())


def _look(stack: str, context: str | None, kubeconfig: Path | None) -> "tuple[Facts, tuple[str, ...]]":
    """Facts of the stack's platform, with a bar where somebody watches."""
    from drills import target
    from drills.doctor.collecting import everything

    with _bar(f"planning {stack}") as progress:
        found = target.find(stack, context=context, kubeconfig=kubeconfig)
        seen, requests = everything.collect(found, progress)
    where = f"context {found.context}, {requests} requests to its API" if found.context else "no cluster"
    return seen, (f"names from {found.declared.source}; {where}", *found.notes)


@contextmanager
def _bar(first: str) -> "Generator[Progress]":
    if not sys.stderr.isatty():
        yield lambda _done, _total, _group: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(first, total=None)
        yield lambda done, total, group: bar.update(task, completed=done, total=total, description=group)


@contextmanager
def _could_not_look(context: typer.Context) -> Generator[None]:
    """A mistake or a defect is no finding: it ends with 2 and one clear message."""
    from plan.record import PlanError, ProgramError
    from plan.stack_file import StackFileError

    mistakes: tuple[type[Exception], ...] = (StackFileError, ProgramError, PlanError)
    try:
        from drills.doctor.examine import UnknownLine
        from drills.doctor.facts import FactsError

        mistakes += (UnknownLine, FactsError)
        yield
    except mistakes as mistake:
        typer.echo(f"error: {mistake}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in OPERATE:
            raise
        typer.echo(
            f"error: {package} is not installed: doctor looks at AWS and clusters with {' and '.join(OPERATE)}. "
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
            f"error: the doctor failed: {type(defect).__name__}: {defect}\nRun again with --verbose for the traceback.",
            err=True,
        )
        raise typer.Exit(BAD_INPUT) from None
