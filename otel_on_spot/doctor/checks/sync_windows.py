"""Deny sync windows as suspensions: when each began and ends.

A suspension is a deny window whose schedule names one minute of one day (``30 9 23 11 *``) and whose duration ends it.
Its description may name an earlier end: ``until=2026-11-23T10:00:00Z``. A window that comes back every day or week is
somebody's maintenance window and no suspension.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final
from zoneinfo import ZoneInfo

from otel_on_spot.doctor.facts_kubernetes import Application, SyncWindow

UNTIL: Final = re.compile(r"\buntil=(?P<end>\S+)")
UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0}


@dataclass(frozen=True, kw_only=True)
class Suspension:
    """A suspension with an end. ``ends_at`` is the window's; ``until`` what its holder promised."""

    window: SyncWindow
    began_at: datetime
    ends_at: datetime
    until: datetime

    def active(self, now: datetime) -> bool:
        """True while Argo CD holds automatic syncs back because of it."""
        return self.began_at <= now < self.ends_at


def suspension_of(window: SyncWindow, now: datetime) -> Suspension | None:
    """The window's latest or nearest occurrence as a suspension; None where it is no deny window of one day."""
    fields = window.schedule.split()
    if window.kind != "deny" or len(fields) != 5 or not all(field.isdigit() for field in fields[:4]):
        return None
    minute, hour, day, month = map(int, fields[:4])
    zone = ZoneInfo(window.zone or "UTC")
    local = now.astimezone(zone)
    occurrences = []
    for year in (local.year - 1, local.year, local.year + 1):
        try:
            occurrences.append(datetime(year, month, day, hour, minute, tzinfo=zone).astimezone(UTC))
        except ValueError:  # the 29th of February, or no date at all
            continue
    if not occurrences:
        return None
    began = min(occurrences, key=lambda occurrence: abs(occurrence - now))
    ends = began + duration(window.duration)
    promised = UNTIL.search(window.description)
    return Suspension(
        window=window, began_at=began, ends_at=ends, until=_moment(promised["end"], ends) if promised else ends
    )


def _moment(text: str, otherwise: datetime) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return otherwise
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def duration(text: str) -> timedelta:
    """A Go duration of hours, minutes and seconds."""
    parts = re.findall(r"([0-9.]+)([hms])(?![a-z])", text)
    return timedelta(seconds=sum(float(number) * UNITS[unit] for number, unit in parts))


def covers(window: SyncWindow, application: Application) -> bool:
    """True where the window is about the Application: by a name pattern, or by anything else that it names."""
    return not window.applications or any(fnmatchcase(application.name, pattern) for pattern in window.applications)
