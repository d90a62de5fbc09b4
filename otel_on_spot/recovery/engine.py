"""The ``pulumi`` command, as the person who calls would run it: same folder, same environment, same backend."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_on_spot import project
from otel_on_spot.errors import ToolError

OLDEST = (3, 272, 0)
"""The CLI's version that everything here was tried with first; ``requiredPulumiVersion`` of Pulumi.yaml says the same."""


class RecoveryError(ToolError):
    """Recovery cannot begin, or cannot go on. The message says what to do."""


def too_old(told: str) -> bool:
    """Whether what ``pulumi version`` says, such as ``v3.100.0``, is older than ``OLDEST``; a text without a number is not."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", told)
    return bool(found) and tuple(int(part) for part in found.groups()) < OLDEST


@dataclass(frozen=True)
class Engine:
    """One stack of the project in the current folder."""

    stack: str

    def __post_init__(self) -> None:
        if shutil.which("pulumi") is None:
            raise RecoveryError(
                "no pulumi on PATH: recover speaks to the stack's backend through the Pulumi CLI. "
                "Install it: https://www.pulumi.com/docs/install/"
            )
        told = self._run("version").stdout.strip()
        if too_old(told):
            raise RecoveryError(
                f"pulumi {told} is too old: this program is proven from {'.'.join(map(str, OLDEST))} on. "
                "Upgrade it: https://www.pulumi.com/docs/install/"
            )

    def backend(self) -> str:
        """URL of the backend that is logged in to, such as ``file:///home/me`` or ``s3://bucket``."""
        return str(json.loads(self._must("whoami", "--verbose", "--json"))["url"])

    def export(self) -> dict[str, Any]:
        """The stack's state as ``pulumi stack export`` writes it; secrets stay encrypted."""
        return json.loads(self._must("stack", "export", "--stack", self.stack))

    def put(self, file: Path) -> None:
        """Make an exported state the stack's."""
        self._must("stack", "import", "--stack", self.stack, "--file", str(file))

    def release_lock(self) -> None:
        """``pulumi cancel``. A backend that has nothing to cancel may refuse: the next command tells of a lock that stayed."""
        self._run("cancel", "--yes", "--stack", self.stack)

    def refresh(self, urns: list[str]) -> None:
        """Let the providers read these resources anew; one that is not there leaves the state."""
        targets = [part for urn in urns for part in ("--target", urn)]
        self._must("refresh", "--stack", self.stack, "--yes", "--skip-preview", "--non-interactive", *targets)

    def forget(self, urn: str) -> None:
        """Drop a resource from the state; the cloud keeps what it has."""
        self._must("state", "delete", "--stack", self.stack, "--yes", urn)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *arguments, "--color", "never"],
            cwd=project.root(),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def _must(self, *arguments: str) -> str:
        done = self._run(*arguments)
        if done.returncode:
            shown = " ".join(part for part in arguments if not part.startswith("urn:") and part != "--target")
            raise RecoveryError(f"pulumi {shown} failed:\n{(done.stdout[-1500:] + done.stderr[-1500:]).strip()}")
        return done.stdout
