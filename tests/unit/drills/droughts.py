"""Recorded droughts for the judgement: in order by variant, and each fault that its line must find."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from otel_on_spot.drills.drought.verdicts import Course, Launch, Move, Spent
from otel_on_spot.drills.shortage import Shortage
from tests.unit.drills.fronts import KEPT


def launch(name: str, launched: float, kind: str = "on-demand", **more: Any) -> Launch:
    given: dict[str, Any] = {"instance_type": "m7i.2xlarge", "zone": "eu-west-1a", "boot": 41.0, **more}
    return Launch(name=name, capacity_type=kind, launched=launched, **given)


def drought() -> Course:
    """All of Spot, boot 41 s, as the lab shows it: one round, one node of the fall-back, back after 338 s."""
    return Course(
        shortage=Shortage(),
        by_switch=True,
        replicas=50,
        types=58,
        most_rounds=4,
        within=30.0,
        max_wait=600.0,
        max_return=900.0,
        taken=0.1,
        running=60.4,
        most_running=50,
        given_back=61.0,
        back=399.0,
        launches=(
            launch("on-demand-a", 16.0, gone=390.0),
            launch("spot-b", 300.0, "spot"),
        ),
        refusals=(3.0,),
        on_demand=46,
        on_launched=46,
        moves=tuple(Move(pod=f"p{number}", node="on-demand-a", seconds=380.0) for number in range(46)),
        demo=(25, 25),
        spent={"drought": Spent(seconds=60.0, usd={"on-demand": 0.005})},
        front=KEPT,
    )


def two_sizes() -> Course:
    """Pods that fill the largest size, and a second round for what is left."""
    return replace(drought(), refusals=(3.0, 3.4, 13.2), launches=(launch("on-demand-a", 26.0, gone=390.0),))


def every_size() -> Course:
    """A round for each of the four sizes, as 78 pods that came in two batches took three, and one to spare."""
    return replace(
        drought(),
        within=60.0,
        refusals=(3.0, 13.2, 23.4, 33.6, 44.0),
        launches=(launch("on-demand-a", 54.0, gone=390.0),),
        running=98.0,
        given_back=99.0,
    )


def quota() -> Course:
    return replace(drought(), shortage=Shortage(quota=True))


def narrowed() -> Course:
    """On AWS: nobody asks EC2 for Spot, so nobody is refused."""
    return replace(drought(), by_switch=False, refusals=(), running=45.0)


def zone() -> Course:
    """Spot of one zone: the other zone's Spot takes all, and nothing comes back."""
    return replace(
        drought(),
        shortage=Shortage(zone="eu-west-1a"),
        launches=(launch("spot-b", 4.0, "spot", zone="eu-west-1b"),),
        refusals=(),
        on_demand=0,
        moves=(),
        running=47.0,
        back=None,
    )


def family() -> Course:
    return replace(
        zone(), shortage=Shortage(family="m7i"), launches=(launch("spot-b", 4.0, "spot", instance_type="c7i.2xlarge"),)
    )


def everything() -> Course:
    """Nothing at all for 20 s; then Karpenter leaves alone for three minutes what was refused."""
    return replace(
        drought(),
        shortage=Shortage(everything=True),
        launches=(launch("spot-b", 195.0, "spot"),),
        refusals=(3.0, 13.0, 23.0, 33.0),
        pending=46,
        told=("FailedScheduling: all available instance types exceed limits",),
        given_back=40.0,
        running=238.0,
        on_demand=0,
        on_launched=0,
        moves=(),
        back=240.0,
    )


def not_followed() -> Course:
    return replace(drought(), max_return=0.0, back=None, moves=())


def with_an_older_node() -> Course:
    """As seen on the lab: consolidation took the fall-back's node and a Spot node that was there, for one new one."""
    older = tuple(Move(pod=f"q{number}", node="spot-old", seconds=395.0) for number in range(4))
    return replace(drought(), moves=(*drought().moves, *older))


def between_looks() -> Course:
    """As seen on the lab: 77.3 s for a boot of 47 s, by looks two seconds apart and a clock to the second."""
    return replace(
        drought(),
        running=77.4,
        given_back=78.0,
        refusals=(8.4, 18.9),
        launches=(launch("on-demand-a", 27.3, boot=47.0, gone=390.0),),
    )


def remembered() -> Course:
    """A second drought within three minutes: Karpenter does not ask for what it was refused."""
    return replace(drought(), refusals=(), remembered=True)


IN_ORDER: dict[str, Callable[[], Course]] = {
    made.__name__: made
    for made in (
        drought,
        between_looks,
        remembered,
        with_an_older_node,
        two_sizes,
        every_size,
        quota,
        narrowed,
        zone,
        family,
        everything,
        not_followed,
    )
}

FELL_BACK = (launch("on-demand-a", 16.0),)
FAULTS: dict[str, tuple[Course, str, str]] = {
    "the switch did nothing: Spot is launched": (
        replace(drought(), launches=(launch("spot-x", 4.0, "spot"),), on_demand=0),
        "taken",
        "launched all the same: spot-x m7i.2xlarge eu-west-1a",
    ),
    "the zone that is short launches": (
        replace(zone(), launches=(launch("spot-x", 4.0, "spot", zone="eu-west-1a"),)),
        "taken",
        "launched all the same: spot-x",
    ),
    "On-Demand is launched where all is short": (
        replace(everything(), launches=(launch("on-demand-x", 20.0),)),
        "taken",
        "launched all the same: on-demand-x",
    ),
    "nodes had room: nothing was rehearsed": (
        replace(drought(), launches=(), refusals=(), on_launched=0, on_demand=0, running=5.0, given_back=6.0),
        "taken",
        "had room for all 50 pods: the drill shows nothing",
    ),
    "a pool without a shape: eleven rounds": (
        replace(drought(), refusals=tuple(3.0 + 10 * number for number in range(11)), running=170.0, given_back=171.0),
        "rounds",
        "11 rounds",
    ),
    "one round too many": (
        replace(drought(), refusals=(3.0, 13.0, 23.0, 33.0, 43.0, 53.0)),
        "rounds",
        "6 rounds",
    ),
    "Spot was not asked for": (replace(drought(), refusals=()), "rounds", "Spot was not asked for"),
    "a partial shortage refuses in rounds": (replace(zone(), refusals=(3.0, 13.0)), "rounds", "2 rounds"),
    "the fall-back is late by more than a boot and 30 s": (
        replace(drought(), running=75.0, given_back=76.0),
        "running",
        "74.9 s = 1 s batch + 1 round x 10 s + 41 s boot + 22.9 s since it went",
    ),
    "122 s, as without a shape": (replace(drought(), running=122.1, given_back=123.0), "running", "122.0 s"),
    "some pods never run": (
        replace(drought(), running=None, most_running=49, given_back=600.0, back=900.0, launches=FELL_BACK),
        "running",
        "49 of 50 pods ran within 600 s",
    ),
    "pods stay off On-Demand": (
        replace(drought(), on_demand=45),
        "fallback",
        "45 of 46 pods on new nodes are on On-Demand: 98%",
    ),
    "On-Demand though another zone has Spot": (
        replace(zone(), on_demand=3),
        "fallback",
        "3 of 46 pods on new nodes are on On-Demand: 7%",
    ),
    "never back on Spot": (
        replace(drought(), back=None, left_on_demand=("p1", "on-demand-a")),
        "back",
        "still on On-Demand 900 s after its return: p1, on-demand-a",
    ),
    "back a second too late": (replace(drought(), back=962.0), "back", "900 s after its return"),
    "capacity never came back": (
        replace(drought(), given_back=None, back=None, launches=FELL_BACK),
        "back",
        "it did not come back",
    ),
    "pods are moved twice": (
        replace(drought(), moves=tuple(Move(pod=f"p{n}", node="on-demand-a", seconds=380.0) for n in range(51))),
        "moved-once",
        "51 - 50 = 1 evictions beyond one for each pod",
    ),
    "a pod is moved from where the return had put it": (
        replace(drought(), moves=(*drought().moves, Move(pod="p1x", node="spot-b", seconds=395.0))),
        "moved-once",
        "evicted from nodes of the return: spot-b 1",
    ),
    "a node that the return launched goes again": (
        replace(drought(), launches=(*drought().launches, launch("spot-c", 310.0, "spot", gone=395.0))),
        "moved-once",
        "spot-c (spot m7i.2xlarge)",
    ),
    "nothing is told where nothing is to be had": (
        replace(everything(), told=()),
        "told",
        "46 pods wait, and no event of theirs or of a NodeClaim says why",
    ),
    "no pod waits where nothing is to be had": (
        replace(everything(), pending=0),
        "told",
        "no pod waited: something was launched",
    ),
    "the demo loses pods where nothing is to be had": (
        replace(everything(), demo=(25, 22)),
        "stays",
        "22 of 25 pods of the demo still run",
    ),
    "three minutes and a boot are over, and pods still wait": (
        replace(everything(), running=40.0 + 180 + 41 + 30 + 3 + 1),
        "running",
        "255.0 s",
    ),
}

FOLLOWS: dict[str, set[str]] = {
    "the switch did nothing: Spot is launched": {"fallback"},
    "nodes had room: nothing was rehearsed": {"fallback"},
    "a pool without a shape: eleven rounds": {"running"},
}
"""Lines that rightly say something too, by fault."""
