"""Charts and images out of a registry of one's own: where releases take them from, and what is no place for one."""

from typing import Any

import pytest

from infra.settings import parse
from otel_on_spot.plan.record import record
from otel_on_spot.program.recording import Recording
from tests.unit.settings.test_settings import committed

RELEASE = "kubernetes:helm.sh/v3:Release"
MIRROR = "444455556666.dkr.ecr.eu-west-1.amazonaws.com"
MIRRORED = {
    "karpenter": {
        "chartRepository": f"oci://{MIRROR}/karpenter",
        "imageRepository": f"{MIRROR}/karpenter/controller",
    },
    "argocd": {
        "chartRepository": f"oci://{MIRROR}/argo",
        "imageRepository": f"{MIRROR}/argoproj/argocd",
        "redisImageRepository": f"{MIRROR}/docker/library/redis",
    },
}


def releases(plan: Recording) -> dict[str, dict[str, Any]]:
    return {release.inputs["name"]: dict(release.inputs) for release in plan.of_type(RELEASE)}


def images(value: Any) -> set[str]:
    """Every image repository that a chart is given."""
    if isinstance(value, dict):
        own = {value["image"]["repository"]} if isinstance(value.get("image"), dict) else set()
        return own.union(*map(images, value.values()))
    return set()


def test_charts_and_images_come_from_the_mirror() -> None:
    found = releases(
        record("dev", config_overrides={key: committed("dev")[key] | more for key, more in MIRRORED.items()})
    )
    assert {name: release["chart"] for name, release in found.items()} == {
        "karpenter-crd": f"oci://{MIRROR}/karpenter/karpenter-crd",
        "karpenter": f"oci://{MIRROR}/karpenter/karpenter",
        "argocd": f"oci://{MIRROR}/argo/argo-cd",
    }
    assert not any(release.get("repositoryOpts") for release in found.values())
    assert images(found["karpenter"]["values"]["controller"]) == {f"{MIRROR}/karpenter/controller"}
    assert found["argocd"]["values"]["global"]["image"] == {"repository": f"{MIRROR}/argoproj/argocd"}
    assert found["argocd"]["values"]["redis"]["image"] == {"repository": f"{MIRROR}/docker/library/redis"}
    assert found["argocd"]["values"]["redis"]["resources"]


def test_without_a_mirror_they_come_from_where_they_are_published(dev: Recording) -> None:
    found = releases(dev)
    assert found["karpenter"]["chart"] == "oci://public.ecr.aws/karpenter/karpenter"
    assert (found["argocd"]["chart"], found["argocd"]["repositoryOpts"]) == (
        "argo-cd",
        {"repo": "https://argoproj.github.io/argo-helm"},
    )
    assert [name for name, release in found.items() if images(release.get("values"))] == []


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("karpenter", "chartRepository", "public.ecr.aws/karpenter"),
        ("karpenter", "chartRepository", "http://charts.corp/karpenter"),
        ("karpenter", "chartRepository", "oci://public.ecr.aws/karpenter/"),
        ("argocd", "chartRepository", "oci://user:password@registry.corp/argo"),
        ("karpenter", "imageRepository", f"oci://{MIRROR}/karpenter"),
        ("argocd", "imageRepository", f"{MIRROR}/argocd:v3.5.3"),
        ("argocd", "imageRepository", f"{MIRROR}/argocd@sha256:0"),
        ("argocd", "redisImageRepository", "redis"),
        ("argocd", "redisImageRepository", f"{MIRROR}/Redis"),
    ],
)
def test_what_is_no_place_of_a_chart_or_an_image_is_refused(section: str, key: str, value: str) -> None:
    raw = committed("dev")
    settings, problems = parse(raw | {section: raw[section] | {key: value}})
    assert settings is None
    assert [problem.key for problem in problems] == [f"{section}.{key}"]
