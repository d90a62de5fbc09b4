"""On-Demand replicas of the front path in a plan: what the demo is told, and who counts them."""

from typing import Any

import pytest
import yaml

from otel_on_spot import declared, project
from otel_on_spot.drills.front_path import promise
from otel_on_spot.kubernetes.names import APPLICATION
from otel_on_spot.plan import cost
from otel_on_spot.plan.manifests import as_document
from otel_on_spot.plan.pools import report, service_rows
from otel_on_spot.plan.record import record
from otel_on_spot.plan.workloads import Service, on_spot
from otel_on_spot.program.recording import Recording
from tests.unit.conftest import recorded
from tests.unit.settings.test_settings import changed, committed, keys_of

ROOT = project.root()


@pytest.fixture(scope="module")
def with_floor() -> Recording:
    return record("lab", config_overrides={"frontPath": {"onDemandFloor": 1}})


def told(recording: Recording) -> dict[str, Any]:
    (application,) = recording.of_type(APPLICATION.token)
    return dict(cost.demo_values([application.inputs]))


def of(services: tuple[Service, ...], name: str) -> Service:
    return next(service for service in services if service.name == name)


def test_the_demo_is_told_of_a_floor_where_a_stack_asks_and_of_nothing_elsewhere(with_floor: Recording) -> None:
    assert told(with_floor)["frontPath"] == {"onDemandFloor": 1}
    assert "frontPath" not in told(recorded("lab"))


def test_the_plan_counts_the_replicas_that_no_spot_warning_takes(with_floor: Recording) -> None:
    found = report(with_floor, ROOT)
    frontend, email = of(found.services, "frontend"), of(found.services, "email")
    assert (frontend.workload.replicas, frontend.on_demand, frontend.budget) == (1, 1, "1")
    assert (email.on_demand, email.budget) == (0, "")
    assert found.findings == ()
    assert not [service.name for service in found.services if service.name.endswith("-on-demand")]
    assert any("1 and 1 On-Demand, 1 at a time" in row[1] for row in service_rows(found))


def test_several_replicas_on_one_node_are_no_loss_where_another_one_runs_on_demand() -> None:
    two = {
        "opentelemetry-demo": {"components": {"frontend": {"replicas": 2}}},
        "disruptionBudgets": {"maxUnavailable": 2},
    }
    alone = of(on_spot(ROOT, "lab", two), "frontend")
    beside = of(on_spot(ROOT, "lab", {**two, "frontPath": {"onDemandFloor": 1}}), "frontend")
    assert alone.problem[0].startswith("one node may carry all 2 replicas")
    assert beside.problem == ("", "")
    assert (beside.drain.pods, beside.drain.at_once) == (2, 2)


def test_the_estimate_has_the_on_demand_node_that_carries_them(with_floor: Recording) -> None:
    def nodes(recording: Recording) -> dict[str, float]:
        document = as_document(recording)
        lines = cost.estimate(document, cost.workloads_of(document, ROOT)).lines
        return {line.what: line.expected for line in lines if "nodes of pool" in line.what}

    without, ours = nodes(recorded("lab")), nodes(with_floor)
    more = [what for what in ours if ours[what] > without.get(what, 0)]
    assert [what.partition(",")[0] for what in more] == ["On-Demand nodes of pool on-demand"]


def test_a_drill_holds_the_stack_to_a_front_path_that_has_two_of_each(with_floor: Recording) -> None:
    single = declared.from_recording(recorded("lab"), root=ROOT).replicas
    double = declared.from_recording(with_floor, root=ROOT).replicas
    assert (single["frontend"], double["frontend"], double["email"]) == (1, 2, 1)
    assert set(single) == set(double)
    assert promise(single, "lab").waived
    assert not promise(double, "lab").waived


@pytest.mark.parametrize(
    ("stack", "floor", "more", "keys"),
    [
        ("staging", 1, {}, []),
        ("staging", 0, {}, []),
        ("staging", -1, {}, ["frontPath.onDemandFloor"]),
        ("staging", "1", {}, ["frontPath.onDemandFloor"]),
        ("dev", 1, {}, ["frontPath.onDemandFloor"]),
        ("dev", 0, {}, []),
        ("dev", 1, {"pools.spot.capacityTypes": ["spot", "on-demand"]}, []),
        (
            "staging",
            1,
            {"pools.on-demand.taints": [{"key": "own", "value": "x", "effect": "NoSchedule"}]},
            ["frontPath.onDemandFloor"],
        ),
        (
            "staging",
            1,
            {"pools.on-demand.taints": [{"key": "own", "value": "x", "effect": "PreferNoSchedule"}]},
            [],
        ),
        ("staging", 1, {"gitops.applications": {"otel-demo": {"enabled": False}}}, ["frontPath.onDemandFloor"]),
    ],
)
def test_a_floor_that_would_wait_for_ever_is_refused(
    stack: str, floor: object, more: dict[str, Any], keys: list[str]
) -> None:
    raw = committed(stack)
    for path, value in more.items():
        raw |= {path.split(".")[0]: changed(stack, path, value)[path.split(".")[0]]}
    found = [key for key in keys_of(raw | {"frontPath": {"onDemandFloor": floor}}) if key.startswith("frontPath")]
    assert found == keys


def test_the_front_path_that_a_purchase_takes_is_the_one_with_budgets() -> None:
    chart = ROOT / "gitops" / "charts" / "otel-demo"
    listed = yaml.safe_load((chart / "values.yaml").read_text())["frontPath"]["workloads"]
    for environment in ("staging", "prod"):
        values = yaml.safe_load((chart / f"values-{environment}.yaml").read_text())
        assert values["disruptionBudgets"]["workloads"] == listed
