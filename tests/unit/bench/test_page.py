"""The page's own arithmetic, on rows made by hand."""

import itertools
import math

import pytest

from bench.engine.measures import UNLIMITED
from bench.engine.page import overhead, page, ratio, saved


def made(makespan: float, scale: float = 1.0, stack: str = "dev", parallel: int | None = None):
    step = {"urn": "a", "name": "network-vpc", "kind": "Vpc", "type": "aws:ec2/vpc:Vpc", "component": "network"}
    return {
        "stack": stack,
        "scale": scale,
        "parallel": parallel,
        "makespan": makespan,
        "command_real": makespan * scale + 8,
        "sum": 1400.0,
        "steps": [{**step, "start": 0.0, "end": 24.0, "seconds": 24.0}],
        "necessary": {"seconds": 800.0, "steps": ["a"]},
        "declared": {"seconds": 804.0, "steps": ["a"]},
        "why": [],
        "serial": [{"module": "network", "start": 0.0, "end": 1000.0}],
        "serial_without_wait": 960.0,
        "computed": [[1, 1379.0], [2, math.inf], [8, 808.0], [16, 807.0], [64, 807.0]],
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
        (840, ["**1.050, met**", "**16.0% below, met**"]),
        (841, ["**1.051, not met**", "**15.9% below, met**"]),
        (851, ["**1.064, not met**", "**14.9% below, not met**"]),
    ],
)
def test_an_aim_that_is_not_met_is_said(makespan, told):
    text = page({"makespan": [made(makespan)]}, cores=2)
    assert [entry for entry in told if entry not in text] == []


def test_the_slowest_clock_of_each_stack_stands_for_it_and_of_its_runs_the_median():
    rows = [made(900, 0.1), made(820), made(880), made(830), made(800, parallel=64), made(996, stack="prod")]
    text = page({"makespan": rows}, cores=2)
    assert f"- dev: **{830 / 800:.3f}, met**" in text
    assert f"- prod: **{996 / 800:.3f}, not met**" in text
    assert "| 820 to 880 | 1.038 |" in text


def test_runs_with_another_parallelism_stand_for_no_stack():
    text = page({"makespan": [made(820, parallel=64)]}, cores=2)
    assert "| dev | 1 | 64 |" in text
    assert "- dev: **" not in text
    assert "- dev at scale 1 with `--parallel 64`: 1.025. 20 s (20 real) are not the chain's" in text


def test_where_the_chain_was_late_is_told():
    row = made(840)
    row["steps"] = [
        {**row["steps"][0], "urn": urn, "name": urn, "start": start, "end": end}
        for urn, start, end in (("vpc", 0.0, 24.0), ("subnet", 25.0, 37.0), ("cluster", 113.0, 653.0))
    ]
    row["necessary"] = {"seconds": 800.0, "steps": ["vpc", "subnet", "cluster"]}
    row["why"] = [["value", "vpcId"], ["declared", "subnets"]]
    row["steps"].append({**row["steps"][0], "urn": "nat", "kind": "NatGateway", "start": 40.0, "end": 150.0})
    for step, seconds in zip(row["steps"], (22.0, 12.0, 537.0), strict=False):
        step["seconds"] = seconds
    told = (
        "40 s are not the chain's: 76 of them before `cluster` begins, where half-way 1 steps ran (1 NatGateway); "
        "5 of them the simulation's own work inside the chain's steps."
    )
    assert told in page({"makespan": [row]}, cores=2)


def test_the_default_parallelism_is_told_against_the_most_places():
    rows = [
        {"parallel": value, "scale": 0.1, "makespan": makespan, "at_once": 8, "failed": failed}
        for value, makespan, failed in ((None, 816.0, ""), (1, 1400.0, "no place left"), (UNLIMITED, 800.0, ""))
    ]
    text = page({"makespan": [made(840)], "parallel": rows}, cores=2)
    assert "| 1 | 1379 (+70.9%) |" in text
    assert "| 2 | can get stuck |" in text
    assert "| 8 (default) | 808 (+0.1%) |" in text
    assert "| 8 (default) | 816 | 8 | succeeds |" in text
    assert "| 1 | 1400 | 8 | fails: no place left |" in text
    assert "| unlimited | 800 | 8 | succeeds |" in text


def test_what_the_default_parallelism_costs_is_told_where_it_costs_something():
    rows = [{"parallel": UNLIMITED, "scale": 0.1, "makespan": 800.0, "at_once": 17, "failed": ""}]
    dear = {**made(900, stack="prod"), "computed": [[1, 2075.0], [2, math.inf], [8, 875.0], [16, 810.0], [64, 808.0]]}
    text = page({"makespan": [made(840), dear], "parallel": rows}, cores=2)
    assert "- prod: give `--parallel 16` or more" in text
    assert "- dev: give" not in text
    assert "- dev: `--parallel 2`: two releases that wait" in text
    assert "- prod: give" not in page({"makespan": [dear], "parallel": rows}, cores=4)


def test_growth_and_environments_tell_medians_and_the_load():
    growth = [{"what": "node pools", "size": 10, **measured(seconds)} for seconds in (10, 30, 12)]
    environments = [{"environment": n, **measured(n, load=n), "list": command(1)} for n in range(1, 11)]
    text = page({"growth": growth, "environments": environments}, cores=2)
    assert "| node pools: 10 | 87 | 12.0 | 6.0 | 500 | 24.0 | 12.0 | 500 | 100 | 200 |" in text
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
    width = 0
    for header, rule in itertools.pairwise(rows):
        if rule.startswith("|---|"):
            assert header.count("|") == rule.count("|")
            width = header.count("|")
        elif not header.startswith("|---|"):
            assert header.count("|") == width
