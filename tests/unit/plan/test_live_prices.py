"""Prices of today: what AWS tells takes the place of the list's, and what it does not tell is said in words."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from typer.testing import CliRunner

from otel_on_spot import aws_prices
from otel_on_spot.cli import main
from otel_on_spot.cli import plan as command
from otel_on_spot.plan import cost
from otel_on_spot.plan.live_prices import LivePrices
from tests.unit.plan.test_cost import HOURS, asks, line, only, plan_of, pool

NAT: dict[str, Any] = {"type": "aws:ec2/natGateway:NatGateway", "inputs": {}}
CLUSTER: dict[str, Any] = {"type": "aws:eks/cluster:Cluster", "inputs": {}}
DENIED = "AccessDeniedException"


def product(usd: float, *, first: float = 0.0, **attributes: str) -> str:
    tiers = {"a": {"beginRange": "0", "pricePerUnit": {"USD": str(first or usd)}}}
    if first:
        tiers["b"] = {"beginRange": "100", "pricePerUnit": {"USD": str(usd)}}
    return json.dumps({"product": {"attributes": attributes}, "terms": {"OnDemand": {"t": {"priceDimensions": tiers}}}})


class Aws:
    """Clients whose answers are given: each operation with its answers, or the code of its refusal."""

    def __init__(self) -> None:
        session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b")
        self._clients = {name: session.client(name, region_name="us-east-1") for name in ("pricing", "ec2")}
        self._stubs = {name: Stubber(client) for name, client in self._clients.items()}
        self.regions: set[tuple[str, str]] = set()
        for stub in self._stubs.values():
            stub.activate()

    def __call__(self, service: str, region: str) -> Any:
        self.regions.add((service, region))
        return self._clients[service]

    def lists(self, service: str, fields: Mapping[str, str], *products: str, token: str = "", after: str = "") -> None:
        asked: dict[str, Any] = {
            "ServiceCode": service,
            "Filters": [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in fields.items()],
        } | ({"NextToken": after} if after else {})
        answer: dict[str, Any] = {"PriceList": list(products)} | ({"NextToken": token} if token else {})
        self._stubs["pricing"].add_response("get_products", answer, asked)

    def sells(self, instance_type: str, usd: float, region: str) -> None:
        fields = {**aws_prices.ORDINARY, "instanceType": instance_type, "regionCode": region}
        self.lists("AmazonEC2", fields, product(usd, instanceType=instance_type))

    def bids(self, instance_type: str, **zones: float) -> None:
        rows = [
            {
                "InstanceType": instance_type,
                "AvailabilityZone": zone.replace("_", "-"),
                "SpotPrice": str(usd),
                "Timestamp": 1,
            }
            for zone, usd in zones.items()
        ]
        asked = {"InstanceTypes": [instance_type], "ProductDescriptions": ["Linux/UNIX"], "StartTime": ANY}
        self._stubs["ec2"].add_response("describe_spot_price_history", {"SpotPriceHistory": rows}, asked)

    def denies(self, service: str, operation: str, times: int = 1) -> None:
        for _ in range(times):
            self._stubs[service].add_client_error(operation, DENIED, "no identity-based policy allows it")

    def all_asked(self) -> None:
        for stub in self._stubs.values():
            stub.assert_no_pending_responses()


@pytest.fixture
def aws() -> Iterator[Aws]:
    found = Aws()
    yield found
    found.all_asked()


def test_a_price_of_today_takes_the_place_of_the_lists_and_is_dated(aws: Aws) -> None:
    aws.lists(
        "AmazonEC2",
        {"regionCode": "eu-west-1", "productFamily": "NAT Gateway"},
        product(0.052, usagetype="EU-NatGateway-Bytes"),
        product(0.051, usagetype="EU-NatGateway-Hours"),
    )
    aws.lists(
        "AmazonEC2",
        {"regionCode": "eu-west-1", "productFamily": "NAT Gateway"},
        product(0.052, usagetype="EU-NatGateway-Bytes"),
    )
    live = LivePrices(aws, "eu-west-1", [])
    found = cost.estimate(plan_of(NAT, region="eu-west-1"), [], live)

    assert line(found, "NAT gateways").expected == pytest.approx(0.051 * HOURS)
    assert line(found, "NAT gateways, data").unit_price == 0.052
    assert line(found, "NAT gateways").date == live.date
    assert line(found, "NAT gateways").kinds == ("live",)
    assert (live.why, aws.regions) == ({}, {("pricing", "us-east-1")})


def test_pages_are_read_on_and_the_first_tier_counts(aws: Aws) -> None:
    fields = {"regionCode": "us-east-1"}
    other = product(9, usagetype="USE1-AmazonEKS-Hours:extendedSupport")
    aws.lists("AmazonEKS", fields, other, token="more")
    aws.lists("AmazonEKS", fields, product(0.05, first=0.2, usagetype="USE1-AmazonEKS-Hours:perCluster"), after="more")

    assert (
        line(cost.estimate(plan_of(CLUSTER), [], LivePrices(aws, "us-east-1", [])), "control plane").unit_price == 0.2
    )


def test_spot_is_the_mean_of_the_plans_zones_and_ranges_over_them(aws: Aws) -> None:
    aws.bids("m5.large", us_east_1a=0.02, us_east_1b=0.04, us_east_1c=0.09)
    plan = plan_of(pool("p", capacity="spot", requirements=[only("m5.large")]))
    found = cost.estimate(plan, [asks("a", 1, 100, 100)], LivePrices(aws, "us-east-1", ["us-east-1a", "us-east-1b"]))

    assert found.expected == pytest.approx(0.03 * HOURS)
    assert found.spot_range == pytest.approx((0.02 * HOURS, 0.04 * HOURS))
    assert found.lines[0].sources == (cost.SPOT_HISTORY,)


def test_on_demand_is_asked_for_the_type_that_list_prices_chose(aws: Aws) -> None:
    aws.sells("m5.large", 0.2, "us-east-1")
    plan = plan_of(pool("p", requirements=[only("m5.large", "m5.xlarge")]))

    (nodes,) = cost.estimate(plan, [asks("a", 1, 100, 100)], LivePrices(aws, "us-east-1", [])).lines

    assert (nodes.what.rpartition(" ")[2], nodes.unit_price) == ("m5.large", 0.2)


def test_where_aws_denies_list_prices_stay_and_it_is_said_once(aws: Aws) -> None:
    aws.denies("pricing", "get_products", times=2)
    aws.denies("ec2", "describe_spot_price_history")
    plan = plan_of(CLUSTER, pool("p", capacity="spot", requirements=[only("m5.large")]))
    live = LivePrices(aws, "us-east-1", [])
    told, listed = (cost.estimate(plan, [asks("a", 1, 100, 100)], prices) for prices in (live, None))

    assert told.lines == listed.lines
    assert [why.partition(":")[0] for why in live.why] == ["Price List", "Spot prices"]
    assert all(DENIED in why or "no identity-based policy" in why for why in live.why)


def test_a_region_that_aws_names_no_price_for_is_said_by_name(aws: Aws) -> None:
    aws.lists("AmazonEKS", {"regionCode": "us-east-1"}, product(1, usagetype="USE1-Fargate-vCPU-Hours:perCPU"))
    live = LivePrices(aws, "us-east-1", [])

    assert line(cost.estimate(plan_of(CLUSTER), [], live), "control plane").unit_price == 0.10
    assert list(live.why) == ["Price List: AWS names no price of eks-standard in us-east-1"]


def test_every_service_says_where_the_price_list_has_it() -> None:
    services = {key: row for key, row in cost.prices()["services"].items() if isinstance(row, dict)}

    assert [key for key, row in services.items() if not {"service", "usage"} <= row.get("price_list", {}).keys()] == []


def test_without_credentials_the_command_says_so_and_gives_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import NoCredentialsError

    def nobody(service: str, region: str) -> Any:
        raise NoCredentialsError

    monkeypatch.setattr(command, "_clients", lambda: nobody)
    shown = CliRunner().invoke(main.app, ["plan", "--stack", "dev", "--cost", "--live-prices"])
    document = json.loads(
        CliRunner().invoke(main.app, ["plan", "--stack", "dev", "--cost", "--live-prices", "--json"]).stdout
    )

    assert shown.exit_code == 0, shown.output
    assert "No price of today, list prices stay. Price List:" in shown.output
    assert "credentials" in shown.output
    assert document["expected"] == pytest.approx(418, abs=5)
    assert len(document["noPriceOfToday"]) == 2


def test_live_prices_without_cost_are_refused() -> None:
    result = CliRunner().invoke(main.app, ["plan", "--live-prices"])

    assert result.exit_code == 2
    assert "--live-prices goes with --cost" in result.output
