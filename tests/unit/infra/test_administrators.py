"""Administrators: an access entry for each ARN, and no entry of an older stack is replaced."""

from typing import Any

import pytest

from otel_on_spot.plan.record import record
from otel_on_spot.program.recording import Registration
from tests.unit.settings.kinds import arn
from tests.unit.settings.test_settings import committed

ENTRY = "aws:eks/accessEntry:AccessEntry"
ASSOCIATION = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
COMPONENT = "urn:pulumi:prod::otel-on-spot::otel-on-spot:index:Cluster$eks:index:Cluster"
ARNS = [
    arn("111122223333", "platform-admin"),
    arn("444455556666", "platform-admin"),
    arn("111122223333", "team/platform-admin"),
    arn("111122223333", "break-glass"),
]


@pytest.fixture(scope="module")
def declared() -> dict[str, list[Registration]]:
    cluster: dict[str, Any] = committed("prod")["cluster"] | {"adminRoleArns": ARNS}
    plan = list(record("prod", config_overrides={"cluster": cluster}))
    return {
        kind: [found for found in plan if found.type == kind and found.name.startswith("cluster-admin-")]
        for kind in (ENTRY, ASSOCIATION)
    } | {"provider": [found for found in plan if found.name == "cluster-kubernetes"]}


def test_each_arn_has_an_entry_and_its_policy(declared: dict[str, list[Registration]]) -> None:
    for kind in (ENTRY, ASSOCIATION):
        assert [found.inputs["principalArn"] for found in declared[kind]] == ARNS
        assert len({found.name for found in declared[kind]}) == len(ARNS)


def test_the_entry_that_the_component_made_is_kept_by_the_role_that_had_it(
    declared: dict[str, list[Registration]],
) -> None:
    aliases = {found.inputs["principalArn"]: found.aliases for found in declared[ENTRY]}
    of_policies = {found.inputs["principalArn"]: found.aliases for found in declared[ASSOCIATION]}

    assert aliases[ARNS[2]] == (f"{COMPONENT}${ENTRY}::cluster-eks-admin-platform-admin",)
    assert aliases[ARNS[3]] == (f"{COMPONENT}${ENTRY}::cluster-eks-admin-break-glass",)
    assert not aliases[ARNS[0]]
    assert not aliases[ARNS[1]]
    former = f"{COMPONENT}${ENTRY}${ASSOCIATION}::cluster-eks-admin-break-glass-admin"
    assert former in of_policies[ARNS[3]]


def test_an_administrator_can_enter_before_the_first_kubernetes_object_and_until_the_last(
    declared: dict[str, list[Registration]],
) -> None:
    (provider,) = declared["provider"]

    assert {found.urn for found in declared[ENTRY] + declared[ASSOCIATION]} <= set(provider.dependencies)
