"""Makespans of graphs small enough to be worked out by hand."""

import math

import pytest

from bench.engine.chain import Chain, Module, Stretch, ends, limited, longest, serial

SECONDS = {"vpc": 24.0, "subnet": 12.0, "nat": 110.0, "cluster": 540.0, "group": 115.0, "chart": 90.0}
NEEDS = {
    "subnet": {"vpc"},
    "nat": {"subnet"},
    "cluster": {"subnet"},
    "group": {"cluster", "nat"},
    "chart": {"cluster", "group"},
}


def test_a_step_starts_when_the_last_of_its_needs_is_done():
    assert ends(SECONDS, NEEDS) == {
        "vpc": 24,
        "subnet": 36,
        "nat": 146,
        "cluster": 576,
        "group": 691,
        "chart": 781,
    }


@pytest.mark.parametrize(
    ("seconds", "needs", "chain"),
    [
        (SECONDS, NEEDS, Chain(781, ("vpc", "subnet", "cluster", "group", "chart"))),
        # Of seconds, not of steps.
        (
            {"a": 1.0, "b": 1.0, "c": 1.0, "long": 5.0, "end": 1.0},
            {"b": {"a"}, "c": {"b"}, "end": {"c", "long"}},
            Chain(6, ("long", "end")),
        ),
        ({"a": 1.0, "b": 2.0, "aside": 9.0}, {"b": {"a"}}, Chain(9, ("aside",))),
        ({"b": 2.0, "a": 2.0, "end": 1.0}, {"end": {"b", "a"}}, Chain(3, ("a", "end"))),
        ({}, {}, Chain(0, ())),
    ],
    ids=["in their order", "of seconds", "ends anywhere", "of two alike the first by name", "of nothing"],
)
def test_the_longest_chain_names_its_steps(seconds, needs, chain):
    assert longest(seconds, needs) == chain


def test_steps_that_wait_for_each_other_are_refused_by_name():
    with pytest.raises(ValueError, match=r"wait for each other: .*b"):
        ends({"a": 1.0, "b": 1.0}, {"a": {"b"}, "b": {"a"}})


def test_a_need_without_seconds_is_refused_by_name():
    with pytest.raises(ValueError, match="not among the steps: vpc"):
        ends({"subnet": 1.0}, {"subnet": {"vpc"}})


def test_modules_wait_for_the_whole_module_before_and_for_their_own_seconds():
    modules = [
        Module("network", frozenset({"vpc", "subnet", "nat"})),
        Module("cluster", frozenset({"cluster"})),
        Module("nodes", frozenset({"group"}), wait=30),
        Module("charts", frozenset({"chart"})),
    ]
    assert serial(SECONDS, NEEDS, modules) == [
        Stretch("network", 0, 146),  # the NAT gateway holds the cluster up, though it needs the subnet only
        Stretch("cluster", 146, 686),
        Stretch("nodes", 716, 831),
        Stretch("charts", 831, 921),
    ]


def test_inside_a_module_steps_run_beside_each_other():
    assert serial({"a": 3.0, "b": 5.0, "c": 1.0}, {"c": {"a"}}, [Module("all", frozenset("abc"))])[0].end == 5


def test_a_need_in_a_later_module_is_dropped():
    modules = [Module("nodes", frozenset({"group"})), Module("add-ons", frozenset({"cni"}))]
    assert serial({"group": 115.0, "cni": 20.0}, {"group": {"cni"}}, modules)[-1] == Stretch("add-ons", 115, 135)


@pytest.mark.parametrize(
    ("modules", "told"),
    [
        ([Module("one", frozenset("a"))], "b is in no module"),
        ([Module("one", frozenset("ab")), Module("two", frozenset("b"))], "b is in one and two"),
        ([Module("one", frozenset("abc"))], "module one: no such step: c"),
    ],
)
def test_modules_that_are_no_partition_are_refused(modules, told):
    with pytest.raises(ValueError, match=told):
        serial({"a": 1.0, "b": 1.0}, {}, modules)


def test_with_places_enough_the_longest_chain_decides():
    assert limited(SECONDS, NEEDS, 99) == longest(SECONDS, NEEDS).seconds


def test_with_one_place_every_second_counts():
    assert limited(SECONDS, NEEDS, 1) == sum(SECONDS.values())


def test_what_is_ready_first_goes_first():
    # Two places: a and b first, c when b is done; the long one last.
    assert limited({"a": 4.0, "b": 1.0, "c": 2.0, "long": 9.0}, {}, 2) == 12


def test_a_step_that_waits_for_another_takes_a_place_meanwhile():
    seconds, holding = {"chart": 90.0, "cni": 20.0, "group": 115.0}, {"chart": {"group"}}
    assert limited(seconds, {"group": {"cni"}}, 2, holding) == 225
    assert limited(seconds, {"group": {"cni"}}, 1, holding) == math.inf
    assert limited({"group": 115.0, "chart": 90.0}, {}, 1, holding) == 205


def test_no_place_at_all_is_refused():
    with pytest.raises(ValueError, match="at least one step"):
        limited(SECONDS, NEEDS, 0)
