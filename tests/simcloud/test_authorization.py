"""Who deploys is a role: each call of the provider is decided by its policies, and what was asked is known."""

import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from otel_on_spot.cli.main import app
from otel_on_spot.iam import actions, messages
from otel_on_spot.iam.decisions import Request, Resource
from otel_on_spot.simcloud import session
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.authorization import RoleError, judged
from otel_on_spot.simcloud.aws import registry
from otel_on_spot.simcloud.aws.provider_calls import OPERATIONS
from otel_on_spot.simcloud.cloud import Cloud
from tests.simcloud.conftest import REGION, Maker, trust

QUEUE = "aws:sqs/queue:Queue"
TRUST = trust("ec2.amazonaws.com")
ANY = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def role(cloud: Cloud) -> Iterator[str]:
    iam = cloud.client("iam", REGION)
    iam.create_role(RoleName="deployer", Path="/ci/", AssumeRolePolicyDocument=TRUST)
    yield "deployer"
    for name in iam.list_role_policies(RoleName="deployer")["PolicyNames"]:
        iam.delete_role_policy(RoleName="deployer", PolicyName=name)
    iam.delete_role(RoleName="deployer")


def allow(cloud: Cloud, *statements: dict[str, Any]) -> None:
    cloud.client("iam", REGION).put_role_policy(
        RoleName="deployer", PolicyName="it", PolicyDocument=policy(*statements)
    )


def test_every_type_that_the_cloud_knows_has_its_calls() -> None:
    assert OPERATIONS.keys() == registry.HANDLERS.keys()


def test_a_call_that_no_policy_allows_is_refused_in_the_services_own_words(cloud: Cloud, aws: Maker, role: str) -> None:
    allow(cloud, ANY | {"Action": ["ec2:CreateVpc", "ec2:Describe*"]})
    with judged(cloud, role) as calls, pytest.raises(ApiError) as refused:
        aws.make("aws:ec2/vpc:Vpc", "mine", cidrBlock="10.9.0.0/16")
    assert refused.value.code == "UnauthorizedOperation"
    assert "assumed-role/deployer/simulated is not authorized to perform: ec2:CreateTags on resource" in str(
        refused.value
    )
    assert [call.request.action for call in calls.calls] == ["ec2:CreateVpc", "ec2:CreateTags"]
    asked = messages.decoded(str(refused.value).partition(messages.ENCODED)[2])["context"]
    conditions = {item["key"]: item["values"]["items"][0]["value"] for item in asked["conditions"]["items"]}
    assert conditions["ec2:CreateAction"] == "CreateVpc"
    assert conditions["aws:RequestTag/stack"] == "test"
    assert (conditions["aws:RequestedRegion"], asked["resource"]) == (
        REGION,
        f"arn:aws:ec2:{REGION}:123456789012:vpc/*",
    )
    assert not cloud.client("ec2", REGION).describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.9.0.0/16"]}])["Vpcs"]


def test_tags_and_resources_decide_over_a_resources_whole_life(cloud: Cloud, aws: Maker, role: str) -> None:
    mine = {"StringEquals": {"aws:RequestTag/stack": "test"}}
    held = {"StringEquals": {"aws:ResourceTag/stack": "test"}}
    name = f"arn:aws:sqs:{REGION}:123456789012:of-mine"
    allow(
        cloud,
        {"Effect": "Allow", "Action": ["sqs:CreateQueue", "sqs:TagQueue"], "Resource": name, "Condition": mine},
        {"Effect": "Allow", "Action": ["sqs:Get*", "sqs:List*", "sqs:Delete*"], "Resource": name, "Condition": held},
    )
    other = cloud.client("sqs", REGION)
    with judged(cloud, role) as calls:
        queue = aws.make(QUEUE, "q", name="of-mine")
        assert queue.read() is not None
        queue.delete()
        with pytest.raises(ApiError, match="sqs:CreateQueue on resource: arn:aws:sqs:eu-west-1:123456789012:another"):
            aws.make(QUEUE, "q2", name="another")
        queue.outputs["tagsAll"] = {"stack": "another"}
        with pytest.raises(ApiError, match="AccessDeniedException"):
            queue.delete()
    assert len(calls.denied) == 2
    assert "2 refused. Refused: sqs:CreateQueue on" in calls.summary()
    assert {line.rpartition("/")[2] for line in other.list_queues().get("QueueUrls", [])}.isdisjoint({"another"})


def test_iam_is_asked_in_its_one_region_and_passing_a_role_is_a_call_of_its_own(
    cloud: Cloud, aws: Maker, role: str
) -> None:
    elsewhere = {"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}}
    to_ec2 = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    allow(
        cloud,
        {"Effect": "Allow", "NotAction": "iam:PassRole", "Resource": "*"},
        {"Effect": "Deny", "Action": "iam:*", "Resource": "*", "Condition": elsewhere},
    )
    with judged(cloud, role):
        made = aws.make("aws:iam/role:Role", "r", name="passed", assumeRolePolicy=TRUST)
        with pytest.raises(ApiError, match=r"AccessDenied: .* is not authorized to perform: iam:PassRole on resource"):
            aws.make("aws:iam/instanceProfile:InstanceProfile", "p", name="passing", role="passed")
    allow(cloud, {"Effect": "Allow", "NotAction": "iam:PassRole", "Resource": "*"})
    passing = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": made.outputs["arn"], "Condition": to_ec2}
    cloud.client("iam", REGION).put_role_policy(RoleName="deployer", PolicyName="pass", PolicyDocument=policy(passing))
    with judged(cloud, role) as calls:
        profile = aws.make("aws:iam/instanceProfile:InstanceProfile", "p", name="passing", role="passed")
        profile.delete()
        made.delete()
    assert not calls.denied


def test_a_boundary_holds_whatever_the_role_allows(cloud: Cloud, aws: Maker, role: str) -> None:
    iam = cloud.client("iam", REGION)
    only_reads = policy({"Effect": "Allow", "Action": ["sqs:Get*", "sqs:List*"], "Resource": "*"})
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=only_reads)["Policy"]["Arn"]
    allow(cloud, ANY)
    iam.put_role_permissions_boundary(RoleName="deployer", PermissionsBoundary=boundary)
    try:
        with (
            judged(cloud, role),
            pytest.raises(ApiError, match="because no permissions boundary allows the sqs:Create"),
        ):
            aws.make(QUEUE, "q", name="bounded")
    finally:
        iam.delete_role_permissions_boundary(RoleName="deployer")
        iam.delete_policy(PolicyArn=boundary)


def test_the_command_runs_as_a_role_and_says_what_it_asked(
    cloud: Cloud, role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "Session", partial(session.Session, cloud=cloud))

    def run(name: str) -> Result:
        command = ["with-simulated-cloud", "--dir", str(tmp_path), "--eks-plugin", "--as", name, "--"]
        return CliRunner().invoke(app, [*command, sys.executable, "-c", "raise SystemExit(3)"])

    assert "no such role" in run("nobody").output
    done = run(role)
    assert (done.exit_code, done.output.split(".")[0]) == (
        3,
        "0 calls as arn:aws:sts::123456789012:assumed-role/deployer/simulated, 0 refused",
    )


def test_a_role_that_is_not_there_calls_nothing_and_the_caller_before_is_back(cloud: Cloud, role: str) -> None:
    for name in ("nobody", "arn:aws:iam::123456789012:role/deployer"):
        with pytest.raises(RoleError, match="role"), judged(cloud, name):
            pass
    with judged(cloud, role) as outer:
        with judged(cloud) as inner:
            assert cloud.authorization is inner
        assert cloud.authorization is outer
        assert outer.arn.endswith(":assumed-role/deployer/simulated")
    assert cloud.authorization is None


def test_what_was_asked_is_written_down(cloud: Cloud, aws: Maker, tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    with judged(cloud, log=log) as calls:
        aws.make("aws:ec2/eip:Eip", "e").delete()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["action"] for line in lines] == [call.request.action for call in calls.calls]
    assert {"ec2:AllocateAddress", "ec2:CreateTags", "ec2:ReleaseAddress"} <= calls.actions
    assert lines[0]["decision"] == {"outcome": "allowed"}
    assert lines[0]["resources"][0]["keys"]["aws:RequestTag/stack"] == "test"


def test_a_call_without_an_entry_is_refused_by_name(cloud: Cloud) -> None:
    with judged(cloud) as calls:
        with pytest.raises(ApiError, match=r"ec2:MakeCoffee: no entry .* nobody may call it"):
            calls.decide(Request(action="ec2:MakeCoffee"), "test", REGION)
        with pytest.raises(ApiError, match="NotJudged: aws:glue/job:Job: nobody has said"):
            calls.operation("create", "aws:glue/job:Job", "b", None, "", {}, {})  # ty: ignore[invalid-argument-type]
        with pytest.raises(ApiError, match="aws:s3/getBucket:getBucket: nobody has said"):
            calls.function("aws:s3/getBucket:getBucket", None, {})  # ty: ignore[invalid-argument-type]
    assert not calls.calls
    vpc, role = Resource(arn="*", kind="vpc"), Resource(arn="*", kind="role")
    for request, why in (
        (Request(action="ec2:CreateVpc"), "the call must name a vpc"),
        (Request(action="ec2:CreateVpc", resources=(vpc, role)), "names no role"),
        (Request(action="ec2:CreateVpc", resources=(vpc,), keys={"iam:PassedToService": "x"}), "carries no condition"),
    ):
        with pytest.raises(actions.UnlistedCallError, match=f"ec2:CreateVpc: {why}"):
            actions.check(request)
