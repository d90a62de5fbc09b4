"""Questions and answers about prices as they are on the wire: botocore's own models write the one and read the other.

Shapes: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html,
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html,
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html
"""

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from otel_on_spot import aws_prices
from otel_on_spot.plan.live_prices import LivePrices


class Body(io.BytesIO):
    """What urllib3 hands botocore of an answer."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


class Wire:
    """Clients whose requests go nowhere: each has the next of the given bodies for an answer, and is kept."""

    def __init__(self, *bodies: str) -> None:
        self._bodies = list(bodies)
        self.asked: list[Any] = []

    def __call__(self, service: str, region: str) -> Any:
        session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b")
        client = session.client(service, region_name=region)
        client.meta.events.register("before-send", self._answer)
        return client

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        self.asked.append(request)
        return AWSResponse(request.url, 200, {}, Body(self._bodies.pop(0).encode()))


def product(
    sku: str, family: str, prices: Sequence[tuple[str, str, str]], currency: str = "USD", **attributes: str
) -> str:
    """A product as the Price List writes it; ``prices``: begin and end of a range, and the price in it."""
    term = f"{sku}.JRTCKXETXF"
    dimensions = {
        f"{term}.{number}": {
            "unit": "Hrs",
            "beginRange": begin,
            "endRange": end,
            "description": f"${price} per hour",
            "appliesTo": [],
            "rateCode": f"{term}.{number}",
            "pricePerUnit": {currency: price},
        }
        for number, (begin, end, price) in enumerate(prices)
    }
    on_demand = {
        "priceDimensions": dimensions,
        "sku": sku,
        "effectiveDate": "2026-11-01T00:00:00Z",
        "offerTermCode": "JRTCKXETXF",
        "termAttributes": {},
    }
    return json.dumps(
        {
            "product": {"productFamily": family, "attributes": attributes, "sku": sku},
            "serviceCode": attributes["servicecode"],
            "terms": {"OnDemand": {term: on_demand}},
            "version": "20261101000000",
            "publicationDate": "2026-11-01T00:00:00Z",
        }
    )


def products(*found: str, token: str = "") -> str:
    return json.dumps({"FormatVersion": "aws_v1", "PriceList": found} | ({"NextToken": token} if token else {}))


INSTANCE = {"servicecode": "AmazonEC2", "instanceType": "m7i.large", "regionCode": "eu-west-1", "usagetype": "EU-m7i"}


def spot_prices(*rows: tuple[str, str, str], token: str = "") -> str:
    items = "".join(
        "<item><instanceType>m7i.large</instanceType><productDescription>Linux/UNIX</productDescription>"
        f"<spotPrice>{usd}</spotPrice><timestamp>{at}</timestamp><availabilityZone>{zone}</availabilityZone>"
        f"<availabilityZoneId>euw1-az1</availabilityZoneId></item>"
        for zone, usd, at in rows
    )
    return (
        '<DescribeSpotPriceHistoryResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId>'
        f"<spotPriceHistorySet>{items}</spotPriceHistorySet><nextToken>{token}</nextToken>"
        "</DescribeSpotPriceHistoryResponse>"
    )


def test_the_price_list_is_asked_page_by_page_for_an_ordinary_instance() -> None:
    wire = Wire(
        products(product("A", "Compute Instance", [("0", "Inf", "0.0000000000")], **INSTANCE), token="more"),
        products(product("B", "Compute Instance", [("0", "Inf", "0.1128000000")], **INSTANCE)),
    )

    assert LivePrices(wire, "eu-west-1", []).on_demand("m7i.large") == 0.1128
    first, second = (json.loads(request.body) for request in wire.asked)
    assert {request.headers["X-Amz-Target"] for request in wire.asked} == {b"AWSPriceListService.GetProducts"}
    assert {request.url for request in wire.asked} == {"https://api.pricing.us-east-1.amazonaws.com/"}
    fields = aws_prices.ORDINARY | {"instanceType": "m7i.large", "regionCode": "eu-west-1"}
    assert first["Filters"] == [{"Type": "TERM_MATCH", "Field": key, "Value": value} for key, value in fields.items()]
    assert second == first | {"NextToken": "more"}


def test_a_service_in_tiers_costs_what_its_first_tier_that_costs_does() -> None:
    tiers = [("100", "10240", "0.0900000000"), ("0", "100", "0.0000000000"), ("10240", "Inf", "0.0850000000")]
    attributes = {"servicecode": "AmazonEKS", "usagetype": "EU-AmazonEKS-Hours:perCluster", "regionCode": "eu-west-1"}
    wire = Wire(products(product("A", "Compute", tiers, **attributes)))
    how = {"service": "AmazonEKS", "usage": "AmazonEKS-Hours:perCluster"}

    assert LivePrices(wire, "eu-west-1", []).service("eks-standard", how) == 0.09


@pytest.mark.parametrize(
    "answer",
    [
        products(),
        products(product("A", "Compute Instance", [("0", "Inf", "0.7")], "CNY", **INSTANCE)),
        products(product("A", "Compute Instance", [("0", "Inf", "0.7")], **INSTANCE | {"instanceType": "m7i.xlarge"})),
        products(json.dumps({"product": {"attributes": INSTANCE}, "terms": {"Reserved": {}}})),
        products(json.dumps({"product": {"attributes": INSTANCE, "sku": "A"}})),
        products(json.dumps({"product": {"sku": "A"}, "terms": {"OnDemand": {}}})),
    ],
    ids=["nothing", "another currency", "another type", "reserved alone", "no terms", "no attributes"],
)
def test_a_region_without_a_price_in_usd_is_said_by_name(answer: str) -> None:
    live = LivePrices(Wire(answer), "eu-west-1", [])

    assert live.on_demand("m7i.large") is None
    assert list(live.why) == ["Price List: AWS names no price of m7i.large in eu-west-1"]


def test_spot_prices_are_read_to_the_last_page_and_the_newest_of_a_zone_counts() -> None:
    wire = Wire(
        spot_prices(("eu-west-1a", "0.041000", "2026-11-26T10:00:00.000Z"), token="more"),
        spot_prices(
            ("eu-west-1b", "0.039000", "2026-11-26T09:00:00.000Z"),
            ("eu-west-1a", "0.040000", "2026-11-26T08:00:00.000Z"),
        ),
    )

    assert LivePrices(wire, "eu-west-1", ["eu-west-1a", "eu-west-1b"]).spot("m7i.large") == [0.039, 0.041]
    first, second = (
        parse_qs(request.body if isinstance(request.body, str) else request.body.decode()) for request in wire.asked
    )
    assert first["Action"] == ["DescribeSpotPriceHistory"]
    assert (first["InstanceType.1"], first["ProductDescription.1"]) == (["m7i.large"], ["Linux/UNIX"])
    assert first["StartTime"][0].endswith("Z")
    assert second["NextToken"] == ["more"]


def test_a_zone_without_spot_is_said_by_name() -> None:
    live = LivePrices(Wire(spot_prices()), "eu-west-1", [])

    assert live.spot("m7i.large") == []
    assert list(live.why) == ["Spot prices: AWS names no price of m7i.large in eu-west-1"]
