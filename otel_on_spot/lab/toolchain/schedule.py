"""Many builds: the longest first, as many at once as memory and cores allow."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil

from otel_on_spot.lab.toolchain.board import Board
from otel_on_spot.lab.toolchain.building import Build, Failure
from otel_on_spot.lab.toolchain.modules import Module
from otel_on_spot.lab.toolchain.problem import ToolchainError
from otel_on_spot.lab.toolchain.processes import Processes, StoppedError

_MIB = 1024 * 1024
# The peaks were measured with two compilers at once; each further one adds about this much (an estimate).
_MIB_PER_FURTHER_JOB = 400
_KEPT_FREE_MIB = 512
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class BuildError(ToolchainError):
    """Some tools could not be built; the message has every one of them."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        self.failures = tuple(failures)
        count = f"{len(failures)} tool" + ("s" if len(failures) != 1 else "")
        super().__init__(f"{count} could not be built\n" + "\n".join(map(str, failures)))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def free_mib(limit: Path = _CGROUP_LIMIT) -> int:
    """Memory that can be taken now, in MiB: what the system has available, within the container's limit."""
    free = psutil.virtual_memory().available
    try:
        total = int(limit.read_text(encoding="ascii"))
        used = int((limit.parent / "memory.current").read_text(encoding="ascii"))
        free = min(free, total - used)
    except (OSError, ValueError):
        pass  # no limit: the file is missing or says "max"
    return max(0, free // _MIB)


def jobs_each(core_count: int) -> int:
    """``-p`` of each build: two at least, so that one that links does not leave a core idle."""
    return max(2, core_count // 2)


def peak_mib(module: Module, jobs: int) -> int:
    """The most memory that building this takes with ``-p jobs``."""
    return module.peak_mib + max(0, jobs - 2) * _MIB_PER_FURTHER_JOB


class Schedule:
    """Runs builds in threads; call :meth:`run` from the thread that gets Ctrl-C."""

    def __init__(self, board: Board, processes: Processes, *, core_count: int, memory_mib: int) -> None:
        self._board, self._processes = board, processes
        self._at_once = max(1, core_count)
        self._jobs = jobs_each(core_count)
        self._memory_mib = max(0, memory_mib - _KEPT_FREE_MIB)
        self._changed = threading.Condition()
        self._running: dict[str, int] = {}
        self._failures: list[Failure] = []
        self._defects: list[BaseException] = []

    def run(self, builds: Sequence[Build]) -> None:
        """Build all; a failing one does not keep the others from being built.

        Raises:
            BuildError: with every failure.
            KeyboardInterrupt: after every command and all that it started has ended.
        """
        waiting = sorted(builds, key=lambda build: -build.module.cpu_seconds)
        threads: list[threading.Thread] = []
        try:
            with self._changed:
                while (waiting and not self._defects) or self._running:
                    while (fitting := self._next(waiting)) is not None:
                        waiting.remove(fitting)
                        self._running[fitting.module.name] = peak_mib(fitting.module, self._jobs)
                        thread = threading.Thread(
                            target=self._one, args=(fitting,), name=f"build {fitting.module.name}"
                        )
                        threads.append(thread)
                        thread.start()
                    self._changed.wait(0.5)
        finally:
            if any(thread.is_alive() for thread in threads):
                self._processes.end_all()
            for thread in threads:
                thread.join()
        if self._defects:
            raise self._defects[0]
        if self._failures:
            raise BuildError(sorted(self._failures, key=lambda failure: failure.tool))

    def _next(self, waiting: Sequence[Build]) -> Build | None:
        """The longest build that fits beside the running ones; alone, any fits."""
        if self._defects or len(self._running) >= self._at_once:
            return None
        taken = sum(self._running.values())
        return next(
            (
                build
                for build in waiting
                if not self._running or taken + peak_mib(build.module, self._jobs) <= self._memory_mib
            ),
            None,
        )

    def _one(self, build: Build) -> None:
        failure: Failure | None = None
        try:
            failure = build.run(self._jobs)
        except StoppedError:
            self._board.change(build.module.name, "stopped")
        except BaseException as defect:
            self._board.change(build.module.name, "failed")
            with self._changed:
                self._defects.append(defect)
        finally:
            with self._changed:
                del self._running[build.module.name]
                self._failures += [failure] if failure else []
                self._changed.notify_all()
