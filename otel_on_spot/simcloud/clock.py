"""The clock of the simulated cloud: AWS's seconds, scaled."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from otel_on_spot.simcloud.api_errors import OperationCancelledError, TimedOutError

POLL_SECONDS = 0.02
"""Real seconds between two looks at something that is waited for, at first; then a twentieth of the wait so far."""


@dataclass
class Clock:
    """Cloud seconds pass ``scale`` real seconds each; 0 means that nothing is waited for.

    ``patience``: real seconds that a timeout lasts at least, because the machine's own work does not shrink with the
    scale. Virtual time counts cloud seconds since the clock was made (at scale 0: real seconds).
    """

    scale: float = 0.0
    patience: float = 15.0
    stopping: threading.Event = field(default_factory=threading.Event)
    _start: float = field(default_factory=time.monotonic)

    def now(self) -> float:
        """Virtual seconds since the start."""
        elapsed = time.monotonic() - self._start
        return elapsed / self.scale if self.scale else elapsed

    def sleep(self, seconds: float, cancelled: threading.Event) -> None:
        """Let cloud seconds pass.

        Raises:
            OperationCancelledError: the operation was cancelled, or the cloud is stopping.
        """
        self._real(seconds * self.scale, cancelled)

    def until(self, ready: Callable[[], bool], timeout: float, what: str, cancelled: threading.Event) -> None:
        """Wait until something is so.

        Args:
            ready: asked again and again until it is true.
            timeout: cloud seconds.
            what: names what is waited for in the error.
            cancelled: set when the engine no longer waits.

        Raises:
            TimedOutError: it was not so within ``timeout`` cloud seconds.
            OperationCancelledError: the operation was cancelled, or the cloud is stopping.
        """
        began = time.monotonic()
        while not ready():
            waited = time.monotonic() - began
            if waited > max(timeout * self.scale, self.patience):
                raise TimedOutError(f"{what}: not so within {timeout:.0f} s")
            self._real(max(POLL_SECONDS, waited / 20), cancelled)

    def _real(self, seconds: float, cancelled: threading.Event) -> None:
        end = time.monotonic() + seconds
        while True:
            if cancelled.is_set() or self.stopping.is_set():
                raise OperationCancelledError("the operation was cancelled while the cloud was at work")
            left = end - time.monotonic()
            if left <= 0:
                return
            cancelled.wait(min(left, 0.25))
