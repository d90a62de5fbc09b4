"""What the stress drill refuses before it changes anything, and what it says before it begins."""

from typing import Any

import pytest

from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.drills.stress import prices
from tests.unit.drills.stress_platform import Platform


def refusal(platform: Platform, **more: Any) -> str:
    with pytest.raises(DrillRefusedError) as told:
        platform.drill(**more)
    assert not [path for _, path, _ in platform.there.front.writes if "leases" not in path]
    return str(told.value)


def test_a_deployment_that_is_not_there_is_refused(platform: Platform) -> None:
    assert "there is no Deployment nobody in namespace otel-demo" in refusal(platform, deployment="nobody")


def test_an_application_that_differs_from_git_already_is_refused(platform: Platform) -> None:
    platform.there.front.find("Application", "otel-demo")["status"]["sync"]["status"] = "OutOfSync"
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
    platform.there.front.find("Application", "otel-demo")["status"]["resources"] = []
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
    assert told.startswith("about 3 spot nodes more, like the smallest that is there (m7i.large), 0.090 USD/h")
    monkeypatch.setattr(prices.Prices, "of", lambda *_: None)
    report = platform.drill()
    assert report.measures["estimated"].endswith("(m7i.large), no price")
    assert report.measures["their cost"] == "no price before, at most no price"
