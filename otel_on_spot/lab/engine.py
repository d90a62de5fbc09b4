"""The real engine in the lab: ``pulumi up`` on the lab's own cloud, where a CLI is on PATH."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from otel_on_spot import project
from otel_on_spot.lab.folder import LabError
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.session import Session

PROJECT: Final = "otel-on-spot"
KEPT_LINES: Final = 20
OPTIONS: Final = ("--yes", "--skip-preview", "--non-interactive", "--color=never", "--suppress-outputs")


class EngineError(LabError):
    """The engine is not there, or refused; the text ends with its last lines."""


class Engine:
    """A stack of a copy of the program, with a backend of the lab's own: nothing is written into the working tree.

    Args:
        folder: where backend, copy and the CLI's home are kept.
        stack: its name.
        cloud: the lab's, which runs.

    Raises:
        EngineError: no ``pulumi`` on PATH.
    """

    def __init__(self, folder: Path, stack: str, cloud: Cloud) -> None:
        if shutil.which("pulumi") is None:
            raise EngineError(
                "--engine needs the pulumi CLI, and there is none on PATH: install it, or leave --engine out"
            )
        self.stack = stack
        self.cloud = cloud
        self.folder = folder
        self.program = folder / "program"
        for part in (self.program, folder / "backend"):
            part.mkdir(parents=True, exist_ok=True, mode=0o700)

    def up(self, overrides: Mapping[str, Any] | None = None) -> None:
        """Update the stack to what the working tree declares. ``overrides``: keys whose values replace the stack file's.

        Raises:
            EngineError: the update failed.
        """
        self._copy(overrides or {})
        with Session(self.folder, stand_in=True, cloud=self.cloud) as session:
            self._run(session, "stack", "select", "--create", self.stack, "--non-interactive")
            self._run(session, "up", *OPTIONS, "--stack", self.stack)

    def destroy(self) -> None:
        """Destroy the stack.

        Raises:
            EngineError: something could not be deleted.
        """
        with Session(self.folder, stand_in=True, cloud=self.cloud) as session:
            self._run(session, "destroy", *OPTIONS, "--stack", self.stack)

    def urns(self) -> list[str]:
        """URNs in the state, without those of providers that the engine makes by itself."""
        with Session(self.folder, stand_in=True, cloud=self.cloud) as session:
            told = self._run(session, "stack", "export", "--stack", self.stack)
        resources = json.loads(told)["deployment"].get("resources") or []
        return sorted(one["urn"] for one in resources if not _made_by_itself(one["urn"]))

    def _copy(self, overrides: Mapping[str, Any]) -> None:
        root = project.root()
        for name in ("__main__.py", "Pulumi.yaml"):
            shutil.copy(root / name, self.program / name)
        shutil.rmtree(self.program / "infra", ignore_errors=True)
        shutil.copytree(root / "infra", self.program / "infra", ignore=shutil.ignore_patterns("__pycache__"))
        link = self.program / ".venv"
        if not link.is_symlink():
            link.symlink_to(sys.prefix)
        mine = self.program / f"Pulumi.{self.stack}.yaml"
        salt = yaml.safe_load(mine.read_text()).get("encryptionsalt") if mine.exists() else None
        settings = yaml.safe_load((root / mine.name).read_text())
        for key, value in overrides.items():
            settings["config"][f"{PROJECT}:{key}"] = value
        mine.write_text(yaml.safe_dump(settings | ({"encryptionsalt": salt} if salt else {})))

    def _run(self, session: Session, *arguments: str) -> str:
        """Standard output of a command of the CLI."""
        environment = {
            **session.environment,
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": "of the lab",
            "HOME": os.environ.get("HOME", str(self.folder)),
        }
        ended = subprocess.run(
            ["pulumi", *arguments], cwd=self.program, env=environment, capture_output=True, text=True, check=False
        )
        if ended.returncode:
            last = "\n".join([*ended.stdout.splitlines(), *ended.stderr.splitlines()][-KEPT_LINES:])
            raise EngineError(f"pulumi {arguments[0]} ended with exit code {ended.returncode}:\n{last}")
        return ended.stdout


def _made_by_itself(urn: str) -> bool:
    """Whether it is a default provider: ``pulumi:providers:aws::default_7_51_0``, ``pulumi:providers:pulumi::default``."""
    return "::pulumi:providers:" in urn and urn.rpartition("::")[2].startswith("default")
