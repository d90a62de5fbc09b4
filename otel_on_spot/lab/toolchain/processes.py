"""The go commands that run now: each leads a process group of its own, so that all of it can be ended."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

_GRACE_SECONDS = 5.0


class StoppedError(Exception):
    """The builds are being ended: nothing new starts."""


class Processes:
    """Runs commands from many threads; :meth:`end_all` from any of them."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """Whether :meth:`end_all` was called."""
        return self._stopping

    def run(
        self,
        command: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        output: IO[str],
        line: Callable[[str], None],
    ) -> int:
        """Run to its end: standard output into a file, standard error line by line to ``line``; returns the exit code.

        Raises:
            StoppedError: the builds are being ended, or were while this ran.
        """
        with self._lock:
            if self._stopping:
                raise StoppedError
            process = subprocess.Popen(
                command,
                cwd=directory,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(process)
        try:
            assert process.stderr is not None, "it is a pipe"
            with process.stderr:
                for text in process.stderr:
                    line(text.rstrip("\n"))
            return_code = process.wait()
        except BaseException:
            _signal(process, signal.SIGKILL)
            process.wait()
            raise
        finally:
            with self._lock:
                self._running.discard(process)
        if self._stopping:
            raise StoppedError
        return return_code

    def end_all(self) -> None:
        """End every command with all that it started: SIGTERM, then SIGKILL to what is left of each group after 5 s."""
        with self._lock:
            self._stopping = True
            running = list(self._running)
        for process in running:
            _signal(process, signal.SIGTERM)
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
            _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
