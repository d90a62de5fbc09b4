"""The role that EKS assumes: a new cluster's has the program's name, a living one keeps what it was made with."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.workbench import Workbench, workbench

MADE = re.compile(r"\n        service_role, service_policy = _service_role\(.*?\n(?=\n)", re.DOTALL)
GIVEN = ("            service_role=service_role,\n", ", service_policy]")
CLUSTER = "Cluster:cluster-eks-eksCluster"


@pytest.fixture(scope="module")
def former(folder: Path) -> Iterator[Workbench]:
    """A living stack of the program as it was until November 2026, when pulumi-eks made the role; today's beside it."""
    with workbench(folder, "dev", stand_in=True) as bench:
        module = bench.program / "infra" / "cluster.py"
        whole = module.read_text()
        found = MADE.search(whole)
        assert found is not None
        text = whole.replace(found.group(), "").replace(GIVEN[0], "").replace(GIVEN[1], "]")
        module.write_text(text)
        assert "service_policy" not in text.partition("def _service_role")[0]
        bench.up()
        module.write_text(whole)
        bench.cool()
        yield bench


def role_of_the_cluster(bench: Workbench) -> str:
    iam, eks = bench.cloud.client("iam", "eu-west-1"), bench.cloud.client("eks", "eu-west-1")
    name = eks.describe_cluster(name="otel-dev")["cluster"]["roleArn"].rpartition("/")[2]
    assert [policy["PolicyName"] for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]] == [
        "AmazonEKSClusterPolicy"
    ]
    return name


def resources(bench: Workbench, kind: str) -> list[dict[str, Any]]:
    return [resource for resource in bench.state()["resources"] if resource["type"] == kind]


def test_a_living_cluster_keeps_its_role_and_nothing_is_replaced(former: Workbench) -> None:
    kept = role_of_the_cluster(former)
    assert kept.startswith("cluster-eks-eksRole-role-")

    holds_nothing_now = "ServiceRole:cluster-eks-eksRole"
    assert former.changed() == {holds_nothing_now: "delete", "Role:cluster-service-role": "update"}
    since = former.mark()
    former.up()
    done = [(operation.operation, operation.name) for operation in former.operations(since)]
    assert done == [("update", "cluster-service-role")], "it gets the tag that says whose it is"
    former.expect_no_changes()

    assert role_of_the_cluster(former) == kept
    (role,) = [found for found in resources(former, "aws:iam/role:Role") if found["id"] == kept]
    assert role["urn"].endswith("::otel-on-spot:index:Cluster$aws:iam/role:Role::cluster-service-role")
    assert resources(former, "eks:index:ServiceRole") == []


def test_a_living_cluster_that_kept_its_role_is_destroyed_whole(former: Workbench) -> None:
    former.up()
    since = former.mark()
    former.destroy()

    assert former.left() == []
    gone = [f"{done.token.rpartition(':')[2]}:{done.name}" for done in former.operations(since)]
    assert gone.index(CLUSTER) < gone.index("RolePolicyAttachment:cluster-service-role")
    assert gone.index("RolePolicyAttachment:cluster-service-role") < gone.index("Role:cluster-service-role")
