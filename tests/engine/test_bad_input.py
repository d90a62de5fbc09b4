"""What a person gets wrong around the engine: a clear message, nothing left running, no state lost."""

import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from tests.engine.availability import why_no_engine
from tests.engine.fault_steps import Way, hit
from tests.engine.recovery import agree, run_recover
from tests.engine.workbench import TIMEOUT, Workbench, end_group, workbench

UP = ("up", "--yes", "--skip-preview", "--non-interactive")


@pytest.fixture(scope="module")
def bench(folder: Path) -> Iterator[Workbench]:
    """A stack of which a part is made, and the rest still to come."""
    with workbench(folder, "dev", stand_in=True) as bench:
        hit(bench, Way("refuse", "before", "create"), ["Queue:interruption-queue"])
        yield bench


@pytest.fixture(autouse=True)
def nothing_lost_or_left(bench: Workbench) -> Iterator[None]:
    """After each mistake the state still holds what the cloud has, and no process or lock of it stays."""
    yield
    bench.watched.settle()
    agree(bench)
    assert [*(bench.folder / "backend/.pulumi/locks").rglob("*.json")] == []
    assert left_running(bench) == []


def left_running(bench: Workbench) -> list[str]:
    """Commands that work in the stack's folder, without the warm program."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and (place / "cwd").readlink() == bench.program:
                command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if command and "warm_program" not in command:
                    found.append(command)
        except OSError:
            continue
    return found


def refused(bench: Workbench, *arguments: str, without: str = "", more: Mapping[str, str] | None = None) -> str:
    """What a command says that must fail; no traceback is in it."""
    environment = {key: value for key, value in bench.environment.items() if key != without} | {**(more or {})}
    bench.environment, kept = environment, bench.environment
    try:
        code, out, err = bench.attempt(*arguments)
    finally:
        bench.environment = kept
    assert code not in (0, None), out
    assert "Traceback" not in out + err
    assert "goroutine" not in out + err
    return out + err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config:\n  otel-on-spot:network: [\n", "did not find expected node content"),
        ("- a list\n", "expected project to be an object"),
        (None, "argocd.adminEnable"),
    ],
    ids=["not YAML", "a list", "misspelt key"],
)
def test_a_broken_stack_file(bench: Workbench, text: str | None, said: str) -> None:
    file = bench.program / "Pulumi.dev.yaml"
    whole = file.read_text()
    spoilt = whole.replace("adminEnabled", "adminEnable")
    assert spoilt != whole
    file.write_text(spoilt if text is None else text)
    try:
        assert said in refused(bench, *UP)
    finally:
        file.write_text(whole)


def test_a_missing_passphrase(bench: Workbench) -> None:
    with bench.settings({}) as file:
        told = refused(bench, *UP, "--config-file", str(file), without="PULUMI_CONFIG_PASSPHRASE")
    assert "PULUMI_CONFIG_PASSPHRASE" in told


def test_a_wrong_passphrase(bench: Workbench) -> None:
    assert "incorrect passphrase" in refused(bench, *UP, more={"PULUMI_CONFIG_PASSPHRASE": "another"})


def test_a_cli_that_is_too_old_is_told_by_the_program_by_recover_and_by_the_tier(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = bench.program / "Pulumi.yaml"
    whole = project.read_text()
    asked = yaml.safe_load(whole)["requiredPulumiVersion"]
    project.write_text(whole.replace(asked, ">=99.0.0"))
    try:
        told = refused(bench, *UP)
    finally:
        project.write_text(whole)
    assert ">=99.0.0" in told
    old = tmp_path / "pulumi"
    old.write_text("#!/bin/sh\necho v3.100.0\n")
    old.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{bench.environment['PATH']}"
    bench.environment, kept = {**bench.environment, "PATH": path}, bench.environment
    try:
        done = run_recover(bench)
    finally:
        bench.environment = kept
    assert (done.returncode, "3.100.0" in done.stderr, asked.removeprefix(">=") in done.stderr) == (2, True, True)
    monkeypatch.setenv("PATH", path)
    assert "3.100.0" in why_no_engine()


def test_a_state_that_was_cut_off_while_it_was_written_is_put_back_by_recover(bench: Workbench) -> None:
    whole = bench.checkpoint.read_text()
    bench.checkpoint.write_text(whole[: len(whole) // 2])
    assert "checkpoint" in refused(bench, *UP)
    done = run_recover(bench)
    assert done.returncode == 0, done.stderr
    assert "is the state now" in done.stdout
    assert json.loads(bench.checkpoint.read_text())


def test_a_description_beside_the_state_that_was_cut_off_is_dropped_by_recover(bench: Workbench) -> None:
    whole = bench.checkpoint.read_text()
    bench.checkpoint.with_name("dev.json.attrs").write_text("")
    assert "failed to load checkpoint: EOF" in refused(bench, *UP)
    done = run_recover(bench)
    assert done.returncode == 0, done.stderr
    assert bench.checkpoint.read_text() == whole
    assert bench.state()["resources"]


def test_recover_without_the_passphrase_leaves_the_state_as_it_was(bench: Workbench) -> None:
    assert hit(bench, Way("kill", "after", "create"), ["Cluster:cluster-eks-eksCluster"])
    before = bench.saved()["pending_operations"]
    kept = bench.environment
    bench.environment = {key: value for key, value in kept.items() if key != "PULUMI_CONFIG_PASSPHRASE"}
    try:
        done = run_recover(bench)
    finally:
        bench.environment = kept
    assert (done.returncode, "PULUMI_CONFIG_PASSPHRASE" in done.stderr, "Traceback" in done.stderr) == (2, True, False)
    assert bench.saved()["pending_operations"] == before
    done = run_recover(bench)
    assert done.returncode == 0, done.stderr


def test_ctrl_c_ends_the_update_in_order_and_the_next_one_goes_on(bench: Workbench) -> None:
    reached = threading.Event()

    def pressed() -> None:
        if not reached.is_set():
            reached.set()
            os.killpg(process.pid, signal.SIGINT)

    for step in (
        "NodeGroup:cluster-system-nodes-group",
        "Application:platform-root",
    ):  # not made yet, whatever went before
        bench.watched.before["create", step] = pressed
    process = bench.start(*UP)
    try:
        out, err = process.communicate(timeout=TIMEOUT)
    finally:
        bench.watched.before.clear()
        end_group(process)
        bench.cool()
    assert reached.is_set()
    assert process.returncode not in (0, -signal.SIGKILL)
    assert "cancel" in (out + err).lower()
    assert "Traceback" not in out + err
    if bench.saved().get("pending_operations"):
        assert run_recover(bench).returncode == 0
    bench.up()
    bench.expect_no_changes()


def test_an_update_beside_a_running_destroy_is_refused_and_recover_keeps_away(bench: Workbench) -> None:
    locks = bench.folder / "backend/.pulumi/locks/organization/otel-on-spot/dev"
    reached, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        go_on.wait(TIMEOUT)

    bench.watched.before["delete", "Application:platform-root"] = wait
    process = bench.start("destroy", "--yes", "--skip-preview", "--non-interactive")
    try:
        assert reached.wait(TIMEOUT)
        assert [*locks.glob("*.json")]
        assert "currently locked" in refused(bench, *UP)
        done = run_recover(bench)
        assert (done.returncode, "an update is running" in done.stderr) == (2, True)
        go_on.set()
        process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0
        assert bench.left() == []
    finally:
        go_on.set()
        bench.watched.before.clear()
        end_group(process)
