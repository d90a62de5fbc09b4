"""Recorded upgrades of Argo CD for the judgement: in order, and each fault that its line must find."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from otel_on_spot.drills.upgrade.argocd_verdicts import ArgocdUpgrade, Astray, Suspension
from otel_on_spot.drills.upgrade.verdicts import Move
from tests.unit.drills.fronts import KEPT

UP = Move(before="v3.5.3", after="v3.6.1", at={"crds": 2.0, "controller": 4.0, "done": 9.0}, version="v3.6.1")
BACK = Move(before="v3.6.1", after="v3.5.3", at={"crds": 1.0, "controller": 2.5, "done": 8.0}, version="v3.5.3")
HELD = Suspension(
    workload="otel-demo/frontend",
    application="otel-demo",
    before=1,
    after=2,
    noticed=("v3.6.1", "v3.5.3"),
    reverted="",
    window=True,
    put_back=3.1,
)
WELL = ArgocdUpgrade(
    moves=(UP, BACK),
    applications=5,
    behind={"v3.5.3 to v3.6.1": (), "v3.6.1 to v3.5.3": ()},
    astray=(),
    syncs=(),
    suspension=HELD,
    pods=40,
    moved=(),
    changed=(),
    stored=(),
    version="v3.5.3",
    timeout=300.0,
    front=KEPT,
)


def argocd() -> ArgocdUpgrade:
    """Both moves went well."""
    return WELL


def same_crds() -> ArgocdUpgrade:
    """Versions whose CRDs do not differ have no order."""
    return broken(moves=tuple(replace(move, at={"controller": 1.0, "done": 2.0}) for move in (UP, BACK)))


def unsettled() -> ArgocdUpgrade:
    """The pinned version itself said OutOfSync as its CRDs changed, and applied what was there, as seen in the lab."""
    seen = replace(STRAYED, early=True)
    return broken(astray=(seen,), syncs=(replace(seen, seen="a sync began at 2026-11-26T18:24:06Z"),))


def broken(**fault: Any) -> ArgocdUpgrade:
    """The same, but for something."""
    return replace(WELL, **fault)


def unheld(**fault: Any) -> ArgocdUpgrade:
    """The same, but for something of the suspension."""
    return broken(suspension=replace(HELD, **fault))


IN_ORDER: dict[str, Callable[[], ArgocdUpgrade]] = {made.__name__: made for made in (argocd, same_crds, unsettled)}

STRAYED = Astray(application="otel-demo", seen="OutOfSync by Deployment otel-demo/cart", during="v3.5.3 to v3.6.1")
FAULTS: dict[str, tuple[ArgocdUpgrade, str, str]] = {
    "the new version does not start": (
        broken(moves=(replace(UP, error="not ready: panic"),), suspension=None),
        "moved",
        "v3.5.3 to v3.6.1: not ready: panic",
    ),
    "the old version stays": (
        broken(moves=(replace(UP, version="v3.5.3"), BACK)),
        "moved",
        "the controller is v3.5.3 after the update",
    ),
    "the controllers come before their CRDs": (
        broken(moves=(replace(UP, at={"controller": 2.0, "crds": 5.0, "done": 9.0}), BACK)),
        "order",
        "the controller changed 2.0 s after the start, the CRDs after 5.0 s",
    ),
    "a version compares nothing": (
        broken(behind={"v3.5.3 to v3.6.1": ("otel-demo",), "v3.6.1 to v3.5.3": ()}),
        "compared",
        "v3.5.3 to v3.6.1: Applications not compared with Git within 300 s: otel-demo",
    ),
    "another version sees a difference": (
        broken(astray=(STRAYED,)),
        "stays",
        "otel-demo: OutOfSync by Deployment otel-demo/cart while Argo CD moved from v3.5.3 to v3.6.1",
    ),
    "another version takes a workload for broken": (
        broken(astray=(replace(STRAYED, seen="Degraded"),)),
        "stays",
        "Degraded while",
    ),
    "another version syncs what was Synced": (
        broken(syncs=(replace(STRAYED, seen="a sync began at 2026-11-26T18:00:00Z"),)),
        "syncs",
        "a sync began at 2026-11-26T18:00:00Z while Argo CD moved from v3.5.3 to v3.6.1",
    ),
    "a version undoes what is suspended": (
        unheld(reverted="it was 1 again in spite of it, with v3.6.1"),
        "suspended",
        "by hand from 1 to 2: it was 1 again in spite of it, with v3.6.1",
    ),
    "a version drops the deny window": (unheld(window=False), "suspended", "the deny window is gone"),
    "a version does not see the scale": (unheld(noticed=("v3.6.1",)), "suspended", "nobody looked"),
    "nothing is put back once the suspension is over": (
        unheld(put_back=None),
        "put-back",
        "not at 1 replicas, or Application otel-demo not Synced, 300 s after",
    ),
    "a pod of the demo restarts": (
        broken(moved=("otel-demo/cart-1: gone, or another pod is in its place",)),
        "pods",
        "otel-demo/cart-1: gone",
    ),
    "it stays in the new version": (broken(version="v3.6.1"), "back", "Argo CD is v3.6.1"),
    "an Application is written anew": (
        broken(changed=("Application otel-demo",)),
        "back",
        "Application otel-demo is not what it was",
    ),
    "a CRD keeps objects in another version": (
        broken(stored=("applications.argoproj.io in v1",)),
        "back",
        "in another version: applications.argoproj.io in v1",
    ),
}
