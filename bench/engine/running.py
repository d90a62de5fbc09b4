"""Commands of the real engine on a simulated cloud, as a person runs them: nothing kept warm, time and memory watched."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from otel_on_spot.simcloud.session import Session

ROOT = Path(__file__).parents[2]
PROJECT = "otel-on-spot"
SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Command:
    """What one command took: wall and CPU seconds, and peaks of resident memory in MiB.

    ``cpu_seconds`` is of the command and all below it, which a busy machine changes less than the wall's.
    ``all_mib`` is the greatest sum over the command's processes at one time (pages that they share count for each),
    ``engine_mib`` of the CLI alone, ``program_mib`` of the Python program.
    """

    seconds: float
    cpu_seconds: float
    all_mib: float
    engine_mib: float
    program_mib: float


class CommandError(Exception):
    """The engine refused; the message holds the end of what it said."""


class Place:
    """A copy of the program with a backend of its own; stacks of it run on whatever cloud is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "program"
        self.program.mkdir(parents=True)
        (folder / "backend").mkdir()
        for name in ("__main__.py", "Pulumi.yaml"):
            shutil.copy(ROOT / name, self.program / name)
        shutil.copytree(ROOT / "infra", self.program / "infra", ignore=shutil.ignore_patterns("__pycache__"))
        (self.program / ".venv").symlink_to(sys.prefix)

    def new_stack(
        self, session: Session, name: str, of: str, change: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        """A stack with the settings of a committed one.

        Args:
            of: the committed stack.
            change: changes the settings by their names without the project's, in place.
        """
        content = yaml.safe_load((ROOT / f"Pulumi.{of}.yaml").read_text())
        settings = {key.removeprefix(f"{PROJECT}:"): value for key, value in content["config"].items()}
        if change:
            change(settings)
        config = {key if ":" in key else f"{PROJECT}:{key}": value for key, value in settings.items()}
        (self.program / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({**content, "config": config}))
        self.run(session, "stack", "init", name, "--non-interactive")

    def up(self, session: Session, stack: str, *arguments: str) -> Command:
        """``pulumi up`` without asking and without its preview."""
        return self.run(session, "up", "--yes", "--skip-preview", "--non-interactive", "--stack", stack, *arguments)

    def preview(self, session: Session, stack: str) -> Command:
        """``pulumi preview``."""
        return self.run(session, "preview", "--non-interactive", "--stack", stack)

    def run(self, session: Session, *arguments: str) -> Command:
        """Run a command that must succeed.

        Raises:
            CommandError: it did not.
        """
        log, before = self.folder / "command.log", _cpu_of_children()
        with log.open("w") as told:
            started = time.monotonic()
            process = subprocess.Popen(
                ["pulumi", *arguments],
                cwd=self.program,
                env=self._environment(session.environment),
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                peaks = _watched(process)
                seconds = time.monotonic() - started
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode:
            raise CommandError(
                f"pulumi {' '.join(arguments)}: exit code {process.returncode}\n{log.read_text()[-3000:]}"
            )
        return Command(seconds, _cpu_of_children() - before, *peaks)

    def _environment(self, given: Mapping[str, str]) -> dict[str, str]:
        return {
            **{key: value for key, value in given.items() if not key.startswith("PULUMI_CONFIG")},
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": "of the measurement",
            "NO_COLOR": "1",
        }


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watched(process: subprocess.Popen[bytes]) -> tuple[float, float, float]:
    """Peaks in MiB of all, of the engine, and of the program, once the process has ended."""
    peaks = {"all": 0.0, "engine": 0.0, "program": 0.0}
    root = psutil.Process(process.pid)
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            sizes = {"all": 0.0, "engine": 0.0, "program": 0.0}
            for one in [root, *root.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    mib = one.memory_info().rss / 2**20
                    sizes["all"] += mib
                    if one.pid == process.pid:
                        sizes["engine"] = mib
                    elif one.name().startswith("python"):
                        sizes["program"] = max(sizes["program"], mib)
            peaks = {key: max(peaks[key], sizes[key]) for key in peaks}
        with suppress(subprocess.TimeoutExpired):
            process.wait(SAMPLE_SECONDS)
    return peaks["all"], peaks["engine"], peaks["program"]
