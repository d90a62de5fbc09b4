"""Waiting for something: deadlines, polls and retries."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Deadline:
    """A time span that began when this object was made.

    Args:
        seconds: length of the span.
        cancelled: ends every wait early when set.
    """

    def __init__(self, seconds: float, cancelled: threading.Event | None = None) -> None:
        self.seconds = seconds
        self.cancelled = cancelled
        self.began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    @property
    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self.seconds - self.elapsed)

    @property
    def over(self) -> bool:
        """True after the end, and after a cancellation."""
        return not self.left or (self.cancelled is not None and self.cancelled.is_set())

    def pause(self, seconds: float) -> None:
        """Sleep for some seconds, at most until the end; a cancellation wakes the sleeper."""
        if self.cancelled is not None:
            self.cancelled.wait(min(seconds, self.left))
        else:
            time.sleep(min(seconds, self.left))


def wait_until(predicate: Callable[[], T], deadline: Deadline | float, every: float = 0.5) -> T:
    """Call a predicate until it returns something true, or the deadline is over.

    ``predicate`` is called at least once, and once more when the time is up; what it raises ends the wait.
    ``deadline``: the end of the wait, or its length in seconds.

    Returns:
        The last result of the predicate: not true where it did not become so in time.
    """
    deadline = deadline if isinstance(deadline, Deadline) else Deadline(deadline)
    while True:
        over = deadline.over
        result = predicate()
        if result or over:
            return result
        deadline.pause(every)


def retry(
    action: Callable[[], T],
    deadline: Deadline | float,
    *,
    passing: Callable[[Exception], bool],
    failed: Callable[[Exception], None] | None = None,
    every: float = 1.0,
) -> T:
    """Call an action again as long as it fails for a reason that may pass.

    Args:
        action: what is tried.
        deadline: after it the next failure is raised; a Deadline, or seconds.
        passing: True for failures after which another try makes sense.
        failed: called with each failure that is followed by another try.
        every: seconds between two tries.

    Returns:
        The result of the first try that succeeds.

    Raises:
        Exception: the last failure, after the deadline; any failure that does not pass, at once.
    """
    deadline = deadline if isinstance(deadline, Deadline) else Deadline(deadline)
    while True:
        over = deadline.over
        try:
            return action()
        except Exception as problem:
            if over or not passing(problem):
                raise
            if failed is not None:
                failed(problem)
        deadline.pause(every)
