"""``make bench-lab``: the lab's times as a table. Times are those of this machine; medians of ``--runs``."""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.lab import measures
from bench.lab.cold import tools_from_nothing
from tests.lab.running import Lab, why_no_lab

Row = tuple[str, str, str]
BOOT_SECONDS = 2.0
TIMEOUT_SECONDS = 600.0


def spread(seconds: Sequence[float]) -> str:
    """Median, and the least and the most."""
    return f"{statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f}, n={len(seconds)})"


def bring_up(lab: Lab) -> float:
    """Seconds of one ``up``."""
    started = time.monotonic()
    found = lab.up(boot_seconds=BOOT_SECONDS, timeout_seconds=TIMEOUT_SECONDS)
    assert found["waits_for"] == [], found["waits_for"]
    return time.monotonic() - started


def diagnosed(lab: Lab, runs: int) -> tuple[str, str]:
    """Seconds that the doctor takes, and the objects it examined."""
    found = measures.doctors(lab, runs)
    return spread(
        found["seconds"]
    ), f"{found['nodes']} nodes, {found['pods']} pods; the whole command, 37 checks in order"


def measured(runs: int, *, cold: bool) -> list[Row]:
    """Every row: what, how much, how."""
    rows: list[Row] = []

    def told(what: str, how_much: str, how: str) -> None:
        rows.append((what, how_much, how))
        print(f"  {what}: {how_much}", flush=True)

    if cold:
        built = tools_from_nothing()
        told(
            "tools on a new machine",
            f"{built['seconds'] / 60:.1f} min",
            f"`ARGS=--cold`, every cache empty; {built['CPU seconds'] / 60:.0f} minutes of CPU, "
            f"{built['GiB']:.1f} GiB; once",
        )
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        try:
            warm, downs = [], []
            for _ in range(runs):
                warm.append(bring_up(lab))
                started = time.monotonic()
                lab.down()
                downs.append(time.monotonic() - started)
            told("up, tools built", spread(warm), "from nothing running to all Applications Healthy, 25 pods Running")
            told("down", spread(downs), "")
            bring_up(lab)
            told("up again, nothing changed", spread([bring_up(lab) for _ in range(runs)]), "on the running lab")
            used = measures.memory(lab)
            largest = sorted((item for item in used.items() if item[0] != "all"), key=lambda item: -item[1])[:4]
            told("memory", f"{used['all']:.0f} MiB", ", ".join(f"{name} {mib:.0f}" for name, mib in largest))
            # Before anything else makes nodes: on those that the platform itself needs there is no room for 50.
            fifty = [measures.frontends(lab) for _ in range(runs)]
            told("50 frontends Running", spread([run["running"] for run in fifty]), "suspended by a deny window")
            told(
                "50 frontends, last NodeClaim made",
                spread([run["claimed"] for run in fifty]),
                "NodeClaims: " + " ".join(f"{run['claims']:.0f}" for run in fifty),
            )
            told("Spot warning to node deleting", spread(measures.interruptions(lab, runs)), "one node after another")
            burst = measures.burst(lab)
            told(
                f"{measures.MESSAGES} messages at once",
                f"{burst['rate']:.0f} messages/s",
                f"p50 at most {burst['p50']:g} s, p99 at most {burst['p99']:g} s in the queue; "
                f"sent in {burst['sent in']:.1f} s",
            )
            times = measures.reverts(lab, runs)
            told("Argo CD reverts a scale", spread(times), "attempt by attempt: " + " ".join(f"{t:.1f}" for t in times))
            many = measures.thousand_pods(lab)
            told(
                f"{measures.PODS} pods Running",
                f"{many['seconds']:.0f} s",
                f"{many['claims']:.0f} claims; Karpenter {many['MiB']:.0f} MiB, {many['CPU seconds']:.0f} s of CPU",
            )
            told("doctor", *diagnosed(lab, runs))
            with measures.crowded(lab):
                told("doctor, crowded", *diagnosed(lab, runs))
        finally:
            lab.down()
    return rows


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


def page(rows: Sequence[Row], runs: int) -> str:
    """The table for the docs."""
    lines = [
        "# The lab, measured",
        "",
        f"By `make bench-lab` on a machine with {os.cpu_count()} cores; medians of {runs} runs, "
        f"instances that boot for {BOOT_SECONDS:.0f} s.",
        bytecode(),
        "Simulated AWS, real controllers: compare ratios, and versions with each other; "
        "on AWS an instance takes most of a minute to boot.",
        "",
        "| what | measured | |",
        "|---|---|---|",
        *(f"| {what} | {how_much} | {how} |" for what, how_much, how in rows),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the page where one is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.lab")
    parser.add_argument("--runs", type=int, default=5, help="how often each is measured")
    parser.add_argument("--page", type=Path, help="write the table here, as docs/measurements-lab.md is")
    parser.add_argument("--cold", action="store_true", help="build the tools from nothing too, in caches of their own")
    given = parser.parse_args()
    if why := why_no_lab():
        raise SystemExit(f"error: {why}")
    rows = measured(given.runs, cold=given.cold)
    if given.page:
        given.page.write_text(page(rows, given.runs))


if __name__ == "__main__":
    main()
