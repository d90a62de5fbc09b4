"""Prices are AWS's own answers, or there are none."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from otel_on_spot.drills.stress.prices import Prices


class Aws:
    """Answers of EC2 and of the Price List; ``refused``: it answers no."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refused = False
        self.session = self
        self.declared = self
        self.region = "eu-west-1"

    def aws(self, _service: str) -> "Aws":
        return self

    def client(self, service: str, region_name: str) -> "Aws":
        assert (service, region_name) == ("pricing", "us-east-1")
        return self

    def describe_spot_price_history(self, **asked: Any) -> Any:
        self.asked.append("spot")
        if self.refused:
            raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, "DescribeSpotPriceHistory")
        rows = [("m7i.large", "eu-west-1a", "0.03", 1), ("m7i.large", "eu-west-1a", "0.04", 2)]
        rows.append(("m7i.large", "eu-west-1b", "0.09", 3))
        names = ("InstanceType", "AvailabilityZone", "SpotPrice", "Timestamp")
        return {"SpotPriceHistory": [dict(zip(names, row, strict=True)) for row in rows]}

    def get_products(self, **asked: Any) -> Any:
        self.asked.append("on-demand")
        wanted = {field["Field"]: field["Value"] for field in asked["Filters"]}
        assert (wanted["regionCode"], wanted["operatingSystem"], wanted["tenancy"]) == ("eu-west-1", "Linux", "Shared")

        def product(name: str, usd: str) -> str:
            terms = {"OnDemand": {"a": {"priceDimensions": {"b": {"unit": "Hrs", "pricePerUnit": {"USD": usd}}}}}}
            return json.dumps({"product": {"attributes": {"instanceType": name}}, "terms": terms})

        return {"PriceList": [product("m7i.xlarge", "0.2"), product("m7i.large", "0"), product("m7i.large", "0.1")]}


@pytest.fixture
def aws() -> Aws:
    return Aws()


def test_the_newest_spot_price_of_the_zone_is_taken_and_asked_for_once(aws: Aws) -> None:
    prices = Prices(aws)  # ty: ignore[invalid-argument-type]
    assert [prices.of("spot", "m7i.large", "eu-west-1a") for _ in range(3)] == [0.04] * 3
    assert aws.asked == ["spot"]


def test_the_on_demand_price_is_the_price_lists(aws: Aws) -> None:
    prices = Prices(aws)  # ty: ignore[invalid-argument-type]
    assert prices.of("on-demand", "m7i.large", "eu-west-1a") == prices.of("on-demand", "m7i.large", "eu-west-1b") == 0.1
    assert aws.asked == ["on-demand"]


def test_what_aws_does_not_name_has_no_price_and_says_so(aws: Aws) -> None:
    prices = Prices(aws)  # ty: ignore[invalid-argument-type]
    assert prices.of("spot", "c7i.large", "eu-west-1a") is None
    assert prices.of("on-demand", "c7i.large", "") is None
    assert prices.of("reserved", "m7i.large", "") is None
    assert "AWS names no spot price of c7i.large eu-west-1a" in prices.why


def test_a_refusal_is_no_price(aws: Aws) -> None:
    aws.refused = True
    prices = Prices(aws)  # ty: ignore[invalid-argument-type]
    assert prices.of("spot", "m7i.large", "eu-west-1a") is None
    assert any("UnauthorizedOperation" in why for why in prices.why)
