"""The table of what each action names and carries, held against AWS's service authorization reference."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import parliament
import pytest

from infra import documents
from infra.karpenter.policies import Scope, controller_policies
from otel_on_spot.iam import actions
from otel_on_spot.iam.conditions import listed
from otel_on_spot.iam.decisions import Request, Resource
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
    kinds = {one["resource_type"].rstrip("*"): families(one["condition_keys"]) for one in known}
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
    scope = Scope(cluster="c", region="eu-west-1", partition="aws", account_id="111122223333")
    told = [*controller_policies(scope, "arn:aws:iam::111122223333:role/n", "arn:aws:sqs:eu-west-1:1:q").values()]
    told.append(documents.experiment_policy("aws", "eu-west-1", "111122223333", {"a": "b"}))
    told.append(documents.flow_log_policy("arn:aws:logs:eu-west-1:111122223333:log-group:g"))
    asked = {action for each in told for statement in statements(each) for action in listed(statement["Action"])}
    assert len(asked) > 30
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
