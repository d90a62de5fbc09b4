"""An update that is refused, and a destroy that is refused and killed, at a spread of steps; recovered as the runbook says."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simcloud import graph
from simcloud.cloud import Cloud
from simcloud.faults import Fault, FaultPlan
from simcloud.inventory import shape
from tests.engine.workbench import REGION, TIMEOUT, Workbench, end_group, workbench

UP = ("up", "--yes", "--skip-preview", "--non-interactive")
DESTROY = ("destroy", "--yes", "--skip-preview", "--non-interactive")
REFUSED = "the account's limit is reached"


@pytest.fixture(scope="module")
def bench(folder: Path) -> Iterator[Workbench]:
    with workbench(folder, "dev", stand_in=True) as bench:
        yield bench


def refuse(bench: Workbench, command: tuple[str, ...], operation: str, what: str, stage: str = "before") -> None:
    """The cloud refuses one step: the command fails and says why."""
    kind, _, name = what.partition(":")
    fault = {"effect": "refuse", "type": f"*:{kind}", "name": name, "operation": operation, "stage": stage}
    bench.watched.faults = FaultPlan([Fault.model_validate({**fault, "code": "LimitExceeded", "message": REFUSED})])
    code, out, err = bench.attempt(*command)
    bench.watched.faults = FaultPlan()
    assert code != 0, f"{what} was not refused"
    assert REFUSED in out + err


def kill(bench: Workbench, command: tuple[str, ...], operation: str, what: str) -> None:
    """The machine dies when the cloud has done a step and the engine has not heard of it."""
    struck: list[subprocess.Popen[str]] = []
    process = bench.start(*command)

    def strike() -> None:
        struck.append(process)
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:  # the file backend does not write in one stroke; a cut there is another fault
            os.killpg(process.pid, signal.SIGSTOP)
            if bench.saved_whole():
                break
            os.killpg(process.pid, signal.SIGCONT)
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)

    bench.watched.after[operation, what] = strike
    try:
        process.communicate(timeout=TIMEOUT)
    finally:
        bench.watched.after.clear()
        end_group(process)
        bench.cool()
    assert struck, f"{operation} of {what} was not reached"
    assert process.returncode == -signal.SIGKILL
    bench.watched.settle()


def recover(bench: Workbench) -> None:
    """What docs/runbooks/interrupted-up.md says where no create is pending: the lock is released."""
    assert bench.state().get("pending_operations"), "the engine had nothing under way: nothing was interrupted"
    bench.run("cancel", "--yes")


def test_an_update_refused_on_its_way_ends_as_if_nothing_had_happened(bench: Workbench, tmp_path: Path) -> None:
    with Cloud(tmp_path, patience=30) as undisturbed:
        graph.apply("dev", undisturbed)
        expected = shape(undisturbed, REGION)
    refuse(bench, UP, "create", "Queue:interruption-queue")
    refuse(bench, UP, "create", "NodeGroup:cluster-system-nodes-group", stage="after")
    refuse(bench, UP, "create", "Application:platform-root")
    bench.up()
    bench.expect_no_changes()
    assert shape(bench.cloud, REGION) == expected


def test_a_destroy_refused_and_killed_on_its_way_goes_on_where_it_stopped_and_leaves_nothing(
    bench: Workbench,
) -> None:
    assert bench.left(), "there is no stack to destroy: run the whole file"
    kill(bench, DESTROY, "delete", "Application:platform-root")
    recover(bench)
    refuse(bench, DESTROY, "delete", "Release:karpenter-controller")
    kill(bench, DESTROY, "delete", "NodeGroup:cluster-system-nodes-group")
    recover(bench)
    refuse(bench, DESTROY, "delete", "Vpc:network-vpc")
    bench.destroy()
    assert bench.left() == []
