"""The stress drill against a cluster in memory: what it promises, what it refuses, and what it finds."""

import csv
import io
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from otel_on_spot.drills.drill import Drill, DrillRefusedError
from otel_on_spot.drills.lease import NotRestoredError
from otel_on_spot.drills.stress import run
from otel_on_spot.drills.stress.plot import svg
from otel_on_spot.drills.stress.watch import COLUMNS, as_csv
from otel_on_spot.kubernetes.names import FRONT_PATH, POD
from otel_on_spot.report import Report
from tests.unit.drills.drilled import found, statuses
from tests.unit.drills.kubernetes_front import Answer
from tests.unit.drills.stress_platform import APPLICATION, Platform


def seen(report: Report) -> str:
    return " | ".join(words for line in found(report).values() for words in line)


def test_it_scales_holds_and_puts_everything_back(platform: Platform) -> None:
    report = platform.drill()
    assert statuses(report) == {"replicas": "ok", "held": "ok", "restored": "ok", "untouched": "ok"}
    assert report.exit_code == 0
    assert max(sample.running for sample in platform.samples) == 5
    assert report.measures["their cost"] == "0.030 USD/h before, at most 0.030 USD/h"
    assert report.measures["left over"] == "no NodeClaim more than before"
    platform.put_back()


def test_on_demand_replicas_of_the_same_component_are_not_counted(platform: Platform) -> None:
    labels = {"app": "frontend", FRONT_PATH: "on-demand"}
    floor = platform.there.front.add(POD, "floor", metadata={"labels": labels}, status={"phase": "Running"})
    report = platform.drill()
    assert statuses(report) == {"replicas": "ok", "held": "ok", "restored": "ok", "untouched": "ok"}
    assert max(sample.running for sample in platform.samples) == 5
    assert floor in platform.there.front.objects


def test_the_window_is_there_before_the_first_replica_and_goes_after_the_scale(platform: Platform) -> None:
    platform.drill()
    paths = [path for _, path, _ in platform.there.front.writes if "leases" not in path]
    made = [path.rpartition("/")[2] for path in paths]
    assert made == ["platform", "scale", "scale", "scale", "platform"]


def test_a_suspension_that_does_not_hold_is_refused_before_many_replicas_are_made(platform: Platform) -> None:
    platform.heals = True
    with pytest.raises(
        DrillRefusedError, match="automatic sync could not be suspended: frontend was put back from 2 to 1"
    ):
        platform.drill()
    asked = [body["spec"]["replicas"] for _, path, body in platform.there.front.writes if path.endswith("scale")]
    assert 5 not in asked
    platform.put_back()


def test_an_argo_cd_that_notices_nothing_is_refused(platform: Platform) -> None:
    platform.sees = False
    with pytest.raises(DrillRefusedError, match="Argo CD did not notice one more replica of frontend"):
        platform.drill()
    platform.put_back()


def test_pods_that_never_run_are_found(platform: Platform) -> None:
    platform.runs = 3
    report = platform.drill()
    assert statuses(report) == {"replicas": "found", "held": "found", "restored": "ok", "untouched": "ok"}
    assert "at most 3 of 5 pods were Running, waited 0 s" in seen(report)
    assert report.exit_code == 1
    platform.put_back()


def at_the_hold(platform: Platform, monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Something happens as soon as it holds."""
    hold = run._hold

    def holding_(drill: Drill, *rest: Any) -> None:
        act()
        hold(drill, *rest)

    monkeypatch.setattr(run, "_hold", holding_)


def test_a_scale_that_somebody_reverts_is_found(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    at_the_hold(
        platform, monkeypatch, lambda: platform.there.front.find("Deployment", "frontend")["spec"].update(replicas=1)
    )
    report = platform.drill(hold=30)
    assert statuses(report)["held"] == "found"
    assert "frontend: scaled back to 1 by somebody else" in seen(report)
    platform.put_back()


def test_a_pod_that_goes_while_holding_is_found(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    def goes() -> None:
        platform.runs = 4
        platform.scaled(5)

    at_the_hold(platform, monkeypatch, goes)
    report = platform.drill()
    assert statuses(report)["held"] == "found"
    assert "4 of 5 pods Running in" in seen(report)


def test_pods_of_an_earlier_scale_are_no_proof_that_all_run(platform: Platform) -> None:
    deployment = platform.there.front.find("Deployment", "frontend")
    deployment["metadata"]["generation"] = 3
    deployment["status"] = {"observedGeneration": 2}
    report = platform.drill()
    assert statuses(report)["replicas"] == "found"
    platform.put_back()


def test_pods_that_stay_though_the_scale_is_back_are_found(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    at_the_hold(platform, monkeypatch, lambda: setattr(platform, "stuck", True))
    report = platform.drill()
    assert statuses(report)["restored"] == "found"
    assert "frontend: 5 pods are left, 1 wanted" in seen(report)


def test_ctrl_c_puts_back_and_looks_again(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    def press() -> None:
        raise KeyboardInterrupt

    at_the_hold(platform, monkeypatch, press)
    with pytest.raises(KeyboardInterrupt):
        platform.drill()
    platform.put_back()
    assert platform.moments[-1].what == "all is as it was"


def test_a_lease_that_is_lost_ends_it_and_nothing_is_touched(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_the_hold(platform, monkeypatch, lambda: platform.there.held_by("grace@elsewhere/7"))
    with pytest.raises(NotRestoredError, match="taken over"):
        platform.drill(hold=30)
    assert platform.there.replicas == 5
    assert len(platform.there.windows) == 1


def test_a_silent_api_server_is_waited_for(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = platform.there.front.answer
    left = [503] * 3

    def broken(target: str) -> Answer:
        return (left.pop(), {}) if left and "pods" in target else answer(target)

    at_the_hold(platform, monkeypatch, lambda: monkeypatch.setattr(platform.there.front, "answer", broken))
    report = platform.drill()
    assert report.exit_code == 0
    assert [moment.what for moment in report.moments if "answer" in moment.what] == [
        "the API server does not answer",
        "the API server answers again",
    ]


def test_what_is_not_as_before_is_found(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    front = platform.there.front
    other = {**APPLICATION, "metadata": {"name": "cluster-base", "namespace": "argocd"}}
    front.objects.append({**other, "status": {"sync": {"status": "Synced"}}})

    def act() -> None:
        front.find("Application", "cluster-base")["status"]["sync"]["status"] = "OutOfSync"

    at_the_hold(platform, monkeypatch, act)
    report = platform.drill()
    assert statuses(report) == {"replicas": "ok", "held": "ok", "restored": "ok", "untouched": "found"}
    assert "Application cluster-base: is OutOfSync, and was Synced before the drill" in seen(report)


def test_the_csv_has_a_row_a_sample_with_what_happened(platform: Platform) -> None:
    report = platform.drill()
    rows = list(csv.DictReader(io.StringIO(as_csv(platform.samples))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(platform.samples)
    assert max(int(row["replicas_wanted"]) for row in rows) == 5
    assert (rows[0]["nodes_spot"], rows[0]["cost_usd_per_hour"]) == ("1", "0.0300")
    events = [event for row in rows for event in row["event"].split("; ") if event]
    assert events == [moment.what for moment in report.moments]


def test_the_picture_draws_every_lane_and_marks_every_moment(platform: Platform) -> None:
    report = platform.drill()
    drawn = svg(platform.samples, report.moments, "a <title>")
    root = ElementTree.fromstring(drawn)
    told = " ".join(text for text in root.itertext())
    for words in ("a <title>", "pods", "wanted", "Running", "Pending", "Spot", "On-Demand", "USD an hour"):
        assert words in told
    for moment in report.moments:
        assert moment.what in told
    numbers = [float(number) for number in re.findall(r"(?<=[ ,LM\"])-?\d+\.\d(?=[ ,\"])", drawn)]
    assert max(numbers) <= float(root.attrib["height"]) + float(root.attrib["width"])


def test_the_picture_of_nothing_is_a_picture() -> None:
    ElementTree.fromstring(svg((), (), "nothing"))
