"""Runs the tasks of all groups at once; a task may wait for another's facts. A failed task costs its own group only."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

from otel_on_spot.failures import reason

Progress = Callable[[int, int, str], None]
"""Called with (groups done, groups in all, name of the group that was just done)."""


@dataclass
class Gathered:
    """Facts by group so far. ``wait`` is for tasks that build on other facts."""

    futures: dict[str, Future[Any]] = field(default_factory=dict)

    def wait(self, group: str) -> Any:
        """The facts of another group when they are there; None when they could not be seen."""
        future = self.futures.get(group)
        return None if future is None or future.exception() else future.result()


Task = Callable[[Gathered], Any]


def gather(tasks: Mapping[str, Task], progress: Progress) -> tuple[dict[str, Any], dict[str, str]]:
    """Run every task: facts by group, and why not by group.

    Every task has a thread of its own, so that one that waits for another never keeps it from starting.
    """
    gathered = Gathered()
    facts: dict[str, Any] = {}
    unknown: dict[str, str] = {}
    known = threading.Event()

    def begin(task: Task) -> Any:
        known.wait()  # until all are known: a task may look another one's future up
        return task(gathered)

    with ThreadPoolExecutor(max(1, len(tasks)), thread_name_prefix="facts") as pool:
        gathered.futures |= {group: pool.submit(begin, task) for group, task in tasks.items()}
        known.set()
        names = {future: group for group, future in gathered.futures.items()}
        for done, future in enumerate(as_completed(names), start=1):
            problem = future.exception()
            if problem is None:
                facts[names[future]] = future.result()
            elif isinstance(problem, Exception):
                unknown[names[future]] = reason(problem)
            else:
                raise problem
            progress(done, len(tasks), names[future])
    return facts, unknown
