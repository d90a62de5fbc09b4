"""Shortages of capacity that a drill makes: what is taken away, by which means, and whether something would be left.

In a lab the simulated EC2 refuses; on AWS, where nobody can take capacity away, NodePools are narrowed: each stays
valid and Ready, with fewer offerings or no room. Both are taken back by the drill's lease (``undo``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from infra.settings.instance_types import meeting
from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.drills.undo import Step, closed, narrowed
from otel_on_spot.kubernetes.client import Object
from otel_on_spot.kubernetes.names import CAPACITY_TYPE, ZONE

SPOT: Final = "spot"
FAMILY: Final = "karpenter.k8s.aws/instance-family"
"""Source: https://karpenter.sh/docs/concepts/scheduling/#well-known-labels"""
NO_CAPACITY_CODE: Final = "InsufficientInstanceCapacity"
QUOTA_CODE: Final = "MaxSpotInstanceCountExceeded"
"""EC2's answers: it has nothing, or the account's Spot quota is used up.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""
CLOSED: Final[Mapping[str, str]] = {"cpu": "0"}
"""Limits of a pool that launches nothing more and keeps what it has.

Source: https://karpenter.sh/docs/concepts/nodepools/#speclimits
"""
HOLD_DRIFT: Final[Mapping[str, Any]] = {"nodes": "0", "reasons": ["Drifted"]}
"""A budget that keeps the nodes which a narrowed requirement does not allow any more.

Source: https://karpenter.sh/docs/concepts/disruption/#nodepool-disruption-budgets
"""


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """What is taken away: all of Spot, unless something says otherwise.

    ``zone``, ``family``: of Spot only there. ``quota``: EC2 says that the account has no Spot left. ``everything``:
    On-Demand too.
    """

    zone: str = ""
    family: str = ""
    quota: bool = False
    everything: bool = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            DrillRefusedError: more than one of the variants.
        """
        given = [
            option
            for option, wanted in (
                ("--zone or --family", self.zone or self.family),
                ("--quota", self.quota),
                ("--all", self.everything),
            )
            if wanted
        ]
        if len(given) > 1:
            raise DrillRefusedError(
                f"{' and '.join(given)}: one drought at a time. Give --zone, --family (or both: that family there), "
                "--quota, --all, or none of them for all of Spot"
            )

    @property
    def partial(self) -> bool:
        """True where Spot is left elsewhere."""
        return bool(self.zone or self.family)

    @property
    def text(self) -> str:
        """The shortage in words."""
        if self.everything:
            return "all capacity, On-Demand too"
        if self.quota:
            return "Spot, by the account's quota"
        places = [f"family {self.family}"] if self.family else []
        return "Spot" + "".join(f" of {place}" for place in places) + (f" in {self.zone}" if self.zone else "")

    @property
    def row(self) -> dict[str, str]:
        """The form in which the lab's switch takes it, and gives it back."""
        return {
            "capacity_type": "*" if self.everything else SPOT,
            "instance_type": f"{self.family}.*" if self.family else "*",
            "zone": self.zone or "*",
            "code": QUOTA_CODE if self.quota else NO_CAPACITY_CODE,
        }

    def covers(self, capacity_type: str, instance_type: str, zone: str) -> bool:
        """True where an instance is of what is taken away."""
        return (
            (self.everything or capacity_type == SPOT)
            and self.zone in ("", zone)
            and self.family in ("", instance_type.partition(".")[0])
        )


def capacity_types(pool: Object) -> tuple[str, ...]:
    """Capacity types that a NodePool names; Karpenter takes On-Demand where it names none."""
    terms = [term for term in requirements(pool) if term["key"] == CAPACITY_TYPE]
    named = tuple(value for term in terms if term["operator"] == "In" for value in term.get("values") or ())
    return named or ("on-demand",)


def requirements(pool: Object) -> list[dict[str, Any]]:
    """Requirements of a NodePool."""
    return list(pool["spec"]["template"]["spec"].get("requirements") or [])


def is_tainted(pool: Object) -> bool:
    """True where a taint keeps the drill's pods out."""
    taints = pool["spec"]["template"]["spec"].get("taints") or []
    return any(taint.get("effect") != "PreferNoSchedule" for taint in taints)


def concerned(shortage: Shortage, pools: Sequence[Object]) -> list[Object]:
    """Pools that launch what is taken away, and that the drill's pods may use."""
    return [pool for pool in pools if not is_tainted(pool) and (shortage.everything or SPOT in capacity_types(pool))]


def require_something_left(shortage: Shortage, pools: Sequence[Object], zones: Sequence[str]) -> None:
    """Go on only where the shortage is one, and a partial one leaves Spot elsewhere.

    ``zones``: of the subnets that nodes are launched into.

    Raises:
        DrillRefusedError: no pool has Spot, the zone or family is not there, or it is all that there is.
    """
    found = concerned(shortage, pools)
    if not found:
        names = ", ".join(sorted(pool["metadata"]["name"] for pool in pools)) or "none"
        raise DrillRefusedError(
            f"no NodePool that takes any pod launches Spot: there is nothing to take. Pools: {names}"
        )
    allowed = {zone for pool in found for zone in zones if _allows(pool, ZONE, zone)}
    families = {kind.family for pool in found for kind in meeting(requirements(pool))}
    for option, given, there, what in (
        ("--zone", shortage.zone, allowed, "zones"),
        ("--family", shortage.family, families, "families"),
    ):
        if given and given not in there:
            raise DrillRefusedError(
                f"{option} {given}: no Spot pool launches there. Its {what}: {', '.join(sorted(there)) or 'none'}"
            )
    if shortage.zone and shortage.family:
        return
    for option, given, there in (("--zone", shortage.zone, allowed), ("--family", shortage.family, families)):
        if given and there == {given}:
            raise DrillRefusedError(
                f"{option} {given}: Spot is nowhere else, so that is all of it. Leave {option} out, and the drill "
                "follows the fall-back to On-Demand"
            )


def _allows(pool: Object, key: str, value: str) -> bool:
    for term in requirements(pool):
        if term["key"] == key:
            listed = value in (term.get("values") or ())
            if (term["operator"] == "In" and not listed) or (term["operator"] == "NotIn" and listed):
                return False
    return True


def narrowing(shortage: Shortage, pool: Object) -> Step:
    """The narrowing of a pool that leaves it valid: what would leave a requirement without values closes it instead.

    Raises:
        DrillRefusedError: a zone and a family are asked for at once.
    """
    if shortage.zone and shortage.family:
        raise DrillRefusedError(
            "--zone with --family: a NodePool's requirements each stand alone, none says 'this family in that zone'. "
            "Give one of them here; a lab takes both"
        )
    if shortage.zone:
        key, value = ZONE, shortage.zone
    elif shortage.family:
        key, value = FAMILY, shortage.family
    elif not shortage.everything and set(capacity_types(pool)) != {SPOT}:
        key, value = CAPACITY_TYPE, SPOT
    else:
        return closed(pool, CLOSED)
    return narrowed(pool, {"key": key, "operator": "NotIn", "values": [value]}, HOLD_DRIFT)
