"""Every line of the doctor has its runbook page, with what the line prints."""

from pathlib import Path

import pytest

from drills.doctor.verdicts import CHECKS
from drills.doctor.verdicts.finding import Check

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("check", CHECKS, ids=lambda one: one.id)
def test_every_line_has_its_page_with_what_it_prints(check: Check) -> None:
    page = ROOT / check.runbook
    assert page.is_file(), f"{check.runbook}: write the page of the line {check.id}"
    text = page.read_text()
    assert f"({check.id})" in text, "a capture of the line's output"
    assert f"see   {check.runbook}" in text
    assert page.name in (page.parent / "README.md").read_text()
