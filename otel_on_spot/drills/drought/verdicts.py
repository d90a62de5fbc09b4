"""Verdicts of the drought drill: pure functions of its course, each with its arithmetic."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Final

from otel_on_spot.drills.front_path import Front
from otel_on_spot.drills.shortage import Shortage
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.report import Verdict, verdict_of
from otel_on_spot.spot_arithmetic import BATCH_SECONDS, ROUND_SECONDS

ON_DEMAND: Final = "on-demand"
SPOT: Final = "spot"
FORGETS_SECONDS: Final = 180
"""How long Karpenter leaves an offering alone that EC2 refused.

Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/cache/cache.go (UnavailableOfferingsTTL)
"""

LOOKING_SECONDS: Final = 3
"""By how much a duration may seem too long: a look each two seconds, and clocks of NodeClaims to the second."""
RUNBOOK: Final = "docs/runbooks/drills/drought.md"
_verdict = partial(verdict_of, RUNBOOK)
CHECKS: Final = ("node-classes", "node-pools", "pool-limits", "spot-role", "launch-failures", "karpenter-running")
"""Checks of the doctor where pods do not run."""
PENDING: Final = "kubectl get pods -A --field-selector status.phase=Pending"
EVENTS: Final = "kubectl get events -A --field-selector involvedObject.kind=NodeClaim --sort-by=.lastTimestamp"


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A NodeClaim that came during the drill. Seconds since its start; ``boot``: from its launch to its Ready node.

    ``gone``: when it had gone again, or began to go; None while it stays.
    """

    name: str
    capacity_type: str
    instance_type: str
    zone: str
    launched: float
    boot: float | None = None
    gone: float | None = None


@dataclass(frozen=True, kw_only=True)
class Move:
    """A pod of the drill that went from a node while it was wanted. ``node``: the NodeClaim's name."""

    pod: str
    node: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Spent:
    """USD by capacity type in one part of the drill; None where something had no price."""

    seconds: float
    usd: Mapping[str, float | None]

    @property
    def text(self) -> str:
        """The seconds and the amounts in words."""
        parts = [
            f"{kind} " + ("no price" if usd is None else f"{usd:.4f} USD") for kind, usd in sorted(self.usd.items())
        ]
        return f"{', '.join(parts) or 'no node of Karpenter'} in {self.seconds:.0f} s"


@dataclass(kw_only=True)
class Course:
    """What was seen. Seconds since the drill began, None where it did not happen.

    Attributes:
        shortage: what was taken away.
        by_switch: EC2 itself refused; else NodePools were narrowed, and nobody asks EC2.
        replicas: pods of the drill.
        types: instance types that the Spot pools allow.
        most_rounds: of refusals, that all those types may take with pods like the drill's.
        within: seconds beyond a boot in which all pods must run.
        max_wait: how long that was waited for.
        max_return: how long the return was followed; 0 follows none.
        taken: when capacity went.
        running: when all pods ran.
        most_running: of the pods, at any look.
        given_back: when capacity came back.
        back: when the last pod, and the last node of the fall-back, had left On-Demand.
        launches: NodeClaims that came.
        refusals: when EC2 refused a NodeClaim: one entry each.
        remembered: Karpenter was refused so shortly before the drill that it need not ask again.
        on_demand: pods on On-Demand when all ran, or at the end of the wait.
        on_launched: pods on nodes of ``launches`` at that time.
        left_on_demand: pods, or nodes of the fall-back, still there at the end.
        moves: pods that were evicted after capacity came back.
        told: what pods that wait were told, in Karpenter's words.
        pending: pods that waited when capacity came back.
        demo: pods of the demo that ran (before, when capacity came back).
        spent: by part of the drill.
        front: looks at the front path.
    """

    shortage: Shortage
    by_switch: bool
    replicas: int
    types: int
    most_rounds: int
    within: float
    max_wait: float
    max_return: float
    taken: float = 0.0
    running: float | None = None
    most_running: int = 0
    given_back: float | None = None
    back: float | None = None
    launches: Sequence[Launch] = ()
    refusals: Sequence[float] = ()
    remembered: bool = False
    on_demand: int = 0
    on_launched: int = 0
    left_on_demand: Sequence[str] = ()
    moves: Sequence[Move] = ()
    told: Sequence[str] = ()
    pending: int = 0
    demo: tuple[int, int] = (0, 0)
    spent: Mapping[str, Spent] = field(default_factory=dict)
    front: Front = field(default_factory=Front)

    @property
    def during(self) -> list[Launch]:
        """Launches while capacity was away."""
        end = self.given_back if self.given_back is not None else float("inf")
        return [launch for launch in self.launches if self.taken <= launch.launched < end]

    @property
    def slowest_boot(self) -> float:
        """The longest boot of a node that came before all pods ran; 0 where none did."""
        end = self.running if self.running is not None else float("inf")
        return max((launch.boot or 0.0 for launch in self.launches if launch.launched <= end), default=0.0)

    @property
    def rounds(self) -> int:
        """Rounds of refusals while capacity was away."""
        end = self.given_back if self.given_back is not None else float("inf")
        return rounds_of(second for second in self.refusals if second < end)

    @property
    def waited_from(self) -> float:
        """Moment at which pods could begin to run: at once, or, where nothing was to be had, when it came back."""
        return self.given_back or self.taken if self.shortage.everything else self.taken

    @property
    def allowed(self) -> float:
        """Seconds in which all pods must run."""
        forgets = FORGETS_SECONDS if self.shortage.everything and self.by_switch else 0
        return self.slowest_boot + self.within + LOOKING_SECONDS + forgets

    @property
    def allowed_text(self) -> str:
        """The sum that ``allowed`` is, in words."""
        forgets = (
            f" + {FORGETS_SECONDS} s in which Karpenter leaves alone what was refused"
            if self.shortage.everything and self.by_switch
            else ""
        )
        looking = f"{LOOKING_SECONDS} s between looks"
        return f"{self.slowest_boot:.0f} s boot + {self.within:.0f} s + {looking}{forgets} = {self.allowed:.0f} s"

    @property
    def took(self) -> float | None:
        """Seconds until all pods ran."""
        return None if self.running is None else self.running - self.waited_from

    @property
    def took_text(self) -> str:
        """``23.4 s = 1 s batch + 1 round x 10 s + 5 s boot + 7.4 s``."""
        if self.took is None:
            return "never"
        rounds = 0 if self.shortage.everything else self.rounds
        rest = self.took - BATCH_SECONDS - rounds * ROUND_SECONDS - self.slowest_boot
        return (
            f"{self.took:.1f} s = {BATCH_SECONDS} s batch + {rounds} round{'s' if rounds != 1 else ''} x "
            f"{ROUND_SECONDS} s + {self.slowest_boot:.0f} s boot {'+' if rest >= 0 else '-'} {abs(rest):.1f} s"
        )

    @property
    def evictions(self) -> dict[str, int]:
        """Evictions by node."""
        return dict(sorted(Counter(move.node for move in self.moves).items()))

    @property
    def of_return(self) -> dict[str, Launch]:
        """Launches since capacity came back, by name."""
        if self.given_back is None:
            return {}
        return {launch.name: launch for launch in self.launches if launch.launched >= self.given_back}

    @property
    def moved_again(self) -> list[str]:
        """Nodes that came for the return and went again: churn."""
        return [
            f"{launch.name} ({launch.capacity_type} {launch.instance_type})"
            for launch in self.of_return.values()
            if launch.gone is not None
        ]


def rounds_of(seconds: Iterable[float]) -> int:
    """Rounds that refusals came in: those closer than half a round to the one before are of the same round."""
    ordered = sorted(seconds)
    return bool(ordered) + sum(later - sooner > ROUND_SECONDS / 2 for sooner, later in pairwise(ordered))


def verdicts(course: Course) -> tuple[Verdict, ...]:
    """A verdict for each promise; of the return only where it was followed."""
    found = [_taken(course)]
    if course.shortage.everything:
        found += [_told(course), _stays(course)]
    else:
        found += [_rounds(course), _fallback(course)]
    found.append(_running(course))
    if course.max_return > 0 and not course.shortage.partial:
        found += [_back(course), _moves(course)]
    return (*found, course.front.verdict(RUNBOOK))


def _taken(course: Course) -> Verdict:
    """Capacity was away: nothing of it was launched, and something had to be launched at all."""
    title, shortage = "Capacity was away", course.shortage
    wrong = [
        launch for launch in course.during if shortage.covers(launch.capacity_type, launch.instance_type, launch.zone)
    ]
    needed = bool(course.launches) or bool(course.refusals) or course.pending > 0
    what = f"{shortage.text}: {format_count(len(course.during), 'launch', 'launches')} meanwhile, none of it"
    rule = f"while {shortage.text} is away, none of it is launched, and the pods need at least one node"
    if wrong:
        names = ", ".join(f"{launch.name} {launch.instance_type} {launch.zone}" for launch in wrong)
        return _verdict(
            "taken",
            title,
            f"{len(wrong)} of {len(course.during)} launches",
            Finding(subject=shortage.text, seen=f"launched all the same: {names}", rule=rule, remedy=(EVENTS,)),
        )
    if not needed:
        seen = f"nodes that were there had room for all {course.replicas} pods: the drill shows nothing"
        remedy = (f"otel-on-spot drill drought --replicas {4 * course.replicas}",)
        return _verdict("taken", title, "nothing was needed", _finding(shortage.text, seen, rule, remedy))
    return _verdict("taken", title, what)


def _finding(subject: str, seen: str, rule: str, remedy: tuple[str, ...]) -> Finding:
    return Finding(subject=subject, seen=seen, rule=rule, remedy=remedy)


def _rounds(course: Course) -> Verdict:
    """As many rounds as the sizes of the pools' types need, and one for pods that come while Karpenter still asks."""
    title, seen = "Rounds of refusals", course.rounds
    if course.shortage.partial or not course.by_switch:
        expected, why = 1, "what is short is left out of the others" if course.by_switch else "nobody asks EC2"
    else:
        most = format_count(course.most_rounds, "round")
        expected = course.most_rounds + 1
        why = f"{course.types} types need {most} at most, size after size, and one is to spare"
    what = f"{format_count(seen, 'round')}, {format_count(len(course.refusals), 'refused NodeClaim')}; {why}"
    rule = f"at most {format_count(expected, 'round')} of {ROUND_SECONDS} s: {why}"
    if seen > expected:
        remedy = ("otel-on-spot plan", EVENTS)
        return _verdict("rounds", title, what, _finding("Karpenter", f"{seen} rounds", rule, remedy))
    if course.remembered and not seen:
        what = f"none: Karpenter remembers a refusal of the {FORGETS_SECONDS} s before"
    elif course.by_switch and not course.shortage.partial and not seen and course.during:
        unseen = "no NodeClaim was refused, and nodes were launched: Spot was not asked for"
        remedy = ("kubectl get nodepools -o wide  # is a pool of Spot the heaviest?",)
        return _verdict("rounds", title, what, _finding("Karpenter", unseen, rule, remedy))
    return _verdict("rounds", title, what)


def _fallback(course: Course) -> Verdict:
    """On-Demand while Spot is short, and only then."""
    title, of = "On-Demand while Spot is short", course.on_launched
    share = course.on_demand / of if of else 0.0
    what = f"{course.on_demand} of {format_count(of, 'pod')} on new nodes are on On-Demand: {share:.0%}"
    if course.shortage.partial:
        rule = "Spot is short in one place only: no pod goes to On-Demand"
        wrong = course.on_demand > 0
    else:
        rule = "no Spot is to be had: every pod on a new node is on On-Demand"
        wrong = course.on_demand < of or not of
    if wrong:
        subject = format_count(course.on_demand if course.shortage.partial else of - course.on_demand, "pod")
        remedy = ("kubectl get nodes -L karpenter.sh/nodepool,karpenter.sh/capacity-type", PENDING)
        return _verdict("fallback", title, what, _finding(subject, what, rule, remedy))
    return _verdict("fallback", title, what)


def _running(course: Course) -> Verdict:
    title = "All pods run"
    since = "it came back" if course.shortage.everything else "it went"
    if course.took is not None and course.took <= course.allowed:
        return _verdict("running", title, f"{course.took_text} since {since}; allowed {course.allowed_text}")
    if course.took is None:
        seen = f"{course.most_running} of {course.replicas} pods ran within {course.max_wait:.0f} s"
    else:
        seen = f"{course.took_text} since {since}"
    rule = f"all {course.replicas} pods run within {course.allowed_text}"
    return _verdict("running", title, "not in time", _finding("pods of the drill", seen, rule, (PENDING, EVENTS)))


def _told(course: Course) -> Verdict:
    """Where nothing can be launched, somebody who looks at the pods is told why."""
    title = "It is told"
    what = f"{format_count(course.pending, 'pod')} waited: {course.told[0] if course.told else 'nothing was said'}"
    if course.pending and course.told:
        return _verdict("told", title, what)
    seen = (
        f"{course.pending} pods wait, and no event of theirs or of a NodeClaim says why"
        if course.pending
        else "no pod waited: something was launched"
    )
    rule = "pods without room wait, and events say what could not be launched"
    return _verdict("told", title, what, _finding("events", seen, rule, (PENDING, EVENTS)))


def _stays(course: Course) -> Verdict:
    title, (before, after) = "What runs stays up", course.demo
    what = f"{after} of {before} pods of the demo still run"
    if before and after >= before:
        return _verdict("stays", title, what)
    rule = "a shortage takes no pod that runs: nothing is moved for which there is no room"
    remedy = (f"kubectl -n {course.front.namespace} get pods -o wide", "kubectl get nodeclaims")
    return _verdict("stays", title, what, _finding(f"namespace {course.front.namespace}", what, rule, remedy))


def _back(course: Course) -> Verdict:
    title = "Back on Spot"
    rule = f"within {course.max_return:.0f} s of its return every pod is on Spot, and the fall-back's nodes are gone"
    if course.given_back is None:
        return _verdict("back", title, "never given back", _finding("capacity", "it did not come back", rule, ()))
    if course.back is not None and course.back - course.given_back <= course.max_return:
        seconds = course.back - course.given_back
        return _verdict("back", title, f"{seconds:.0f} s after its return, of {course.max_return:.0f} s")
    left = ", ".join(course.left_on_demand[:5]) or "it took longer"
    remedy = (
        "kubectl get nodepools -o yaml  # disruption: consolidateAfter, budgets and their schedule",
        "kubectl get events -A --field-selector reason=DisruptionBlocked",
    )
    seen = f"still on On-Demand {course.max_return:.0f} s after its return: {left}"
    subject = format_count(len(course.left_on_demand), "pod or node", "pods and nodes")
    return _verdict("back", title, "not in time", _finding(subject, seen, rule, remedy))


def _moves(course: Course) -> Verdict:
    """No churn: no pod moves twice, and a node that came for the return stays."""
    title, by_node, count = "Moved once", course.evictions, len(course.moves)
    again = {node: by_node[node] for node in course.of_return if node in by_node}
    what = (
        f"{format_count(count, 'eviction')} from {format_count(len(by_node), 'node')}, of {course.replicas} pods; "
        f"{format_count(len(course.moved_again), 'node')} launched and left"
    )
    rule = "each pod moves once at most, each from a node that was there before, and no node of the return goes again"
    if count <= course.replicas and not again and not course.moved_again:
        return _verdict("moved-once", title, what)
    told = [
        f"{count} - {course.replicas} = {count - course.replicas} evictions beyond one for each pod"
        if count > course.replicas
        else "",
        f"evicted from nodes of the return: {', '.join(f'{node} {pods}' for node, pods in again.items())}"
        if again
        else "",
        f"launched for the return and gone: {', '.join(course.moved_again)}" if course.moved_again else "",
    ]
    seen = "; ".join(filter(None, told))
    remedy = (
        f"kubectl get nodepools -o yaml  # consolidateAfter of the fall-back: above {FORGETS_SECONDS} s, in which "
        "Karpenter leaves Spot alone",
    )
    return _verdict("moved-once", title, what, _finding("consolidation", seen, rule, remedy))


def measures(course: Course) -> Mapping[str, str]:
    """Numbers of the drill by name."""
    of = course.on_launched
    share = f"{course.on_demand / of:.0%} ({course.on_demand} of {of} pods on new nodes)" if of else "no new node"
    launched = {kind: sum(launch.capacity_type == kind for launch in course.during) for kind in ("spot", ON_DEMAND)}
    evictions = ", ".join(f"{node} {count}" for node, count in course.evictions.items()) or "none"
    followed = course.max_return > 0
    seconds = None if course.back is None or course.given_back is None else course.back - course.given_back
    return {
        "taken away": course.shortage.text
        + (", by the simulated EC2" if course.by_switch else ", by narrowed NodePools"),
        "until all Running": course.took_text,
        "rounds of refusals": f"{course.rounds}, {len(course.refusals)} NodeClaims refused",
        "launched meanwhile": ", ".join(f"{count} {kind}" for kind, count in launched.items()),
        "On-Demand share": share,
        "back on Spot": "not followed"
        if not followed
        else "never"
        if seconds is None
        else f"{seconds:.0f} s after its return",
        "evictions by node": evictions,
        **{f"bill, {part}": spent.text for part, spent in course.spent.items()},
        "front path": f"{course.front.seen.text}, least {course.front.seen.least} answering: {course.front.probe}",
    }
