"""A cluster with a drill that changed something: short waits, and ways to die."""

import socket
from collections.abc import Iterator

import pytest

from otel_on_spot.drills import lease, resilience, undo
from otel_on_spot.drills.lease import acquire
from tests.unit.drills.cluster import DEAD, DEPLOYMENT, Cluster, cluster

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


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr(lease, "DURATION_SECONDS", 0.3)
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(resilience, "RETRY_SECONDS", 0.02)
    with cluster() as shown:
        yield shown


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
