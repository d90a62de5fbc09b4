"""The page's own arithmetic, on rows made by hand."""

import itertools

import pytest

from bench.engine.measures import UNLIMITED
from bench.engine.page import overhead, page, ratio, saved


def made(makespan: float, scale: float = 1.0, stack: str = "dev"):
    step = {"urn": "a", "name": "network-vpc", "kind": "Vpc", "type": "aws:ec2/vpc:Vpc", "component": "network"}
    return {
        "stack": stack,
        "scale": scale,
        "makespan": makespan,
        "command_real": makespan * scale + 8,
        "sum": 1400.0,
        "steps": [{**step, "start": 0.0, "end": 24.0, "seconds": 24.0}],
        "necessary": {"seconds": 800.0, "steps": ["a"]},
        "declared": {"seconds": 804.0, "steps": ["a"]},
        "why": [],
        "serial": [{"module": "network", "start": 0.0, "end": 1000.0}],
        "serial_without_wait": 960.0,
    }


def command(seconds: float):
    return {"seconds": seconds, "cpu_seconds": seconds / 2, "all_mib": 500.0, "engine_mib": 100.0, "program_mib": 200.0}


def measured(seconds: float, load: float = 1.0):
    return {"resources": 87, "preview": command(seconds), "up": command(2 * seconds), "load": load}


def test_the_numbers_that_the_aims_are_about():
    row = made(840)
    assert ratio(row) == pytest.approx(1.05)
    assert saved(row) == pytest.approx(0.16)
    assert saved(row, wait=False) == pytest.approx(0.125)


def test_the_machines_own_time_is_told_in_real_seconds():
    assert overhead(made(840, scale=0.25)) == pytest.approx(10)


@pytest.mark.parametrize(
    ("makespan", "told"),
    [
        (840, ["**1.050, met**", "**16.0%, met**"]),
        (841, ["**1.051, not met**", "**15.9%, met**"]),
        (851, ["**1.064, not met**", "**14.9%, not met**"]),
    ],
)
def test_an_aim_that_is_not_met_is_said(makespan, told):
    text = page({"makespan": [made(makespan)]}, cores=2)
    assert [one for one in told if one not in text] == []


def test_the_slowest_clock_of_the_first_stack_stands_for_the_page_and_of_its_runs_the_median():
    rows = [made(900, 0.1), made(820), made(880), made(830), made(999, stack="prod")]
    assert f"**{830 / 800:.3f}, met**" in page({"makespan": rows}, cores=2)


def test_the_default_parallelism_is_told_against_unlimited():
    rows = [
        {"parallel": value, "scale": 0.2, "makespan": makespan, "at_once": 8, "command_real": 1.0}
        for value, makespan in ((None, 816.0), (1, 1400.0), (UNLIMITED, 800.0))
    ]
    text = page({"parallel": rows}, cores=2)
    assert "| default (8) | 816 | +2.0% | 8 |" in text
    assert "| 1 | 1400 | +75.0% | 8 |" in text
    assert "| unlimited | 800 | +0.0% | 8 |" in text


def test_growth_and_environments_tell_medians_and_the_load():
    growth = [{"what": "node pools", "size": 10, **measured(seconds)} for seconds in (10, 30, 12)]
    environments = [{"environment": n, **measured(n, load=n), "list": command(1)} for n in range(1, 11)]
    text = page({"growth": growth, "environments": environments}, cores=2)
    assert "| 10 node pools | 87 | 12.0 | 6.0 | 500 | 24.0 | 12.0 | 500 | 100 | 200 |" in text
    assert [n for n in range(1, 11) if f"| number {n} |" in text] == [1, 5, 10]
    assert "| median of all | 87 | 5.5 |" in text
    assert "load average 1 to 10" in text


def test_a_table_has_as_many_cells_as_its_header():
    kept = {
        "makespan": [made(840)],
        "growth": [{"what": "node pools", "size": 1, **measured(1)}],
        "environments": [{"environment": 1, **measured(1), "list": command(1)}],
    }
    rows = [line for line in page(kept, cores=2).splitlines() if line.startswith("|")]
    for header, rule in itertools.pairwise(rows):
        if rule.startswith("|---|"):
            assert header.count("|") == rule.count("|")
            width = header.count("|")
        elif not header.startswith("|---|"):
            assert header.count("|") == width
