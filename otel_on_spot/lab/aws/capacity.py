"""The switch that takes capacity away from the simulated EC2: a JSON file that moto reads at every launch."""

import fnmatch
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from otel_on_spot.files import write_atomically

FILE = "capacity.json"


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """Offerings that have no capacity. Each field is a shell pattern, ``*`` by default.

    ``capacity_type`` is ``spot`` or ``on-demand``; ``zone`` a zone's name such as ``eu-west-1a``.
    """

    capacity_type: str = "*"
    instance_type: str = "*"
    zone: str = "*"

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
        rule = "a list of objects with capacity_type, instance_type and zone"
        raise ValueError(f"{folder / FILE}: {problem}. It must be {rule}: mend it, or remove it") from None


def set_shortages(folder: Path, now: Iterable[Shortage]) -> None:
    """Say what is short; an empty list brings all capacity back. It counts from the next launch on."""
    write_atomically(folder / FILE, json.dumps([asdict(shortage) for shortage in now]))


def short(now: Sequence[Shortage], capacity_type: str, instance_type: str, zone: str) -> bool:
    """True where an offering has no capacity."""
    return any(shortage.covers(capacity_type, instance_type, zone) for shortage in now)
