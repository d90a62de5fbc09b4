"""Every operation on the cloud: its faults, its time, and its line in the log."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from otel_on_spot.simcloud.api_errors import ApiError, TimedOutError, UnfinishedError
from otel_on_spot.simcloud.clock import Clock
from otel_on_spot.simcloud.faults import Fault, FaultPlan

Result = TypeVar("Result")

RETRIES = 25
"""Repetitions of a throttled request by the AWS provider (``maxRetries``).

Source: https://www.pulumi.com/registry/packages/aws/api-docs/provider/
"""
CONSISTENCY_RETRIES = 40
"""Looks within the two minutes that the AWS provider waits for IAM to be consistent, three seconds apart.

Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/iam/consts.go
"""


@dataclass(frozen=True)
class Subject:
    """Subject of an operation. ``urn`` is empty where there is no engine."""

    token: str
    name: str
    urn: str = ""


@dataclass
class Operation:
    """One line of the log. ``start`` and ``end`` are virtual seconds; ``result`` is ``ok`` or the refusal."""

    operation: str
    token: str
    name: str
    urn: str
    start: float
    end: float = 0.0
    result: str = "running"
    cloud_seconds: float = 0.0
    wall: float = field(default_factory=time.time)


class Operations:
    """Runs operations and keeps their log. ``listeners`` are called with each operation when it is over."""

    def __init__(self, log: Path, clock: Clock, faults: FaultPlan) -> None:
        self.clock = clock
        self.faults = faults
        self.log = log
        self.listeners: list[Callable[[Operation], None]] = []
        self._lock = threading.Lock()

    def run(
        self,
        subject: Subject,
        operation: str,
        act: Callable[[Callable[[float], None]], Result],
        *,
        timeout: float,
        cancelled: threading.Event,
    ) -> Result:
        """Do one operation: faults that strike before, the act itself, faults that strike after, and the log.

        Args:
            subject: the resource.
            operation: create, read, update or delete.
            act: gets a function that lets cloud seconds pass.
            timeout: cloud seconds that a hanging operation lasts.
            cancelled: set when the engine no longer waits.

        Raises:
            ApiError: the cloud, or the fault plan, refused.
            UnfinishedError: a creation was refused after the cloud made the resource.
        """
        line = Operation(operation, subject.token, subject.name, subject.urn, self.clock.now())

        def spend(seconds: float) -> None:
            line.cloud_seconds += seconds
            self.clock.sleep(seconds, cancelled)

        struck = self.faults.strikes(subject.token, subject.name, operation)

        def strike(stage: str) -> None:
            for fault in struck:
                if fault.stage == stage:
                    self._strike(fault, line, spend, timeout, cancelled)

        try:
            strike("before")
            result = act(spend)
            try:
                strike("after")
            except ApiError as refusal:
                # The resource was made, and the caller must know it.
                if operation == "create" and isinstance(result, tuple):
                    raise UnfinishedError(result[0], result[1], refusal) from refusal
                raise
            line.result = "ok"
            return result
        except Exception as problem:
            line.result = str(problem) or type(problem).__name__
            raise
        finally:
            line.end = self.clock.now()
            self._write(line)

    def _strike(
        self,
        fault: Fault,
        line: Operation,
        spend: Callable[[float], None],
        timeout: float,
        cancelled: threading.Event,
    ) -> None:
        if fault.effect == "refuse":
            raise ApiError(fault.code, fault.message)
        if fault.effect == "hang":
            what = f"{line.operation} of {line.name}"
            self.clock.until(lambda: False, timeout, f"{what} hangs", cancelled)
            raise TimedOutError(what)
        if fault.effect == "throttle":
            code, rule, allowed, pauses = "ThrottlingException", "Rate exceeded", RETRIES, [1, 2, 4, 8, 16, 20]
        else:
            code, rule, allowed, pauses = "NoSuchEntity", "not visible yet", CONSISTENCY_RETRIES, [3]
        for attempt in range(fault.times):
            if attempt >= allowed:
                raise ApiError(code, f"{rule}; gave up after {allowed} retries")
            spend(pauses[min(attempt, len(pauses) - 1)])

    def _write(self, line: Operation) -> None:
        with self._lock:
            with self.log.open("a") as log:
                log.write(json.dumps(asdict(line)) + "\n")
            for listener in self.listeners:
                listener(line)

    def read(self) -> list[Operation]:
        """Every operation so far, in the order in which they ended, of earlier processes too."""
        if not self.log.exists():
            return []
        return [Operation(**json.loads(line)) for line in self.log.read_text().splitlines()]
