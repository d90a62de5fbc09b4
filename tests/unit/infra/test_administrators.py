"""Who has an access entry: administrators, and who only reads; no entry of an older stack is replaced."""

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


DRIFT, PREVIEW = arn("111122223333", "ci/drift"), arn("111122223333", "ci/preview")


@pytest.fixture(scope="module")
def plan() -> list[Registration]:
    listed = {"adminRoleArns": ARNS, "adminViewRoleArns": [DRIFT], "viewRoleArns": [PREVIEW]}
    cluster: dict[str, Any] = committed("prod")["cluster"] | listed
    return list(record("prod", config_overrides={"cluster": cluster}))


@pytest.fixture(scope="module")
def declared(plan: list[Registration]) -> dict[str, list[Registration]]:
    return {
        kind: [
            found
            for found in plan
            if found.type == kind and found.name.startswith(("cluster-admin-1", "cluster-admin-4"))
        ]
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

    assert aliases[ARNS[2]][-1] == f"{COMPONENT}${ENTRY}::cluster-eks-admin-platform-admin"
    assert aliases[ARNS[3]][-1] == f"{COMPONENT}${ENTRY}::cluster-eks-admin-break-glass"
    assert not [alias for only in (ARNS[0], ARNS[1]) for alias in aliases[only] if "eks:index:Cluster" in alias]
    former = f"{COMPONENT}${ENTRY}${ASSOCIATION}::cluster-eks-admin-break-glass-admin"
    assert former in of_policies[ARNS[3]]


def test_an_administrator_can_enter_before_the_first_kubernetes_object_and_until_the_last(
    declared: dict[str, list[Registration]],
) -> None:
    (provider,) = declared["provider"]

    assert {found.urn for found in declared[ENTRY] + declared[ASSOCIATION]} <= set(provider.dependencies)


def test_who_only_reads_has_an_entry_with_a_policy_that_writes_nothing(plan: list[Registration]) -> None:
    policies = {
        found.inputs["principalArn"]: found.inputs["policyArn"].rpartition("/")[2]
        for found in plan
        if found.type == ASSOCIATION and found.inputs["accessScope"] == {"type": "cluster"}
    }
    assert policies == dict.fromkeys(ARNS, "AmazonEKSClusterAdminPolicy") | {
        DRIFT: "AmazonEKSAdminViewPolicy",
        PREVIEW: "AmazonEKSViewPolicy",
    }
    entries = {found.inputs["principalArn"] for found in plan if found.type == ENTRY and "type" not in found.inputs}
    assert entries >= policies.keys()


def test_a_role_that_moves_to_another_list_keeps_its_entry(plan: list[Registration]) -> None:
    kinds = {"admin": ARNS[1], "admin-view": DRIFT, "view": PREVIEW}
    for kind in (ENTRY, ASSOCIATION):
        made = {found.inputs["principalArn"]: found for found in plan if found.type == kind}
        for may, role in kinds.items():
            account, _, path = role.partition(":iam::")[2].partition(":role/")
            suffix = (lambda may: f"-{may}") if kind == ASSOCIATION else (lambda _: "")
            names = {other: f"cluster-{other}-{account}/{path}{suffix(other)}" for other in kinds}
            before, _, name = made[role].urn.rpartition("::")
            assert name == names[may]
            assert {f"{before}::{names[other]}" for other in kinds if other != may} <= set(made[role].aliases)
