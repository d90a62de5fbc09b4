"""Doing a thing to its end: tried again while nobody answers, and not ended by Ctrl-C half-way."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from otel_on_spot.drills.timeline import Tell

CONNECTION: Final = (HTTPError, OSError, BotoCoreError, ValueError)
"""Nobody answered, or what answered is no API server (ValueError: its answer is no JSON)."""
REFUSED: Final = (ApiException, ClientError)
"""Somebody answered no."""
AGAIN_SECONDS: Final = 1.0
ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a plain kill, and the end of the terminal: a lost connection of the person's own."""


def patiently(act: Callable[[], Any], end: float, tell: Tell, what: str) -> Any:
    """Try again while nobody answers, or the server is not itself (status 5xx, or too many requests).

    Args:
        end: by ``time.monotonic()``; after it, the next failure is raised.

    Raises:
        ApiException, botocore.exceptions.ClientError: it was refused.
        urllib3.exceptions.HTTPError, OSError, botocore.exceptions.BotoCoreError, ValueError: nobody answered in time.
    """
    waited = False
    while True:
        try:
            return act()
        except ApiException as refused:
            if not passing(refused) or time.monotonic() > end:
                raise
            reason = f"{refused.status} {refused.reason}"
        except CONNECTION as problem:
            if time.monotonic() > end:
                raise
            reason = type(problem).__name__
        if not waited:
            tell(f"{what}: no answer ({reason}), trying again for {max(0.0, end - time.monotonic()):.0f} s")
            waited = True
        time.sleep(AGAIN_SECONDS)


def passing(refused: ApiException) -> bool:
    """Whether a refusal may be gone in a while: the server is not itself, or has too much to do."""
    status = int(refused.status or 0)
    return status in (0, 429) or status >= 500


def in_words(problem: Exception) -> str:
    """Why something failed, on one line."""
    if isinstance(problem, ApiException):
        return f"{problem.status} {problem.reason}"
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:300]


@contextmanager
def undisturbed(tell: Tell) -> Generator[None]:
    """Ctrl-C, SIGTERM and SIGHUP wait: a drill that is putting things back is nearly done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def wait(_number: int, _frame: object) -> None:
        tell("putting back what the drill changed: a moment (kill -9 ends it; `drill restore` then does the rest)")

    before = {number: signal.signal(number, wait) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def whoever_listens(tell: Tell) -> Tell:
    """The same, but telling never fails: the terminal may be gone, and what was changed is taken back all the same."""

    def told(line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            tell(line)

    return told
