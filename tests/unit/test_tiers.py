"""The runner of all tiers: a failure fails, a skip says why, and the closing line counts both."""

import os
import sys
from pathlib import Path

import pytest

from tests import tiers
from tests.engine.availability import why_no_engine
from tests.tiers import Outcome, Tier

FILES = {
    "good/test_good.py": "def test_it():\n    assert True\n",
    "bad/test_bad.py": "def test_it():\n    assert False\n",
    "skips/test_skips.py": "import pytest\n\ndef test_it():\n    pytest.skip('why not')\n",
    "broken/test_broken.py": "import nowhere_to_be_found\n",
    "empty/test_empty.py": "",
}


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
    far = Tier(name="far", what="away", reason_to_skip=lambda: "no go on PATH: get it")
    only(monkeypatch, command("good", 0), far)

    assert tiers.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["", "1 passed, 0 failed, 0 skipped"]
    assert any(
        line.startswith("far") and "skipped" in line and line.endswith("no go on PATH: get it") for line in lines
    )


def test_a_tier_that_is_asked_for_runs_when_it_is_named_and_is_told_of_otherwise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = Tier(name="slow", what="a command", commands=command("slow", 0).commands, asked_for="an hour: ask for it")
    only(monkeypatch, slow)

    assert tiers.main([]) == 0
    told = capsys.readouterr().out
    assert "an hour: ask for it" in told
    assert told.endswith("0 passed, 0 failed, 0 skipped\n")
    assert tiers.main(["slow"]) == 0
    assert capsys.readouterr().out.endswith("1 passed, 0 failed, 0 skipped\n")


def test_a_tier_that_must_run_and_is_skipped_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    only(monkeypatch, Tier(name="far", what="away", reason_to_skip=lambda: "no go on PATH: get it"))

    assert tiers.main(["--must-run", "far"]) == 1
    assert any("FAILED" in line and "no go on PATH" in line for line in capsys.readouterr().out.splitlines())


def test_a_tier_that_is_not_there_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert tiers.main(["moon"]) == 2
    assert "no tier moon" in capsys.readouterr().err


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """How tiers of one file each ended that ran in one session."""
    folder = tmp_path_factory.mktemp("tiers")
    for name, text in FILES.items():
        (folder / name).parent.mkdir()
        (folder / name).write_text(text)
    some = [Tier(name=path.name, what="a file", tests=(path.name,), workers=1) for path in sorted(folder.iterdir())]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiers, "ROOT", folder)
        return {outcome.tier.name: outcome for outcome in tiers.run(some)}


@pytest.mark.parametrize(
    ("name", "passed", "failed", "skipped"), [("good", 1, 0, 0), ("bad", 0, 1, 0), ("skips", 0, 0, 1)]
)
def test_tests_of_one_session_are_counted_by_tier_and_their_reasons_kept(
    ran: dict[str, Outcome], name: str, passed: int, failed: int, skipped: int
) -> None:
    outcome = ran[name]

    assert (outcome.passed, outcome.failed, outcome.skipped) == (passed, failed, skipped)
    assert outcome.reasons == ({"why not"} if skipped else set())


@pytest.mark.parametrize("name", ["broken", "empty"])
def test_tests_that_cannot_even_be_collected_fail_the_tier(ran: dict[str, Outcome], name: str) -> None:
    assert ran[name].failed >= 1


def test_a_session_that_ends_before_its_report_fails_every_tier_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiers, "ROOT", tmp_path)
    some = [Tier(name=name, what="nowhere", tests=(f"tests/{name}",), workers=1) for name in ("mars", "moon")]

    assert [outcome.failed for outcome in tiers.run(some)] == [1, 1]


def test_the_summary_marks_a_failed_tier() -> None:
    text = tiers.summary([Outcome(tier=command("bad", 1), failed=2)])

    assert "bad   FAILED" in text


def test_every_folder_of_tests_belongs_to_a_tier() -> None:
    folders = {
        f"tests/{path.name}"
        for path in Path(tiers.__file__).parent.iterdir()
        if (path / "__init__.py").exists() or any(path.glob("test_*.py"))
    }

    assert folders <= {path for tier in tiers.TIERS for path in tier.tests}


def test_a_cli_on_path_that_is_too_old_skips_the_engines_tiers_with_that_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("pulumi", "pulumi-language-python"):
        (tmp_path / name).write_text("#!/bin/sh\necho v3.100.0\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    assert "your current CLI version is 3.100.0" in why_no_engine()
    assert tiers.main(["smoke", "engine"]) == 0
    told = capsys.readouterr().out
    for name in ("smoke", "engine"):
        assert any(
            line.startswith(f"{name} ") and "your current CLI version is 3.100.0" in line for line in told.splitlines()
        )
    assert told.endswith("0 passed, 0 failed, 0 skipped\n")
