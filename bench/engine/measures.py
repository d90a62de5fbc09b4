"""The measurements: makespan, parallelism, growth, environments. Each gives plain rows that JSON can hold."""

import os
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from bench.engine.chain import limited, longest, serial
from bench.engine.edges import CLOUD, edges, kind_of, necessary
from bench.engine.layout import ancestors, modules
from bench.engine.running import CommandError, MeasuredWorkspace
from otel_on_spot.plan.record import record
from otel_on_spot.program.recording import Recording
from otel_on_spot.simcloud.operations import Operation
from otel_on_spot.simcloud.session import Session

UNLIMITED: Final = 2**31 - 1
PARALLEL: Final = (None, UNLIMITED, 4, 2, 1)
"""Values of ``--parallel``; None leaves the CLI its default."""
COMPUTED: Final = (1, 2, 3, 4, 8, 16, 64)
"""Values of ``--parallel`` whose makespan is computed."""
POOLS: Final = (1, 10, 50)
APPLICATIONS: Final = (1, 10, 50)
ENVIRONMENTS: Final = 10
PATIENCE: Final = 60.0
Row = dict[str, Any]


@contextmanager
def bench(scale: float) -> Generator[tuple[MeasuredWorkspace, Session]]:
    """A new workspace with a new cloud."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-engine-") as folder,
        Session(Path(folder) / "cloud", scale=scale, patience=PATIENCE) as session,
    ):
        yield MeasuredWorkspace(Path(folder)), session


def created(operations: list[Operation]) -> dict[str, Operation]:
    """The creations of a log, by URN.

    Raises:
        ValueError: one of them was refused, or made twice.
    """
    found: dict[str, Operation] = {}
    for operation in operations:
        if operation.operation != "create":
            continue
        if operation.result != "ok" or operation.urn in found:
            raise ValueError(
                f"{operation.token} {operation.name}: {operation.result}. Each step must be made once, without a "
                "refusal"
            )
        found[operation.urn] = operation
    return found


def makespan(stack: str, scale: float, parallel: int | None = None) -> Row:
    """One ``up`` of a stack against its longest chains and the serial layout; all in AWS's seconds, unless named real.

    ``parallel``: of the CLI, None for its default. ``steps``: every creation, with its start and end since the first
    one's start.
    """
    with bench(scale) as (workspace, session):
        workspace.new_stack(session, stack, stack)
        command = workspace.up(session, stack, *_parallel(parallel))
        log = created(session.cloud.operations.read())
    recording = record(stack)
    first, last = min(operation.start for operation in log.values()), max(operation.end for operation in log.values())
    return {
        "stack": stack,
        "scale": scale,
        "parallel": parallel,
        "makespan": last - first,
        "command_real": command.seconds,
        "steps": [_step(recording, operation, first) for operation in log.values()],
        **against(recording, {urn: operation.cloud_seconds for urn, operation in log.items()}),
    }


def against(recording: Recording, seconds: Mapping[str, float]) -> Row:
    """Chains, layouts and sums that a makespan is compared with.

    ``seconds``: URN of each step -> AWS's seconds.
    """
    found = edges(recording, seconds)
    needed = necessary(found)
    floor = longest(seconds, needed)
    in_order = {step.urn: seconds[step.urn] for step in recording if step.urn in seconds}
    waited = {later: {urn for urn, (kind, _) in below.items() if kind == CLOUD} for later, below in found.items()}
    declared = {later: set(below) - waited[later] for later, below in found.items()}
    return {
        "sum": sum(seconds.values()),
        "declared": asdict(longest(seconds, {later: set(below) for later, below in found.items()})),
        "necessary": asdict(floor),
        "why": [list(found[later][earlier]) for earlier, later in pairwise(floor.steps)],
        "serial": [asdict(span) for span in serial(seconds, needed, modules(recording, seconds))],
        "computed": [[places, limited(in_order, declared, places, waited)] for places in COMPUTED],
        "serial_without_wait": serial(seconds, needed, modules(recording, seconds, wait=False))[-1].end,
    }


def _step(recording: Recording, operation: Operation, first: float) -> Row:
    around = ancestors(recording, recording.by_urn[operation.urn])
    return {
        "urn": operation.urn,
        "name": operation.name,
        "kind": kind_of(recording.by_urn[operation.urn]),
        "type": operation.token,
        "component": around[-1].name if around else operation.name,
        "start": operation.start - first,
        "end": operation.end - first,
        "seconds": operation.cloud_seconds,
    }


def parallelism(stack: str, scale: float) -> Iterator[Row]:
    """One ``up`` for each value of ``--parallel``, in AWS's seconds; ``failed`` says why one did not succeed."""
    for value in PARALLEL:
        with bench(scale) as (workspace, session):
            workspace.new_stack(session, stack, stack)
            failed = ""
            try:
                workspace.up(session, stack, *_parallel(value))
            except CommandError:
                failed = next(
                    (operation.result for operation in session.cloud.operations.read() if operation.result != "ok"),
                    "unknown",
                )
            log = session.cloud.operations.read()
            span = max(operation.end for operation in log) - min(operation.start for operation in log)
            most = greatest_at_once([(operation.start, operation.end) for operation in log])
        yield {"parallel": value, "scale": scale, "makespan": span, "at_once": most, "failed": failed}


def _parallel(value: int | None) -> tuple[str, ...]:
    return () if value is None else ("--parallel", str(value))


def greatest_at_once(spans: list[tuple[float, float]]) -> int:
    """The most of these (start, end) that overlap; one that ends when another starts does not."""
    changes = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    running = most = 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return most


def growth(runs: int) -> Iterator[Row]:
    """Preview and up with more and more of something; on a cloud that takes no time."""
    for what, sizes, change in (("node pools", POOLS, with_pools), ("applications", APPLICATIONS, with_applications)):
        for size in sizes:
            for _ in range(runs):
                with bench(0.0) as (workspace, session):
                    workspace.new_stack(session, "dev", "dev", change(size))
                    yield {"what": what, "size": size, **_preview_and_up(workspace, session, "dev")}


def environments(number: int = ENVIRONMENTS) -> Iterator[Row]:
    """One environment after another in one backend, each on a cloud of its own: only the backend fills up."""
    with tempfile.TemporaryDirectory(prefix="bench-engine-") as folder:
        workspace = MeasuredWorkspace(Path(folder))
        for index in range(1, number + 1):
            with Session(Path(folder) / f"cloud-{index}", patience=PATIENCE) as session:
                workspace.new_stack(session, f"env{index}", "dev", _named(f"otel-env{index}"))
                row = _preview_and_up(workspace, session, f"env{index}")
                listing = workspace.run(session, "stack", "ls")
            yield {"environment": index, **row, "list": asdict(listing)}


def _preview_and_up(workspace: MeasuredWorkspace, session: Session, stack: str) -> Row:
    preview, up = workspace.preview(session, stack), workspace.up(session, stack)
    resources = len(created(session.cloud.operations.read()))
    return {"resources": resources, "preview": asdict(preview), "up": asdict(up), "load": os.getloadavg()[0]}


def with_pools(size: int) -> Callable[[dict[str, Any]], None]:
    """Settings with this many Spot node pools beside the one for data."""

    def change(settings: dict[str, Any]) -> None:
        pools = settings["pools"]
        settings["pools"] = {f"spot-{n}": dict(pools["spot"]) for n in range(size)} | {"data": pools["data"]}

    return change


def with_applications(size: int) -> Callable[[dict[str, Any]], None]:
    """Settings with this many added Applications: values of one resource, not resources."""

    def change(settings: dict[str, Any]) -> None:
        application = {"path": "gitops/charts/cluster-base", "namespace": "cluster-base"}
        settings["gitops"] = settings["gitops"] | {"applications": {f"app-{n}": dict(application) for n in range(size)}}

    return change


def _named(cluster: str) -> Callable[[dict[str, Any]], None]:
    def change(settings: dict[str, Any]) -> None:
        settings["cluster"]["name"] = cluster

    return change
