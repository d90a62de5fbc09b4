"""Commands of the real engine on a simulated cloud, as a person runs them: nothing kept warm, resources watched."""

import os
import resource
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass

import psutil

from otel_on_spot.simcloud.session import Session
from otel_on_spot.workspace import Change, Workspace

SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Command:
    """Cost of one command: wall and CPU seconds, and peaks of resident memory in MiB.

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


class MeasuredWorkspace(Workspace):
    """A workspace whose commands are measured; its stacks run on whatever cloud is given."""

    def new_stack(self, session: Session, name: str, of: str, change: Change | None = None) -> None:
        """A stack with the settings of a committed one.

        Args:
            session: the cloud.
            name: the new stack.
            of: the committed stack.
            change: as of ``Workspace.write_stack``.
        """
        self.write_stack(name, of=of, change=change)
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
        log, before = self.folder / "command.log", cpu_of_children()
        with log.open("w") as output:
            started = time.monotonic()
            process = subprocess.Popen(
                ["pulumi", *arguments],
                cwd=self.program,
                env=self.environment(session.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
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
        return Command(seconds, cpu_of_children() - before, *peaks)


def cpu_of_children() -> float:
    """CPU seconds of all processes that this one has waited for."""
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def _watched(process: subprocess.Popen[bytes]) -> tuple[float, float, float]:
    """Peaks in MiB of all, of the engine, and of the program, once the process has ended."""
    peaks = {"all": 0.0, "engine": 0.0, "program": 0.0}
    root = psutil.Process(process.pid)
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            sizes = {"all": 0.0, "engine": 0.0, "program": 0.0}
            for process_info in [root, *root.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    mib = process_info.memory_info().rss / 2**20
                    sizes["all"] += mib
                    if process_info.pid == process.pid:
                        sizes["engine"] = mib
                    elif process_info.name().startswith("python"):
                        sizes["program"] = max(sizes["program"], mib)
            peaks = {key: max(peaks[key], sizes[key]) for key in peaks}
        with suppress(subprocess.TimeoutExpired):
            process.wait(SAMPLE_SECONDS)
    return peaks["all"], peaks["engine"], peaks["program"]
