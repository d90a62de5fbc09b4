"""Every image of the demo is known, listed, and taken from a mirror where one is given; nothing pulls around it."""

from typing import Any

import pytest

from infra.app_of_apps import applications
from infra.demo_chart import over
from infra.images import DEMO, REPOSITORIES, demo_values, mirrored, named, normalized, repositories
from infra.images import TURNED_ON as REAL_TURNED_ON
from infra.settings import parse
from infra.settings.children import IMAGE_REGISTRIES
from otel_on_spot.plan.workloads import of_values
from tests.charts.demo_chart import REPOSITORY, Wrapper, contracts, of_version
from tests.charts.test_capacity import containers, pod_specs
from tests.charts.workloads import workloads
from tests.unit.settings.test_children import args
from tests.unit.settings.test_settings import committed

MIRRORS = {registry: f"mirror.test/{registry.partition('.')[0]}" for registry in IMAGE_REGISTRIES}


def listed_images(environment: str, **gitops: Any) -> dict[str, list[str]]:
    """The images of a stack with other values of ``gitops``."""
    raw = committed(environment)
    settings, problems = parse(raw | {"gitops": raw["gitops"] | gitops})
    assert settings is not None, problems
    values = {
        "clusterMetadata": {"environment": environment},
        "applications": applications(args(settings)),
    }
    return of_values(values, REPOSITORY)


def pulled(objects: list[dict[str, Any]]) -> set[str]:
    return {normalized(container["image"]) for spec in pod_specs(objects).values() for container in containers(spec)}


def test_what_the_plan_lists_is_what_the_chart_pulls(known_demo: Wrapper, environment: str):
    listed = set(listed_images(environment))
    hooks = pulled([manifest for manifest in known_demo.objects(environment) if manifest["kind"] == "Job"])
    if known_demo.demo.source == "real":
        assert listed == pulled(known_demo.objects(environment))
    else:
        found = {
            image for workload in workloads(known_demo, environment).values() for image in workload.images.values()
        }
        assert listed >= set(map(normalized, found)) | hooks
    assert {image.partition("/")[0] for image in listed} == IMAGE_REGISTRIES
    assert not any(image.endswith(":latest") or ":" not in image.rpartition("/")[2] for image in listed)


OWN_IMAGES = {
    "placementHook": {"image": {"repository": "registry.k8s.io/kubectl", "tag": "v1.35.1"}},
    DEMO: {
        "default": {"image": {"repository": "ghcr.io/acme/demo"}},
        "components": {
            "ad": {"imageOverride": {"repository": "quay.io/acme/ad", "tag": "1.0.0"}},
            "quote": {"initContainers": [{"name": "wait", "image": "busybox:1.36", "command": ["true"]}]},
            "email": {"imageOverride": {"repository": "registry.acme.io/email", "tag": "1.0.0"}},
        },
        "grafana": {"image": {"repository": "acme/grafana"}, "extraInitContainers": [{"image": "alpine:3.22"}]},
        "opensearch": {"image": {"repository": "docker.io/acme/opensearch", "tag": "3.2.0"}},
    },
}


def test_a_mirror_reaches_images_that_the_stack_file_names_itself() -> None:
    raw = committed("dev")
    own = {"imageRegistries": MIRRORS, "applications": {"otel-demo": {"values": OWN_IMAGES}}}
    settings, problems = parse(raw | {"gitops": raw["gitops"] | own})
    assert settings is not None, problems
    values = applications(args(settings))["otel-demo"]["values"]
    components = values[DEMO]["components"]

    assert values["placementHook"]["image"] == {"repository": "mirror.test/registry/kubectl", "tag": "v1.35.1"}
    assert values[DEMO]["default"]["image"]["repository"] == "mirror.test/ghcr/acme/demo"
    assert components["ad"]["imageOverride"] == {"repository": "mirror.test/quay/acme/ad", "tag": "1.0.0"}
    assert components["quote"]["initContainers"][0]["image"] == "mirror.test/docker/library/busybox:1.36"
    assert components["email"]["imageOverride"]["repository"] == "registry.acme.io/email"
    grafana = values[DEMO]["grafana"]
    assert (grafana["image"]["registry"], grafana["image"]["repository"]) == ("mirror.test", "docker/acme/grafana")
    assert grafana["extraInitContainers"][0]["image"] == "mirror.test/docker/library/alpine:3.22"
    assert values[DEMO]["opensearch"]["image"]["repository"] == "mirror.test/docker/acme/opensearch"


def test_a_mirror_of_every_registry_reaches_every_image_the_hooks_own_included(real_demo: Wrapper):
    plain = real_demo.objects("prod")
    mirrors = real_demo.objects("prod", demo_values(MIRRORS, ["pull"]))

    assert pulled(mirrors) == {mirrored(image, MIRRORS) for image in pulled(plain)}
    assert all(image.startswith("mirror.test/") for image in pulled(mirrors))


TURNED_ON: dict[str, Any] = {
    "grafana": {
        "persistence": {"enabled": True},
        "deploymentStrategy": {"type": "Recreate"},
        "dashboards": {"default": {"one": {"gnetId": 1, "revision": 1, "datasource": "prometheus"}}},
    },
    "prometheus": {"configmapReload": {"prometheus": {"enabled": True}}},
}


@pytest.mark.parametrize("version", sorted(set(contracts()) - {"0.39.0"}))
def test_what_only_values_turn_on_is_known_and_asks_for_memory(version: str, tmp_path):
    chart = Wrapper.assemble(of_version(version), tmp_path, version=version)
    if chart.demo.source != "real":
        pytest.skip(chart.demo.how)
    given = chart.values("dev")
    plain = named(given, "2", chart.variant)
    told = named(over(given, {DEMO: TURNED_ON}), "2", chart.variant)
    objects = chart.objects("dev", {DEMO: TURNED_ON})
    more = pulled(objects) - pulled(chart.objects("dev"))

    assert more == set(told) - set(plain)
    assert len(more) >= 2, "0.40's busybox is the wrapper's own"
    assert [
        container["name"]
        for spec in pod_specs(objects).values()
        for container in containers(spec)
        if not container.get("resources", {}).get("requests", {}).get("memory")
    ] == []


def test_what_only_values_turn_on_is_listed_and_mirrored():
    values = {"otel-demo": {"values": {DEMO: TURNED_ON}}}
    plain = set(listed_images("dev", imageRegistries=MIRRORS))
    more = set(listed_images("dev", imageRegistries=MIRRORS, applications=values)) - plain

    assert more == {mirrored(f"{repository}:{tag}", MIRRORS) for repository, tag in REAL_TURNED_ON.values()}
    assert all(image.startswith("mirror.test/") for image in more)


def test_a_pull_secret_reaches_every_pod_the_hooks_own_included(real_demo: Wrapper):
    specs = pod_specs(real_demo.objects("prod", demo_values({}, ["pull", "other"])))

    assert len(specs) == 28
    secrets = [{"name": "pull"}, {"name": "other"}]
    assert {name for name, spec in specs.items() if spec.get("imagePullSecrets") != secrets} == set()


def test_a_mirror_changes_images_and_nothing_else(real_demo: Wrapper):
    def without_images(objects: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            name: {
                key: [{k: v for k, v in entry.items() if k != "image"} for entry in value]
                if "ontainers" in key
                else value
                for key, value in spec.items()
            }
            for name, spec in pod_specs(objects).items()
        }

    assert without_images(real_demo.objects("dev", demo_values(MIRRORS, []))) == without_images(
        real_demo.objects("dev")
    )


def test_the_demo_charts_own_repositories_are_those_that_are_mirrored(known_demo: Wrapper):
    values = {DEMO: known_demo.demo.defaults}
    for path, (repository, _) in REPOSITORIES.items():
        found: Any = values
        for key in path.split("/"):
            found = (found or {}).get(key) if isinstance(found, dict) else None
        if found is not None and "grafana" not in path:
            assert normalized(found) == repository, path


@pytest.mark.parametrize("version", sorted(set(contracts()) - {"0.38.6", "0.39.0"}))
def test_the_images_of_a_newer_version_are_those_that_are_mirrored(version: str, tmp_path):
    chart = Wrapper.assemble(of_version(version), tmp_path, version=version)
    if chart.demo.source == "absent":
        pytest.skip(chart.demo.how)
    known = {f"{repository}:{tag}" for repository, tag in repositories(chart.variant).values() if tag}
    theirs = {
        normalized(image)
        for workload in workloads(chart, "prod").values()
        for image in workload.images.values()
        if "/open-telemetry/demo:" not in image and "busybox" not in image
    }

    assert {image for image in known ^ theirs if "opensearch" not in image} == set()
    assert {image.rpartition(":")[0] for image in known} == {image.rpartition(":")[0] for image in theirs}


def test_settings_reach_the_demo_and_the_stack_files_own_values_win():
    mirror = {"docker.io": "mirror.test/hub", "registry.k8s.io": "mirror.test/k8s"}
    mine = {"otel-demo": {"values": {"placementHook": {"image": {"repository": "mirror.test/mine/kubectl"}}}}}
    found = listed_images("dev", imageRegistries=mirror, applications=mine)

    assert "mirror.test/mine/kubectl" in {image.partition(":")[0] for image in found}
    assert "mirror.test/hub/library/busybox:1.37.0" in found
    assert not any(image.startswith("docker.io/") for image in found)
    assert any(image.startswith("ghcr.io/") for image in found), "its registry has no mirror"


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("busybox:1.37.0", "docker.io/library/busybox:1.37.0"),
        ("valkey/valkey:8", "docker.io/valkey/valkey:8"),
        ("quay.io/a/b:c", "quay.io/a/b:c"),
        ("localhost/a:1", "localhost/a:1"),
        ("registry:5000/a:1", "registry:5000/a:1"),
    ],
)
def test_an_image_without_a_registry_is_docker_hubs(given: str, whole: str):
    assert normalized(given) == whole


def test_a_demo_that_is_switched_off_pulls_nothing():
    assert listed_images("dev", applications={"otel-demo": {"enabled": False}}) == {}
