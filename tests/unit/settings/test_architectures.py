"""arm64 beside amd64: every image of the demo is known to be built for it, or it is refused by name."""

from datetime import date
from typing import Any

import pytest

from infra import demo_chart, images
from infra.image_architectures import CHECKED, architectures, lacking
from infra.settings import parse
from infra.settings.problem import Problem
from tests.unit.settings.test_settings import changed, committed

BOTH = ["amd64", "arm64"]
OWN_IMAGE = {"opentelemetry-demo": {"components": {"cart": {"imageOverride": {"repository": "acme.test/cart"}}}}}
NEWER = {"placementHook": {"image": {"repository": "docker.io/library/postgres", "tag": "17.6"}}}


def problems(raw: dict[str, Any]) -> list[Problem]:
    return parse(raw)[1]


def with_values(raw: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    return raw | {"gitops": raw["gitops"] | {"applications": {"otel-demo": {"values": values}}}}


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_every_image_of_the_committed_stacks_is_read_for_both(stack: str) -> None:
    values = demo_chart.without_nulls(demo_chart.values(environment=stack))
    found = images.named(values, demo_chart.app_version(), demo_chart.variant())

    assert len(found) > 20
    assert [lacking(found, architecture) for architecture in BOTH] == [[], []]
    assert problems(changed(stack, "pools.spot.architectures", BOTH)) == []


@pytest.mark.parametrize(
    ("values", "image"),
    [(OWN_IMAGE, "acme.test/cart:2.1.3-cart"), (NEWER, "docker.io/library/postgres:17.6")],
    ids=["an image of one's own", "an image that nobody has read"],
)
@pytest.mark.parametrize("pool", ["spot", "data"])
def test_an_image_that_is_not_known_is_refused_by_name(values: dict[str, Any], image: str, pool: str) -> None:
    raw = with_values(changed("dev", f"pools.{pool}.architectures", BOTH), values)
    (problem,) = problems(raw)

    assert problem.key == f"pools.{pool}.architectures"
    assert image in problem.rule
    assert problems(with_values(committed("dev"), values)) == [], "amd64 alone asks nobody"


def test_a_pool_that_the_demo_does_not_land_on_may_have_any_architecture() -> None:
    own = committed("dev")["pools"]["spot"] | {
        "architectures": ["arm64"],
        "taints": [{"key": "team", "value": "a", "effect": "NoSchedule"}],
    }

    assert problems(with_values(changed("dev", "pools.graviton", own), OWN_IMAGE)) == []


def test_what_was_read_has_a_source_and_a_day_and_holds_for_its_tags_alone() -> None:
    for checked in CHECKED.values():
        assert checked.source.startswith("https://github.com/")
        assert date.fromisoformat(checked.on) <= date(2026, 12, 31)
    assert architectures("quay.io/kiwigrid/k8s-sidecar:1.30.10") == ("amd64", "arm64")
    assert architectures("quay.io/kiwigrid/k8s-sidecar:9.9.9") == ()
    assert architectures("docker.io/library/unknown:1") == ()
