"""The table of what each action names and carries, held against AWS's service authorization reference."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import parliament
import pytest

from infra import documents
from infra.documents import Scope
from infra.karpenter.controller_role import controller_policies
from otel_on_spot.iam import actions
from otel_on_spot.iam.conditions import listed
from otel_on_spot.iam.decisions import Caller, Request, Resource, decide
from otel_on_spot.iam.policies import statements


@cache
def reference() -> dict[str, dict[str, Any]]:
    """Service -> its actions and types of resources, as AWS publishes them."""
    told = json.loads((Path(parliament.__file__).parent / "iam_definition.json").read_text())
    return {
        service["prefix"]: {
            "actions": {action["privilege"]: action["resource_types"] for action in service["privileges"]},
            "kinds": {kind["resource"]: kind["condition_keys"] for kind in service["resources"]},
        }
        for service in told
    }


def families(keys: list[str]) -> set[str]:
    return {key.partition("/")[0] + ("/" if "/" in key else "") for key in (key.lower() for key in keys)}


def wrong(action: str, row: dict[str, frozenset[str]]) -> list[str]:
    """What AWS's reference does not have of a row."""
    service, _, name = action.partition(":")
    known = reference().get(service, {}).get("actions", {}).get(name)
    if known is None:
        return [f"{action}: no such action"]
    kinds = {entry["resource_type"].rstrip("*"): families(entry["condition_keys"]) for entry in known}
    found = []
    for kind, keys in row.items():
        plain = kind.rstrip("*")
        if plain not in kinds and not (plain == "" and not keys):
            found.append(f"{action}: names no {plain}")
            continue
        of_kind = set() if service == "ec2" or not plain else families(reference()[service]["kinds"][plain])
        found += [f"{action}: {plain} carries no {key}" for key in keys - kinds[plain] - of_kind - kinds.get("", set())]
    return found


@pytest.mark.parametrize("service", sorted({action.partition(":")[0] for action in actions.table()}))
def test_every_action_with_its_resources_and_keys_is_in_awss_reference(service: str) -> None:
    rows = {action: dict(row) for action, row in actions.table().items() if action.startswith(f"{service}:")}
    assert rows
    assert [problem for action, row in rows.items() for problem in wrong(action, row)] == []


@pytest.mark.parametrize(
    ("action", "row", "why"),
    [
        ("ec2:CreateVpcs", {}, "no such action"),
        ("ec2:CreateVpc", {"role": frozenset()}, "names no role"),
        ("ec2:CreateVpc", {"vpc*": frozenset({"ec2:createaction"})}, "vpc carries no ec2:createaction"),
        ("eks:CreateNodegroup", {"cluster*": frozenset({"iam:passedtoservice"})}, "cluster carries no iam:passed"),
    ],
)
def test_a_slip_in_the_table_would_be_found(action: str, row: dict[str, frozenset[str]], why: str) -> None:
    (problem,) = wrong(action, row)
    assert why in problem


def test_every_action_that_the_program_grants_has_an_entry() -> None:
    told = [*controller_policies(SCOPE, "arn:aws:iam::111122223333:role/n", "arn:aws:sqs:eu-west-1:1:q").values()]
    told.append(documents.experiment_policy(SCOPE, {"a": "b"}))
    told.append(documents.flow_log_policy("arn:aws:logs:eu-west-1:111122223333:log-group:g"))
    asked = {action for each in told for statement in statements(each) for action in listed(statement["Action"])}
    assert len(asked) > 20
    assert asked - actions.table().keys() == set()


def test_a_call_is_held_to_its_row() -> None:
    instance = Resource(
        arn="arn:aws:ec2:eu-west-1:111122223333:instance/i-1",
        kind="instance",
        keys={"aws:ResourceTag/a": "b", "ec2:ResourceTag/a": "b"},
    )
    everywhere = {"aws:RequestedRegion": "eu-west-1", "ec2:Region": "eu-west-1", "AWS:principalarn": "x"}
    actions.check(Request(action="ec2:TerminateInstances", resources=(instance, instance), keys=everywhere))
    for request, why in (
        (Request(action="ec2:TerminateInstances", resources=()), "must name a instance"),
        (Request(action="ec2:TerminateInstances", resources=(instance,), keys={"ec2:CreateAction": "x"}), "carries no"),
        (Request(action="ec2:Terminate"), "nobody may call it"),
        (Request(action="ec2:DescribeInstances", resources=(instance,)), "names no instance"),
    ):
        with pytest.raises(actions.UnlistedCallError, match=why):
            actions.check(request)


ACCOUNT, REGION = "111122223333", "eu-west-1"
SCOPE = Scope(cluster="c", region=REGION, partition="aws", account_id=ACCOUNT)
TAGS = {"karpenter.sh/nodepool": "spot", "drill": "c"}


def as_fis(tags: dict[str, str]) -> list[Request]:
    """The calls of an experiment that sends an interruption to an instance with these tags."""
    keys = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
    instance = Resource(arn=f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1", kind="instance", keys=keys)
    return [
        Request(action="ec2:DescribeInstances"),
        Request(action="ec2:SendSpotInstanceInterruptions", resources=(instance,)),
    ]


def test_an_experiment_may_interrupt_the_clusters_nodes_and_nothing_else() -> None:
    def refused(told: dict[str, Any], tags: dict[str, str]) -> list[str]:
        role = f"arn:aws:iam::{ACCOUNT}:role/e"
        caller = Caller(arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/e/s", role=role, identity=(told,))
        for request in as_fis(tags):
            actions.check(request)
        return [request.action for request in as_fis(tags) if not decide(request, caller)]

    told = documents.experiment_policy(SCOPE, TAGS)
    assert refused(told, TAGS) == []
    assert refused(told, {**TAGS, "drill": "another"}) == ["ec2:SendSpotInstanceInterruptions"]
    assert refused(told, {}) == ["ec2:SendSpotInstanceInterruptions"]
    for number, _ in enumerate(told["Statement"]):
        rest = [entry for place, entry in enumerate(told["Statement"]) if place != number]
        assert refused({**told, "Statement": rest}, TAGS) != []


@pytest.mark.parametrize("account", [ACCOUNT, "999988887777"])
def test_fis_assumes_the_role_for_experiments_of_this_account_alone(account: str) -> None:
    trust = documents.experiment_trust(SCOPE)
    role = Resource(arn=f"arn:aws:iam::{ACCOUNT}:role/e", kind="role", policy=trust)
    source = f"arn:aws:fis:{REGION}:{account}:experiment/EXP1"
    keys = {"aws:SourceAccount": account, "aws:SourceArn": source}
    request = Request(action="sts:AssumeRole", resources=(role,), keys=keys)
    actions.check(request)
    assert bool(decide(request, Caller(arn="fis.amazonaws.com"))) is (account == ACCOUNT)


@pytest.mark.parametrize(
    ("rule", "secure", "allowed"),
    [("ours", True, True), ("another", True, False), ("ours", False, False)],
)
def test_the_queue_takes_events_of_this_stacks_rules_over_tls(rule: str, secure: bool, allowed: bool) -> None:
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
    rules = [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/ours"]
    queue = Resource(arn=arn, kind="queue", policy=documents.queue_policy(arn, rules))
    keys = {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule}", "aws:SecureTransport": secure}
    request = Request(action="sqs:SendMessage", resources=(queue,), keys=keys)
    actions.check(request)
    assert bool(decide(request, Caller(arn="events.amazonaws.com"))) is allowed
