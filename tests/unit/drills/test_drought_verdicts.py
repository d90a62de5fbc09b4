"""The drought drill's lines by variant, its arithmetic and its numbers."""

from dataclasses import replace

import pytest

from otel_on_spot.drills.drought.verdicts import Course, measures, rounds_of, verdicts
from tests.unit.drills.droughts import drought, everything, zone


def statuses(course: Course) -> dict[str, str]:
    return {verdict.id: verdict.status for verdict in verdicts(course)}


def test_each_variant_is_judged_by_its_own_lines() -> None:
    returning = ["back", "moved-once"]
    assert list(statuses(drought())) == ["taken", "rounds", "fallback", "running", *returning, "front-path"]
    assert list(statuses(zone())) == ["taken", "rounds", "fallback", "running", "front-path"]
    assert list(statuses(everything())) == ["taken", "told", "stays", "running", *returning, "front-path"]


@pytest.mark.parametrize(
    ("seconds", "rounds"),
    [((), 0), ((3.0,), 1), ((3.0, 4.9, 7.0), 1), ((13.0, 3.0), 2), ((3.0, 13.0, 14.0, 23.0), 3)],
)
def test_refusals_close_together_are_one_round(seconds: tuple[float, ...], rounds: int) -> None:
    assert rounds_of(seconds) == rounds


def test_the_arithmetic_adds_up() -> None:
    course = drought()
    assert course.took_text == "60.3 s = 1 s batch + 1 round x 10 s + 41 s boot + 8.3 s"
    assert course.allowed_text == "41 s boot + 30 s + 3 s between looks = 74 s"
    assert everything().allowed_text == (
        "41 s boot + 30 s + 3 s between looks + 180 s in which Karpenter leaves alone what was refused = 254 s"
    )
    assert replace(course, running=40.0).took_text.endswith("- 12.1 s")


def test_the_numbers_of_a_drill_are_told() -> None:
    told = measures(drought())
    assert told["taken away"] == "Spot, by the simulated EC2"
    assert told["On-Demand share"] == "100% (46 of 46 pods on new nodes)"
    assert told["back on Spot"] == "338 s after its return"
    assert told["evictions by node"] == "on-demand-a 46"
    assert told["bill, drought"] == "on-demand 0.0050 USD in 60 s"
    assert measures(replace(drought(), max_return=0.0))["back on Spot"] == "not followed"
