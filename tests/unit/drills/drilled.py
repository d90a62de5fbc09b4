"""A cluster with a drill that changed something, ways to die, and what a report says."""

import socket

from otel_on_spot.drills import lease, undo
from otel_on_spot.drills.lease import acquire
from otel_on_spot.report import Report
from tests.unit.drills.cluster import DEAD, DEPLOYMENT, Cluster

WINDOW = {
    "kind": "deny",
    "schedule": "1 12 23 11 *",
    "duration": "600s",
    "applications": ["*"],
    "manualSync": True,
    "description": "ours",
}
THEIRS = {"kind": "deny", "schedule": "0 22 * * *", "duration": "1h", "applications": ["*"]}
SCALED = undo.scaled(DEPLOYMENT, 1, 50)
SUSPENDED = undo.suspended("argocd", "platform", WINDOW)


def drilling(there: Cluster, *, seconds: float = 60.0) -> lease.HeldLease:
    return acquire(there.target, there.api, drill="stress", why="a test", seconds=seconds, log=there.told.append)


def change(there: Cluster, hold: lease.HeldLease) -> None:
    """What a stress drill changes."""
    hold.record_undo(SUSPENDED)
    undo.change_windows(there.api, SUSPENDED.arguments["path"], lambda windows: [*windows, WINDOW])
    hold.record_undo(SCALED)
    there.api.merge(f"{DEPLOYMENT}/scale", {"spec": {"replicas": 50}})


def die(there: Cluster, hold: lease.HeldLease, holder: str = "") -> None:
    """The holder is gone without a word, and everything that it changed stays."""
    hold._ended.set()
    hold._renewing.join()
    there.held_by(holder or f"ada@{socket.gethostname()}/{DEAD}")


def restored(there: Cluster) -> None:
    assert there.replicas == 1
    assert there.windows == []
    assert there.lease is None


def found(report: Report) -> dict[str, list[str]]:
    """What each line found."""
    return {
        verdict.id: [f"{finding.subject}: {finding.seen}" for finding in verdict.findings]
        for verdict in report.verdicts
        if verdict.status == "found"
    }


def looked_at(report: Report) -> dict[str, str]:
    """What each line says that it looked at."""
    return {verdict.id: verdict.what for verdict in report.verdicts}


def statuses(report: Report) -> dict[str, str]:
    return {verdict.id: verdict.status for verdict in report.verdicts}
