"""Starts moto's server and stops it."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from otel_on_spot.processes import end_group
from otel_on_spot.project import PACKAGE_PARENT
from otel_on_spot.waiting import wait_until

START_SECONDS = 60
PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
"""Variables of the caller's that moto would look up when it starts, and that may lead nowhere."""


class MotoProcess:
    """moto's server on loopback, its state in a file. ``url`` is what ``AWS_ENDPOINT_URL`` takes.

    Args:
        forgetful: save no change: faster, and gone when it stops.
        plugin: ``module:function`` that adds to moto; empty is moto with nothing added.
        plugin_folder: what the plugin reads.
        environment: variables beside this process's own.
    """

    def __init__(
        self,
        state: Path,
        log: Path,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        forgetful: bool = False,
        plugin: str = "",
        plugin_folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.forgetful = forgetful
        self.plugin = plugin
        self.plugin_folder = plugin_folder
        self.environment = environment or {}
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
        command = [sys.executable, "-m", "otel_on_spot.simcloud.moto_main", "--host", self.host]
        command += ["--port", str(self.port), "--state", str(self.state), *(["--forgetful"] if self.forgetful else [])]
        command += ["--plugin", self.plugin, "--plugin-folder", str(self.plugin_folder)] if self.plugin else []
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=PACKAGE_PARENT,
                env={**{k: v for k, v in os.environ.items() if k not in PROFILES}, **self.environment},
                start_new_session=True,
            )
        process = self._process
        wait_until(lambda: process.poll() is not None or self._answers(), START_SECONDS, every=0.05)
        if process.poll() is None and self._answers():
            return
        last = self.log.read_text(errors="replace")[-800:]
        self.stop()
        raise RuntimeError(f"moto's server did not start on {self.url} within {START_SECONDS} s: {last}")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5):
                return True
        except OSError:
            return False

    def wait(self) -> int:
        """Wait for its end, and return its exit code."""
        return self._process.wait() if self._process else 0

    @property
    def pid(self) -> int:
        """Process id of the running moto; 0 where it does not run."""
        return self._process.pid if self._process else 0

    def stop(self) -> None:
        """Stop it and wait for its end; harmless where it does not run."""
        if self._process is None:
            return
        if self._process.poll() is None:
            end_group(self._process, 10)
        self._process = None


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
