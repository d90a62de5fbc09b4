"""The real engine on the simulated cloud: one stack in a folder of its own, and what the tests ask of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from infra.settings.loader import SECRETS
from otel_on_spot.simcloud.inventory import inventory
from otel_on_spot.simcloud.operations import Operation
from otel_on_spot.simcloud.session import Session
from otel_on_spot.workspace import Workspace
from tests.engine.watched import Watched

ROOT = Path(__file__).parents[2]
PROJECT = "otel-on-spot"
REGION = "eu-west-1"
TIMEOUT = 180
"""Real seconds after which a command of the engine has hung."""


class Workbench:
    """A stack of a copy of the program, its backend and its cloud, all below one folder."""

    def __init__(self, folder: Path, stack: str, session: Session) -> None:
        self.folder = folder
        self.stack = stack
        self.session = session
        self.cloud = session.cloud
        self.watched = Watched(session.cloud)
        self._warm: subprocess.Popen[str] | None = None
        self._port = 0
        self.outputs: list[str] = []
        self.first_preview: list[dict[str, Any]] = []
        workspace = Workspace(folder)
        self.program = workspace.program
        shutil.copy(ROOT / f"Pulumi.{stack}.yaml", self.program)
        self.environment = workspace.environment(session.environment)
        self.run("stack", "init", stack, "--non-interactive", stack_flag=False)

    def start(self, *arguments: str, stack_flag: bool = True) -> subprocess.Popen[str]:
        """A command of the CLI, under way in a process group of its own."""
        where = ["--stack", self.stack] if stack_flag else []
        if arguments[0] in ("preview", "up", "refresh"):
            where += ["--client", f"127.0.0.1:{self._warm_program()}"]
        return subprocess.Popen(
            ["pulumi", *arguments, *where],
            cwd=self.program,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def warm_up(self) -> None:
        """Begin to import the program, so that the next command does not wait for it."""
        if self._warm is None:
            self._warm = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("warm_program.py"))],
                cwd=self.program,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            self._port = 0

    def _warm_program(self) -> int:
        self.warm_up()
        if not self._port:
            assert self._warm is not None
            assert self._warm.stdout is not None
            self._port = int(self._warm.stdout.readline())
        return self._port

    def cool(self) -> None:
        """End the program's process."""
        if self._warm is not None:
            assert self._warm.stdin is not None
            self._warm.stdin.close()
            end_group(self._warm)
            self._warm = None

    def attempt(self, *arguments: str, stack_flag: bool = True) -> tuple[int, str, str]:
        """(exit code, standard output, standard error) of a command of the CLI, and nothing of it left running."""
        process = self.start(*arguments, stack_flag=stack_flag)
        try:
            out, err = process.communicate(timeout=TIMEOUT)
        finally:
            end_group(process)
        self.outputs += [out, err]
        return process.returncode, out, err

    def run(self, *arguments: str, stack_flag: bool = True) -> str:
        """Standard output of a command that must succeed."""
        code, out, err = self.attempt(*arguments, stack_flag=stack_flag)
        assert code == 0, f"pulumi {' '.join(arguments)}: exit code {code}\n{out[-3000:]}\n{err[-3000:]}"
        return out

    def attempt_with(self, changes: Mapping[str, Any], command: str) -> tuple[int, str]:
        """(exit code, all that it told) of a command on a stack file with these values; nothing is asked."""
        yes = ["--yes", "--skip-preview"] if command == "up" else []
        with self.settings(changes) as file:
            code, out, err = self.attempt(command, "--non-interactive", "--config-file", str(file), *yes)
        return code, out + err

    def up(self, *arguments: str) -> str:
        """Update without asking."""
        return self.run("up", "--yes", "--skip-preview", "--non-interactive", *arguments)

    def destroy(self) -> str:
        """Destroy without asking."""
        return self.run("destroy", "--yes", "--skip-preview", "--non-interactive")

    def steps(self, *arguments: str) -> list[dict[str, Any]]:
        """Steps of a preview: ``op``, ``urn``, ``newState`` and so on."""
        return json.loads(self.run("preview", "--json", *arguments))["steps"]

    def changed(self, *arguments: str) -> dict[str, str]:
        """Logical name (type and name) -> operation, of each step of a preview that is not ``same``."""
        return {short(step["urn"]): step["op"] for step in self.steps(*arguments) if step["op"] != "same"}

    def expect_no_changes(self) -> None:
        """A preview finds nothing to do."""
        self.run("preview", "--expect-no-changes", "--non-interactive")

    def state(self) -> dict[str, Any]:
        """The deployment as the engine exports it."""
        return json.loads(self.run("stack", "export"))["deployment"]

    def left(self) -> list[tuple[str, str]]:
        """What is in the cloud."""
        return inventory(self.cloud, REGION)

    def operations(self, since: int = 0) -> list[Operation]:
        """Writes on the cloud in the order in which they ended, from a line of the log on."""
        return [operation for operation in self.cloud.operations.read()[since:] if operation.operation != "read"]

    def mark(self) -> int:
        """The length of the operations log."""
        return len(self.cloud.operations.read())

    def saved_whole(self) -> bool:
        """Whether the state in the backend is not just being written."""
        with suppress(FileNotFoundError, json.JSONDecodeError):
            return bool(json.loads(self.checkpoint.read_text()))
        return False

    @property
    def checkpoint(self) -> Path:
        """The file of the state in the backend."""
        return self.folder / f"backend/.pulumi/stacks/{PROJECT}/{self.stack}.json"

    def saved(self) -> dict[str, Any]:
        """The deployment as it lies in the backend: what the engine exports, without the second that it takes."""
        return json.loads(self.checkpoint.read_text())["checkpoint"].get("latest") or {}

    def urns(self) -> set[str]:
        """URNs in the state, without the providers that the engine makes by itself."""
        return {resource["urn"] for resource in self.state()["resources"] if not own_provider(resource["urn"])}

    @contextmanager
    def settings(self, changes: Mapping[str, Any]) -> Generator[Path]:
        """A copy of the stack file with values by dotted path, for ``--config-file``; credentials are encrypted."""
        file = self.folder / f"changed-{time.monotonic_ns()}.yaml"
        content = yaml.safe_load((self.program / f"Pulumi.{self.stack}.yaml").read_text())
        for path, value in changes.items():
            first, *rest = path.split(".")
            place, key = content["config"], f"{PROJECT}:{first}"
            for part in rest:
                place, key = place.setdefault(key, {}), part
            place[key] = value
        secret = {key: content["config"].pop(f"{PROJECT}:{key}") for key in changes if key in SECRETS}
        file.write_text(yaml.safe_dump(content))
        try:
            for key, value in secret.items():
                into = ("--secret", "--config-file", str(file), "--stack", self.stack)
                self.run("config", "set", *into, "--", key, value, stack_flag=False)
            yield file
        finally:
            file.unlink()


def end_group(process: subprocess.Popen[str]) -> None:
    """Kill what a command left running, the engine's plugins included: each has a group of its own in its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError):
            if os.getsid(int(folder.name)) == process.pid:
                os.kill(int(folder.name), signal.SIGKILL)
    if process.poll() is None:
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


@contextmanager
def workbench(folder: Path, stack: str, *, stand_in: bool | None = None) -> Generator[Workbench]:
    """A new stack on a new cloud; stopped afterwards.

    Args:
        stand_in: as of ``Session``: None takes the pulumi-eks component's own provider where it is on PATH.
    """
    with Session(folder / "cloud", stand_in=stand_in, patience=30, forgetful=True) as session:
        bench = Workbench(folder, stack, session)
        try:
            yield bench
        finally:
            bench.cool()


def short(urn: str) -> str:
    """``Type:name`` of a URN."""
    kind, _, name = urn.rpartition("::")
    return f"{kind.rpartition(':')[2]}:{name}"


def own_provider(urn: str) -> bool:
    """Whether the engine made this resource by itself: a default provider."""
    return "::pulumi:providers:" in urn and urn.rpartition("::")[2].startswith("default")


def position(lines: Iterable[Operation], operation: str, what: str) -> int:
    """Where in the log an operation on ``Type:name`` ended.

    Raises:
        AssertionError: it is not there.
    """
    for index, line in enumerate(lines):
        if line.operation == operation and f"{line.token.rpartition(':')[2]}:{line.name}" == what:
            return index
    raise AssertionError(f"no {operation} of {what} in the log")
