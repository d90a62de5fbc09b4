"""Prices of nodes an hour, by AWS's own APIs. Where AWS does not say, there is no price: none is made up."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from otel_on_spot.failures import reason
from otel_on_spot.target import Target

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


class Prices:
    """USD an hour, each asked for once. ``why``: reasons why something has no price."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._known: dict[tuple[str, str, str], float | None] = {}
        self.why: set[str] = set()

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about them, for a report."""
        made_up = ("prices are those of a simulated AWS: made up",) if self._target.simulated else ()
        return (*made_up, *sorted(self.why))

    def of(self, capacity_type: str, instance_type: str, zone: str) -> float | None:
        """USD an hour of an instance; None where AWS names no price. Spot: the price in that zone now."""
        key = (capacity_type, instance_type, zone if capacity_type == "spot" else "")
        if key not in self._known:
            self._known[key] = self._asked(*key)
        return self._known[key]

    def _asked(self, capacity_type: str, instance_type: str, zone: str) -> float | None:
        try:
            if capacity_type == "spot":
                found = self._spot(instance_type, zone)
            elif capacity_type == "on-demand":
                found = self._on_demand(instance_type)
            else:
                found = None
        except (BotoCoreError, ClientError) as problem:
            self.why.add(f"{capacity_type} prices: {reason(problem)}")
            return None
        if found is None:
            self.why.add(f"AWS names no {capacity_type} price of {instance_type} {zone}".strip())
        return found

    def _spot(self, instance_type: str, zone: str) -> float | None:
        """The price in effect: its history from now on.

        Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html
        """
        history = self._target.aws("ec2").describe_spot_price_history(
            InstanceTypes=[instance_type],
            AvailabilityZone=zone,
            ProductDescriptions=[LINUX],
            StartTime=datetime.now(UTC),
        )
        rows = [
            row
            for row in history["SpotPriceHistory"]
            if (row["InstanceType"], row["AvailabilityZone"]) == (instance_type, zone)
        ]
        return float(max(rows, key=lambda row: row["Timestamp"])["SpotPrice"]) if rows else None

    def _on_demand(self, instance_type: str) -> float | None:
        """Source: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html"""
        fields = {**ORDINARY, "instanceType": instance_type, "regionCode": self._target.declared.region}
        client = self._target.session.client("pricing", region_name=PRICE_LIST_REGION)
        answer = client.get_products(
            ServiceCode="AmazonEC2",
            Filters=[{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in fields.items()],
        )
        products = [json.loads(product) for product in answer["PriceList"]]
        return next((price for product in products if (price := _hourly(product, instance_type)) is not None), None)


def _hourly(product: dict[str, Any], instance_type: str) -> float | None:
    if product["product"]["attributes"].get("instanceType") != instance_type:
        return None
    for term in (product["terms"].get("OnDemand") or {}).values():
        for dimension in term["priceDimensions"].values():
            usd = float(dimension["pricePerUnit"].get("USD") or 0)
            if usd:
                return usd
    return None
