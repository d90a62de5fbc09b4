"""``recover`` without an engine: what becomes of pending operations, of a lock, and of a state that was cut off."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from otel_on_spot.cli import app
from otel_on_spot.plan.record import record
from otel_on_spot.program.resource_types import AWS, ProviderScope, identity
from otel_on_spot.recovery.checkpoint import Checkpoint
from otel_on_spot.recovery.deployment import Identity, decided, pending
from otel_on_spot.recovery.engine import RecoveryError
from otel_on_spot.recovery.finding import Searcher
from otel_on_spot.recovery.lookups import FINDERS
from otel_on_spot.recovery.settling import settle
from tests.unit.settings.test_settings import committed

SCOPE = ProviderScope(account="111122223333", region="eu-west-1")
ENGINE = "urn:pulumi:dev::otel-on-spot::"
VPC = f"{ENGINE}aws:ec2/vpc:Vpc::network-vpc"


def state(*operations: tuple[str, str], resources: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    made = [
        {
            "type": word,
            "resource": {
                "urn": urn,
                "type": urn.split("::")[2],
                "custom": True,
                "inputs": {"cidrBlock": "10.0.0.0/16"},
            },
        }
        for word, urn in operations
    ]
    return {"deployment": {"resources": list(resources), "pending_operations": made}}


def test_a_pending_create_that_is_there_becomes_a_resource_and_one_that_is_not_leaves() -> None:
    other = f"{ENGINE}aws:sqs/queue:Queue::q"
    before = state(("creating", VPC), ("creating", other), ("updating", VPC.replace("vpc", "other")))
    kept = json.dumps(before)
    after = decided(before, {VPC: Identity("vpc-1", {"arn": "a"})}, set())["deployment"]

    assert after["pending_operations"] == []
    assert [(resource["urn"], resource["id"], resource["outputs"]) for resource in after["resources"]] == [
        (VPC, "vpc-1", {"cidrBlock": "10.0.0.0/16", "arn": "a"})
    ]
    assert json.dumps(before) == kept


def test_what_nobody_could_find_out_stays_pending() -> None:
    after = decided(state(("creating", VPC)), {}, {VPC})["deployment"]
    assert [entry["resource"]["urn"] for entry in after["pending_operations"]] == [VPC]


def test_the_older_one_of_a_cut_off_replacement_is_deleted_by_the_next_update() -> None:
    old = {"urn": VPC, "type": "aws:ec2/vpc:Vpc", "id": "vpc-0"}
    after = decided(state(("creating", VPC), resources=(old,)), {VPC: Identity("vpc-1")}, set())["deployment"]
    assert [(resource["id"], bool(resource.get("delete"))) for resource in after["resources"]] == [
        ("vpc-0", True),
        ("vpc-1", False),
    ]


def test_each_urn_is_decided_once_and_its_create_counts() -> None:
    found = pending(state(("reading", VPC), ("creating", VPC)))
    assert [(operation.operation, operation.name) for operation in found] == [("creating", "network-vpc")]


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
@pytest.mark.parametrize(
    "karpenter", [{}, {"identity": "irsa", "spotServiceLinkedRole": True}], ids=["as-it-is", "more"]
)
def test_a_way_to_every_type_that_the_program_declares_is_written_down(stack: str, karpenter: dict[str, Any]) -> None:
    # The eks endpoint would hide the issuer that IRSA needs.
    endpoints = [name for name in committed(stack)["network"].get("interfaceEndpoints", []) if name != "eks"]
    overrides = {
        "karpenter": {"version": "1.14.3", **karpenter},
        "network": committed(stack)["network"] | {"interfaceEndpoints": endpoints},
    }
    tokens = {
        registration.urn.split("::")[2].rpartition("$")[2] for registration in record(stack, config_overrides=overrides)
    }
    ours = {token for token in tokens if token.startswith("aws:")}
    assert ours, "the recording has no AWS resource"
    assert sorted(ours - {token for token, facts in AWS.items() if facts.id} - FINDERS.keys()) == []


@pytest.mark.parametrize(
    ("token", "inputs", "expected"),
    [
        (
            "aws:ec2/route:Route",
            {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0"},
            "r-rtb-11080289494",
        ),
        ("aws:iam/policy:Policy", {"name": "p"}, "arn:aws:iam::111122223333:policy/p"),
        ("aws:sqs/queue:Queue", {"name": "q"}, "https://sqs.eu-west-1.amazonaws.com/111122223333/q"),
        ("aws:eks/addon:Addon", {"clusterName": "c", "addonName": "coredns"}, "c:coredns"),
        ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {"role": "r", "policyArn": "arn"}, "r/arn"),
    ],
)
def test_an_id_that_follows_from_the_inputs(token: str, inputs: dict[str, str], expected: str) -> None:
    assert identity(token, inputs, SCOPE) == expected


class Aws:
    """boto3 clients that answer every look with the same rows."""

    def __init__(self, **rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def __call__(self, _: str) -> "Aws":
        return self

    def can_paginate(self, _: str) -> bool:
        return True

    def get_paginator(self, _: str) -> "Aws":
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [self.rows]


OPEN = [{"IpProtocol": "-1"}]
TAGGED = [{"Key": "Name", "Value": "closed"}, {"Key": "stack", "Value": "dev"}]


@pytest.mark.parametrize(
    ("group", "inputs", "found"),
    [
        ({"IpPermissions": [], "IpPermissionsEgress": [], "Tags": TAGGED}, {}, ["sg-1"]),
        ({"IpPermissions": OPEN, "IpPermissionsEgress": OPEN, "Tags": []}, {}, []),
        ({"IpPermissions": [], "IpPermissionsEgress": OPEN, "Tags": TAGGED}, {}, []),
        ({"IpPermissions": [], "IpPermissionsEgress": [], "Tags": TAGGED[:1]}, {}, []),
        ({"IpPermissions": [], "IpPermissionsEgress": [], "Tags": TAGGED}, {"ingress": [{"protocol": "tcp"}]}, []),
    ],
    ids=["closed", "untouched", "half-closed", "half-tagged", "asked-for-rules"],
)
def test_a_default_group_counts_as_made_when_it_is_closed(
    group: dict[str, Any], inputs: dict[str, Any], found: list[str]
) -> None:
    clients = Aws(SecurityGroups=[{"GroupId": "sg-1", **group}])
    finder = FINDERS["aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"]
    asked = {"vpcId": "vpc-1", "ingress": [], "egress": [], **inputs}
    assert [identity.id for identity in finder(clients, asked, {"Name": "closed", "stack": "dev"})] == found


def test_a_services_role_that_the_program_did_not_make_is_left_alone() -> None:
    ours, aws_own = "EC2 launches Spot instances with this role", "Default EC2 Spot Service Linked Role"
    clients = Aws(Roles=[{"Arn": "arn:ours", "Description": ours}, {"Arn": "arn:other", "Description": aws_own}])
    finder = FINDERS["aws:iam/serviceLinkedRole:ServiceLinkedRole"]
    asked = {"awsServiceName": "spot.amazonaws.com", "description": ours}
    assert [identity.id for identity in finder(clients, asked, {})] == ["arn:ours"]


def test_ids_of_kubernetes_objects_and_releases() -> None:
    assert identity("kubernetes:core/v1:ConfigMap", {"metadata": {"namespace": "a", "name": "b"}}) == "a/b"
    assert identity("kubernetes:core/v1:Namespace", {"metadata": {"name": "b"}}) == "b"
    assert identity("kubernetes:helm.sh/v3:Release", {"namespace": "a", "name": "b"}) == "a/b"


def test_a_type_that_nobody_wrote_down_is_a_question_for_a_person() -> None:
    before = state(("creating", f"{ENGINE}aws:glue/job:Job::b"))
    answer = Searcher(before, print).find(pending(before)[0])
    assert answer.identity is None
    assert "pulumi import aws:glue/job:Job b ID" in answer.problem


def test_a_component_that_was_being_declared_is_looked_for_nowhere() -> None:
    before = state(("creating", f"{ENGINE}otel-on-spot:index:Capacity::capacity"))
    before["deployment"]["pending_operations"][0]["resource"]["custom"] = False
    answer = Searcher(before, print).find(pending(before)[0])
    assert (answer.identity, answer.problem) == (None, "")


def test_what_aws_is_still_making_is_waited_for_and_a_failure_is_told() -> None:
    told: list[str] = []
    states = iter(["pending", "pending", "available", "failed"])

    class Ec2:
        def describe_nat_gateways(self, NatGatewayIds: list[str]) -> dict[str, Any]:  # noqa: N803
            return {"NatGateways": [{"NatGatewayId": NatGatewayIds[0], "State": next(states)}]}

    def look() -> str:
        return settle(lambda _: Ec2(), "aws:ec2/natGateway:NatGateway", {}, "nat-1", told.append, every=0)

    assert look() == ""
    assert told == ["waiting for nat-1, which is PENDING"]
    assert "delete it, then recover again" in look()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    (tmp_path / "Pulumi.yaml").write_text("name: otel-on-spot\n")
    found = Checkpoint.of(f"file://{tmp_path}", tmp_path, "organization/otel-on-spot/dev")
    assert found
    found.file.parent.mkdir(parents=True)
    return found


def test_a_backend_elsewhere_has_no_checkpoint_on_this_disk(tmp_path: Path) -> None:
    assert Checkpoint.of("s3://bucket", tmp_path, "dev") is None


def test_outside_a_program_it_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(RecoveryError, match=r"no Pulumi\.yaml here"):
        Checkpoint.of("file:///nowhere", tmp_path, "dev")


def test_a_state_that_was_cut_off_is_put_back_and_what_was_there_is_kept(checkpoint: Checkpoint) -> None:
    checkpoint.backup.write_text('{"checkpoint": {"stack": "dev"}}')
    checkpoint.file.write_text('{"checkpoint": {"st')
    assert checkpoint.broken()
    kept = checkpoint.repair()
    assert kept
    assert (kept.read_text(), checkpoint.file.read_text()) == ('{"checkpoint": {"st', checkpoint.backup.read_text())
    assert not checkpoint.broken()


def test_an_empty_description_beside_a_state_goes_and_a_whole_one_stays(checkpoint: Checkpoint) -> None:
    mine, other = (file.with_name(f"{file.name}.attrs") for file in (checkpoint.file, checkpoint.backup))
    mine.write_text("")
    other.write_text('{"md5": "x"}')
    assert checkpoint.drop_cut_attributes() == [mine]
    assert (mine.exists(), other.exists()) == (False, True)


def test_a_whole_state_is_left_alone(checkpoint: Checkpoint) -> None:
    checkpoint.backup.write_text('{"checkpoint": {"stack": "dev"}}')
    checkpoint.file.write_text('{"checkpoint": {"stack": "dev"}}')
    assert not checkpoint.broken()


def test_a_lock_counts_while_its_process_is_alive(checkpoint: Checkpoint) -> None:
    place = checkpoint.root / "locks/organization/otel-on-spot/dev"
    place.mkdir(parents=True)
    told = {"hostname": socket.gethostname(), "username": "me", "timestamp": "now", "pid": os.getpid()}
    (place / "one.json").write_text(json.dumps(told))
    assert f"process {os.getpid()} of me" in checkpoint.holder()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (place / "one.json").write_text(json.dumps({**told, "pid": ended.pid}))
    assert checkpoint.holder() == ""


def test_without_the_cli_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    ended = CliRunner().invoke(app, ["recover", "--stack", "dev"])
    assert ended.exit_code == 2
    assert "no pulumi on PATH" in ended.stderr
    assert "pulumi.com/docs/install" in ended.stderr
