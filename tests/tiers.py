"""Every tier of tests that can run here, and at the end which ran, which were skipped, and why.

python -m tests.tiers                  ``make test``: all tiers but those that are asked for by name
python -m tests.tiers unit charts      only these
python -m tests.tiers --must-run crds  a tier that would be skipped fails
python -m tests.tiers --coverage       the lines of the program and of the tools that no test ran, too

All tests run in one session of pytest on all cores; a module's tests stay together, in their order, on one of them.
Format, lint and types are checked beside it. Exit codes: 0 none failed, 1 one did, 2 a name that is no tier.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tests.browser.chromium import why_no_browser
from tests.engine.availability import why_no_engine

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
WORKERS = min(4, os.cpu_count() or 1)
BY_MODULE = ("--dist", "loadfile", "--no-loadscope-reorder")
COVERAGE = ("--cov=infra", "--cov=policy", "--cov=otel_on_spot", "--cov-report=term:skip-covered")


def always() -> str:
    """No reason to skip."""
    return ""


def needs(command: str, remedy: str) -> Callable[[], str]:
    """The reason to skip where a command is not on PATH."""
    return lambda: "" if shutil.which(command) else f"no {command} on PATH: {remedy}"


@dataclass(frozen=True, kw_only=True)
class Tier:
    """A group of checks with one need.

    ``tests``: paths for pytest. ``commands``: what is run instead. ``asked_for``: why a run of all tiers leaves it out.
    ``alone``: in a session of its own. ``marked``: only its tests with these marks. ``workers``: 1 where its tests
    share one thing.
    """

    name: str
    what: str
    tests: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    asked_for: str = ""
    alone: bool = False
    marked: str = "not engine or smoke"
    workers: int = WORKERS
    reason_to_skip: Callable[[], str] = always


@dataclass(kw_only=True)
class Outcome:
    """How a tier ended: counts of tests, or of commands where it has no tests; seconds are summed over the workers."""

    tier: Tier
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    why: str = ""
    reasons: set[str] = field(default_factory=set)


TIERS = (
    Tier(
        name="style",
        what="format, lint, types, layers",
        commands=(
            (f"{BIN / 'ruff'}", "format", "--check", "."),
            (f"{BIN / 'ruff'}", "check", "."),
            (f"{BIN / 'ty'}", "check"),
            (f"{BIN / 'mypy'}",),
            (f"{BIN / 'mypy'}", "bootstrap/__main__.py"),
            (f"{BIN / 'lint-imports'}",),
        ),
    ),
    Tier(
        name="smoke",
        what="the real Pulumi engine on the simulated cloud: a life, secrets, a kill and its recovery, the policy pack",
        tests=("tests/engine",),
        reason_to_skip=why_no_engine,
    ),
    Tier(name="simcloud", what="the simulated cloud: refusals, faults, finalizers", tests=("tests/simcloud",)),
    Tier(
        name="unit",
        what="settings, components, graph, guard rails, plan, on mocked providers; the tools",
        tests=("tests/unit",),
    ),
    Tier(name="charts", what="the GitOps tree, rendered by real Helm", tests=("tests/charts",)),
    Tier(
        name="browser",
        what="pages and pictures in a real browser: the load generator's, the report's, the drawings",
        tests=("tests/browser",),
        reason_to_skip=why_no_browser,
    ),
    Tier(name="workflows", what="the CI workflows, read by actionlint; the pages", tests=("tests/ci",)),
    Tier(
        name="crds",
        what="custom resources against the schemas that Karpenter and Argo CD ship",
        tests=("tests/crds",),
        reason_to_skip=needs("go", "it fetches the CRDs as Go modules"),
    ),
    Tier(
        name="engine",
        what="the real Pulumi engine: the lives of dev, staging and prod, order, changes, faults, secrets, bad input",
        tests=("tests/engine", "tests/simcloud"),
        marked="engine",
        alone=True,
        asked_for="about 8 minutes: run `make test-engine`",
        reason_to_skip=why_no_engine,
    ),
    Tier(
        name="lab",
        what="the four lessons on one machine: real Kubernetes, Karpenter and Argo CD over the simulated cloud",
        # The last four need single tools of the lab, and skip in the unit tier of a machine that has none.
        tests=(
            "tests/lab",
            "tests/unit/lab/nodes/test_api_server.py",
            "tests/unit/lab/aws/test_access.py",
            "tests/unit/alerts/test_promtool.py",
            "tests/charts/test_collector.py",
        ),
        asked_for="about 40 minutes, and 25 more for its tools on a new machine: run `make lab-test`",
        alone=True,
        workers=1,
    ),
)  # fmt: skip


def run(tiers: Sequence[Tier], more: Sequence[str] = (), named: bool = False) -> list[Outcome]:
    """Run these tiers: what can share a session in one, the others after it; commands meanwhile.

    Args:
        tiers: what to run, in the order of the outcomes.
        more: further options of pytest.
        named: somebody asked for these by name.
    """
    outcomes = [Outcome(tier=tier, why="" if named else tier.asked_for) for tier in tiers]
    for outcome in outcomes:
        outcome.why = outcome.why or outcome.tier.reason_to_skip()
    live = [outcome for outcome in outcomes if not outcome.why]
    shared = [outcome for outcome in live if outcome.tier.tests and not outcome.tier.alone]
    with ThreadPoolExecutor() as pool:
        beside = [pool.submit(_commands, outcome) for outcome in live if outcome.tier.commands]
        if shared:
            _pytest(shared, more)
        for told in beside:
            print(told.result(), flush=True)
    for outcome in live:
        if outcome.tier.alone:
            _pytest([outcome], more)
    return outcomes


def _commands(outcome: Outcome) -> str:
    """Run a tier's commands: what they said."""
    started, told = time.monotonic(), [f"\n=== {outcome.tier.name}: {outcome.tier.what}"]
    for command in outcome.tier.commands:
        ended = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        outcome.passed += ended.returncode == 0
        outcome.failed += ended.returncode != 0
        told.append(ended.stdout.rstrip())
    outcome.seconds = time.monotonic() - started
    return "\n".join(filter(None, told))


def _pytest(outcomes: Sequence[Outcome], options: Sequence[str]) -> None:
    """Run the tests of these tiers in one session, and count."""
    for outcome in outcomes:
        print(f"\n=== {outcome.tier.name}: {outcome.tier.what}", flush=True)
    paths = dict.fromkeys(path for outcome in outcomes for path in outcome.tier.tests)
    tier = outcomes[0].tier
    workers = ("-n", f"{tier.workers}", *BY_MODULE) if tier.workers > 1 else ()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", *paths, "-q", f"--rootdir={ROOT}", "--continue-on-collection-errors"]
        command += [
            "--durations=15",
            "--durations-min=5",
            "-m",
            tier.marked,
            *workers,
            *options,
            "-o",
            "junit_family=xunit1",
            f"--junitxml={report}",
        ]
        ended = subprocess.run(command, cwd=ROOT, check=False)
        if report.exists():
            count(report.read_text(), outcomes)
    for outcome in outcomes:
        if not outcome.passed + outcome.failed + outcome.skipped:
            outcome.failed = 1  # nothing of it was collected, or the session ended before its report
    if ended.returncode and not any(outcome.failed for outcome in outcomes):
        outcomes[0].failed = 1


def count(report: str, outcomes: Sequence[Outcome]) -> None:
    """Add the cases of a JUnit report to the outcomes of the tiers that their files belong to."""
    for case in ElementTree.fromstring(report).iter("testcase"):
        file = case.get("file") or (case.get("classname") or case.get("name", "")).replace(".", "/")
        path = os.path.normpath(ROOT / file)
        outcome = next((each for each in outcomes if any(_below(path, test) for test in each.tier.tests)), outcomes[0])
        outcome.seconds += float(case.get("time", 0))
        kinds = {element.tag for element in case}
        if kinds & {"failure", "error"}:
            outcome.failed += 1
        elif (skip := case.find("skipped")) is not None:
            outcome.skipped += 1
            outcome.reasons.add(skip.get("message", ""))
        else:
            outcome.passed += 1


def _below(path: str, tests: str) -> bool:
    return f"{path}/".startswith((f"{ROOT / tests}/", f"{ROOT / tests.removesuffix('.py')}/"))


def summary(outcomes: Sequence[Outcome]) -> str:
    """The closing lines: a row a tier, then the totals alone on a line."""
    rows = [("tier", "result", "passed", "failed", "skipped", "seconds", "")]
    for outcome in outcomes:
        result = "FAILED" if outcome.failed else "skipped" if outcome.why else "ran"
        counts = (f"{outcome.passed}", f"{outcome.failed}", f"{outcome.skipped}", f"{outcome.seconds:.0f}")
        rows.append((outcome.tier.name, result, *counts, outcome.why))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = ["  ".join([*map(str.ljust, row[:6], widths), row[6]]).rstrip() for row in rows]
    for outcome in outcomes:
        lines += [f"{outcome.tier.name}: skipped tests: {reason}" for reason in sorted(outcome.reasons)]
    total = {key: sum(getattr(outcome, key) for outcome in outcomes) for key in ("passed", "failed", "skipped")}
    return "\n".join(
        ["", *lines, "", f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped"]
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m tests.tiers")
    made.add_argument("tiers", nargs="*", metavar="TIER", help=f"{', '.join(tier.name for tier in TIERS)}")
    made.add_argument("--coverage", action="store_true", help="print which lines of the program and the tools ran")
    made.add_argument("--must-run", action="store_true", help="fail where a named tier is skipped")
    return made


def main(arguments: Sequence[str]) -> int:
    """Run the named tiers, or all that are not to be asked for; print how it went and what it took."""
    known = {tier.name: tier for tier in TIERS}
    options = parser().parse_args(arguments)
    if unknown := [name for name in options.tiers if name not in known]:
        print(f"error: no tier {', '.join(unknown)}. Tiers: {', '.join(known)}", file=sys.stderr)
        return 2
    if options.coverage and sys.version_info >= (3, 12):
        os.environ["COVERAGE_CORE"] = "sysmon"  # a tenth of the tracer's cost
    # Each worker and each command that a test starts would compile every module anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.monotonic()
    tiers = [tier for tier in TIERS if not options.tiers or tier.name in options.tiers]
    outcomes = run(tiers, COVERAGE if options.coverage else (), named=bool(options.tiers))
    for outcome in outcomes:
        outcome.failed += options.must_run and bool(outcome.why)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"\n{time.monotonic() - started:.0f} s on {WORKERS} workers, {used.ru_utime + used.ru_stime:.0f} s of CPU time"
    )
    print(summary(outcomes), flush=True)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
