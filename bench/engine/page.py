"""The page of the measurements, from the rows of ``bench.engine.measures``. Ratios are computed here."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from bench.engine.measures import UNLIMITED

CHAIN_AIM: Final = 1.05
SERIAL_AIM: Final = 0.15
PENALTY_TOLD: Final = 1.01
"""From this on, what the default parallelism costs is told."""
COMMAND: Final = "make bench-engine"
HEADER: Final = (
    "resources", "preview: s", "CPU s", "MiB", "up: s", "CPU s", "MiB", "of it engine", "program",
)  # fmt: skip
Row = Mapping[str, Any]
Kept = Mapping[str, Sequence[Row]]


def page(kept: Kept, *, cores: int) -> str:
    """The whole page; a part that was not measured is left out."""
    parts = [
        "# `pulumi up`, measured",
        "",
        f"By `{COMMAND}`: the real engine on the simulated cloud, on a machine with {cores} cores. The cloud takes as "
        "long as AWS does",
        "(540 s for a control plane, 115 s for a node group; what no public measurement gives is an estimate), on a "
        "clock that may run faster:",
        "*scale* is real seconds for a second of AWS. Start and end of each step come from the cloud's own log of "
        "operations.",
        "Seconds are AWS's, unless called real. What the machine itself takes does not shrink with the clock, so a "
        "small scale makes it weigh more",
        "than it would on AWS: scale 1 is what to read. Parts can be measured one by one (`python -m bench.engine "
        "--only growth`); the page is of all kept.",
        "",
    ]
    if kept.get("makespan"):
        parts += _makespan(kept["makespan"])
    for first in _headlines(kept.get("makespan", ()))[:1]:
        parts += [*_steps(first), *_serial(first)]
    if kept.get("parallel"):
        parts += _parallel(kept["parallel"], _headlines(kept.get("makespan", ())), cores)
    if kept.get("growth"):
        parts += _growth(kept["growth"])
    if kept.get("environments"):
        parts += _environments(kept["environments"])
    return "\n".join(parts).rstrip() + "\n"


def ratio(row: Row) -> float:
    """Makespan over the longest necessary chain; 1 cannot be beaten."""
    return row["makespan"] / row["necessary"]["seconds"]


def saved(row: Row, *, wait: bool = True) -> float:
    """Part of the serial layout's makespan that ``up`` does without."""
    return 1 - row["makespan"] / (row["serial"][-1]["end"] if wait else row["serial_without_wait"])


def overhead(row: Row) -> float:
    """Real seconds of the makespan that are not the cloud's: the engine, the program, the simulation."""
    return (row["makespan"] - row["necessary"]["seconds"]) * row["scale"]


def _headlines(rows: Sequence[Row]) -> list[Row]:
    """The run that stands for each stack: with the CLI's default parallelism, at the slowest clock, the median one."""
    found = []
    for stack in dict.fromkeys(row["stack"] for row in rows if row["parallel"] is None):
        of_stack = [row for row in rows if row["stack"] == stack and row["parallel"] is None]
        slowest = max(row["scale"] for row in of_stack)
        found.append(_median([row for row in of_stack if row["scale"] == slowest]))
    return found


def _median(runs: Sequence[Row]) -> Row:
    """The run with the median makespan; of an even number, the slower one of the middle."""
    return sorted(runs, key=lambda row: row["makespan"])[len(runs) // 2]


def _makespan(rows: Sequence[Row]) -> list[str]:
    lines = []
    for key in dict.fromkeys((row["stack"], row["scale"], row["parallel"]) for row in rows):
        runs = [row for row in rows if (row["stack"], row["scale"], row["parallel"]) == key]
        run = _median(runs)
        spans = sorted(row["makespan"] for row in runs)
        lines.append(
            [
                key[0],
                f"{key[1]:g}",
                "default" if key[2] is None else str(key[2]),
                f"{len(run['steps'])}",
                f"{run['sum']:.0f}",
                f"{run['necessary']['seconds']:.0f}",
                f"{run['declared']['seconds']:.0f}",
                " to ".join(f"{span:.0f}" for span in (spans[0], *spans[1:][-1:])),
                f"{ratio(run):.3f}",
                f"{run['command_real']:.0f}",
                f"{run['serial'][-1]['end']:.0f}",
                f"{saved(run):.1%}",
            ]
        )
    header = (
        "stack", "scale", "`--parallel`", "steps", "their sum", "necessary chain", "declared chain",
        "makespan", "÷ necessary", "whole command, real s", "serial layout", "below it",
    )  # fmt: skip
    return [
        "## Makespan",
        "",
        "![What ran when in `up`, by component, with the longest necessary chain](pictures/up.svg)",
        "",
        *table(header, lines),
        f"Aims: at most {CHAIN_AIM} times the longest necessary chain, and at least {SERIAL_AIM:.0%} below the serial "
        "layout.",
        "",
        *(_aims(row) for row in _headlines(rows)),
        *(_other(row) for row in rows if not any(row is headline for headline in _headlines(rows))),
        "",
        "*Necessary* are edges that carry a value, lead to a provider, or that AWS or Kubernetes has too "
        "(`bench/engine/edges.py` names each rule).",
        "*Declared* are all edges of the program, those for the order of the teardown and those of the pulumi-eks "
        "component included: what it",
        "declares without need costs the difference. The layout is computed, so it pays neither for the machine nor "
        "for a limit of operations.",
        "",
    ]


def _aims(row: Row) -> str:
    chain, layout = ratio(row) <= CHAIN_AIM, saved(row) >= SERIAL_AIM
    computed = 1 - row["declared"]["seconds"] / row["serial"][-1]["end"]
    return (
        f"- {row['stack']}: **{ratio(row):.3f}, {'met' if chain else 'not met'}**; **{saved(row):.1%} below, "
        f"{'met' if layout else 'not met'}** "
        f"(computed against computed {computed:.1%}; without the layout's 30 s wait {saved(row, wait=False):.1%} "
        f"below {row['serial_without_wait']:.0f} s). "
        f"{overhead(row):.0f} s are not the chain's: {_late(row)}."
    )


def _other(row: Row) -> str:
    how = "the default parallelism" if row["parallel"] is None else f"`--parallel {row['parallel']}`"
    beyond = row["makespan"] - row["necessary"]["seconds"]
    return (
        f"- {row['stack']} at scale {row['scale']:g} with {how}: {ratio(row):.3f}. {beyond:.0f} s "
        f"({overhead(row):.0f} real) are not the chain's: {_late(row)}."
    )


def _late(row: Row) -> str:
    """The longest gap before a step of the chain, what ran in its middle, and what the machine added to the steps."""
    by_urn = {step["urn"]: step for step in row["steps"]}
    steps = [by_urn[urn] for urn in row["necessary"]["steps"]]
    gaps = [(later["start"] - earlier["end"], earlier["end"], later["name"]) for earlier, later in pairwise(steps)]
    if not gaps:
        return "the chain is one step"
    gap, since, name = max(gaps)
    middle = since + gap / 2
    running = Counter(step["kind"] for step in row["steps"] if step["start"] <= middle < step["end"])
    told = ", ".join(f"{number} {kind}" for kind, number in running.most_common()) or "nothing"
    inside = sum(step["end"] - step["start"] - step["seconds"] for step in steps if step["kind"] != "Release")
    return (
        f"{gap:.0f} of them before `{name}` begins, where half-way {running.total()} steps ran ({told}); "
        f"{inside:.0f} of them the simulation's own work inside the chain's steps"
    )


def _steps(row: Row) -> list[str]:
    by_urn = {step["urn"]: step for step in row["steps"]}
    reasons = ["", *(f"{what} ({kind})" if kind != "declared" else what for kind, what in row["why"])]
    lines, end = [], 0.0
    for urn, why in zip(row["necessary"]["steps"], reasons, strict=True):
        step = by_urn[urn]
        end += step["seconds"]
        lines.append(
            [f"{step['kind']} `{step['name']}`", f"{step['seconds']:.0f}", f"{end:.0f}", f"{step['end']:.0f}", why]
        )
    header = ("step", "takes", "could end at", "ended at", "waits for the one before because of")
    return [f"### The longest necessary chain of {row['stack']}", "", *table(header, lines)]


def _serial(row: Row) -> list[str]:
    lines = [
        [module["module"], f"{module['start']:.0f}", f"{module['end']:.0f}", f"{module['end'] - module['start']:.0f}"]
        for module in row["serial"]
    ]
    return [
        "### The serial layout",
        "",
        "The same steps with the same times, computed: each module starts when all of the one before is done, 30 s "
        "are waited before the node group, inside a",
        "module everything runs beside everything that its necessary edges allow, and a need in a later module is "
        "dropped. The queue and the roles stand with the",
        "cluster, where they cost nothing. The engine's own seconds are not added here, though they are in `up`'s "
        "makespan.",
        "",
        *table(("module", "starts at", "ends at", "takes"), lines),
    ]


def _parallel(rows: Sequence[Row], headlines: Sequence[Row], cores: int) -> list[str]:
    default = 4 * cores
    places = sorted({int(parallel) for row in headlines for parallel, _ in row["computed"]})
    computed = [
        [
            f"{parallel} (default)" if parallel == default else str(parallel),
            *(_share(dict(row["computed"])[parallel], row) for row in headlines),
        ]
        for parallel in places
    ]
    lines = []
    for row in rows:
        name = (
            f"{default} (default)"
            if row["parallel"] is None
            else "unlimited"
            if row["parallel"] == UNLIMITED
            else str(row["parallel"])
        )
        ended = f"fails: {row['failed']}" if row["failed"] else "succeeds"
        lines.append([name, f"{row['makespan']:.0f}", f"{row['at_once']}", ended])
    return [
        "## The default parallelism",
        "",
        f"The CLI's default is four operations per core (`pulumi up --help` tells it: {default} here). Computed "
        "makespan, and what it is above that of the most places:",
        "the declared edges, what is ready first goes first, and a release that waits for a node takes a place "
        "meanwhile.",
        "",
        *table(("`--parallel`", *(row["stack"] for row in headlines)), computed),
        *_advice(headlines, default),
        f"Measured, dev, one run each at scale {rows[0]['scale']:g}, where ten seconds of the machine count as "
        f"{10 / rows[0]['scale']:.0f}: whether it gets through, and how many steps ran at once;",
        "what a value costs is the computed table's to say, because the machine's other work differed from run to run:",
        "",
        *table(("`--parallel`", "makespan", "most at once", "outcome"), lines),
    ]


def _advice(headlines: Sequence[Row], default: int) -> list[str]:
    """Advice where the default costs something, or a value can get stuck."""
    lines = []
    for row in headlines:
        computed = {int(places): seconds for places, seconds in row["computed"]}
        best = min(computed.values())
        if computed.get(default, best) > best * PENALTY_TOLD:
            enough = min(places for places, seconds in computed.items() if seconds <= best * PENALTY_TOLD)
            lines.append(f"- {row['stack']}: give `--parallel {enough}` or more where the default is less.")
        endless = [f"`--parallel {places}`" for places, seconds in computed.items() if math.isinf(seconds)]
        if endless:
            lines.append(
                f"- {row['stack']}: {', '.join(endless)}: two releases that wait for a node can take every place, and "
                "the node group never begins. The engine's order among ready steps is its own, so a run may get "
                "through."
            )
    return [*lines, ""] if lines else []


def _share(seconds: float, row: Row) -> str:
    best = min(computed for _, computed in row["computed"])
    return "can get stuck" if math.isinf(seconds) else f"{seconds:.0f} ({seconds / best - 1:+.1%})"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Markdown, numbers to the right."""
    return [
        f"| {' | '.join(header)} |",
        f"|---|{'---:|' * (len(header) - 1)}",
        *(f"| {' | '.join(r)} |" for r in rows),
        "",
    ]


def _growth(rows: Sequence[Row]) -> list[str]:
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


def _environments(rows: Sequence[Row]) -> list[str]:
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
