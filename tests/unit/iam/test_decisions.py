"""Who may do what by every policy that has a say: AWS's documentation row by row, and what no policy can change."""

import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.documents import Scope
from infra.karpenter.controller_role import controller_policies
from otel_on_spot.iam import messages
from otel_on_spot.iam.decisions import BOUNDARY, IDENTITY, RESOURCE, SESSION, Caller, Request, Resource, decide
from otel_on_spot.iam.policies import Decision, Document
from tests.unit.iam.test_policies import STATEMENT

FILE = Path(__file__).with_name("decisions.yaml")
ADA: dict[str, Any] = {"arn": "arn:aws:iam::111122223333:user/ada"}


@cache
def cases() -> list[dict[str, Any]]:
    return yaml.load(FILE.read_text(), yaml.CSafeLoader)


def policy(case: dict[str, Any], kind: str) -> Document:
    if kind not in case:
        return None
    return {"Version": case.get("version", "2012-10-17"), "Statement": case[kind]}


def asked(case: dict[str, Any], action: str, resource: str, keys: dict[str, Any] | None = None) -> Decision:
    told = {**ADA, **case.get("caller", {})}
    caller = Caller(
        **told,
        identity=(policy(case, "identity"),),
        boundary=policy(case, "boundary"),
        session=(policy(case, "session"),) if "session" in case else None,
    )
    kind = "key" if ":key/" in resource else ""
    about = Resource(arn=resource, kind=kind, policy=policy(case, "resource"), account=case.get("owner", ""))
    return decide(Request(action=action, resources=(about,), keys=keys or {}), caller)


@pytest.mark.parametrize(
    "case", cases(), ids=[f"{case['page'].rpartition('/')[2]}-{case['about']}" for case in cases()]
)
def test_aws_documentation_has_it_so(case: dict[str, Any]) -> None:
    for outcome, *request in case["asks"]:
        decision = asked(case, *request[:3])
        assert decision.outcome == outcome, (request, decision)
        if len(request) == 4:
            assert decision.statement is not None
            assert decision.statement["Sid"] == request[3]


def test_the_table_has_two_hundred_decisions_of_dozens_of_pages() -> None:
    assert sum(len(case["asks"]) for case in cases()) >= 200
    assert len({case["page"] for case in cases()}) >= 30


def says(effect: str = "Allow", action: str = "*", **more: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": "*", **more}]}


QUEUE = "arn:aws:sqs:eu-west-1:111122223333:q"
SEND = Request(action="sqs:SendMessage", resources=(Resource(arn=QUEUE, kind="queue"),))
ROLE: dict[str, Any] = {
    "arn": "arn:aws:sts::111122223333:assumed-role/r/s",
    "role": "arn:aws:iam::111122223333:role/path/r",
}


@pytest.mark.parametrize(
    ("caller", "resource", "kind", "words"),
    [
        (Caller(**ADA), None, IDENTITY, "because no identity-based policy allows the sqs:SendMessage action"),
        (Caller(**ADA, identity=(says(),), boundary=says(action="s3:*")), None, BOUNDARY, "no permissions boundary"),
        (Caller(**ROLE, identity=(says(),), session=(says(action="s3:*"),)), None, SESSION, "no session policy"),
        (Caller(**ADA, identity=(says("Deny"),)), None, IDENTITY, "with an explicit deny in an identity-based policy"),
        (Caller(**ADA, identity=(says(),)), says("Deny", Principal="*"), RESOURCE, "deny in a resource-based policy"),
        (Caller(arn="events.amazonaws.com"), says(Principal={"Service": "x"}), RESOURCE, "no resource-based policy"),
    ],
)
def test_a_refusal_names_the_kind_of_policy_that_decided(
    caller: Caller, resource: Document, kind: str, words: str
) -> None:
    request = Request(action="sqs:SendMessage", resources=(Resource(arn=QUEUE, kind="queue", policy=resource),))
    decision = decide(request, caller)
    assert (bool(decision), decision.policy, decision.resource) == (False, kind, QUEUE)
    code, text = messages.refusal(request, caller, decision)
    assert code == "AccessDeniedException"
    assert text.startswith(f"User: {caller.arn} is not authorized to perform: sqs:SendMessage on resource: {QUEUE} ")
    assert words in text


def test_every_resource_of_a_call_must_be_allowed_and_the_first_that_is_not_is_named() -> None:
    subnets = {**says(), "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "arn:aws:ec2:*:*:subnet/*"}]}
    arns = [f"arn:aws:ec2:eu-west-1:111122223333:{rest}" for rest in ("subnet/a", "vpc/v", "volume/v")]
    request = Request(action="ec2:RunInstances", resources=tuple(Resource(arn=arn) for arn in arns))
    caller = Caller(**ADA, identity=(subnets,))
    assert decide(request, caller).resource == arns[1]
    told = messages.decoded(messages.encoded(request, caller, decide(request, caller)))
    assert (told["allowed"], told["context"]["resource"]) == (False, arns[1])
    with pytest.raises(ValueError, match="Message is not valid"):
        messages.decoded("bm9uZQ==")


def of(found: list[Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": found}


def own_of(found: list[Any]) -> dict[str, Any]:
    return of([{key: value for key, value in entry.items() if key != "Principal"} for entry in found])


POLICY = st.lists(STATEMENT, max_size=3).map(of)
OWN = st.lists(STATEMENT, max_size=3).map(own_of)
CALLER = st.fixed_dictionaries(
    {"identity": st.tuples(OWN)},
    optional={"boundary": OWN, "session": st.tuples(OWN)},
)
WHO = st.sampled_from([ADA, ROLE, {"arn": "arn:aws:iam::999922223333:user/eve"}])
KEYS = st.sampled_from([{}, {"k": "a"}, {"k": "b"}])


def decided(who: dict[str, Any], own: dict[str, Any], resource: Document, keys: dict[str, str]) -> Decision:
    about = Resource(arn=QUEUE, kind="queue", policy=resource)
    return decide(Request(action="sqs:SendMessage", resources=(about,), keys=keys), Caller(**who, **own))


@settings(max_examples=80)
@given(WHO, CALLER, POLICY, KEYS, st.sampled_from(["identity", "boundary", "session", "resource"]))
def test_a_deny_of_any_kind_is_never_undone(
    who: dict[str, Any], own: dict[str, Any], resource: dict[str, Any], keys: dict[str, str], kind: str
) -> None:
    if kind == "resource":
        resource = {**resource, "Statement": [*resource["Statement"], says("Deny", Principal="*")["Statement"][0]]}
    elif kind == "boundary":
        own = {**own, "boundary": says("Deny")}
    else:
        own = {**own, kind: (*own.get(kind, ()), says("Deny"))}
    assert decided(who, own, resource, keys).outcome == "explicitly denied"


@settings(max_examples=80)
@given(WHO, CALLER, POLICY, KEYS, OWN)
def test_a_boundary_and_a_session_policy_only_take_away(
    who: dict[str, Any], own: dict[str, Any], resource: Document, keys: dict[str, str], added: Document
) -> None:
    bare = {key: value for key, value in own.items() if key == "identity"}
    for held in ({**bare, "boundary": added}, {**bare, "session": (added,)}):
        if decided(who, held, resource, keys):
            assert decided(who, bare, resource, keys)


@settings(max_examples=80)
@given(WHO, CALLER, POLICY, KEYS, STATEMENT, st.sampled_from(["identity", "resource"]))
def test_an_added_allow_of_any_kind_never_takes_away(
    who: dict[str, Any],
    own: dict[str, Any],
    resource: dict[str, Any],
    keys: dict[str, str],
    added: dict[str, Any],
    kind: str,
) -> None:
    if not decided(who, own, resource, keys):
        return
    allow = {**added, "Effect": "Allow"}
    if kind == "resource":
        resource = {**resource, "Statement": [*resource["Statement"], allow]}
    else:
        allow.pop("Principal", None)
        own = {**own, "identity": (*own["identity"], {**resource, "Statement": [allow]})}
    assert decided(who, own, resource, keys)


@settings(max_examples=60)
@given(CALLER, POLICY, KEYS)
def test_nobody_of_another_account_is_let_in_by_one_side(
    own: dict[str, Any], resource: Document, keys: dict[str, str]
) -> None:
    eve = {"arn": "arn:aws:iam::999922223333:user/eve"}
    if decided(eve, own, resource, keys):
        assert not decided(eve, {**own, "identity": ()}, resource, keys)
        assert not decided(eve, own, None, keys)


def test_a_decision_takes_less_than_a_millisecond() -> None:
    """The controller's own policies, on a launch: the fastest of some, so that a busy machine does not count."""
    scope = Scope(cluster="c", region="eu-west-1", partition="aws", account_id="111122223333")
    documents = controller_policies(scope, "arn:aws:iam::111122223333:role/n", QUEUE)
    caller = Caller(**ROLE, identity=tuple(documents.values()), boundary=says())
    arn = "arn:aws:ec2:eu-west-1:111122223333:instance/i-1"
    held = {"aws:ResourceTag/kubernetes.io/cluster/c": "owned", "aws:ResourceTag/karpenter.sh/nodepool": "spot"}
    request = Request(action="ec2:TerminateInstances", resources=(Resource(arn=arn, kind="instance", keys=held),))
    fastest = min(_seconds(request, caller) for _ in range(200))
    assert decide(request, caller)
    assert fastest < 0.001


def _seconds(request: Request, caller: Caller) -> float:
    begin = time.process_time()
    decide(request, caller)
    return time.process_time() - begin
