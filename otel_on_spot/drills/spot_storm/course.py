"""A storm: which nodes are warned, and what was seen of them. Plain values, and pure functions of what is there."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from otel_on_spot.doctor.check import require
from otel_on_spot.doctor.checks.placement import SPOT
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.drills.front_path import Front, Sample
from otel_on_spot.drills.spot_interruption.candidates import Candidate, judge_nodes
from otel_on_spot.findings import format_count
from otel_on_spot.kubernetes.names import CAPACITY_TYPE, INSTANCE_TYPE, ZONE

CHANGES_SHOWN: Final = 12


@dataclass(frozen=True, kw_only=True)
class Storm:
    """Which Spot nodes are warned: half of them, unless something says otherwise."""

    zone: str = ""
    instance_type: str = ""
    everything: bool = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            DrillRefusedError: ``everything`` and a part of it.
        """
        if self.everything and (self.zone or self.instance_type):
            raise DrillRefusedError(
                "--all with --zone or --type: all of them, or those of a zone, of a type, or of both. Give one"
            )

    @property
    def text(self) -> str:
        """The storm in words."""
        if self.everything:
            return "all Spot nodes"
        if not self.zone and not self.instance_type:
            return "half of the Spot nodes"
        parts = [f"of type {self.instance_type}"] if self.instance_type else []
        return " ".join(["Spot nodes", *parts, *([f"in {self.zone}"] if self.zone else [])])


def choose_nodes(facts: Facts, storm: Storm, *, allow_stateful: bool) -> list[Candidate]:
    """The nodes that are warned: of half of them, those of the front path and the fullest first.

    ``facts`` have nodes, pods, node_claims and terminating. ``allow_stateful``: nodes that keep the only copy of data
    too.

    Raises:
        DrillRefusedError: there are none, or one of them must not be interrupted.
    """
    labels = {node.name: node.labels for node in require(facts, "nodes")}
    judged = judge_nodes(facts, allow_stateful=allow_stateful)
    spot = [found for found in judged if found.claim and labels[found.node].get(CAPACITY_TYPE) == SPOT]
    if not spot:
        reasons = "".join(f"\n  {found.node}: {found.why_not}" for found in judged)
        raise DrillRefusedError(f"none of {format_count(len(judged), 'node')} is a Spot node of Karpenter's:{reasons}")
    wanted = [
        found
        for found in spot
        if storm.zone in ("", labels[found.node].get(ZONE, ""))
        and storm.instance_type in ("", labels[found.node].get(INSTANCE_TYPE, ""))
    ]
    if not wanted:
        there = sorted({f"{labels[found.node].get(INSTANCE_TYPE)} in {labels[found.node].get(ZONE)}" for found in spot})
        raise DrillRefusedError(f"there are no {storm.text}. Spot nodes: {', '.join(there)}")
    half = not (storm.everything or storm.zone or storm.instance_type)
    count = math.ceil(len(spot) / 2) if half else len(wanted)
    free = [found for found in wanted if not found.why_not]
    if len(free) < count:
        blocked = "".join(f"\n  {found.node}: {found.why_not}" for found in wanted if found.why_not)
        raise DrillRefusedError(f"{len(free)} of {count} nodes may be interrupted ({storm.text}):{blocked}")
    return sorted(free, key=lambda found: (found.front > 0, found.pods, found.node), reverse=True)[:count]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen. Seconds since the warnings were sent; nodes by name. What is missing did not happen.

    Attributes:
        storm: which nodes.
        warned: names of the nodes.
        timeout: how long was looked.
        sent: how long the sending took.
        handled: when Karpenter deleted the node's NodeClaim.
        drained: when the node was empty, or gone.
        whole: when every workload that ran there was Ready elsewhere.
        waiting: workloads that are not.
        left: pods that are still on warned nodes.
        front: looks at the front path.
        endpoints: ready endpoints of its Service that has the fewest, over time.
    """

    storm: Storm
    warned: Sequence[str]
    timeout: float
    sent: float
    handled: Mapping[str, float]
    drained: Mapping[str, float]
    whole: float | None
    waiting: Sequence[str]
    left: Sequence[str]
    front: Front
    endpoints: Sequence[Sample]

    @property
    def least(self) -> int:
        """The fewest ready endpoints at any look; 0 where nobody looked."""
        return min((sample.answering for sample in self.endpoints), default=0)

    @property
    def over_time(self) -> str:
        """``3, 2 at 4.0 s, 1 at 5.5 s, 3 at 50.1 s``."""
        told: list[str] = []
        before: int | None = None
        for sample in self.endpoints:
            if sample.answering != before:
                told.append(f"{sample.answering}" + (f" at {sample.seconds:.1f} s" if told else ""))
                before = sample.answering
        more = len(told) - CHANGES_SHOWN
        return ", ".join(told[:CHANGES_SHOWN]) + (f", and {more} changes more" if more > 0 else "") or "nobody looked"

    @property
    def handled_text(self) -> str:
        """``3 of 3 in 0.9 s: median 0.5 s, 3.3 a second``."""
        count, of = len(self.handled), len(self.warned)
        if not count:
            return f"none of {of}"
        last = max(self.handled.values())
        return (
            f"{count} of {of} in {last:.1f} s: median {median(self.handled.values()):.1f} s, "
            f"{count / max(last, 0.1):.1f} a second"
        )
