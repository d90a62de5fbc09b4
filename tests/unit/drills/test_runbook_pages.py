"""Every line of the doctor and every drill has its runbook page, with what it prints."""

from pathlib import Path

import pytest

from otel_on_spot.doctor.check import Check
from otel_on_spot.doctor.checks import CHECKS
from otel_on_spot.drills import drift
from otel_on_spot.drills.drought import verdicts as drought
from otel_on_spot.drills.node_join import verdicts as node_join
from otel_on_spot.drills.restore_data import verdicts as restore_data
from otel_on_spot.drills.spot_interruption import verdicts as spot_interruption
from otel_on_spot.drills.spot_storm import verdicts as spot_storm
from otel_on_spot.drills.upgrade import verdicts as upgrade

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_every_line_has_its_page_with_what_it_prints(check: Check) -> None:
    page = ROOT / check.runbook
    assert page.is_file(), f"{check.runbook}: write the page of the line {check.id}"
    text = page.read_text()
    assert f"({check.id})" in text, "a capture of the line's output"
    assert f"see   {check.runbook}" in text
    assert page.name in (page.parent / "README.md").read_text()


STAGING = {"restore-data"}
"""Drills that are shown in staging's shape alone: the lab's own stack has no volumes."""


@pytest.mark.parametrize(
    "runbook",
    [module.RUNBOOK for module in (drift, node_join, spot_interruption, spot_storm, drought, upgrade, restore_data)],
)
def test_every_drill_has_its_page_with_what_it_prints_and_what_it_costs(runbook: str) -> None:
    text = (ROOT / runbook).read_text()
    name = Path(runbook).stem
    stack = "staging" if name in STAGING else "lab"
    assert f"drill {name} {stack}: what happened" in text, "a capture of the drill's output"
    assert f"see   {runbook}" in text, "a capture of what it finds"
    assert "times a second" in text, "what it costs the API server"
