"""The lab's first process: ``python -m otel_on_spot.lab.world``, run in namespaces of its own. When it ends, everything in them does.

It starts nothing by itself: it waits to be asked over the control socket.
"""

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

PATIENCE_SECONDS: Final = 600.0


def main() -> None:
    """Be the first process: start the world, reap what is orphaned, pass SIGTERM on, end with it."""
    child = os.fork()
    if child == 0:
        _world()
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGTERM))
    while True:
        ended, status = os.wait()
        if ended == child:
            os._exit(os.waitstatus_to_exitcode(status) % 256)


def _world() -> None:
    from otel_on_spot.lab.control import Server
    from otel_on_spot.lab.folder import Folder, LabError

    parser = argparse.ArgumentParser(prog="python -m otel_on_spot.lab.world")
    parser.add_argument("--name", required=True)
    parser.add_argument("--state-home", type=Path, required=True)
    given = parser.parse_args()
    folder = Folder(given.name, given.state_home).make()
    try:
        owned = folder.own()
    except LabError as problem:
        sys.exit(str(problem))
    world = World(folder)
    signal.signal(signal.SIGTERM, lambda *_: world.ending.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = Server(folder, world.verbs())
    folder.tell(state="waiting", since=time.time(), why="")
    world.ending.wait()
    world.close()
    server.close()
    folder.tell(state="ended", why=world.why)
    folder.control.unlink(missing_ok=True)
    owned.release()


class World:
    """What can be asked of a lab. ``ending`` ends it; ``why`` says why it did."""

    def __init__(self, folder: Any) -> None:
        from otel_on_spot.lab.supervisor import Supervisor

        self.folder = folder
        self.ending = threading.Event()
        self.why = ""
        self.platform: Any = None
        self.settled: Any = None
        self.supervisor = Supervisor(folder.logs, self._ended)

    def _ended(self, name: str, why: str) -> None:
        """A process that the lab cannot go on without has ended."""
        if not self.ending.is_set():
            self.why = f"{name} {why}. Its log: {self.supervisor.log(name)}"
            self.folder.tell(state="broken", why=self.why)
            self.ending.set()

    def verbs(self) -> dict[str, Any]:
        """The verbs by name."""
        return {
            "up": self.up,
            "apply": self.apply,
            "destroy": self.destroy,
            "publish": self.publish,
            "urns": self.urns,
            "event": self.event,
            "capacity": self.capacity,
            "processes": self.processes,
            "status": self.status,
            "kill": self.kill,
            "restart": self.restart,
            "stop": self.stop,
        }

    def up(
        self,
        tell: Any,
        *,
        stack: str,
        dirty: bool,
        revision: str,
        boot_seconds: float,
        timeout_seconds: float,
        environment: dict[str, str],
        engine: bool = False,
    ) -> dict[str, Any]:
        """Bring the platform up, or bring a running one to what the working tree declares now."""
        from otel_on_spot import project
        from otel_on_spot.lab import stack as stacks
        from otel_on_spot.lab.platform import Platform
        from otel_on_spot.lab.toolchain import ensure

        os.environ.update(environment)
        started = time.monotonic()
        first = self.platform is None
        if first:
            self.platform = Platform(
                stacks.read(project.root(), stack),
                self.folder,
                ensure(),
                self.supervisor,
                boot_seconds=boot_seconds,
                dirty=dirty,
                revision=revision,
                tell=tell,
                engine=engine,
            )
            self.platform.start()
            threading.Thread(target=self._watch_moto, daemon=True).start()
            tell(f"the control plane and the simulated AWS are there after {time.monotonic() - started:.0f} s")
        else:
            self.platform.tell = tell
            self.platform.publish()
        self.folder.tell(state="applying", stack=stack)
        tell(f"applying stack {stack}")
        counts = self.platform.apply()
        tell(f"applied after {time.monotonic() - started:.0f} s: {_told(counts)}")
        seen = self._until_settled(tell, timeout_seconds)
        self.folder.tell(state="up" if not seen.waits_for else "not settled", seconds=time.monotonic() - started)
        return {"seconds": time.monotonic() - started, "operations": counts, **seen.as_json()}

    def _until_settled(self, tell: Any, seconds: float) -> Any:
        from otel_on_spot.lab.settled import until_settled

        expected = {"platform", "cluster-base", "otel-demo"}
        return until_settled(self.platform.api, expected, seconds, tell, lambda: not self.ending.is_set())

    def _watch_moto(self) -> None:
        process = self.platform.cloud.moto._process
        process.wait()
        self._ended("moto", f"ended with exit code {process.returncode}")

    def apply(self, tell: Any, *, overrides: dict[str, Any] | None = None) -> dict[str, int]:
        """Bring the cloud to what the program declares now: operations by kind."""
        tell("applying")
        return self._up().apply(overrides)

    def destroy(self, tell: Any) -> list[list[str]]:
        """Delete what the program declared: what is left in the simulated AWS."""
        from otel_on_spot.simcloud.inventory import inventory

        platform = self._up()
        tell("deleting, dependents first")
        platform.destroy()
        return [list(one) for one in inventory(platform.cloud, platform.stack.region)]

    def publish(self, tell: Any) -> str:  # noqa: ARG002 (as every verb)
        """Serve the working tree's present commit: its revision."""
        return self._up().publish().revision

    def urns(self, tell: Any) -> list[str]:  # noqa: ARG002 (as every verb)
        """URNs of what is applied."""
        return self._up().urns()

    def event(self, tell: Any, *, event: dict[str, Any]) -> list[dict[str, str]]:  # noqa: ARG002 (as every verb)
        """Put an event on the simulated bus: what became of it at each target."""
        from dataclasses import asdict

        from otel_on_spot.lab.aws.bus import put_event

        return [asdict(one) for one in put_event(self._up(), event)]

    def capacity(self, tell: Any, *, shortages: list[dict[str, str]]) -> None:  # noqa: ARG002 (as every verb)
        """Say what the simulated EC2 is short of."""
        self._up().set_shortages(shortages)

    def processes(self, tell: Any) -> list[dict[str, Any]]:  # noqa: ARG002 (as every verb)
        """Every process."""
        from dataclasses import asdict

        return [asdict(row) for row in self.supervisor.rows()]

    def status(self, tell: Any) -> dict[str, Any]:
        """What the lab says of itself, its processes, and what is in the cluster."""
        from otel_on_spot.lab.settled import look

        found = {**self.folder.told(), "processes": self.processes(tell)}
        if self.platform is not None and self.platform.recording is not None:
            found["cluster"] = look(self.platform.api, set()).as_json()
        return found

    def kill(self, tell: Any, *, name: str) -> None:  # noqa: ARG002 (as every verb)
        """Let a process crash."""
        self._known(name)
        self.supervisor.kill(name)

    def restart(self, tell: Any, *, name: str) -> None:  # noqa: ARG002 (as every verb)
        """Stop a process and start it again."""
        self._known(name)
        self.supervisor.restart(name)

    def stop(self, tell: Any, *, why: str = "") -> None:
        """End the lab. The answer comes before the end."""
        tell("stopping")
        self.why = why
        threading.Timer(0.1, self.ending.set).start()

    def _known(self, name: str) -> None:
        from otel_on_spot.lab.folder import LabError

        names = [row.name for row in self.supervisor.rows()]
        if name not in names:
            raise LabError(f"process {name!r}: the lab runs {', '.join(names) or 'none'}. Give one of them")

    def _up(self) -> Any:
        from otel_on_spot.lab.folder import LabError

        if self.platform is None:
            raise LabError("the platform is not up yet: make lab")
        return self.platform

    def close(self) -> None:
        """Stop everything, the last started first."""
        if self.platform is not None:
            self.platform.close()
        self.supervisor.stop_all()


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {operation}" for operation, count in sorted(counts.items())) or "nothing to do"


if __name__ == "__main__":
    main()
