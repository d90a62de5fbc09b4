"""Findings of checks and drills, and counts and durations as text."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Severity = Literal["critical", "warning"]
"""critical: pods cannot run, data may be lost, or money runs away. warning: it will be, when the next thing happens."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong. ``subject`` is its name; ``remedy`` are commands, in the order in which to run them."""

    subject: str
    seen: str
    rule: str
    remedy: tuple[str, ...]
    severity: Severity = "critical"


def format_count(count: int, singular: str, plural: str = "") -> str:
    """``1 node``, ``3 nodes``."""
    return f"{count} {singular if count == 1 else plural or singular + 's'}"


def format_duration(duration: timedelta) -> str:
    """A duration in the largest units that say enough: ``45 s``, ``12 min``, ``3 h 20 min``, ``4 d 6 h``."""
    seconds = int(duration.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 120:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
