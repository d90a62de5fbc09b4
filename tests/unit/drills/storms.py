"""Recorded storms for the judgement: in order, and each fault that its line must find."""

from collections.abc import Callable
from dataclasses import replace

from otel_on_spot.drills.front_path import Sample
from otel_on_spot.drills.spot_storm.verdicts import Seen, Storm
from tests.unit.drills.fronts import KEPT, WAIVED, front

NODES = ("a", "b", "c")


def endpoints(text: str) -> tuple[Sample, ...]:
    """A character every half second: how many are ready."""
    return tuple(Sample(seconds=number / 2, answering=int(mark)) for number, mark in enumerate(text))


def storm() -> Seen:
    """Three of three nodes of staging at once, boot 40 s: one endpoint of two is always ready."""
    return Seen(
        storm=Storm(everything=True),
        warned=NODES,
        timeout=300.0,
        sent=0.2,
        handled={"a": 0.4, "b": 0.5, "c": 0.9},
        drained={"a": 58.0, "b": 59.0, "c": 102.0},
        whole=104.0,
        waiting=(),
        left=(),
        front=KEPT,
        endpoints=endpoints("22211122"),
    )


def dev() -> Seen:
    """One replica: away for a boot, which is waived and said."""
    return replace(
        storm(),
        front=front(120, 30, 45.0, WAIVED),
        endpoints=endpoints("110000011"),
    )


def thousand() -> Seen:
    nodes = tuple(f"n{number}" for number in range(1000))
    at = {node: number / 17 for number, node in enumerate(nodes)}
    return replace(storm(), warned=nodes, handled=at, drained={node: seconds + 40 for node, seconds in at.items()})


IN_ORDER: dict[str, Callable[[], Seen]] = {made.__name__: made for made in (storm, dev, thousand)}

FAULTS: dict[str, tuple[Seen, str, str]] = {
    "two of three nodes carry the front path away": (
        replace(storm(), front=front(240, 150, 45.0), endpoints=endpoints("210001122")),
        "front-path",
        "nothing served in 90 looks of 240, for 45.0 s",
    ),
    "served by HTTP from an endpoint that is not ready": (
        replace(storm(), endpoints=endpoints("21012")),
        "answering",
        "had no ready endpoint: 2, 1 at 0.5 s, 0 at 1.0 s",
    ),
    "nobody counted endpoints": (replace(storm(), endpoints=()), "answering", "nobody looked"),
    "nobody counted endpoints of a waived path": (replace(dev(), endpoints=()), "answering", "nobody looked"),
    "no warning is heard": (
        replace(storm(), handled={}),
        "heard",
        "not handled in 120 s: a (never), b (never), c (never)",
    ),
    "one warning is lost": (replace(storm(), handled={"a": 0.4, "c": 0.9}), "heard", "not handled in 120 s: b (never)"),
    "the last message waits too long": (
        replace(storm(), handled={"a": 0.4, "b": 0.5, "c": 121.0}),
        "heard",
        "c (121 s)",
    ),
    "a node is not empty when it goes": (
        replace(storm(), drained={"a": 58.0, "b": 59.0, "c": 131.0}),
        "drained",
        "not empty in 120 s: c (131 s)",
    ),
    "a budget holds a pod for ever": (
        replace(storm(), drained={"a": 58.0, "b": 59.0}, left=("otel-demo/cart-1",), whole=None),
        "drained",
        "c (never); 1 pod left: otel-demo/cart-1",
    ),
    "a workload stays broken": (
        replace(storm(), whole=None, waiting=("otel-demo/cart",)),
        "whole",
        "not whole 300 s after the warnings: otel-demo/cart",
    ),
    "whole, and too late": (replace(storm(), whole=301.0), "whole", "not whole 300 s after"),
}

FOLLOWS: dict[str, set[str]] = {
    "two of three nodes carry the front path away": {"answering"},
    "a budget holds a pod for ever": {"whole"},
}
"""Lines that rightly say something too, by fault."""
