"""Prices of today, by AWS's own APIs, for the estimate of a plan. What AWS does not say keeps its list price."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from otel_on_spot import aws_prices
from otel_on_spot.failures import reason

Clients = Callable[[str, str], Any]
"""(service, region) -> its client."""


class LivePrices:
    """USD, each asked for once. ``why``: in words, why something has no price of today."""

    def __init__(self, clients: Clients, region: str, zones: Sequence[str]) -> None:
        self._clients = clients
        self._region = region
        self._zones = zones
        self._known: dict[tuple[str, str], Any] = {}
        self.date = datetime.now(UTC).date().isoformat()
        self.why: dict[str, None] = {}

    def service(self, key: str, how: Mapping[str, Any] | None) -> float | None:
        """The price of a service's unit; ``how``: the entry ``price_list`` of prices.toml."""
        if how is None:
            return None
        fields = {"regionCode": self._region, **how.get("fields", {})}
        return self._asked(
            "Price List",
            key,
            lambda: aws_prices.service_price(self._pricing(), how["service"], how["usage"], fields),
        )

    def on_demand(self, instance_type: str) -> float | None:
        """USD an hour of an instance On-Demand."""
        return self._asked(
            "Price List",
            instance_type,
            lambda: aws_prices.on_demand_price(self._pricing(), instance_type, self._region),
        )

    def spot(self, instance_type: str) -> list[float]:
        """USD an hour of a Spot instance in each of the plan's zones, the cheapest first; none where AWS names none."""

        def found() -> list[float] | None:
            by_zone = aws_prices.spot_prices(self._clients("ec2", self._region), instance_type)
            return sorted(usd for zone, usd in by_zone.items() if zone in self._zones or not self._zones) or None

        return self._asked("Spot prices", instance_type, found) or []

    def _pricing(self) -> Any:
        return self._clients("pricing", aws_prices.PRICE_LIST_REGION)

    def _asked(self, what: str, name: str, question: Callable[[], Any]) -> Any:
        key = (what, name)
        if key not in self._known:
            try:
                self._known[key] = question()
            except (BotoCoreError, ClientError) as problem:
                self.why[f"{what}: {reason(problem)}"] = None
                self._known[key] = None
            else:
                if self._known[key] is None:
                    self.why[f"{what}: AWS names no price of {name} in {self._region}"] = None
        return self._known[key]
