"""Two gaps of moto's EC2.

An instance that ends leaves its primary network interface and its address behind; AWS removes both.
Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/terminating-instances.html

DescribeSpotPriceHistory has one price, 0.00001, for every type and zone, so that all offerings tie.
"""

from contextlib import suppress
from typing import Any

from otel_on_spot.lab.aws.moto_patches.prices import spot_price


def install() -> None:
    """Close both gaps."""
    _remove_interfaces()
    _price_by_offering()


def _remove_interfaces() -> None:
    """Take the interfaces that were made with an instance away with it, and give their addresses back."""
    from moto.ec2.models.instances import Instance

    inner = Instance.terminate

    def terminate(self: Any) -> Any:
        previous = inner(self)
        for interface in list(self.nics.values()):
            if interface.description != "Primary network interface":
                continue
            interface.stop()
            self.ec2_backend.enis.pop(interface.id, None)
        for address in list(self._private_ips):
            with suppress(Exception):  # the subnet may be gone before its instances are forgotten
                self.ec2_backend.get_subnet(self.subnet_id).del_subnet_ip(address)
        self._private_ips.clear()
        return previous

    Instance.terminate = terminate


def _price_by_offering() -> None:
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
