"""What a plan says of its pools and of the Services on them: counted, priced, and held against two minutes."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from infra.karpenter.capacity import requirements
from infra.settings import instance_types, parse
from infra.settings.models import Pool
from otel_on_spot import project
from otel_on_spot.cli import app
from otel_on_spot.plan import pools
from otel_on_spot.plan.pools import CapacityReport, PoolReport, report, rows
from otel_on_spot.plan.record import record
from otel_on_spot.plan.workloads import CHART, Service, on_spot
from tests.unit.conftest import STACKS, recorded

ROOT = project.root()


def pool(found: CapacityReport, name: str) -> PoolReport:
    return next(entry for entry in found.pools if entry.name == name)


def declared(stack: str) -> dict[str, Pool]:
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    settings, problems = parse({key.removeprefix("otel-on-spot:"): value for key, value in config.items()})
    assert settings is not None, problems
    return settings.pools


@pytest.mark.parametrize("stack", [*STACKS, "lab"])
def test_what_is_declared_to_karpenter_counts_what_the_settings_rules_count(stack: str) -> None:
    found = report(recorded(stack), ROOT)

    assert {entry.name: (entry.types, entry.families) for entry in found.pools} == {
        name: (last.types, last.families)
        for name, pool in declared(stack).items()
        for last in [list(instance_types.choices(pool))[-1]]
    }


@pytest.mark.parametrize("stack", [*STACKS, "lab"])
def test_a_drought_costs_the_spot_pool_of_a_stack_one_round_with_choice_enough(stack: str) -> None:
    spot = pool(report(recorded(stack), ROOT), "spot")

    assert (spot.rounds, spot.most_rounds) == (1, 6)
    assert spot.drought == "1 to 6 rounds, 11 to 61 s"
    assert spot.types >= 3 * instance_types.SPOT_TO_SPOT_TYPES
    assert len(spot.zones) >= instance_types.SPOT_ZONES
    assert spot.largest_vcpus == 8
    assert spot.fallback == (() if stack == "dev" else ("on-demand",))


@pytest.mark.parametrize(
    ("shape", "types", "families"),
    [
        ({}, 684, 67),
        ({"bareMetal": False}, 606, 67),
        ({"maxVcpus": 16, "maxMemoryGib": 32, "localStorage": "required"}, 56, 20),
        ({"minVcpus": 4, "maxVcpus": 8, "localStorage": "none"}, 93, 47),
        ({"architectures": ["amd64", "arm64"], "maxVcpus": 4, "minVcpus": 4}, 101, 101),
        ({"labels": {"karpenter.k8s.aws/instance-family": "m7i"}}, 11, 1),
        ({"excludedInstanceFamilies": ["m5n", "c6in"]}, 665, 65),
    ],
)
def test_each_part_of_a_shape_narrows_what_karpenter_and_the_rules_count(
    shape: dict[str, Any], types: int, families: int
) -> None:
    shaped = Pool.model_validate({"capacityTypes": ["spot"], "limits": {"cpu": "1000", "memory": "10Ti"}} | shape)
    labels = [{"key": key, "operator": "In", "values": [value]} for key, value in shaped.labels.items()]
    met = instance_types.meeting([*requirements(shaped), *labels])
    rule = list(instance_types.choices(shaped))[-1]

    assert (len(met), len({kind.family for kind in met})) == (types, families) == (rule.types, rule.families)


def test_a_pool_of_few_types_has_no_spot_to_spot_and_one_of_one_zone_says_so() -> None:
    config = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]["otel-on-spot:pools"]
    config["spot"] |= {"maxVcpus": 4, "instanceCategories": ["c"], "zones": ["eu-west-1b"], "weight": 5}
    config["on-demand"] = {"capacityTypes": ["on-demand"], "limits": {"cpu": "16", "memory": "64Gi"}, "weight": 9}
    found = report(record("dev", config_overrides={"pools": config}), ROOT)
    spot = pool(found, "spot")

    assert (spot.types, spot.zones) == (10, ("eu-west-1b",))
    assert spot.spot_to_spot == "no: 10 types, 15 are needed"
    assert spot.fallback == ()
    assert pool(found, "on-demand").largest_vcpus <= 16


def test_a_pool_of_spot_and_on_demand_falls_back_to_its_own_on_demand_before_any_other() -> None:
    config = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]["otel-on-spot:pools"]
    config["spot"] |= {"capacityTypes": ["spot", "on-demand"], "weight": 5}
    config["last"] = {"capacityTypes": ["on-demand"], "limits": {"cpu": "16", "memory": "64Gi"}, "weight": 1}
    found = report(record("dev", config_overrides={"pools": config}), ROOT)

    assert pool(found, "spot").fallback == ("spot", "last")
    assert next(row for row in rows(found) if row[0] == "spot")[3].endswith("then its own On-Demand or last")


def test_no_node_of_a_fall_back_is_larger_than_those_that_its_pods_go_back_to() -> None:
    """Karpenter consolidates a node into one other at most."""
    fallen_back = {}
    for stack in (*STACKS, "lab"):
        found = report(recorded(stack), ROOT)
        for spot in found.pools:
            for name in spot.fallback:
                fallen_back[stack, name] = pool(found, name)
                assert fallen_back[stack, name].largest_vcpus <= spot.largest_vcpus, (stack, name)
    assert {"lab", "prod", "staging"} <= {stack for stack, _ in fallen_back}


def test_what_the_controller_is_asked_for_reaches_its_chart_and_room_is_declared_before_it_is_kept() -> None:
    asked = {
        "version": "1.14.3",
        "spotToSpotConsolidation": True,
        "minValuesPolicy": "BestEffort",
        "batchMaxDuration": "4s",
        "headroom": {"cpu": "2", "memory": "4Gi", "chunks": 3},
    }
    plan = record("dev", config_overrides={"karpenter": asked})
    release = plan.named("kubernetes:helm.sh/v3:Release", "karpenter-controller")
    given = release.inputs["values"]["settings"]
    buffer = plan.named("kubernetes:autoscaling.x-k8s.io/v1beta1:CapacityBuffer", "capacity-headroom")
    chunk = plan.named("kubernetes:core/v1:PodTemplate", "capacity-headroom-chunk")

    assert given["featureGates"] == {"nodeRepair": False, "spotToSpotConsolidation": True, "capacityBuffer": True}
    assert given["minValuesPolicy"] == "BestEffort"
    assert given["batchMaxDuration"] == "4s"
    assert "batchIdleDuration" not in given
    assert buffer.inputs["spec"] == {"podTemplateRef": {"name": chunk.inputs["metadata"]["name"]}, "replicas": 3}
    assert buffer.inputs["metadata"]["namespace"] == chunk.inputs["metadata"]["namespace"]
    assert plan.reaches(buffer, chunk)
    assert plan.reaches(chunk, release)
    assert pool(report(plan, ROOT), "spot").spot_to_spot == "yes"
    assert pool(report(plan, ROOT), "data").spot_to_spot == "-"


def test_a_stack_that_asks_for_none_of_it_gets_the_charts_defaults_and_no_room() -> None:
    for stack in STACKS:
        plan = recorded(stack)
        given = plan.named("kubernetes:helm.sh/v3:Release", "karpenter-controller").inputs["values"]["settings"]

        assert set(given["featureGates"]) == {"nodeRepair"}
        assert "minValuesPolicy" not in given
        assert given["batchMaxDuration"] == "4s", "a thousand pods in a drought: ADR 13"
        assert [r.name for r in plan if "headroom" in r.name] == []


def test_one_node_carries_at_most_one_replica_of_what_stays_apart() -> None:
    dev, prod = (pool(report(recorded(stack), ROOT), "spot").demo_percent for stack in ("dev", "prod"))

    assert dev == 100
    assert prod is not None
    assert 30 < prod < 80
    assert pool(report(recorded("prod"), ROOT), "data").demo_percent is None


def test_prices_are_those_of_the_catalogue_with_their_day() -> None:
    found = report(recorded("prod"), ROOT)

    assert pool(found, "spot").price_range == (0.153, 0.63904)
    assert found.prices_date == instance_types.prices_of()


def test_databases_are_never_counted_on_spot() -> None:
    for stack in STACKS:
        names = {service.name for service in report(recorded(stack), ROOT).services}

        assert {"frontend", "cart", "otel-collector"} <= names
        assert names & {"kafka", "opensearch", "postgresql", "prometheus", "valkey-cart"} == set()


def test_every_committed_stack_fits_into_two_minutes() -> None:
    for stack in STACKS:
        assert report(recorded(stack), ROOT).findings == ()


def chart(folder: Path, values: dict[str, Any]) -> dict[str, Service]:
    """The wrapper chart's prod values with others laid over them."""
    target = folder / CHART
    target.mkdir(parents=True)
    for name in ("values.yaml", "values-prod.yaml"):
        (target / name).write_text((ROOT / CHART / name).read_text())
    own = yaml.safe_load((target / "values-prod.yaml").read_text())
    for path, value in values.items():
        *parents, last = path.split("/")
        inner = own
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    (target / "values-prod.yaml").write_text(yaml.safe_dump(own))
    return {service.name: service for service in on_spot(folder, "prod")}


@pytest.mark.parametrize(
    ("values", "name", "problem"),
    [
        ({"podLifecycle/preStopSleepSeconds": 20, "podLifecycle/terminationGracePeriodSeconds": 100}, "frontend",
            "= 160 s, more than the 120 s"),
        ({"opentelemetry-demo/grafana/terminationGracePeriodSeconds": 81}, "grafana", "+ 81 s grace = 131 s, more"),
        ({"disruptionBudgets/maxUnavailable": 0}, "cart", "never lets a pod go"),
        ({"opentelemetry-demo/default/schedulingRules": None}, "frontend", "3 steps x 40 s boot"),
        ({"opentelemetry-demo/default/schedulingRules": None, "podLifecycle/enabled": False}, "cart",
            "one node may carry all 2 replicas"),
        ({"opentelemetry-demo/components/ad/replicas": 2, "opentelemetry-demo/components/ad/schedulingRules":
            {"affinity": {"podAntiAffinity": {}}}}, "ad", "one node may carry all 2 replicas"),
    ],
)  # fmt: skip
def test_a_promise_that_cannot_hold_is_found_with_what_to_change(
    tmp_path: Path, values: dict[str, Any], name: str, problem: str
) -> None:
    text, remedy = chart(tmp_path, values)[name].problem

    assert problem in text
    assert remedy


def test_a_finding_is_printed_and_is_in_every_form_and_in_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    real = pools.on_spot
    slow = {"grace_seconds": 90}

    def slowed(*given: Any) -> tuple[Service, ...]:
        return tuple(Service(workload=entry.workload, budget=entry.budget, **slow) for entry in real(*given))

    monkeypatch.setattr(pools, "on_spot", slowed)
    found = report(recorded("prod"), ROOT)
    out = io.StringIO()
    pools.show(found, Console(file=out, width=300))
    document = json.loads(json.dumps(pools.as_document(found)))

    assert {row["service"] for row in document["findings"]} == {service.name for service in found.services}
    for text in (out.getvalue(), pools.markdown(found)):
        assert "1 step x 40 s boot + 0 s preStop + 90 s grace = 130 s" in text
        assert "shorten preStop" in text
        assert "2026-07-06" in text
    monkeypatch.setattr("otel_on_spot.plan.record.record", lambda stack, *, preview: recorded(stack))
    assert CliRunner().invoke(app, ["plan", "--stack", "dev", "--markdown", "--exit-code"]).exit_code == 1


def test_markdown_and_json_carry_the_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_on_spot.plan.record.record", lambda stack, *, preview: recorded(stack))
    shown = CliRunner().invoke(app, ["plan", "--stack", "prod", "--markdown", "--exit-code"])
    document = json.loads(CliRunner().invoke(app, ["plan", "--stack", "prod", "--json"]).stdout)["capacity"]

    assert shown.exit_code == 0
    assert (
        "| spot | spot | 58 x 29 x 3 | 1 to 6 rounds, 11 to 61 s and a boot, then on-demand | possible, and off |"
        in shown.stdout
    )
    spot = next(entry for entry in document["pools"] if entry["name"] == "spot")
    assert (spot["types"], spot["rounds"], spot["mostRounds"], spot["fallback"]) == (58, 1, 6, ["on-demand"])
    assert (spot["fallbackSecondsWithoutBoot"], spot["mostFallbackSecondsWithoutBoot"]) == (11, 61)
    assert spot["zones"] == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
