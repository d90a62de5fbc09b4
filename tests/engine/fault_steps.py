"""Kill and refuse at steps of an update or a destroy; the steps come from the recorded plan."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial

from plan.record import record
from simcloud.faults import Fault, FaultPlan
from simcloud.operations import Operation
from simcloud.refusal import Refusal
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
    """``Type:name`` of everything that the cloud makes for a stack, components' children included, in the plan's order."""
    tokens = {one.urn: one.urn.split("::")[2].rpartition("$")[2] for one in record(stack)}
    return [short(urn) for urn, token in tokens.items() if token.startswith(("aws:", "kubernetes:"))]


def kill(bench: Workbench, operation: str, stage: str, steps: Iterable[str]) -> set[str]:
    """The machine dies at the first of these steps to come: the steps that it died at.

    Args:
        operation: ``create`` (of an update) or ``delete`` (of a destroy).
        stage: ``before``: the engine has begun the step, the cloud has not. ``after``: the cloud has done it, and the
            engine has not heard of it.
    """
    struck: set[str] = set()
    first, dead = threading.Lock(), threading.Event()

    def strike(what: str) -> None:
        struck.add(what)
        if first.acquire(blocking=False):
            time.sleep(GATHER)
            _end_between_two_writes(bench, process)
            dead.set()
        dead.wait(TIMEOUT)
        if stage == "before":
            raise Refusal("Unreachable", "whoever asked is dead")

    hooks = bench.watched.before if stage == "before" else bench.watched.after
    hooks.update({(operation, what): partial(strike, what) for what in steps})
    process = bench.start(*COMMANDS[operation])
    try:
        out, err = process.communicate(timeout=TIMEOUT)
    finally:
        hooks.clear()
        end_group(process)
        bench.cool()
        bench.warm_up()
    if struck:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 0, f"it failed before a step was reached:\n{out[-3000:]}\n{err[-2000:]}"
    bench.watched.settle()
    return struck


def _end_between_two_writes(bench: Workbench, process: subprocess.Popen[str]) -> None:
    """The file backend does not write in one stroke; a state that was cut off is another fault, with a test of its own."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        os.killpg(process.pid, signal.SIGSTOP)
        if bench.saved_whole():
            break
        os.killpg(process.pid, signal.SIGCONT)
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)


def refuse(bench: Workbench, operation: str, stage: str, steps: Iterable[str]) -> set[str]:
    """The cloud refuses each of these steps that is reached, once, and says why: the steps that it refused."""
    faults = []
    for what in steps:
        kind, _, name = what.partition(":")
        struck = {"effect": "refuse", "type": f"*:{kind}", "name": name, "operation": operation, "stage": stage}
        faults.append(Fault.model_validate({**struck, "code": "LimitExceeded", "message": REFUSED}))
    since = bench.mark()
    bench.watched.faults = FaultPlan(faults)
    try:
        code, out, err = bench.attempt(*COMMANDS[operation])
    finally:
        bench.watched.faults = FaultPlan()
    refused = {_what(one) for one in bench.operations(since) if REFUSED in one.result}
    if refused:
        assert code != 0
        assert REFUSED in out + err
    return refused


def _what(one: Operation) -> str:
    return f"{one.token.rpartition(':')[2]}:{one.name}"


def killed_at_each(
    bench: Workbench, operation: str, stage: str, steps: Iterable[str], tell: Callable[[str], None]
) -> int:
    """Kill at every one of these steps, recover each time, and judge what that left: how many kills it took.

    Each kill begins where the recovery before it ended, so the state has been through all the earlier ones too.
    """

    def once(left: set[str]) -> set[str]:
        struck = kill(bench, operation, stage, left)
        if struck:
            recover(bench)
            if operation == "create":
                nothing_to_repair(bench)
        return struck

    return _each(f"killed {stage} a {operation}", once, steps, tell)


def refused_at_each(
    bench: Workbench, operation: str, stage: str, steps: Iterable[str], tell: Callable[[str], None]
) -> int:
    """Refuse every one of these steps once: how many runs that took. After each the state is what the cloud has."""

    def once(left: set[str]) -> set[str]:
        refused = refuse(bench, operation, stage, left)
        agree(bench)
        return refused

    return _each(f"refused {stage} a {operation}", once, steps, tell)


def _each(what: str, once: Callable[[set[str]], set[str]], steps: Iterable[str], tell: Callable[[str], None]) -> int:
    left = set(steps)
    total, rounds, began = len(left), 0, time.monotonic()
    while left:
        struck = once(left)
        assert struck, f"{what}: not reached: {', '.join(sorted(left))}"
        left -= struck
        rounds += 1
        done, spent = total - len(left), time.monotonic() - began
        tell(f"{what}: {done} of {total} steps, {spent:.0f} s, about {spent / done * len(left):.0f} s left")
    return rounds
