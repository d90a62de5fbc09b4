"""Recorded upgrades of Karpenter for the judgement: in order, and each fault that its line must find."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from otel_on_spot.drills.upgrade.verdicts import Drifted, Gone, Move, Upgrade, Warned
from tests.unit.drills.fronts import KEPT

UP = Move(before="1.14.3", after="1.15.0", at={"crds": 2.0, "controller": 5.0, "done": 9.0}, version="1.15.0")
BACK = Move(before="1.15.0", after="1.14.3", at={"crds": 2.0, "controller": 4.5, "done": 8.0}, version="1.14.3")
WARNED = Warned(node="ip-1", claim="spot-a", during="1.14.3 to 1.15.0", heard=4.0)
WELL = Upgrade(
    moves=(UP, BACK),
    warned=(WARNED, replace(WARNED, claim="spot-b", during="1.15.0 to 1.14.3", heard=31.0)),
    claims=3,
    gone=(Gone(claim="spot-c", node="ip-3", reason="Underutilized"),),
    drifted=(),
    hashes={"NodePool": ("v3",), "EC2NodeClass": ("v5", "v6", "v5")},
    pods=40,
    moved=(),
    waiting=(),
    unready=(),
    stored=(),
    version="1.14.3",
    front=KEPT,
    timeout=300.0,
)


def upgrade() -> Upgrade:
    """Both moves went well; what was consolidated meanwhile is none of theirs."""
    return WELL


def same_crds() -> Upgrade:
    """Versions whose CRDs do not differ have no order."""
    return broken(moves=tuple(replace(move, at={"controller": 1.0, "done": 2.0}) for move in (UP, BACK)))


def broken(**fault: Any) -> Upgrade:
    """The same, but for something."""
    return replace(WELL, **fault)


IN_ORDER: dict[str, Callable[[], Upgrade]] = {made.__name__: made for made in (upgrade, same_crds)}

LATE_CRDS = replace(UP, at={"controller": 2.0, "crds": 5.0, "done": 9.0})
FAULTS: dict[str, tuple[Upgrade, str, str]] = {
    "the new version does not start": (
        broken(moves=(replace(UP, error="not ready: panic"), BACK)),
        "moved",
        "1.14.3 to 1.15.0: not ready: panic",
    ),
    "the old version stays": (
        broken(moves=(replace(UP, version="1.14.3"), BACK)),
        "moved",
        "the controller is 1.14.3 after the update",
    ),
    "the controller comes before its CRDs": (
        broken(moves=(LATE_CRDS, BACK)),
        "order",
        "the controller changed 2.0 s after the start, the CRDs after 5.0 s",
    ),
    "a warning in the restart is lost": (
        broken(warned=(replace(WARNED, heard=None),)),
        "heard",
        "its NodeClaim is not deleted 300 s later",
    ),
    "a warning in the restart waits too long": (
        broken(warned=(replace(WARNED, heard=121.0),)),
        "heard",
        "was deleted after 121 s",
    ),
    "a node goes for no reason": (
        broken(gone=(Gone(claim="spot-c", node="ip-3", reason=""),)),
        "nodeclaims",
        "Karpenter gave no reason",
    ),
    "a node goes because it drifted": (
        broken(gone=(Gone(claim="spot-c", node="ip-3", reason="Drifted"),)),
        "nodeclaims",
        "it is deleted (Drifted)",
    ),
    "a node drifts by the new hash": (
        broken(drifted=(Drifted(claim="spot-c", reason="NodeClassDrift"),)),
        "drift",
        "Drifted: NodeClassDrift",
    ),
    "a pod restarts": (
        broken(moved=("otel-demo/cart-1: restarted 1 times",)),
        "pods",
        "otel-demo/cart-1: restarted 1 times",
    ),
    "a workload stays broken": (
        broken(waiting=("otel-demo/cart",)),
        "workloads",
        "not whole 300 s after the warnings: otel-demo/cart",
    ),
    "it stays in the new version": (broken(version="1.15.0"), "back", "the controller is 1.15.0"),
    "a pool is not Ready afterwards": (broken(unready=("NodePool spot",)), "back", "NodePool spot is not Ready"),
    "a CRD keeps objects in another version": (
        broken(stored=("nodepools.karpenter.sh in v2",)),
        "back",
        "in another version: nodepools.karpenter.sh in v2",
    ),
}
