"""Ending processes that lead a group of their own (``start_new_session=True``)."""

import os
import signal
import subprocess
from contextlib import suppress
from typing import Any


def signal_group(process: subprocess.Popen[Any], number: signal.Signals) -> None:
    """Send a signal to a process and to all that it started; nothing happens where none of them is left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def end_group(process: subprocess.Popen[Any], seconds: float) -> None:
    """End a process with all that it started, and wait for its end: SIGTERM, and SIGKILL after some seconds."""
    signal_group(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    signal_group(process, signal.SIGKILL)
    process.wait()
