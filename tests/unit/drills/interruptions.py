"""Recorded interruptions of one node for the judgement: in order, and each fault that its line must find."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from otel_on_spot.drills.spot_interruption.verdicts import Interruption
from tests.unit.drills.fronts import KEPT

AT: Final = {
    "deleting": 0.3,
    "tainted": 0.4,
    "drained": 5.0,
    "replaced": 2.0,
    "registered": 4.0,
    "ready": 4.5,
    "gone": 9.0,
    "workloads": 8.0,
}
SEEN: Final = Interruption(
    node="a",
    instance="i-a",
    timeout=300.0,
    at=AT,
    replacement="spot-b",
    waiting=(),
    left=(),
    front=KEPT,
)


def lacking(*names: str, **more: Any) -> Interruption:
    return replace(SEEN, at={key: value for key, value in AT.items() if key not in names}, **more)


def interruption() -> Interruption:
    """All promises held."""
    return SEEN


def room() -> Interruption:
    """Other nodes had room: no replacement is needed."""
    return lacking("ready", "replaced", "registered", replacement="")


IN_ORDER: dict[str, Callable[[], Interruption]] = {made.__name__: made for made in (interruption, room)}

FAULTS: dict[str, tuple[Interruption, str, str]] = {
    "nobody hears the warning": (replace(SEEN, at={}), "heard", "300 s later its NodeClaim is as it was"),
    "heard too late": (replace(SEEN, at={**AT, "deleting": 130.0}), "heard", "deleted 130 s after the warning"),
    "no taint": (lacking("tainted", "gone"), "tainted", "not tainted"),
    "late taint": (replace(SEEN, at={**AT, "tainted": 130.0}), "tainted", "tainted 130 s after the warning"),
    "late drain": (replace(SEEN, at={**AT, "drained": 130.0}), "drained", "empty after 130 s"),
    "no drain": (
        lacking("drained", left=("otel-demo/cart-1",)),
        "drained",
        "1 pod still there after 300 s: otel-demo/cart-1",
    ),
    "its replacement never becomes Ready": (lacking("ready"), "replaced", "NodeClaim spot-b has no Ready node"),
    "no replacement": (
        lacking("ready", "replaced", "workloads", replacement=""),
        "replaced",
        "Karpenter made no NodeClaim",
    ),
    "a workload stays broken": (
        lacking("workloads", waiting=("otel-demo/cart",)),
        "workloads",
        "not whole 300 s after the warning: otel-demo/cart",
    ),
}

FOLLOWS: dict[str, set[str]] = {"no replacement": {"workloads"}}
"""Lines that rightly say something too, by fault."""
