"""What AWS's own model refuses never leaves for moto: types, members, enums, patterns, lengths and ranges."""

import re
import threading
import unicodedata
import warnings
from typing import Any

import pytest
from botocore.model import OperationModel, Shape
from hypothesis import given
from hypothesis import strategies as st

from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.moto_main import SERVICES
from otel_on_spot.simcloud.service_model import (
    ModelOfService,
    Requests,
    compiled,
    in_aws_form,
    matches,
    model_of,
    refusal,
    violations,
)
from tests.simcloud.conftest import Maker, trust

MODELLED = (*SERVICES, "fis", "budgets")
TRUST = trust("ec2.amazonaws.com")
ROLE = "arn:aws:iam::123456789012:role/one"
GROUP = {"clusterName": "one", "nodegroupName": "system", "nodeRole": ROLE, "subnets": ["subnet-1"]}

SOUND: dict[str, dict[str, Any]] = {
    "CreateRole": {"RoleName": "one", "AssumeRolePolicyDocument": TRUST},
    "CreateNodegroup": GROUP,
    "CreateAccessEntry": {"clusterName": "one", "principalArn": ROLE},
    "CreateCluster": {"name": "one", "roleArn": ROLE, "resourcesVpcConfig": {}},
}
"""Operation -> a request that its model takes."""
CASES: list[tuple[str, str, dict[str, Any], str, str]] = [
    # service, operation, what is asked over a sound request (None leaves it out); kind and place of the first violation
    # One fault of each scalar member is tried by test_one_violation_of_each_scalar_member_of_each_operation_is_found.
    ("iam", "CreateRole", {}, "", ""),
    ("iam", "CreateRole", {"AssumeRolePolicyDocument": None}, "missing", "assumeRolePolicyDocument"),
    ("iam", "CreateRole", {"RoleName": "one two"}, "pattern", "roleName"),
    ("iam", "CreateRole", {"RoleName": "one\n"}, "pattern", "roleName"),
    ("iam", "CreateRole", {"MaxSessionDuration": True}, "type", "maxSessionDuration"),
    ("iam", "CreateRole", {"Tags": [{"Key": "a"}]}, "missing", "tags.1.member.value"),
    ("iam", "CreateRole", {"Tags": [{"Key": "a#", "Value": "b"}]}, "pattern", "tags.1.member.key"),
    ("iam", "CreateRole", {"Tags": [{"Key": "Größe", "Value": "日本"}]}, "", ""),
    ("iam", "CreateRole", {"Tags": [{"Key": "emoji", "Value": "🙂"}]}, "pattern", "tags.1.member.value"),
    ("iam", "CreateRole", {"Pfad": "/"}, "unknown", "Pfad"),
    ("eks", "CreateNodegroup", {}, "", ""),
    ("eks", "CreateNodegroup", {"subnets": "subnet-1"}, "type", "subnets"),
    ("eks", "CreateNodegroup", {"subnets": [1]}, "type", "subnets.1.member"),
    ("eks", "CreateNodegroup", {"labels": {"": "x"}}, "length", "labels..key"),
    ("eks", "CreateNodegroup", {"labels": {"a": "x" * 64}}, "length", "labels.a.member"),
    ("eks", "CreateNodegroup", {"labels": {"a": None}}, "type", "labels.a.member"),
    ("eks", "CreateNodegroup", {"scalingConfig": {"maxSize": 0}}, "range", "scalingConfig.maxSize"),
    ("eks", "CreateNodegroup", {"scalingConfig": {"minSize": -1}}, "range", "scalingConfig.minSize"),
    ("eks", "CreateNodegroup", {"scalingConfig": {"maxsize": 1}}, "unknown", "scalingConfig.maxsize"),
    ("eks", "CreateNodegroup", {"taints": [{"effect": "NoSchedule"}]}, "enum", "taints.1.member.effect"),
    (
        "eks",
        "CreateNodegroup",
        {"updateConfig": {"maxUnavailablePercentage": 101}},
        "range",
        "updateConfig.maxUnavailablePercentage",
    ),
    ("eks", "CreateAccessEntry", {}, "", ""),
    ("eks", "CreateAccessEntry", {"principalArn": None}, "missing", "principalArn"),
    ("eks", "CreateAccessEntry", {"tags": {f"k{n}": "v" for n in range(51)}}, "length", "tags"),
    ("eks", "CreateCluster", {"name": "-one"}, "pattern", "name"),
    ("eks", "CreateCluster", {"upgradePolicy": {"supportType": "LONG"}}, "enum", "upgradePolicy.supportType"),
    ("eks", "CreateCluster", {"encryptionConfig": [{}] * 2}, "length", "encryptionConfig"),
    ("events", "PutRule", {"Name": "one two"}, "pattern", "name"),
    ("events", "PutTargets", {"Rule": "one", "Targets": []}, "length", "targets"),
    ("events", "PutTargets", {"Rule": "one", "Targets": [{"Id": "a/b", "Arn": "a"}]}, "pattern", "targets.1.member.id"),
    ("kms", "CreateAlias", {"AliasName": "alias/a b", "TargetKeyId": "k"}, "pattern", "aliasName"),
    ("logs", "CreateLogGroup", {"logGroupName": "a b"}, "pattern", "logGroupName"),
    (
        "sqs",
        "CreateQueue",
        {"QueueName": "one", "Attributes": {"VisibilityTimeout": 30}},
        "type",
        "attributes.VisibilityTimeout.member",
    ),
    ("sqs", "CreateQueue", {"QueueName": "one", "Attributes": {"Colour": "red"}}, "enum", "attributes.Colour.key"),
    ("ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/16", "InstanceTenancy": "mine"}, "enum", "instanceTenancy"),
    ("ec2", "CreateSubnet", {"CidrBlock": "10.0.0.0/24"}, "missing", "vpcId"),
    ("ec2", "CreateVpcEndpoint", {"VpcId": "vpc-1", "VpcEndpointType": "interface"}, "enum", "vpcEndpointType"),
    ("ec2", "CreateVpcEndpoint", {"VpcId": "vpc-1", "SubnetId": "subnet-1"}, "unknown", "SubnetId"),
    (
        "ec2",
        "CreateLaunchTemplate",
        {"LaunchTemplateName": "one", "LaunchTemplateData": {"MetadataOptions": {"HttpTokens": "must"}}},
        "enum",
        "launchTemplateData.metadataOptions.httpTokens",
    ),
    ("fis", "CreateExperimentTemplate", {"clientToken": "t", "description": "d"}, "missing", "stopConditions"),
    ("sts", "GetCallerIdentity", {"Who": "me"}, "unknown", "Who"),
]


def operation(service: str, name: str) -> OperationModel:
    return model_of(service).operation_model(name)


@pytest.mark.parametrize(
    ("service", "name", "request_", "kind", "at"),
    CASES,
    ids=[f"{c[1]}-{c[4] or 'taken'}-{c[3]}-{n}" for n, c in enumerate(CASES)],
)
def test_a_request_is_refused_where_the_model_refuses_it(
    service: str, name: str, request_: dict[str, Any], kind: str, at: str
) -> None:
    asked = {key: value for key, value in {**SOUND.get(name, {}), **request_}.items() if value is not None}
    found = violations(operation(service, name), asked)
    assert [(each.kind, each.at) for each in found[:1]] == ([(kind, at)] if kind else [])


@pytest.mark.parametrize(
    ("service", "name", "request_", "told"),
    [
        (
            "iam",
            "CreateRole",
            {"RoleName": "a b", "AssumeRolePolicyDocument": TRUST},
            "ValidationError: 1 validation error detected: Value 'a b' at 'roleName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [\\w+=,.@-]+",
        ),
        (
            "logs",
            "CreateLogGroup",
            {"logGroupName": "a b"},
            "InvalidParameterException: 1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+",
        ),
        (
            "eks",
            "CreateNodegroup",
            {**GROUP, "nodeRole": None, "capacityType": "spot"},
            "InvalidParameterException: 2 validation errors detected: Value null at 'nodeRole' failed to satisfy "
            "constraint: Member must not be null; Value 'spot' at 'capacityType' failed to satisfy constraint: Member "
            "must satisfy enum value set: [ON_DEMAND, SPOT, CAPACITY_BLOCK]",
        ),
        (
            "kms",
            "CreateKey",
            {"Description": "x" * 8193},
            "ValidationException: 1 validation error detected: Value 'xxx",
        ),
        ("ec2", "CreateSubnet", {}, "MissingParameter: The request must contain the parameter VpcId"),
        ("ec2", "CreateVpc", {"Size": 1}, "UnknownParameter: The parameter Size is not recognized"),
        (
            "ec2",
            "CreateVpc",
            {"InstanceTenancy": "x"},
            "InvalidParameterValue: Value (x) for parameter InstanceTenancy",
        ),
    ],
)
def test_the_refusal_has_the_code_and_the_words_of_its_service(
    service: str, name: str, request_: dict[str, Any], told: str
) -> None:
    asked = operation(service, name)
    assert str(refusal(asked, violations(asked, request_))).startswith(told)


def shapes(service: str) -> list[Shape]:
    model = model_of(service)
    return [model.shape_for(name) for name in model.shape_names]


@pytest.mark.parametrize("service", MODELLED)
def test_every_pattern_of_every_service_is_understood(service: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for pattern in {shape.metadata.get("pattern") for shape in shapes(service)} - {None}:
            assert "\\p{" not in compiled(pattern).pattern


def test_a_pattern_holds_the_whole_value() -> None:
    assert matches("[a-z]+", "abc")
    for value in ("abc ", " abc", "abc\n", "", "ABC", "abcé"):
        assert not matches("[a-z]+", value)
    assert not matches(r"\w+", "é"), "Java's \\w is ASCII"
    assert matches(r"[\w-_]*", "a-b_c")


def test_flags_in_the_middle_hold_to_the_end_of_their_group() -> None:
    assert matches("a(?i)b", "aB")
    assert not matches("a(?i)b", "Ab")
    assert matches("(x|(?i)y|z)a", "Za")
    assert not matches("(x|(?i)y|z)a", "XA")
    assert not matches("((?i)a)b", "aB")
    assert matches("[(?i)]+a", "(?)a")
    name = model_of("budgets").shape_for("BudgetName").metadata["pattern"]
    assert matches(name, "otel-dev-eu-west-1")
    assert not matches(name, "<SCRIPT>x</script>")
    assert not matches(name, "a:b")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=6))
def test_a_category_of_unicode_is_what_python_says_of_each_character(text: str) -> None:
    letters = bool(text) and all(unicodedata.category(char)[0] in "LZN" or char in "_.:/=+-@" for char in text)
    assert matches(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+", text) is letters
    spaces = bool(text) and all(unicodedata.category(char) == "Zs" for char in text)
    assert matches(r"[\p{Zs}]+", text) is spaces


LIMITED = [
    ("iam", "CreateRole", "RoleName", 1, 64),
    ("eks", "CreateCluster", "name", 1, 100),
    ("logs", "CreateLogGroup", "logGroupName", 1, 512),
    ("events", "PutRule", "Name", 1, 64),
    ("kms", "CreateAlias", "AliasName", 1, 256),
]


@given(st.sampled_from(LIMITED), st.integers(0, 600))
def test_a_length_is_taken_up_to_the_limit_and_not_past_it(limit: tuple[str, str, str, int, int], size: int) -> None:
    service, name, member, least, most = limit
    kinds = {
        each.kind
        for each in violations(operation(service, name), {member: "x" * size})
        if each.at.lower() == member.lower()
    }
    assert ("length" in kinds) is not (least <= size <= most)


def sample(shape: Shape, depth: int = 0) -> Any:
    """A value of a shape that meets its types, required members, enums and lengths; None where a pattern decides."""
    told = shape.metadata
    if told.get("pattern"):
        return None
    match shape.type_name:
        case "string":
            return (told.get("enum") or ["x" * max(1, int(told.get("min") or 1))])[0]
        case "integer" | "long" | "float" | "double":
            return int(told.get("min") or 1)
        case "boolean":
            return True
    return None


def test_one_violation_of_each_scalar_member_of_each_operation_is_found() -> None:
    """Every member of every request of the services: its type, its enum, its lengths and its range, one fault each."""
    tried = 0
    for service in ("iam", "eks", "events", "kms", "logs", "sqs", "fis"):
        model = model_of(service)
        for name in model.operation_names:
            asked = operation(service, name)
            members = asked.input_shape.members if asked.input_shape else {}
            for member, shape in members.items():
                for kind, value in faults(shape):
                    found = violations(asked, {member: value})
                    assert kind in {each.kind for each in found if each.at.lower() == member.lower()}, (
                        name,
                        member,
                        kind,
                    )
                    tried += 1
                value = sample(shape)
                if value is not None:
                    assert not [
                        each for each in violations(asked, {member: value}) if each.at.lower() == member.lower()
                    ]
    assert tried > 3000


def faults(shape: Shape) -> list[tuple[str, Any]]:
    told = shape.metadata
    found: list[tuple[str, Any]] = [("type", object())]
    if shape.type_name == "string":
        found += [("enum", "no such value")] if told.get("enum") else []
        found += [("length", "x" * (int(told["max"]) + 1))] if told.get("max") else []
        found += [("length", "x" * (int(told["min"]) - 1))] if told.get("min") else []
    if shape.type_name in ("integer", "long"):
        found += [("range", int(told["max"]) + 1)] if told.get("max") is not None else []
        found += [("range", int(told["min"]) - 1)] if told.get("min") is not None else []
    return found


def test_a_union_takes_one_of_its_members() -> None:
    held = ModelOfService(model_of("iam"))
    assert not list(held.violations("PolicyIdentifier", {"PolicyArn": "arn:aws:iam::aws:policy/one"}))
    both = {"PolicyArn": "arn:aws:iam::aws:policy/one", "PolicyType": "none"}
    for value in ({}, both):
        assert "union" in {each.kind for each in held.violations("PolicyIdentifier", value)}


def test_a_value_of_the_provider_takes_the_form_of_the_api() -> None:
    told = {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": "1"}, "keyname": "k", "odd": 1}
    assert in_aws_form("ec2", "RequestLaunchTemplateData", told) == {
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "KeyName": "k",
        "odd": 1,
    }
    one = {"provider": {"keyArn": "a"}, "resources": ["secrets"]}
    assert in_aws_form("eks", "EncryptionConfigList", one) == [one]
    assert in_aws_form("ec2", "LaunchTemplateEbsBlockDeviceRequest", {"encrypted": "true"}) == {"Encrypted": True}


def test_nothing_that_the_model_refuses_leaves_for_moto(cloud: Cloud, aws: Maker) -> None:
    before = cloud.requests.sent["iam.CreateRole"]
    with pytest.raises(ApiError, match=r"ValidationError: 1 validation error detected: Value 'a b' at 'roleName'"):
        aws.make("aws:iam/role:Role", "spaced", name="a b", assumeRolePolicy=TRUST)
    assert cloud.requests.sent["iam.CreateRole"] == before


def test_threads_hold_requests_at_once() -> None:
    requests = Requests()
    asked = operation("iam", "CreateRole")

    def hold() -> None:
        for _ in range(50):
            requests.hold(asked, {"RoleName": "one", "AssumeRolePolicyDocument": TRUST})

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert requests.held == {"iam.CreateRole": 200}


def test_a_pattern_that_python_does_not_know_is_no_silent_pass() -> None:
    with pytest.raises(re.error):
        compiled("[a")
