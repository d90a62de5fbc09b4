"""A role may do what its policies allow, with the resources and conditions that they have; nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.documents import Scope
from infra.karpenter.controller_role import controller_policies
from otel_on_spot.iam import messages
from otel_on_spot.lab.aws.endpoint import Endpoint
from tests.unit.lab.aws.conftest import REGION, role, session_of

OURS = {"kubernetes.io/cluster/c": "owned", "eks:eks-cluster-name": "c", "karpenter.sh/nodepool": "spot"}


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def specifications(*kinds: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": tag_list(OURS)} for kind in kinds]


@pytest.fixture
def controller(aws: Endpoint) -> Iterator[str]:
    """The controller's role with the program's own policies: its ARN."""
    iam = aws.client("iam")
    arn = role(aws, "controller", {})
    policies = []
    scope = Scope(cluster="c", region=REGION, partition="aws", account_id="123456789012")
    for group, policy in controller_policies(scope, "arn:aws:iam::123456789012:role/n", "arn:aws:sqs:x:1:q").items():
        policies.append(iam.create_policy(PolicyName=group, PolicyDocument=json.dumps(policy))["Policy"]["Arn"])
        iam.attach_role_policy(RoleName="controller", PolicyArn=policies[-1])
    yield arn
    for policy in policies:
        iam.detach_role_policy(RoleName="controller", PolicyArn=policy)
        iam.delete_policy(PolicyArn=policy)
    iam.delete_role(RoleName="controller")


def refusal(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def test_the_controller_may_do_what_its_policies_say_and_is_refused_in_each_services_own_words(
    aws: Endpoint, controller: str
) -> None:
    session = session_of(aws, controller)

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=aws.url)

    client("ec2").describe_instances()
    client("iam").list_instance_profiles()
    assert refusal(client("ec2").create_vpc, CidrBlock="10.0.0.0/16") == "UnauthorizedOperation"
    assert refusal(client("sqs").list_queues) == "AccessDeniedException"
    with pytest.raises(ClientError, match="no identity-based policy allows the ec2:DescribeSubnets action"):
        session.client("ec2", endpoint_url=aws.url, region_name="us-east-1").describe_subnets()
    assert refusal(client("iam").list_roles) == "AccessDenied"
    assert refusal(client("events").list_rules) == "AccessDeniedException"
    client("sts").get_caller_identity()


FLEET = {
    "DryRun": True,
    "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": {"LaunchTemplateName": "none", "Version": "1"}}],
    "TargetCapacitySpecification": {"TotalTargetCapacity": 1},
    "TagSpecifications": specifications("fleet", "instance", "volume"),
}
LAUNCH = {
    "DryRun": True,
    "MinCount": 1,
    "MaxCount": 1,
    "ImageId": "ami-12c6146b",
    "TagSpecifications": specifications("instance", "volume", "network-interface"),
}
TEMPLATE = {
    "DryRun": True,
    "LaunchTemplateName": "t",
    "LaunchTemplateData": {"ImageId": "ami-12c6146b"},
    "TagSpecifications": specifications("launch-template"),
}


@pytest.mark.parametrize(
    ("operation", "asked", "dropped"),
    [
        ("create_fleet", FLEET, "ec2:CreateFleet"),
        ("create_fleet", FLEET, "ec2:CreateTags"),
        ("run_instances", LAUNCH, "ec2:RunInstances"),
        ("create_launch_template", TEMPLATE, "ec2:CreateLaunchTemplate"),
    ],
)
def test_karpenters_dry_runs_need_every_action_and_its_tags(
    aws: Endpoint, controller: str, operation: str, asked: dict[str, Any], dropped: str
) -> None:
    ec2 = session_of(aws, controller).client("ec2", endpoint_url=aws.url)
    assert refusal(getattr(ec2, operation), **asked) == "DryRunOperation"
    statement = {"Effect": "Deny", "Action": dropped, "Resource": "*"}
    deny = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws.client("iam").put_role_policy(RoleName="controller", PolicyName="deny", PolicyDocument=deny)
    try:
        assert refusal(getattr(ec2, operation), **asked) == "UnauthorizedOperation"
    finally:
        aws.client("iam").delete_role_policy(RoleName="controller", PolicyName="deny")
    untagged = {**asked, "TagSpecifications": asked["TagSpecifications"][:-1]}
    assert refusal(getattr(ec2, operation), **untagged) == "UnauthorizedOperation"


def test_a_refusal_is_opened_by_sts_and_tells_what_was_asked(aws: Endpoint, controller: str) -> None:
    ec2 = session_of(aws, controller).client("ec2", endpoint_url=aws.url)
    with pytest.raises(ClientError) as caught:
        ec2.create_vpc(CidrBlock="10.0.0.0/16")
    message = caught.value.response["Error"]["Message"]
    assert "because no entry" not in message
    sts = aws.client("sts")
    with pytest.raises(ClientError, match=r"ec2:TerminateInstances on resource: .*instance/i-0000") as caught:
        ec2.terminate_instances(InstanceIds=["i-00000000000000000"])
    encoded = caught.value.response["Error"]["Message"].partition(messages.ENCODED)[2]
    told = json.loads(sts.decode_authorization_message(EncodedMessage=encoded)["DecodedMessage"])
    assert told["context"]["action"] == "ec2:TerminateInstances"
    assert told["context"]["principal"]["arn"].endswith(":assumed-role/controller/test")
    with pytest.raises(ClientError, match="InvalidAuthorizationMessage"):
        sts.decode_authorization_message(EncodedMessage="none")
    session = session_of(aws, controller).client("sts", endpoint_url=aws.url)
    with pytest.raises(ClientError, match="not authorized to perform: sts:DecodeAuthorizationMessage"):
        session.decode_authorization_message(EncodedMessage=encoded)


def test_ec2_writes_of_a_role_that_may_not_be_passed_to_an_instance(aws: Endpoint, controller: str) -> None:
    iam, name = aws.client("iam"), "of-another"
    passed = role(aws, name, {})
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    session = session_of(aws, controller)
    with pytest.raises(ClientError, match=r"UnauthorizedOperation.*not authorized to perform: iam:PassRole") as caught:
        session.client("ec2", endpoint_url=aws.url).run_instances(**LAUNCH, IamInstanceProfile={"Name": name})
    encoded = caught.value.response["Error"]["Message"].partition(messages.ENCODED)[2]
    assert messages.decoded(encoded)["context"]["resource"] == passed
    with pytest.raises(ClientError, match=r"AccessDenied\).*not authorized to perform: iam:AddRole") as other:
        session.client("iam", endpoint_url=aws.url).add_role_to_instance_profile(
            InstanceProfileName=name, RoleName=name
        )
    assert messages.ENCODED not in str(other.value)


def test_a_policy_that_is_detached_no_longer_allows(aws: Endpoint, controller: str) -> None:
    ec2 = session_of(aws, controller).client("ec2", endpoint_url=aws.url)
    ec2.describe_subnets()
    iam = aws.client("iam")
    arn = next(
        p["Arn"] for p in iam.list_policies(Scope="Local")["Policies"] if p["PolicyName"] == "resource-discovery"
    )
    iam.detach_role_policy(RoleName="controller", PolicyArn=arn)
    assert refusal(ec2.describe_subnets) == "UnauthorizedOperation"
    iam.attach_role_policy(RoleName="controller", PolicyArn=arn)
    ec2.describe_subnets()


def test_whoever_has_no_role_may_do_everything(aws: Endpoint) -> None:
    aws.client("iam").list_roles()


def test_profiles_are_listed_under_the_path_that_is_asked_for(aws: Endpoint) -> None:
    """Karpenter deletes what it finds under its own path: the program's profile must not be there."""
    iam = aws.client("iam")
    iam.create_instance_profile(InstanceProfileName="of-the-program")
    iam.create_instance_profile(InstanceProfileName="of-karpenter", Path="/karpenter/eu-west-1/c/u/")
    found = iam.list_instance_profiles(PathPrefix="/karpenter/eu-west-1/c/")["InstanceProfiles"]
    assert [entry["InstanceProfileName"] for entry in found] == ["of-karpenter"]
    assert len(iam.list_instance_profiles()["InstanceProfiles"]) >= 2
