"""Runs that were measured, kept in a file: a bench that was stopped goes on with those that are missing."""

import json
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a measure. ``load``: of the machine, over a minute, when it ended; ``karpenter``: which version."""

    measure: str
    numbers: dict[str, Any]
    load: float
    at: str
    karpenter: str


class Kept:
    """The runs in a file, one a line, in their order.

    ``karpenter``: the version that is measured: runs of another one are none of these.
    """

    def __init__(self, file: Path, karpenter: str) -> None:
        self.file = file
        self.karpenter = karpenter

    def runs(self, measure: str) -> list[Run]:
        """Those of a measure."""
        lines = map(json.loads, self.file.read_text().splitlines() if self.file.is_file() else [])
        ours = (line for line in lines if line["measure"] == measure and line.get("karpenter") == self.karpenter)
        return [Run(**line) for line in ours]

    def add(self, measure: str, numbers: dict[str, Any]) -> None:
        """Keep one more."""
        run = Run(
            measure=measure,
            numbers=numbers,
            load=os.getloadavg()[0],
            at=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
            karpenter=self.karpenter,
        )
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a") as out:
            out.write(json.dumps(asdict(run)) + "\n")

    def forget(self, names: Collection[str]) -> None:
        """Leave some measures' runs out from now on."""
        lines = self.file.read_text().splitlines() if self.file.is_file() else []
        kept = [line for line in lines if json.loads(line)["measure"] not in names]
        if lines:
            self.file.write_text("".join(f"{line}\n" for line in kept))
