"""Faults of access and identity: who may join, with which role, and what Karpenter may do."""

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from tests.lab.faults import CLUSTER, CONTROLLER_ROLE, NODE_ROLE, Faults, role_arn, swapped
from tests.lab.running import Lab

FAULTS = Faults()

ENTRY = f"{CLUSTER}/{role_arn(NODE_ROLE)}"
ASSOCIATION = f"{CLUSTER}/kube-system/karpenter"
POLICY = f"arn:aws:iam::123456789012:policy/{CLUSTER}-karpenter-{{group}}"


def mapped(lab: Lab, change: Any) -> Iterator[None]:
    """``mapRoles`` changed by hand; put back as it was."""
    before = lab.get("configmap", "aws-auth", "kube-system")["data"]["mapRoles"]
    after = yaml.safe_dump([new for mapping in yaml.safe_load(before) if (new := change(mapping))])
    lab.patch("configmap", "aws-auth", {"data": {"mapRoles": after}}, "kube-system")
    yield
    lab.patch("configmap", "aws-auth", {"data": {"mapRoles": before}}, "kube-system")


@contextmanager
def policy_changed(lab: Lab, group: str, change: Callable[[dict[str, Any]], None]) -> Generator[Callable[[], None]]:
    """One of the controller's policies changed by hand; yields what puts it back, which the end does otherwise."""
    arn = POLICY.format(group=group)
    version = lab.aws("iam", "get_policy", PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = lab.aws("iam", "get_policy_version", PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    change(document)
    told = {"PolicyArn": arn, "PolicyDocument": json.dumps(document), "SetAsDefault": True}
    made = lab.aws("iam", "create_policy_version", **told)["PolicyVersion"]["VersionId"]

    def put_back() -> None:
        lab.aws("iam", "set_default_policy_version", PolicyArn=arn, VersionId=version)

    try:
        yield put_back
    finally:
        put_back()
        lab.aws("iam", "delete_policy_version", PolicyArn=arn, VersionId=made)


def detached(lab: Lab, role: str, arn: str) -> Iterator[None]:
    yield from swapped(lab, "iam", "detach_role_policy", "attach_role_policy", RoleName=role, PolicyArn=arn)


def ours(one: dict[str, Any]) -> bool:
    return one["rolearn"] == role_arn(NODE_ROLE)


@FAULTS.named("node-role", "mapRoles does not list")
def the_role_is_missing_from_aws_auth(lab: Lab) -> Iterator[None]:
    yield from mapped(lab, lambda one: None if ours(one) else one)


@FAULTS.named("node-role", "lacks system:nodes")
def the_role_is_mapped_without_the_nodes_group(lab: Lab) -> Iterator[None]:
    yield from mapped(lab, lambda one: {**one, "groups": ["system:bootstrappers"]} if ours(one) else one)


@FAULTS.named("node-role", "which is another ARN")
def another_accounts_role_is_mapped(lab: Lab) -> Iterator[None]:
    other = role_arn(NODE_ROLE).replace("123456789012", "999999999999")
    yield from mapped(lab, lambda one: {**one, "rolearn": other} if ours(one) else one)


@FAULTS.named("node-role", "type STANDARD goes before the mapping")
def an_access_entry_of_another_type_goes_before_aws_auth(lab: Lab) -> Iterator[None]:
    role = lab.aws("iam", "get_role", RoleName=NODE_ROLE)["Role"]["RoleId"]
    row = {"type": "STANDARD", "by": "user", "roleId": role, "groups": [], "userName": "", "tags": {}}
    lab.tables().put("access-entries", ENTRY, {**row, "createdAt": 4102444800.0})
    yield
    lab.tables().remove("access-entries", ENTRY)


@FAULTS.named("instance-profile", "holds no role", also=("node-classes", "node-pools"))
def the_instance_profile_holds_no_role(lab: Lab) -> Iterator[None]:
    given = {"InstanceProfileName": NODE_ROLE, "RoleName": NODE_ROLE}
    yield from swapped(lab, "iam", "remove_role_from_instance_profile", "add_role_to_instance_profile", **given)


@FAULTS.named("instance-profile", "lacks AmazonEC2ContainerRegistryPullOnly")
def the_node_role_lost_a_policy(lab: Lab) -> Iterator[None]:
    attached = lab.aws("iam", "list_attached_role_policies", RoleName=NODE_ROLE)["AttachedPolicies"]
    arn = next(
        policy["PolicyArn"] for policy in attached if policy["PolicyName"] == "AmazonEC2ContainerRegistryPullOnly"
    )
    yield from detached(lab, NODE_ROLE, arn)


@FAULTS.named("controller-permissions", "iam:PassRole", also=("node-classes", "node-pools"))
def the_controller_may_pass_another_role_only(lab: Lab) -> Iterator[None]:
    def to_another(document: dict[str, Any]) -> None:
        (statement,) = document["Statement"]
        statement["Resource"] = role_arn("another")

    with policy_changed(lab, "iam-integration", to_another):
        yield


@FAULTS.named("controller-permissions", "interruption is not attached")
def the_controller_lost_a_policy(lab: Lab) -> Iterator[None]:
    yield from detached(lab, CONTROLLER_ROLE, POLICY.format(group="interruption"))


@FAULTS.named("controller-identity", "no Pod Identity association")
def the_pod_identity_association_is_gone(lab: Lab) -> Iterator[None]:
    row = lab.tables().remove("pod-identities", ASSOCIATION)
    assert row is not None
    yield
    lab.tables().put("pod-identities", ASSOCIATION, row)


@FAULTS.named("controller-identity", "does not allow pods.eks.amazonaws.com sts:TagSession")
def the_controllers_role_does_not_trust_pod_identity(lab: Lab) -> Iterator[None]:
    before = lab.aws("iam", "get_role", RoleName=CONTROLLER_ROLE)["Role"]["AssumeRolePolicyDocument"]
    after = json.loads(json.dumps(before))
    for statement in after["Statement"]:
        statement["Action"] = ["sts:AssumeRole"]
    trust = "update_assume_role_policy"
    lab.aws("iam", trust, RoleName=CONTROLLER_ROLE, PolicyDocument=json.dumps(after))
    yield
    lab.aws("iam", trust, RoleName=CONTROLLER_ROLE, PolicyDocument=json.dumps(before))


@FAULTS.named("spot-role", "the account has no such role")
def the_service_linked_role_of_spot_is_gone(lab: Lab) -> Iterator[None]:
    path = "/aws-service-role/spot.amazonaws.com/"
    for role in lab.aws("iam", "list_roles", PathPrefix=path)["Roles"]:
        lab.aws("iam", "delete_role", RoleName=role["RoleName"])
    yield
    lab.aws("iam", "create_service_linked_role", AWSServiceName="spot.amazonaws.com")
