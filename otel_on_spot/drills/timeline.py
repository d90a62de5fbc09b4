"""The course of a drill: what happened when, logged as it happens, kept for the report."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from otel_on_spot.report import Moment

Log = Callable[[str], None]
"""Takes a line for people."""


class Timeline:
    """Moments in the order in which they were seen. Threads may add to it.

    ``log`` gets a line for every moment.
    """

    def __init__(self, log: Log = lambda _line: None) -> None:
        self._log = log
        self._began = time.monotonic()
        self._adding = threading.Lock()
        self._moments: list[Moment] = []

    @property
    def seconds(self) -> float:
        """Since the drill began."""
        return time.monotonic() - self._began

    @property
    def moments(self) -> tuple[Moment, ...]:
        """Everything so far."""
        with self._adding:
            return tuple(self._moments)

    def add(self, what: str, detail: str = "") -> Moment:
        """Something happened now."""
        with self._adding:
            moment = Moment(at=datetime.now(UTC), seconds=self.seconds, what=what, detail=detail)
            self._moments.append(moment)
            self._log(f"{moment.seconds:7.1f} s  {what}" + (f"  {detail}" if detail else ""))
        return moment

    def at(self, what: str) -> Moment | None:
        """The first moment of that name; None where it did not come."""
        return next((moment for moment in self.moments if moment.what == what), None)
