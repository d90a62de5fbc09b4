"""Counts in, figures out: droughts, budgets, drains and shares, at their edges."""

import math
from collections.abc import Iterator
from itertools import chain, repeat

import pytest

from otel_on_spot.spot_arithmetic import Drain, evictable, fallback_seconds, greatest_share, most_rounds, rounds


@pytest.mark.parametrize(
    ("types", "asked", "seconds"), [(0, 0, 1), (1, 1, 11), (58, 1, 11), (60, 1, 11), (61, 2, 21), (684, 12, 121)]
)
def test_karpenter_asks_for_sixty_types_at_a_time_ten_seconds_apart(types: int, asked: int, seconds: int) -> None:
    assert (rounds(types), fallback_seconds(rounds(types))) == (asked, seconds)


HELD = (75, 75, 51, 37, 37, 26)
"""Pods of the lab's frontend on 8 vCPUs with 64, 32 and 16 GiB, and 4 with 32, 16 and 8, daemons beside them."""


def asked(held: tuple[int, ...], pods: int) -> Iterator[set[int]]:
    """What Karpenter asks for, a NodeClaim each: it fills one, and asks for what holds all of its pods."""
    while pods > 0:
        on_claim = min(pods, max(held))
        pods -= on_claim
        yield {size for size in held if size >= on_claim}


def refused(held: tuple[int, ...], pods: Iterator[int]) -> Iterator[int]:
    """NodeClaims of each round until everything is refused. ``pods``: that wait in each round."""
    while held:
        claims = list(asked(held, next(pods)))
        yield len(claims)
        held = tuple(size for size in held if size not in set().union(*claims))


def test_smaller_sizes_are_asked_for_in_a_round_of_their_own() -> None:
    # Seen in the lab: some pods of 78 came in a first batch. Six NodeClaims were refused, in three rounds.
    assert list(refused(HELD, iter((60, 78, 78)))) == [1, 2, 3]
    assert list(refused(HELD, iter((25,)))) == [1]


def test_a_drought_takes_no_more_rounds_than_its_types_have_sizes() -> None:
    counts = {
        len(list(refused(HELD, chain((first,), repeat(last))))) for first in range(1, 160) for last in range(first, 160)
    }
    assert counts == {1, 2, 3, 4}
    assert most_rounds(HELD) == 4


@pytest.mark.parametrize(
    ("sizes", "most"),
    [((), 0), ((5,), 1), ((5,) * 60, 1), ((5,) * 61, 2), ((5, 9), 2), ((5,) * 61 + (9,), 3), (tuple(range(40)), 40)],
)
def test_types_of_one_size_are_asked_for_together_sixty_at_a_time(sizes: tuple[int, ...], most: int) -> None:
    assert most_rounds(sizes) == most


@pytest.mark.parametrize(
    ("replicas", "budget", "at_once"),
    [
        (3, {"max_unavailable": "1"}, 1),
        (3, {"max_unavailable": "0"}, 0),
        (3, {"max_unavailable": "50%"}, 2),
        (3, {"max_unavailable": "100%"}, 3),
        (2, {"max_unavailable": "5"}, 2),
        (10, {"min_available": "90%"}, 1),
        (3, {"min_available": "90%"}, 0),
        (3, {"min_available": "1"}, 2),
        (3, {"min_available": "4"}, 0),
        (3, {}, 3),
    ],
)
def test_a_budget_is_read_as_kubernetes_does(replicas: int, budget: dict[str, str], at_once: int) -> None:
    assert evictable(replicas, **budget) == at_once


@pytest.mark.parametrize(
    ("drain", "steps", "seconds", "fits"),
    [
        (Drain(pods=1, at_once=1), 1, 70, True),
        (Drain(pods=2, at_once=1), 2, 110, True),
        (Drain(pods=3, at_once=1), 3, 150, False),
        (Drain(pods=3, at_once=2), 2, 110, True),
        (Drain(pods=1, at_once=1, pre_stop_seconds=10, grace_seconds=70), 1, 120, True),
        (Drain(pods=1, at_once=1, pre_stop_seconds=10, grace_seconds=71), 1, 121, False),
        (Drain(pods=20, at_once=20), 1, 70, True),
        (Drain(pods=1, at_once=0), None, math.inf, False),
    ],
)
def test_two_minutes_hold_steps_boots_and_the_end_of_a_pod(
    drain: Drain, steps: int | None, seconds: float, fits: bool
) -> None:
    assert (drain.steps, drain.seconds, drain.fits, drain.remedy == "") == (steps, seconds, fits, fits)


@pytest.mark.parametrize("pods", [3, 4, 5, 8, 50])
def test_what_the_remedy_asks_for_fits(pods: int) -> None:
    drain = Drain(pods=pods, at_once=1)
    asked = int(drain.remedy.partition("at least ")[2].partition(",")[0])

    assert not Drain(pods=pods, at_once=asked - 1).fits
    assert Drain(pods=pods, at_once=asked).fits


def test_a_pod_that_ends_too_slowly_is_told_to_end_sooner() -> None:
    drain = Drain(pods=1, at_once=1, pre_stop_seconds=30, grace_seconds=90)

    assert drain.arithmetic == "1 step x 40 s boot + 30 s preStop + 90 s grace = 160 s"
    assert drain.remedy == "shorten preStop and terminationGracePeriodSeconds to 80 s together"


def test_all_in_one_place_is_a_hundred_percent_and_nearly_all_is_not() -> None:
    assert greatest_share([]).percent == 0
    assert greatest_share(["a", "a"]).percent == 100
    assert greatest_share(["a"] * 199 + ["b"]).percent == 99
    share = greatest_share(["a", "b", "b"])
    assert (share.place, share.pods, share.of, share.percent) == ("b", 2, 3, 66)
