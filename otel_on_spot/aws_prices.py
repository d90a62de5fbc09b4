"""Prices by AWS's own APIs: the Price List, and the history of Spot prices."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

LINUX: Final = "Linux/UNIX"
PRICE_LIST_REGION: Final = "us-east-1"
"""The Price List service is in few regions.

Source: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html
"""
ORDINARY: Final = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "operation": "RunInstances",
}
"""An instance as most people rent it."""


def spot_prices(ec2: Any, instance_type: str, zone: str | None = None) -> dict[str, float]:
    """Zone -> USD an hour of a Spot instance now: the price in effect is that of its history from now on.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html

    Raises:
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: AWS does not answer.
    """
    asked: dict[str, Any] = {
        "InstanceTypes": [instance_type],
        "ProductDescriptions": [LINUX],
        "StartTime": datetime.now(UTC),
        **({"AvailabilityZone": zone} if zone else {}),
    }
    history = _rows(ec2.describe_spot_price_history, "SpotPriceHistory", asked)
    rows = sorted((row for row in history if row["InstanceType"] == instance_type), key=lambda row: row["Timestamp"])
    return {row["AvailabilityZone"]: float(row["SpotPrice"]) for row in rows}


def on_demand_price(pricing: Any, instance_type: str, region: str) -> float | None:
    """USD an hour of an ordinary Linux instance; None where the Price List has none.

    Source: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html

    Raises:
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: AWS does not answer.
    """
    fields = {**ORDINARY, "instanceType": instance_type, "regionCode": region}
    for product in _products(pricing, "AmazonEC2", fields):
        if product["product"]["attributes"].get("instanceType") == instance_type and (usd := _usd(product)):
            return usd
    return None


def service_price(pricing: Any, service: str, usage: str, fields: Mapping[str, str]) -> float | None:
    """USD of a unit of a service's usage; None where the Price List has none.

    Args:
        pricing: client of the Price List.
        service: such as ``AmazonEKS``.
        usage: end of the usage type: a region's own prefix stands before it, as in ``EU-NatGateway-Hours``.
        fields: attributes that the product has.

    Raises:
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: AWS does not answer.
    """
    wanted = re.compile(rf"(.+-)?{re.escape(usage)}")
    for product in _products(pricing, service, fields):
        if wanted.fullmatch(product["product"]["attributes"].get("usagetype", "")) and (usd := _usd(product)):
            return usd
    return None


def _products(pricing: Any, service: str, fields: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    asked: dict[str, Any] = {
        "ServiceCode": service,
        "Filters": [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in fields.items()],
    }
    for told in _rows(pricing.get_products, "PriceList", asked):
        product = json.loads(told)
        if "attributes" in product.get("product", ()):
            yield product


def _rows(call: Callable[..., Any], key: str, asked: Mapping[str, Any]) -> Iterator[Any]:
    """What a call tells under a key, to its last page."""
    token: dict[str, str] = {}
    while True:
        answer = call(**asked, **token)
        yield from answer[key]
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}


def _usd(product: dict[str, Any]) -> float | None:
    """The On-Demand price of a product, of its first tier that costs something."""
    tiers = [
        (float(dimension.get("beginRange") or 0), float(dimension["pricePerUnit"].get("USD") or 0))
        for term in (product.get("terms", {}).get("OnDemand") or {}).values()
        for dimension in term["priceDimensions"].values()
    ]
    return next((usd for _, usd in sorted(tiers) if usd), None)
