"""Drills in a lab: run as a user does, with the report that they write."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import captures
from tests.lab.running import Lab


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """What a drill said: its report (None where it did not begin), all that it printed, and its exit code."""

    report: dict[str, Any] | None
    told: str
    code: int

    @property
    def lines(self) -> dict[str, str]:
        """Status by line."""
        assert "verdicts" in (self.report or {}), f"the drill ended without a verdict:\n{self.told}"
        return {verdict["id"]: verdict["status"] for verdict in (self.report or {})["verdicts"]}

    @property
    def moments(self) -> dict[str, float]:
        """Seconds since the drill's start, by what happened."""
        return {moment["what"]: moment["seconds"] for moment in (self.report or {})["moments"]}

    def said(self, line: str) -> str:
        """What a line found."""
        found = [verdict for verdict in (self.report or {})["verdicts"] if verdict["id"] == line]
        return " | ".join(f"{finding['subject']}: {finding['seen']}" for each in found for finding in each["findings"])

    def looked_at(self, line: str) -> str:
        """What a line says that it looked at."""
        return next(verdict["what"] for verdict in (self.report or {})["verdicts"] if verdict["id"] == line)


def rehearse(lab: Lab, folder: Path, name: str, *options: str, keep: str = "", seconds: float = 420) -> Rehearsed:
    """Run ``drill name`` in the lab's namespaces; its exit code must be what its report says.

    Args:
        keep: name under which what was printed is kept in the folder that ``CAPTURES`` names, where it names one.
        seconds: how long it may take: longer than any wait of its own, or it is killed before it has a verdict.
    """
    out = folder / f"{name}.json"
    out.unlink(missing_ok=True)
    told, code = lab.otel_on_spot("--verbose", "drill", name, "--json", str(out), *options, seconds=seconds)
    report = json.loads(out.read_text()) if out.exists() else None
    assert report is None or code == report["exit_code"], told[-3000:]
    if keep:
        captures.write(f"drill-{keep}", told)
    return Rehearsed(report=report, told=told, code=code)
