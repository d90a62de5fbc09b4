"""A fixed spread of ten faults on the way of an update and of a destroy; each recovered as the runbook says.

Each begins where the recovery before it ended. ``make engine-faults`` takes every step (fault_every_step.py).
"""

from pathlib import Path

import pytest

from otel_on_spot.simcloud import graph
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.inventory import shape
from tests.engine.fault_steps import Way, hit, judge
from tests.engine.recovery import agree
from tests.engine.workbench import REGION, Workbench

UPDATE = (
    (Way("kill", "after", "create"), "Vpc:network-vpc"),
    (Way("kill", "after", "create"), "Cluster:cluster-eks-eksCluster"),
    (Way("kill", "after", "create"), "Release:karpenter-controller"),
    (Way("refuse", "before", "create"), "EC2NodeClass:capacity-node-class"),
    (Way("kill", "before", "create"), "NodePool:capacity-spot"),
    (Way("refuse", "after", "create"), "AppProject:platform-project"),
)
"""In the order in which an update comes to them: a later one cannot be under way when an earlier one is struck."""
SMOKE = UPDATE[1]
DESTROY = (
    (Way("kill", "after", "delete"), "Application:platform-root"),
    (Way("refuse", "before", "delete"), "Release:karpenter-controller"),
    (Way("kill", "after", "delete"), "NodeGroup:cluster-system-nodes-group"),
    (Way("refuse", "before", "delete"), "Vpc:network-vpc"),
)


def struck_and_recovered(bench: Workbench, way: Way, what: str) -> None:
    assert hit(bench, way, [what]) == {what}, f"{way.operation} of {what} was not reached"
    judge(bench, way)


@pytest.mark.parametrize(
    ("way", "what"),
    [pytest.param(*case, marks=pytest.mark.smoke) if case == SMOKE else case for case in UPDATE],
    ids=str,
)
def test_an_update_that_a_fault_cut_off_is_recovered(bench: Workbench, way: Way, what: str) -> None:
    struck_and_recovered(bench, way, what)


def test_the_update_then_ends_as_if_nothing_had_happened_with_the_cloud_that_the_recorded_graph_makes(
    bench: Workbench, tmp_path: Path
) -> None:
    with Cloud(tmp_path, patience=30, forgetful=True) as undisturbed:
        graph.apply("dev", undisturbed)
        expected = shape(undisturbed, REGION, passwords=False)
    bench.up()
    agree(bench)
    bench.expect_no_changes()
    assert shape(bench.cloud, REGION, passwords=False) == expected


@pytest.mark.parametrize(("way", "what"), DESTROY, ids=str)
def test_a_destroy_that_a_fault_cut_off_is_recovered(bench: Workbench, way: Way, what: str) -> None:
    assert bench.left(), "there is no stack to destroy: run the whole file"
    struck_and_recovered(bench, way, what)


def test_the_destroy_then_leaves_nothing(bench: Workbench) -> None:
    bench.destroy()
    assert bench.left() == []
    assert bench.watched.live == {}
