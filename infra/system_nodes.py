"""The system managed node group: small, tainted, fixed in size. Karpenter, CoreDNS and Argo CD live here."""

import base64
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import ec2, eks

from infra import names
from infra.roles import node_role
from infra.settings.models import SystemNodeGroup

TAGGED: Final = ("instance", "volume", "network-interface")
"""What a launch template tags. Source: the tagSpecifications of
https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html#launch-template-tagging
"""
HOP_LIMIT: Final = 1
"""IMDS answers the host only: pods get credentials from Pod Identity, never the node's (CKV_AWS_341)."""


@dataclass(frozen=True, kw_only=True)
class SystemNodesArgs:
    """Arguments of the group. ``after``: what must exist before a node can become Ready.

    ``user_data``: beside EKS's own; empty for none.
    ``tags``: of the nodes and of what belongs to them, which the provider's default tags do not reach.
    ``volumes_key_arn``: of their root volumes; None for the account's key for EBS.
    """

    cluster_name: pulumi.Input[str]
    stack_names: names.StackNames
    subnet_ids: pulumi.Input[list[str]]
    kubernetes_version: str
    config: SystemNodeGroup
    tags: dict[str, str]
    user_data: str
    volumes_key_arn: str | None = None
    after: tuple[pulumi.Resource, ...]


class SystemNodes(pulumi.ComponentResource):
    """The node group, its launch template and a role of its own, which EKS admits by itself."""

    role_arn: pulumi.Output[str]
    """ARN of the group's role."""
    node_group_name: pulumi.Output[str]
    """Name of the node group."""

    def __init__(self, name: str, args: SystemNodesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:SystemNodes", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role, attachments = node_role(self, name, args.stack_names, args.stack_names.role("system-node"))
        template = ec2.LaunchTemplate(
            f"{name}-template",
            update_default_version=True,
            user_data=base64.b64encode(args.user_data.encode()).decode() if args.user_data else None,
            opts=child,
            metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=HOP_LIMIT
            ),
            block_device_mappings=[
                ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name="/dev/xvda",
                    ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        volume_size=args.config.volume_gib,
                        volume_type="gp3",
                        encrypted="true",
                        kms_key_id=args.volumes_key_arn,
                        delete_on_termination="true",
                    ),
                )
            ],
            tag_specifications=[
                ec2.LaunchTemplateTagSpecificationArgs(
                    resource_type=kind, tags=args.tags | {"Name": args.stack_names.role("system-node")}
                )
                for kind in TAGGED
            ],
        )
        key, value = names.SYSTEM_NODE_LABEL
        self.node_group = eks.NodeGroup(
            f"{name}-group",
            cluster_name=args.cluster_name,
            node_role_arn=role.arn,
            subnet_ids=args.subnet_ids,
            instance_types=list(args.config.instance_types),
            ami_type=args.config.ami_type,
            version=args.config.kubernetes_version or args.kubernetes_version,
            release_version=args.config.release_version,
            capacity_type="ON_DEMAND",
            launch_template=eks.NodeGroupLaunchTemplateArgs(id=template.id, version=template.latest_version.apply(str)),
            scaling_config=eks.NodeGroupScalingConfigArgs(
                min_size=args.config.size, desired_size=args.config.size, max_size=args.config.size + 1
            ),
            update_config=eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
            node_repair_config=eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            labels={key: value},
            taints=[eks.NodeGroupTaintArgs(key=names.SYSTEM_TAINT_KEY, value="true", effect="NO_SCHEDULE")],
            # Role policies must be attached before the first node, and outlive the last; no value carries that edge.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*attachments, *args.after]),
        )
        self.role_arn = role.arn
        self.node_group_name = self.node_group.node_group_name
        self.register_outputs({"roleArn": self.role_arn, "nodeGroupName": self.node_group_name})
