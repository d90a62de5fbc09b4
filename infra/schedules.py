"""Schedules and durations as the parsers behind Karpenter's NodePools take them. No Pulumi here.

What a CRD's pattern lets through and the parser does not is worse than a refusal: a budget whose schedule Karpenter
cannot parse allows no disruption at all, for any reason.

Sources: https://github.com/robfig/cron/blob/v3.0.1/parser.go (ParseStandard),
https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/apis/v1/nodepool.go (Budget.IsActive) and the patterns of
pkg/apis/crds/karpenter.sh_nodepools.yaml beside it, https://pkg.go.dev/time#ParseDuration
"""

import re
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final

DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LEAP_YEAR: Final = 2024
SEARCH_DAYS: Final = 8 * 366
"""The 29th of February is at most eight years away."""
LONGEST_DURATION_NS: Final = 2**63 - 1
"""Go keeps a duration in an int64 of nanoseconds: about 292 years."""
NANOSECONDS: Final = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9}


class ScheduleError(ValueError):
    """Karpenter's parser refuses the text."""


@dataclass(frozen=True)
class _Field:
    name: str
    first: int
    last: int
    names: dict[str, int] = field(default_factory=dict)

    def values(self, text: str) -> set[int]:
        """The values that a comma-separated list of ranges stands for.

        Raises:
            ScheduleError: it stands for none, or a range is not one of this field's.
        """
        found: set[int] = set()
        for expression in text.split(","):
            found |= self._range(expression) if expression else set()
        if not found:
            raise ScheduleError(f"the {self.name} has no value")
        return found

    def _range(self, expression: str) -> set[int]:
        bounds, *steps = expression.split("/")
        low, *highs = bounds.split("-")
        if len(steps) > 1:
            raise ScheduleError(f"the {self.name} has too many slashes: {expression}")
        if low in ("*", "?"):
            start, end = self.first, self.last
        elif len(highs) > 1:
            raise ScheduleError(f"the {self.name} has too many hyphens: {expression}")
        else:
            start = self._number(low)
            end = self._number(highs[0]) if highs else start
        step = 1
        if steps:
            step = _digits(steps[0], self.name)
            end = self.last if not highs else end
        if start < self.first or end > self.last or start > end:
            raise ScheduleError(f"the {self.name} runs from {self.first} to {self.last}, in that order: {expression}")
        if not step:
            raise ScheduleError(f"the {self.name} has a step of nothing: {expression}")
        return set(range(start, end + 1, step))

    def _number(self, text: str) -> int:
        named = self.names.get(text.lower())
        return named if named is not None else _digits(text, self.name)


FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, {name: number for number, name in enumerate(MONTHS, 1)}),
    _Field("day of the week", 0, 6, {name: number for number, name in enumerate(WEEKDAYS)}),
)


def _digits(text: str, name: str) -> int:
    if not re.fullmatch(r"\+?[0-9]{1,18}", text):
        raise ScheduleError(f"the {name} is no number: {text or 'nothing'}")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Times that a schedule stands for. ``any_day`` and ``any_weekday``: the field is a star."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    def comes_on(self, day: date) -> bool:
        """True where it comes on that day: where day and weekday are both named, either is enough."""
        named = (day.day in self.days, day.isoweekday() % 7 in self.weekdays)
        return day.month in self.months and (all if self.any_day or self.any_weekday else any)(named)

    def latest(self, moment: datetime) -> datetime | None:
        """The last time that it came, until and with this moment; None where that is eight years ago."""
        return self._nearest(moment, -1)

    def upcoming(self, moment: datetime) -> datetime | None:
        """The first time that it comes after this moment; None where that is eight years away."""
        return self._nearest(moment, 1)

    def _nearest(self, moment: datetime, step: int) -> datetime | None:
        days = (moment.date() + timedelta(days=step * number) for number in range(SEARCH_DAYS))
        for day in filter(self.comes_on, days):
            times = (
                datetime.combine(day, time(hour, minute), moment.tzinfo)
                for hour in sorted(self.hours, reverse=step < 0)
                for minute in sorted(self.minutes, reverse=step < 0)
            )
            if found := next(
                (candidate for candidate in times if (candidate <= moment if step < 0 else candidate > moment)), None
            ):
                return found
        return None


def parse_schedule(text: str) -> Schedule:
    """The times that a schedule of five fields, or a descriptor, stands for.

    Raises:
        ScheduleError: robfig's parser refuses it.
    """
    if re.search(r"[^\x20-\x7e\t]", text) or text != text.strip():
        raise ScheduleError("a schedule has plain characters, and none of white space around it")
    if text.startswith("@") and text not in DESCRIPTORS:
        raise ScheduleError(f"{text} is none of {', '.join(DESCRIPTORS)}")
    if text.startswith(("TZ=", "CRON_TZ=")):
        raise ScheduleError("a schedule is in UTC: Karpenter supports no time zone")
    parts = DESCRIPTORS.get(text, text).split()
    if len(parts) != len(FIELDS):
        raise ScheduleError(
            f"a schedule has {len(FIELDS)} fields (minute, hour, day, month, weekday), not {len(parts)}"
        )
    values = [frozenset(kind.values(part)) for kind, part in zip(FIELDS, parts, strict=True)]
    minutes, hours, days, months, weekdays = values
    return Schedule(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=weekdays,
        any_day=_is_star(parts[2]),
        any_weekday=_is_star(parts[4]),
    )


def _is_star(text: str) -> bool:
    return any(re.fullmatch(r"[*?](/\+?0*1)?", part) for part in text.split(","))


def check_schedule(text: str) -> None:
    """Check a budget's schedule.

    Raises:
        ScheduleError: Karpenter's parser refuses it, or it never comes, which Karpenter takes for always.
    """
    schedule = parse_schedule(text)
    # A day of the month alone counts where the weekday is a star, and either is enough otherwise.
    if schedule.any_weekday and all(min(schedule.days) > monthrange(LEAP_YEAR, month)[1] for month in schedule.months):
        raise ScheduleError("no month that is named has such a day: Karpenter takes that for a window that never ends")


def nanoseconds(text: str) -> int:
    """Length of a Go duration of hours, minutes and seconds.

    Raises:
        ScheduleError: Go's parser refuses it.
    """
    parts = re.findall(r"([0-9]+)([smh])", text)
    if not parts or "".join(map("".join, parts)) != text:
        raise ScheduleError("a duration is a number and s, m or h, or several of them, such as 1h30m")
    total = sum(int(number) * NANOSECONDS[unit] for number, unit in parts)
    if total > LONGEST_DURATION_NS:
        raise ScheduleError("a duration is shorter than 292 years: Go can hold no longer one")
    return total


def check_window(text: str) -> None:
    """Check the length of a budget's window: hours and minutes, more than nothing.

    Raises:
        ScheduleError: the CRD or Go's parser refuses it, or the window is empty.
    """
    if not re.fullmatch(r"(([0-9]+(h|m))|([0-9]+h[0-9]+m))(0s)?", text):
        raise ScheduleError("a budget's duration is in hours and minutes, such as 11h or 1h30m")
    if not nanoseconds(text):
        raise ScheduleError("a budget's duration is longer than nothing: its window would never be open")
