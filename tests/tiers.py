"""``make test``: every tier that can run here, and at the end which ran, which were skipped, and why.

python -m tests.tiers                 all tiers
python -m tests.tiers unit charts     only these
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
WORKERS = str(min(4, os.cpu_count() or 1))


def always() -> str | None:
    """No reason to skip."""
    return None


def needs(command: str, remedy: str) -> Callable[[], str | None]:
    """The reason to skip where a command is not on PATH."""
    return lambda: None if shutil.which(command) else f"no {command} on PATH: {remedy}"


@dataclass(frozen=True, kw_only=True)
class Tier:
    """A group of checks with one need. ``commands`` are run in order; ``tests`` is a pytest path."""

    name: str
    what: str
    tests: str = ""
    commands: tuple[tuple[str, ...], ...] = ()
    arguments: tuple[str, ...] = ()
    reason_to_skip: Callable[[], str | None] = always


@dataclass(kw_only=True)
class Outcome:
    """How a tier ended: counts of tests, or of commands where it has no tests."""

    tier: Tier
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    why: str = ""
    reasons: list[str] = field(default_factory=list)


PARALLEL = ("-n", WORKERS, "--dist", "worksteal")
LAB_IS_ASKED_FOR = "about 40 minutes, and 25 more for its tools on a new machine: run `make lab-test`"
TIERS = (
    Tier(
        name="style",
        what="format, lint, types",
        commands=((str(BIN / "ruff"), "format", "--check", "."), (str(BIN / "ruff"), "check", "."), (str(BIN / "ty"), "check")),
    ),
    Tier(name="unit", what="settings, components, graph, guard rails, plan, on mocked providers", tests="tests/unit", arguments=PARALLEL),
    Tier(name="charts", what="the GitOps tree, rendered by real Helm", tests="tests/charts"),
    Tier(
        name="simcloud",
        what="the simulated cloud: refusals, faults, finalizers; with the pulumi CLI, through the real engine too",
        tests="tests/simcloud",
    ),
    Tier(
        name="engine",
        what="the life of dev, staging and prod under the real Pulumi engine, on the simulated cloud",
        tests="tests/engine",
        reason_to_skip=needs("pulumi", "install the Pulumi CLI, or run `make engine`"),
    ),
    Tier(name="workflows", what="the CI workflows, read by actionlint", tests="tests/ci"),
    Tier(
        name="crds",
        what="custom resources against the schemas that Karpenter and Argo CD ship",
        tests="tests/crds",
        reason_to_skip=needs("go", "it fetches the CRDs as Go modules"),
    ),
    Tier(
        name="lab",
        what="the four lessons on one machine: real Kubernetes, Karpenter and Argo CD over the simulated cloud",
        tests="tests/lab",
        # These need single tools of the lab, and skip in the unit tier of a machine that has none.
        arguments=("tests/unit/lab/nodes/test_api_server.py", "tests/unit/lab/aws/test_access.py"),
        reason_to_skip=lambda: None if os.environ.get("LAB") == "1" else LAB_IS_ASKED_FOR,
    ),
)  # fmt: skip


def run(tier: Tier) -> Outcome:
    """Run one tier and count."""
    outcome = Outcome(tier=tier, why=tier.reason_to_skip() or "")
    if outcome.why:
        return outcome
    print(f"\n=== {tier.name}: {tier.what}", flush=True)
    started = time.monotonic()
    for command in tier.commands:
        ended = subprocess.run(command, cwd=ROOT, check=False)
        outcome.passed += ended.returncode == 0
        outcome.failed += ended.returncode != 0
    if tier.tests:
        _pytest(tier, outcome)
    outcome.seconds = time.monotonic() - started
    return outcome


def _pytest(tier: Tier, outcome: Outcome) -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", tier.tests, "-q", f"--junitxml={report}", *tier.arguments]
        ended = subprocess.run(command, cwd=ROOT, check=False)
        if not report.exists():
            outcome.failed += 1
            return
        suite = ElementTree.parse(report).getroot().find("testsuite")
        counts = (
            {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
            if suite is not None
            else {}
        )
        outcome.failed = counts.get("failures", 0) + counts.get("errors", 0)
        outcome.skipped = counts.get("skipped", 0)
        outcome.passed = counts.get("tests", 0) - outcome.failed - outcome.skipped
        if ended.returncode and not outcome.failed:
            outcome.failed = 1
        messages = [node.get("message", "") for node in (suite.iter("skipped") if suite is not None else ())]
        outcome.reasons = sorted(set(messages))


def summary(outcomes: Sequence[Outcome]) -> str:
    """The closing lines: a row a tier, then the totals alone on a line."""
    rows = [("tier", "result", "passed", "failed", "skipped", "seconds", "")]
    for o in outcomes:
        result = "skipped" if o.why else "FAILED" if o.failed else "ran"
        rows.append((o.tier.name, result, str(o.passed), str(o.failed), str(o.skipped), f"{o.seconds:.0f}", o.why))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = [
        "",
        *(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + f"  {row[6]}"
            for row in rows
        ),
    ]
    for o in outcomes:
        lines += [f"{o.tier.name}: skipped tests: {reason}" for reason in o.reasons]
    total = {key: sum(getattr(o, key) for o in outcomes) for key in ("passed", "failed", "skipped")}
    return (
        "\n".join(line.rstrip() for line in lines)
        + f"\n\n{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped"
    )


def main(wanted: Sequence[str]) -> int:
    """Run the wanted tiers, or all; 0 when none failed, 1 when one did, 2 for a name that is no tier."""
    known = {tier.name: tier for tier in TIERS}
    strangers = [name for name in wanted if name not in known]
    if strangers:
        print(f"error: no tier {', '.join(strangers)}. Tiers: {', '.join(known)}", file=sys.stderr)
        return 2
    outcomes = [run(tier) for tier in TIERS if not wanted or tier.name in wanted]
    print(summary(outcomes), flush=True)
    return 1 if any(o.failed for o in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
