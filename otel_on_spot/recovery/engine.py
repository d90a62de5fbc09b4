"""The ``pulumi`` command, as the person who calls would run it: same folder, same environment, same backend.

It is the Automation API's command, not its ``Stack``, which selects the stack in the caller's own settings and exports
the state with its secrets in plain text.
"""

import json
from pathlib import Path
from typing import Any

from otel_on_spot import project
from otel_on_spot.errors import ToolError
from otel_on_spot.workspace import EngineError, engine_errors, pulumi_command


class RecoveryError(ToolError):
    """Recovery cannot begin, or cannot go on. The message says what to do."""


class Engine:
    """One stack of the project.

    Raises:
        EngineError: there is no pulumi CLI, or it is too old.
    """

    def __init__(self, stack: str) -> None:
        self.stack = stack
        self._command = pulumi_command()

    def backend(self) -> str:
        """URL of the backend that is logged in to, such as ``file:///home/me`` or ``s3://bucket``."""
        return str(json.loads(self._run("whoami", "--verbose", "--json"))["url"])

    def export_state(self) -> dict[str, Any]:
        """The stack's state as ``pulumi stack export`` writes it; secrets stay encrypted."""
        return json.loads(self._run("stack", "export", "--stack", self.stack))

    def import_state(self, file: Path) -> None:
        """Make an exported state the stack's."""
        self._run("stack", "import", "--stack", self.stack, "--file", str(file.absolute()))

    def release_lock(self) -> None:
        """Run ``pulumi cancel``. A backend without a lock may refuse; the next command names one that stayed."""
        try:
            self._run("cancel", "--yes", "--stack", self.stack)
        except EngineError:
            return

    def refresh(self, urns: list[str]) -> None:
        """Let the providers read these resources anew; one that is not there leaves the state."""
        targets = [part for urn in urns for part in ("--target", urn)]
        self._run("refresh", "--stack", self.stack, "--yes", "--skip-preview", *targets)

    def delete_from_state(self, urn: str) -> None:
        """Drop a resource from the state; the cloud keeps what it has."""
        self._run("state", "delete", "--stack", self.stack, "--yes", urn)

    def _run(self, *arguments: str) -> str:
        """Standard output of a command.

        Raises:
            EngineError: it failed.
        """
        shown = " ".join(part for part in arguments if not part.startswith("urn:") and part != "--target")
        with engine_errors(shown):
            return self._command.run([*arguments, "--color", "never"], str(project.root()), {}).stdout
