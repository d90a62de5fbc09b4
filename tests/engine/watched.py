"""Operations of a cloud that a test looks into: what was made, what is under way, and what to do at a step."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from typing_extensions import override

from otel_on_spot.simcloud.api_errors import UnfinishedError
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.operations import Operations, Subject

Result = TypeVar("Result")
Step = tuple[str, str]
"""(operation, ``Type:name``)."""


class Watched(Operations):
    """Takes the place of a cloud's operations.

    ``before`` and ``after`` are called at a step: after means that the cloud has done it and nobody was told yet.
    ``made`` holds the id of everything that was created, by URN: what a person finds by looking into the account;
    ``live`` what of it is still there, and ``twice`` the URNs of which a second one was made beside the first.
    """

    def __init__(self, cloud: Cloud) -> None:
        old = cloud.operations
        super().__init__(old.log, old.clock, old.faults)
        self.before: dict[Step, Callable[[], object]] = {}
        self.after: dict[Step, Callable[[], object]] = {}
        self.made: dict[str, str] = {}
        self.live: dict[str, str] = {}
        self.twice: list[str] = []
        self._under_way = 0
        self._count = threading.Lock()
        cloud.operations = self

    @override
    def run(
        self,
        subject: Subject,
        operation: str,
        act: Callable[[Callable[[float], None]], Result],
        *,
        timeout: float,
        cancelled: threading.Event,
    ) -> Result:
        step = (operation, f"{subject.token.rpartition(':')[2]}:{subject.name}")
        with self._count:
            self._under_way += 1
        try:
            self.before.get(step, lambda: None)()
            try:
                result = super().run(subject, operation, act, timeout=timeout, cancelled=cancelled)
            except UnfinishedError as unfinished:
                if operation == "create":
                    self._made(subject.urn, unfinished.identity)
                raise
            if operation == "create" and isinstance(result, tuple):
                self._made(subject.urn, str(result[0]))
            elif operation == "delete":
                self.live.pop(subject.urn, None)
            self.after.get(step, lambda: None)()
            return result
        finally:
            with self._count:
                self._under_way -= 1

    def _made(self, urn: str, identity: str) -> None:
        if urn in self.live:
            self.twice.append(urn)
        self.made[urn] = self.live[urn] = identity

    def settle(self, timeout: float = 60) -> None:
        """Wait until the cloud is at rest."""
        end = time.monotonic() + timeout
        quiet = 0
        while quiet < 10:
            assert time.monotonic() < end, "the cloud does not come to rest"
            quiet = 0 if self._under_way else quiet + 1
            time.sleep(0.05)
