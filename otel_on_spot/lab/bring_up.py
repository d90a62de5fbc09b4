"""What the commands do from outside the lab: check, build, start the world, ask it, end it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil

from otel_on_spot import project
from otel_on_spot.lab import control, isolation, places, stack, toolchain
from otel_on_spot.lab.folder import Folder, LabError, of_user
from otel_on_spot.lab.supervisor import tail

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 60.0
PASSED_ON: Final = ("ARGOCD", "DEMO_CHART", "XDG_CACHE_HOME", "HOME", "PATH")


def up(
    name: str,
    *,
    dirty: bool = False,
    revision: str = "HEAD",
    boot_seconds: float = 5.0,
    timeout_seconds: float = 900.0,
    engine: bool = False,
    tell: Callable[[str], None] = print,
    state_home: Path | None = None,
) -> dict[str, Any]:
    """Bring the stack of this name up on this machine, or bring a running lab to what the tree declares now.

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
    started = not folder.owned()
    if started:
        start(folder, known.region, state_home)
    given = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
    try:
        return control.ask(
            folder,
            "up",
            tell=tell,
            stack=name,
            dirty=dirty,
            revision=revision,
            boot_seconds=boot_seconds,
            timeout_seconds=timeout_seconds,
            environment=given,
            engine=engine,
        )
    except BaseException:
        if started:
            down(name, state_home=state_home)
        raise


def start(folder: Folder, region: str, state_home: Path | None = None) -> None:
    """Start a world that waits to be asked.

    Raises:
        LabError: it does not start.
    """
    folder.forget()
    folder.hosts.write_text(places.hosts(region))
    home = state_home or of_user(os.environ)
    command = [sys.executable, "-m", "otel_on_spot.lab.world", "--name", folder.name, "--state-home", str(home)]
    log = folder.logs / "world.log"
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
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with suppress(LabError):
            control.ask(folder, "processes")
            folder.tell(pid=_first(process.pid), launcher=process.pid)
            threading.Thread(target=process.wait, daemon=True).start()  # it outlives this call; its end is collected
            return
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    last = "\n".join(f"  {line}" for line in tail(log))
    raise LabError(f"the lab's first process did not start within {START_SECONDS:.0f} s:\n{last}\nIts log: {log}")


def _first(launcher: int) -> int:
    """The first process of the namespaces, as numbered outside."""
    children = psutil.Process(launcher).children()
    return children[0].pid if children else launcher


def down(name: str, *, state_home: Path | None = None) -> str:
    """End a lab, whatever state it is in: a line that says what was found."""
    folder = Folder(name, state_home)
    told = folder.told() if folder.path.exists() else {}
    if not folder.owned():
        _end(told)
        folder.forget()
        why = told.get("why", "")
        if why:
            folder.tell(why="")
        return f"lab {name!r} had ended: {why}" if why else f"no lab {name!r} was running"
    with suppress(LabError):
        control.ask(folder, "stop")
    end = time.monotonic() + STOP_SECONDS
    while folder.owned() and time.monotonic() < end:
        time.sleep(0.1)
    forced = folder.owned()
    _end(told)
    folder.forget()
    return (
        f"lab {name!r} was killed: it did not stop within {STOP_SECONDS:.0f} s" if forced else f"lab {name!r} is down"
    )


def _end(told: dict[str, Any]) -> None:
    """End the launcher, and with it all namespaces, where it is still there."""
    for key in ("pid", "launcher"):
        with suppress(psutil.Error, KeyError):
            process = psutil.Process(told[key])
            words = " ".join(process.cmdline())
            if "otel_on_spot.lab.world" in words:
                process.kill()
                process.wait(10)


def inside(name: str, command: Sequence[str], *, state_home: Path | None = None) -> int:
    """Run a command in the lab's namespaces, with its cluster and its AWS in the environment: the exit code."""
    from otel_on_spot.lab.environment import environment

    folder = Folder(name, state_home)
    line = isolation.inside(folder, list(command))
    return subprocess.run(
        line, env=environment(stack.read(project.root(), name), folder, toolchain.ensure())
    ).returncode
