"""What the stress drill refuses before it changes anything, and what it says before it begins."""

from collections.abc import Callable
from typing import Any

import pytest

from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.drills.stress import prices
from otel_on_spot.kubernetes.names import AUTOSCALER
from tests.unit.drills.stress_platform import Platform


def out_of_sync(platform: Platform) -> None:
    platform.there.front.find("Application", "otel-demo")["status"]["sync"]["status"] = "OutOfSync"


def not_from_git(platform: Platform) -> None:
    platform.there.front.find("Application", "otel-demo")["status"]["resources"] = []


def scaled_by_an_autoscaler(platform: Platform) -> None:
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "frontend"}}
    platform.there.front.add(AUTOSCALER, "web", spec=spec)


@pytest.mark.parametrize(
    ("disturb", "options", "said"),
    [
        (None, {"deployment": "nobody"}, "there is no Deployment nobody in namespace otel-demo"),
        (None, {"replicas": 1}, "--replicas 1: frontend has 1 already"),
        (out_of_sync, {}, "Application otel-demo is OutOfSync: the cluster differs from Git"),
        (not_from_git, {}, "no Application of project platform deploys Deployment otel-demo/frontend"),
        (scaled_by_an_autoscaler, {}, "HorizontalPodAutoscaler web owns the scale of Deployment frontend"),
    ],
)
def test_what_cannot_be_scaled_up_for_a_while_is_refused(
    platform: Platform, disturb: Callable[[Platform], None] | None, options: dict[str, Any], said: str
) -> None:
    if disturb:
        disturb(platform)
    with pytest.raises(DrillRefusedError, match=said):
        platform.drill(**options)
    assert not [path for _, path, _ in platform.there.front.writes if "leases" not in path]


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
