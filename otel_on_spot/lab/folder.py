"""The folder of a lab: everything that it keeps, for its owner only."""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import platformdirs
from filelock import FileLock, Timeout

from otel_on_spot.errors import EXIT_FINDINGS, ToolError
from otel_on_spot.files import write_atomically

LOCK_SECONDS: Final = 1.0
"""Time for which another process may hold the lock: it may only be looking."""


class LabError(ToolError):
    """The lab cannot do what was asked. The message says what was found, the rule, what to do."""

    exit_code = EXIT_FINDINGS


class NoLabError(LabError):
    """No lab of this name is running."""

    exit_code = 3


class Folder:
    """The folder of the lab of this name.

    ``name``: the stack's, or any other: two names are two labs. ``state_home``: parent of all labs; the user's by
    default.
    """

    def __init__(self, name: str, state_home: Path | None = None) -> None:
        self.name = name
        self.path = (state_home or default_state_home()) / name
        self.logs = self.path / "logs"
        """A log for each process."""
        self.certificates = self.path / "certificates"
        """Keys, certificates, tokens and kubeconfigs."""
        self.cloud = self.path / "cloud"
        """The simulated cloud."""
        self.git = self.path / "git"
        """The bare repositories that are served."""
        self.releases = self.path / "releases"
        """Files of the controllers of Helm releases."""
        self.nodes = self.path / "nodes"
        """The journal of nodes: joins and refusals."""
        self.etcd = self.path / "etcd"
        """Data of etcd."""
        self.control = self.path / "control"
        """The control socket."""
        self.hosts = self.path / "hosts"
        """The lab's own ``/etc/hosts``."""
        self.state_file = self.path / "daemon.json"
        """State of the last daemon."""
        self.lock_file = self.path / "lock"
        """Held by the daemon."""

    def make(self) -> "Folder":
        """Make the folder and its parts, readable by nobody else."""
        for part in (self.path, self.logs, self.certificates, self.cloud, self.git, self.releases, self.nodes):
            part.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.chmod(0o700)
        return self

    def kubeconfig(self, user: str = "admin") -> Path:
        """Kubeconfig of a user of the lab."""
        return self.certificates / f"{user}.kubeconfig"

    def write_state(self, **facts: Any) -> None:
        """Add to the daemon's state."""
        state = {**self.read_state(), **facts}
        write_atomically(self.state_file, json.dumps(state, indent=1))

    def read_state(self) -> dict[str, Any]:
        """State of the last daemon; empty where there was none."""
        try:
            return json.loads(self.state_file.read_text())
        except FileNotFoundError:
            return {}

    def acquire(self) -> FileLock:
        """Become the only daemon of this folder, until the lock is released or the process ends.

        Raises:
            LabError: another daemon runs.
        """
        lock = self._lock()
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout:
            raise LabError(
                f"lab {self.name!r} is running already in {self.path}. Use it, or end it first: make lab-down"
            ) from None
        return lock

    def is_running(self) -> bool:
        """True while a daemon holds this folder."""
        if not self.lock_file.exists():
            return False
        lock = self._lock()
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False

    def _lock(self) -> FileLock:
        return FileLock(self.lock_file, preserve_lock_file=True, thread_local=False)

    def forget(self) -> None:
        """Remove everything but the logs and the last state."""
        for part in (self.certificates, self.cloud, self.git, self.releases, self.nodes, self.etcd):
            shutil.rmtree(part, ignore_errors=True)
        for file in (self.control, self.hosts):
            file.unlink(missing_ok=True)


def default_state_home() -> Path:
    """Parent of all labs of the user: ``otel-on-spot/lab`` below ``$XDG_STATE_HOME`` or ``~/.local/state``."""
    return platformdirs.user_state_path("otel-on-spot") / "lab"
