"""Schedules and durations as the parsers behind Karpenter's NodePools take them. No Pulumi here.

What a CRD's pattern lets through and the parser does not is worse than a refusal: a budget whose schedule Karpenter
cannot parse allows no disruption at all, for any reason.

Sources: https://github.com/robfig/cron/blob/v3.0.1/parser.go (ParseStandard),
https://github.com/kubernetes-sigs/karpenter/blob/v1.14.1/pkg/apis/v1/nodepool.go (Budget.IsActive) and the patterns of
pkg/apis/crds/karpenter.sh_nodepools.yaml beside it, https://pkg.go.dev/time#ParseDuration
"""

import re
from calendar import monthrange
from dataclasses import dataclass, field
from typing import Final

DESCRIPTORS: Final = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LEAP_YEAR: Final = 2024
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
        """The values that a comma-separated list of ranges stands for."""
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


def check_schedule(text: str) -> None:
    """Check a budget's schedule.

    Raises:
        ScheduleError: Karpenter's parser refuses it, or it never comes, which Karpenter takes for always.
    """
    if re.search(r"[^\x20-\x7e\t]", text) or text != text.strip():
        raise ScheduleError("a schedule has plain characters, and none of white space around it")
    if text.startswith("@"):
        if text not in DESCRIPTORS:
            raise ScheduleError(f"{text} is none of {', '.join(DESCRIPTORS)}")
        return
    if text.startswith(("TZ=", "CRON_TZ=")):
        raise ScheduleError("a schedule is in UTC: Karpenter supports no time zone")
    parts = text.split()
    if len(parts) != len(FIELDS):
        raise ScheduleError(
            f"a schedule has {len(FIELDS)} fields (minute, hour, day, month, weekday), not {len(parts)}"
        )
    _, _, days, months, _ = (kind.values(part) for kind, part in zip(FIELDS, parts, strict=True))
    # A day of the month alone counts where the weekday is a star, and either is enough otherwise.
    weekday_is_any = any(re.fullmatch(r"[*?](/\+?0*1)?", part) for part in parts[4].split(","))
    if weekday_is_any and all(min(days) > monthrange(LEAP_YEAR, month)[1] for month in months):
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
