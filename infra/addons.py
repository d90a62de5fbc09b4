"""EKS add-ons, pinned, in an order that cannot deadlock.

Before the nodes: what a node needs to become Ready. After the nodes: what needs a node to run on.
"""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

import pulumi
from pulumi_aws import eks, iam

from infra import documents, names, roles

STAGES: Final = {
    "before-nodes": ("eks-pod-identity-agent", "vpc-cni", "kube-proxy"),
    "after-nodes": (
        "coredns",
        "aws-ebs-csi-driver",
        "eks-node-monitoring-agent",
        "metrics-server",
        "snapshot-controller",
    ),
}
SYSTEM_TOLERATION: Final = {"key": names.SYSTEM_TAINT_KEY, "operator": "Exists"}
ON_SYSTEM_NODES: Final = {"nodeSelector": dict([names.SYSTEM_NODE_LABEL])}
"""Holds a Deployment where Karpenter lives: after a drain it would land on Karpenter's nodes, and go with them.

Source: the keys of `aws eks describe-addon-configuration`, as in
https://github.com/aws-ia/terraform-aws-eks-blueprints-addons/issues/157 and
https://github.com/jupyter-infra/jupyter-k8s/pull/289
"""
CONFIGURATION: Final[dict[str, dict[str, Any]]] = {
    # Source: https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy-configure.html
    "vpc-cni": {"enableNetworkPolicy": "true"},
    # EKS keeps two replicas, and more as nodes and cores grow.
    # Source: https://docs.aws.amazon.com/eks/latest/userguide/coredns-autoscaling.html
    "coredns": {**ON_SYSTEM_NODES, "autoScaling": {"enabled": True}},
    # Its pods would otherwise wait for a Karpenter node, and the add-on for its pods.
    "metrics-server": {**ON_SYSTEM_NODES, "tolerations": [SYSTEM_TOLERATION]},
    # Source: https://github.com/aws/containers-roadmap/issues/2311
    "snapshot-controller": {**ON_SYSTEM_NODES, "tolerations": [SYSTEM_TOLERATION]},
}
OUTLIVED: Final = frozenset({"snapshot-controller"})
"""Add-ons whose objects stay in the cluster when they are taken away: with its CRDs all VolumeSnapshots would go.

Source: https://docs.aws.amazon.com/eks/latest/userguide/removing-an-add-on.html
"""
SERVICE_ACCOUNTS: Final[dict[str, tuple[Literal["vpc-cni", "ebs-csi"], str]]] = {
    "vpc-cni": ("vpc-cni", "aws-node"),
    "aws-ebs-csi-driver": ("ebs-csi", "ebs-csi-controller-sa"),
}
"""Add-on with a role of its own -> (which, part of its logical name too; service account).

Sources: https://docs.aws.amazon.com/eks/latest/userguide/cni-iam-role.html,
https://docs.aws.amazon.com/eks/latest/userguide/ebs-csi.html
"""
EBS_CSI_POLICIES: Final = {
    "account": "service-role/AmazonEBSCSIDriverPolicy",
    "both": "service-role/AmazonEBSCSIDriverPolicy",
    "cluster": "AmazonEBSCSIDriverEKSClusterScopedPolicy",
}
"""``cluster.volumeAccess`` -> policy of the EBS CSI driver: every volume of the account, or those of its cluster.

Source: https://github.com/kubernetes-sigs/aws-ebs-csi-driver/issues/2918
"""


@dataclass(frozen=True, kw_only=True)
class AddonsArgs:
    """Arguments: the add-ons, and what must exist before them.

    ``versions``: add-on name -> version; one not in it is not made. ``cluster_name`` is released when the cluster
    is there. ``tags``: of the volumes that the EBS CSI driver makes, which the provider's default tags do not reach.
    ``volumes_key_arn``: of a key that the driver makes volumes with; None for the account's key for EBS.
    """

    cluster_name: pulumi.Input[str]
    stack_names: names.StackNames
    account_id: pulumi.Input[str]
    tags: dict[str, str]
    volume_access: Literal["account", "both", "cluster"]
    versions: dict[str, str]
    stage: Literal["before-nodes", "after-nodes"]
    volumes_key_arn: str | None = None
    after: tuple[pulumi.Resource, ...]


class Addons(pulumi.ComponentResource):
    """The add-ons of one stage."""

    addon_names: pulumi.Output[list[str]]
    """Names of the add-ons, in the order of their declaration."""

    def __init__(self, name: str, args: AddonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:Addons", name, None, opts)
        self.addons: dict[str, eks.Addon] = {}
        for addon in (addon for addon in STAGES[args.stage] if addon in args.versions):
            configuration = CONFIGURATION.get(addon)
            if addon == "aws-ebs-csi-driver":
                # Source: controller.extraVolumeTags of the chart that the add-on's configuration mirrors,
                # https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/charts/aws-ebs-csi-driver/values.yaml
                configuration = {"controller": ON_SYSTEM_NODES | {"extraVolumeTags": args.tags}}
            identities, policies = self._identity(name, addon, args) if addon in SERVICE_ACCOUNTS else (None, [])
            self.addons[addon] = eks.Addon(
                f"{name}-{addon}",
                cluster_name=args.cluster_name,
                addon_name=addon,
                addon_version=args.versions[addon],
                configuration_values=json.dumps(configuration) if configuration else None,
                pod_identity_associations=identities,
                resolve_conflicts_on_create="OVERWRITE",
                resolve_conflicts_on_update="OVERWRITE",
                preserve=addon in OUTLIVED,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.after, *policies]),
            )
        self.addon_names = pulumi.Output.all(*(addon.addon_name for addon in self.addons.values())).apply(list)
        self.register_outputs({"addonNames": self.addon_names})

    def _identity(
        self, name: str, addon: str, args: AddonsArgs
    ) -> tuple[list[eks.AddonPodIdentityAssociationArgs], list[pulumi.Resource]]:
        """The add-on's own role, through Pod Identity: nodes do not lend it theirs."""
        child = pulumi.ResourceOptions(parent=self)
        key, service_account = SERVICE_ACCOUNTS[addon]
        managed_policy = "AmazonEKS_CNI_Policy" if addon == "vpc-cni" else EBS_CSI_POLICIES[args.volume_access]
        trust = roles.in_account(
            args.stack_names,
            args.account_id,
            lambda scope: documents.pod_identity_trust(scope, "kube-system", service_account),
        )
        role = roles.role(self, f"{name}-{key}", args.stack_names, args.stack_names.role(key), trust)
        policy = iam.RolePolicyAttachment(
            f"{name}-{key}", role=role.name, opts=child, policy_arn=args.stack_names.aws_policy(managed_policy)
        )
        granted: list[pulumi.Resource] = [policy]
        if addon == "aws-ebs-csi-driver" and args.volumes_key_arn:
            granted.append(
                iam.RolePolicy(
                    f"{name}-{key}-volumes-key",
                    role=role.name,
                    policy=json.dumps(documents.volumes_key_policy(args.volumes_key_arn)),
                    opts=child,
                )
            )
        return [eks.AddonPodIdentityAssociationArgs(role_arn=role.arn, service_account=service_account)], granted
