"""Policy documents that AWS refuses by their grammar, by kind of policy: no cloud is asked."""

import json
from typing import Any

import pytest

from otel_on_spot.simcloud.policy_documents import (
    BUCKET,
    ENDPOINT,
    GRANT,
    KEY,
    KINDS,
    QUEUE,
    TOPIC,
    TRUST,
    Kind,
    problems,
)
from otel_on_spot.simcloud.service_model import model_of
from tests.unit.conftest import recorded

EC2 = {"Service": "ec2.amazonaws.com"}
SOUND: dict[str, tuple[Kind, dict[str, Any]]] = {
    "trust": (TRUST, {"Effect": "Allow", "Principal": EC2, "Action": ["sts:AssumeRole", "sts:TagSession"]}),
    "grant": (GRANT, {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}),
    "key": (KEY, {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}),
    "queue": (QUEUE, {"Effect": "Allow", "Principal": EC2, "Action": "SQS:SendMessage", "Resource": "*"}),
    "topic": (TOPIC, {"Effect": "Allow", "Principal": EC2, "Action": "sns:Publish", "Resource": "*"}),
    "bucket": (BUCKET, {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::x/*"}),
    "endpoint": (ENDPOINT, {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}),
}
CONDITIONS = {"StringLike": {"aws:SourceArn": "x"}, "ForAnyValue:StringNotEqualsIfExists": {"aws:TagKeys": ["a", "b"]}}


def document(*statements: Any, **more: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more})


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"Effect": "Allows"}, "an effect is Allow or Deny"),
        ({"Effect": None}, "an effect is Allow or Deny"),
        ({"Effect": "allow"}, "an effect is Allow or Deny"),
        ({"Action": []}, "must contain actions"),
        ({"Action": None}, "must contain actions"),
        ({"Action": "AssumeRole"}, "prefixed by a vendor"),
        ({"Action": "s3 :GetObject"}, "prefixed by a vendor"),
        ({"Action": 7}, "prefixed by a vendor"),
        ({"NotAction": "s3:GetObject"}, "Action or NotAction"),
        ({"Actions": "*"}, "no statement has Actions"),
        ({"Principals": {"AWS": "*"}}, "no statement has Principals"),
        ({"Condition": ["x"]}, "operator, key and values"),
        ({"Condition": {"StringEquals": "x"}}, "operator, key and values"),
        ({"Condition": {"StringEqual": {"aws:x": "y"}}}, "Invalid Condition type : StringEqual"),
        ({"Condition": {"ForSomeValue:StringEquals": {"aws:x": "y"}}}, "Invalid Condition type"),
        ({"Condition": {"StringEquals": {"x": "y"}}}, "prefixed by a vendor"),
    ],
)
def test_a_statement_that_no_policy_has_is_refused_in_each_kind(name: str, change: dict[str, Any], why: str) -> None:
    kind, sound = SOUND[name]
    changed = {key: value for key, value in {**sound, **change}.items() if value is not None}

    assert list(problems(document(sound), kind)) == []
    assert why in " ".join(problems(document(changed), kind))


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "invalid Json"),
        ("[]", "it has a Statement"),
        ("{}", "it has a Statement"),
        ('{"Version": "2012-10-17", "Statement": []}', "it has a Statement"),
        ('{"Version": "2012-10-17", "Statements": [{}]}', "it has a Statement"),
        ('{"Version": "2012-10-17", "Statement": ["Allow"]}', "a statement is an object"),
    ],
)
def test_what_is_no_policy_is_refused_in_each_kind(name: str, text: str, why: str) -> None:
    assert why in " ".join(problems(text, SOUND[name][0]))


@pytest.mark.parametrize("name", SOUND)
def test_versions_sids_and_conditions_are_held_in_each_kind(name: str) -> None:
    kind, sound = SOUND[name]

    assert "valid version string" in " ".join(problems(document(sound, Version="2020-01-01"), kind))
    assert "must be unique" in " ".join(problems(document(*[{**sound, "Sid": "a"}] * 2), kind))
    assert list(problems(document({**sound, "Condition": CONDITIONS}, Id="mine", Version="2008-10-17"), kind)) == []
    assert bool(list(problems(document({**sound, "Sid": "a-b"}), kind))) is (kind in (TRUST, GRANT))


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("trust", {"Action": "s3:GetObject"}, "may only specify STS"),
        ("trust", {"Action": "sts:GetCallerIdentity"}, "may only specify STS"),
        ("trust", {"Action": "sts:AssumeRoleX"}, "may only specify STS"),
        ("trust", {"Resource": "*"}, "prohibited field Resource"),
        ("trust", {"Principal": None}, "required field Principal"),
        ("grant", {"Principal": "*"}, "should not specify a principal"),
        ("grant", {"Resource": None}, "must contain resources"),
        ("grant", {"NotResource": "*"}, "Resource or NotResource"),
        ("key", {"Resource": None}, "must contain resources"),
        ("key", {"Principal": None}, "required field Principal"),
        ("queue", {"Action": "sqs:Nothing"}, "SQS has no action sqs:Nothing"),
        ("queue", {"Action": ["sqs:SendMessage", "s3:GetObject"]}, "SQS has no action s3:GetObject"),
        ("queue", {"Principal": None}, "required field Principal"),
        ("topic", {"Action": "sqs:SendMessage"}, "out of service scope"),
        ("bucket", {"Action": "ec2:*"}, "out of service scope"),
        ("bucket", {"Resource": None}, "must contain resources"),
        ("endpoint", {"Principal": None}, "required field Principal"),
    ],
)
def test_what_one_kind_of_policy_has_and_another_has_not_is_held(name: str, change: dict[str, Any], why: str) -> None:
    kind, sound = SOUND[name]
    changed = {key: value for key, value in {**sound, **change}.items() if value is not None}

    assert why in " ".join(problems(document(changed), kind))


@pytest.mark.parametrize("action", ["sts:AssumeRole*", "sts:*", "STS:assumerole", "sts:AssumeRoleWithWebIdentity"])
def test_a_trust_policy_may_have_wildcards_and_any_case(action: str) -> None:
    assert list(problems(document({**SOUND["trust"][1], "Action": action}), TRUST)) == []


def test_each_operation_and_member_is_one_of_the_services_model() -> None:
    for (service, operation), (path, _) in KINDS.items():
        shape = model_of(service).operation_model(operation).input_shape
        assert shape is not None
        assert path.partition(".")[0] in shape.members, (service, operation)


def test_every_policy_of_the_committed_stacks_is_taken() -> None:
    inputs = {"assumeRolePolicy": TRUST, "policy": None}
    of_types = {"Key": KEY, "QueuePolicy": QUEUE, "Topic": TOPIC, "Policy": GRANT, "RolePolicy": GRANT}
    seen = 0
    for stack in ("dev", "prod"):
        for registration in recorded(stack):
            for key, kind in inputs.items():
                text = registration.inputs.get(key)
                wanted = kind or of_types.get(registration.type.rpartition(":")[2])
                if registration.type.startswith("aws:") and isinstance(text, str) and wanted:
                    seen += 1
                    assert list(problems(text, wanted)) == [], registration.urn
    assert seen > 25
