"""Prices of nodes an hour, by AWS's own APIs. Where AWS does not say, there is no price: none is made up."""

from botocore.exceptions import BotoCoreError, ClientError

from otel_on_spot import aws_prices
from otel_on_spot.failures import reason
from otel_on_spot.target import Target


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
                found = aws_prices.spot_prices(self._target.aws("ec2"), instance_type, zone).get(zone)
            elif capacity_type == "on-demand":
                pricing = self._target.session.client("pricing", region_name=aws_prices.PRICE_LIST_REGION)
                found = aws_prices.on_demand_price(pricing, instance_type, self._target.declared.region)
            else:
                found = None
        except (BotoCoreError, ClientError) as problem:
            self.why.add(f"{capacity_type} prices: {reason(problem)}")
            return None
        if found is None:
            self.why.add(f"AWS names no {capacity_type} price of {instance_type} {zone}".strip())
        return found
