"""The front path as drills saw it, for the judgement of each of them: in order, and each fault of it."""

from typing import Final

from otel_on_spot.drills.front_path import Availability, Front, Promise

WAIVED: Final = Promise(gap=60.0, waived="100% is waived: dev declares 1 of frontend")


def front(looks: int, served: int, gap: float = 0.0, promised: Promise = Promise(), least: int = 0) -> Front:  # noqa: B008
    """So many looks, of which so many were served. ``gap``: the longest, in seconds."""
    return Front(seen=Availability(looks=looks, served=served, longest_gap=gap, least=least), promised=promised)


KEPT: Final = front(400, 400, least=2)
IN_ORDER: Final = {"one replica, away for a boot, which is waived": front(400, 310, 45.0, WAIVED)}
FAULTS: Final = {
    "one look is not served": (front(400, 399, 1.0), "nothing served in 1 look of 400, for 1.0 s at a time"),
    "nobody looked": (front(0, 0), "nobody looked"),
    "waived, and away for longer": (front(400, 200, 61.0, WAIVED), "for 61.0 s at a time"),
}
