"""The life of dev, on one stack, in the order of this file: first preview, update, changes, drift, destroy."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.plan.record import record
from otel_on_spot.program.values import Secret
from otel_on_spot.simcloud.inventory import shape
from otel_on_spot.simcloud.live import claim_volume, cluster_site, expose, launch_nodes
from tests.engine.test_secrets import LOUD, showing, written
from tests.engine.workbench import REGION, Workbench, own_provider, position, workbench

SENTINEL = "sentinel-that-nobody-may-see"
CLUSTER = "Cluster:cluster-eks-eksCluster"
pytestmark = pytest.mark.smoke
AWS_AUTH = "ConfigMap:cluster-eks-nodeAccess"
QUEUE = "Queue:interruption-queue"
WAITS_FOR_NOTHING = ("NatGateway:network-nat-a", "QueuePolicy:interruption-policy", "Role:karpenter-controller-role")


@dataclass
class Dev:
    """The stack, its first preview, and the steps that were under way when the control plane's creation began."""

    bench: Workbench
    preview: list[dict[str, Any]]
    beside: dict[str, bool]
    created: int


@pytest.fixture(scope="module")
def dev(folder: Path) -> Iterator[Dev]:
    with workbench(folder, "dev", stand_in=True) as bench:
        bench.run("config", "set", "--secret", "gitToken", SENTINEL)
        preview = bench.steps()
        begun, beside = threading.Event(), {}

        def hold(what: str) -> None:
            beside[what] = begun.wait(30)

        bench.watched.before["create", CLUSTER] = begun.set
        for what in WAITS_FOR_NOTHING:
            bench.watched.before["create", what] = lambda what=what: hold(what)
        bench.up()
        bench.watched.before.clear()
        yield Dev(bench, preview, beside, bench.mark())


def test_preview_update_and_plan_declare_the_same_resources(dev: Dev) -> None:
    planned = {resource.urn for resource in record("dev", config_overrides={"gitToken": Secret(SENTINEL)})}
    assert {step["urn"] for step in dev.preview if not own_provider(step["urn"])} == planned
    assert {step["op"] for step in dev.preview} == {"create"}
    assert dev.bench.urns() == planned


def test_nat_queue_and_roles_do_not_hold_the_control_plane_up_nor_wait_for_it(dev: Dev) -> None:
    assert dev.beside == dict.fromkeys(WAITS_FOR_NOTHING, True)


def test_nodes_are_admitted_and_interruptions_delivered_before_karpenter_may_launch_one(dev: Dev) -> None:
    made = dev.bench.operations()
    node_class = position(made, "create", "EC2NodeClass:capacity-node-class")
    for what in (AWS_AUTH, "InstanceProfile:karpenter-node-profile", "Release:karpenter-controller"):
        assert position(made, "create", what) < node_class, what
    assert position(made, "create", QUEUE) < position(made, "create", "Release:karpenter-controller")
    assert position(made, "create", "NodePool:capacity-spot") > node_class
    assert position(made, "create", "Application:platform-root") == len(made) - 1


def test_a_second_preview_finds_nothing_to_do_and_its_loudest_log_shows_no_secret(dev: Dev) -> None:
    bench = dev.bench
    shown = ("--diff", "--show-sames", "--show-reads", "--logtostderr", LOUD)
    bench.run("preview", "--expect-no-changes", "--non-interactive", *shown)
    opened = bench.run("stack", "export", "--show-secrets")
    bench.outputs.remove(opened)
    assert showing(SENTINEL, {"opened": opened}), "the token is not in the stack: the rest would see nothing"
    bench.run("stack", "output", "--json")
    bench.run("config", "--json")
    assert showing(SENTINEL, written(bench)) == []


def test_drift_made_behind_its_back_is_found_and_repaired(dev: Dev) -> None:
    cloud = dev.bench.cloud
    before = shape(cloud, REGION)
    api = cloud.kubernetes("otel-dev")
    pool = api.get("karpenter.sh/v1", "NodePool", "data")
    assert pool is not None
    api.delete(pool)
    sqs = cloud.client("sqs", REGION)
    url = sqs.get_queue_url(QueueName="otel-dev-interruption")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "77"})
    assert cloud.tables.remove("pod-identities", "otel-dev/kube-system/karpenter")
    dev.bench.run("refresh", "--yes", "--skip-preview", "--non-interactive")
    found = dev.bench.changed()
    assert found == {
        "NodePool:capacity-data": "create",
        QUEUE: "update",
        "PodIdentityAssociation:karpenter-controller-association": "create",
    }
    dev.bench.up()
    dev.bench.expect_no_changes()
    assert (
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["MessageRetentionPeriod"] != "77"
    )
    assert shape(cloud, REGION) == before


def test_destroy_with_nodes_load_balancers_and_volumes_alive_goes_backwards_and_leaves_nothing(dev: Dev) -> None:
    site = cluster_site(dev.bench.cloud, "otel-dev")
    claims = launch_nodes(site, "spot", 2) + launch_nodes(site, "data", 1)
    assert all(claim["status"]["registered"] for claim in claims)
    expose(site, "platform", "frontend")
    claim_volume(site, "platform", "opensearch")
    assert {"instance", "volume", "network-interface"} <= {kind for kind, _ in dev.bench.left()}
    since = dev.bench.mark()
    dev.bench.destroy()
    assert dev.bench.left() == []
    gone = dev.bench.operations(since)
    order = (
        "Application:platform-root",
        "AppProject:platform-project",
        "NodePool:capacity-spot",
        "EC2NodeClass:capacity-node-class",
        "Release:karpenter-controller",
        "RolePolicyAttachment:karpenter-controller-node-lifecycle",
        "Policy:karpenter-controller-node-lifecycle",
    )
    places = [position(gone, "delete", what) for what in order]
    assert places == sorted(places)
    karpenter = position(gone, "delete", "Release:karpenter-controller")
    for later in (QUEUE, "QueuePolicy:interruption-policy", "InstanceProfile:karpenter-node-profile", AWS_AUTH):
        assert position(gone, "delete", later) > karpenter, later
    root = position(gone, "delete", "Application:platform-root")
    assert root < position(gone, "delete", "Addon:cluster-after-nodes-aws-ebs-csi-driver")
    assert {operation.result for operation in gone} == {"ok"}
