"""The stand-in renders and refuses what the real demo chart does, as far as placement, size and service go."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.lab.gitops.demo_chart import STAND_IN
from tests.charts import helm
from tests.charts.demo_chart import REPOSITORY, DemoChart, Wrapper, checked

RECORDED = REPOSITORY.parent / "shared" / "charts" / "opentelemetry-demo-0.38.6"
ENVIRONMENTS = ("dev", "staging", "prod", "lab")
WORKLOADS = ("Deployment", "StatefulSet")


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Wrapper:
    return Wrapper.assemble(DemoChart("real", STAND_IN, "stand-in"), tmp_path_factory.mktemp("stand-in"))


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Wrapper:
    given = os.environ.get("DEMO_CHART")
    if not given:
        pytest.skip("needs the real demo chart: give its unpacked directory in DEMO_CHART")
    chart = DemoChart("real", checked(Path(given).resolve()), "given")
    return Wrapper.assemble(chart, tmp_path_factory.mktemp("real"))


@cache
def recorded() -> dict[str, dict[str, Any]]:
    file = RECORDED / "workloads.json"
    if not file.exists():
        pytest.skip("needs the recorded workloads of the demo in ../shared")
    return {workload["name"]: workload for workload in json.loads(file.read_text())["workloads"]}


@cache
def plain() -> list[dict[str, Any]]:
    """The stand-in alone, with its own values."""
    return helm.render(STAND_IN, release="otel-demo", namespace="otel-demo", values={})


def by_name(objects: list[dict[str, Any]], kinds: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    return {manifest["metadata"]["name"]: manifest for manifest in objects if manifest["kind"] in kinds}


def containers(workload: dict[str, Any], key: str = "containers") -> dict[str, Any]:
    return {entry["name"]: entry for entry in workload["spec"]["template"]["spec"].get(key) or []}


def test_its_description_says_that_it_is_a_stand_in() -> None:
    assert "description: STAND-IN" in (STAND_IN / "Chart.yaml").read_text()
    assert "STAND-IN" in json.loads((STAND_IN / "values.schema.json").read_text())["title"]


def test_it_has_the_recorded_workloads_and_no_other() -> None:
    found = by_name(plain(), WORKLOADS)

    assert {name: entry["kind"] for name, entry in found.items()} == {
        name: entry["kind"] for name, entry in recorded().items()
    }
    assert len(found) == 25


def test_replicas_selectors_labels_containers_ports_and_resources_are_the_recorded_ones() -> None:
    for name, workload in by_name(plain(), WORKLOADS).items():
        fact = recorded()[name]
        pod = workload["spec"]["template"]
        assert workload["spec"]["replicas"] == fact["replicas"], name
        assert workload["spec"]["selector"] == fact["selector"], name
        assert pod["metadata"]["labels"] == fact["labels"], name
        assert pod["spec"].get("serviceAccountName") == fact["serviceAccount"], name
        assert list(containers(workload, "initContainers")) == fact["initContainers"], name
        told = {
            container["name"]: (container["resources"], sorted(container["ports"])) for container in fact["containers"]
        }
        seen = {
            key: (entry.get("resources", {}), sorted(port["containerPort"] for port in entry.get("ports", [])))
            for key, entry in containers(workload).items()
        }
        assert seen == told, name


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"nodeSelector": {"a": "b"}}, "nodeSelector"),
        ({"components": {"frontent": {"enabled": True}}}, "frontent"),
        ({"components": {"frontend": {"nodeSelector": {"a": "b"}}}}, "nodeSelector"),
        ({"components": {"frontend": {"replicas": "2"}}}, "replicas"),
        ({"default": {"tolerations": []}}, "tolerations"),
        ({"default": {"schedulingRules": {"nodeselector": {}}}}, "nodeselector"),
        ({"serviceAccount": {"labels": {}}}, "labels"),
        ({"components": {"kafka": {"ports": [{"name": "x"}]}}}, "value"),
        ({"components": {"cart": {"env": [{"value": "x"}]}}}, "name"),
        ({"components": {"cart": {"mountedConfigMaps": [{"name": "x", "mountPath": "/x"}]}}}, "oneOf|oneof"),
    ],
)
def test_it_refuses_what_the_real_strict_schema_refuses(fault: dict[str, Any], said: str) -> None:
    with pytest.raises(helm.HelmError, match=said):
        helm.render(STAND_IN, release="otel-demo", namespace="otel-demo", values=fault)


def test_every_refusal_here_is_one_of_the_real_schema_too() -> None:
    import jsonschema

    file = RECORDED / "values.schema.json"
    if not file.exists():
        pytest.skip("needs the real chart's schema in ../shared")
    ours, theirs = (
        jsonschema.Draft7Validator(json.loads(entry.read_text())) for entry in (STAND_IN / "values.schema.json", file)
    )
    defaults = helm.load_values([RECORDED / "values.yaml"])
    places: list[dict[str, Any]] = [
        {"x": 1},
        {"default": {"x": 1}},
        {"serviceAccount": {"x": 1}},
        {"components": {"x": {}}},
    ]
    inside = ("useDefault", "imageOverride", "service", "schedulingRules", "livenessProbe", "ingress")
    places += [{"components": {"cart": {"x": 1}}}, *({"components": {"cart": {key: {"x": 1}}}} for key in inside)]
    lists = ("ports", "env", "envOverrides", "mountedEmptyDirs", "mountedConfigMaps", "additionalVolumeMounts")
    places += [{"components": {"cart": {key: [{"name": "a", "x": 1}]}}} for key in lists]
    places += [
        {key: {"x": 1}}
        for key in ("grafana", "jaeger", "prometheus", "opensearch", "opentelemetry-collector", "global")
    ]
    for place in places:
        values = helm.layered(defaults, place)
        assert ours.is_valid(values) == theirs.is_valid(values), place


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_under_the_wrapper_the_databases_are_on_the_data_pool_and_nothing_else_is(
    stand_in: Wrapper, environment: str
) -> None:
    found = by_name(stand_in.objects(environment), WORKLOADS)
    placed = {name for name, entry in found.items() if entry["spec"]["template"]["spec"].get("nodeSelector")}

    assert placed == {"kafka", "opensearch", "postgresql", "prometheus", "valkey-cart"}
    assert len(found) == 25


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_under_the_wrapper_it_places_sizes_and_serves_every_workload_as_the_real_chart(
    stand_in: Wrapper, real: Wrapper, environment: str
) -> None:
    ours, theirs = (by_name(entry.objects(environment), WORKLOADS) for entry in (stand_in, real))

    assert ours.keys() == theirs.keys()
    for name, workload in theirs.items():
        assert scheduled(ours[name]) == scheduled(workload), name
    assert services(stand_in, environment) == services(real, environment)


def scheduled(workload: dict[str, Any]) -> dict[str, Any]:
    pod = workload["spec"]["template"]
    fields = ("nodeSelector", "tolerations", "affinity", "priorityClassName")
    sizes = {
        name: container.get("resources") or {}
        for key in ("containers", "initContainers")
        for name, container in containers(workload, key).items()
    }
    kept = (pod["metadata"].get("annotations") or {}).get("karpenter.sh/do-not-disrupt")
    rules = {field: pod["spec"].get(field) or None for field in fields}
    return {**rules, "replicas": workload["spec"]["replicas"], "sizes": sizes, "kept": kept}


def services(wrapper: Wrapper, environment: str) -> dict[str, Any]:
    found = by_name(wrapper.objects(environment), ("Service",))
    return {
        name: (entry["spec"]["selector"], sorted((port["name"], port["port"]) for port in entry["spec"]["ports"]))
        for name, entry in found.items()
    }
