"""What the builds are at: one row a tool, written by the builds, read by the display; and the estimate of the time left."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from otel_on_spot.lab.toolchain.modules import Module

State = Literal["waiting", "downloading", "building", "done", "failed", "stopped"]
ENDED: tuple[State, ...] = ("done", "failed", "stopped")
# What remains of a build when go has every package already, as a share of the whole: all tools took 70 CPU seconds then.
LINKING = 0.04
# Until this machine has shown its pace, it counts as one that gives 0.8 of each core, for this many seconds.
_PRIOR_SECONDS = 60.0
_PRIOR_OF_A_CORE = 0.8


@dataclass
class Row:
    """One tool: its state, what it is doing, and how far it is."""

    name: str
    version: str
    cpu_seconds: float
    state: State = "waiting"
    detail: str = ""
    packages: int = 0
    """Packages that this tool is made of; 0 until go has counted them."""
    stale: int = 0
    """Packages of it that go's own cache does not have."""
    compiled: int = 0
    started: float | None = None
    ended: float | None = None

    def work(self) -> float:
        """CPU seconds that the whole build takes, given what go's cache has already."""
        share = self.stale / self.packages if self.packages else 1.0
        return self.cpu_seconds * ((1 - LINKING) * share + LINKING)

    def done(self) -> float:
        """CPU seconds of :meth:`work` that are behind it."""
        if self.state in ENDED:
            return self.work()
        share = self.compiled / self.packages if self.packages else 0.0
        return min(self.cpu_seconds * (1 - LINKING) * share, self.work())


@dataclass
class Board:
    """All rows. Thread-safe: :meth:`change` is the only way in."""

    rows: dict[str, Row]
    cores: int
    note: str = ""
    clock: Callable[[], float] = time.monotonic
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, modules: Sequence[Module], cores: int, clock: Callable[[], float] = time.monotonic) -> "Board":
        """A board where everything waits."""
        return cls({m.name: Row(m.name, m.version, m.cpu_seconds) for m in modules}, cores, clock=clock)

    def change(
        self, name: str, state: State | None = None, *, detail: str | None = None, compiled: int | None = None
    ) -> None:
        """Write what one build is at."""
        with self.lock:
            row = self.rows[name]
            if state is not None and state != row.state:
                row.state, row.detail = state, ""
                row.started = self.clock() if row.started is None else row.started
                row.ended = self.clock() if state in ENDED else None
            row.detail = row.detail if detail is None else detail
            row.compiled = row.compiled if compiled is None else compiled

    def say(self, note: str) -> None:
        """Write one line about all of it: why nothing has begun."""
        with self.lock:
            self.note = note

    def count(self, name: str, *, packages: int, stale: int) -> None:
        """Write how many packages one build is made of, and how many of them must be compiled."""
        with self.lock:
            self.rows[name].packages, self.rows[name].stale = packages, stale

    def elapsed(self, row: Row) -> float:
        """Seconds since this build began, until it ended; 0 while it waits."""
        return 0.0 if row.started is None else (row.ended or self.clock()) - row.started

    def left_seconds(self) -> float | None:
        """The estimate of the time until all is built; None before anything began.

        The weights are CPU seconds that were measured for each tool, less what go's cache has already; the pace is what this
        machine did so far, with a prior that fades.
        """
        with self.lock:
            starts = [row.started for row in self.rows.values() if row.started is not None]
            if not starts:
                return None
            spent = self.clock() - min(starts)
            done = sum(row.done() for row in self.rows.values())
            remaining = sum(row.work() for row in self.rows.values()) - done
            prior = self.cores * _PRIOR_OF_A_CORE
            return remaining / ((done + prior * _PRIOR_SECONDS) / (spent + _PRIOR_SECONDS))
