"""A backend on disk: who holds the stack's lock, and a state whose writing was cut off."""

import json
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil
import yaml

from otel_on_spot.files import write_atomically
from otel_on_spot.recovery.engine import RecoveryError


@dataclass(frozen=True)
class Checkpoint:
    """Files of a stack in a backend on disk.

    Source: https://github.com/pulumi/pulumi/blob/master/pkg/backend/diystate
    (``.pulumi/stacks/<project>/<stack>.json``, ``.bak`` beside it,
    ``.pulumi/locks/organization/<project>/<stack>/<id>.json``)
    """

    root: Path
    project: str
    stack: str

    @classmethod
    def of(cls, url: str, folder: Path, stack: str) -> "Checkpoint | None":
        """The checkpoint of a stack of the project in ``folder``; None where the backend is not on this disk.

        Raises:
            RecoveryError: the folder has no Pulumi.yaml.
        """
        parts = urlsplit(url)
        if parts.scheme != "file":
            return None
        path = Path(unquote(parts.netloc + parts.path))
        file = folder / "Pulumi.yaml"
        if not file.exists():
            raise RecoveryError(f"{folder}: no Pulumi.yaml here. Run recover in the folder of the program")
        project = str((yaml.safe_load(file.read_text()) or {}).get("name"))
        return cls(path.expanduser() / ".pulumi", project, stack.rpartition("/")[2])

    @property
    def file(self) -> Path:
        """The state."""
        return self.root / "stacks" / self.project / f"{self.stack}.json"

    @property
    def backup(self) -> Path:
        """The state one write before: the engine puts it there first."""
        return self.file.with_name(f"{self.file.name}.bak")

    def holder(self) -> str:
        """The process on this machine that holds the lock and is alive; empty where there is none.

        What another machine holds cannot be judged from here.
        """
        for file in (self.root / "locks").rglob("*.json"):
            if file.parent.name != self.stack or file.parent.parent.name != self.project:
                continue
            try:
                lock = json.loads(file.read_text())
                pid = int(lock["pid"])
            except (OSError, ValueError, KeyError):
                continue
            if lock.get("hostname") == socket.gethostname() and _alive(pid):
                return f"process {pid} of {lock.get('username')}, since {lock.get('timestamp')}"
        return ""

    def drop_cut_attributes(self) -> list[Path]:
        """Remove descriptions (``.attrs``, a content type and a checksum) whose writing was cut off: those removed.

        The engine cannot load a whole state beside an empty one (``failed to load checkpoint: EOF``), and needs none.
        Source: https://github.com/google/go-cloud/blob/master/blob/fileblob/attrs.go
        """
        cut = []
        for file in (self.file, self.backup):
            attributes = file.with_name(f"{file.name}.attrs")
            if attributes.exists() and not _json(attributes):
                attributes.unlink()
                cut.append(attributes)
        return cut

    def broken(self) -> bool:
        """True where the state cannot be read and the copy beside it can: its writing was cut off."""
        return not _whole(self.file) and _whole(self.backup)

    def repair(self) -> Path | None:
        """Put the copy in the state's place: the path of the broken file now, None where there was none."""
        kept = None
        if self.file.exists():
            kept = self.file.with_name(f"{self.file.name}.cut-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
            self.file.rename(kept)
        write_atomically(self.file, self.backup.read_bytes())
        return kept


def _whole(file: Path) -> bool:
    return bool(_json(file).get("checkpoint"))


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
