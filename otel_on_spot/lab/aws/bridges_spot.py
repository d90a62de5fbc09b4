"""Gap: moto's DescribeSpotPriceHistory has one price, 0.00001, for every type and zone, so that all offerings tie."""

from typing import Any

from otel_on_spot.lab.aws.prices import spot_price


def install() -> None:
    """Answer with prices that differ by type and zone and lie below On-Demand."""
    from moto.core.responses import ActionResult
    from moto.core.utils import utcnow
    from moto.ec2.responses.spot_instances import SpotInstances

    def describe_spot_price_history(self: Any) -> Any:
        asked = self._get_param("InstanceTypes", [])
        now = utcnow()
        history = [
            {
                "InstanceType": row["InstanceType"],
                "ProductDescription": "Linux/UNIX",
                "SpotPrice": f"{spot_price(row['InstanceType'], row['Location']):.6f}",
                "AvailabilityZone": row["Location"],
                "Timestamp": now,
            }
            for row in self.ec2_backend.describe_spot_price_history(asked, self._filters_from_querystring())
        ]
        return ActionResult({"SpotPriceHistory": history})

    SpotInstances.describe_spot_price_history = describe_spot_price_history
