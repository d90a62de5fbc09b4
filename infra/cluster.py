"""The EKS cluster, its system nodes and add-ons, and who may join it."""

import json
from dataclasses import dataclass, replace
from typing import Final

import pulumi
import pulumi_eks as eks
import pulumi_kubernetes as kubernetes
from pulumi_aws import cloudwatch, ec2, iam, kms
from pulumi_aws import eks as aws_eks
from pulumi_aws.eks import AccessPolicyAssociationAccessScopeArgs

from infra import documents, names
from infra.addons import Addons, AddonsArgs
from infra.node_access import AdmittedNodeRole, NodeRole, access_entries, node_mapping, role_mappings
from infra.roles import in_account
from infra.settings import models as settings
from infra.system_nodes import SystemNodes, SystemNodesArgs

KEY_DELETION_WINDOW_DAYS: Final = 30
SERVICE_POLICY: Final = "AmazonEKSClusterPolicy"
FORMER_SERVICE_POLICY: Final = "4b490823"
"""The end of the name that pulumi-eks gives the policy's attachment: a hash of its ARN in the ``aws`` partition.

Source: https://github.com/pulumi/pulumi-eks/blob/master/nodejs/eks/servicerole.ts
"""
ROLE: Final = "aws:iam/role:Role"
ATTACHMENT: Final = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
CLUSTER: Final = "otel-on-spot:index:Cluster"
ENTRY: Final = "aws:eks/accessEntry:AccessEntry"
ASSOCIATION: Final = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """Arguments of the cluster.

    ``node_role`` may join, beside the system node group's own role, which EKS admits by itself, and which the program
    maps as well. ``oidc_provider``: make an IAM OIDC provider for IRSA. ``egress_routes``: what must be there before a
    node in ``subnet_ids`` can reach the Internet. ``subnet_ids``: of the control plane and the system nodes, in the
    zones of the control plane's creation; a zone that came later is for Karpenter's nodes only. ``snapshots``: make
    what serves VolumeSnapshots. ``kms_key_arn``: of the key that encrypts secrets and logs; None makes one for secrets.
    ``volumes_key_arn``: of the key of volumes; None for the account's key for EBS.
    ``existing_vpc_id``: of a VPC that the stack did not make. ``node_user_data``: of the system nodes, beside EKS's.
    """

    stack_names: names.StackNames
    config: settings.Cluster
    account_id: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    subnet_ids: pulumi.Input[list[str]]
    egress_routes: tuple[pulumi.Resource, ...]
    node_role: NodeRole
    tags: dict[str, str]
    oidc_provider: bool
    snapshots: bool
    kms_key_arn: str | None = None
    volumes_key_arn: str | None = None
    existing_vpc_id: str | None = None
    node_user_data: str = ""


class Cluster(pulumi.ComponentResource):
    """An EKS cluster that is ready for workloads: control plane, system nodes, DNS, storage, and its doors."""

    name: pulumi.Output[str]
    """Name of the cluster, released when it is there and its access records are written."""
    endpoint: pulumi.Output[str]
    """URL of the Kubernetes API."""
    security_group_id: pulumi.Output[str]
    """Id of the security group that EKS made for control plane and nodes; tagged for Karpenter's discovery."""
    oidc_provider_arn: pulumi.Output[str]
    """ARN of the IAM OIDC provider; empty where the cluster has none."""
    oidc_issuer: pulumi.Output[str]
    """The cluster's OIDC issuer, without ``https://``; empty where the cluster has no provider."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(CLUSTER, name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        config = args.config

        secrets_key_arn = args.kms_key_arn or self._secrets_key(name, args)
        # Made before the cluster writes to it: EKS would make one that never expires.
        log_group = cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/eks/{config.name}/cluster",
            retention_in_days=config.log_retention_days,
            kms_key_id=args.kms_key_arn,
            opts=child,
        )

        service_role, service_policy = _service_role(name, args.stack_names, child)

        # The component writes aws-auth itself: a runner inside the VPC must be admitted before the API answers at all.
        api_access = ec2.SecurityGroup(
            f"{name}-api-access",
            vpc_id=args.vpc_id,
            description="HTTPS to the Kubernetes API from runners in the VPC",
            ingress=[
                ec2.SecurityGroupIngressArgs(
                    protocol="tcp", from_port=443, to_port=443, cidr_blocks=[str(cidr)], description="pulumi up"
                )
                for cidr in config.endpoint.runner_cidrs
            ],
            egress=[],
            tags={"Name": f"{config.name}-api-access"},
            opts=child,
        )

        # By name: the role is made beside the control plane, and EKS maps it itself when the group is made.
        system_role_arn = pulumi.Output.from_input(args.account_id).apply(
            lambda account: args.stack_names.role_arn(account, "system-node")
        )
        control_plane = eks.Cluster(
            f"{name}-eks",
            name=config.name,
            version=config.kubernetes_version,
            vpc_id=args.vpc_id,
            service_role=service_role,
            private_subnet_ids=args.subnet_ids,
            endpoint_private_access=config.endpoint.private,
            endpoint_public_access=config.endpoint.public,
            public_access_cidrs=[str(cidr) for cidr in config.endpoint.public_cidrs]
            if config.endpoint.public
            else None,
            authentication_mode=eks.AuthenticationMode.API_AND_CONFIG_MAP,
            enable_config_map_mutable=True,
            role_mappings=[*role_mappings(config.node_access, (args.node_role,)), node_mapping(system_role_arn)],
            access_entries=access_entries(config.node_access, (args.node_role,)),
            encryption_config_key_arn=secrets_key_arn,
            cluster_tags=_given_tags(args) or None,
            enabled_cluster_log_types=list(config.log_types),
            deletion_protection=config.deletion_protection,
            upgrade_policy=aws_eks.ClusterUpgradePolicyArgs(support_type=config.upgrade_policy)
            if config.upgrade_policy
            else None,
            create_oidc_provider=args.oidc_provider,
            # Nodes, add-ons and security groups are ours or EKS's own; nothing is made behind our back.
            skip_default_node_group=True,
            cluster_security_group=api_access,
            skip_default_security_groups=True,
            bootstrap_self_managed_addons=False,
            use_default_vpc_cni=True,
            coredns_addon_options=eks.CoreDnsAddonOptionsArgs(enabled=False),
            kube_proxy_addon_options=eks.KubeProxyAddonOptionsArgs(enabled=False),
            # The role may do its work before the cluster is made, and until it is gone: no value carries that edge.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[log_group, service_policy]),
        )
        aws_cluster = control_plane.eks_cluster
        self.security_group_id = aws_cluster.vpc_config.cluster_security_group_id
        discovery = [
            ec2.Tag(f"{name}-discovery", resource_id=self.security_group_id, key=tag, value=value, opts=child)
            for tag, value in args.stack_names.discovery_tags.items()
        ]

        # Made when the component is done: what the tag says has happened, see refuse_direct_jump.
        ec2.Tag(
            f"{name}-node-access",
            resource_id=self.security_group_id,
            key=names.NODE_ACCESS_TAG,
            value=config.node_access,
            opts=child,
        )

        administrators = _administrators(name, config.admin_role_arns, aws_cluster.name, child)
        for arn in config.admin_view_role_arns:
            _admitted(name, "admin-view", arn, aws_cluster.name, child)
        for arn in config.view_role_arns:
            _admitted(name, "view", arn, aws_cluster.name, child)

        self.kubernetes_provider = kubernetes.Provider(
            f"{name}-kubernetes",
            kubeconfig=control_plane.kubeconfig_json,
            enable_server_side_apply=True,
            # Plain text, so that no change of the cluster previews as a replacement of the provider and all behind it;
            # with the region, because a cluster of the same name in another one is another cluster, with nothing in it.
            cluster_identifier=f"{args.stack_names.region}/{config.name}",
            # Whoever runs the update may be one of them: their entry is written before the first Kubernetes object, and
            # goes after the last one.
            opts=pulumi.ResourceOptions(parent=self, depends_on=administrators),
        )

        versions = config.addons.by_name()
        if not args.snapshots:
            del versions["snapshot-controller"]
        addons = AddonsArgs(
            cluster_name=aws_cluster.name,
            stack_names=args.stack_names,
            account_id=args.account_id,
            tags=args.tags,
            volume_access=config.volume_access,
            volumes_key_arn=args.volumes_key_arn,
            versions=versions,
            stage="before-nodes",
            after=(),
        )
        before_nodes = Addons(f"{name}-before-nodes", addons, opts=child)
        self.pod_identity_agent = before_nodes.addons["eks-pod-identity-agent"]
        system_nodes = SystemNodes(
            f"{name}-system-nodes",
            SystemNodesArgs(
                cluster_name=aws_cluster.name,
                stack_names=args.stack_names,
                subnet_ids=args.subnet_ids,
                kubernetes_version=config.kubernetes_version,
                config=config.system_nodes,
                tags=args.tags,
                user_data=args.node_user_data,
                volumes_key_arn=args.volumes_key_arn,
                # Without a network plugin a node stays NotReady, without a way out it never joins: the group's creation
                # fails.
                after=(*before_nodes.addons.values(), *args.egress_routes),
            ),
            opts=child,
        )
        after_nodes = Addons(
            f"{name}-after-nodes",
            # CoreDNS and the controllers stay DEGRADED, and time out, until there is a node for their pods.
            replace(addons, stage="after-nodes", after=(system_nodes.node_group,)),
            opts=child,
        )
        self.ready: tuple[pulumi.Resource, ...] = (
            system_nodes.node_group,
            after_nodes.addons["coredns"],
            after_nodes.addons["aws-ebs-csi-driver"],
            *(after_nodes.addons[addon] for addon in ("snapshot-controller",) if args.snapshots),
            *discovery,
        )
        """Resources that workloads need while they live and while they go.

        Nodes for the controllers, names, the driver that deletes their volumes, and a security group for Karpenter to
        find.
        """

        # aws_cluster is released when the component is done: access entries and aws-auth are written by then.
        self.admitted_node_role = AdmittedNodeRole(
            instance_profile_name=pulumi.Output.all(args.node_role.instance_profile_name, aws_cluster.name).apply(
                lambda known: known[0]
            )
        )
        self.name = aws_cluster.name
        self.endpoint = aws_cluster.endpoint
        self.oidc_provider_arn = control_plane.oidc_provider_arn
        self.oidc_issuer = control_plane.oidc_issuer
        self.register_outputs(
            {
                "name": self.name,
                "endpoint": self.endpoint,
                "securityGroupId": self.security_group_id,
                "oidcProviderArn": self.oidc_provider_arn,
                "oidcIssuer": self.oidc_issuer,
            }
        )

    def _secrets_key(self, name: str, args: ClusterArgs) -> pulumi.Output[str]:
        """ARN of a key of the stack's own for Kubernetes secrets."""
        config = args.config
        # Losing the key makes every Kubernetes secret unreadable: where deletion is protected, Pulumi refuses it too.
        key = kms.Key(
            f"{name}-secrets",
            description=f"Kubernetes secrets of {config.name}",
            enable_key_rotation=True,
            deletion_window_in_days=KEY_DELETION_WINDOW_DAYS,
            policy=in_account(
                args.stack_names,
                args.account_id,
                lambda scope: documents.key_policy(scope.account_id, scope.partition),
            ),
            opts=pulumi.ResourceOptions(parent=self, protect=config.deletion_protection),
        )
        kms.Alias(
            f"{name}-secrets",
            name=f"alias/{config.name}-secrets",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return key.arn


def _given_tags(args: ClusterArgs) -> dict[str, str]:
    """Tags that say what the cluster was given, and keeps: infra/living.py reads them."""
    given = {names.SECRETS_KEY_TAG: args.kms_key_arn, names.EXISTING_VPC_TAG: args.existing_vpc_id}
    return {tag: value for tag, value in given.items() if value}


def _service_role(
    name: str, stack_names: names.StackNames, opts: pulumi.ResourceOptions
) -> tuple[iam.Role, iam.RolePolicyAttachment]:
    """The role that EKS assumes to run the cluster, and its policy.

    EKS cannot give a cluster another role, so a living stack keeps the one that the component made and named.
    Source: https://docs.aws.amazon.com/eks/latest/userguide/cluster-iam-role.html
    """
    former = "eks:index:ServiceRole"
    role = iam.Role(
        f"{name}-service-role",
        name=stack_names.role("cluster"),
        tags=stack_names.owner_tags,
        path=stack_names.iam_path,
        permissions_boundary=stack_names.permissions_boundary,
        description="Allows EKS to manage clusters on your behalf.",
        assume_role_policy=json.dumps(documents.cluster_trust()),
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                aliases=_former_urns(f"{former}${ROLE}", f"{name}-eks-eksRole-role"), ignore_changes=["name", "path"]
            ),
        ),
    )
    attachment = iam.RolePolicyAttachment(
        f"{name}-service-role",
        role=role.name,
        policy_arn=stack_names.aws_policy(SERVICE_POLICY),
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                aliases=_former_urns(f"{former}${ATTACHMENT}", f"{name}-eks-eksRole-{FORMER_SERVICE_POLICY}")
            ),
        ),
    )
    return role, attachment


ACCESS_POLICIES: Final = {
    "admin": "AmazonEKSClusterAdminPolicy",
    "admin-view": "AmazonEKSAdminViewPolicy",
    "view": "AmazonEKSViewPolicy",
}
"""Access policies of EKS's own. Source: https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html"""


def _administrators(
    name: str, role_arns: tuple[str, ...], cluster_name: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Access entries that make these roles cluster-admin, one for each ARN, whatever their order."""
    made: list[pulumi.Resource] = []
    # Until November 2026 the component made them, by the last part of the ARN: the last one of a name had the entry.
    former = {arn.rpartition("/")[2]: arn for arn in role_arns}
    for arn in role_arns:
        last = arn.rpartition("/")[2]
        made += _admitted(name, "admin", arn, cluster_name, opts, f"{name}-eks-admin-{last}" * (former[last] == arn))
    return made


def _admitted(
    name: str, may: str, arn: str, cluster_name: pulumi.Input[str], opts: pulumi.ResourceOptions, former: str = ""
) -> list[pulumi.Resource]:
    """An access entry of a role, and on it an access policy that counts in the whole cluster.

    A role that moves to another list keeps its entry: EKS makes no second one beside it.

    Args:
        name: the cluster's logical name.
        may: a key of ``ACCESS_POLICIES``.
        arn: of the role.
        cluster_name: the cluster's.
        opts: options of the entry.
        former: logical name of the entry that the pulumi-eks component made for this role; empty where it made none.
    """
    _, partition, _, _, account, path = arn.split(":", 5)
    role = f"{account}/{path.removeprefix('role/')}"
    others = {f"{name}-{other}-{role}": other for other in ACCESS_POLICIES if other != may}
    entry = aws_eks.AccessEntry(
        f"{name}-{may}-{role}",
        cluster_name=cluster_name,
        principal_arn=arn,
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                aliases=[
                    *(_urn(f"{CLUSTER}${ENTRY}", other) for other in others),
                    *(_former_urns(ENTRY, former) if former else ()),
                ]
            ),
        ),
    )
    association = aws_eks.AccessPolicyAssociation(
        f"{name}-{may}-{role}-{may}",
        cluster_name=cluster_name,
        principal_arn=arn,
        policy_arn=f"arn:{partition}:eks::aws:cluster-access-policy/{ACCESS_POLICIES[may]}",
        access_scope=AccessPolicyAssociationAccessScopeArgs(type="cluster"),
        opts=pulumi.ResourceOptions(
            parent=entry,
            depends_on=[entry],
            aliases=[
                *(_urn(f"{CLUSTER}${ENTRY}${ASSOCIATION}", f"{other}-{had}") for other, had in others.items()),
                *(_former_urns(f"{ENTRY}${ASSOCIATION}", f"{former}-{may}") if former else ()),
            ],
        ),
    )
    return [entry, association]


def _former_urns(kind: str, name: str) -> list[str | pulumi.Alias]:
    """URN of a resource that the pulumi-eks component made below this one."""
    return [_urn(f"{CLUSTER}$eks:index:Cluster${kind}", name)]


def _urn(kinds: str, name: str) -> str:
    """URN of a resource of this stack, its parents' kinds before its own."""
    return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{kinds}::{name}"
