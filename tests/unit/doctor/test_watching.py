"""Watching: what appeared and what cleared, at which look, and how it ends."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from otel_on_spot import target
from otel_on_spot.cli.main import app
from otel_on_spot.doctor.checks import CHECKS
from otel_on_spot.doctor.collectors import everything
from otel_on_spot.doctor.examine import examine
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.watching import Change, Watch, watch
from otel_on_spot.report import Report
from tests.unit.doctor import capacity_faults
from tests.unit.doctor.changes import HEALTHY

NO_SPOT_ROLE = capacity_faults.FAULTS["no Spot role"][1](HEALTHY)
OLD_MESSAGE = capacity_faults.FAULTS["an old message"][1](HEALTHY)
BLIND = replace(HEALTHY, spot_roles=None, unknown={"spot_roles": "AccessDenied"})
runner = CliRunner()


def at(minute: int, facts: Facts) -> Facts:
    return replace(facts, taken_at=HEALTHY.taken_at + timedelta(minutes=minute))


def told(*looks: Facts) -> list[list[str]]:
    """What each look tells, as kind and check."""
    seen = Watch()
    return [
        [f"{change.what} {change.check}" for change in seen.look(examine(at(number, facts), CHECKS))]
        for number, facts in enumerate(looks)
    ]


def test_what_appears_and_what_clears_is_told_once() -> None:
    assert told(HEALTHY, NO_SPOT_ROLE, NO_SPOT_ROLE, OLD_MESSAGE, HEALTHY, HEALTHY) == [
        [],
        ["appeared spot-role"],
        [],
        ["cleared spot-role", "appeared interruption-backlog"],
        ["cleared interruption-backlog"],
        [],
    ]


def test_a_finding_that_counts_on_is_the_same_one() -> None:
    older = capacity_faults.changed("queues", oldest_seconds=270.0)(OLD_MESSAGE)
    assert told(OLD_MESSAGE, older)[1] == []


def test_two_findings_of_one_subject_are_two() -> None:
    report = examine(NO_SPOT_ROLE, CHECKS)
    twice = replace(
        report,
        verdicts=tuple(replace(verdict, findings=2 * verdict.findings) for verdict in report.verdicts),
    )
    seen = Watch()
    assert len(seen.look(twice)) == 2
    assert [change.what for change in seen.look(report)] == ["cleared"]


def test_a_finding_that_becomes_critical_is_told() -> None:
    def graded(severity: Any) -> Report:
        report = examine(NO_SPOT_ROLE, CHECKS)
        return replace(
            report,
            verdicts=tuple(
                replace(verdict, findings=tuple(replace(entry, severity=severity) for entry in verdict.findings))
                for verdict in report.verdicts
            ),
        )

    seen = Watch()
    looks = [seen.look(graded(severity)) for severity in ("warning", "critical", "critical", "warning")]
    assert [[change.what for change in look] for look in looks] == [
        ["appeared"],
        ["became worse"],
        [],
        ["became better"],
    ]


def test_what_cannot_be_looked_at_clears_nothing() -> None:
    assert told(NO_SPOT_ROLE, BLIND, BLIND, NO_SPOT_ROLE, HEALTHY) == [
        ["appeared spot-role"],
        ["not judged spot-role"],
        [],
        ["judged again spot-role"],
        ["cleared spot-role"],
    ]


def test_a_line_says_when_and_for_how_long() -> None:
    seen = Watch()
    seen.look(examine(NO_SPOT_ROLE, CHECKS))
    (change,) = seen.look(examine(at(5, HEALTHY), CHECKS))
    when = f"{HEALTHY.taken_at + timedelta(minutes=5):%H:%M:%S}"
    assert change.line == f"{when}  cleared        spot-role  AWSServiceRoleForEC2Spot, after 5 min"


def run(looks: Iterator[Facts | None]) -> tuple[int, list[Report], list[list[Change]]]:
    """Look at each of these in turn; Ctrl-C at the None."""
    firsts: list[Report] = []
    laters: list[list[Change]] = []

    def look() -> Report:
        facts = next(looks)
        if facts is None:
            raise KeyboardInterrupt
        return examine(facts, CHECKS)

    return watch(look, first=firsts.append, later=laters.append, pause=lambda: None), firsts, laters


@pytest.mark.parametrize(
    ("looks", "code"),
    [([HEALTHY, NO_SPOT_ROLE], 1), ([NO_SPOT_ROLE, HEALTHY], 0), ([HEALTHY, BLIND], 2), ([NO_SPOT_ROLE], 1)],
)
def test_it_ends_with_the_exit_code_of_the_last_look(looks: list[Facts], code: int) -> None:
    ended, firsts, laters = run(iter([*looks, None]))
    assert (ended, len(firsts), len(laters)) == (code, 1, len(looks) - 1)


def test_before_the_first_look_was_over_it_is_an_interrupted_command() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(iter([None]))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run the command on these facts, one look after another, then Ctrl-C; counts of how often it planned."""

    def running(*looks: Facts, options: tuple[str, ...] = ()) -> tuple[Any, list[object]]:
        left, planned, seen = list(looks), [], []
        platform = SimpleNamespace(context="c", notes=(), declared=HEALTHY.declared)
        monkeypatch.setattr(target, "find", lambda *_, **__: planned.append(1) or platform)

        def collect(found: object, _: object) -> tuple[Facts, int]:
            assert found is platform
            if not left:
                raise KeyboardInterrupt
            seen.append(found)
            return left.pop(0), 21

        monkeypatch.setattr(everything, "collect", collect)
        monkeypatch.setattr("time.sleep", lambda _: None)
        ran = runner.invoke(app, ["doctor", "--stack", "lab", "--watch", *options])
        assert (len(planned), len(seen)) == (1, len(looks)), "planned once, one client for all looks"
        return ran, seen

    return running


def test_the_command_prints_the_first_report_then_changes_and_ends_by_ctrl_c(watched: Any, tmp_path: Any) -> None:
    file = tmp_path / "last.json"
    ran, _ = watched(HEALTHY, NO_SPOT_ROLE, at(2, HEALTHY), NO_SPOT_ROLE, options=("--json", str(file)))
    assert ran.exit_code == 1, ran.output
    assert ran.output.count(f"{len(CHECKS)} checks") == 1, "one table"
    lines = ran.output.splitlines()[-3:]
    assert [line.split()[1:3] for line in lines] == [
        ["appeared", "spot-role"],
        ["cleared", "spot-role"],
        ["appeared", "spot-role"],
    ]
    assert '"exit_code": 1' in file.read_text(), "the last report"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--watch", "--facts", "facts.json"), "the facts of a file do not change"),
        (("--watch", "--json", "-"), "--output FILE or --json FILE"),
        (("--watch", "--format", "sarif"), "--output FILE or --json FILE"),
        (("--json", "-", "--format", "junit"), "both print to standard output"),
        (("--watch", "--every", "0"), "--every"),
        (("--format", "html"), "--format"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: tuple[str, ...], words: str) -> None:
    ran = runner.invoke(app, ["doctor", *options])
    assert ran.exit_code == 2
    assert words in ran.output
