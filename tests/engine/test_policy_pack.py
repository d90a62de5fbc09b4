"""The policy pack under the real engine, in the order of this file: sound stacks pass, and every fault is reported."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.engine.workbench import ROOT, Workbench, workbench
from tests.unit.policy.faults import FAULTS

PACK = ("--policy-pack", "policy", "--non-interactive")
UPDATE = ("up", "--yes", "--skip-preview", *PACK)
FIRST_UNKNOWN = {rule for rule, fault in FAULTS.items() if fault.needs} | {"node-role-admitted"}
"""Rules that wait for the update; the last, as the system nodes' access entry has an ARN that is not known before."""
WITHOUT_EFFECT = {"project-keeps-sync-windows"}
"""``ignore_changes`` of the program takes the fault back where the object exists."""

REFUSED_BY_THE_CLOUD = ("flow-logs", "node-entry-type", "interruption-queue-name")
"""Faults whose update is refused: a second flow log or access entry beside the first, an ARN as the queue's name."""


def benched(folder: Path, stack: str) -> Iterator[Workbench]:
    with workbench(folder / stack, stack, stand_in=True) as bench:
        shutil.copytree(ROOT / "policy", bench.program / "policy", dirs_exist_ok=True)
        yield bench


@pytest.fixture(scope="module")
def dev(folder: Path) -> Iterator[Workbench]:
    yield from benched(folder, "dev")


@pytest.fixture(scope="module")
def staging(folder: Path) -> Iterator[Workbench]:
    yield from benched(folder, "staging")


@pytest.fixture(scope="module")
def prod(folder: Path) -> Iterator[Workbench]:
    """Prod with alarms and node roles admitted in both ways, beside the program that breaks every rule."""
    for bench in benched(folder, "prod"):
        for file in (ROOT / "tests/engine/faulty_program.py", ROOT / "tests/unit/policy/faults.py"):
            shutil.copy(file, bench.program)
        stack_file = bench.program / "Pulumi.prod.yaml"
        content = yaml.safe_load(stack_file.read_text())
        content["config"]["otel-on-spot:cluster"]["nodeAccess"] = "both"
        content["config"]["otel-on-spot:alarms"] = {"emails": ["on-call@example.com"]}
        stack_file.write_text(yaml.safe_dump(content))
        yield bench


def documented() -> list[str]:
    """The step of README that judges a first preview, as it is written there."""
    found = re.search(r"pulumi (preview [^`\n]*--policy-pack [^`\n]*)", (ROOT / "README.md").read_text())
    assert found, "README has no step with the policy pack"
    return shlex.split(found[1])


def expect_no_violation(bench: Workbench, *command: str, stack_flag: bool = True) -> None:
    out = bench.run(*command, stack_flag=stack_flag)

    assert "✅ otel-on-spot@" in out
    assert re.findall(r"\[(?:mandatory|advisory)\].*", out) == []


def violated(bench: Workbench, *command: str, left_out: tuple[str, ...] = ()) -> set[str]:
    """Rules that a command of the faulty program reports as violated; it ends with an error."""
    (bench.program / "left-out.json").write_text(json.dumps(left_out))
    entry = bench.program / "__main__.py"
    sound = entry.read_text()
    entry.write_text(f"import runpy\n\nrunpy.run_path('faulty_program.py')\n{sound}")
    try:
        code, out, err = bench.attempt(*command)
    finally:
        entry.write_text(sound)

    assert code != 0
    assert "can't run" not in out
    rules = set(re.findall(r"\[mandatory\]\s+(\S+)", out))
    assert rules, f"{out[-3000:]}\n{err[-3000:]}"
    return rules


@pytest.mark.smoke
def test_a_first_preview_of_dev_passes_the_policy_pack_as_readme_says(dev: Workbench) -> None:
    expect_no_violation(dev, *documented(), stack_flag=False)


def test_an_update_of_dev_passes_the_policy_pack(dev: Workbench) -> None:
    expect_no_violation(dev, *UPDATE)


def test_staging_passes_the_policy_pack_at_its_first_preview_and_its_update(staging: Workbench) -> None:
    expect_no_violation(staging, "preview", *PACK)
    expect_no_violation(staging, *UPDATE)


def test_a_first_preview_reports_every_fault_that_rests_on_known_values(prod: Workbench) -> None:
    assert violated(prod, "preview", *PACK) == set(FAULTS) - FIRST_UNKNOWN


def test_prod_passes_the_policy_pack_at_its_first_preview_its_update_and_after_it(prod: Workbench) -> None:
    expect_no_violation(prod, "preview", *PACK)
    expect_no_violation(prod, *UPDATE)
    expect_no_violation(prod, "preview", "--expect-no-changes", *PACK)


def test_a_preview_of_a_living_stack_reports_every_fault(prod: Workbench) -> None:
    assert violated(prod, "preview", *PACK) == set(FAULTS) - WITHOUT_EFFECT


def test_an_update_reports_every_fault_that_the_cloud_takes(prod: Workbench) -> None:
    seen_by_preview_only = {*REFUSED_BY_THE_CLOUD, "node-role-admitted"}  # the last needs the entry's fault beside it

    found = violated(prod, *UPDATE, left_out=REFUSED_BY_THE_CLOUD)
    assert found == set(FAULTS) - WITHOUT_EFFECT - seen_by_preview_only
