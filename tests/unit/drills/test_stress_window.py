"""The deny window of the stress drill: it holds now, ends with the lease, and the doctor reads it as a lease."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from otel_on_spot.doctor.checks.sync_windows import suspension_of
from otel_on_spot.doctor.facts_kubernetes import SyncWindow
from otel_on_spot.drills.lease import Lease
from otel_on_spot.drills.stress.window import deny, is_over


def record(now: datetime, seconds: float) -> Lease:
    return Lease(
        drill="stress",
        holder="ada@here/7",
        why="before the sale",
        since=now,
        until=now.replace(microsecond=0) + timedelta(seconds=seconds),
        steps=(),
        version="1",
    )


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 11, 23, 12, 30, 0, tzinfo=UTC),
        datetime(2026, 11, 23, 12, 30, 59, 999999, tzinfo=UTC),
        datetime(2026, 11, 24, 0, 0, 20, tzinfo=UTC),
        datetime(2026, 11, 23, 23, 59, 50, tzinfo=UTC),
        datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC),
        datetime(2028, 2, 29, 0, 0, 30, tzinfo=UTC),
        datetime(2026, 11, 24, 0, 30, tzinfo=timezone(timedelta(hours=2))),
    ],
    ids=str,
)
@pytest.mark.parametrize("seconds", [61, 1260, 100_000])
def test_it_holds_from_now_to_the_leases_end_around_midnight_too(now: datetime, seconds: int) -> None:
    held = record(now, seconds)
    window = deny(held, now)
    assert window["manualSync"] is True
    assert (window["kind"], window["timeZone"], window["applications"]) == ("deny", "UTC", ["*"])
    read = SyncWindow(
        kind=window["kind"],
        schedule=window["schedule"],
        duration=window["duration"],
        zone=window["timeZone"],
        applications=("*",),
        description=window["description"],
    )
    found = suspension_of(read, now)
    assert found is not None
    assert found.began_at <= now - timedelta(minutes=1)
    assert found.ends_at == found.until == held.until
    assert found.active(now)
    assert not found.active(held.until)


def test_its_description_says_who_why_and_until_when() -> None:
    now = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
    told = deny(record(now, 60), now)["description"]
    assert told == "otel-on-spot drill stress by ada@here/7 (before the sale) until=2026-11-23T12:31:00Z"


def test_only_a_drills_window_past_its_promise_is_over() -> None:
    now = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
    window = deny(record(now, 60), now)
    assert not is_over(window, now)
    assert is_over(window, now + timedelta(seconds=60))
    later = now + timedelta(days=1)
    assert not is_over({**window, "description": "maintenance until=2026-11-23T12:31:00Z"}, later)
    assert not is_over({**window, "description": "otel-on-spot drill by hand"}, later)
    assert not is_over({**window, "description": "otel-on-spot drill stress until=tomorrow"}, later)
    assert not is_over({**window, "kind": "allow"}, later)
    assert not is_over({"kind": "deny", "schedule": "0 22 * * *", "duration": "1h"}, later)
