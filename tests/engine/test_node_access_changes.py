"""``cluster.nodeAccess`` from one end to the other and back, in the order of this file: nobody loses access."""

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from otel_on_spot.simcloud.aws.eks_access import admitted_by
from otel_on_spot.simcloud.live import cluster_site
from otel_on_spot.simcloud.operations import Operation
from tests.engine.workbench import Workbench, position, workbench

AWS_AUTH = "ConfigMap:cluster-eks-nodeAccess"
ENTRY = "AccessEntry:cluster-eks-karpenter-nodes"
RECORD = "Tag:cluster-node-access"
GUARD = "refuse_direct_jump(NODE_ACCESS"
BOTH = {"aws-auth", "access-entry"}
WAY = (("both", BOTH), ("access-entry", {"access-entry"}), ("both", BOTH), ("aws-auth", {"aws-auth"}))


@pytest.fixture(scope="module")
def bench(folder: Path) -> Iterator[Workbench]:
    with workbench(folder, "dev", stand_in=True) as bench:
        bench.up()
        yield bench


def admitted(bench: Workbench) -> set[str]:
    role = f"arn:aws:iam::{bench.cloud.account}:role/otel-dev-karpenter-node"
    return admitted_by(cluster_site(bench.cloud, "otel-dev"), "otel-dev", role)


@contextmanager
def watched(bench: Workbench, last: str) -> Generator[list[str]]:
    """The operations after which the node role was not admitted. ``last`` is held back: the other one is first."""
    lost: list[str] = []
    first_done = threading.Event()

    def look(done: Operation) -> None:
        if not admitted(bench):
            lost.append(f"{done.operation} of {done.name}")

    first = ENTRY if last == AWS_AUTH else AWS_AUTH
    for operation in ("create", "update", "delete"):
        bench.watched.before[operation, last] = lambda: first_done.wait(1)
        bench.watched.after[operation, first] = first_done.set
    bench.watched.listeners.append(look)
    try:
        yield lost
    finally:
        bench.watched.listeners.clear()
        bench.watched.before.clear()
        bench.watched.after.clear()


@pytest.mark.parametrize("last", [AWS_AUTH, ENTRY])
def test_through_both_and_back_the_node_role_is_admitted_at_every_step(bench: Workbench, last: str) -> None:
    assert admitted(bench) == {"aws-auth"}
    for access, ways in WAY:
        since = bench.mark()
        with watched(bench, last) as lost:
            code, told = bench.attempt_with({"cluster.nodeAccess": access}, "up")
        assert code == 0, told[-2000:]
        assert lost == [], f"on the way to {access}"
        assert admitted(bench) == ways
        done = bench.operations(since)
        assert not [
            operation
            for operation in done
            if operation.operation == "delete" and operation.token != "aws:eks/accessEntry:AccessEntry"
        ]
        written = [operation for operation in done if operation.operation != "delete"]
        assert position(written, "update", RECORD) == len(written) - 1, "the record is written before what it records"
    bench.expect_no_changes()


def refused(told: str, given: str, former: str) -> bool:
    return (
        f"given: {given}, and the cluster otel-dev is at {former}" in told
        and "rule:  the ConfigMap and the access entries have no order" in told
        and f"do:    set cluster.nodeAccess: both, run pulumi up, then set {given}" in told
    )


@pytest.mark.parametrize("command", ["preview", "up"])
def test_the_jump_from_aws_auth_to_access_entries_is_refused_before_anything_changes(
    bench: Workbench, command: str
) -> None:
    assert admitted(bench) == {"aws-auth"}
    since = bench.mark()
    code, told = bench.attempt_with({"cluster.nodeAccess": "access-entry"}, command)
    assert code != 0
    assert refused(told, "access-entry", "aws-auth"), told[-2000:]
    assert bench.operations(since) == []


def test_an_update_to_both_that_failed_halfway_does_not_open_the_way(bench: Workbench) -> None:
    def fail() -> None:
        raise RuntimeError("the API does not answer")

    bench.watched.before["create", ENTRY] = fail
    code, _ = bench.attempt_with({"cluster.nodeAccess": "both"}, "up")
    bench.watched.before.clear()
    assert code != 0
    code, told = bench.attempt_with({"cluster.nodeAccess": "access-entry"}, "up")
    assert code != 0
    assert refused(told, "access-entry", "aws-auth"), told[-2000:]
    assert admitted(bench) == {"aws-auth"}


def test_without_the_guard_the_jump_leaves_running_nodes_without_access(bench: Workbench) -> None:
    program = bench.program / "__main__.py"
    whole = program.read_text()
    lines = [line for line in whole.splitlines() if not line.startswith(GUARD)]
    assert len(lines) == len(whole.splitlines()) - 1
    program.write_text("\n".join(lines))
    try:
        with watched(bench, ENTRY) as lost:
            code, told = bench.attempt_with({"cluster.nodeAccess": "access-entry"}, "up")
    finally:
        program.write_text(whole)
    assert code == 0, told[-2000:]
    assert lost == ["update of cluster-eks-nodeAccess"]
    assert admitted(bench) == {"access-entry"}


@pytest.mark.parametrize("command", ["preview", "up"])
def test_the_jump_back_is_refused_before_anything_changes(bench: Workbench, command: str) -> None:
    since = bench.mark()
    code, told = bench.attempt_with({"cluster.nodeAccess": "aws-auth"}, command)
    assert code != 0
    assert refused(told, "aws-auth", "access-entry"), told[-2000:]
    assert bench.operations(since) == []
