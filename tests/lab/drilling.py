"""A drill in the lab as a user runs it: a process whose lines can be waited for, and that can be pressed and killed."""

import os
import subprocess
import sys
import threading
import time
from typing import ClassVar

from otel_on_spot.lab import isolation
from tests.lab import captures
from tests.lab.running import ROOT, STACK, Lab


class Drilling:
    """``otel-on-spot`` with some arguments, running in the lab's namespaces.

    ``started``: all of them, until ``end_all``.
    """

    started: ClassVar[list["Drilling"]] = []

    def __init__(self, lab: Lab, *arguments: str) -> None:
        line = isolation.inside(
            lab.folder, [sys.executable, "-m", "otel_on_spot", "--verbose", *arguments, "--stack", STACK]
        )
        variables = {**lab.variables, "COLUMNS": "110"}
        self._process = subprocess.Popen(
            line, env=variables, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )
        self._lines: list[str] = []
        self._came = threading.Condition()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        self.started.append(self)

    @classmethod
    def end_all(cls) -> None:
        """Kill what a failed test left running."""
        while cls.started:
            cls.started.pop().kill()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._came:
                self._lines.append(line.rstrip())
                self._came.notify_all()

    @property
    def told(self) -> str:
        """Everything that it printed so far."""
        with self._came:
            return "\n".join(self._lines)

    def says(self, words: str, seconds: float = 90.0) -> str:
        """The line that has these words, as soon as it is printed."""
        end = time.monotonic() + seconds
        with self._came:
            while True:
                found = next((line for line in self._lines if words in line), "")
                if found:
                    return found
                left = end - time.monotonic()
                assert left > 0, f"not within {seconds:.0f} s: {words!r}\n" + "\n".join(self._lines)
                assert self._process.poll() is None or self._reading.is_alive(), f"{words!r} never came\n" + "\n".join(
                    self._lines
                )
                self._came.wait(min(left, 1.0))

    def press(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """``kill -9``: no word, and nothing taken back by it."""
        self._process.kill()
        self._process.wait(30)
        self._close()

    def ends(self, seconds: float = 150.0) -> int:
        """Its exit code."""
        try:
            code = self._process.wait(seconds)
        finally:
            if self._process.poll() is None:
                self.kill()
        self._close()
        return code

    def _close(self) -> None:
        self._reading.join(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def keep(self, name: str) -> None:
        """What it printed, for a runbook page: in the folder that ``CAPTURES`` names, where it names one."""
        captures.write(name, self.told)
