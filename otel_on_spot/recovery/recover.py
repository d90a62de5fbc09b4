"""After a ``pulumi up`` or ``pulumi destroy`` that was cut off, the way back to where the next one can go on.

A create that was sent and never heard of stays in the state as a pending operation, with everything that the program
declared: inputs, parent, provider, dependencies. It moves into the resources under the id that is found, that state is
imported, and the provider reads those resources and no other (``pulumi refresh --target``): what exists is completed
from the cloud, what does not leaves the state again. Why this and not the two other ways:

- ``pulumi refresh --import-pending-creates`` ended well and imported nothing with a backend on disk (CLI 3.272).
- ``pulumi import`` needs the URN of each parent, refuses children of a component that the state does not know by that
  name, takes the cloud's inputs in place of the program's, and leaves the dependencies empty: a destroy before the next
  update would then go in the wrong order.
"""

import json
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from otel_on_spot import project
from otel_on_spot.program.resource_types import RELEASE
from otel_on_spot.recovery.checkpoint import Checkpoint
from otel_on_spot.recovery.deployment import Identity, Pending, State, decided, pending
from otel_on_spot.recovery.engine import Engine, RecoveryError
from otel_on_spot.recovery.finding import Searcher
from otel_on_spot.workspace import EngineError

Log = Callable[[str], None]
Confirm = Callable[[str], bool]


@dataclass(frozen=True)
class Outcome:
    """Outcome of a pending operation, and the resource in the state then; empty where it holds none."""

    status: str
    resource: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recovery:
    """Pending operations of a stack; by URN, what each came to, and what is left for a person."""

    operations: Sequence[Pending] = ()
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


def recover(stack: str, keep: Path, *, confirm: Confirm, log: Log) -> Recovery:
    """Decide a stack's pending operations, and release its lock.

    Args:
        stack: its name.
        keep: folder for copies of the state.
        confirm: asks a person a question; False stops before anything is changed.
        log: gets a line for each thing that happens.

    Raises:
        RecoveryError: an update is running, or a question was answered with no.
        EngineError: the CLI refused; the state is as it was before.
    """
    engine = Engine(stack)
    checkpoint = Checkpoint.of(engine.backend(), project.root(), stack)
    if checkpoint:
        _repair(checkpoint, confirm, log)
    state = engine.export_state()
    operations = pending(state)
    before = _keep(state, keep, stack, "before")
    log(f"state kept as {before}")
    _require(
        confirm,
        f"stack {stack}: {len(operations)} pending operations. Is nothing running on it, no job and nobody at a shell?",
    )
    engine.release_lock()
    if not operations:
        return Recovery()
    searcher = Searcher(state, log)
    answers = {operation.urn: searcher.find(operation) for operation in operations if operation.operation == "creating"}
    identities = {urn: answer.identity for urn, answer in answers.items() if answer.identity}
    problems = {urn: answer.problem for urn, answer in answers.items() if answer.problem}
    resources = _import(engine, state, operations, identities, problems.keys(), before, keep)
    outcomes = {operation.urn: _outcome(operation, resources, problems) for operation in operations}
    problems |= _clear_pending_releases(engine, outcomes)
    return Recovery(operations, outcomes, problems)


def _repair(checkpoint: Checkpoint, confirm: Confirm, log: Log) -> None:
    if holder := checkpoint.holder():
        raise RecoveryError(
            f"stack {checkpoint.stack}: an update is running ({holder}). Wait for it, or press Ctrl-C there once: "
            "it ends in order"
        )
    for removed in checkpoint.drop_cut_attributes():
        log(f"{removed}: was truncated; removed. The checkpoint itself is intact")
    if not checkpoint.broken():
        return
    _require(
        confirm,
        f"{checkpoint.file}: the state was cut off while it was written. Put the copy beside it, "
        f"{checkpoint.backup.name}, in its place?",
    )
    broken = checkpoint.repair()
    log(f"{checkpoint.backup.name} is the state now; what was there is kept as {broken or '(nothing was there)'}")


def _require(confirm: Confirm, question: str) -> None:
    if not confirm(question):
        raise RecoveryError("stopped as asked, nothing was changed. --yes answers every question")


def _keep(state: State, folder: Path, stack: str, when: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{stack.replace('/', '-')}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{when}.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(state, indent=2))
    return file


def _import(
    engine: Engine,
    state: State,
    operations: Sequence[Pending],
    identities: Mapping[str, Identity],
    left: Set[str],
    before: Path,
    keep: Path,
) -> dict[str, Mapping[str, Any]]:
    """Import the state with its pending operations decided, and refresh them: the resources in it then, by URN.

    Args:
        engine: of the stack.
        state: as it was exported.
        operations: all pending ones.
        identities: URN of a pending create -> the resource to look for.
        left: URNs of operations that stay pending.
        before: file of ``state``.
        keep: folder for the decided state.

    Raises:
        RecoveryError: the refresh failed; the state is as before.
    """
    engine.import_state(_keep(decided(state, identities, left), keep, engine.stack, "decided"))
    held = {resource["urn"] for resource in state["deployment"].get("resources") or []}
    targets = [
        operation.urn
        for operation in operations
        if operation.urn in identities or (operation.operation != "creating" and operation.urn in held)
    ]
    try:
        if targets:
            engine.refresh(targets)
    except EngineError as refusal:
        engine.import_state(before)
        raise RecoveryError(f"{refusal}\nThe state is as it was before. Put that right, then recover again") from None
    resources = engine.export_state()["deployment"].get("resources") or []
    return {resource["urn"]: resource for resource in resources if not resource.get("delete")}


def _outcome(operation: Pending, resources: Mapping[str, Any], problems: Mapping[str, str]) -> Outcome:
    if operation.urn in problems:
        return Outcome("stays pending")
    if operation.urn not in resources:
        return Outcome("not there, cleared")
    return Outcome("in the state" if operation.operation == "creating" else "read anew", resources[operation.urn])


def _clear_pending_releases(engine: Engine, outcomes: dict[str, Outcome]) -> dict[str, str]:
    """Drop Helm releases whose installation was cut off, with which Helm refuses to go on: what to do, by URN."""
    problems = {}
    for urn, outcome in list(outcomes.items()):
        resource = outcome.resource
        release = (resource.get("outputs") or {}).get("status")
        status = str(release.get("status") if isinstance(release, dict) else "")
        if resource.get("type") == RELEASE and status.startswith("pending-"):
            namespace, _, name = str(resource["id"]).partition("/")
            engine.delete_from_state(urn)
            outcomes[urn] = Outcome(f"{status}, cleared")
            problems[urn] = (
                f"Helm left it {status}. Remove that record, then update: kubectl -n {namespace} delete secrets "
                f"-l owner=helm,name={name},status={status}"
            )
    return problems
