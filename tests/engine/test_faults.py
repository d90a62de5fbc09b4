"""An update and a destroy, killed and refused at a spread of steps, and recovered as the runbook says.

``make engine-faults`` takes every step; here is a spread, each with what it was chosen for.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simcloud import graph
from simcloud.cloud import Cloud
from simcloud.inventory import shape
from tests.engine.fault_steps import kill, refuse
from tests.engine.recovery import agree, nothing_to_repair, recover, run_recover
from tests.engine.workbench import REGION, Workbench, workbench

UPDATES = [
    (kill, "after", "Vpc:network-vpc"),  # an id that AWS makes up, found by its tags
    (refuse, "before", "Subnet:network-private-a"),  # what the cluster needs
    (kill, "after", "Cluster:cluster-eks-eksCluster"),  # a child of a component, named
    (refuse, "after", "NodeGroup:cluster-system-nodes-group"),  # made and broken
    (kill, "before", "Addon:cluster-after-nodes-coredns"),  # begun by the engine, unknown to the cloud
    (kill, "after", "NodePool:capacity-spot"),  # an object in the cluster
    (kill, "after", "Application:platform-root"),  # the last
]
DESTROYS = [
    (kill, "after", "Application:platform-root"),
    (refuse, "before", "Release:karpenter-controller"),
    (kill, "after", "NodeGroup:cluster-system-nodes-group"),
    (refuse, "before", "Vpc:network-vpc"),
]


@pytest.fixture(scope="module")
def bench(folder: Path) -> Iterator[Workbench]:
    with workbench(folder, "dev", stand_in=True) as bench:
        yield bench


def test_an_update_killed_and_refused_on_its_way_ends_as_if_nothing_had_happened(
    bench: Workbench, tmp_path: Path
) -> None:
    with Cloud(tmp_path, patience=30) as undisturbed:
        graph.apply("dev", undisturbed)
        expected = shape(undisturbed, REGION)
    for strike, stage, step in UPDATES:
        assert strike(bench, "create", stage, [step]) == {step}
        if strike is kill:
            recover(bench)
            nothing_to_repair(bench)
        agree(bench)
    bench.up()
    bench.expect_no_changes()
    assert shape(bench.cloud, REGION) == expected


def test_recover_on_a_stack_without_trouble_changes_nothing(bench: Workbench) -> None:
    before = bench.state()
    done = run_recover(bench)
    assert (done.returncode, "nothing is pending" in done.stdout) == (0, True)
    assert bench.state()["resources"] == before["resources"]


def test_a_destroy_killed_and_refused_on_its_way_goes_on_where_it_stopped_and_leaves_nothing(bench: Workbench) -> None:
    assert bench.left(), "there is no stack to destroy: run the whole file"
    for strike, stage, step in DESTROYS:
        assert strike(bench, "delete", stage, [step]) == {step}
        if strike is kill:
            recover(bench)
        agree(bench)
    bench.destroy()
    assert bench.left() == []
