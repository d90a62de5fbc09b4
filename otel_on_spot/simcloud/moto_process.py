"""Starts moto's server and stops it."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from otel_on_spot.project import PACKAGE_PARENT

START_SECONDS = 60


class MotoProcess:
    """moto's server on loopback, its state in a file. ``url`` is what ``AWS_ENDPOINT_URL`` takes.

    Args:
        forgetful: save no change: faster, and gone when it stops.
        bridges: folder of the switches of the lab's bridges; None is moto with nothing added.
    """

    def __init__(
        self,
        state: Path,
        log: Path,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        forgetful: bool = False,
        bridges: Path | None = None,
    ) -> None:
        self.forgetful = forgetful
        self.bridges = bridges
        self.state = state
        self.log = log
        self.host = host
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """URL of the endpoint of every AWS service."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            RuntimeError: it ended, or did not answer in time; the text ends with its last words.
        """
        self.port = self.port or free_port(self.host)
        command = [
            sys.executable,
            "-m",
            "otel_on_spot.simcloud.moto_main",
            "--host",
            self.host,
            "--port",
            str(self.port),
        ]
        command += ["--state", str(self.state), *(["--forgetful"] if self.forgetful else [])]
        command += ["--bridges", str(self.bridges)] if self.bridges else []
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=PACKAGE_PARENT,
                start_new_session=True,
            )
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        last = self.log.read_text(errors="replace")[-800:]
        self.stop()
        raise RuntimeError(f"moto's server did not start on {self.url} within {START_SECONDS} s: {last}")

    def stop(self) -> None:
        """Stop it and wait for its end; harmless where it does not run."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
