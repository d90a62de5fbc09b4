"""What the demo asks for, read from the wrapper's values: held against the chart's own list of workloads."""

import json
from pathlib import Path

import pytest

from otel_on_spot import project
from otel_on_spot.errors import ToolError
from otel_on_spot.plan.workloads import Workload, workloads

ROOT = project.root()
RECORDED = ROOT.parent / "shared/charts/opentelemetry-demo-0.38.6/workloads.json"
DATABASES = {"kafka", "opensearch", "postgresql", "prometheus", "valkey-cart"}


def by_name(root: Path, environment: str) -> dict[str, Workload]:
    return {workload.name: workload for workload in workloads(root, environment)}


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_every_workload_of_the_chart_is_there_and_asks_for_cpu_and_memory(environment: str) -> None:
    found = by_name(ROOT, environment)

    assert {name for name, workload in found.items() if workload.pool} == DATABASES
    assert {workload.pool for workload in found.values()} == {"", "data"}
    assert [name for name, workload in found.items() if not (workload.cpu_millis and workload.memory_mib)] == []


def test_the_list_is_the_demo_charts_own() -> None:
    if not RECORDED.is_file():
        pytest.skip("needs the demo chart's recorded workloads, which are not here")
    recorded = json.loads(RECORDED.read_text())["workloads"]

    assert set(by_name(ROOT, "dev")) == {workload["name"] for workload in recorded}


def test_a_pod_asks_for_all_its_containers_and_prod_for_replicas_that_stay_apart() -> None:
    dev, prod = by_name(ROOT, "dev"), by_name(ROOT, "prod")

    assert (dev["flagd"].cpu_millis, dev["grafana"].cpu_millis) == (40, 110)
    assert {workload.replicas for workload in dev.values()} == {1}
    assert (prod["frontend"].replicas, prod["frontend"].cpu_millis, prod["frontend"].apart) == (3, 200, True)
    assert not dev["frontend"].apart


def chart(root: Path, values: str, environment: str = "{}") -> Path:
    folder = root / "gitops/charts/otel-demo"
    folder.mkdir(parents=True)
    (folder / "values.yaml").write_text(values)
    (folder / "values-dev.yaml").write_text(environment)
    return root


def test_an_init_container_that_asks_for_more_is_what_the_node_must_have(tmp_path: Path) -> None:
    values = """
        opentelemetry-demo:
          components:
            a:
              resources: {requests: {cpu: 1, memory: 1Gi}}
              initContainers: [{resources: {requests: {cpu: 1500m, memory: 1Mi}}}]
            b: {enabled: false, resources: {requests: {cpu: 1, memory: 1Gi}}}
    """
    root = chart(tmp_path, values, "opentelemetry-demo: {components: {a: {replicas: 4}}}")

    found = by_name(root, "dev")

    assert (found["a"].cpu_millis, found["a"].memory_mib, found["a"].replicas) == (1500, 1024, 4)
    assert "b" not in found


def test_values_that_are_not_there_are_named(tmp_path: Path) -> None:
    chart(tmp_path, "opentelemetry-demo: {components: {}}")
    with pytest.raises(ToolError, match=r"there is no gitops/charts/otel-demo/values-prod\.yaml"):
        workloads(tmp_path, "prod")
