"""The page of the lab's measurements: a row for each thing measured, of those that were measured anew the new one."""

import os
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from bench.lab.kept import Run

HEAD: Final = "| what | measured | aim | |"


class Row(NamedTuple):
    """A line of the table. ``aim``: what it should be, where somebody said so."""

    what: str
    measured: str
    how: str
    aim: str = ""


def spread(seconds: Sequence[float]) -> str:
    """Median, and the least and the most; of one run what it took."""
    if len(seconds) == 1:
        return f"{seconds[0]:.1f} s (n=1)"
    return f"{statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f}, n={len(seconds)})"


def median(runs: Iterable[Run], key: str) -> float:
    """Median of a number over the runs."""
    return statistics.median(float(run.numbers[key]) for run in runs)


def numbers(runs: Iterable[Run], key: str) -> list[float]:
    """A number of each run."""
    return [float(run.numbers[key]) for run in runs]


def each(runs: Iterable[Run], key: str, form: str = "{:.0f}") -> str:
    """A number run by run, in words."""
    return " ".join(form.format(run.numbers[key]) for run in runs)


def conditions(runs: Sequence[Run], boot_seconds: float) -> str:
    """Version of Karpenter, boot, load and day of some runs."""
    loads, last = [run.load for run in runs], runs[-1]
    load = f"load {min(loads):.0f} to {max(loads):.0f}"
    return f"Karpenter {last.karpenter}; boot {boot_seconds:g} s; {load}; {last.at[:10]}"


Told = Callable[[Sequence[Run]], list[Row]]


def bytecode() -> str:
    """Handling of the SDKs' compiled modules by Python, which every command of the lab loads: it is in the times."""
    if sys.dont_write_bytecode:
        return (
            "PYTHONDONTWRITEBYTECODE is set: a command compiles every module of which no bytecode was kept before, "
            "which is in its time."
        )
    return (
        "Python keeps its bytecode, as it does unless PYTHONDONTWRITEBYTECODE is set; "
        "with that, each command takes seconds more."
    )


def _introduction() -> str:
    """What is said above the table when the page is written for the first time."""
    lines = (
        "# The lab, measured",
        "",
        f"By `make bench-lab` on a machine with {os.cpu_count()} cores; medians of n runs. Where a row does not say "
        "otherwise, instances boot for 2 s, and the machine had nothing else to do.",
        bytecode(),
        "Simulated AWS, real controllers: compare ratios, and versions with each other; "
        "on AWS an instance takes most of a minute to boot.",
    )
    return "\n".join(lines)


def page(rows: Sequence[Row], before: str) -> str:
    """The page, with what was measured before and not now.

    ``before``: the page as it was; empty where there is none.
    """
    listed = [
        Row(what=cells[0], measured=cells[1], aim=cells[2], how=cells[3])
        for line in before.partition(HEAD)[2].partition("\n\n")[0].splitlines()
        if (cells := [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]) and not set(cells[0]) <= {"-"}
    ]
    table = {row.what: row for row in (*listed, *rows)}
    after = before.partition(HEAD)[2].partition("\n\n")[2].rstrip()
    lines = [
        before.partition(HEAD)[0].rstrip() or _introduction(),
        "",
        HEAD,
        "|---|---|---|---|",
        *(f"| {row.what} | {row.measured} | {row.aim} | {row.how} |" for row in table.values()),
        "",
        *([after, ""] if after else []),
    ]
    return "\n".join(lines)
