"""The lab's first process.

It is ``python -m otel_on_spot.lab.daemon``, run in namespaces of its own. When it ends, everything in them does.
It starts nothing by itself: it waits for commands on the control socket.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_on_spot.lab.control import Log, Server, UpOptions
from otel_on_spot.lab.folder import Folder, LabError
from otel_on_spot.lab.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_on_spot.lab.platform import Platform

APPLICATIONS: Final = frozenset({"platform", "cluster-base", "otel-demo"})
"""Applications of a whole platform."""


def main() -> None:
    """Be the first process: start the daemon, reap orphans, pass SIGTERM on, end with the daemon."""
    child = os.fork()
    if child == 0:
        _serve()
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGTERM))
    while True:
        ended, status = os.wait()
        if ended == child:
            os._exit(os.waitstatus_to_exitcode(status) % 256)


def _serve() -> None:
    parser = argparse.ArgumentParser(prog="python -m otel_on_spot.lab.daemon")
    parser.add_argument("--name", required=True)
    parser.add_argument("--state-home", type=Path, required=True)
    options = parser.parse_args()
    folder = Folder(options.name, options.state_home).make()
    try:
        lock = folder.acquire()
    except LabError as problem:
        sys.exit(str(problem))
    daemon = Daemon(folder)
    signal.signal(signal.SIGTERM, lambda *_: daemon.ending.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = Server(folder, daemon.commands())
    folder.write_state(state="waiting", since=time.time(), why="")
    daemon.ending.wait()
    daemon.close()
    server.close()
    folder.write_state(state="ended", why=daemon.why)
    folder.control.unlink(missing_ok=True)
    lock.release()


class Daemon:
    """The commands of a lab. ``ending`` ends it; ``why`` says why it ended."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.ending = threading.Event()
        self.why = ""
        self.platform: Platform | None = None
        self.supervisor = Supervisor(folder.logs, self._ended)

    def _ended(self, name: str, why: str) -> None:
        """End the lab: a process that it needs has ended."""
        if not self.ending.is_set():
            self.why = f"{name} {why}. Its log: {self.supervisor.log(name)}"
            self.folder.write_state(state="broken", why=self.why)
            self.ending.set()

    def commands(self) -> dict[str, Callable[..., Any]]:
        """The commands by name. Each takes ``log``, which shows a line to the caller."""
        silent = {
            "publish": self.publish,
            "next": self.next,
            "urns": self.urns,
            "event": self.event,
            "capacity": self.capacity,
            "processes": self.processes,
            "status": self.status,
            "kill": self.kill,
            "restart": self.restart,
        }
        return {
            "up": self.up,
            "apply": self.apply,
            "move": self.move,
            "destroy": self.destroy,
            "stop": self.stop,
            **{name: _without_log(command) for name, command in silent.items()},
        }

    def up(self, log: Log, *, stack: str, environment: dict[str, str], options: dict[str, Any]) -> dict[str, Any]:
        """Bring the platform up, or bring a running one to what the working tree declares now.

        Args:
            log: takes a line of progress.
            stack: name of the stack.
            environment: variables that the lab takes over.
            options: those of ``UpOptions``; all but the timeout are set for as long as the platform runs.
        """
        os.environ.update(environment)
        started, told = time.monotonic(), UpOptions(**options)
        if self.platform is None:
            self.platform = self._platform(log, stack, told)
            self.platform.start()
            threading.Thread(target=self._watch_moto, args=(self.platform,), daemon=True).start()
            log(f"the control plane and the simulated AWS are there after {time.monotonic() - started:.0f} s")
        else:
            self.platform.log = log
            self.platform.publish()
        self.folder.write_state(state="applying", stack=stack)
        log(f"applying stack {stack}")
        counts = self.platform.apply()
        log(f"applied after {time.monotonic() - started:.0f} s: {_counted(counts)}")
        from otel_on_spot.lab.readiness import wait_ready

        status = wait_ready(self.platform.api, APPLICATIONS, told.timeout_seconds, log, self.ending)
        seconds = time.monotonic() - started
        self.folder.write_state(state="not ready" if status.waits_for else "up", seconds=seconds)
        return {"seconds": seconds, "operations": counts, **asdict(status)}

    def _platform(self, log: Log, stack: str, options: UpOptions) -> Platform:
        from otel_on_spot import project
        from otel_on_spot.lab import stack as stacks
        from otel_on_spot.lab.platform import Platform
        from otel_on_spot.lab.toolchain import ensure

        known = stacks.read(project.root(), stack)
        return Platform(known, self.folder, ensure(), self.supervisor, options=options, log=log)

    def _watch_moto(self, platform: Platform) -> None:
        self._ended("moto", f"ended with exit code {platform.cloud.moto.wait()}")

    def apply(self, log: Log, *, overrides: dict[str, Any] | None = None) -> dict[str, int]:
        """Bring the cloud to what the program declares now: operations by kind."""
        log("applying")
        return self._running_platform().apply(overrides)

    def move(self, log: Log, *, section: str, changes: dict[str, str]) -> dict[str, int]:
        """Apply the program with other values in a section of the stack file, none brings it back: operations by kind.

        Raises:
            ApiError: the lab does not have the version that they name.
        """
        log(f"moving {section} to {', '.join(changes.values()) or 'what the stack file says'}")
        return self._running_platform().apply_changed(section, **changes)

    def next(self, *, what: str) -> tuple[str, str]:
        """(version, value of the stack file) that ``drill upgrade`` moves ``karpenter`` or ``argocd`` to.

        Raises:
            ApiError: it is not built.
        """
        from otel_on_spot.lab.releases import argocd, karpenter

        return {"argocd": argocd.following, "karpenter": karpenter.following}[what](self._running_platform().tools)

    def destroy(self, log: Log) -> list[list[str]]:
        """Delete what the program declared: what is left in the simulated AWS."""
        from otel_on_spot.simcloud.inventory import inventory

        platform = self._running_platform()
        log("deleting, dependents first")
        platform.destroy()
        return [list(entry) for entry in inventory(platform.cloud, platform.stack.region)]

    def publish(self) -> str:
        """Serve the working tree's present commit: its revision."""
        return self._running_platform().publish().revision

    def urns(self) -> list[str]:
        """URNs of what is applied."""
        return self._running_platform().urns()

    def event(self, *, event: dict[str, Any]) -> list[dict[str, str]]:
        """Put an event on the simulated bus: what became of it at each target."""
        from otel_on_spot.lab.aws.events import put_event

        return [asdict(delivery) for delivery in put_event(self._running_platform(), event)]

    def capacity(self, *, shortages: list[dict[str, str]]) -> None:
        """Set what the simulated EC2 is short of."""
        self._running_platform().set_shortages(shortages)

    def processes(self) -> list[dict[str, Any]]:
        """Every process."""
        return [asdict(row) for row in self.supervisor.rows()]

    def status(self) -> dict[str, Any]:
        """The state of the lab, its processes, and what is in the cluster."""
        from otel_on_spot.lab.readiness import inspect

        status = {**self.folder.read_state(), "processes": self.processes()}
        if self.platform is not None and self.platform.recording is not None:
            status["cluster"] = asdict(inspect(self.platform.api, APPLICATIONS))
        return status

    def kill(self, *, name: str) -> None:
        """Let a process crash."""
        self._require(name)
        self.supervisor.kill(name)

    def restart(self, *, name: str) -> None:
        """Stop a process and start it again."""
        self._require(name)
        self.supervisor.restart(name)

    def stop(self, log: Log) -> None:
        """End the lab. The answer comes before the end."""
        log("stopping")
        threading.Timer(0.1, self.ending.set).start()

    def _require(self, name: str) -> None:
        names = [row.name for row in self.supervisor.rows()]
        if name not in names:
            raise LabError(f"process {name!r}: the lab runs {', '.join(names) or 'none'}. Give one of them")

    def _running_platform(self) -> Platform:
        if self.platform is None:
            raise LabError("the platform is not up yet. Bring it up: make lab")
        return self.platform

    def close(self) -> None:
        """Stop everything, the last started first."""
        if self.platform is not None:
            self.platform.close()
        self.supervisor.stop_all()


def _without_log(command: Callable[..., Any]) -> Callable[..., Any]:
    return lambda log, **arguments: command(**arguments)  # noqa: ARG005 (these commands have nothing to report)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {operation}" for operation, count in sorted(counts.items())) or "nothing to do"


if __name__ == "__main__":
    main()
