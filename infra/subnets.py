"""The subnets within the VPC's range: pure arithmetic.

Private subnets grow from the start of the range, public ones from its end, so that adding a zone moves none.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network


@dataclass(frozen=True)
class SubnetLayout:
    """A VPC range cut into one private and one public subnet per zone."""

    vpc: IPv4Network
    zone_count: int
    private_prefix: int
    public_prefix: int

    def problems(self) -> list[tuple[str, str]]:
        """(settings key, rule) for each thing that does not fit; empty when the layout is sound."""
        found = [
            (key, f"a subnet lies inside the VPC's {self.vpc}: prefix above {self.vpc.prefixlen}")
            for key, prefix in (("privatePrefix", self.private_prefix), ("publicPrefix", self.public_prefix))
            if prefix <= self.vpc.prefixlen
        ]
        needed = sum(self.zone_count * 2 ** (32 - prefix) for prefix in (self.private_prefix, self.public_prefix))
        if not found and (needed > self.vpc.num_addresses or self._overlap()):
            found.append(
                (
                    "cidr",
                    f"{self.zone_count} private /{self.private_prefix} and {self.zone_count} public "
                    f"/{self.public_prefix} subnets need {needed} addresses; {self.vpc} has {self.vpc.num_addresses}",
                )
            )
        return found

    def _overlap(self) -> bool:
        return self.private(self.zone_count - 1).overlaps(self.public(self.zone_count - 1)) or (
            int(self.private(self.zone_count - 1).broadcast_address)
            > int(self.public(self.zone_count - 1).network_address)
        )

    def private(self, zone_index: int) -> IPv4Network:
        """The private subnet of the zone at this position."""
        start = int(self.vpc.network_address) + zone_index * 2 ** (32 - self.private_prefix)
        return IPv4Network((start, self.private_prefix))

    def public(self, zone_index: int) -> IPv4Network:
        """The public subnet of the zone at this position, counted from the end of the range."""
        start = int(self.vpc.broadcast_address) + 1 - (zone_index + 1) * 2 ** (32 - self.public_prefix)
        return IPv4Network((start, self.public_prefix))
