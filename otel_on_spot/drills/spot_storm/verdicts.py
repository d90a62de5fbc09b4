"""Verdicts of the spot-storm drill: pure functions of what was seen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Final

from otel_on_spot.doctor.check import require
from otel_on_spot.doctor.checks.placement import SPOT
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.drills.front_path import Front, Sample
from otel_on_spot.drills.spot_interruption.candidates import Candidate, judge_nodes
from otel_on_spot.drills.spot_interruption.verdicts import CHECKS as HEARING
from otel_on_spot.drills.spot_interruption.verdicts import REPLACING
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.kubernetes.names import CAPACITY_TYPE, INSTANCE_TYPE, ZONE
from otel_on_spot.report import Verdict, verdict_of
from otel_on_spot.spot_arithmetic import WARNING_SECONDS

CHANGES_SHOWN: Final = 12
RUNBOOK: Final = "docs/runbooks/drills/spot-storm.md"
_verdict = partial(verdict_of, RUNBOOK)
NAMED: Final = 5


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


@dataclass(kw_only=True)
class Seen:
    """What was seen. Seconds since the warnings were sent; nodes by name. What is missing did not happen.

    Attributes:
        storm: which nodes.
        warned: names of the nodes.
        timeout: how long was looked.
        sent: how long the sending took.
        handled: when Karpenter deleted the node's NodeClaim.
        drained: when the node was empty, or gone.
        gone: when its NodeClaim was gone.
        whole: when every workload that ran there was Ready elsewhere.
        waiting: workloads that are not.
        left: pods that are still on warned nodes.
        front: looks at the front path.
        endpoints: ready endpoints of its Service that has the fewest, over time.
    """

    storm: Storm
    warned: Sequence[str]
    timeout: float
    sent: float = 0.0
    handled: dict[str, float] = field(default_factory=dict)
    drained: dict[str, float] = field(default_factory=dict)
    gone: dict[str, float] = field(default_factory=dict)
    whole: float | None = None
    waiting: Sequence[str] = ()
    left: Sequence[str] = ()
    front: Front = field(default_factory=Front)
    endpoints: Sequence[Sample] = ()

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


def verdicts(seen: Seen) -> tuple[Verdict, ...]:
    """A verdict for each promise; where nobody heard a warning, that and the front path."""
    front = seen.front.verdict(RUNBOOK)
    if not seen.handled:
        return (_heard(seen), front)
    return (_heard(seen), _drained(seen), front, _answering(seen), _whole(seen))


def checks(seen: Seen) -> tuple[str, ...]:
    """Checks of the doctor on the way that was not gone to its end."""
    return HEARING if len(seen.handled) < len(seen.warned) else REPLACING


def _late(seen: Seen, at: Mapping[str, float]) -> list[str]:
    """Nodes where it did not happen within the warning, with what is known."""
    return [
        f"{node} ({f'{at[node]:.0f} s' if node in at else 'never'})"
        for node in seen.warned
        if at.get(node, float("inf")) > WARNING_SECONDS
    ]


def _named(late: list[str]) -> str:
    return ", ".join(late[:NAMED]) + (f" and {len(late) - NAMED} more" if len(late) > NAMED else "")


def _heard(seen: Seen) -> Verdict:
    title, late = "Karpenter hears every warning", _late(seen, seen.handled)
    what = f"{seen.handled_text}, all sent in {seen.sent:.1f} s"
    finding = Finding(
        subject=format_count(len(late), "node"),
        seen=f"not handled in {WARNING_SECONDS} s: {_named(late)}",
        rule=f"Karpenter deletes each NodeClaim within {WARNING_SECONDS} s of its warning, however many come at once",
        remedy=(
            "otel-on-spot doctor --only " + ",".join(HEARING),
            "kubectl -n kube-system logs deployment/karpenter --since=10m",
        ),
    )
    return _verdict("heard", title, what, finding if late or not seen.warned else None, count=len(seen.warned))


def _drained(seen: Seen) -> Verdict:
    title, late = "Drained before they go", _late(seen, seen.drained)
    last = max(seen.drained.values(), default=0.0)
    what = f"{len(seen.drained)} of {len(seen.warned)} nodes empty, the last {last:.1f} s after, of {WARNING_SECONDS} s"
    left = f": {_named(list(seen.left))}" if seen.left else ""
    finding = Finding(
        subject=format_count(len(late), "node"),
        seen=f"not empty in {WARNING_SECONDS} s: {_named(late)}; {format_count(len(seen.left), 'pod')} left{left}",
        rule=f"every pod has left {WARNING_SECONDS} s after the warning: a budget that waits for a replacement which "
        "boots, or a long terminationGracePeriodSeconds, holds it",
        remedy=("otel-on-spot doctor --only two-minutes,blast-radius,disruption-budgets",),
    )
    return _verdict("drained", title, what, finding if late else None, count=len(seen.warned))


def _answering(seen: Seen) -> Verdict:
    """Ready endpoints are what a cluster's own clients see, by HTTP or not."""
    title = "Least answering"
    what = f"at least {seen.least} ready: {seen.over_time}"
    if seen.least > 0 or (seen.front.promised.waived and seen.endpoints):
        return _verdict("answering", title, what)
    finding = Finding(
        subject=f"namespace {seen.front.namespace}",
        seen=f"a Service of the front path had no ready endpoint: {seen.over_time}",
        rule=seen.front.promised.rule,
        remedy=("otel-on-spot doctor --only blast-radius,disruption-budgets",),
    )
    return _verdict("answering", title, what, finding)


def _whole(seen: Seen) -> Verdict:
    title = "Workloads are whole again"
    if seen.whole is not None and seen.whole <= seen.timeout:
        return _verdict("whole", title, f"all Ready {seen.whole:.1f} s after the warnings")
    finding = Finding(
        subject=format_count(len(seen.waiting), "workload"),
        seen=f"not whole {seen.timeout:.0f} s after the warnings: {_named(list(seen.waiting)) or 'nodes hold pods'}",
        rule=f"what ran on the nodes is Ready elsewhere within {seen.timeout:.0f} s (--timeout)",
        remedy=("kubectl get pods -A --field-selector status.phase=Pending", "kubectl get nodeclaims -o wide"),
    )
    return _verdict("whole", title, "not in time", finding)


def measures(seen: Seen, channel: str) -> Mapping[str, str]:
    """Numbers of the drill by name."""
    return {
        "warned": f"{format_count(len(seen.warned), 'node')} at once: {seen.storm.text}",
        "warning": channel,
        "messages until handled": seen.handled_text,
        "least answering": f"{seen.least} ready endpoints: {seen.over_time}",
        "time to whole": "never" if seen.whole is None else f"{seen.whole:.1f} s",
        "front path": seen.front.text,
    }
