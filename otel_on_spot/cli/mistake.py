"""How a user's mistake ends: one clear message on standard error, exit code 2, no traceback."""

import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager

import typer

BAD_INPUT = 2


@contextmanager
def told_clearly(context: typer.Context) -> Generator[None]:
    """Turn what the plan refuses into one message; with ``--verbose``, show the traceback of anything else."""
    from otel_on_spot.plan.compare import RevisionError
    from otel_on_spot.plan.record import PlanError, ProgramError
    from otel_on_spot.plan.stack_file import StackFileError

    try:
        yield
    except (StackFileError, ProgramError, PlanError, RevisionError) as mistake:
        typer.echo(f"error: {mistake}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    except (typer.Exit, KeyboardInterrupt):
        raise
    except Exception as defect:
        if (context.obj or {}).get("verbose"):
            traceback.print_exc(file=sys.stderr)
        typer.echo(
            f"error: the program failed: {type(defect).__name__}: {defect}\nRun again with --verbose for the traceback.",
            err=True,
        )
        raise typer.Exit(1) from None
