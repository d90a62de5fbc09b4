"""What people see of the builds, and the estimate of the time left."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from otel_on_spot.lab.toolchain.board import Board
from otel_on_spot.lab.toolchain.display import duration, left, lines, on_terminal
from otel_on_spot.lab.toolchain.modules import Module


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def two_tools(tmp_path: Path, clock: Clock) -> Board:
    modules = []
    for name, cpu_seconds in (("large", 300), ("small", 100)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "go.mod").write_text(f"module m\ngo 1.25.0\nrequire a.test/{name} v1.2.3\n")
        modules.append(
            Module(
                name=name,
                upstream=f"a.test/{name}",
                packages=(),
                binaries={},
                peak_mib=1,
                cpu_seconds=cpu_seconds,
                root=tmp_path,
            )
        )
    return Board.of(modules, cores=2, clock=clock)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(tmp_path: Path, clock: Clock) -> Board:
    return two_tools(tmp_path, clock)


def test_before_anything_began_there_is_no_estimate(board: Board) -> None:
    assert board.left_seconds() is None
    board.say("process 7 is building already: waiting for it")
    assert left(board) == "process 7 is building already: waiting for it"


def test_the_first_estimate_is_the_measured_cpu_time_over_the_cores(board: Board) -> None:
    board.change("large", "downloading")

    assert board.left_seconds() == pytest.approx(400 / (2 * 0.8))


def test_the_estimate_takes_the_pace_that_this_machine_showed(board: Board, clock: Clock) -> None:
    board.change("large", "building")
    board.count("large", packages=100, stale=100)
    clock.now += 600
    board.change("large", compiled=25)
    slow = board.left_seconds()
    board.change("large", compiled=100)
    fast = board.left_seconds()

    assert slow is not None
    assert fast is not None
    assert slow > 1000
    assert fast < 200


def test_what_gos_own_cache_has_is_not_counted_as_work(board: Board) -> None:
    board.change("large", "building")
    before = board.left_seconds()
    board.count("large", packages=100, stale=0)
    after = board.left_seconds()

    assert before is not None
    assert after is not None
    assert before - after == pytest.approx(300 * 0.96 / 1.6)


def test_when_all_ended_nothing_is_left(board: Board) -> None:
    board.change("large", "done")
    board.change("small", "failed")

    assert board.left_seconds() == 0
    assert left(board) == "1 of 2 tools built, about 0 s left"


def test_lines_come_at_most_every_20_seconds_a_tool_and_once_when_it_ends(board: Board, clock: Clock) -> None:
    said: list[tuple[float, str]] = []
    with lines(lambda text: said.append((clock.now, text)), every_seconds=20)(board):
        board.change("large", "building", detail="1 packages, 99 left")
        wait_for(lambda: len(said) == 1)
        clock.now += 19
        board.change("large", detail="50 packages, 50 left")
        time.sleep(1.2)
        assert len(said) == 1
        clock.now += 1
        wait_for(lambda: len(said) == 2)
        clock.now += 1
        board.change("large", "done")
        wait_for(lambda: len(said) == 3)
        clock.now += 100
        time.sleep(0.7)

    assert [text.split(", ")[0] for _, text in said] == [
        "large v1.2.3: building (1 packages",
        "large v1.2.3: building (50 packages",
        "large v1.2.3: done",
    ]
    assert "50 left), 20 s; 0 of 2 tools built, about " in said[1][1]


def test_the_last_lines_come_even_when_all_ends_at_once(board: Board) -> None:
    said: list[str] = []
    with lines(said.append)(board):
        board.change("large", "done")
        board.change("small", "failed")

    assert [text.split(",")[0] for text in said] == ["large v1.2.3: done", "small v1.2.3: failed"]


def test_the_wait_for_another_lab_is_told_once(board: Board) -> None:
    said: list[str] = []
    with lines(said.append, every_seconds=0.1)(board):
        board.say("process 7 is building already: waiting for it")
        time.sleep(0.4)

    assert said == ["process 7 is building already: waiting for it"]


def test_a_terminal_gets_a_table_with_state_elapsed_and_estimate(board: Board, clock: Clock) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=120, _environ={"TERM": "xterm"})
    with on_terminal(screen)(board):
        board.change("large", "building", detail="12 packages, 88 left")
        clock.now += 65
    shown = screen.file.getvalue()  # ty: ignore[missing-attribute]

    assert "12 packages, 88 left" in shown
    assert "1 min 05 s" in shown
    assert "waiting" in shown
    assert "0 of 2 tools built, about " in shown


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (3725, "1 h 02 min")]
)
def test_durations_are_written_as_people_read_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
