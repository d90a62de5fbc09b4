"""``make bench``: a table of medians. Times are those of this machine; ratios are what to compare."""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
SDKS = ("pulumi", "pulumi_aws", "pulumi_eks", "pulumi_kubernetes")
POOLS, APPLICATIONS = (1, 10, 100), (1, 10, 50)
AIM = 1.3
BASE = "bare import of the SDK modules that plan prod loads"

CHILD = """
import json, resource, sys, time
started = time.perf_counter()
{body}
seconds = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
LOADED = """
import json, sys
from otel_on_spot.plan.record import record
record({stack!r})
print(json.dumps([name for name in sys.modules if name.split(".")[0] in {sdks!r}]))
"""
PLAN = "from otel_on_spot.plan.record import record; record({stack!r})"
GROWTH = """
import json, time, yaml
from bench.engine.measures import with_applications, with_pools
from otel_on_spot.plan.record import record
told = yaml.safe_load(open("Pulumi.dev.yaml"))["config"]
config = {{section: told[f"otel-on-spot:{{section}}"] for section in ("pools", "gitops")}}
record("dev")
rows = []
for kind, of_size, sizes in (("pools", with_pools, {pools}), ("applications", with_applications, {applications})):
    for size in sizes:
        overrides, times = dict(config), []
        of_size(size)(overrides)
        for _ in range({runs}):
            started = time.perf_counter()
            record("dev", config_overrides=overrides)
            times.append(time.perf_counter() - started)
        rows.append([kind, size, times])
print(json.dumps(rows))
"""


def sdk_modules(stack: str) -> list[str]:
    """The SDK modules that a plan of the stack really loads.

    The SDKs import lazily, so import statements tell too few.
    """
    return json.loads(_child(LOADED.format(stack=stack, sdks=SDKS)))


def program_modules() -> list[str]:
    """The program's own modules."""
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "infra").rglob("*.py")
    )


def measured(body: str, runs: int) -> tuple[float, ...]:
    """Medians of wall seconds, CPU seconds and peak MiB of a body of code, each run in a process of its own."""
    outcomes = [json.loads(_child(CHILD.format(body=body))) for _ in range(runs)]
    return tuple(statistics.median(outcome[column] for outcome in outcomes) for column in range(3))


def _child(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()[-1]


def imports(modules: Sequence[str]) -> str:
    """Code that imports these modules."""
    return f"import importlib\nfor name in {list(modules)!r}:\n    importlib.import_module(name)"


def bodies() -> dict[str, str]:
    """The measurements, by name."""
    return {
        BASE: imports(sdk_modules("prod")),
        "import of the program": imports(program_modules()),
        "plan dev": PLAN.format(stack="dev"),
        "plan prod": PLAN.format(stack="prod"),
    }


def growth(runs: int) -> Iterator[tuple[str, int, float]]:
    """(kind, number, median seconds) of plans with more and more of something, after a warm-up."""
    for kind, size, times in json.loads(_child(GROWTH.format(pools=POOLS, applications=APPLICATIONS, runs=runs))):
        yield kind, size, statistics.median(times)


def per_item(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Milliseconds per item of the least-squares line, and its R²."""
    fit = statistics.linear_regression([n for n, _ in points], [t for _, t in points])
    correlation = statistics.correlation([n for n, _ in points], [t for _, t in points])
    return fit.slope * 1000, correlation**2


def show(tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]], *, markdown: bool) -> None:
    """Print (title, header, rows) tables."""
    for title, header, rows in tables:
        if markdown:
            print(f"**{title}**\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
            print("\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n")
            continue
        table = Table(*header, title=title, title_justify="left")
        for row in rows:
            table.add_row(*row)
        Console().print(table)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(prog="make bench", description=__doc__)
    options.add_argument("--runs", type=int, default=5, help="runs of each measurement; the median is printed")
    options.add_argument("--markdown", action="store_true", help="print Markdown")
    given = options.parse_args()
    console = Console(stderr=True)
    results = {}
    for name, body in bodies().items():
        with console.status(f"{name}, {given.runs} runs"):
            measured(body, 1)  # the first run of a fresh installation compiles; it is not counted
            results[name] = measured(body, given.runs)
    _, base_cpu, base_memory = results[BASE]
    rows = [
        [name, f"{wall:.2f}", f"{cpu:.2f}", f"{memory:.0f}", f"{cpu / base_cpu:.2f}", f"{memory / base_memory:.2f}"]
        for name, (wall, cpu, memory) in results.items()
    ]
    with console.status("growth"):
        points = list(growth(given.runs))
    grown = []
    for kind in ("pools", "applications"):
        of_kind = [(n, t) for k, n, t in points if k == kind]
        slope, fit = per_item(of_kind)
        grown.append([kind, "  ".join(f"{n}: {t:.2f} s" for n, t in of_kind), f"{slope:.1f}", f"{fit:.3f}"])
    show(
        [
            (
                f"medians of {given.runs}; aim: plan prod at most {AIM} times the bare import",
                ("what", "wall s", "CPU s", "peak MiB", "CPU ÷ import", "memory ÷ import"),
                rows,
            ),
            ("growth of the plan", ("of", "number: median", "ms per item", "R² of the line"), grown),
        ],
        markdown=given.markdown,
    )


if __name__ == "__main__":
    main()
