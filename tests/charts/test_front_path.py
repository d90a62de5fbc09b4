"""On-Demand replicas of the front path: the component's own pods, behind its Service, on nodes that are not Spot."""

from typing import Any

import pytest

from infra.demo_chart import over
from otel_on_spot.kubernetes.names import CAPACITY_TYPE, FRONT_PATH
from otel_on_spot.lab.gitops.demo_chart import STAND_IN
from otel_on_spot.plan.workloads import on_demand_floor
from tests.charts.demo_chart import DemoChart, Wrapper
from tests.charts.helm import HelmError
from tests.charts.workloads import by_name

FLOOR = {"frontPath": {"onDemandFloor": 2}}
OF_HOOK = {"lifecycle", "readinessProbe"}
OF_POD = {"containers", "nodeSelector", "terminationGracePeriodSeconds", "topologySpreadConstraints"}


@pytest.fixture(scope="module")
def templated(demo: DemoChart, tmp_path_factory: pytest.TempPathFactory) -> Wrapper:
    """The wrapper on a demo chart that has templates: the real one where it is there, else the lab's stand-in."""
    chart = demo if demo.source == "real" else DemoChart("real", STAND_IN, "stand-in")
    return Wrapper.assemble(chart, tmp_path_factory.mktemp("front-path"))


def deployments(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: thing["spec"] for name, thing in by_name(objects, "Deployment").items()}


def without(fields: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key not in names}


def test_unless_a_stack_asks_nothing_runs_on_demand_for_the_front_path(templated: Wrapper) -> None:
    assert not [name for name in deployments(templated.objects("prod")) if name.endswith("-on-demand")]


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_each_component_has_a_second_deployment_of_the_same_pods_on_demand(
    templated: Wrapper, environment: str
) -> None:
    objects = templated.objects(environment, FLOOR)
    found = deployments(objects)
    floor = on_demand_floor(over(templated.values(environment), FLOOR))
    assert {name for name in found if name.endswith("-on-demand")} == {f"{name}-on-demand" for name in floor}
    assert {"frontend", "frontend-proxy", "checkout"} <= set(floor)
    for name, replicas in floor.items():
        spot, ours = found[name], found[f"{name}-on-demand"]
        labels = spot["template"]["metadata"]["labels"] | {FRONT_PATH: "on-demand"}
        assert ours["replicas"] == replicas == 2
        # Neither Deployment owns the other's pods, and a newer chart's version is not in what cannot change.
        assert ours["selector"]["matchLabels"] == spot["selector"]["matchLabels"] | {FRONT_PATH: "on-demand"}
        assert ours["template"]["metadata"]["labels"] == labels
        theirs, pod = spot["template"]["spec"], ours["template"]["spec"]
        assert without(pod, OF_POD) == without(theirs, OF_POD)
        assert without(pod["containers"][0], OF_HOOK) == without(theirs["containers"][0], OF_HOOK)
        assert pod["nodeSelector"] == {CAPACITY_TYPE: "on-demand"}
        assert pod["terminationGracePeriodSeconds"] == 45
        assert pod["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 10}}}
        assert "readinessProbe" in pod["containers"][0]
        service = by_name(objects, "Service")[name]["spec"]["selector"]
        assert service.items() <= labels.items(), "its Service does not lead to them"
        (budget,) = [thing for thing in objects if thing["kind"] == "PodDisruptionBudget" and _selects(thing, labels)]
        assert budget["spec"]["maxUnavailable"] == 1


def _selects(budget: dict[str, Any], labels: dict[str, str]) -> bool:
    return budget["spec"]["selector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize(
    ("name", "said"),
    [("no-such", "frontPath: no-such is no component"), ("kafka", "frontPath: kafka is a database")],
)
def test_what_cannot_have_a_second_deployment_is_refused(templated: Wrapper, name: str, said: str) -> None:
    with pytest.raises(HelmError, match=said):
        templated.objects("dev", {"frontPath": {"onDemandFloor": 1, "workloads": [name]}})


def test_a_component_that_is_turned_off_is_refused(templated: Wrapper) -> None:
    off = {"opentelemetry-demo": {"components": {"quote": {"enabled": False}}}}
    with pytest.raises(HelmError, match="frontPath: quote is no component"):
        templated.objects("dev", over(FLOOR, off))
