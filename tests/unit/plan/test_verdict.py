"""The verdict of the policy rules on a plan: printed, as JSON, and by the exit code that was asked for."""

import io
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from infra import app_of_apps
from otel_on_spot.cli import app
from otel_on_spot.plan import verdict
from otel_on_spot.plan.record import record
from otel_on_spot.program.values import Secret
from policy.guardrails import RULES
from tests.unit.conftest import recorded


def printed(judged: verdict.Verdict) -> str:
    out = io.StringIO()
    verdict.show(judged, Console(file=out, width=300))
    return out.getvalue()


def test_a_sound_stack_passes_every_rule() -> None:
    assert printed(verdict.verdict(recorded("prod"))) == f"policy rules of prod: {len(RULES)} of {len(RULES)} passed\n"


def test_waivers_are_named_with_their_reason_and_undecided_rules_by_name() -> None:
    shown = printed(verdict.verdict(recorded("dev", preview=True)))

    assert "7 waived, 6 undecided before the update" in shown
    assert "dev follows main" in shown
    assert "interruption-queue-policy" in shown


@pytest.fixture
def starred(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program with a star in its AppProject."""
    real = app_of_apps.project_spec
    monkeypatch.setattr(app_of_apps, "project_spec", lambda args: real(args) | {"sourceRepos": ["*"]})


@pytest.mark.usefixtures("starred")
def test_a_violation_is_printed_with_its_rule_resource_reason_and_remedy() -> None:
    shown = printed(verdict.verdict(record("dev")))

    for part in ("project-bounded", "violated", "platform-project: sourceRepos has *", "why: ", "do:  ", "1 violated"):
        assert part in shown


@pytest.mark.usefixtures("starred")
def test_json_holds_the_verdict_and_the_exit_code_tells_a_violation_when_asked() -> None:
    plain, asked = (CliRunner().invoke(app, ["plan", "--json", *more]) for more in ([], ["--exit-code"]))
    policy = json.loads(plain.stdout)["policy"]
    refused = [violation for violation in policy["violations"] if violation["waiver"] is None]

    assert (plain.exit_code, asked.exit_code) == (0, 1)
    assert [(v["rule"], v["resource"]) for v in refused] == [("project-bounded", "platform-project")]
    assert policy["environment"] == "dev"


def test_a_sound_plan_ends_with_0_when_the_exit_code_is_asked_for() -> None:
    assert CliRunner().invoke(app, ["plan", "--stack", "prod", "--exit-code"]).exit_code == 0


def test_no_problem_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "token-nobody-may-see-*"
    real = app_of_apps.project_spec
    monkeypatch.setattr(app_of_apps, "project_spec", lambda args: real(args) | {"sourceRepos": [secret]})
    plan = record("dev", config_overrides={"gitToken": Secret(secret)})

    assert "[secret]" in printed(verdict.verdict(plan))
    assert "nobody-may-see" not in printed(verdict.verdict(plan)) + json.dumps(
        verdict.as_document(verdict.verdict(plan))
    )
