"""Recorded moves of the nodes' AMI for the judgement: in order, and each fault that its line must find."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from otel_on_spot.drills.upgrade.node_verdicts import Again, Away, Course, Left, NodeUpgrade
from tests.unit.drills.fronts import KEPT

LEFT = Left(claim="spot-a", pool="spot", reason="Drifted", took=24.0, replaced=True)
AWAY = Away(pool="spot", nodes=1, allowed=1)
AGAIN = Again(pod="otel-demo/cart-1", claim="spot-b", reason="Drifted", onto_new=False)
UP = Course(
    before="v20260901",
    after="v20260601",
    nodes=2,
    stayed=(),
    left=(LEFT, replace(LEFT, claim="data-a", pool="data", took=31.0)),
    away={"spot": AWAY, "data": replace(AWAY, pool="data")},
    moved=20,
    again=(),
    parted=(),
    pending=(),
    seconds=72.0,
)
BACK = replace(UP, before=UP.after, after=UP.before, seconds=80.0)
WELL = NodeUpgrade(
    courses=(UP, BACK),
    databases=3,
    on_spot=(),
    changed=(),
    unready=(),
    front=KEPT,
)


def upgrade() -> NodeUpgrade:
    """Every node was replaced, one after another."""
    return WELL


def with_hops() -> NodeUpgrade:
    """Karpenter puts a drained node's pods where there is room: on a node that is still to be replaced, too."""
    return broken(again=(AGAIN,))


def with_consolidation() -> NodeUpgrade:
    """What is consolidated meanwhile, the pods on it included, is not the move's."""
    tired = Left(claim="spot-c", pool="spot", reason="Underutilized", took=9.0, replaced=False)
    again = replace(AGAIN, claim="spot-c", reason="Underutilized", onto_new=True)
    return broken(left=(*UP.left, tired), again=(again,))


def without_budgets() -> NodeUpgrade:
    """A pool whose budgets say nothing of Drifted nodes lets any number go."""
    return broken(away={"spot": Away(pool="spot", nodes=5, allowed=None)})


def broken(**fault: Any) -> NodeUpgrade:
    """The same, but for something in the first move."""
    return replace(WELL, courses=(replace(UP, **fault), BACK))


IN_ORDER: dict[str, Callable[[], NodeUpgrade]] = {
    made.__name__: made for made in (upgrade, with_hops, with_consolidation, without_budgets)
}

FAULTS: dict[str, tuple[NodeUpgrade, str, str]] = {
    "a node keeps its release": (
        broken(stayed=("spot-a (v20260901)",), left=UP.left[1:]),
        "release",
        "AMI v20260901 to v20260601: not of release v20260601, or still going, after 72 s: spot-a (v20260901)",
    ),
    "nothing comes back": (
        replace(WELL, courses=(UP, replace(BACK, stayed=("spot-b (v20260601)",), left=()))),
        "release",
        "AMI v20260601 to v20260901: not of release v20260901",
    ),
    "two nodes of a pool go at once": (
        broken(away={"spot": Away(pool="spot", nodes=2, allowed=1)}),
        "budgets",
        "2 Drifted nodes away at once while the AMI moved from v20260901 to v20260601; its budgets let 1 go",
    ),
    "a node goes while its budget holds drift": (
        broken(away={"spot": Away(pool="spot", nodes=1, allowed=0)}),
        "budgets",
        "its budgets let 0 go",
    ),
    "a node is lost": (
        broken(left=(replace(LEFT, reason=""), UP.left[1])),
        "nodes",
        "NodeClaim spot-a: it is deleted (Karpenter gave no reason)",
    ),
    "a replacement is replaced": (
        broken(left=(*UP.left, replace(LEFT, claim="spot-b", replaced=False))),
        "nodes",
        "it is deleted (Drifted) while the AMI moved from v20260901 to v20260601, and was of v20260601 already",
    ),
    "a pod moves off a new node": (
        broken(again=(replace(AGAIN, onto_new=True),)),
        "pods",
        "otel-demo/cart-1: moved from spot-b again, which was of v20260601 already (Drifted)",
    ),
    "databases leave two nodes at once": (
        broken(parted=("NodePool data: postgresql, valkey-cart away from 2 nodes at once",)),
        "data",
        "NodePool data: postgresql, valkey-cart away from 2 nodes at once",
    ),
    "a database runs on Spot": (
        replace(WELL, on_spot=("otel-demo/postgresql-1",)),
        "on-demand",
        "otel-demo/postgresql-1: it keeps data, and was on a Spot node",
    ),
    "a pod waits at the end": (
        broken(pending=("otel-demo/cart-1",)),
        "pending",
        "waiting 72 s after the alias moved from v20260901 to v20260601: otel-demo/cart-1",
    ),
    "the alias is not put back": (
        replace(WELL, changed=("default [{'alias': 'al2023@v20260601'}]",)),
        "back",
        "its alias is another: default",
    ),
    "a node class is not Ready afterwards": (
        replace(WELL, unready=("EC2NodeClass default",)),
        "back",
        "EC2NodeClass default is not Ready",
    ),
}
