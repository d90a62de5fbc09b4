"""Schedules and durations: taken exactly where Karpenter's own parsers take them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.schedules import FIELDS, ScheduleError, check_schedule, check_window, nanoseconds

TABLE = [json.loads(line) for line in (Path(__file__).parent / "schedules.jsonl").read_text().splitlines()]
"""Schedules and what robfig/cron v3.0.1 says of each: accepted, refused, or accepted and never due.

Karpenter takes a schedule that is never due for a window that never ends, so that one is refused here too.
"""
ONLY_HERE = {"0 7 * * *  ", "@every 1h"}
"""White space around a schedule, which the parser cuts off, and what the CRD's pattern refuses before it."""


def accepts(text: str) -> bool:
    try:
        check_schedule(text)
    except ScheduleError:
        return False
    return True


def test_the_parser_agrees_with_the_one_that_karpenter_uses() -> None:
    differing = [row for row in TABLE if accepts(row["schedule"]) != (row["verdict"] == "accepted")]

    assert [row for row in differing if row["schedule"] not in ONLY_HERE] == []
    assert all([row["verdict"] for row in TABLE].count(verdict) > 5 for verdict in ("accepted", "refused", "never"))


@given(
    st.tuples(
        *(
            st.one_of(
                st.just("*"),
                st.integers(kind.first, kind.last).map(str),
                st.tuples(st.integers(kind.first, kind.last), st.integers(1, 99)).map(lambda t: f"{t[0]}/{t[1]}"),
                st.lists(st.integers(kind.first, kind.last), min_size=2, max_size=2).map(
                    lambda ends: "{}-{}".format(*sorted(ends))
                ),
                st.sampled_from(sorted(kind.names) or ["*"]),
            )
            for kind in (*FIELDS[:2], FIELDS[3], FIELDS[4])
        )
    )
)
def test_every_well_formed_schedule_is_accepted(parts: tuple[str, ...]) -> None:
    minute, hour, month, weekday = parts

    assert accepts(f"{minute} {hour} * {month} {weekday}")


@given(st.integers(0, 4), st.integers(0, 400))
def test_a_number_beyond_its_field_is_refused(index: int, number: int) -> None:
    kind = FIELDS[index]
    fields = ["*"] * 5
    fields[index] = str(number)

    assert accepts(" ".join(fields)) == (kind.first <= number <= kind.last)


@given(st.text(max_size=30))
def test_no_text_makes_the_parser_raise_anything_else(text: str) -> None:
    accepts(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("336h", 1209600), ("1h30m", 5400), ("0s", 0), ("1m1m", 120)]
)
def test_a_duration_is_read_as_go_reads_it(text: str, seconds: int) -> None:
    assert nanoseconds(text) == seconds * 10**9


@pytest.mark.parametrize(
    "text", ["", "5", "5d", "14d", "1.5h", "-5m", "5 m", "5M", "1h 30m", "h", "5ms", "2562048h", "9" * 30 + "h", "1w"]
)
def test_what_go_or_the_crd_refuses_is_no_duration(text: str) -> None:
    with pytest.raises(ScheduleError):
        nanoseconds(text)


@pytest.mark.parametrize("text", ["11h", "30m", "1h30m", "1h30m0s", "168h"])
def test_a_window_is_in_hours_and_minutes(text: str) -> None:
    check_window(text)


@pytest.mark.parametrize("text", ["", "0h", "0m", "0h0m", "30s", "30m1h", "1h1h", "1h0s0s", "1d", "Never", "2562048h"])
def test_an_empty_or_malformed_window_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError):
        check_window(text)
