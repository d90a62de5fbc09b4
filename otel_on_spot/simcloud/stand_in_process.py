"""Starts our stand-in for the pulumi-eks component and stops it."""

import subprocess
import sys
import time
from pathlib import Path

from otel_on_spot.processes import end_group
from otel_on_spot.project import PACKAGE_PARENT

START_SECONDS = 60


class StandInProcess:
    """The stand-in in a process of its own: the SDK that it uses keeps one program's state in globals."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and learn its port, which it prints as plugins do.

        Raises:
            RuntimeError: it ended before it told its port; the text ends with its last words.
        """
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "otel_on_spot.simcloud.provider.eks_stand_in"],
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                text=True,
                cwd=PACKAGE_PARENT,
                start_new_session=True,
            )
        stdout = self._process.stdout
        line = stdout.readline() if stdout else ""
        if not line.strip().isdigit():
            time.sleep(0.1)
            self.stop()
            raise RuntimeError(f"the stand-in for pulumi-eks did not start: {self.log.read_text()[-800:]}")
        self.port = int(line)

    def stop(self) -> None:
        """Stop it and wait for its end; harmless where it does not run."""
        if self._process is None:
            return
        if self._process.poll() is None:
            end_group(self._process, 5)
        if self._process.stdout:
            self._process.stdout.close()
        self._process = None
