"""Where a lab keeps everything: one folder, for its owner only."""

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otel_on_spot.errors import EXIT_FINDINGS, ToolError


class LabError(ToolError):
    """The lab cannot do what was asked: what was found, the rule, what to do."""

    exit_code = EXIT_FINDINGS


class NoLabError(LabError):
    """No lab of this name is running."""

    exit_code = 3


class Folder:
    """The folder of the lab of this name.

    Args:
        name: the stack's name, or any other: two names are two labs.
        state_home: parent of all labs; default ``$XDG_STATE_HOME`` or ``~/.local/state``, below it ``otel-on-spot/lab``.
    """

    def __init__(self, name: str, state_home: Path | None = None) -> None:
        self.name = name
        self.path = (state_home or of_user(os.environ)) / name

    def make(self) -> "Folder":
        """Make it and its parts, readable by nobody else."""
        for part in (self.path, self.logs, self.certificates, self.cloud, self.git, self.releases, self.nodes):
            part.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.chmod(0o700)
        return self

    @property
    def logs(self) -> Path:
        """A log for each process."""
        return self.path / "logs"

    @property
    def certificates(self) -> Path:
        """Keys, certificates, tokens and kubeconfigs."""
        return self.path / "certificates"

    @property
    def cloud(self) -> Path:
        """The simulated cloud."""
        return self.path / "cloud"

    @property
    def git(self) -> Path:
        """The bare repositories that are served."""
        return self.path / "git"

    @property
    def releases(self) -> Path:
        """What the controllers of Helm releases write."""
        return self.path / "releases"

    @property
    def nodes(self) -> Path:
        """What the nodes tell: joins and refusals."""
        return self.path / "nodes"

    @property
    def etcd(self) -> Path:
        """etcd's data."""
        return self.path / "etcd"

    @property
    def control(self) -> Path:
        """The control socket."""
        return self.path / "control"

    @property
    def hosts(self) -> Path:
        """The lab's own ``/etc/hosts``."""
        return self.path / "hosts"

    @property
    def state_file(self) -> Path:
        """What the last world said of itself."""
        return self.path / "world.json"

    def kubeconfig(self, user: str = "admin") -> Path:
        """Kubeconfig of a user of the lab."""
        return self.certificates / f"{user}.kubeconfig"

    def tell(self, **facts: Any) -> None:
        """Add to what the world says of itself."""
        now = {**self.told(), **facts}
        partial = self.state_file.with_suffix(".partial")
        partial.write_text(json.dumps(now, indent=1))
        partial.chmod(0o600)
        os.replace(partial, self.state_file)

    def told(self) -> dict[str, Any]:
        """What the last world said of itself; empty where there was none."""
        try:
            return json.loads(self.state_file.read_text())
        except FileNotFoundError:
            return {}

    def own(self) -> "Owned":
        """Be the only world of this folder.

        Raises:
            LabError: another one is.
        """
        return Owned(self)

    def owned(self) -> bool:
        """Whether a world has this folder now."""
        try:
            with self.lock_file.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    @property
    def lock_file(self) -> Path:
        """Held by the world."""
        return self.path / "lock"

    def forget(self) -> None:
        """Remove everything but the logs and what the world said at its end."""
        for part in (self.certificates, self.cloud, self.git, self.releases, self.nodes, self.etcd):
            shutil.rmtree(part, ignore_errors=True)
        for file in (self.control, self.hosts):
            file.unlink(missing_ok=True)


class Owned:
    """The lock on a folder; held until ``release`` or the end of the process."""

    def __init__(self, folder: Folder) -> None:
        self._file = folder.lock_file.open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise LabError(
                f"lab {folder.name!r} is running already in {folder.path}. Use it, or end it first: make lab-down"
            ) from None

    def release(self) -> None:
        """Give the folder up."""
        self._file.close()


def of_user(environment: Mapping[str, str]) -> Path:
    """Parent of all labs of the user."""
    home = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "otel-on-spot" / "lab"
