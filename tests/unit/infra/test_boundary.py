"""An account that asks for a permissions boundary and a path gets both on whatever IAM holds of the stack."""

from typing import Any

import pytest

from infra.names import StackNames
from otel_on_spot.plan.record import record
from otel_on_spot.program.recording import Recording

BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"
IAM: dict[str, Any] = {"permissionsBoundary": BOUNDARY, "path": "/platform/"}
KARPENTER = {"version": "1.14.3", "interruptionExperiments": True}
ROLE, PATHED = "aws:iam/role:Role", ("aws:iam/policy:Policy", "aws:iam/instanceProfile:InstanceProfile")


@pytest.fixture(scope="module")
def bounded() -> Recording:
    network = {"cidr": "10.10.0.0/16", "zones": ["eu-west-1a", "eu-west-1b"], "flowLogs": True}
    return record("dev", config_overrides={"iam": IAM, "karpenter": KARPENTER, "network": network})


def test_every_role_has_the_boundary_and_all_have_the_path(bounded: Recording) -> None:
    roles = bounded.of_type(ROLE)

    assert len(roles) == 8
    assert {role.inputs.get("permissionsBoundary") for role in roles} == {BOUNDARY}
    for kind in (ROLE, *PATHED):
        assert {made.inputs.get("path") for made in bounded.of_type(kind)} == {"/platform/"}, kind


def test_without_them_nothing_is_declared_of_them(plan: Recording) -> None:
    for made in (made for kind in (ROLE, *PATHED) for made in plan.of_type(kind)):
        assert not {"path", "permissionsBoundary"} & {*made.inputs}, made.name


def test_what_is_there_keeps_its_path(bounded: Recording) -> None:
    made = [found for kind in (ROLE, *PATHED) for found in bounded.of_type(kind)]

    assert [found.name for found in made if "path" not in found.ignore_changes] == []


def test_nodes_are_mapped_without_the_path(bounded: Recording) -> None:
    mapped = bounded.named("kubernetes:core/v1:ConfigMap", "cluster-eks-nodeAccess").inputs["data"]["mapRoles"]

    assert "arn:aws:iam::111122223333:role/otel-dev-karpenter-node" in mapped
    assert "/platform/" not in mapped


def test_the_arn_of_a_role_follows_from_its_path() -> None:
    plain, pathed = (StackNames(cluster="c", region="eu-west-1", iam_path=path) for path in (None, "/a/b/"))

    assert plain.role_arn("123456789012", "karpenter-node") == "arn:aws:iam::123456789012:role/c-karpenter-node"
    assert pathed.role_arn("123456789012", "karpenter-node") == "arn:aws:iam::123456789012:role/a/b/c-karpenter-node"
