"""How seldom a process looks for garbage; the end of those that lead a group (``start_new_session=True``)."""

import gc
import os
import signal
import subprocess
from contextlib import suppress
from typing import Any


def collect_garbage_seldom() -> None:
    """Let this process look for reference cycles seldom, and never again through what it has imported.

    The SDKs' and moto's classes are hundreds of thousands of objects that stay: Python's defaults look through them
    so often while they are made that it is a third of the time of a plan, or of a start of moto.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def signal_group(process: subprocess.Popen[Any], number: signal.Signals) -> None:
    """Send a signal to a process with a group of its own, and to all that it started; nothing where none is left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def end_group(process: subprocess.Popen[Any], seconds: float) -> None:
    """End a process with all that it started, and wait for its end: SIGTERM, and SIGKILL after some seconds."""
    signal_group(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    signal_group(process, signal.SIGKILL)
    process.wait()
