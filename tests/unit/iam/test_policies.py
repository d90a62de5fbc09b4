"""What IAM decides, as its documentation has it; and what no further statement can change."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_on_spot.iam import Outcome, allows, document

QUEUE = "arn:aws:sqs:eu-west-1:111122223333:q"
ROLE = "arn:aws:iam::111122223333:role/x"
EVENTS = {"Service": "events.amazonaws.com"}


def statement(effect: str = "Allow", **parts: Any) -> dict[str, Any]:
    about = {} if {"Action", "NotAction"} & parts.keys() else {"Action": "*"}
    return {"Effect": effect, **about, **parts}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


ALLOWED: Outcome = "allowed"
IMPLICIT: Outcome = "implicitly denied"
EXPLICIT: Outcome = "explicitly denied"

STATEMENTS: list[tuple[str, list[dict[str, Any]], Outcome]] = [
    ("nothing", [], IMPLICIT),
    ("an action", [statement(Action="sqs:SendMessage", Resource="*")], ALLOWED),
    ("an action in other letters", [statement(Action="SQS:sendmessage", Resource="*")], ALLOWED),
    ("a list of actions", [statement(Action=["s3:*", "sqs:Send*"], Resource="*")], ALLOWED),
    ("one character in an action", [statement(Action="sqs:SendMessag?", Resource="*")], ALLOWED),
    ("a bracket is no wild card", [statement(Action="sqs:[S]endMessage", Resource="*")], IMPLICIT),
    ("another action", [statement(Action="sqs:Receive*", Resource="*")], IMPLICIT),
    ("all but another action", [statement(NotAction="sqs:Receive*", Resource="*")], ALLOWED),
    ("all but this action", [statement(NotAction="sqs:Send*", Resource="*")], IMPLICIT),
    ("this resource", [statement(Resource=QUEUE)], ALLOWED),
    ("resources like this", [statement(Resource="arn:aws:sqs:*:*:?")], ALLOWED),
    ("another resource", [statement(Resource=f"{QUEUE}2")], IMPLICIT),
    ("a resource in other letters", [statement(Resource=QUEUE.upper())], IMPLICIT),
    ("all but another resource", [statement(NotResource="arn:aws:s3:::*")], ALLOWED),
    ("all but this resource", [statement(NotResource=["arn:aws:s3:::*", QUEUE])], IMPLICIT),
    ("a deny after an allow", [statement(Resource="*"), statement("Deny", Resource=QUEUE)], EXPLICIT),
    ("a deny before an allow", [statement("Deny", Resource=QUEUE), statement(Resource="*")], EXPLICIT),
    ("a deny of something else", [statement(Resource="*"), statement("Deny", Action="s3:*", Resource="*")], ALLOWED),
    ("a deny of all but this", [statement(Resource="*"), statement("Deny", NotAction="sqs:*", Resource="*")], ALLOWED),
    (
        "a deny whose condition does not hold",
        [statement(Resource="*"), statement("Deny", Resource="*", Condition={"Bool": {"aws:SecureTransport": False}})],
        ALLOWED,
    ),
    ("its principal", [statement(Principal=EVENTS, Resource="*")], ALLOWED),
    ("one of its principals", [statement(Principal={"Service": ["a.com", EVENTS["Service"]]}, Resource="*")], ALLOWED),
    ("everybody", [statement(Principal="*", Resource="*")], ALLOWED),
    ("everybody, written otherwise", [statement(Principal={"AWS": "*"}, Resource="*")], ALLOWED),
    ("another principal", [statement(Principal={"Service": "ec2.amazonaws.com"}, Resource="*")], IMPLICIT),
    ("a principal of another kind", [statement(Principal={"AWS": EVENTS["Service"]}, Resource="*")], IMPLICIT),
    ("all but another", [statement(NotPrincipal={"Service": "ec2.amazonaws.com"}, Resource="*")], ALLOWED),
    ("all but this", [statement(NotPrincipal=EVENTS, Resource="*")], IMPLICIT),
]


@pytest.mark.parametrize(("statements", "outcome"), [row[1:] for row in STATEMENTS], ids=[row[0] for row in STATEMENTS])
def test_what_a_statement_is_about(statements: list[dict[str, Any]], outcome: Outcome) -> None:
    decision = allows(policy(*statements), "sqs:SendMessage", QUEUE, {"aws:SecureTransport": True}, EVENTS)
    assert decision.outcome == outcome
    assert bool(decision) == (outcome == ALLOWED)


@pytest.mark.parametrize(
    ("named", "met"),
    [
        (ROLE, True),
        ("arn:aws:iam::111122223333:root", True),
        ("111122223333", True),
        ("arn:aws:iam::111122223333:role/y", False),
        ("arn:aws:iam::999922223333:root", False),
    ],
)
def test_an_account_stands_for_every_principal_in_it(named: str, met: bool) -> None:
    assert bool(allows(policy(statement(Principal={"AWS": named})), "kms:Decrypt", "*", {}, {"AWS": ROLE})) is met


CONTEXT: dict[str, Any] = {
    "aws:SourceArn": QUEUE,
    "aws:PrincipalTag/team": "blue",
    "aws:username": "ada",
    "aws:SecureTransport": True,
    "aws:SourceIp": "10.1.2.3",
    "aws:CurrentTime": "2026-11-26T01:00:00Z",
    "aws:TagKeys": ["a", "b"],
    "s3:max-keys": 10,
}
CONDITIONS: list[tuple[str, str, Any, bool]] = [
    ("StringEquals", "aws:username", ["grace", "ada"], True),
    ("StringEquals", "AWS:UserName", "ada", True),
    ("StringEquals", "aws:username", "a*", False),
    ("StringEquals", "aws:username", "Ada", False),
    ("StringEqualsIgnoreCase", "aws:username", "Ada", True),
    ("StringNotEqualsIgnoreCase", "aws:username", "Ada", False),
    ("StringLike", "aws:username", "a?a", True),
    ("StringNotLike", "aws:username", ["b*", "a*"], False),
    ("StringNotEquals", "aws:username", ["grace", "b"], True),
    ("StringEquals", "absent", "x", False),
    ("StringNotEquals", "absent", "x", True),
    ("StringEqualsIfExists", "absent", "x", True),
    ("StringEqualsIfExists", "aws:username", "x", False),
    ("Bool", "aws:SecureTransport", "true", True),
    ("Bool", "aws:SecureTransport", False, False),
    ("Null", "absent", "true", True),
    ("Null", "absent", False, False),
    ("Null", "aws:username", "false", True),
    ("NumericLessThanEquals", "s3:max-keys", "10", True),
    ("NumericLessThan", "s3:max-keys", 10, False),
    ("NumericNotEquals", "s3:max-keys", 9, True),
    ("NumericEquals", "aws:username", 9, False),
    ("DateGreaterThan", "aws:CurrentTime", "2026-11-25T00:00:00Z", True),
    ("DateLessThan", "aws:CurrentTime", "2026-11-25", False),
    ("IpAddress", "aws:SourceIp", "10.0.0.0/8", True),
    ("NotIpAddress", "aws:SourceIp", ["192.0.2.0/24", "10.1.2.3"], False),
    ("ArnLike", "aws:SourceArn", "arn:aws:sqs:*:111122223333:*", True),
    ("ArnEquals", "aws:SourceArn", "arn:aws:*", False),
    ("ArnNotLike", "aws:SourceArn", "arn:aws:sns:*:*:*", True),
    ("ForAnyValue:StringEquals", "aws:TagKeys", ["b", "c"], True),
    ("ForAnyValue:StringEquals", "aws:TagKeys", "c", False),
    ("ForAnyValue:StringEquals", "absent", "c", False),
    ("ForAllValues:StringEquals", "aws:TagKeys", ["a", "b", "c"], True),
    ("ForAllValues:StringEquals", "aws:TagKeys", "a", False),
    ("ForAllValues:StringEquals", "absent", "a", True),
    ("ForAnyValue:StringNotEquals", "aws:TagKeys", "a", True),
    ("ForAllValues:StringNotEquals", "aws:TagKeys", "a", False),
    ("StringSomehow", "aws:username", "ada", False),
    ("StringEquals", "aws:PrincipalTag/team", "${aws:PrincipalTag/team}", True),
    ("StringLike", "aws:SourceArn", "*:${absent, 'q'}", True),
    ("StringLike", "aws:SourceArn", "*:${absent}", False),
    ("StringLike", "aws:username", "${*}", False),
]


@pytest.mark.parametrize(("operator", "key", "wanted", "holds"), CONDITIONS)
def test_each_condition_operator(operator: str, key: str, wanted: Any, holds: bool) -> None:
    decision = allows(policy(statement(Condition={operator: {key: wanted}})), "s3:ListBucket", "*", CONTEXT)
    assert bool(decision) is holds
    assert holds or decision.unmet.startswith(f"{operator} {key}: ")


def test_all_conditions_must_hold_and_the_first_that_does_not_is_named() -> None:
    condition = {"Bool": {"aws:SecureTransport": True}, "StringEquals": {"aws:username": "grace"}}
    decision = allows(policy(statement(Sid="only", Condition=condition)), "s3:ListBucket", "*", CONTEXT)
    assert decision.outcome == IMPLICIT
    assert decision.statement is not None
    assert decision.statement["Sid"] == "only"
    assert decision.unmet == "StringEquals aws:username: grace; the request has ada"


def test_a_variable_is_one_only_in_the_language_that_has_them() -> None:
    told = policy(statement(Resource="arn:aws:s3:::home/${aws:username}/*"))
    assert allows(told, "s3:GetObject", "arn:aws:s3:::home/ada/a", CONTEXT)
    assert not allows(told, "s3:GetObject", "arn:aws:s3:::home/grace/a", CONTEXT)
    assert not allows({**told, "Version": "2008-10-17"}, "s3:GetObject", "arn:aws:s3:::home/ada/a", CONTEXT)
    assert not allows(told, "s3:GetObject", "arn:aws:s3:::home/*/a", {"aws:username": "*x"})


def test_what_is_not_known_counts_for_an_allow_and_not_for_a_deny() -> None:
    condition = {"StringEquals": {"aws:username": "grace"}}
    assert allows(policy(statement(Resource=QUEUE, Condition=condition)), "sqs:SendMessage")
    for denies in (statement("Deny", Resource=QUEUE), statement("Deny", Resource="*", Condition=condition)):
        assert allows(policy(statement(Resource="*"), denies), "sqs:SendMessage")
    assert not allows(policy(statement(Resource="*"), statement("Deny", Resource="*")), "sqs:SendMessage")


def test_a_policy_is_read_in_every_form_in_which_aws_gives_it() -> None:
    told = policy(statement(Resource="*"))
    text = json.dumps(told)
    for form in (told, text, quote(text), {"Version": "2012-10-17", "Statement": statement(Resource="*")}):
        assert allows(form, "s3:GetObject", QUEUE)
    assert document(None) == document("") == {}
    assert allows([None, told], "s3:GetObject")
    with pytest.raises(ValueError, match="Expecting value"):
        allows("no json", "s3:GetObject")


ACTIONS = st.sampled_from(["sqs:SendMessage", "sqs:*", "s3:Get*", "*", "SQS:sendMessage"])
RESOURCES = st.sampled_from([QUEUE, "*", f"{QUEUE}*", "arn:aws:s3:::*"])
PARTS = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"])},
    optional={
        "Condition": st.sampled_from(
            [{"StringEquals": {"k": "a"}}, {"StringNotLike": {"k": "a*"}}, {"Null": {"k": True}}]
        ),
        "Principal": st.sampled_from(["*", EVENTS, {"AWS": ROLE}]),
    },
)
STATEMENT = st.builds(
    lambda parts, act, on, action, resource: {**parts, act: action, on: resource},
    PARTS,
    st.sampled_from(["Action", "NotAction"]),
    st.sampled_from(["Resource", "NotResource"]),
    ACTIONS,
    RESOURCES,
)
REQUEST = st.fixed_dictionaries(
    {"resource": st.sampled_from([QUEUE, "arn:aws:s3:::b", None])},
    optional={
        "context": st.sampled_from([{}, {"k": "a"}, {"k": "b"}]),
        "principal": st.sampled_from([EVENTS, {"AWS": ROLE}]),
    },
)


@settings(max_examples=200)
@given(st.lists(STATEMENT, max_size=4), st.lists(STATEMENT, max_size=4), REQUEST)
def test_a_deny_is_never_undone(before: list[Any], more: list[Any], request: dict[str, Any]) -> None:
    if allows(policy(*before), "sqs:SendMessage", **request).outcome == EXPLICIT:
        for mixed in ([*before, *more], [*more, *before]):
            assert allows(policy(*mixed), "sqs:SendMessage", **request).outcome == EXPLICIT
        assert allows([policy(*more), policy(*before)], "sqs:SendMessage", **request).outcome == EXPLICIT


@settings(max_examples=200)
@given(st.lists(STATEMENT, max_size=4), STATEMENT, REQUEST)
def test_an_added_allow_never_takes_away(before: list[Any], added: Any, request: dict[str, Any]) -> None:
    if allows(policy(*before), "sqs:SendMessage", **request):
        assert allows(policy(*before, {**added, "Effect": "Allow"}), "sqs:SendMessage", **request)


@settings(max_examples=200)
@given(st.lists(STATEMENT, max_size=4), STATEMENT, REQUEST)
def test_an_added_deny_never_gives(before: list[Any], added: Any, request: dict[str, Any]) -> None:
    if not allows(policy(*before), "sqs:SendMessage", **request):
        assert not allows(policy(*before, {**added, "Effect": "Deny"}), "sqs:SendMessage", **request)
