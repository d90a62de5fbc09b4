"""Roles and policies of a stack in IAM: all named, tagged as its own, in its path and within its boundary."""

import json
from collections.abc import Callable
from typing import Final

import pulumi
from pulumi_aws import iam

from infra import documents
from infra.names import StackNames

NODE_POLICIES: Final = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonSSMManagedInstanceCore",
)
"""Managed policies that every node role has: join, pull, and a shell without SSH. The network plugin has its own role.

Source: https://karpenter.sh/v1.14/reference/cloudformation/#node-authorization
"""


def in_account(
    stack_names: StackNames,
    account_id: pulumi.Input[str],
    document: Callable[[documents.Scope], documents.Document],
    written: Callable[[documents.Document], str] = json.dumps,
) -> pulumi.Output[str]:
    """A document that names the account, as JSON, once the account is known.

    Args:
        stack_names: of the stack that it is about.
        account_id: its account.
        document: what to write of both.
        written: how.
    """
    return pulumi.Output.from_input(account_id).apply(
        lambda account: written(document(documents.Scope.of(stack_names, account)))
    )


def role(
    parent: pulumi.Resource, logical_name: str, stack_names: StackNames, name: str, trust: pulumi.Input[str]
) -> iam.Role:
    """A role. One that is there keeps its path: another would replace it under a living cluster.

    Args:
        parent: the component that it belongs to.
        logical_name: Pulumi's name of it.
        stack_names: of the stack.
        name: IAM's name of it.
        trust: who may assume it, as JSON.
    """
    return iam.Role(
        logical_name,
        name=name,
        tags=stack_names.owner_tags,
        path=stack_names.iam_path,
        permissions_boundary=stack_names.permissions_boundary,
        assume_role_policy=trust,
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["path"]),
    )


def attached_policy(
    parent: pulumi.Resource,
    logical_name: str,
    stack_names: StackNames,
    name: str,
    text: pulumi.Input[str],
    to: iam.Role,
) -> iam.RolePolicyAttachment:
    """A managed policy of the stack's own on a role; it keeps its path as a role does.

    Args:
        parent: the component that it belongs to.
        logical_name: Pulumi's name of it.
        stack_names: of the stack.
        name: IAM's name of it.
        text: what it allows, as JSON.
        to: the role.
    """
    policy = iam.Policy(
        logical_name,
        name=name,
        tags=stack_names.owner_tags,
        path=stack_names.iam_path,
        policy=text,
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["path"]),
    )
    return iam.RolePolicyAttachment(
        logical_name, role=to.name, policy_arn=policy.arn, opts=pulumi.ResourceOptions(parent=parent)
    )


def node_role(
    parent: pulumi.Resource, component: str, stack_names: StackNames, name: str
) -> tuple[iam.Role, list[iam.RolePolicyAttachment]]:
    """A role of nodes, and the policies that must be attached before the first node and outlive the last.

    Args:
        parent: the component that they belong to.
        component: its name.
        stack_names: of the stack.
        name: IAM's name of the role.
    """
    trust = json.dumps(documents.service_trust("ec2.amazonaws.com"))
    made = role(parent, f"{component}-role", stack_names, name, trust)
    child = pulumi.ResourceOptions(parent=parent)
    return made, [
        iam.RolePolicyAttachment(
            f"{component}-{policy}", role=made.name, policy_arn=stack_names.aws_policy(policy), opts=child
        )
        for policy in NODE_POLICIES
    ]
