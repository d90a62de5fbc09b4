"""The course of a drought: plain values that verdicts are made of, and the arithmetic on them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from otel_on_spot.drills.front_path import Front
from otel_on_spot.drills.shortage import Shortage
from otel_on_spot.spot_arithmetic import BATCH_SECONDS, ROUND_SECONDS

ON_DEMAND: Final = "on-demand"
SPOT: Final = "spot"
FORGETS_SECONDS: Final = 180
"""How long Karpenter leaves an offering alone that EC2 refused.

Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/cache/cache.go (UnavailableOfferingsTTL)
"""

LOOKING_SECONDS: Final = 3
"""By how much a duration may seem too long: a look each two seconds, and clocks of NodeClaims to the second."""


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
