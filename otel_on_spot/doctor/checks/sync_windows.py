"""Sync windows: which hold an Application back now, until when; and deny windows as suspensions.

A suspension is a deny window whose schedule names one minute of one day (``30 9 23 11 *``) and whose duration ends it.
Its description may name an earlier end: ``until=2026-11-23T10:00:00Z``. A window that comes back every day or week is
somebody's maintenance window and no suspension.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import durationpy

from infra.schedules import Schedule, ScheduleError, parse_schedule
from otel_on_spot.doctor.facts_kubernetes import Application, SyncWindow

UNTIL: Final = re.compile(r"\buntil=(?P<end>\S+)")
LOOKAHEAD: Final = timedelta(days=31)
"""Windows that let nothing through for so long are taken for windows that never do."""
_schedule = cache(parse_schedule)
ITS_ZONE: Final = re.compile(r"^(?:CRON_)?TZ=(\S+)\s+")
"""A time zone before the fields, which Argo CD's parser reads, in a window as in its ``timeZone``.

Source: https://github.com/robfig/cron/blob/v3.0.1/parser.go (Parse)
"""
CHANGES: Final = 2000
"""Ends and beginnings that are looked at within ``LOOKAHEAD``: one every 20 minutes."""


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
    zone = zone_of(window)
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
    """A Go duration; nothing is none."""
    return durationpy.from_str(text) if text else timedelta()


def zone_of(window: SyncWindow) -> ZoneInfo:
    """Time zone of a window: of its schedule, or else its own; UTC where Argo CD does not know it."""
    its = ITS_ZONE.match(window.schedule)
    try:
        return ZoneInfo(its[1] if its else window.zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def covers(window: SyncWindow, application: Application) -> bool:
    """True where the window is about the Application: any of its lists names it, or all of them with andOperator.

    Source: https://argo-cd.readthedocs.io/en/stable/user-guide/sync_windows/
    """
    destination = (application.destination_name, application.destination_server)
    named = [
        any(fnmatchcase(value, pattern) for value in values if value for pattern in patterns)
        for patterns, values in (
            (window.applications, (application.name,)),
            (window.namespaces, (application.destination_namespace,)),
            (window.clusters, destination),
        )
        if patterns
    ]
    return bool(named) and (all(named) if window.all_must_match else any(named))


def _times(window: SyncWindow) -> Schedule:
    """Times of a window's schedule, in its zone.

    Raises:
        ScheduleError: Argo CD's parser refuses it.
    """
    fields = ITS_ZONE.sub("", window.schedule)
    if fields.startswith("@"):
        raise ScheduleError("a window has no descriptor for a schedule")
    its = ITS_ZONE.match(window.schedule)
    if its and str(zone_of(window)) != its[1]:
        raise ScheduleError(f"{its[1]} is no time zone")
    return _schedule(fields)


def unreadable(window: SyncWindow) -> str:
    """Reason why Argo CD cannot read the window, which then holds back whatever it covers; empty where it can."""
    try:
        _times(window)
    except ScheduleError as problem:
        return str(problem)
    if not re.fullmatch(r"([0-9]+(\.[0-9]*)?(h|m|s|ms|us|ns))+", window.duration):
        return f"{window.duration or 'nothing'} is no Go duration such as 1h30m"
    return "" if window.kind in ("allow", "deny") else f"its kind is {window.kind or 'nothing'}, not allow or deny"


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Sync windows that hold an Application back now.

    ``windows``: the deny windows that are open, or else all allow windows, none of which is; ``manual``: a sync by hand
    is let through; ``until``: when an automatic sync is, None where that is not within ``LOOKAHEAD``.
    """

    windows: tuple[SyncWindow, ...]
    manual: bool
    until: datetime | None

    def told(self) -> str:
        """What holds, in words: ``deny window 0 2 * * * for 1h, until 2026-11-23 03:00 UTC``."""
        shown = ", ".join(f"{window.kind} window {window.schedule} for {window.duration}" for window in self.windows)
        end = f"until {self.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if self.until else "and nothing ends that"
        return f"{shown}, {end}"


def hold(windows: Iterable[SyncWindow], application: Application, now: datetime) -> Hold | None:
    """What holds the Application's automatic sync back; None where nothing does.

    A deny window that is open counts most; then an allow window that is; and where there are allow windows, none of
    them open, nothing is allowed. A sync by hand passes where every window that holds says so (manualSync).
    Source: SyncWindows.CanSync in
    https://github.com/argoproj/argo-cd/blob/v3.5.3/pkg/apis/application/v1alpha1/types.go
    """
    covering = [window for window in windows if covers(window, application)]
    by = _holding(covering, now)
    if not by:
        return None
    manual = all(window.manual_sync and not unreadable(window) for window in by)
    return Hold(windows=tuple(by), manual=manual, until=_opens_at(tuple(covering), now))


def _holding(covering: Sequence[SyncWindow], now: datetime) -> list[SyncWindow]:
    denying = [window for window in covering if unreadable(window) or (window.kind == "deny" and is_open(window, now))]
    allowing = [window for window in covering if window.kind == "allow"]
    if denying or any(is_open(window, now) for window in allowing):
        return denying
    return allowing


def is_open(window: SyncWindow, now: datetime) -> bool:
    """True while a readable window is open."""
    began = _times(window).latest(now.astimezone(zone_of(window)))
    return began is not None and now < began + duration(window.duration)


@lru_cache(maxsize=64)
def _opens_at(covering: tuple[SyncWindow, ...], now: datetime) -> datetime | None:
    """Moment at which nothing holds any more: at an end of a deny window or a beginning of an allow window.

    Most Applications have the same windows over them.
    """
    if any(map(unreadable, covering)):
        return None
    at = now
    for _ in range(CHANGES):
        if at - now > LOOKAHEAD:
            return None
        if not _holding(covering, at):
            return at
        changes = [change for window in covering if (change := _next_change(window, at))]
        if not changes:
            return None
        at = min(changes)
    return None


def _next_change(window: SyncWindow, at: datetime) -> datetime | None:
    """Moment at which a deny window that is open ends, or an allow window begins."""
    local = at.astimezone(zone_of(window))
    if window.kind == "allow":
        return _times(window).upcoming(local)
    began = _times(window).latest(local)
    end = began + duration(window.duration) if began else None
    return end if end and end > at else None
