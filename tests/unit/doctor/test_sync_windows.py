"""Deny windows read as leases: which occurrence is meant, when it ends, and what is none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from otel_on_spot.doctor.checks.sync_windows import covers, duration, hold, suspension_of
from otel_on_spot.doctor.facts_kubernetes import Application, SyncWindow

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
WINDOW: dict[str, Any] = {"kind": "deny", "duration": "2h", "zone": "UTC", "applications": ("*",)}


def window(schedule: str, **more: Any) -> SyncWindow:
    given: dict[str, Any] = {**WINDOW, "schedule": schedule, **more}
    return SyncWindow(**given)


def test_a_window_of_one_day_begins_at_its_minute_and_ends_after_its_duration() -> None:
    found = suspension_of(window("0 12 23 11 *"), NOW)
    assert found is not None
    assert found.began_at == NOW - timedelta(minutes=30)
    assert found.ends_at == found.until == NOW + timedelta(minutes=90)
    assert found.active(NOW)
    assert not found.active(found.ends_at)


def test_a_promise_in_the_description_ends_it_earlier() -> None:
    found = suspension_of(window("0 12 23 11 *", description="stress by ada until=2026-11-23T12:20:00Z"), NOW)
    assert found is not None
    assert found.until == NOW - timedelta(minutes=10)
    assert found.active(NOW)


def test_the_nearest_occurrence_counts_across_the_turn_of_the_year() -> None:
    found = suspension_of(window("30 23 31 12 *"), datetime(2027, 1, 1, 0, 10, tzinfo=UTC))
    assert found is not None
    assert found.began_at == datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    assert found.active(datetime(2027, 1, 1, 0, 10, tzinfo=UTC))


def test_a_windows_own_time_zone_counts() -> None:
    found = suspension_of(window("0 13 23 11 *", zone="Europe/Berlin"), NOW)
    assert found is not None
    assert found.began_at == datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "none",
    [
        window("0 12 * * *"),
        window("0 12 23 * *"),
        window("*/5 12 23 11 *"),
        window("0 12 23 11 *", kind="allow"),
        window("0 12 31 2 *"),
    ],
    ids=["every day", "every month", "every five minutes", "allow", "no such day"],
)
def test_what_comes_back_or_denies_nothing_is_no_lease(none: SyncWindow) -> None:
    assert suspension_of(none, NOW) is None


@pytest.mark.parametrize(("text", "seconds"), [("1h30m", 5400), ("90s", 90), ("24h", 86400), ("", 0)])
def test_durations_are_gos(text: str, seconds: float) -> None:
    assert duration(text).total_seconds() == seconds


def test_a_window_covers_what_any_of_its_lists_names_or_all_of_them_where_it_asks_for_all() -> None:
    one = Application(
        namespace="argocd", name="otel-demo", project="platform", automated=True, sync="Synced", health="Healthy"
    )
    assert covers(window("0 12 23 11 *", applications=("otel-*",)), one)
    assert not covers(window("0 12 23 11 *", applications=("other",)), one)
    assert not covers(window("0 12 23 11 *", applications=()), one), "Argo CD matches such a window with nothing"
    either: dict[str, Any] = {"applications": ("other",), "namespaces": ("demo",)}
    here = replace(one, destination_namespace="demo")
    assert covers(window("0 12 23 11 *", **either), here)
    assert not covers(window("0 12 23 11 *", **either, all_must_match=True), here)


@pytest.mark.parametrize(
    ("windows", "until"),
    [
        ([window("0 12 * * *")], "14:00"),
        ([window("0 12 * * *"), window("0 13 * * *")], "15:00"),
        ([window("0 12 * * *"), window("30 13 * * *", kind="allow", duration="1h")], "14:00"),
        ([window("0 12 * * *"), window("0 15 * * *", kind="allow", duration="1h")], "15:00"),
        ([window("0 11 * * *", kind="allow", duration="1h")], "11:00"),
        ([window("0 8 * * *", duration="10m")], None),
        ([window("0 12 * * *", kind="allow")], None),
    ],
    ids=["deny", "two in a row", "deny goes first", "then a wait", "tomorrow", "over", "open"],
)
def test_what_holds_ends_when_no_window_denies_and_one_allows(windows: list[SyncWindow], until: str | None) -> None:
    one = Application(namespace="argocd", name="otel-demo", project="platform", sync="OutOfSync")
    found = hold(windows, one, NOW)
    assert (f"{found.until:%H:%M}" if found and found.until else None) == until
