"""Verdicts of the upgrade drill: pure functions of what was seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from otel_on_spot.drills.front_path import Front
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.report import Verdict, verdict_of
from otel_on_spot.spot_arithmetic import WARNING_SECONDS

RUNBOOK: Final = "docs/runbooks/drills/upgrade.md"
_verdict = partial(verdict_of, RUNBOOK)
MOVED: Final = (
    "otel-on-spot lab logs karpenter",
    "otel-on-spot doctor --only karpenter-running,karpenter-versions",
)
ORDER: Final = (
    "the release karpenter-crd comes before the release karpenter: a controller without a field that it reads does not "
    "start"
)
ORDERED: Final = ("kubectl get crds -l app.kubernetes.io/managed-by=Helm",)
DRIFTED: Final = "Drifted"
"""Reason of a node that is not as its pool and node class say any more."""
CONSOLIDATED: Final = ("Empty", "Underutilized")
"""Reasons for which Karpenter takes a node away in any version: pools say so.

Source: DisruptionReason of https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/apis/v1/nodepool.go
"""


@dataclass(frozen=True, kw_only=True)
class Move:
    """One change of version. ``at``: seconds since it began, by what happened.

    Keys of ``at``: crds (a CRD of Karpenter has another schema), controller (its Deployment has the new version),
    done (the release is ready). ``error``: why it failed, or nothing. ``version``: the Deployment's at its end.
    """

    before: str
    after: str
    at: Mapping[str, float]
    version: str
    error: str = ""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.before} to {self.after}"


@dataclass(frozen=True, kw_only=True)
class Warned:
    """A Spot node that was warned during a move. ``heard``: seconds until its NodeClaim was deleted."""

    node: str
    claim: str
    during: str
    heard: float | None


@dataclass(frozen=True, kw_only=True)
class Gone:
    """A NodeClaim that was not warned and went all the same. ``reason``: Karpenter's, empty where it gave none."""

    claim: str
    node: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Drifted:
    """A NodeClaim that became Drifted. ``reason``: Karpenter's."""

    claim: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """Both moves and what became of the platform.

    Attributes:
        moves: up, and back where up did not fail.
        warned: the storm.
        claims: number of NodeClaims that nobody warned.
        gone: those of them that went.
        drifted: NodeClaims that became Drifted.
        hashes: by kind, the versions of Karpenter's hash that were seen, in their order.
        pods: number of pods on nodes that stayed.
        moved: those of them that were replaced or restarted, each with what became of it.
        waiting: workloads of the warned nodes that are not whole.
        unready: NodePools and EC2NodeClasses that are not Ready at the end.
        stored: CRDs that keep objects in a version in which they did not before, each with it.
        version: the controller's at the end.
    """

    moves: tuple[Move, ...]
    warned: tuple[Warned, ...]
    claims: int
    gone: tuple[Gone, ...]
    drifted: tuple[Drifted, ...]
    hashes: Mapping[str, tuple[str, ...]]
    pods: int
    moved: tuple[str, ...]
    waiting: tuple[str, ...]
    unready: tuple[str, ...]
    stored: tuple[str, ...]
    version: str
    front: Front
    timeout: float


def verdicts(seen: Upgrade) -> tuple[Verdict, ...]:
    """A verdict for each promise."""
    return (
        moved("Karpenter", seen.moves, MOVED), order("Karpenter", seen.moves, ORDER, ORDERED),
        _heard(seen), _claims(seen), _drift(seen),
        pods_stay(seen.pods, seen.moved, "reason=Evicted"), _workloads(seen), _back(seen),
        seen.front.verdict(RUNBOOK),
    )  # fmt: skip


def moved(product: str, moves: Sequence[Move], remedy: tuple[str, ...]) -> Verdict:
    """Whether a product runs in each version that was asked for."""
    findings = tuple(
        Finding(
            subject=f"{product} {move.name}",
            seen=move.error or f"the controller is {move.version or 'gone'} after the update",
            rule="the controller runs in the version that was asked for, and is ready",
            remedy=remedy,
        )
        for move in moves
        if move.error or move.version != move.after
    )
    what = ", ".join(f"{move.name} in {move.at['done']:.0f} s" for move in moves if "done" in move.at)
    return _verdict("moved", "Moved", what or "not moved", *findings, count=len(moves))


def order(product: str, moves: Sequence[Move], rule: str, remedy: tuple[str, ...]) -> Verdict:
    """Whether the CRDs of a product came before its controller.

    Args:
        product: its name.
        moves: of it.
        rule: why they must.
        remedy: commands that show them.
    """
    findings = tuple(
        Finding(
            subject=f"{product} {move.name}",
            seen=f"the controller changed {move.at['controller']:.1f} s after the start, the CRDs after "
            f"{move.at['crds']:.1f} s",
            rule=rule,
            remedy=remedy,
        )
        for move in moves
        if {"crds", "controller"} <= set(move.at) and move.at["crds"] > move.at["controller"]
    )
    changed = [move for move in moves if "crds" in move.at and "controller" in move.at]
    leads = ", ".join(f"{move.at['controller'] - move.at['crds']:.1f} s before ({move.name})" for move in changed)
    what = leads or "the CRDs are the same in both versions"
    return _verdict("order", "CRDs first", what, *findings, count=len(moves))


def _heard(seen: Upgrade) -> Verdict:
    findings = tuple(
        Finding(
            subject=f"NodeClaim {warned.claim}",
            seen=f"node {warned.node} was warned while Karpenter moved from {warned.during}; its NodeClaim "
            + (
                f"is not deleted {seen.timeout:.0f} s later"
                if warned.heard is None
                else f"was deleted after {warned.heard:.0f} s"
            ),
            rule=f"a message that arrives while the controller restarts is handled within {WARNING_SECONDS} s: "
            "the queue keeps it",
            remedy=(
                "otel-on-spot doctor --only interruption-queue,interruption-policy,interruption-rules",
                "otel-on-spot doctor --only interruption-backlog",
            ),
        )
        for warned in seen.warned
        if warned.heard is None or warned.heard > WARNING_SECONDS
    )
    times = [warned.heard for warned in seen.warned if warned.heard is not None]
    lost = len(seen.warned) - len(times)
    last = f"the last one handled after {max(times):.1f} s" if times else "none handled"
    last += f", {lost} not handled" if times and lost else ""
    what = f"{format_count(len(seen.warned), 'warning')} in a restart, {last}"
    return _verdict("heard", "Warnings outlive the restart", what, *findings, count=len(seen.warned))


def _claims(seen: Upgrade) -> Verdict:
    consolidated = [gone for gone in seen.gone if gone.reason in CONSOLIDATED]
    findings = tuple(
        Finding(
            subject=f"NodeClaim {gone.claim}",
            seen=f"nobody warned it, and it is deleted ({gone.reason or 'Karpenter gave no reason'}); node {gone.node}",
            rule="a change of version loses no NodeClaim and replaces no node",
            remedy=(
                "kubectl get events --field-selector involvedObject.kind=NodeClaim",
                "otel-on-spot lab logs karpenter",
            ),
        )
        for gone in seen.gone
        if gone.reason not in CONSOLIDATED
    )
    told = f"; {len(consolidated)} consolidated, as in any version" if consolidated else ""
    what = f"{seen.claims - len(seen.gone)} of {format_count(seen.claims, 'NodeClaim')} stayed{told}"
    return _verdict("nodeclaims", "No node is lost", what, *findings, count=seen.claims)


def _drift(seen: Upgrade) -> Verdict:
    findings = tuple(
        Finding(
            subject=f"NodeClaim {drifted.claim}",
            seen=f"Drifted: {drifted.reason or 'Karpenter gave no reason'}",
            rule="a version that hashes otherwise hashes what is there anew, and takes no node for Drifted",
            remedy=(
                f"kubectl get nodeclaim {drifted.claim} -o yaml  # annotations *-hash and *-hash-version",
                'hold drift in the pools\' budgets until you know why: {nodes: "0", reasons: [Drifted]}',
            ),
        )
        for drifted in seen.drifted
    )
    hashes = ", ".join(f"{kind} {' → '.join(versions)}" for kind, versions in sorted(seen.hashes.items()))
    return _verdict("drift", "No drift", f"hash versions: {hashes or 'none seen'}", *findings, count=seen.claims)


def pods_stay(count: int, touched: Sequence[str], events: str) -> Verdict:
    """Whether pods on nodes that stayed are what they were.

    ``touched``: those that were replaced or restarted, each with what became of it; ``events``: field selector of the
    events that tell more.
    """
    findings = tuple(
        Finding(
            subject=pod.partition(":")[0],
            seen=pod.partition(": ")[2],
            rule="pods on nodes that stay are not touched: not the demo's, not the platform's",
            remedy=(f"kubectl get events -A --field-selector {events}",),
        )
        for pod in touched
    )
    what = f"{count - len(touched)} of {format_count(count, 'pod')} on nodes that stayed are the same"
    return _verdict("pods", "No pod restarts", what, *findings, count=count)


def _workloads(seen: Upgrade) -> Verdict:
    title = "Workloads are whole again"
    if not seen.waiting:
        return _verdict("workloads", title, "what ran on the warned nodes is Ready elsewhere", count=len(seen.warned))
    finding = Finding(
        subject=format_count(len(seen.waiting), "workload"),
        seen=f"not whole {seen.timeout:.0f} s after the warnings: {', '.join(seen.waiting)}",
        rule="what ran on the warned nodes is Ready again elsewhere",
        remedy=("kubectl get pods -A --field-selector status.phase=Pending",),
    )
    return _verdict("workloads", title, "not in time", finding, count=len(seen.warned))


def _back(seen: Upgrade) -> Verdict:
    first = seen.moves[0].before
    problems = (
        *([f"the controller is {seen.version}"] if seen.version != first else []),
        *(f"{name} is not Ready" for name in seen.unready),
        *(f"objects are kept in another version: {kept}" for kept in seen.stored),
    )
    rule = "a minor can be taken back: the older controller reads what the newer one wrote"
    what = f"{first} again, NodePools and EC2NodeClasses Ready"
    return back(f"Karpenter {first}", problems, rule, what, "kubectl get nodepools,ec2nodeclasses")


def back(subject: str, problems: Sequence[str], rule: str, what: str, look: str) -> Verdict:
    """Whether everything is as it was.

    Args:
        subject: what was moved.
        problems: what is not as before.
        rule: that this breaks.
        what: is as before, in words.
        look: the command that shows it.
    """
    remedy = (look, "make lab  # brings back what the stack file declares")
    finding = Finding(subject=subject, seen="; ".join(problems), rule=rule, remedy=remedy)
    if problems:
        return _verdict("back", "Back as before", "not as before", finding)
    return _verdict("back", "Back as before", what)
