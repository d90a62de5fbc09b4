"""``make engine-faults``: dev's update and destroy, struck at every single step, and recovered as the runbook says.

python -m tests.engine.fault_every_step                                      every step, every way
python -m tests.engine.fault_every_step --only Vpc:network-vpc --fault kill    one step

A run strikes the first step to come that was not struck yet, and what is under way beside it. It begins where the
recovery before it ended, so the state has been through all the earlier ones too; after a failure it begins anew.
Exit codes: 0 all recovered, 1 one did not, 2 no such step, 3 no engine.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from otel_on_spot.simcloud import graph
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.inventory import shape
from tests.engine.availability import why_no_engine
from tests.engine.fault_steps import Way, hit, judge, steps_of
from tests.engine.recovery import agree
from tests.engine.workbench import REGION, Workbench, workbench

WAYS = [
    Way(fault, stage, operation)
    for fault in ("kill", "refuse")
    for stage in ("after", "before")
    for operation in ("create", "delete")
]
OK, END = "ok", "the end of it"
NO_ENGINE = 3
Shape = list[tuple[str, str, str]]
FAILURES = (AssertionError, subprocess.TimeoutExpired, TimeoutError)


class Walk:
    """Strikes one way at all its steps, on a stack that is made anew whenever a recovery failed.

    ``results``: step -> ``ok`` or what was wrong. ``runs``: commands that were struck.
    """

    def __init__(self, way: Way, steps: Sequence[str], undisturbed: Shape, folder: Path) -> None:
        self.way = way
        self.steps = steps
        self.undisturbed = undisturbed
        self.folder = folder
        self.results: dict[str, str] = {}
        self.runs = 0
        self._stacks = 0

    def go(self) -> Iterator[str]:
        """Strike until every step was struck: a line of progress after each run."""
        left, began = list(self.steps), time.monotonic()
        while left:
            with self._stack() as bench:
                while left and self._once(bench, left):
                    left = [step for step in left if step not in self.results]
                    yield self._progress(len(left), time.monotonic() - began)
                if not left:
                    self._end(bench)
            left = [step for step in left if step not in self.results]

    @contextmanager
    def _stack(self) -> Generator[Workbench]:
        self._stacks += 1
        with workbench(self.folder / f"{self._stacks}", "dev", stand_in=True) as bench:
            if self.way.operation == "delete":
                bench.up()
            yield bench

    def _once(self, bench: Workbench, left: Sequence[str]) -> bool:
        """Strike once, and recover: whether this stack can go on."""
        struck: set[str] = set()
        self.runs += 1
        try:
            struck = hit(bench, self.way, left)
            assert struck, "not reached"
            judge(bench, self.way)
        except FAILURES as wrong:
            self.results |= dict.fromkeys(struck or left, f"{wrong}")
            return False
        self.results |= dict.fromkeys(struck, OK)
        return True

    def _end(self, bench: Workbench) -> None:
        """What is left of the update or the destroy goes through, and nothing tells of the faults."""
        try:
            if self.way.operation == "create":
                bench.up()
                agree(bench)
                bench.expect_no_changes()
                found = shape(bench.cloud, REGION, history=False, passwords=False)
                other = sorted({difference[:2] for difference in {*found} ^ {*self.undisturbed}})
                assert found == self.undisturbed, f"not as in a cloud without faults: {other}"
            else:
                bench.destroy()
                assert bench.left() == [], f"left in the cloud: {bench.left()}"
            self.results[END] = OK
        except FAILURES as wrong:
            self.results[END] = f"{wrong}"

    def _progress(self, left: int, spent: float) -> str:
        done = len(self.steps) - left
        return (
            f"{self.way}: {done} of {len(self.steps)} steps, {spent:.0f} s, about {spent / max(done, 1) * left:.0f} s "
            "left"
        )


def undisturbed() -> Shape:
    """Cloud of dev where nothing went wrong."""
    with tempfile.TemporaryDirectory() as folder, Cloud(Path(folder), patience=30, forgetful=True) as cloud:
        graph.apply("dev", cloud)
        return shape(cloud, REGION, history=False, passwords=False)


def table(walks: Sequence[Walk], steps: Sequence[str]) -> Table:
    """A row a step, a column a way."""
    made = Table("step", *(str(walk.way).replace(" ", "\n") for walk in walks), box=None)
    for step in (*steps, END):
        results = (walk.results.get(step, "-") for walk in walks)
        made.add_row(step, *("FAILED" if result not in (OK, "-") else result for result in results))
    made.add_row("runs", *(str(walk.runs) for walk in walks))
    return made


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="make engine-faults")
    made.add_argument("--only", metavar="STEP", action="append", help="Type:name; may be given more than once")
    for word in ("fault", "stage", "operation"):
        made.add_argument(f"--{word}", choices=sorted({str(getattr(way, word)) for way in WAYS}))
    return made


def asked(arguments: Sequence[str], steps: Sequence[str]) -> tuple[list[str], list[Way]]:
    """Steps and ways of the command line; it ends with exit code 2 where a step is none."""
    options = parser().parse_args(arguments)
    if unknown := sorted(set(options.only or ()) - set(steps)):
        parser().error(f"no step {', '.join(unknown)}. Steps: {', '.join(steps)}")
    ways = [
        way
        for way in WAYS
        if all(getattr(options, word) in (None, getattr(way, word)) for word in ("fault", "stage", "operation"))
    ]
    return [step for step in steps if not options.only or step in options.only], ways


def main(arguments: Sequence[str]) -> int:
    """Walk, print the table and what failed; 0 where all was recovered, 1 where not, 3 where there is no engine."""
    steps, ways = asked(arguments, steps_of("dev"))
    why = why_no_engine()
    if why:
        print(f"engine-faults: {why}", file=sys.stderr)
        return NO_ENGINE
    console = Console(width=None if Console().is_terminal else 200)
    expected = undisturbed()
    walks = []
    with tempfile.TemporaryDirectory(prefix="engine-faults-") as folder:
        for number, way in enumerate(ways, 1):
            walks.append(Walk(way, steps, expected, Path(folder) / f"{number}"))
            for line in walks[-1].go():
                print(f"{number} of {len(ways)}, {line}", flush=True)
    console.print(table(walks, steps))
    wrong = [(walk.way, step, told) for walk in walks for step, told in walk.results.items() if told != OK]
    for way, step, told in wrong:
        print(f"{way}, {step}: {told}", file=sys.stderr)
    print(f"{len(steps)} steps, {len(ways)} ways, {sum(walk.runs for walk in walks)} runs, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
