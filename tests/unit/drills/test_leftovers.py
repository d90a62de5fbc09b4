"""What interrupted drills left and nobody else did is put back."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from otel_on_spot.drills import leftovers
from tests.unit.drills.cluster import Cluster, cluster


@contextmanager
def windowed(there: Cluster, *windows: dict[str, Any]) -> Generator[None]:
    there.front.find("AppProject", "platform")["spec"]["syncWindows"] = list(windows)
    yield


def test_windows_of_drills_that_are_over_are_removed_and_nobody_elses() -> None:
    old = {"kind": "deny", "schedule": "1 1 1 1 *", "duration": "60s", "applications": ["*"]}
    ours = {**old, "description": "otel-on-spot drill stress by ada@here/7 until=2026-01-01T01:02:00Z"}
    lasting = {**old, "description": "otel-on-spot drill stress by ada@here/7 until=2999-01-01T01:02:00Z"}
    with cluster() as there, windowed(there, old, ours, lasting):
        told = leftovers.clean_up(there.target, there.api, there.told.append)
        assert told == ["deny window 1 1 1 1 * for 60s of an earlier drill: removed"]
        assert there.windows == [old, lasting]
        assert leftovers.clean_up(there.target, there.api, there.told.append) == []
