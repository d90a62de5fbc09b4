"""Life of a lab, from outside: check, build, start the daemon, send it commands, end it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import psutil

from otel_on_spot import project
from otel_on_spot.lab import addresses, control, isolation, stack, toolchain
from otel_on_spot.lab.control import Log, UpOptions
from otel_on_spot.lab.folder import Folder, LabError, default_state_home
from otel_on_spot.lab.supervisor import tail
from otel_on_spot.processes import signal_group
from otel_on_spot.waiting import wait_until

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 60.0
PASSED_ON: Final = ("ARGOCD", "DEMO_CHART", "XDG_CACHE_HOME", "HOME", "PATH")


def up(name: str, options: UpOptions, *, log: Log = print, state_home: Path | None = None) -> dict[str, Any]:
    """Bring the stack of this name up on this machine, or bring a running lab to what the tree declares now.

    Args:
        name: of the stack, and of the lab.
        options: how.
        log: gets each line of progress.
        state_home: where labs keep their state; None takes the user's.

    Raises:
        LabError: the machine lacks something, or the bring-up failed; nothing is left running then.
        ToolchainError: a tool cannot be built.
    """
    known = stack.read(project.root(), name)
    folder = Folder(name, state_home).make()
    problems = toolchain.check(folder.path)
    if problems:
        raise LabError(toolchain.message(problems))
    toolchain.ensure()
    started = not folder.is_running()
    if started:
        start(folder, known.region, state_home)
    given = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
    try:
        return control.ask(folder, "up", log=log, stack=name, environment=given, options=asdict(options))
    except BaseException:
        if started:
            down(name, state_home=state_home)
        raise


def start(folder: Folder, region: str, state_home: Path | None = None) -> None:
    """Start a daemon that waits for commands.

    Raises:
        LabError: it does not start.
    """
    folder.forget()
    folder.hosts.write_text(addresses.hosts(region))
    home = state_home or default_state_home()
    command = [sys.executable, "-m", "otel_on_spot.lab.daemon", "--name", folder.name, "--state-home", str(home)]
    log = folder.logs / "daemon.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            isolation.isolated(folder, command),
            cwd=project.root(),
            env=os.environ | {"PYTHONPATH": project.python_path()},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    wait_until(lambda: process.poll() is not None or _answers(folder), START_SECONDS, every=0.05)
    if _answers(folder):
        folder.write_state(pid=_first(process.pid), launcher=process.pid)
        threading.Thread(target=process.wait, daemon=True).start()  # it outlives this call; its end is collected
        return
    signal_group(process, signal.SIGKILL)
    last = "\n".join(f"  {line}" for line in tail(log))
    raise LabError(f"the lab's first process did not start within {START_SECONDS:.0f} s:\n{last}\nIts log: {log}")


def _answers(folder: Folder) -> bool:
    with suppress(LabError):
        control.ask(folder, "processes")
        return True
    return False


def _first(launcher: int) -> int:
    """The first process of the namespaces, as numbered outside."""
    children = psutil.Process(launcher).children()
    return children[0].pid if children else launcher


def down(name: str, *, state_home: Path | None = None) -> str:
    """End a lab, whatever state it is in, and return a line that says what was found."""
    folder = Folder(name, state_home)
    state = folder.read_state()
    if not folder.is_running():
        _end(state)
        folder.forget()
        why = state.get("why", "")
        if why:
            folder.write_state(why="")
        return f"lab {name!r} had ended: {why}" if why else f"no lab {name!r} was running"
    with suppress(LabError):
        control.ask(folder, "stop")
    stopped = wait_until(lambda: not folder.is_running(), STOP_SECONDS, every=0.1)
    _end(state)
    folder.forget()
    return (
        f"lab {name!r} is down" if stopped else f"lab {name!r} was killed: it did not stop within {STOP_SECONDS:.0f} s"
    )


def _end(state: dict[str, Any]) -> None:
    """End the launcher, and with it all namespaces, where it is still there."""
    for key in ("pid", "launcher"):
        with suppress(psutil.Error, KeyError):
            process = psutil.Process(state[key])
            words = " ".join(process.cmdline())
            if "otel_on_spot.lab.daemon" in words:
                process.kill()
                process.wait(10)


def inside(name: str, command: Sequence[str]) -> int:
    """Run a command in the lab's namespaces, with its cluster and AWS in the environment: its exit code."""
    folder = Folder(name)
    line = isolation.inside(folder, list(command))
    return subprocess.run(
        line, env=isolation.environment(stack.read(project.root(), name), folder, toolchain.ensure())
    ).returncode
