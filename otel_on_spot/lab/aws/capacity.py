"""The switch that takes capacity away from the simulated EC2: a JSON file that moto reads at every launch."""

import fnmatch
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from otel_on_spot.files import write_atomically

FILE = "capacity.json"
MESSAGES = {
    "InsufficientInstanceCapacity": "We currently do not have sufficient {type} capacity in the Availability Zone you "
    "requested ({zone}).",
    "MaxSpotInstanceCountExceeded": "Max spot instance count exceeded",
    "VcpuLimitExceeded": "You have requested more vCPU capacity than your current vCPU limit allows for the instance "
    "bucket that the specified instance type belongs to.",
}
"""EC2's words by code: no capacity, and the account's quotas of Spot and of On-Demand.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """Offerings that have no capacity. Each field is a shell pattern, ``*`` by default.

    ``capacity_type`` is ``spot`` or ``on-demand``; ``zone`` a zone's name such as ``eu-west-1a``. ``code``: what EC2
    answers, a key of ``MESSAGES``.
    """

    capacity_type: str = "*"
    instance_type: str = "*"
    zone: str = "*"
    code: str = "InsufficientInstanceCapacity"

    def __post_init__(self) -> None:
        """Refuse a code that nobody knows.

        Raises:
            ValueError: it is none of EC2's.
        """
        if self.code not in MESSAGES:
            raise ValueError(f"code {self.code!r}: EC2 refuses by {', '.join(MESSAGES)}; give one of them")

    def message(self, instance_type: str, zone: str) -> str:
        """EC2's words about an offering."""
        return MESSAGES[self.code].format(type=instance_type, zone=zone)

    def covers(self, capacity_type: str, instance_type: str, zone: str) -> bool:
        """True where this offering is among them."""
        return (
            fnmatch.fnmatchcase(capacity_type, self.capacity_type)
            and fnmatch.fnmatchcase(instance_type, self.instance_type)
            and fnmatch.fnmatchcase(zone, self.zone)
        )


def shortages(folder: Path) -> list[Shortage]:
    """Shortages of this moment; none where the file is missing.

    Raises:
        ValueError: the file is not a list of shortages.
    """
    try:
        text = (folder / FILE).read_text()
    except FileNotFoundError:
        return []
    try:
        return [Shortage(**row) for row in json.loads(text)]
    except (TypeError, ValueError) as problem:
        rule = "a list of objects with capacity_type, instance_type, zone and code"
        raise ValueError(f"{folder / FILE}: {problem}. It must be {rule}: mend it, or remove it") from None


def set_shortages(folder: Path, now: Iterable[Shortage]) -> None:
    """Say what is short; an empty list brings all capacity back. It counts from the next launch on."""
    write_atomically(folder / FILE, json.dumps([asdict(shortage) for shortage in now]))
