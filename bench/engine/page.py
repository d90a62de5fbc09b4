"""The page of what was measured, from the rows of ``bench.engine.measures``. Ratios are computed here, from the rows."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from bench.engine.measures import UNLIMITED

CHAIN_AIM: Final = 1.05
SERIAL_AIM: Final = 0.15
COMMAND: Final = "make bench-engine"
Row = Mapping[str, Any]
Kept = Mapping[str, Sequence[Row]]


def page(kept: Kept, *, cores: int) -> str:
    """The whole page; a part that was not measured is left out."""
    parts = [
        "# `pulumi up`, measured",
        "",
        f"By `{COMMAND}`: the real engine on the simulated cloud, on a machine with {cores} cores. The cloud takes as long as AWS does",
        "(540 s for a control plane, 115 s for a node group; what no public measurement gives is an estimate), on a clock that may run faster:",
        "*scale* is real seconds for a second of AWS. Start and end of each step come from the cloud's own log of operations.",
        "Seconds are AWS's, unless called real. What the machine itself takes does not shrink with the clock, so a small scale makes it weigh more",
        "than it would on AWS: scale 1 is what to read.",
        "",
    ]
    if kept.get("makespan"):
        parts += [
            *_makespan(kept["makespan"]),
            *_steps(_headline(kept["makespan"])),
            *_serial(_headline(kept["makespan"])),
        ]
    if kept.get("parallel"):
        parts += _parallel(kept["parallel"], cores)
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


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Markdown, numbers to the right."""
    return [
        f"| {' | '.join(header)} |",
        f"|---|{'---:|' * (len(header) - 1)}",
        *(f"| {' | '.join(r)} |" for r in rows),
        "",
    ]


def _headline(rows: Sequence[Row]) -> Row:
    """The run that stands for the page: of the first stack, at the slowest clock, the median one."""
    slowest = max(row["scale"] for row in rows if row["stack"] == rows[0]["stack"])
    runs = [row for row in rows if row["stack"] == rows[0]["stack"] and row["scale"] == slowest]
    return sorted(runs, key=lambda row: row["makespan"])[(len(runs) - 1) // 2]


def _makespan(rows: Sequence[Row]) -> list[str]:
    lines = []
    for key in dict.fromkeys((row["stack"], row["scale"]) for row in rows):
        runs = [row for row in rows if (row["stack"], row["scale"]) == key]
        one = sorted(runs, key=lambda row: row["makespan"])[(len(runs) - 1) // 2]
        lines.append(
            [
                key[0],
                f"{key[1]:g}",
                f"{len(runs)}",
                f"{len(one['steps'])}",
                f"{one['sum']:.0f}",
                f"{one['necessary']['seconds']:.0f}",
                f"{one['declared']['seconds']:.0f}",
                f"{one['makespan']:.0f}",
                f"{ratio(one):.3f}",
                f"{overhead(one):.1f}",
                f"{one['serial'][-1]['end']:.0f}",
                f"{saved(one):.1%}",
            ]
        )
    header = (
        "stack", "scale", "runs", "steps", "their sum", "necessary chain", "declared chain",
        "makespan", "÷ necessary", "the machine's, real s", "serial layout", "below it",
    )  # fmt: skip
    met = _headline(rows)
    return [
        "## Makespan",
        "",
        "![What ran when in `up`, by component, with the longest necessary chain](pictures/up.svg)",
        "",
        *table(header, lines),
        f"Aims: at most {CHAIN_AIM} times the longest necessary chain: **{ratio(met):.3f}, {'met' if ratio(met) <= CHAIN_AIM else 'not met'}**; "
        f"at least {SERIAL_AIM:.0%} below the serial layout: **{saved(met):.1%}, {'met' if saved(met) >= SERIAL_AIM else 'not met'}** "
        f"(without the layout's 30 s wait: {saved(met, wait=False):.1%} below {met['serial_without_wait']:.0f} s).",
        f"The whole command took {met['command_real']:.0f} real seconds; {met['makespan'] * met['scale']:.0f} of them lie between the first step's start and the last one's end.",
        "",
        "*Necessary* are edges that carry a value, lead to a provider, or that AWS or Kubernetes has too (`bench/engine/edges.py` names each rule).",
        "*Declared* are all edges of the program, those for the order of the teardown and those of the pulumi-eks component included.",
        "",
    ]


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
        [one["module"], f"{one['start']:.0f}", f"{one['end']:.0f}", f"{one['end'] - one['start']:.0f}"]
        for one in row["serial"]
    ]
    return [
        "### The serial layout",
        "",
        "The same steps with the same times, computed: each module starts when all of the one before is done, 30 s are waited before the node group, inside a",
        "module everything runs beside everything that its necessary edges allow, and a need in a later module is dropped. The queue and the roles stand with the",
        "cluster, where they cost nothing. The engine's own seconds are not added here, though they are in `up`'s makespan.",
        "",
        *table(("module", "starts at", "ends at", "takes"), lines),
    ]


def _parallel(rows: Sequence[Row], cores: int) -> list[str]:
    free = next(row for row in rows if row["parallel"] == UNLIMITED)

    def name(value: int | None) -> str:
        return f"default ({4 * cores})" if value is None else "unlimited" if value == UNLIMITED else str(value)

    lines = [
        [
            name(row["parallel"]),
            f"{row['makespan']:.0f}",
            f"{row['makespan'] / free['makespan'] - 1:+.1%}",
            f"{row['at_once']}",
        ]
        for row in rows
    ]
    return [
        "## The default parallelism",
        "",
        f"dev, scale {rows[0]['scale']:g}, one run each. The CLI's default is four operations per core (`pulumi up --help` tells it: {4 * cores} here).",
        "",
        *table(("`--parallel`", "makespan", "against unlimited", "most at once"), lines),
    ]


HEADER: Final = (
    "resources", "preview: s", "CPU s", "MiB", "up: s", "CPU s", "MiB", "of it engine", "program",
)  # fmt: skip


def _growth(rows: Sequence[Row]) -> list[str]:
    lines = []
    for what, size in dict.fromkeys((row["what"], row["size"]) for row in rows):
        runs = [row for row in rows if (row["what"], row["size"]) == (what, size)]
        lines.append([f"{size} {what}", *_times(runs)])
    return [
        "## Growth",
        "",
        f"dev with more and more of something, on a cloud that takes no time; medians. {_memory()} {_load(rows)}",
        "Applications are values of the root Application: no resources.",
        "",
        *table(("", *HEADER), lines),
    ]


def _environments(rows: Sequence[Row]) -> list[str]:
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
    return "MiB: the greatest resident sum of all processes of the command, shared pages counted for each; the cloud stands outside."


def _load(rows: Sequence[Row]) -> str:
    loads = [row["load"] for row in rows]
    return f"The machine had other work too (load average {min(loads):.0f} to {max(loads):.0f}): read CPU seconds rather than seconds."
