"""Faults of the cloud, and when they strike."""

import fnmatch
import json
import os
import threading
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

ENVIRONMENT_VARIABLE = "SIMCLOUD_FAULTS"

Effect = Literal["refuse", "throttle", "hang", "lag"]


class Fault(BaseModel):
    """One thing that goes wrong.

    ``type`` and ``name`` are glob patterns of the resource type's token and the resource's logical name. The fault
    strikes the ``nth`` matching operation (counted from 1; 0 means every one).
    ``refuse``: the operation fails with ``code`` and ``message``, before or after the cloud did its part.
    ``throttle``: the cloud answers ThrottlingException ``times`` times; the provider retries, as the real one does.
    ``lag``: for ``times`` looks the cloud does not see what was just made (eventual consistency); the provider retries.
    ``hang``: nothing happens until the operation's timeout, or until it is cancelled.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    effect: Effect
    type: str = "*"
    name: str = "*"
    operation: Literal["create", "read", "update", "delete", "*"] = "*"
    nth: int = Field(1, ge=0)
    stage: Literal["before", "after"] = "before"
    code: str = "InternalFailure"
    message: str = "refused by the fault plan"
    times: int = Field(3, ge=1)

    def matches(self, token: str, name: str, operation: str) -> bool:
        """Decide if this fault is about such an operation, its count aside."""
        return (
            fnmatch.fnmatchcase(token, self.type)
            and fnmatch.fnmatchcase(name, self.name)
            and self.operation in ("*", operation)
        )


class FaultPlan:
    """Faults, and how often each was met. Threads may share one."""

    def __init__(self, faults: list[Fault] | None = None) -> None:
        self.faults = list(faults or [])
        self._met = [0] * len(self.faults)
        self._lock = threading.Lock()

    def strikes(self, token: str, name: str, operation: str) -> list[Fault]:
        """The faults that strike this operation, which is counted."""
        struck = []
        with self._lock:
            for index, fault in enumerate(self.faults):
                if not fault.matches(token, name, operation):
                    continue
                self._met[index] += 1
                if fault.nth in (0, self._met[index]):
                    struck.append(fault)
        return struck

    @classmethod
    def load(cls, file: Path | None) -> "FaultPlan":
        """The plan in a JSON file (a list of faults); without one, that of SIMCLOUD_FAULTS, or none.

        Raises:
            ValueError: the plan is no list of faults; the text says where and why.
        """
        source = str(file) if file else ENVIRONMENT_VARIABLE
        text = file.read_text() if file else os.environ.get(ENVIRONMENT_VARIABLE, "[]")
        try:
            return cls(TypeAdapter(list[Fault]).validate_python(json.loads(text)))
        except (ValidationError, json.JSONDecodeError) as problem:
            raise ValueError(
                f"fault plan {source}: must be a JSON list of faults such as "
                f'[{{"effect": "refuse", "type": "aws:sqs/queue:Queue", "operation": "create"}}]; {problem}'
            ) from problem
