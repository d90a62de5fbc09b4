"""``recover``: repair a stack whose update was cut off."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otel_on_spot.cli.application import Stack
from otel_on_spot.errors import EXIT_FINDINGS

if TYPE_CHECKING:
    from otel_on_spot.recovery.recover import Recovery


def recover(
    *,
    stack: Stack,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Answer every question with yes.")] = False,
    keep: Annotated[Path, typer.Option("--keep", file_okay=False, help="Folder for copies of the state.")] = Path(
        "build/states"
    ),
) -> None:
    """Repair a stack whose update was cut off. Resolves pending operations, imports what exists, releases the lock.

    Exit codes: 0 run the next command, 1 something is left for a person, 2 it could not begin.
    """
    from otel_on_spot.recovery.recover import recover as run

    recovery = run(stack, keep, confirm=lambda question: yes or typer.confirm(question), log=typer.echo)
    if not recovery.operations:
        typer.echo(f"nothing is pending. Next: pulumi up --stack {stack}")
        return
    _print(recovery)
    for urn, problem in recovery.problems.items():
        typer.echo(f"{_short(urn)}: {problem}", err=True)
    if recovery.problems:
        raise typer.Exit(EXIT_FINDINGS)
    typer.echo(f"Next: pulumi preview --stack {stack} --diff, then pulumi up --stack {stack}")


def _short(urn: str) -> str:
    kind, _, name = urn.rpartition("::")
    return f"{name} ({kind.rpartition(':')[2]})"


def _print(recovery: "Recovery") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("resource", "was", "is", "id", box=None)
    for operation in recovery.operations:
        outcome = recovery.outcomes[operation.urn]
        status = f"{outcome.status}, see below" if operation.urn in recovery.problems else outcome.status
        table.add_row(_short(operation.urn), operation.operation, status, str(outcome.resource.get("id") or ""))
    Console(width=None if Console().is_terminal else 200).print(table)
