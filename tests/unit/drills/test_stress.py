"""The stress drill against a cluster in memory: what it promises, what it refuses, and what it finds."""

import csv
import io
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import pytest

from drills import holding, leftovers
from drills.drill import Drill, DrillRefused, begun
from drills.kubernetes_api import Object
from drills.report import Report
from drills.stress import beginning, prices, run, verifying
from drills.stress.plot import svg
from drills.stress.record import COLUMNS, as_csv
from drills.stress.run import Wanted
from drills.stress.watching import Sample
from drills.timeline import Moment
from tests.unit.drills.cluster import Cluster, cluster
from tests.unit.drills.kubernetes_front import Answer

SIZE = {"cpu": "2", "memory": "8Gi", "pods": "29"}
APPLICATION = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Application",
    "metadata": {"name": "otel-demo", "namespace": "argocd"},
    "spec": {"project": "platform"},
    "status": {
        "sync": {"status": "Synced"},
        "resources": [{"kind": "Deployment", "namespace": "otel-demo", "name": "frontend"}],
    },
}


@dataclass
class Platform:
    """A cluster in memory with a scheduler and an Argo CD that do as told.

    ``heals``: Argo CD undoes a scale in spite of any window. ``sees``: it notices. ``runs``: how many pods may run at most.
    """

    there: Cluster
    heals: bool = False
    sees: bool = True
    runs: int = 1000
    samples: list[Sample] = field(default_factory=list)
    moments: Sequence[Moment] = ()

    def react(self, _verb: str, path: str, body: Object) -> Answer | None:
        if path.endswith("/scale"):
            self.scaled(body["spec"]["replicas"])
            if self.heals and body["spec"]["replicas"] > 1:
                return 200, {}  # undone before anybody looks
        return None

    def scaled(self, replicas: int) -> None:
        objects = self.there.front.objects
        objects[:] = [one for one in objects if one["kind"] != "Pod"]
        for number in range(replicas):
            phase = "Running" if number < self.runs else "Pending"
            objects.append(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": f"p{number}", "namespace": "otel-demo", "labels": {"app": "frontend"}},
                    "status": {"phase": phase},
                }
            )
        synced = replicas == 1 or not self.sees
        self.there.front.one("Application", "otel-demo")["status"]["sync"]["status"] = (
            "Synced" if synced else "OutOfSync"
        )

    def drill(self, **more: Any) -> Report:
        given = {"replicas": 5, "hold": 0.1, "max_wait": 0.3, "deployment": "frontend", **more}
        wanted = Wanted(namespace="otel-demo", **given)
        there = self.there

        def keep(samples: Sequence[Sample], moments: Sequence[Moment]) -> None:
            self.moments = moments

        with begun(there.target, there.api, "stress", why="", seconds=60, tell=there.told.append) as one:
            return run.stress(one, wanted, tell=there.told.append, shown=self.samples.append, keep=keep)

    def put_back(self) -> None:
        assert self.there.replicas == 1
        assert self.there.windows == []
        assert self.there.lease is None


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    for module, name, seconds in (
        (run, "EVERY_SECONDS", 0.02),
        (run, "TRIAL_SECONDS", 0.1),
        (run, "NOTICED_SECONDS", 0.2),
        (verifying, "EVERY_SECONDS", 0.02),
        (verifying, "STAYS_SECONDS", 0.05),
        (verifying, "SYNCED_SECONDS", 0.2),
        (beginning, "SYNCED_SECONDS", 0.0),
        (holding, "RENEW_SECONDS", 0.05),
    ):
        monkeypatch.setattr(module, name, seconds)
    monkeypatch.setattr(prices.Prices, "of", lambda _self, kind, *_: {"spot": 0.03}.get(kind))
    with cluster() as there:
        container = {"name": "c", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}
        there.front.one("Deployment", "frontend")["spec"] |= {
            "selector": {"matchLabels": {"app": "frontend"}},
            "template": {"spec": {"containers": [container]}},
        }
        labels = {
            "karpenter.sh/nodepool": "spot",
            "karpenter.sh/capacity-type": "spot",
            "node.kubernetes.io/instance-type": "m7i.large",
            "topology.kubernetes.io/zone": "eu-west-1a",
        }
        pool = {"template": {"spec": {}}, "limits": {"cpu": "4"}, "disruption": {"consolidateAfter": "30s"}}
        karpenter = {"apiVersion": "karpenter.sh/v1"}
        there.front.objects += [
            {**APPLICATION, "status": {**APPLICATION["status"], "sync": {"status": "Synced"}}},  # ty: ignore[invalid-argument-type]
            {**karpenter, "kind": "NodePool", "metadata": {"name": "spot"}, "spec": pool},
            {
                **karpenter,
                "kind": "NodeClaim",
                "metadata": {"name": "spot-a", "labels": labels},
                "status": {"providerID": "aws:///eu-west-1a/i-1"},
            },
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": "n", "labels": labels},
                "status": {"allocatable": SIZE},
            },
        ]
        made = Platform(there)
        made.scaled(1)
        there.front.meddle = made.react
        yield made


def statuses(report: Report) -> dict[str, str]:
    return {one.id: one.status for one in report.verdicts}


def seen(report: Report) -> str:
    return " | ".join(f"{one.subject}: {one.seen}" for verdict in report.verdicts for one in verdict.findings)


def test_it_scales_holds_and_puts_everything_back(platform: Platform) -> None:
    report = platform.drill()
    assert statuses(report) == {"replicas": "ok", "held": "ok", "restored": "ok", "untouched": "ok"}
    assert report.exit_code == 0
    assert max(one.running for one in platform.samples) == 5
    assert report.measures["their cost"] == "0.030 USD/h before, at most 0.030 USD/h"
    assert report.measures["left over"] == "no NodeClaim more than before"
    platform.put_back()


def test_the_window_is_there_before_the_first_replica_and_goes_after_the_scale(platform: Platform) -> None:
    platform.drill()
    paths = [path for _, path, _ in platform.there.front.writes if "leases" not in path]
    made = [path.rpartition("/")[2] for path in paths]
    assert made == ["platform", "scale", "scale", "scale", "platform"]


def test_a_suspension_that_does_not_hold_is_refused_before_many_replicas_are_made(platform: Platform) -> None:
    platform.heals = True
    with pytest.raises(DrillRefused, match="automatic sync could not be suspended: frontend was put back from 2 to 1"):
        platform.drill()
    asked = [body["spec"]["replicas"] for _, path, body in platform.there.front.writes if path.endswith("scale")]
    assert 5 not in asked
    platform.put_back()


def test_an_argo_cd_that_notices_nothing_is_refused(platform: Platform) -> None:
    platform.sees = False
    with pytest.raises(DrillRefused, match="Argo CD did not notice one more replica of frontend"):
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
        platform, monkeypatch, lambda: platform.there.front.one("Deployment", "frontend")["spec"].update(replicas=1)
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
    with pytest.raises(holding.NotRestored, match="taken over"):
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
    assert [one.what for one in report.moments if "answer" in one.what] == [
        "the API server does not answer",
        "the API server answers again",
    ]


def test_what_is_not_as_before_is_found(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    front = platform.there.front
    other = {**APPLICATION, "metadata": {"name": "cluster-base", "namespace": "argocd"}}
    front.objects.append({**other, "status": {"sync": {"status": "Synced"}}})

    def act() -> None:
        front.one("Application", "cluster-base")["status"]["sync"]["status"] = "OutOfSync"

    at_the_hold(platform, monkeypatch, act)
    report = platform.drill()
    assert statuses(report) == {"replicas": "ok", "held": "ok", "restored": "ok", "untouched": "found"}
    assert "Application cluster-base: is OutOfSync, and was Synced before the drill" in seen(report)


def refusal(platform: Platform, **more: Any) -> str:
    with pytest.raises(DrillRefused) as told:
        platform.drill(**more)
    assert not [path for _, path, _ in platform.there.front.writes if "leases" not in path]
    return str(told.value)


def test_a_deployment_that_is_not_there_is_refused(platform: Platform) -> None:
    assert "there is no Deployment nobody in namespace otel-demo" in refusal(platform, deployment="nobody")


def test_an_application_that_differs_from_git_already_is_refused(platform: Platform) -> None:
    platform.there.front.one("Application", "otel-demo")["status"]["sync"]["status"] = "OutOfSync"
    assert "Application otel-demo is OutOfSync: the cluster differs from Git" in refusal(platform)


def test_an_autoscaler_that_owns_the_scale_is_refused(platform: Platform) -> None:
    target = {"kind": "Deployment", "name": "frontend"}
    platform.there.front.objects.append(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web", "namespace": "otel-demo"},
            "spec": {"scaleTargetRef": target},
        }
    )
    assert "HorizontalPodAutoscaler web owns the scale of Deployment frontend" in refusal(platform)


def test_a_deployment_that_is_not_from_git_is_refused(platform: Platform) -> None:
    platform.there.front.one("Application", "otel-demo")["status"]["resources"] = []
    assert "no Application of project platform deploys Deployment otel-demo/frontend" in refusal(platform)


def test_fewer_replicas_than_there_are_is_refused(platform: Platform) -> None:
    assert "--replicas 1: frontend has 1 already" in refusal(platform, replicas=1)


def test_limits_that_cannot_take_the_pods_are_said_by_how_much(platform: Platform) -> None:
    platform.runs = 3
    platform.drill(replicas=12)
    warned = next(line for line in platform.there.told if line.startswith("warning"))
    assert warned == (
        "warning: 11 more pods lack 1.5 vCPU of 5.5 under the limits of the pools (spot); some will stay Pending"
    )


def test_the_estimate_says_nodes_and_price_and_without_a_price_that(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = platform.drill(replicas=11).measures["estimated"]
    assert told.startswith("about 3 more spot nodes like the smallest that is there (m7i.large), 0.090 USD/h")
    monkeypatch.setattr(prices.Prices, "of", lambda *_: None)
    report = platform.drill()
    assert report.measures["estimated"].endswith("(m7i.large), no price")
    assert report.measures["their cost"] == "no price before, at most no price"


def test_the_csv_has_a_row_a_sample_with_what_happened(platform: Platform) -> None:
    report = platform.drill()
    rows = list(csv.DictReader(io.StringIO(as_csv(platform.samples))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(platform.samples)
    assert max(int(row["replicas_wanted"]) for row in rows) == 5
    assert (rows[0]["nodes_spot"], rows[0]["cost_usd_per_hour"]) == ("1", "0.0300")
    events = "; ".join(row["event"] for row in rows)
    assert "scaled to 5" in events
    assert len(report.moments) >= events.count(";")


def test_the_picture_draws_every_lane_and_marks_every_moment(platform: Platform) -> None:
    report = platform.drill()
    drawn = svg(platform.samples, report.moments, "a <title>")
    root = ElementTree.fromstring(drawn)
    told = " ".join(text for text in root.itertext())
    for words in ("a <title>", "pods", "wanted", "Running", "Pending", "Spot", "On-Demand", "USD an hour"):
        assert words in told
    for moment in report.moments:
        assert moment.what in told
    numbers = [float(one) for one in re.findall(r"(?<=[ ,LM\"])-?\d+\.\d(?=[ ,\"])", drawn)]
    assert max(numbers) <= float(root.attrib["height"]) + float(root.attrib["width"])


def test_the_picture_of_nothing_is_a_picture() -> None:
    ElementTree.fromstring(svg((), (), "nothing"))


@contextmanager
def windowed(there: Cluster, *windows: dict[str, Any]) -> Generator[None]:
    there.front.one("AppProject", "platform")["spec"]["syncWindows"] = list(windows)
    yield


def test_windows_of_drills_that_are_over_are_removed_and_nobody_elses() -> None:
    old = {"kind": "deny", "schedule": "1 1 1 1 *", "duration": "60s", "applications": ["*"]}
    ours = {**old, "description": "otel-on-spot drill stress by ada@here/7 until=2026-01-01T01:02:00Z"}
    lasting = {**old, "description": "otel-on-spot drill stress by ada@here/7 until=2999-01-01T01:02:00Z"}
    with cluster() as there, windowed(there, old, ours, lasting):
        told = leftovers.clean_up(there.target, there.api, there.told.append)
        assert told == ["deny window 1 1 1 1 * for 60s of an earlier drill: removed"]
        assert there.windows == [old, lasting]
        assert leftovers.clean_up(there.target, there.api, there.told.append) == []
