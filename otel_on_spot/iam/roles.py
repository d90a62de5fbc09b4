"""A role's session, or a user, as a caller, read from IAM."""

import json
from typing import Any

from otel_on_spot.iam.decisions import Caller
from otel_on_spot.iam.policies import tags_of


def caller_of_role(iam: Any, name: str, session_arn: str = "") -> Caller:
    """The session of a role, with every policy that the role has now, as text: which is read and sorted once.

    Args:
        iam: a boto3 client of IAM.
        name: of the role.
        session_arn: of the session; empty makes the role's own session up.

    Raises:
        ClientError: there is no such role, or it may not be read.
    """
    role = iam.get_role(RoleName=name)["Role"]
    documents = [
        iam.get_role_policy(RoleName=name, PolicyName=inline)["PolicyDocument"]
        for page in iam.get_paginator("list_role_policies").paginate(RoleName=name)
        for inline in page["PolicyNames"]
    ]
    documents += [
        managed_policy(iam, policy["PolicyArn"])
        for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
        for policy in page["AttachedPolicies"]
    ]
    boundary = (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
    _, partition, _, _, account, _ = role["Arn"].split(":", 5)
    return Caller(
        arn=session_arn or f"arn:{partition}:sts::{account}:assumed-role/{name}/simulated",
        role=role["Arn"],
        identity=tuple(map(json.dumps, documents)),
        boundary=json.dumps(managed_policy(iam, boundary)) if boundary else None,
        tags=tags_of(role.get("Tags")),
    )


def caller_of_user(iam: Any, name: str) -> Caller:
    """A user, with every policy that it has now, those of its groups among them.

    Raises:
        ClientError: there is no such user, or it may not be read.
    """
    user = iam.get_user(UserName=name)["User"]
    inline = iam.list_user_policies(UserName=name)["PolicyNames"]
    documents = [iam.get_user_policy(UserName=name, PolicyName=policy_name)["PolicyDocument"] for policy_name in inline]
    attached = iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
    for group in iam.list_groups_for_user(UserName=name)["Groups"]:
        told = group["GroupName"]
        documents += [
            iam.get_group_policy(GroupName=told, PolicyName=policy_name)["PolicyDocument"]
            for policy_name in iam.list_group_policies(GroupName=told)["PolicyNames"]
        ]
        attached += iam.list_attached_group_policies(GroupName=told)["AttachedPolicies"]
    documents += [managed_policy(iam, policy["PolicyArn"]) for policy in attached]
    boundary = (user.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
    return Caller(
        arn=user["Arn"],
        identity=tuple(documents),
        boundary=managed_policy(iam, boundary) if boundary else None,
        tags=tags_of(user.get("Tags")),
    )


def managed_policy(iam: Any, arn: str) -> Any:
    """The document of a managed policy, in its default version."""
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
