"""The page's tables of time and memory: growing stacks, and many environments in one backend."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

Row = Mapping[str, Any]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Markdown, numbers to the right."""
    return [
        f"| {' | '.join(header)} |",
        f"|---|{'---:|' * (len(header) - 1)}",
        *(f"| {' | '.join(r)} |" for r in rows),
        "",
    ]


HEADER: Final = (
    "resources", "preview: s", "CPU s", "MiB", "up: s", "CPU s", "MiB", "of it engine", "program",
)  # fmt: skip


def growth(rows: Sequence[Row]) -> list[str]:
    """Preview and up by what grows."""
    lines = []
    for what, size in dict.fromkeys((row["what"], row["size"]) for row in rows):
        runs = [row for row in rows if (row["what"], row["size"]) == (what, size)]
        lines.append([f"{what}: {size}", *_times(runs)])
    return [
        "## Growth",
        "",
        f"dev with more and more of something, on a cloud that takes no time; medians. {_memory()} {_load(rows)}",
        "Applications are values of the root Application: no resources.",
        "",
        *table(("", *HEADER), lines),
    ]


def environments(rows: Sequence[Row]) -> list[str]:
    """Preview and up of the first, the middle and the last environment, and the median of all."""
    chosen = sorted({1, (len(rows) + 1) // 2, len(rows)})
    lines = [
        [f"number {row['environment']}", *_times([row]), f"{row['list']['seconds']:.1f}"]
        for row in rows
        if row["environment"] in chosen
    ]
    lines.append(["median of all", *_times(rows), f"{statistics.median(row['list']['seconds'] for row in rows):.1f}"])
    return [
        f"## {len(rows)} environments in one backend",
        "",
        f"One after another, each on a cloud of its own, all in one file backend. {_memory()} {_load(rows)}",
        "",
        *table(("environment", *HEADER, "`stack ls`: s"), lines),
    ]


def _times(runs: Sequence[Row]) -> list[str]:
    def median(part: str, key: str) -> float:
        return statistics.median(run[part][key] for run in runs)

    told = [f"{runs[0]['resources']}"]
    for part in ("preview", "up"):
        told += [
            f"{median(part, 'seconds'):.1f}",
            f"{median(part, 'cpu_seconds'):.1f}",
            f"{median(part, 'all_mib'):.0f}",
        ]
    return [*told, f"{median('up', 'engine_mib'):.0f}", f"{median('up', 'program_mib'):.0f}"]


def _memory() -> str:
    return (
        "MiB: the greatest resident sum of all processes of the command, shared pages counted for each; the cloud "
        "stands outside."
    )


def _load(rows: Sequence[Row]) -> str:
    loads = [row["load"] for row in rows]
    return (
        f"The machine had other work too (load average {min(loads):.0f} to {max(loads):.0f}): read CPU seconds rather "
        "than seconds."
    )
