"""``recover``: after a ``pulumi up`` or ``pulumi destroy`` that was cut off, the way back to the next one.

A create that was sent and never heard of stays in the state as a pending operation, with everything that the program
declared: inputs, parent, provider, dependencies. recover moves it into the resources under the id that it found,
imports that state, and lets the provider read those resources and no other (``pulumi refresh --target``): what exists is
completed from the cloud, what does not leaves the state again. Why this and not the two other ways:

- ``pulumi refresh --import-pending-creates`` ended well and imported nothing with a backend on disk (CLI 3.272).
- ``pulumi import`` needs the URN of each parent, refuses children of a component that the state does not know by that
  name, takes the cloud's inputs in place of the program's, and leaves the dependencies empty: a destroy before the next
  update would then go in the wrong order.

Exit codes: 0 nothing is left to do but the next command, 1 something is left for a person, 2 it could not begin.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from otel_on_spot import project
from otel_on_spot.cli.options import Stack
from otel_on_spot.errors import EXIT_FINDINGS

IN_THE_STATE = "in the state"
GONE = "not there, cleared"
READ = "read anew"
STAYS = "stays pending"


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
    raise typer.Exit(0 if _recover(stack, keep, yes=yes) else EXIT_FINDINGS)


def _recover(stack: str, keep: Path, *, yes: bool) -> bool:
    from otel_on_spot.recovery.checkpoint import Checkpoint
    from otel_on_spot.recovery.deployment import pending
    from otel_on_spot.recovery.engine import Engine, RecoveryError
    from otel_on_spot.recovery.finding import Searcher

    engine = Engine(stack)
    checkpoint = Checkpoint.of(engine.backend(), project.root(), stack)
    if checkpoint:
        holder = checkpoint.holder()
        if holder:
            raise RecoveryError(
                f"stack {stack}: an update is running ({holder}). Wait for it, or press Ctrl-C there once: "
                "it ends in order"
            )
        _repair(checkpoint, yes=yes)
    state = engine.export_state()
    found = pending(state)
    kept = _keep(state, keep, stack, "before")
    typer.echo(f"state kept as {kept}")
    _confirm(
        f"stack {stack}: {len(found)} pending operations. Is nothing running on it, no job and nobody at a shell?",
        yes=yes,
    )
    engine.release_lock()
    if not found:
        typer.echo(f"nothing is pending. Next: pulumi up --stack {stack}")
        return True
    searcher = Searcher(state, typer.echo)
    answers = {one.urn: searcher.find(one) for one in found if one.operation == "creating"}
    taken = {urn: answer.identity for urn, answer in answers.items() if answer.identity}
    problems = {urn: answer.problem for urn, answer in answers.items() if answer.problem}
    outcomes = _put_right(engine, state, found, taken, set(problems), kept, keep)
    problems |= _half_installed(engine, outcomes)
    _table(found, outcomes, problems)
    if problems:
        for urn, problem in problems.items():
            typer.echo(f"{_short(urn)}: {problem}", err=True)
        return False
    typer.echo(f"Next: pulumi preview --stack {stack} --diff, then pulumi up --stack {stack}")
    return True


def _repair(checkpoint: Any, *, yes: bool) -> None:
    for removed in checkpoint.drop_cut_attributes():
        typer.echo(f"{removed}: was truncated; removed. The checkpoint itself is intact")
    if not checkpoint.broken():
        return
    _confirm(
        f"{checkpoint.file}: the state was cut off while it was written. Put the copy beside it, "
        f"{checkpoint.backup.name}, in its place?",
        yes=yes,
    )
    kept = checkpoint.repair()
    typer.echo(f"{checkpoint.backup.name} is the state now; what was there is kept as {kept or '(nothing was there)'}")


def _confirm(question: str, *, yes: bool) -> None:
    from otel_on_spot.recovery.engine import RecoveryError

    if not yes and not typer.confirm(question):
        raise RecoveryError("stopped as asked, nothing was changed. --yes answers every question")


def _keep(state: Mapping[str, Any], folder: Path, stack: str, when: str) -> Path:
    import json

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{stack.replace('/', '-')}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{when}.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(state, indent=2))
    return file


def _put_right(
    engine: Any,
    state: dict[str, Any],
    found: list[Any],
    taken: Mapping[str, Any],
    left: set[str],
    kept: Path,
    keep: Path,
) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Import the state with its pending operations decided, and have it read: URN -> (outcome, the resource then)."""
    from otel_on_spot.recovery.deployment import decided
    from otel_on_spot.recovery.engine import RecoveryError
    from otel_on_spot.workspace import EngineError

    engine.import_state(_keep(decided(state, taken, left), keep, engine.stack, "decided"))
    held = {one["urn"] for one in state["deployment"].get("resources") or []}
    read = [one.urn for one in found if one.urn in taken or (one.operation != "creating" and one.urn in held)]
    try:
        if read:
            engine.refresh(read)
    except EngineError as refusal:
        engine.import_state(kept)
        raise RecoveryError(f"{refusal}\nThe state is as it was before. Put that right, then recover again") from None
    now = {
        one["urn"]: one for one in engine.export_state()["deployment"].get("resources") or [] if not one.get("delete")
    }
    outcomes = {}
    for one in found:
        if one.urn in left:
            outcomes[one.urn] = (STAYS, {})
        elif one.urn not in now:
            outcomes[one.urn] = (GONE, {})
        else:
            outcomes[one.urn] = (IN_THE_STATE if one.operation == "creating" else READ, now[one.urn])
    return outcomes


def _half_installed(engine: Any, outcomes: dict[str, tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """Helm releases whose installation was cut off: Helm refuses to go on with them, so they leave the state."""
    problems = {}
    for urn, (_, resource) in list(outcomes.items()):
        status = (resource.get("outputs") or {}).get("status")
        told = str(status.get("status") if isinstance(status, dict) else "")
        if resource.get("type") == "kubernetes:helm.sh/v3:Release" and told.startswith("pending-"):
            namespace, _, name = str(resource["id"]).partition("/")
            engine.delete_from_state(urn)
            outcomes[urn] = (f"{told}, cleared", {})
            problems[urn] = (
                f"Helm left it {told}. Remove that record, then update: kubectl -n {namespace} delete secrets "
                f"-l owner=helm,name={name},status={told}"
            )
    return problems


def _short(urn: str) -> str:
    kind, _, name = urn.rpartition("::")
    return f"{name} ({kind.rpartition(':')[2]})"


def _table(
    found: list[Any], outcomes: Mapping[str, tuple[str, Mapping[str, Any]]], problems: Mapping[str, str]
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("resource", "was", "is", "id", box=None)
    for one in found:
        outcome, resource = outcomes[one.urn]
        told = f"{outcome}, see below" if one.urn in problems else outcome
        table.add_row(_short(one.urn), one.operation, told, str(resource.get("id") or ""))
    Console(width=None if Console().is_terminal else 200).print(table)
