"""The go commands that run: their output, and that all they started ends with them."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from otel_on_spot.lab.toolchain.processes import Processes, StoppedError
from tests.unit.lab.toolchain.conftest import FakeGo
from tests.unit.lab.toolchain.test_ensure import alive

# A command that starts one more and outlives SIGTERM, as does the one that it started.
STUBBORN = "trap '' TERM; sleep 300 & echo $! > child; echo started >&2; while true; do sleep 0.1; done"


def run(processes: Processes, folder: Path, script: str, said: list[str]) -> int:
    with (folder / "output").open("w") as output:
        return processes.run(["sh", "-c", script], directory=folder, environment={}, output=output, line=said.append)


def test_standard_output_goes_to_the_file_and_standard_error_comes_line_by_line(tmp_path: Path) -> None:
    said: list[str] = []
    code = run(Processes(), tmp_path, "echo answer; echo one >&2; printf two >&2; exit 3", said)

    assert (code, said, (tmp_path / "output").read_text()) == (3, ["one", "two"], "answer\n")


def test_what_ignores_sigterm_is_killed_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_on_spot.lab.toolchain.processes._GRACE_SECONDS", 0.3)
    processes = Processes()
    said: list[str] = []
    ended: list[str] = []

    def body() -> None:
        try:
            run(processes, tmp_path, STUBBORN, said)
        except StoppedError:
            ended.append("stopped")

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not said and time.monotonic() < deadline:
        time.sleep(0.02)
    child = int((tmp_path / "child").read_text())
    assert alive(child)

    processes.end_all()
    thread.join(10)

    assert ended == ["stopped"]
    deadline = time.monotonic() + 10  # a killed process is gone when the kernel comes to it
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(child)


def test_nothing_starts_after_the_end(tmp_path: Path) -> None:
    processes = Processes()
    processes.end_all()

    with pytest.raises(StoppedError):
        run(processes, tmp_path, "touch started", [])
    assert not (tmp_path / "started").exists()


def test_a_fault_in_the_reader_ends_the_command(tmp_path: Path) -> None:
    def faulty(line: str) -> None:
        raise ZeroDivisionError

    with (tmp_path / "output").open("w") as output, pytest.raises(ZeroDivisionError):
        Processes().run(
            ["sh", "-c", "echo $$ > pid; echo line >&2; exec sleep 300"],
            directory=tmp_path,
            environment={},
            output=output,
            line=faulty,
        )
    assert not alive(int((tmp_path / "pid").read_text()))


def test_sigterm_to_the_command_line_ends_the_builds_as_ctrl_c_does(fake_go: FakeGo) -> None:
    (fake_go.folder / "hang").touch()
    lab = subprocess.Popen(
        [sys.executable, "-m", "otel_on_spot.lab.toolchain"], cwd=Path(__file__).parents[4], env=fake_go.environment,
        text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    hanging = fake_go.folder / "hanging"
    deadline = time.monotonic() + 30
    while not (hanging.exists() and hanging.read_text().count("\n")) and time.monotonic() < deadline:
        time.sleep(0.05)

    lab.send_signal(signal.SIGTERM)
    _, said = lab.communicate(timeout=30)

    assert lab.returncode == 130
    assert "stopped: nothing runs on" in said
    assert not [process for process in map(int, hanging.read_text().split()) if alive(process)]
