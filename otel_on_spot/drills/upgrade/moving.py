"""One change of version, made in a thread of its own and followed until it is over."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from otel_on_spot.drills.drill import Drill
from otel_on_spot.drills.upgrade.verdicts import Move
from otel_on_spot.errors import ToolError

EVERY_SECONDS: Final = 0.25
"""A release is applied within a second or two."""
Mover = Callable[[str], None]
"""Brings the product to a version, CRDs first, and returns once it is ready.

Raises:
    ToolError: it could not.
"""


@dataclass(frozen=True, kw_only=True)
class Product:
    """What is moved.

    Attributes:
        name: for people.
        marker: the object that says its version, for people.
        version: that this object says now; empty where it is gone.
        generations: of its CRDs, by name.
        mover: brings it to a version.
    """

    name: str
    marker: str
    version: Callable[[], str]
    generations: Callable[[], Mapping[str, int]]
    mover: Mover

    def move(
        self,
        drill: Drill,
        before: str,
        after: str,
        timeout: float,
        *,
        look: Callable[[], object],
        came: Callable[[], object] = lambda: None,
    ) -> Move:
        """Move it, and follow that until the mover has ended.

        Args:
            drill: under way.
            before: version that is left.
            after: version that is asked for.
            timeout: seconds for it.
            look: called at each look.
            came: called once the new version is declared, which its controller restarts for.

        Raises:
            LeaseHeldError: somebody took the drill's lease over.
            ApiException: the server refused.
        """
        timeline, generations = drill.timeline, self.generations()
        began = timeline.add("moving", f"{self.name} {before} to {after}").seconds
        at: dict[str, float] = {}
        failures: list[str] = []

        def make() -> None:
            try:
                self.mover(after)
            except ToolError as problem:
                failures.append(str(problem))

        def note(what: str, detail: str) -> None:
            at[what] = timeline.add(what, detail).seconds - began

        moving = threading.Thread(target=make, name="mover")

        def is_done() -> bool:
            ended = not moving.is_alive()
            changed = [name for name, now in self.generations().items() if generations.get(name) != now]
            if changed and "crds" not in at:
                note("crds", ", ".join(sorted(changed)))
            if "controller" not in at and self.version() == after:
                note("controller", f"{self.marker} is {after}: it restarts")
                came()
            look()
            return ended

        moving.start()
        try:
            drill.wait_until(is_done, timeout, EVERY_SECONDS)
        finally:
            moving.join()
        note("done", failures[0] if failures else f"{self.name} {after} is ready")
        return Move(before=before, after=after, at=at, version=self.version(), error=failures[0] if failures else "")
