"""``make bench-engine``: what ``pulumi up`` takes on AWS's time, and how time and memory grow; a page and a picture.

Measurements are kept in ``--results`` and measured anew by name, so the page can be made of several runs.
"""

import argparse
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.engine import measures
from bench.engine.gantt import svg
from bench.engine.page import page

RESULTS = Path("build/bench-engine.json")
PARALLEL_SCALE = 0.1
Row = dict[str, Any]
Results = dict[str, list[Row]]


def main() -> None:
    """Measure what is asked for, keep it, and write the page and the picture of everything kept.

    Raises:
        SystemExit: with an error, where there is no pulumi CLI on PATH.
    """
    parser = argparse.ArgumentParser(prog="make bench-engine", description=__doc__)
    parser.add_argument("--stacks", nargs="+", default=["dev", "prod"], help="stacks whose update is measured")
    parser.add_argument("--scale", type=float, default=1.0, help="real seconds for a second of AWS in the makespan")
    parser.add_argument("--parallel", type=int, help="operations at once in the makespan; left out: the CLI's default")
    parser.add_argument("--runs", type=int, default=1, help="runs of each makespan and size; medians are printed")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS), help="what to measure")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where measurements are kept")
    parser.add_argument("--page", type=Path, help="write the tables here")
    parser.add_argument("--svg", type=Path, help="draw the first stack's update here")
    given = parser.parse_args()
    if not shutil.which("pulumi"):
        raise SystemExit("error: no pulumi on PATH: install the Pulumi CLI")
    for part in given.only:
        rows, same = PARTS[part]
        measure(given.results, part, rows(given), same)
    kept = read(given.results)
    text = page(kept, cores=os.cpu_count() or 1)
    if given.page:
        given.page.write_text(text)
    else:
        print(text)
    if given.svg:
        runs = [row for row in kept.get("makespan", []) if row["stack"] == given.stacks[0] and row["parallel"] is None]
        if not runs:
            raise SystemExit(
                f"error: no makespan of {given.stacks[0]} in {given.results}: measure it, with --only makespan"
            )
        given.svg.write_text(svg(max(runs, key=lambda row: (row["scale"], row["makespan"]))))


def read(path: Path) -> Results:
    """The measurements so far, by part."""
    return json.loads(path.read_text()) if path.exists() else {}


def measure(path: Path, part: str, rows: Iterable[Row], same: Callable[[Row], object]) -> None:
    """Tell each row when it is there, and keep those so far: a measurement cut short is not lost.

    Args:
        path: the JSON file of all measurements.
        part: what is measured, a key of the file.
        rows: measurements, each made when it is asked for.
        same: what two rows have alike that measured the same, such as the stack and the scale; the newer one stays.
    """
    found: list[Row] = []
    for row in rows:
        plain = {key: value for key, value in row.items() if not isinstance(value, list | dict)}
        print("  " + "  ".join(f"{key}: {value}" for key, value in plain.items()), flush=True)
        found.append(row)
        kept, new = read(path), {same(row) for row in found}
        kept[part] = [row for row in kept.get(part, []) if same(row) not in new] + found
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(kept))


def _makespans(given: argparse.Namespace) -> Iterable[Row]:
    return (measures.makespan(stack, given.scale, given.parallel) for stack in given.stacks for _ in range(given.runs))


PARTS: dict[str, tuple[Callable[[argparse.Namespace], Iterable[Row]], Callable[[Row], object]]] = {
    "makespan": (_makespans, lambda row: (row["stack"], row["scale"], row["parallel"])),
    "parallel": (
        lambda given: measures.parallelism(given.stacks[0], PARALLEL_SCALE),
        lambda row: row["parallel"],
    ),
    "growth": (lambda given: measures.growth(given.runs), lambda row: (row["what"], row["size"])),
    "environments": (lambda _: measures.environments(), lambda row: row["environment"]),
}
"""Part -> its rows, and what two of them have alike that measured the same."""


if __name__ == "__main__":
    main()
