"""Which builds run beside each other."""

import threading
import time
from pathlib import Path

import pytest

from otel_on_spot.lab.toolchain.board import Board
from otel_on_spot.lab.toolchain.building import Build, Failure
from otel_on_spot.lab.toolchain.modules import MODULES, Module
from otel_on_spot.lab.toolchain.processes import Processes
from otel_on_spot.lab.toolchain.schedule import Schedule, free_mib, jobs_each, peak_mib


class Recorded(Build):
    """A build that takes a moment and notes what ran beside it."""

    running: set[str] = set()
    beside: list[set[str]] = []
    lock = threading.Lock()

    def __init__(self, module: Module) -> None:
        self.module = module

    def run(self, jobs: int) -> Failure | None:
        with self.lock:
            self.running.add(self.module.name)
            self.beside.append(set(self.running))
        time.sleep(0.05)
        with self.lock:
            self.running.discard(self.module.name)
        return None


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    seen: list[set[str]] = []
    monkeypatch.setattr(Recorded, "beside", seen)
    return seen


def run(core_count: int, memory_mib: int) -> None:
    schedule = Schedule(Board.of(MODULES, core_count), Processes(), core_count=core_count, memory_mib=memory_mib)
    schedule.run([Recorded(module) for module in MODULES])


def peak(names: set[str]) -> int:
    return sum(module.peak_mib for module in MODULES if module.name in names)


def test_as_many_builds_run_at_once_as_there_are_cores(beside: list[set[str]]) -> None:
    run(core_count=2, memory_mib=64_000)

    assert max(map(len, beside)) == 2
    assert set().union(*beside) == {module.name for module in MODULES}


def test_the_longest_build_starts_first(beside: list[set[str]]) -> None:
    run(core_count=1, memory_mib=64_000)

    expected = sorted(MODULES, key=lambda module: -module.cpu_seconds)
    assert [{module.name} for module in expected] == beside


def test_builds_that_memory_does_not_hold_wait_for_each_other(beside: list[set[str]]) -> None:
    run(core_count=4, memory_mib=4600)

    assert all(peak(names) <= 4600 - 512 for names in beside)
    assert max(map(len, beside)) > 1


def test_a_build_larger_than_memory_still_runs_but_alone(beside: list[set[str]]) -> None:
    run(core_count=4, memory_mib=100)

    assert {len(names) for names in beside} == {1}
    assert len(beside) == len(MODULES)


def test_a_defect_in_one_build_ends_the_schedule_and_is_not_swallowed(beside: list[set[str]]) -> None:
    class Broken(Recorded):
        def run(self, jobs: int) -> Failure | None:
            raise ZeroDivisionError

    schedule = Schedule(Board.of(MODULES, 1), Processes(), core_count=1, memory_mib=9000)
    with pytest.raises(ZeroDivisionError):
        schedule.run([Broken(module) for module in MODULES])


def test_more_compilers_at_once_need_more_memory() -> None:
    karpenter = next(module for module in MODULES if module.name == "karpenter")

    assert jobs_each(1) == jobs_each(2) == jobs_each(4) == 2
    assert jobs_each(16) == 8
    assert peak_mib(karpenter, 2) == 3344
    assert peak_mib(karpenter, 8) > peak_mib(karpenter, 4) > 3344


def test_the_limit_of_a_container_counts_where_it_is_smaller_than_the_machine(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    (tmp_path / "memory.current").write_text(f"{100 * 1024 * 1024}\n")
    limit.write_text(f"{164 * 1024 * 1024}\n")
    assert free_mib(limit) == 64

    limit.write_text("max\n")
    assert free_mib(limit) > 64
    assert free_mib(tmp_path / "none") > 64
