"""Admission to the cluster: node roles, and what admits one.

A node whose role the cluster does not know never appears: its instance runs, the kubelet is refused, nothing says why.
So an EC2NodeClass takes an ``AdmittedNodeRole``, and only ``Cluster`` hands those out, for roles that it admitted.
"""

from dataclasses import dataclass
from typing import Final, Literal

import pulumi
import pulumi_eks as eks

NodeAccess = Literal["aws-auth", "both", "access-entry"]

NODE_USERNAME: Final = "system:node:{{EC2PrivateDNSName}}"
NODE_GROUPS: Final = ("system:bootstrappers", "system:nodes")
"""Kubernetes user name and groups of a node in ``aws-auth``.

Source: https://karpenter.sh/docs/getting-started/migrating-from-cas/#update-aws-auth-configmap
"""


@dataclass(frozen=True, kw_only=True)
class NodeRole:
    """A role that instances use, with the instance profile that holds it. Not yet admitted by any cluster.

    ``key`` is its stable name inside the stack.
    """

    key: str
    arn: pulumi.Output[str]
    instance_profile_name: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True)
class AdmittedNodeRole:
    """A node role that a cluster admitted. Made by ``Cluster`` alone; the only thing an EC2NodeClass accepts.

    Its value is released only when the cluster's own access records are written.
    """

    instance_profile_name: pulumi.Output[str]


def role_mappings(access: NodeAccess, roles: tuple[NodeRole, ...]) -> list[eks.RoleMappingArgs]:
    """``mapRoles`` of the ``aws-auth`` ConfigMap for these node roles."""
    return [] if access == "access-entry" else [node_mapping(role.arn) for role in roles]


def node_mapping(role_arn: pulumi.Input[str]) -> eks.RoleMappingArgs:
    """A row of ``mapRoles`` that lets nodes of this role in, as EKS itself writes it for a managed node group.

    Where the program does not declare the row of such a group, EKS's own is drift, and the next update takes it away.
    Source: https://docs.aws.amazon.com/eks/latest/userguide/delete-managed-node-group.html
    """
    mapped = pulumi.Output.from_input(role_arn).apply(_without_path)
    return eks.RoleMappingArgs(role_arn=mapped, username=NODE_USERNAME, groups=list(NODE_GROUPS))


def _without_path(role_arn: str) -> str:
    """A role's ARN as ``aws-auth`` knows it: who signs in is told by the role's name alone.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/troubleshooting_iam.html#security-iam-troubleshoot-ConfigMap
    """
    prefix, _, role = role_arn.partition(":role/")
    return f"{prefix}:role/{role.rpartition('/')[2]}"


def access_entries(access: NodeAccess, roles: tuple[NodeRole, ...]) -> dict[str, eks.AccessEntryArgs]:
    """EKS access entries for these node roles, of type EC2_LINUX: a STANDARD entry lets no node in.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html
    """
    if access == "aws-auth":
        return {}
    return {role.key: eks.AccessEntryArgs(principal_arn=role.arn, type=eks.AccessEntryType.EC2_LINUX) for role in roles}
