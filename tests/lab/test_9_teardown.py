"""The end: a crash of the API server loses nothing; a teardown with live nodes leaves nothing; the lab leaves no process."""

import psutil

from otel_on_spot.simcloud.inventory import TABLES
from tests.lab.running import Lab, until


def test_an_api_server_that_is_killed_comes_back_with_everything(lab: Lab) -> None:
    before = {one["metadata"]["uid"] for one in lab.get("deployments", namespace="otel-demo")}
    lab.ask("kill", name="kube-apiserver")
    until("the API server answers", lambda: lab.kubectl("get", "--raw=/readyz", check=False) == "ok", 60)
    assert {one["metadata"]["uid"] for one in lab.get("deployments", namespace="otel-demo")} == before


def test_a_teardown_with_live_nodes_leaves_nothing_in_the_cloud(lab: Lab) -> None:
    assert [one for one in lab.get("nodes") if "karpenter.sh/nodepool" in one["metadata"]["labels"]]
    left = lab.ask("destroy")
    assert [one for one in left if one[0] not in TABLES] == []
    states = lab.aws("ec2", "describe_instances")["Reservations"]
    assert {one["State"]["Name"] for row in states for one in row["Instances"]} <= {"terminated"}
    assert lab.aws("sqs", "list_queues").get("QueueUrls", []) == []
    assert [one for one in lab.aws("iam", "list_roles")["Roles"] if one["RoleName"].startswith("otel-lab")] == []


def test_down_leaves_no_process_of_the_lab(lab: Lab) -> None:
    first = psutil.Process(lab.folder.read_state()["pid"])
    family = [first, *first.children(recursive=True)]
    assert len(family) > 10
    lab.down()
    _gone, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert lab.down().startswith("no lab")
