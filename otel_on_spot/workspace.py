"""The real engine: the ``pulumi`` CLI on PATH, and copies of the program with a backend of their own.

``pulumi.automation`` takes most of a second to import, so it is imported where the engine is driven.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from otel_on_spot import project
from otel_on_spot.errors import ToolError

if TYPE_CHECKING:
    from pulumi.automation import PulumiCommand, Stack

INSTALL: Final = "https://www.pulumi.com/docs/install/"
TAIL_LINES: Final = 20
"""Lines of a failed command that its error shows."""
Change = Callable[[dict[str, Any]], None]


class EngineError(ToolError):
    """The CLI is missing or too old, or a command of it failed: the message ends with its last lines."""


def pulumi_command(root: Path | None = None) -> "PulumiCommand":
    """The ``pulumi`` CLI on PATH, as new as the SDK and the project's ``requiredPulumiVersion`` ask for.

    ``root``: the project; None takes the one in use.

    Raises:
        EngineError: there is none, or it is too old.
    """
    from pulumi.automation import InvalidVersionError, PulumiCommand
    from semver import VersionInfo

    if shutil.which("pulumi") is None:
        raise EngineError(f"no pulumi on PATH. Install the Pulumi CLI: {INSTALL}")
    declared = yaml.safe_load(((root or project.root()) / project.MARKER).read_text())
    oldest = re.search(r">=\s*(\d+\.\d+\.\d+)", str(declared.get("requiredPulumiVersion", "")))
    try:
        return PulumiCommand(version=VersionInfo.parse(oldest[1]) if oldest else None)
    except (InvalidVersionError, subprocess.CalledProcessError, OSError) as problem:
        raise EngineError(f"the pulumi on PATH cannot be used: {problem} Install another: {INSTALL}") from None


@contextmanager
def engine_errors(command: str) -> Generator[None]:
    """Turn a command's failure into an error with the end of its output.

    Raises:
        EngineError: the command failed.
    """
    from pulumi.automation import CommandError

    try:
        yield
    except CommandError as error:
        output = str(error).strip().removesuffix("stderr:").rstrip()
        last = "\n".join(output.splitlines()[-TAIL_LINES:])
        raise EngineError(f"pulumi {command} failed:\n{last}") from None


class Workspace:
    """A copy of the program whose stacks live in a backend of its own: nothing is written into the project.

    Args:
        folder: gets the folders ``program``, ``backend`` and ``home`` (the CLI's own).
        root: the project that is copied; None takes the one in use.
    """

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        self.folder = folder
        self.root = root or project.root()
        self.program = folder / "program"
        self.backend = folder / "backend"
        self.copy_program()

    def copy_program(self) -> None:
        """Copy the program as it is now, over an earlier copy; stack files of the copy stay."""
        for part in (self.program, self.backend):
            part.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("__main__.py", project.MARKER):
            shutil.copy(self.root / name, self.program / name)
        for name in ("infra", "gitops"):  # the program reads the wrapper chart's values
            shutil.rmtree(self.program / name, ignore_errors=True)
            shutil.copytree(self.root / name, self.program / name, ignore=shutil.ignore_patterns("__pycache__"))
        link = self.program / ".venv"
        if not link.is_symlink():
            link.symlink_to(sys.prefix)

    def write_stack(self, name: str, *, of: str | None = None, change: Change | None = None) -> Path:
        """Write a stack's file: the settings of a committed stack, changed. An earlier file's encryption salt is kept.

        ``of``: the committed stack; None takes the one of the same name. ``change`` changes the settings in place, by
        their names without the project's.
        """
        content = yaml.safe_load((self.root / f"Pulumi.{of or name}.yaml").read_text())
        prefix = f"{yaml.safe_load((self.root / project.MARKER).read_text())['name']}:"
        settings = {key.removeprefix(prefix): value for key, value in content["config"].items()}
        if change:
            change(settings)
        content["config"] = {key if ":" in key else f"{prefix}{key}": value for key, value in settings.items()}
        file = self.program / f"Pulumi.{name}.yaml"
        if file.exists() and (salt := yaml.safe_load(file.read_text()).get("encryptionsalt")):
            content["encryptionsalt"] = salt
        file.write_text(yaml.safe_dump(content))
        return file

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Variables of a command of the CLI: ``base``, such as a simulated cloud's, with this backend."""
        return {
            **{key: value for key, value in base.items() if not key.startswith("PULUMI_CONFIG")},
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.backend}",
            "PULUMI_CONFIG_PASSPHRASE": "of the workspace",
            "NO_COLOR": "1",
        }

    def stack(self, name: str, base: Mapping[str, str]) -> "Stack":
        """A stack of this workspace, created where there is none. Its file must be there.

        Args:
            name: the stack.
            base: as of ``environment``. A variable that it lacks is empty for the command: the Automation API adds to
                this process's environment, and cannot take away from it.

        Raises:
            EngineError: no usable CLI, or it refused.
        """
        from pulumi.automation import LocalWorkspaceOptions, create_or_select_stack

        hidden = dict.fromkeys(os.environ, "")
        options = LocalWorkspaceOptions(
            env_vars={**hidden, **self.environment(base)}, pulumi_command=pulumi_command(self.root)
        )
        with engine_errors(f"stack select {name}"):
            return create_or_select_stack(name, work_dir=str(self.program), opts=options)
