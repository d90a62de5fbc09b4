"""The lab's processes: started in order, watched, started again where a kubelet would, stopped in reverse."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from otel_on_spot.processes import end_group, signal_group
from otel_on_spot.waiting import wait_until

POLL_SECONDS = 0.1
STOP_SECONDS = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
LAST_LINES = 8
LONGEST_LINE = 400


@dataclass(frozen=True, kw_only=True)
class Program:
    """A process of the lab. ``environment`` is all of it, but for PATH, HOME and TMPDIR where they are missing.

    ``ready`` is asked until it is true, for ``ready_seconds``. ``restart``: started again when it ends by itself.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Callable[[], bool] | None = None
    ready_seconds: float = 60.0
    restart: bool = False
    directory: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """A process as it is now. ``state``: running, starting again, or ended. ``seconds`` since its last start."""

    name: str
    pid: int
    state: str
    seconds: float
    restarts: int
    rss_mib: float
    log: str


class ProcessFailedError(Exception):
    """A process ended, or was not ready in time. The text has its last lines and where its log is."""

    def __init__(self, name: str, why: str, log: Path) -> None:
        last = "\n".join(f"  {line[:LONGEST_LINE]}" for line in tail(log))
        super().__init__(f"{name} {why}\n{last}\nIts log: {log}")
        self.name = name
        self.log = log


class _Managed:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.since = time.monotonic()
        self.restarts = 0
        self.wanted = True
        self.again = threading.Event()
        """Set to cut a pause before the next start short."""


class Supervisor:
    """Starts, watches and stops programs; threads may share it.

    ``logs``: folder of the logs, one a program; the one before is kept as ``.log.1``. ``ended`` is called with a
    program's name and the reason when one that is not started again ends by itself.
    """

    def __init__(self, logs: Path, ended: Callable[[str, str], None] | None = None) -> None:
        self.logs = logs
        self._ended = ended or (lambda _name, _why: None)
        self._managed: dict[str, _Managed] = {}
        self._lock = threading.RLock()

    def start(self, program: Program) -> None:
        """Start a program and wait until it is ready.

        Raises:
            ProcessFailedError: it ended, or was not ready in time. It is stopped then.
            ValueError: a program of this name runs already.
        """
        with self._lock:
            there = self._managed.get(program.name)
            if there is not None and there.wanted:
                raise ValueError(f"{program.name} runs already: stop it first")
            managed = self._managed[program.name] = _Managed(program)
            self._launch(managed)
        try:
            self._until_ready(managed)
        except ProcessFailedError:
            self.stop(program.name)
            raise
        threading.Thread(target=self._watch, args=(managed,), name=f"watch {program.name}", daemon=True).start()

    def _launch(self, managed: _Managed) -> None:
        program, log = managed.program, self.log(managed.program.name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        told = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.logs), "TMPDIR": "/tmp"}  # noqa: S108 (the variable's own default)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            managed.process = subprocess.Popen(
                program.command,
                env={**told, **program.environment},
                cwd=program.directory,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as problem:
            managed.wanted = False
            raise ProcessFailedError(program.name, f"cannot be started: {problem}", log) from problem
        finally:
            os.close(descriptor)
        managed.since = time.monotonic()

    def _until_ready(self, managed: _Managed) -> None:
        program, process = managed.program, managed.process
        assert process is not None
        ready = program.ready or (lambda: True)
        is_ready = wait_until(lambda: process.poll() is not None or ready(), program.ready_seconds, every=POLL_SECONDS)
        if process.poll() is not None:
            raise ProcessFailedError(program.name, f"ended with {_how(process)}", self.log(program.name))
        if not is_ready:
            why = f"was not ready within {program.ready_seconds:.0f} s"
            raise ProcessFailedError(program.name, why, self.log(program.name))

    def _watch(self, managed: _Managed) -> None:
        pause = FIRST_PAUSE
        while True:
            process = managed.process
            assert process is not None
            process.wait()
            with self._lock:
                if not managed.wanted or self._managed.get(managed.program.name) is not managed:
                    return
                if not managed.program.restart:
                    managed.wanted = False
            if not managed.program.restart:
                signal_group(process, signal.SIGKILL)
                last = " / ".join(tail(self.log(managed.program.name))[-2:])[-LONGEST_LINE:]
                self._ended(managed.program.name, f"ended with {_how(process)}: {last}")
                return
            if time.monotonic() - managed.since > LONGEST_PAUSE * 2:
                pause = FIRST_PAUSE
            managed.again.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            with self._lock:
                if not managed.wanted:
                    return
                signal_group(process, signal.SIGKILL)
                managed.restarts += 1
                try:
                    self._launch(managed)
                except ProcessFailedError as problem:
                    self._ended(managed.program.name, str(problem))
                    return

    def stop(self, name: str) -> None:
        """Stop a program and wait for its end; nothing to do where it does not run."""
        with self._lock:
            managed = self._managed.get(name)
            if managed is None:
                return
            managed.wanted = False
            managed.again.set()
            process = managed.process
        if process is not None:
            end_group(process, STOP_SECONDS)

    def restart(self, name: str) -> None:
        """Stop a program and start it as it was.

        Raises:
            ProcessFailedError: it does not become ready again.
            KeyError: there is no such program.
        """
        program = self._managed[name].program
        self.stop(name)
        self.start(program)

    def kill(self, name: str) -> None:
        """Let a program crash (SIGKILL).

        Raises:
            KeyError: there is no such program.
        """
        process = self._managed[name].process
        if process is not None and process.poll() is None:
            process.kill()

    def running(self, name: str) -> bool:
        """True where a program runs, or is about to be started again."""
        managed = self._managed.get(name)
        return bool(managed and managed.wanted)

    def log(self, name: str) -> Path:
        """The log of a program."""
        return self.logs / f"{name}.log"

    def rows(self) -> list[Row]:
        """Every program in the order of its start."""
        with self._lock:
            return [self._row(managed) for managed in self._managed.values()]

    def _row(self, managed: _Managed) -> Row:
        process = managed.process
        alive = process is not None and process.poll() is None
        state = "running" if alive else "starting again" if managed.wanted and managed.program.restart else "ended"
        return Row(
            name=managed.program.name,
            pid=process.pid if process is not None else 0,
            state=state,
            seconds=time.monotonic() - managed.since,
            restarts=managed.restarts,
            rss_mib=_rss(process.pid) if process is not None and alive else 0.0,
            log=str(self.log(managed.program.name)),
        )

    def stop_all(self) -> None:
        """Stop every program, the last started first."""
        with self._lock:
            names = list(self._managed)
        for name in reversed(names):
            self.stop(name)


def _how(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"


def _rss(pid: int) -> float:
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family) / 2**20
    except psutil.Error:
        return 0.0


def tail(log: Path, lines: int = LAST_LINES) -> list[str]:
    """The last lines of a log; none where there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 64 * 1024))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []
