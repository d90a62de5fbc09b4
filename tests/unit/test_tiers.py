"""The runner of all tiers: a failure fails, a skip says why, and the closing line counts both."""

import sys
from pathlib import Path

import pytest

from tests import tiers
from tests.tiers import Outcome, Tier


def only(monkeypatch: pytest.MonkeyPatch, *some: Tier) -> None:
    monkeypatch.setattr(tiers, "TIERS", some)


def command(name: str, code: int) -> Tier:
    return Tier(name=name, what="a command", commands=((sys.executable, "-c", f"raise SystemExit({code})"),))


def test_a_failed_command_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, command("good", 0), command("bad", 1))

    assert tiers.main([]) == 1


def test_all_green_is_zero_and_closes_with_the_totals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    only(monkeypatch, command("good", 0), Tier(name="far", what="away", reason_to_skip=lambda: "no go on PATH: get it"))

    assert tiers.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "1 passed, 0 failed, 0 skipped"
    assert any(
        line.startswith("far") and "skipped" in line and line.endswith("no go on PATH: get it") for line in lines
    )


def test_a_tier_that_is_not_there_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert tiers.main(["moon"]) == 2
    assert "no tier moon" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "passed", "failed", "skipped"),
    [("assert True", 1, 0, 0), ("assert False", 0, 1, 0), ("import pytest; pytest.skip('why not')", 0, 0, 1)],
)
def test_tests_are_counted_and_their_reasons_kept(
    tmp_path: Path, body: str, passed: int, failed: int, skipped: int
) -> None:
    file = tmp_path / "test_one.py"
    file.write_text(f"def test_it():\n    {body}\n")
    outcome = tiers.run(Tier(name="one", what="a file", tests=str(file)))

    assert (outcome.passed, outcome.failed, outcome.skipped) == (passed, failed, skipped)
    assert outcome.reasons == (["why not"] if skipped else [])


def test_tests_that_cannot_even_be_collected_fail_the_tier(tmp_path: Path) -> None:
    file = tmp_path / "test_broken.py"
    file.write_text("import nowhere_to_be_found\n")

    assert tiers.run(Tier(name="one", what="a file", tests=str(file))).failed >= 1


def test_the_summary_marks_a_failed_tier() -> None:
    text = tiers.summary([Outcome(tier=command("bad", 1), failed=2)])

    assert "bad   FAILED" in text


def test_every_folder_of_tests_belongs_to_a_tier() -> None:
    folders = {
        f"tests/{path.name}"
        for path in Path(tiers.__file__).parent.iterdir()
        if (path / "__init__.py").exists() or any(path.glob("test_*.py"))
    }

    assert folders <= {tier.tests for tier in tiers.TIERS}
