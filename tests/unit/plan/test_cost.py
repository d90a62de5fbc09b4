"""What a stack costs: every line by quantity and price, held against sums done by hand."""

import copy
import io
import json
import sys
import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from infra.settings import instance_types
from otel_on_spot import project
from otel_on_spot.cli import main
from otel_on_spot.kubernetes.names import APPLICATION
from otel_on_spot.plan import cost
from otel_on_spot.plan.manifests import as_document
from otel_on_spot.plan.workloads import Workload, workloads
from otel_on_spot.program.recording import Recording
from tests.unit.conftest import recorded

ROOT = project.root()
HOURS = 730
TODAY = date(2026, 11, 26)
"""While the stacks' minor is in standard support."""
MONTH_OF_M7I_LARGE = 0.1008 * 1.119 * HOURS
"""USD in eu-west-1: us-east-1's list price times the region's factor."""


def estimate(recording: Recording) -> cost.Estimate:
    document = as_document(recording)
    return cost.estimate(document, workloads(ROOT, cost.environment_of(document)), today=TODAY)


def line(found: cost.Estimate, what: str) -> cost.Line:
    (chosen,) = (line for line in found.lines if line.what == what)
    return chosen


def pool(name: str, **fields: Any) -> dict[str, Any]:
    """A NodePool as the plan has it."""
    requirements = [
        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": [fields.pop("capacity", "on-demand")]},
        *fields.pop("requirements", ()),
    ]
    limits = fields.pop("limits", {"cpu": "100", "memory": "400Gi"})
    template = {"spec": {"requirements": requirements} | fields}
    return {
        "type": "kubernetes:karpenter.sh/v1:NodePool",
        "inputs": {"metadata": {"name": name}, "spec": {"limits": limits, "template": template}},
    }


def only(*types: str) -> dict[str, Any]:
    return {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": list(types)}


def plan_of(*resources: dict[str, Any], region: str = "us-east-1") -> dict[str, Any]:
    provider = {"type": "pulumi:providers:aws", "inputs": {"region": region}}
    return {"stack": "dev", "resources": [provider, *resources]}


def asks(name: str, replicas: int, cpu: int, memory: int, *, apart: bool = False, on: str = "") -> Workload:
    selector = {"karpenter.sh/nodepool": on} if on else {}
    return Workload(
        name=name, replicas=replicas, cpu_millis=cpu, memory_mib=memory, node_selector=selector, apart=apart
    )


def test_the_fixed_part_of_dev_is_what_one_reckons_by_hand() -> None:
    found = estimate(recorded("dev"))

    assert line(found, "control plane").expected == pytest.approx(73)
    assert line(found, "NAT gateways").expected == pytest.approx(0.048 * HOURS)
    assert line(found, "public addresses").expected == pytest.approx(0.005 * HOURS)
    assert line(found, "system nodes, m7i.large").expected == pytest.approx(2 * MONTH_OF_M7I_LARGE)
    assert line(found, "system nodes' volumes").expected == pytest.approx(2 * 50 * 0.088)
    assert line(found, "KMS keys").expected == 1
    assert not [entry for entry in found.lines if entry.what == "interface endpoints"]


def test_prod_pays_for_each_zone_of_each_endpoint_and_for_flow_logs() -> None:
    found = estimate(recorded("prod"))

    assert line(found, "NAT gateways").expected == pytest.approx(3 * 0.048 * HOURS)
    assert line(found, "interface endpoints").expected == pytest.approx(7 * 3 * 0.011 * HOURS)
    assert line(found, "VPC flow logs").quantity == 20


BY_HAND: dict[str, dict[str, float]] = {
    "dev": {"control plane": 73, "NAT gateways": 35, "public addresses": 4, "system nodes, m7i.large": 164,
            "system nodes' volumes": 9, "control-plane logs": 1, "KMS keys": 1},
    "staging": {"control plane": 73, "NAT gateways": 35, "public addresses": 4, "system nodes, m7i.large": 164,
                "system nodes' volumes": 9, "control-plane logs": 3, "VPC flow logs": 6, "KMS keys": 1},
    "prod": {"control plane": 73, "NAT gateways": 105, "public addresses": 11, "system nodes, m7i.large": 245,
             "system nodes' volumes": 13, "interface endpoints": 169, "control-plane logs": 11, "VPC flow logs": 11,
             "KMS keys": 1},
}  # fmt: skip
"""The table made by hand of AWS's pricing pages of eu-west-1, without Karpenter's nodes and data through NAT."""
VCPU_HOUR = {"spot": 0.02, "data": 0.056}
"""What it said of Karpenter's nodes: USD an hour of a vCPU."""


@pytest.mark.parametrize("stack", BY_HAND)
def test_what_is_there_at_rest_costs_what_the_table_made_by_hand_says(stack: str) -> None:
    found = estimate(recorded(stack))

    for what, usd in BY_HAND[stack].items():
        assert line(found, what).rest == pytest.approx(usd, rel=0.05, abs=0.6), what
    without_data = found.rest - line(found, "NAT gateways, data").rest
    assert without_data == pytest.approx(sum(BY_HAND[stack].values()), rel=0.02)


@pytest.mark.parametrize(("stack", "by_hand", "most"), [("dev", 410, 0.05), ("prod", 840, 0.1)])
def test_the_whole_is_near_the_table_and_what_is_more_is_explained(stack: str, by_hand: int, most: float) -> None:
    """The table took 6 vCPUs of Spot in prod: three nodes that keep replicas apart have 12, on types that cost less."""
    found = estimate(recorded(stack))
    spot, data = (
        next(entry for entry in found.lines if f" of pool {pool}, " in entry.what and entry.unit == "instance-hour")
        for pool in ("spot", "data")
    )
    vcpus = {kind.name: kind.vcpus for kind, _ in instance_types.catalogue()}

    assert found.expected == pytest.approx(by_hand, rel=most)
    assert spot.unit_price / vcpus[spot.what.rpartition(" ")[2]] == pytest.approx(VCPU_HOUR["spot"], rel=0.05)
    taken = (line(found, "system nodes, m7i.large").unit_price / 2, data.unit_price / 2)
    assert taken[0] == pytest.approx(VCPU_HOUR["data"], rel=0.05)
    assert taken[1] < taken[0], "the pool takes a cheaper type than the one that the table reckoned with"
    by_the_table = found.expected - spot.expected - data.expected + (29 + 82 if stack == "dev" else 88 + 82)
    assert by_the_table == pytest.approx(by_hand, rel=0.05)


def test_at_rest_no_node_of_karpenters_is_paid_and_at_the_limits_all_are() -> None:
    found = estimate(recorded("prod"))
    nodes = [entry for entry in found.lines if " of pool " in entry.what]

    assert {node.rest for node in nodes} == {0}
    assert all(node.limits > node.expected for node in nodes)
    assert found.rest < found.expected < found.limits
    assert found.spot_range[0] < found.expected < found.spot_range[1]


def test_a_pool_takes_the_cheapest_type_that_carries_its_workloads() -> None:
    wanted = [asks("a", 1, 1500, 4000)]
    plan = plan_of(pool("only", requirements=[only("m5.large", "m5.xlarge", "c5.large", "r5.large")]))

    (nodes,) = cost.estimate(plan, wanted).lines

    assert nodes.what.endswith("m5.large")  # c5.large has 4 GiB, r5.large costs more
    assert nodes.expected == pytest.approx(0.096 * HOURS)
    assert nodes.limits == pytest.approx(50 * 0.096 * HOURS)


@pytest.mark.parametrize(
    ("wanted", "nodes"),
    [
        ([asks("cpu", 4, 1500, 10)], 4),
        ([asks("memory", 3, 10, 5000)], 3),
        ([asks("apart", 5, 10, 10, apart=True)], 5),
        ([asks("pods", 60, 10, 10)], 3),
        ([asks("elsewhere", 60, 10, 10, on="data")], 0),
    ],
)
def test_nodes_are_as_many_as_cpu_memory_addresses_and_replicas_apart_ask_for(
    wanted: list[Workload], nodes: int
) -> None:
    plan = plan_of(pool("only", requirements=[only("m5.large")]))

    (found,) = cost.estimate(plan, wanted).lines

    assert found.quantity == nodes * HOURS


def test_what_names_no_pool_goes_to_the_heaviest_pool_without_a_taint() -> None:
    light, heavy, tainted = (
        pool(name, requirements=[only("m5.large")], **({"taints": [{}]} if name == "tainted" else {}))
        for name in ("light", "heavy", "tainted")
    )
    for weighed, weight in ((light, 1), (heavy, 50), (tainted, 90)):
        weighed["inputs"]["spec"]["weight"] = weight

    found = cost.estimate(plan_of(light, heavy, tainted), [asks("a", 1, 100, 100)])

    assert [entry.what for entry in found.lines if entry.expected] == ["On-Demand nodes of pool heavy, m5.large"]


@pytest.mark.parametrize(
    ("key", "operator", "values", "left"),
    [
        ("karpenter.k8s.aws/instance-family", "NotIn", ["m5"], {"m6i.large", "m5d.large"}),
        ("karpenter.k8s.aws/instance-cpu", "Lt", ["2"], set()),
        ("karpenter.k8s.aws/instance-cpu", "Gt", ["1"], {"m5.large", "m6i.large", "m5d.large"}),
        ("karpenter.k8s.aws/instance-local-nvme", "DoesNotExist", [], {"m5.large", "m6i.large"}),
        ("karpenter.k8s.aws/instance-local-nvme", "Exists", [], {"m5d.large"}),
        ("topology.kubernetes.io/zone", "In", ["a"], {"m5.large", "m6i.large", "m5d.large"}),
    ],
)
def test_requirements_narrow_the_types_as_karpenter_narrows_them(
    key: str, operator: str, values: list[str], left: set[str]
) -> None:
    named = only("m5.large", "m6i.large", "m5d.large")
    requirement = {"key": key, "operator": operator, "values": values}

    candidates = cost._candidates([named, requirement], cost._Region("us-east-1"))

    assert {node.kind.name for node in candidates} == left


def test_spot_costs_what_the_range_says_of_the_same_node_on_demand() -> None:
    plans = [plan_of(pool("p", capacity=kind, requirements=[only("m5.large")])) for kind in ("spot", "on-demand")]
    spot, on_demand = (cost.estimate(plan, [asks("a", 1, 100, 100)]) for plan in plans)

    assert spot.expected == pytest.approx(0.45 * on_demand.expected)
    assert spot.spot_range == pytest.approx((0.44 * on_demand.expected, 0.5 * on_demand.expected))
    assert on_demand.spot_range == pytest.approx((on_demand.expected, on_demand.expected))


def test_another_region_costs_its_factor_and_the_line_says_so_with_its_source_and_day() -> None:
    regions, of_govcloud = cost.prices()["regions"]
    plans = [plan_of(pool("p", requirements=[only("m5.large")]), region=name) for name in ("us-east-1", "eu-central-1")]
    home, abroad = (cost.estimate(plan, [asks("a", 1, 100, 100)]).lines[0] for plan in plans)
    gateway = {"type": "aws:ec2/natGateway:NatGateway", "inputs": {}}
    service = line(cost.estimate(plan_of(gateway, region="eu-central-1"), []), "NAT gateways")

    assert abroad.expected == pytest.approx(1.206 * home.expected)
    assert ("list" in home.kinds, "factor" in abroad.kinds) == (True, True)
    assert f"{regions['source']}, {regions['date']}" in abroad.sources
    assert f"{regions['source']}, {regions['date']}" in service.sources
    assert f"{regions['source']}, {regions['date']}" not in home.sources
    abroad = line(cost.estimate(plan_of(gateway, region="us-gov-west-1"), []), "NAT gateways")
    assert abroad.unit_price == pytest.approx(0.045 * 0.604 / 0.504, rel=0.001)  # r5.2xlarge in Karpenter's two lists
    assert f"{of_govcloud['source']}, {of_govcloud['date']}" in abroad.sources


def test_alarms_cost_by_their_metrics() -> None:
    single = {"type": cost.ALARM, "inputs": {"metricName": "a"}}
    share = {
        "type": cost.ALARM,
        "inputs": {"metricQueries": [{"expression": "a"}, {"metric": {}}, {"metric": {"b": 1}}, {"metric": {"c": 1}}]},
    }

    assert line(cost.estimate(plan_of(single, share), []), "alarms").expected == pytest.approx(0.3)


def test_a_region_without_a_price_is_refused_by_name() -> None:
    with pytest.raises(cost.PriceError, match=r"no price for region mars-west-1: .*eu-west-1.*Add its factor"):
        cost.estimate(plan_of(region="mars-west-1"), [])


def disk_of(**ebs: Any) -> dict[str, Any]:
    """An EC2NodeClass."""
    spec = {"blockDeviceMappings": [{"ebs": {"volumeSize": "100Gi", **ebs}}]}
    return {"type": "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass", "inputs": {"spec": spec}}


def test_a_volume_costs_what_it_does_beyond_what_comes_with_it() -> None:
    nodes = pool("p", requirements=[only("m5.large")])
    wanted = [asks("a", 3, 100, 100, apart=True)]
    plain = cost.estimate(plan_of(nodes, disk_of(iops=3000, throughput=125)), wanted)
    faster = cost.estimate(plan_of(nodes, disk_of(iops=16000, throughput=1000)), wanted)

    assert plain == cost.estimate(plan_of(nodes, disk_of()), wanted)
    assert line(faster, "volumes of pool p, IOPS").expected == pytest.approx(3 * 13000 * 0.005)
    assert line(faster, "volumes of pool p, throughput").expected == pytest.approx(3 * 875 * 0.04)
    assert (faster.rest, line(faster, "volumes of pool p").expected) == (0, pytest.approx(3 * 100 * 0.08))


def test_room_that_is_kept_free_is_paid_for_with_the_demo_and_without() -> None:
    chunk = {"spec": {"containers": [{"resources": {"requests": {"cpu": "1500m", "memory": "1Gi"}}}]}}
    room = (
        {"type": "kubernetes:core/v1:PodTemplate", "inputs": {"template": chunk}},
        {"type": cost.CAPACITY_BUFFER, "inputs": {"spec": {"replicas": 3}}},
    )
    nodes = pool("p", requirements=[only("m5.large")])
    without, kept = (
        line(cost.estimate(plan_of(nodes, *more), [asks("a", 1, 1500, 100)]), "On-Demand nodes of pool p, m5.large")
        for more in ((), room)
    )

    assert (without.quantity, without.rest) == (HOURS, 0)
    assert (kept.quantity, kept.rest) == (4 * HOURS, pytest.approx(3 * 0.096 * HOURS))


def test_a_pool_grows_to_its_number_of_nodes_where_that_is_less_than_its_other_limits() -> None:
    limits = {"cpu": "100", "memory": "400Gi"}
    few, many = (
        cost.estimate(plan_of(pool("p", requirements=[only("m5.large")], limits=limits | {"nodes": nodes})), [])
        for nodes in ("3", "300")
    )

    assert few.limits == pytest.approx(3 * 0.096 * HOURS)
    assert many.limits == pytest.approx(50 * 0.096 * HOURS)


def test_a_demo_that_is_off_asks_for_nothing_and_keeps_nothing() -> None:
    document = copy.deepcopy(as_document(recorded("staging")))
    for resource in document["resources"]:
        of = resource["inputs"] if resource["type"] == APPLICATION.token else {}
        helm = of.get("spec", {}).get("source", {}).get("helm")
        if helm and "applications:" in helm["values"]:
            values = yaml.safe_load(helm["values"])
            values["applications"].setdefault("otel-demo", {})["enabled"] = False
            helm["values"] = yaml.safe_dump(values)
    wanted = cost.workloads_of(document, ROOT)

    assert wanted == ()
    assert cost.estimate(document, wanted, today=TODAY).expected == pytest.approx(estimate(recorded("staging")).rest)


def cluster(version: str, support: str | None = None) -> dict[str, Any]:
    policy = {"upgradePolicy": {"supportType": support}} if support else {}
    return {"type": "aws:eks/cluster:Cluster", "inputs": {"version": version} | policy}


@pytest.mark.parametrize("support", [None, "EXTENDED"])
@pytest.mark.parametrize("version", [*cost.prices()["support"]])
def test_a_minor_in_extended_support_costs_what_extended_support_costs(version: str, support: str | None) -> None:
    last = cost.prices()["support"][version]
    before, after = (
        cost.estimate(plan_of(cluster(version, support)), [], today=day) for day in (last, last + timedelta(days=1))
    )

    assert line(before, "control plane").expected == pytest.approx(0.10 * HOURS)
    assert [(one.what, one.expected) for one in after.lines] == [
        (f"control plane, extended support of {version}", pytest.approx(0.60 * HOURS))
    ]
    assert (after.rest, after.limits) == (after.expected, after.expected)


@pytest.mark.parametrize(("version", "support"), [("1.33", "STANDARD"), ("1.99", None)])
def test_what_eks_upgrades_by_itself_and_what_nobody_knows_the_end_of_is_in_standard_support(
    version: str, support: str | None
) -> None:
    (found,) = cost.estimate(plan_of(cluster(version, support)), [], today=date(2027, 6, 1)).lines

    assert (found.what, found.unit_price) == ("control plane", 0.10)


def test_a_pool_whose_types_have_no_price_is_refused_by_name() -> None:
    unpriced = [kind.name for kind, _ in instance_types.catalogue() if not kind.usd_per_hour]
    with pytest.raises(cost.PriceError, match=rf"no price for any type of pool new, such as {unpriced[0]}"):
        cost.estimate(plan_of(pool("new", requirements=[only(*unpriced[:2])])), [])


def test_a_system_node_without_a_price_is_refused_by_name() -> None:
    group = {
        "type": "aws:eks/nodeGroup:NodeGroup",
        "inputs": {"instanceTypes": ["m99.large"], "scalingConfig": {"desiredSize": 1, "maxSize": 1}},
    }
    with pytest.raises(cost.PriceError, match=r"no price for m99\.large"):
        cost.estimate(plan_of(group), [])


def test_every_price_has_a_source_and_a_day_and_every_type_of_the_stacks_has_a_price() -> None:
    listed = tomllib.loads((ROOT / "otel_on_spot/plan/prices.toml").read_text())

    services = [service for service in listed["services"].values() if isinstance(service, dict)]

    assert all(service["source"].startswith("https://") for service in services)
    for stack in ("dev", "staging", "prod"):
        assert all(entry.date and entry.sources for entry in estimate(recorded(stack)).lines)
    priced = {kind.name for kind, _ in instance_types.catalogue() if kind.usd_per_hour}
    assert {"m7i.large", "m6i.large", "m7a.large", "m5.large", "c6a.large", "r7i.2xlarge"} <= priced


def test_the_table_says_each_line_and_the_sum(prod: Recording) -> None:
    output = io.StringIO()
    found = estimate(prod)
    cost.show(found, Console(file=output, width=200), limit=1)

    assert f"about {found.expected:,.0f} USD a month" in output.getvalue()
    assert "interface endpoints" in output.getvalue()
    assert "costs.monthlyLimitUsd of Pulumi.prod.yaml is 1. Take something out" in output.getvalue()


def test_a_change_shows_what_it_costs_and_nothing_else(dev: Recording) -> None:
    before = cost.as_document(estimate(dev))
    document = copy.deepcopy(as_document(dev))
    document["resources"] += [r for r in document["resources"] if r["type"] == "aws:ec2/natGateway:NatGateway"]
    after = cost.as_document(cost.estimate(document, workloads(ROOT, "dev")))

    shown = cost.differences(before, after)

    assert "| NAT gateways | 35 | 70 | +35 |" in shown
    assert "control plane" not in shown
    assert "unchanged" in cost.differences(before, before)
    assert f"| together | 0 | {before['expected']:,.0f} |" in cost.differences(None, before)


def test_the_command_prints_the_estimate_as_json_and_does_not_load_awss_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading it takes two seconds, and the whole estimate less than a tenth of one."""
    for module in ("boto3", "otel_on_spot.plan.live_prices"):
        monkeypatch.setitem(sys.modules, module, None)

    result = CliRunner().invoke(main.app, ["plan", "--stack", "dev", "--cost", "--json"])

    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["expected"] == pytest.approx(sum(entry["expected"] for entry in document["lines"]), abs=0.1)
    assert document["monthlyLimitUsd"] is None


def test_the_page_has_the_table_of_the_committed_stacks() -> None:
    """The prose is written by hand around it."""
    page = Path(ROOT / "docs/costs.md").read_text()

    for stack in ("dev", "staging", "prod"):
        found = estimate(recorded(stack))
        row = f"| {stack} | {found.rest:,.0f} | {found.expected:,.0f} | {found.limits:,.0f} |"
        assert row in page, row


def test_the_volumes_of_the_databases_are_counted_with_the_demo_and_not_without() -> None:
    """Off in dev, on in staging."""
    volumes = line(estimate(recorded("staging")), "volumes of the databases")

    assert volumes.quantity == 10 + 20 + 10 + 5 + 2
    assert (volumes.rest, volumes.expected) == (0, pytest.approx(47 * 0.088))
    assert volumes.expected == volumes.limits
    assert "volumes of the databases" not in {one.what for one in estimate(recorded("dev")).lines}


def test_backups_are_counted_as_one_copy_and_at_the_limits_as_many_as_are_kept() -> None:
    """Staging keeps three; in eu-west-1 by the region's factor."""
    backups = line(estimate(recorded("staging")), "backups of the databases")

    assert (backups.rest, backups.expected) == (0, pytest.approx(47 * 0.05 * 1.119, rel=0.01))
    assert backups.limits == pytest.approx(3 * backups.expected)
    assert backups.kinds == ("factor",)
    assert "backups of the databases" not in {one.what for one in estimate(recorded("dev")).lines}


@pytest.mark.parametrize("options", [[], ["--cost"], ["--json"], ["--cost", "--json"]], ids=" ".join)
@pytest.mark.parametrize(("stack", "code"), [("dev", 0), ("prod", 1)])
def test_more_than_the_limit_is_warned_of_and_refused_in_prod(
    monkeypatch: pytest.MonkeyPatch, stack: str, code: int, options: list[str]
) -> None:
    monkeypatch.setattr(cost, "monthly_limit", lambda *_: 400)
    monkeypatch.setattr("otel_on_spot.plan.record.record", lambda *_, **__: recorded(stack))

    above = CliRunner().invoke(main.app, ["plan", "--stack", stack, *options])
    asked = CliRunner().invoke(main.app, ["plan", "--stack", stack, *options, "--exit-code"])

    assert (above.exit_code, asked.exit_code) == (code, 1), above.output
    if "--json" in options:
        json.loads(above.stdout)
    if options != ["--cost", "--json"]:
        assert f"costs.monthlyLimitUsd of Pulumi.{stack}.yaml is 400" in above.output.replace("\n", " ")


@pytest.mark.parametrize("options", [[], ["--json"]], ids=" ".join)
@pytest.mark.parametrize(("stack", "code"), [("dev", 0), ("prod", 1)])
def test_a_limit_that_nobody_can_tell_of_is_said_and_stops_only_prod(
    monkeypatch: pytest.MonkeyPatch, stack: str, code: int, options: list[str]
) -> None:
    """The region has no price: the rest of the plan is told."""
    monkeypatch.setattr(cost, "monthly_limit", lambda *_: 400)
    monkeypatch.setattr("otel_on_spot.plan.record.record", lambda *_, **__: recorded(stack))
    monkeypatch.setattr(cost, "prices", lambda: tomllib.loads("regions = []"))

    plain = CliRunner().invoke(main.app, ["plan", "--stack", stack, *options])
    asked = CliRunner().invoke(main.app, ["plan", "--stack", stack, *options, "--exit-code"])

    assert (plain.exit_code, asked.exit_code) == (code, 1), plain.output
    assert "policy" in plain.stdout
    assert f"of Pulumi.{stack}.yaml is 400, and nobody can tell: there is no price for region eu-west-1" in plain.stderr


def test_what_is_within_the_limit_or_not_limited_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_on_spot.plan.record.record", lambda *_, **__: recorded("prod"))
    for limit in (None, 1000):
        monkeypatch.setattr(cost, "monthly_limit", lambda *_, limit=limit: limit)
        result = CliRunner().invoke(main.app, ["plan", "--stack", "prod", "--exit-code"])
        assert (result.exit_code, "monthlyLimitUsd" in result.output) == (0, False), result.output
