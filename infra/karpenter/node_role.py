"""The role that Karpenter's nodes use, and the instance profile that holds it."""

from dataclasses import dataclass

import pulumi
from pulumi_aws import iam

from infra import names
from infra.node_access import NodeRole
from infra.roles import node_role


@dataclass(frozen=True, kw_only=True)
class KarpenterNodeRoleArgs:
    """Arguments: the cluster. ``spot_service_linked_role``: create the account's Spot role too."""

    stack_names: names.StackNames
    spot_service_linked_role: bool


class KarpenterNodeRole(pulumi.ComponentResource):
    """The node role, and where the account lacks it, the role that EC2 needs to launch Spot instances at all."""

    arn: pulumi.Output[str]
    """ARN of the node role."""
    instance_profile_name: pulumi.Output[str]
    """Name of the instance profile. It is ours, not Karpenter's, so that the role can always be deleted."""

    def __init__(self, name: str, args: KarpenterNodeRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:KarpenterNodeRole", name, None, opts)
        role, attachments = node_role(self, name, args.stack_names, args.stack_names.role("karpenter-node"))
        # An instance must not start before its role may do its work; no value carries that edge.
        profile = iam.InstanceProfile(
            f"{name}-profile",
            name=args.stack_names.role("karpenter-node"),
            tags=args.stack_names.owner_tags,
            path=args.stack_names.iam_path,
            role=role.name,
            opts=pulumi.ResourceOptions(parent=self, depends_on=attachments, ignore_changes=["path"]),
        )
        if args.spot_service_linked_role:
            iam.ServiceLinkedRole(
                f"{name}-spot",
                aws_service_name="spot.amazonaws.com",
                description="EC2 launches Spot instances with this role",
                # The account's, not the stack's: another cluster's Spot instances may need it still.
                opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
            )
        self.arn = role.arn
        self.instance_profile_name = profile.name
        self.node_role = NodeRole(key="karpenter-nodes", arn=self.arn, instance_profile_name=self.instance_profile_name)
        self.register_outputs({"arn": self.arn, "instanceProfileName": self.instance_profile_name})
