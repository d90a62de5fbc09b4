"""Verdicts of the upgrade drill on another node AMI: pure functions of what was seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from otel_on_spot.drills.front_path import Front
from otel_on_spot.drills.upgrade.verdicts import CONSOLIDATED, DRIFTED, RUNBOOK, back
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.report import Verdict, verdict_of

HOLD: Final = 'kubectl edit nodepools  # hold drift until you know why: budgets: [{nodes: "0", reasons: [Drifted]}]'
MOST_NAMED: Final = 4
_verdict = partial(verdict_of, RUNBOOK)


@dataclass(frozen=True, kw_only=True)
class Left:
    """A NodeClaim that went. ``reason``: Karpenter's, empty where it gave none.

    ``took``: seconds from when Karpenter chose it until it was gone; None while it goes. ``replaced``: it was of the
    release that was to be left.
    """

    claim: str
    pool: str
    reason: str
    took: float | None
    replaced: bool


@dataclass(frozen=True, kw_only=True)
class Away:
    """Drifted nodes of a pool that were away at once, and how many its budgets let go then (None: all)."""

    pool: str
    nodes: int
    allowed: int | None

    @property
    def too_many(self) -> bool:
        """True where the budgets were not kept."""
        return self.allowed is not None and self.nodes > self.allowed


@dataclass(frozen=True, kw_only=True)
class Again:
    """A pod that came during a move and was drained in the same one. ``onto_new``: off a node of the new release."""

    pod: str
    claim: str
    reason: str
    onto_new: bool

    @property
    def is_needless(self) -> bool:
        """True where neither its node's own release nor consolidation says why."""
        return self.onto_new and self.reason not in CONSOLIDATED


@dataclass(frozen=True, kw_only=True)
class Course:
    """One move of the alias, from release to release.

    Attributes:
        before: the release that was left.
        after: the release that was asked for.
        nodes: number of NodeClaims of the release that was left.
        stayed: NodeClaims that are not of the asked one at the end, or still going.
        left: NodeClaims that went.
        away: by pool, the worst look.
        moved: number of pods that were drained.
        again: those of them that had come in this very move.
        parted: databases that were away from more nodes at once than their pool's budgets let go, in words.
        pending: pods that wait at the end.
        seconds: until all was done, or given up.
    """

    before: str
    after: str
    nodes: int
    stayed: tuple[str, ...]
    left: tuple[Left, ...]
    away: Mapping[str, Away]
    moved: int
    again: tuple[Again, ...]
    parted: tuple[str, ...]
    pending: tuple[str, ...]
    seconds: float

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.before} to {self.after}"

    @property
    def times(self) -> list[float]:
        """Seconds of each node that was replaced, in order."""
        return sorted(left.took for left in self.left if left.replaced and left.took is not None)


@dataclass(frozen=True, kw_only=True)
class NodeUpgrade:
    """Both moves and what became of the platform.

    Attributes:
        courses: to the other release, and back.
        databases: number of workloads that keep data.
        on_spot: pods of theirs that were seen on a Spot node.
        changed: EC2NodeClasses whose alias is not what it was, each with it.
        unready: NodePools and EC2NodeClasses that are not Ready at the end.
        front: looks at the front path.
    """

    courses: tuple[Course, ...]
    databases: int
    on_spot: tuple[str, ...]
    changed: tuple[str, ...]
    unready: tuple[str, ...]
    front: Front


def verdicts(seen: NodeUpgrade) -> tuple[Verdict, ...]:
    """A verdict for each promise."""
    return (
        _release(seen), _budgets(seen), _nodes(seen), _pods(seen), _data(seen), _on_demand(seen), _pending(seen),
        _back(seen), seen.front.verdict(RUNBOOK),
    )  # fmt: skip


def _release(seen: NodeUpgrade) -> Verdict:
    findings = tuple(
        Finding(
            subject=f"AMI {course.name}",
            seen=f"not of release {course.after}, or still going, after {course.seconds:.0f} s: "
            f"{', '.join(course.stayed)}",
            rule="every node of Karpenter becomes Drifted, and is replaced by one of the release that was asked for",
            remedy=(
                "kubectl get nodeclaims -o custom-columns=NAME:.metadata.name,AMI:.status.imageID",
                "otel-on-spot doctor --only drift-age,node-classes",
            ),
        )
        for course in seen.courses
        if course.stayed
    )
    what = ", ".join(
        f"{course.name}: {format_count(len(course.times), 'node')} of {course.nodes} replaced in {course.seconds:.0f} s"
        for course in seen.courses
    )
    return _verdict("release", "Every node moved", what, *findings, count=sum(course.nodes for course in seen.courses))


def _budgets(seen: NodeUpgrade) -> Verdict:
    looked = [(course, away) for course in seen.courses for away in course.away.values()]
    findings = tuple(
        Finding(
            subject=f"NodePool {away.pool}",
            seen=f"{format_count(away.nodes, 'Drifted node')} away at once while the AMI moved from {course.name}; its "
            f"budgets let {away.allowed} go",
            rule="Karpenter replaces Drifted nodes within the budgets of their pool",
            remedy=(f"kubectl get nodepool {away.pool} -o jsonpath={{.spec.disruption.budgets}}", HOLD),
        )
        for course, away in looked
        if away.too_many
    )
    most: dict[str, Away] = {}
    for _, away in looked:
        most[away.pool] = max(most.get(away.pool, away), away, key=lambda each: each.nodes)
    what = ", ".join(
        f"{pool} {away.nodes} of {'any' if away.allowed is None else away.allowed}"
        for pool, away in sorted(most.items())
    )
    return _verdict("budgets", "Within the budgets", f"away at once: {what or 'none'}", *findings, count=len(most))


def _nodes(seen: NodeUpgrade) -> Verdict:
    left = [(course, claim) for course in seen.courses for claim in course.left]
    lost = [
        (course, claim)
        for course, claim in left
        if claim.reason not in CONSOLIDATED and not (claim.replaced and claim.reason == DRIFTED)
    ]
    findings = tuple(
        Finding(
            subject=f"NodeClaim {claim.claim}",
            seen=f"it is deleted ({claim.reason or 'Karpenter gave no reason'}) while the AMI moved from {course.name}"
            + ("" if claim.replaced else f", and was of {course.after} already"),
            rule="a node goes because it is Drifted; no other is lost, and no replacement is replaced",
            remedy=("kubectl get events --field-selector involvedObject.kind=NodeClaim", HOLD),
        )
        for course, claim in lost
    )
    consolidated = sum(claim.reason in CONSOLIDATED for _, claim in left)
    times = sorted(second for course in seen.courses for second in course.times)
    took = f", {times[0]:.0f} to {times[-1]:.0f} s each" if times else ""
    told = f"; {consolidated} consolidated, as at any time" if consolidated else ""
    replaced = sum(claim.replaced and claim.reason == DRIFTED and claim.took is not None for _, claim in left)
    return _verdict(
        "nodes", "No node is lost", f"{format_count(replaced, 'node')} replaced{took}{told}", *findings, count=len(left)
    )


def _pods(seen: NodeUpgrade) -> Verdict:
    again = [(course, drained) for course in seen.courses for drained in course.again]
    findings = tuple(
        Finding(
            subject=drained.pod,
            seen=f"moved from {drained.claim} again, which was of {course.after} already "
            f"({drained.reason or 'Karpenter gave no reason'})",
            rule="what is on a node of the release that was asked for stays there",
            remedy=("kubectl get events -A --field-selector reason=Evicted", HOLD),
        )
        for course, drained in again
        if drained.is_needless
    )
    hops = [drained.pod for _, drained in again if not drained.onto_new]
    consolidated = len(again) - len(hops) - len(findings)
    told = f"; {len(hops)} of them twice, by a node that was still to be replaced: {_named(hops)}" if hops else ""
    told += f"; {consolidated} once more, consolidated" if consolidated else ""
    moved = sum(course.moved for course in seen.courses)
    return _verdict(
        "pods", "No pod moves off a new node", f"{format_count(moved, 'pod')} moved{told}", *findings, count=moved
    )


def _named(pods: Sequence[str]) -> str:
    others = f" and {len(pods) - MOST_NAMED} others" if len(pods) > MOST_NAMED else ""
    return ", ".join(sorted(pods)[:MOST_NAMED]) + others


def _data(seen: NodeUpgrade) -> Verdict:
    findings = tuple(
        Finding(
            subject=parted.partition(":")[0],
            seen=f"{parted.partition(': ')[2]} (AMI {course.name})",
            rule="databases are away from no more nodes at once than their pool's budgets let go",
            remedy=("kubectl get nodepools -o custom-columns=NAME:.metadata.name,BUDGETS:.spec.disruption.budgets",),
        )
        for course in seen.courses
        for parted in course.parted
    )
    what = f"{format_count(seen.databases, 'database')}, node after node"
    return _verdict("data", "Databases one node at a time", what, *findings, count=seen.databases)


def _on_demand(seen: NodeUpgrade) -> Verdict:
    findings = tuple(
        Finding(
            subject=pod,
            seen="it keeps data, and was on a Spot node",
            rule="what keeps data stays on On-Demand nodes, while they are replaced too",
            remedy=("otel-on-spot doctor --only stateful-pods",),
        )
        for pod in seen.on_spot
    )
    what = f"{format_count(seen.databases, 'database')}, none on Spot at any look" if not findings else "not all"
    return _verdict("on-demand", "Databases stay On-Demand", what, *findings, count=seen.databases)


def _pending(seen: NodeUpgrade) -> Verdict:
    findings = tuple(
        Finding(
            subject=format_count(len(course.pending), "pod"),
            seen=f"waiting {course.seconds:.0f} s after the alias moved from {course.name}: "
            f"{', '.join(course.pending)}",
            rule="once the nodes are replaced, every pod runs",
            remedy=("kubectl get pods -A --field-selector status.phase=Pending",),
        )
        for course in seen.courses
        if course.pending
    )
    what = "every pod runs after each move" if not findings else "not all run"
    return _verdict("pending", "Nothing waits", what, *findings, count=len(seen.courses))


def _back(seen: NodeUpgrade) -> Verdict:
    problems = (
        *(f"its alias is another: {found}" for found in seen.changed),
        *(f"{kind} is not Ready" for kind in seen.unready),
    )
    rule = "the alias is what it was, and NodePools and EC2NodeClasses are Ready"
    what = "the alias as it was, NodePools and EC2NodeClasses Ready"
    return back("EC2NodeClass", problems, rule, what, "kubectl get nodepools,ec2nodeclasses")
