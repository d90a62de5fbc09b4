"""A slow cloud and a dead controller: throttling and lag are waited out, a NodePool that nobody drains is told."""

from otel_on_spot.simcloud.faults import Fault, FaultPlan
from otel_on_spot.simcloud.kubernetes.controllers import KARPENTER
from otel_on_spot.simcloud.live import cluster_site, launch_nodes
from tests.engine.fault_steps import COMMANDS
from tests.engine.recovery import agree
from tests.engine.workbench import Workbench

THROTTLED_SECONDS = 1 + 2 + 4
LATE_SECONDS = 2 * 3
"""Of the faults below: the provider's pauses, with sources in otel_on_spot/simcloud/operations.py."""


def test_throttling_that_outlasts_the_provider_is_told_and_the_next_update_waits_the_rest_out(bench: Workbench) -> None:
    outlasting = Fault(effect="throttle", type="*:Queue", operation="create", times=30)
    bench.watched.faults = FaultPlan([outlasting])
    code, out, err = bench.attempt(*COMMANDS["create"])
    assert code != 0
    assert "ThrottlingException" in out + err
    assert "gave up after 25 retries" in out + err
    agree(bench)
    throttled = Fault(effect="throttle", type="aws:*", operation="create", nth=0, times=3)
    late = Fault(effect="lag", type="aws:iam/*", operation="create", nth=0, times=2)
    bench.watched.faults = FaultPlan([throttled, late])
    since = bench.mark()
    bench.up()
    bench.watched.faults = FaultPlan()
    made = [
        operation
        for operation in bench.operations(since)
        if operation.operation == "create" and operation.token.startswith("aws:")
    ]
    assert any(operation.token.startswith("aws:iam/") for operation in made)
    for operation in made:
        waited = THROTTLED_SECONDS + (LATE_SECONDS if operation.token.startswith("aws:iam/") else 0)
        assert (operation.result, operation.cloud_seconds >= waited) == ("ok", True), operation
    agree(bench)
    bench.expect_no_changes()


def test_a_node_pool_whose_controller_is_gone_hangs_and_what_it_stands_on_stays(bench: Workbench) -> None:
    assert bench.left(), "there is no stack to destroy: run the whole file"
    site = cluster_site(bench.cloud, "otel-dev")
    launch_nodes(site, "spot", 1)
    key = "|".join((site.cluster, *KARPENTER))
    controller = bench.cloud.tables.remove("releases", key)
    assert controller
    since, patience = bench.mark(), bench.cloud.clock.patience
    bench.cloud.clock.patience = 2
    try:
        code, out, err = bench.attempt(*COMMANDS["delete"])
    finally:
        bench.cloud.clock.patience = patience
        bench.cloud.tables.put("releases", key, controller)
    assert code != 0
    assert "the karpenter release is not installed" in out + err
    gone = {
        operation.name
        for operation in bench.operations(since)
        if operation.operation == "delete" and operation.result == "ok"
    }
    assert "platform-root" in gone
    assert not gone & {"capacity-spot", "capacity-node-class", "cluster-eks-eksCluster", "network-vpc"}
    assert "instance" in {kind for kind, _ in bench.left()}
    bench.destroy()
    assert bench.left() == []
