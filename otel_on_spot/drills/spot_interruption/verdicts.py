"""Verdicts of the spot-interruption drill: pure functions of what was seen."""

from dataclasses import dataclass, field
from functools import partial
from typing import Final

from otel_on_spot.drills.front_path import Front
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.report import Verdict, verdict_of
from otel_on_spot.spot_arithmetic import WARNING_SECONDS

RUNBOOK: Final = "docs/runbooks/drills/spot-interruption.md"
_verdict = partial(verdict_of, RUNBOOK)
CHECKS: Final = (
    "interruption-queue",
    "interruption-policy",
    "interruption-rules",
    "interruption-backlog",
    "karpenter-running",
)
"""Checks of the doctor on the way of a warning."""
REPLACING: Final = ("node-classes", "node-pools", "node-role", "pool-limits", "spot-role", "disruption-budgets")
"""Checks of the doctor about what comes after it."""


@dataclass(kw_only=True)
class Interruption:
    """One warning. ``at``: seconds since it was sent, by what happened; what is missing did not happen in ``timeout``.

    Keys of ``at``: deleting, tainted, drained, replaced (a NodeClaim), registered, ready (its Node), gone (the
    instance), workloads (all pods Ready again). ``waiting``: workloads that are not whole. ``left``: pods that are
    still on the node.
    """

    node: str
    instance: str
    timeout: float
    at: dict[str, float] = field(default_factory=dict)
    replacement: str = ""
    waiting: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    front: Front = field(default_factory=Front)

    @property
    def heard(self) -> bool:
        """True where Karpenter did anything at all."""
        return "deleting" in self.at


def verdicts(seen: Interruption) -> tuple[Verdict, ...]:
    """A verdict for each promise; only the first where nobody heard the warning."""
    if not seen.heard:
        return (_heard(seen),)
    front = seen.front.verdict(RUNBOOK)
    return (_heard(seen), _tainted(seen), _drained(seen), _replaced(seen), _workloads(seen), front)


def _heard(seen: Interruption) -> Verdict:
    title, at = "Karpenter hears the warning", seen.at.get("deleting")
    what = "nothing happened" if at is None else f"NodeClaim of {seen.node} deleted {at:.1f} s after the warning"
    if at is not None and at <= WARNING_SECONDS:
        return _verdict("heard", title, what)
    finding = Finding(
        subject=seen.instance,
        seen=f"the warning was sent, and {seen.timeout:.0f} s later its NodeClaim is as it was: it stopped on the way"
        if at is None
        else f"its NodeClaim was deleted {at:.0f} s after the warning: it waited on the way",
        rule=f"Karpenter deletes a NodeClaim within {WARNING_SECONDS} s of its Spot warning: rule, queue policy, "
        "queue, controller",
        remedy=(
            "otel-on-spot doctor --only " + ",".join(CHECKS),
            "kubectl -n kube-system logs deployment/karpenter --since=10m",
        ),
    )
    return _verdict("heard", title, what, finding)


def _tainted(seen: Interruption) -> Verdict:
    title, at = "No new pod goes there", seen.at.get("tainted", seen.at.get("gone"))
    if at is not None and at <= WARNING_SECONDS:
        return _verdict("tainted", title, f"tainted {at:.1f} s after the warning")
    finding = Finding(
        subject=seen.node,
        seen="not tainted" if at is None else f"tainted {at:.0f} s after the warning",
        rule=f"a node is tainted within {WARNING_SECONDS} s of its warning: then it goes",
        remedy=(f"kubectl describe node {seen.node}",),
    )
    return _verdict("tainted", title, "too late", finding)


def _drained(seen: Interruption) -> Verdict:
    title, at = "Drained before it goes", seen.at.get("drained")
    if at is not None and at <= WARNING_SECONDS:
        return _verdict("drained", title, f"empty {at:.1f} s after the warning, of {WARNING_SECONDS} s")
    there = f": {', '.join(seen.left)}" if seen.left else ""
    finding = Finding(
        subject=seen.node,
        seen=f"{format_count(len(seen.left), 'pod')} still there after {seen.timeout:.0f} s{there}"
        if at is None
        else f"empty after {at:.0f} s",
        rule=f"every pod has left {WARNING_SECONDS} s after the warning; a budget, or a long "
        "terminationGracePeriodSeconds, holds it",
        remedy=(
            "kubectl get poddisruptionbudgets -A",
            f"kubectl get pods -A --field-selector spec.nodeName={seen.node}",
        ),
    )
    return _verdict("drained", title, "not in time", finding)


def _replaced(seen: Interruption) -> Verdict:
    title = "A replacement joins"
    if "ready" in seen.at:
        return _verdict("replaced", title, f"{seen.replacement} Ready {seen.at['ready']:.1f} s after the warning")
    if not seen.replacement and "workloads" in seen.at:
        return _verdict("replaced", title, "none was needed: other nodes had room")
    finding = Finding(
        subject=seen.replacement or seen.node,
        seen=f"NodeClaim {seen.replacement} has no Ready node" if seen.replacement else "Karpenter made no NodeClaim",
        rule=f"where pods have no room, another node is Ready within {seen.timeout:.0f} s",
        remedy=("otel-on-spot drill node-join", "kubectl get nodeclaims -o wide"),
    )
    return _verdict("replaced", title, "not in time", finding)


def _workloads(seen: Interruption) -> Verdict:
    title = "Workloads are whole again"
    if "workloads" in seen.at:
        return _verdict("workloads", title, f"all Ready {seen.at['workloads']:.1f} s after the warning")
    waiting = ", ".join(seen.waiting) or "the node is not drained"
    finding = Finding(
        subject=format_count(len(seen.waiting), "workload"),
        seen=f"not whole {seen.timeout:.0f} s after the warning: {waiting}",
        rule="what ran on the node is Ready again elsewhere",
        remedy=("kubectl get pods -A --field-selector status.phase=Pending",),
    )
    return _verdict("workloads", title, "not in time", finding)
