"""Doing a thing to its end: tried again while nobody answers, and not ended by Ctrl-C half-way."""

import contextlib
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from otel_on_spot.drills.timeline import Log
from otel_on_spot.waiting import Deadline, retry

T = TypeVar("T")


class ElsewhereError(Exception):
    """A change can be taken back, but not by a drill. The message says how."""


CONNECTION_ERRORS: Final = (HTTPError, OSError, BotoCoreError, ValueError)
"""Nobody answered, or what answered is no API server (ValueError: its answer is no JSON)."""
REFUSALS: Final = (ApiException, ClientError, ElsewhereError)
"""Somebody answered no, or it is not for a drill to do."""
RETRY_SECONDS: Final = 1.0
ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a plain kill, and the end of the terminal: a lost connection of the person's own."""


def retry_outages(action: Callable[[], T], deadline: Deadline, log: Log, what: str) -> T:
    """Try an action again while nobody answers, or the server is not itself (status 5xx, or too many requests).

    Args:
        action: what is tried.
        deadline: after it, the next failure is raised.
        log: gets one line, at the first failure.
        what: name of the action for people.

    Raises:
        ApiException, botocore.exceptions.ClientError: it was refused.
        urllib3.exceptions.HTTPError, OSError, botocore.exceptions.BotoCoreError, ValueError: nobody answered in time.
    """
    failures: list[Exception] = []

    def note(problem: Exception) -> None:
        if not failures:
            reason = describe(problem) if isinstance(problem, ApiException) else type(problem).__name__
            log(f"{what}: no answer ({reason}), trying again for {deadline.left:.0f} s")
        failures.append(problem)

    return retry(action, deadline, passing=is_outage, failed=note, every=RETRY_SECONDS)


def is_outage(problem: Exception) -> bool:
    """True for failures that may pass: no answer, or a server that is not itself, or has too much to do."""
    if isinstance(problem, ApiException):
        status = int(problem.status or 0)
        return status in (0, 429) or status >= 500
    return isinstance(problem, CONNECTION_ERRORS)


def describe(problem: Exception) -> str:
    """Describe a failure on one line."""
    if isinstance(problem, ApiException):
        return f"{problem.status} {problem.reason}"
    if isinstance(problem, ElsewhereError):
        return str(problem)
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:300]


@contextmanager
def signals_deferred(log: Log) -> Generator[None]:
    """Ignore Ctrl-C, SIGTERM and SIGHUP for a moment: a drill that is putting things back is nearly done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def wait(_number: int, _frame: object) -> None:
        log("putting back what the drill changed: a moment (kill -9 ends it; `drill restore` then does the rest)")

    before = {number: signal.signal(number, wait) for number in ENDING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def safe_log(log: Log) -> Log:
    """A log that never fails: the terminal may be gone, and what was changed is taken back all the same."""

    def write(line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            log(line)

    return write
