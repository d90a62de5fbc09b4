"""Kill and refuse at steps of an update or a destroy; the steps come from the recorded plan."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from typing_extensions import override

from otel_on_spot.plan.record import record
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.faults import Fault, FaultPlan
from otel_on_spot.simcloud.operations import Operation
from tests.engine.recovery import agree, nothing_to_repair, recover
from tests.engine.workbench import TIMEOUT, Workbench, end_group, short

COMMANDS = {
    "create": ("up", "--yes", "--skip-preview", "--non-interactive"),
    "delete": ("destroy", "--yes", "--skip-preview", "--non-interactive"),
}
REFUSED = "the account's limit is reached"
GATHER = 0.25
"""Real seconds between the first step that is struck and the kill: what else is under way then is interrupted too."""


def steps_of(stack: str) -> list[str]:
    """``Type:name`` of all that the cloud makes for a stack, components' children included, in the plan's order."""
    tokens = {resource.urn: resource.urn.split("::")[2].rpartition("$")[2] for resource in record(stack)}
    return [short(urn) for urn, token in tokens.items() if token.startswith(("aws:", "kubernetes:"))]


@dataclass(frozen=True)
class Way:
    """How a step is struck.

    ``operation``: ``create`` (of an update) or ``delete`` (of a destroy). ``stage``: ``before``: the engine has begun
    the step, the cloud has not. ``after``: the cloud has done it, and the engine has not heard that it went well.
    """

    fault: Literal["kill", "refuse"]
    stage: Literal["before", "after"]
    operation: Literal["create", "delete"]

    @override
    def __str__(self) -> str:
        return f"{self.fault} {self.stage} {self.operation}"


def hit(bench: Workbench, way: Way, steps: Iterable[str]) -> set[str]:
    """Strike at the first of these steps to come: the steps that were struck, those under way at that moment too."""
    return _kill(bench, way, steps) if way.fault == "kill" else _refuse(bench, way, steps)


def _kill(bench: Workbench, way: Way, steps: Iterable[str]) -> set[str]:
    """The machine that the engine runs on dies."""
    struck: set[str] = set()
    first, dead = threading.Lock(), threading.Event()

    def strike(what: str) -> None:
        struck.add(what)
        if first.acquire(blocking=False):
            time.sleep(GATHER)
            _end_between_two_writes(bench, process)
            dead.set()
        dead.wait(TIMEOUT)
        if way.stage == "before":
            raise ApiError("Unreachable", "whoever asked is dead")

    hooks = bench.watched.before if way.stage == "before" else bench.watched.after
    hooks.update({(way.operation, what): partial(strike, what) for what in steps})
    process = bench.start(*COMMANDS[way.operation])
    try:
        out, err = process.communicate(timeout=TIMEOUT)
    finally:
        end_group(process)
        dead.set()
        bench.cool()
        bench.warm_up()
        bench.watched.settle()
        hooks.clear()
    if struck:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 0, f"it failed before a step was reached:\n{out[-3000:]}\n{err[-2000:]}"
    return struck


def _end_between_two_writes(bench: Workbench, process: subprocess.Popen[str]) -> None:
    """Kill between two writes of the file backend: a state that was cut off is another fault, tested by itself."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(0.02)  # it stops a moment later
        if bench.saved_whole():
            break
        os.killpg(process.pid, signal.SIGCONT)
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)


def _refuse(bench: Workbench, way: Way, steps: Iterable[str]) -> set[str]:
    """The cloud refuses each of these steps that is reached, once, and says why."""
    faults = []
    for what in steps:
        kind, _, name = what.partition(":")
        struck = {"effect": "refuse", "type": f"*:{kind}", "name": name, "operation": way.operation, "stage": way.stage}
        faults.append(Fault.model_validate({**struck, "code": "LimitExceeded", "message": REFUSED}))
    since = bench.mark()
    bench.watched.faults = FaultPlan(faults)
    try:
        code, out, err = bench.attempt(*COMMANDS[way.operation])
    finally:
        bench.watched.faults = FaultPlan()
    refused = {_what(operation) for operation in bench.operations(since) if REFUSED in operation.result}
    if refused:
        assert code != 0
        assert REFUSED in out + err
    return refused


def _what(operation: Operation) -> str:
    return f"{operation.token.rpartition(':')[2]}:{operation.name}"


def judge(bench: Workbench, way: Way) -> None:
    """The recovery that the runbook names, and what must be so after it.

    Raises:
        AssertionError: something is orphaned, made twice, imagined or pending, or a preview would repair something.
    """
    if way.fault == "refuse":
        agree(bench)
        return
    recover(bench)
    if way.operation == "create":
        nothing_to_repair(bench)
