"""Lesson 1: a node whose role is not admitted launches, is refused, and never appears; an update puts it right."""

import time
from collections.abc import Iterator

import pytest
import yaml

from tests.lab.running import Lab, condition, stays, until

NODE_ROLE = "arn:aws:iam::123456789012:role/otel-lab-karpenter-node"


def without_role(mapped: str) -> str:
    return yaml.safe_dump([mapping for mapping in yaml.safe_load(mapped) if mapping["rolearn"] != NODE_ROLE])


def refuses_until_applied(lab: Lab, name: str, overrides: dict[str, object]) -> None:
    """A node is launched and refused; after an update it joins."""
    since, before = time.time(), set(lab.claims())
    lab.wants_node(name)
    claim = until("a NodeClaim for the pod", lambda: next(iter(set(lab.claims()) - before), ""))
    until("its instance", lambda: condition(lab.claims()[claim], "Launched") == "True")
    refused = until("the authenticator's refusal", lambda: lab.refused(since))
    assert {(row["role"], row["status"]) for row in refused} == {(NODE_ROLE, 401)}
    instance = lab.claims()[claim]["status"]["providerID"].rpartition("/")[2]
    running = lab.aws("ec2", "describe_instances", InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert running["State"]["Name"] == "running"

    def invisible() -> bool:
        nodes = {node["spec"].get("providerID", "").rpartition("/")[2] for node in lab.get("nodes")}
        return instance not in nodes and condition(lab.claims()[claim], "Registered") != "True" and not lab.runs(name)

    stays("no node, NodeClaim unregistered, pod Pending", invisible, 10)
    lab.apply(**overrides)
    until("its pod runs", lambda: lab.runs(name))
    assert condition(lab.claims()[claim], "Registered") == "True", "another instance was launched instead"


@pytest.fixture
def workload(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"wants-node-{abs(hash(request.node.name)) % 10000}"
    yield name
    lab.no_longer_wants_node(name)


def test_a_role_that_aws_auth_lost_is_refused_and_an_update_brings_its_nodes_in(lab: Lab, workload: str) -> None:
    mapped = lab.get("configmap", "aws-auth", "kube-system")["data"]["mapRoles"]
    assert NODE_ROLE in mapped
    lab.patch("configmap", "aws-auth", {"data": {"mapRoles": without_role(mapped)}}, "kube-system")
    refuses_until_applied(lab, workload, {})
    assert lab.get("configmap", "aws-auth", "kube-system")["data"]["mapRoles"] == mapped


def test_a_role_whose_access_entry_is_gone_is_refused_and_an_update_brings_its_nodes_in(
    lab: Lab, workload: str
) -> None:
    cluster = lab.config("cluster")
    both, entries = {**cluster, "nodeAccess": "both"}, {**cluster, "nodeAccess": "access-entry"}
    lab.apply(cluster=both)
    lab.apply(cluster=entries)
    aws_auth = lab.get("configmap", "aws-auth", "kube-system")
    assert NODE_ROLE not in str(aws_auth), "the role is mapped still: the entry alone would not be tested"
    assert lab.tables().remove("access-entries", f"{cluster['name']}/{NODE_ROLE}") is not None
    try:
        refuses_until_applied(lab, workload, {"cluster": entries})
    finally:
        lab.apply(cluster=both)
        lab.apply()
    assert NODE_ROLE in lab.get("configmap", "aws-auth", "kube-system")["data"]["mapRoles"]
