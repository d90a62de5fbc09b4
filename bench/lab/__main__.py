"""``make bench-lab``: the lab's times as a table. Times are those of this machine; medians of ``--runs``.

Every run is kept as it ends: a bench that was stopped goes on with the runs that are missing.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from bench.engine.running import cpu_of_children
from bench.lab import measures, spot
from bench.lab.kept import Kept, Run
from bench.lab.rows import Row, Told, conditions, each, median, numbers, page, spread
from otel_on_spot import project
from otel_on_spot.lab.folder import default_state_home
from otel_on_spot.lab.toolchain.modules import KARPENTER
from tests.lab.running import Lab, why_no_lab
from tests.unit.drills.judgement import DRILLS, judged

TIMEOUT_SECONDS: Final = 600.0


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One thing to measure.

    ``take``: one run on a lab that is up. ``told``: its rows. ``most``: runs at most, where one says enough or takes
    long. ``running``: false where it brings the lab up itself.
    """

    name: str
    take: Callable[[Lab], dict[str, Any]]
    told: Told
    stack: str = "lab"
    boot_seconds: float = 2.0
    most: int | None = None
    running: bool = True


def beyond(runs: Sequence[Run]) -> str:
    """Seconds beyond the slowest boot of a run, by its nodes' own clock."""
    return spread([run.numbers["seconds"] - run.numbers["boot"] for run in runs])


def bring_up(lab: Lab, boot_seconds: float) -> float:
    """Seconds of one ``up``."""
    started = time.monotonic()
    found = lab.up(boot_seconds=boot_seconds, timeout_seconds=TIMEOUT_SECONDS)
    assert found["waits_for"] == [], found["waits_for"]
    return time.monotonic() - started


def cycle(lab: Lab) -> dict[str, float]:
    """Up from nothing, and down."""
    lab.down()
    up = bring_up(lab, 2.0)
    started = time.monotonic()
    lab.down()
    return {"up": up, "down": time.monotonic() - started}


def of_drought(name: str, boot_seconds: float) -> Measure:
    """The fall-back of 50 frontends, by the boot."""

    def told(runs: Sequence[Run]) -> list[Row]:
        how = (
            f"beyond the slowest boot {beyond(runs)}; Spot refused: {each(runs, 'refused')} NodeClaims; "
            f"left Pending {each(runs, 'left')}; {conditions(runs, boot_seconds)}"
        )
        what = f"50 frontends, all Spot refused, until Running, boot {boot_seconds:g} s"
        return [Row(what, spread(numbers(runs, "seconds")), how, "boot + 30 s")]

    return Measure(name=name, take=spot.fallback, told=told, boot_seconds=boot_seconds)


def of_storm(stack: str) -> Measure:
    """All Spot nodes of a stack warned at once."""

    def told(runs: Sequence[Run]) -> list[Row]:
        last = runs[-1].numbers
        looks = ", ".join(f"{run.numbers['served']} of {run.numbers['looks']}" for run in runs)
        how = (
            f"{last['warned']}; looks served: {looks}; fewest endpoints {each(runs, 'least')}; "
            f"whole after {each(runs, 'whole')} s; {conditions(runs, 40)}"
        )
        without = max(run.numbers["away"] for run in runs)
        much = f"{without:.1f} s at a time (n={len(runs)})"
        return [Row(f"all Spot warned at once, {stack}: without an answering endpoint", much, how, "0 s")]

    return Measure(name=f"storm-{stack}", take=spot.storm, told=told, stack=stack, boot_seconds=40.0)


def timed(what: str, how: str) -> Told:
    """A row of nothing but seconds."""
    return lambda runs: [Row(what, spread(numbers(runs, "seconds")), how)]


def diagnosed(what: str) -> Told:
    """The doctor's row."""

    def told(runs: Sequence[Run]) -> list[Row]:
        last = runs[-1].numbers
        how = f"{last['nodes']} nodes, {last['pods']} pods; the whole command, {last['checks']} checks in order"
        return [Row(what, spread(numbers(runs, "seconds")), how)]

    return told


def crowded_doctor(lab: Lab) -> dict[str, Any]:
    """The doctor on a lab with 100 nodes."""
    with measures.crowded(lab):
        return measures.doctor(lab)


def judgement(_lab: Lab) -> dict[str, Any]:
    """The drills' judgement of recorded courses, with a fault or in order."""
    courses = list(judged())
    faults = [course for course in courses if course.fault]
    return {
        "faults": len(faults),
        "found": sum(not course.missed for course in faults),
        "false": sum(bool(course.false) for course in courses),
        "in order": len(courses) - len(faults),
        "drills": ", ".join(f"{name} {len(drill.faults)}" for name, drill in DRILLS.items()),
    }


def _judgement(runs: Sequence[Run]) -> list[Row]:
    last = runs[-1].numbers
    much = f"{last['found']} of {last['faults']} found, {last['false']} false"
    how = f"{last['drills']}; with {last['in order']} courses in order; each is a test of `tests/unit/drills`"
    return [Row("judgement of drills by seeded faults", much, how, "at least 20, all found, 0 false")]


def _memory(runs: Sequence[Run]) -> list[Row]:
    largest = sorted((item for item in runs[-1].numbers.items() if item[0] != "all"), key=lambda item: -item[1])[:4]
    how = ", ".join(f"{name} {mib:.0f}" for name, mib in largest)
    return [Row("memory", f"{median(runs, 'all'):.0f} MiB", how)]


def _warnings(runs: Sequence[Run]) -> list[Row]:
    cpu = ", ".join(
        f"{who} {median(runs, f'CPU of {name}'):.1f} s"
        for name, who in (("karpenter", "Karpenter"), ("moto", "the simulated AWS"), ("rest", "the rest of the lab"))
    )
    waits = ", ".join(f"{name} {median(runs, f'ms of {name}'):.0f} ms" for name in ("ReceiveMessage", "DeleteMessage"))
    how = (
        f"{median(runs, 'rate'):.0f} messages/s; in the queue at most {median(runs, 'p50'):g} s (p50), "
        f"{median(runs, 'p99'):g} s (p99); sent in {median(runs, 'sent in'):.1f} s; CPU meanwhile: {cpu}; Karpenter "
        f"waits for the simulated SQS, by its own clock, p50 at most: {waits}, ten deletes side by side; "
        f"{conditions(runs, 2)}"
    )
    what = f"{measures.MESSAGES} warnings at once, until the last is handled"
    return [Row(what, spread(numbers(runs, "seconds")), how, "30 s")]


def _heap(runs: Sequence[Run]) -> list[Row]:
    top = max(runs, key=lambda run: run.numbers["resident"]).numbers
    ran = f"{each(runs, 'claims')} claims; Karpenter's CPU {each(runs, 'CPU seconds')} s; {conditions(runs, 2)}"
    how = (
        f"resident at most, run by run {each(runs, 'resident')}; at the highest {top['Go']:.0f} MiB are Go's, of which "
        f"{top['heap']:.0f} heap in use, and {top['resident'] - top['Go']:.0f} pages of the program itself; the last "
        f"collection had left {top['live']:.0f} MiB ({top['profile']}), and Go begins the next one at about twice that "
        f"(GOGC 100); {conditions(runs, 2)}"
    )
    return [
        Row(f"{measures.PODS} pods Running", spread(numbers(runs, "seconds")), ran),
        Row(f"Karpenter's memory at {measures.PODS} pods", f"{median(runs, 'resident'):.0f} MiB", how, "260 MiB"),
    ]


def _thousand(runs: Sequence[Run]) -> list[Row]:
    how = (
        f"beyond the slowest boot {beyond(runs)}; an On-Demand pool with room; left Pending {each(runs, 'left')}; "
        f"{each(runs, 'nodes')} claims, {each(runs, 'refused')} refused; {conditions(runs, 40)}"
    )
    what = f"{measures.PODS} pods in a drought, until Running"
    return [Row(what, spread(numbers(runs, "seconds")), how, "boot + 60 s, 0 Pending")]


def _return(runs: Sequence[Run]) -> list[Row]:
    how = (
        f"staging's shape; evictions of {spot.RETURNING} pods: {each(runs, 'evictions')}, from "
        f"{each(runs, 'nodes')} nodes; each pod once: {each(runs, 'moved once', '{}')}; {conditions(runs, 40)}"
    )
    aim = "15 min, no eviction beyond one for each pod"
    return [Row("back on Spot after its return", spread(numbers(runs, "seconds")), how, aim)]


MEASURES: Final = (
    Measure(name="judgement", take=judgement, told=_judgement, most=1, running=False),
    Measure(
        name="up",
        take=cycle,
        running=False,
        told=lambda runs: [
            Row(
                "up, tools built",
                spread(numbers(runs, "up")),
                "from nothing running to all Applications Healthy, 25 pods Running",
            ),
            Row("down", spread(numbers(runs, "down")), ""),
        ],
    ),
    Measure(
        name="up-again",
        take=lambda lab: {"seconds": bring_up(lab, 2.0)},
        told=timed("up again, nothing changed", "on the running lab"),
    ),
    Measure(name="memory", take=measures.memory, told=_memory, most=1),
    # Before anything else makes nodes: on those that the platform itself needs there is no room for 50.
    Measure(
        name="frontends",
        take=measures.frontends,
        told=lambda runs: [
            Row("50 frontends Running", spread(numbers(runs, "running")), "suspended by a deny window"),
            Row(
                "50 frontends, last NodeClaim made",
                spread(numbers(runs, "claimed")),
                f"NodeClaims: {each(runs, 'claims')}",
            ),
        ],
    ),
    Measure(
        name="interruption",
        take=measures.interruption,
        told=timed("Spot warning to node deleting", "one node after another"),
    ),
    Measure(name="warnings", take=spot.warnings, told=_warnings),
    Measure(
        name="revert",
        take=measures.revert,
        told=lambda runs: [
            Row(
                "Argo CD reverts a scale",
                spread(numbers(runs, "seconds")),
                f"attempt by attempt: {each(runs, 'seconds', '{:.1f}')}",
            )
        ],
    ),
    Measure(name="heap", take=spot.heap, told=_heap),
    Measure(name="doctor", take=measures.doctor, told=diagnosed("doctor")),
    Measure(name="doctor-crowded", take=crowded_doctor, told=diagnosed("doctor, crowded"), most=1),
    of_drought("drought-5", 5.0),
    of_drought("drought-40", 40.0),
    Measure(name="drought-thousand", take=spot.thousand, told=_thousand, boot_seconds=40.0),
    of_storm("staging"),
    Measure(name="return", take=spot.back_on_spot, told=_return, stack="staging", boot_seconds=40.0),
    of_storm("prod"),
)
"""In the order in which they are taken: a lab is up once for those of one stack and boot."""


def missing(measure: Measure, kept: Kept, runs: int) -> int:
    """Runs that are not there yet."""
    return max(0, min(runs, measure.most or runs) - len(kept.runs(measure.name)))


def take(chosen: Sequence[Measure], kept: Kept, runs: int) -> None:
    """Every run that is missing."""
    wanted = [measure for measure in chosen if missing(measure, kept, runs)]
    for (stack, boot_seconds), of_lab in groupby(wanted, key=lambda measure: (measure.stack, measure.boot_seconds)):
        with tempfile.TemporaryDirectory() as folder:
            lab = Lab(Path(folder), stack)
            try:
                for measure in of_lab:
                    for _ in range(missing(measure, kept, runs)):
                        if measure.running and not lab.folder.is_running():
                            bring_up(lab, boot_seconds)
                        kept.add(measure.name, measure.take(lab))
                        print(f"  {measure.name}: {kept.runs(measure.name)[-1].numbers}", flush=True)
            finally:
                lab.down()


def tools_from_nothing() -> dict[str, float]:
    """Build every tool with empty caches of modules, compiled packages and tools.

    Returns: ``seconds`` of wall time, ``CPU seconds`` of all processes, ``GiB`` on disk at the end.

    Raises:
        subprocess.CalledProcessError: a tool was not built.
    """
    with tempfile.TemporaryDirectory(prefix="tools-from-nothing-") as name:
        folder = Path(name)
        caches = {"XDG_CACHE_HOME": "cache", "GOMODCACHE": "modules", "GOCACHE": "compiled"}
        environment = {**os.environ, **{key: str(folder / value) for key, value in caches.items()}}
        before, started = cpu_of_children(), time.monotonic()
        try:
            command = [sys.executable, "-m", "otel_on_spot.lab.toolchain"]
            subprocess.run(command, cwd=project.root(), env=environment, check=True)
            found = {
                "seconds": time.monotonic() - started,
                "CPU seconds": cpu_of_children() - before,
                "GiB": _gib(folder),
            }
        finally:
            # Go's modules are read-only; only Go takes them away.
            subprocess.run(["go", "clean", "-modcache"], cwd=folder, env=environment, check=False)
    return found


def _gib(folder: Path) -> float:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()) / 2**30


def built_from_nothing() -> Row:
    """The tools on a new machine."""
    built = tools_from_nothing()
    how = f"`ARGS=--cold`, every cache empty; {built['CPU seconds'] / 60:.0f} min of CPU, {built['GiB']:.1f} GiB; once"
    return Row("tools on a new machine", f"{built['seconds'] / 60:.1f} min", how)


def parser() -> argparse.ArgumentParser:
    """The options."""
    names = [measure.name for measure in MEASURES]
    options = argparse.ArgumentParser(prog="python -m bench.lab", description=__doc__)
    options.add_argument("--runs", type=int, default=5, help="how often each is measured, kept runs included")
    options.add_argument("--only", metavar="NAME,...", help=f"some of {', '.join(names)}")
    options.add_argument("--again", action="store_true", help="forget the kept runs of these measures first")
    options.add_argument(
        "--keep", type=Path, default=default_state_home().parent / "bench-lab.jsonl", help="their file"
    )
    options.add_argument("--page", type=Path, help="write the rows into this page")
    options.add_argument("--cold", action="store_true", help="build the tools from nothing too, in caches of their own")
    return options


def main() -> None:
    """Measure, and write the page where one is asked for.

    Raises:
        SystemExit: with an error, where this machine can run no lab.
    """
    names = [measure.name for measure in MEASURES]
    options = parser()
    given = options.parse_args()
    only = given.only.split(",") if given.only else names
    if unknown := [name for name in only if name not in names]:
        options.error(f"--only {','.join(unknown)}: no such measure. There are {', '.join(names)}")
    if why := why_no_lab():
        raise SystemExit(f"error: {why}")
    chosen, kept = [measure for measure in MEASURES if measure.name in only], Kept(given.keep, KARPENTER.version)
    rows = [built_from_nothing()] if given.cold else []
    if given.again:
        kept.forget(only)
    try:
        take(chosen, kept, given.runs)
    finally:
        rows += [row for measure in chosen if (runs := kept.runs(measure.name)) for row in measure.told(runs)]
        for row in rows:
            print(f"{row.what}: {row.measured}  {row.how}")
        if given.page:
            given.page.write_text(page(rows, given.page.read_text() if given.page.is_file() else ""))


if __name__ == "__main__":
    main()
