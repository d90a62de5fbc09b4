"""The doctor on a real platform: silent where it is healthy, and each fault named by its own line, and by no other."""

import json
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from otel_on_spot.doctor.checks import CHECKS
from tests.lab import faults_access, faults_cloud, faults_cluster, faults_drills, faults_nodes
from tests.lab.captures import keep
from tests.lab.faults import CLUSTER, NODE_ROLE, Fault, Seen, doctor, role_arn
from tests.lab.running import ROOT, STACK, Lab, condition, until

FAULTS = (
    *faults_access.FAULTS,
    *faults_cloud.FAULTS,
    *faults_cluster.FAULTS,
    *faults_drills.FAULTS,
    *faults_nodes.FAULTS,
)
ONLY_ELSEWHERE = {"cluster", "invisible-nodes", "orphan-claims"}
"""Lines without a fault in the table: they have tests of their own below."""
ONLY_AWS = {
    "add-ons",
    "interruption-arrivals",
    "interruption-key",
    "kubernetes-support",
    "launch-failures",
    "node-groups",
    "pool-budgets",
    "subnet-addresses",
    "vcpu-quotas",
}
"""Lines whose faults no controller of the lab makes or shows: in ``tests/simcloud`` and ``tests/unit/doctor``."""


def healthy(lab: Lab, folder: Path, tree: Path = ROOT) -> Seen:
    seen = doctor(lab, folder, tree=tree)
    assert seen.unknown == {}
    assert seen.lines == {}
    assert seen.report["exit_code"] == 0
    return seen


def test_a_healthy_lab_gives_no_line(lab: Lab, tmp_path: Path) -> None:
    keep("healthy", healthy(lab, tmp_path))


def named(lab: Lab, folder: Path, one: Fault) -> Seen:
    """What the doctor says as soon as the fault shows."""
    end = time.monotonic() + one.seconds
    seen = doctor(lab, folder).later(one.later)
    while one.line not in seen.lines and time.monotonic() < end:
        seen = doctor(lab, folder).later(one.later)
    return seen


@pytest.mark.parametrize("one", FAULTS, ids=lambda one: one.name)
def test_a_fault_is_named_by_its_own_line(lab: Lab, tmp_path: Path, one: Fault) -> None:
    with one.seed(lab):
        seen = named(lab, tmp_path, one)
    assert seen.unknown == {}
    assert one.said in seen.said(one.line), seen.lines
    assert set(seen.lines) - {one.line} <= one.also
    assert seen.report["exit_code"] == 1
    keep(one.name, seen, one.line)


def test_the_lab_is_healthy_again_after_all_faults(lab: Lab, tmp_path: Path) -> None:
    healthy(lab, tmp_path)


def test_a_stack_that_is_not_there_is_named_as_a_whole(lab: Lab, tmp_path: Path) -> None:
    seen = doctor(lab, tmp_path, "--stack", "dev", "--only", "cluster")
    assert seen.said("cluster") == "otel-dev: no EKS cluster otel-dev in eu-west-1"
    keep("no cluster", seen, "cluster")


def test_every_line_has_a_fault_in_the_lab_that_it_names() -> None:
    assert {fault.line for fault in FAULTS} | ONLY_ELSEWHERE | ONLY_AWS == {check.id for check in CHECKS}
    assert len(FAULTS) >= 20


def test_an_invisible_node_is_named_with_its_age_its_claim_and_the_likely_cause(lab: Lab, tmp_path: Path) -> None:
    before = set(lab.claims())
    with faults_access.FAULTS.one("the role is missing from aws auth").seed(lab):
        lab.wants_node("invisible")
        # Types that a drought before refused are not tried for three minutes.
        claim = until("a NodeClaim", lambda: next(iter(set(lab.claims()) - before), ""), 240)
        until("its instance", lambda: condition(lab.claims()[claim], "Launched") == "True")
        launched = time.monotonic()
        young = doctor(lab, tmp_path)
        assert set(young.lines) == {"node-role"}
        time.sleep(max(0.0, launched + 122 - time.monotonic()))
        seen = doctor(lab, tmp_path)
    assert set(seen.lines) == {"node-role", "invisible-nodes"}
    said = seen.said("invisible-nodes")
    assert f"no Node; NodeClaim {claim}: Registered=Unknown" in said
    assert "likely cause: the cluster does not admit its role (aws-auth: mapRoles does not list" in said
    assert f"kubectl delete nodeclaim {claim}" in seen.lines["invisible-nodes"][0]["remedy"]
    keep("an invisible node", seen, "invisible-nodes")
    until("the node joins", lambda: lab.runs("invisible"))
    healthy(lab, tmp_path)
    _loses_its_instance(lab, tmp_path, claim)
    lab.no_longer_wants_node("invisible")


def _loses_its_instance(lab: Lab, folder: Path, claim: str) -> None:
    """Somebody terminates the instance of a NodeClaim while Karpenter hangs."""
    instance = lab.claims()[claim]["status"]["providerID"].rpartition("/")[2]
    with faults_cloud.hung(lab, "karpenter"):
        lab.aws("ec2", "terminate_instances", InstanceIds=[instance])
        seen = doctor(lab, folder)
    assert "orphan-claims" not in seen.lines, "Karpenter has a few minutes to notice it"
    seen = seen.later(timedelta(minutes=6))
    assert f"{claim}: " in seen.said("orphan-claims")
    assert f"instance {instance} is not there" in seen.said("orphan-claims")
    keep("a claim without its instance", seen, "orphan-claims")


@pytest.fixture
def by_both(lab: Lab, tmp_path: Path) -> Iterator[Path]:
    """The program with another stack file, applied: the node role has an access entry too."""
    tree = tmp_path / "tree"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs")
    shutil.copytree(ROOT, tree, ignore=ignored)
    file = tree / f"Pulumi.{STACK}.yaml"
    told = yaml.safe_load(file.read_text())
    cluster = told["config"]["otel-on-spot:cluster"]
    cluster["nodeAccess"] = "both"
    file.write_text(yaml.safe_dump(told))
    lab.apply(cluster=cluster)
    yield tree
    lab.apply()


def test_an_access_entry_that_is_gone_of_another_type_or_of_an_earlier_role_is_named(
    lab: Lab, by_both: Path, tmp_path: Path
) -> None:
    healthy(lab, tmp_path, by_both)
    key = f"{CLUSTER}/{role_arn(NODE_ROLE)}"
    row = lab.tables().get("access-entries", key)
    assert row is not None
    lab.tables().remove("access-entries", key)
    gone = doctor(lab, tmp_path, tree=by_both)
    lab.tables().put("access-entries", key, {**row, "type": "STANDARD"})
    other = doctor(lab, tmp_path, tree=by_both)
    lab.tables().put("access-entries", key, row)
    _recreate(lab, NODE_ROLE)
    stale = doctor(lab, tmp_path, tree=by_both)
    assert {tuple(entry.lines) for entry in (gone, other, stale)} == {("node-role",)}
    assert "the cluster has no access entry for it; nodes still join by aws-auth" in gone.said("node-role")
    assert "type STANDARD, which lets no node in" in other.said("node-role")
    assert "belongs to an earlier role of that name" in stale.said("node-role")
    assert stale.lines["node-role"][0]["remedy"][0] == (
        f"aws eks delete-access-entry --cluster-name {CLUSTER} --principal-arn {role_arn(NODE_ROLE)} --region eu-west-1"
    )
    keep("an access entry of an earlier role", stale, "node-role")
    lab.tables().remove("access-entries", key)


def _recreate(lab: Lab, name: str) -> None:
    """Delete a role and make it again by hand, as a person in a hurry does: it has another unique id."""
    role = lab.aws("iam", "get_role", RoleName=name)["Role"]
    attached = lab.aws("iam", "list_attached_role_policies", RoleName=name)["AttachedPolicies"]
    membership = {"InstanceProfileName": name, "RoleName": name}
    lab.aws("iam", "remove_role_from_instance_profile", **membership)
    for policy in attached:
        lab.aws("iam", "detach_role_policy", RoleName=name, PolicyArn=policy["PolicyArn"])
    lab.aws("iam", "delete_role", RoleName=name)
    lab.aws("iam", "create_role", RoleName=name, AssumeRolePolicyDocument=json.dumps(role["AssumeRolePolicyDocument"]))
    for policy in attached:
        lab.aws("iam", "attach_role_policy", RoleName=name, PolicyArn=policy["PolicyArn"])
    lab.aws("iam", "add_role_to_instance_profile", **membership)
