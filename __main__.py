"""EKS on Spot for the OpenTelemetry Demo: read the stack, build it in order, export what people use."""

import pulumi
import pulumi_aws as aws

from infra import ingress, names
from infra import settings as configuration
from infra.alarms import Alarms, AlarmsArgs, MonthlyBudget, MonthlyBudgetArgs
from infra.app_of_apps import AppOfApps, AppOfAppsArgs
from infra.argocd import ArgoCd, ArgoCdArgs
from infra.before_anything import refuse_placeholders, refuse_taken_names, refuse_zones
from infra.cluster import Cluster, ClusterArgs
from infra.existing_vpc import existing_vpc
from infra.karpenter.capacity import Capacity, CapacityArgs
from infra.karpenter.controller import KarpenterController, KarpenterControllerArgs
from infra.karpenter.controller_role import ControllerRole, ControllerRoleArgs
from infra.karpenter.experiments import InterruptionExperiment, InterruptionExperimentArgs
from infra.karpenter.interruption import EVENTS, InterruptionQueue, InterruptionQueueArgs
from infra.karpenter.node_role import KarpenterNodeRole, KarpenterNodeRoleArgs
from infra.living import (
    IDENTITY,
    NODE_ACCESS,
    control_plane_zones,
    living_cluster,
    refuse_direct_jump,
    tell_tag_changes,
)
from infra.load_balancers import LoadBalancerRole, LoadBalancerRoleArgs
from infra.network import ExistingNetwork, ExistingNetworkArgs, Network, NetworkArgs
from infra.node_config import archive, node_config, proxy_environment

settings = configuration.load()
stack_names = names.StackNames(
    cluster=settings.cluster.name,
    region=settings.region,
    stack=pulumi.get_stack(),
    iam_path=settings.iam.path if settings.iam.path != "/" else None,
    permissions_boundary=settings.iam.permissions_boundary,
)
tags = names.default_tags(settings.environment, stack_names.cluster, settings.tags)

provider = aws.Provider(
    "aws",
    region=stack_names.region,
    default_tags=aws.ProviderDefaultTagsArgs(tags=tags),
    allowed_account_ids=[settings.account_id] if settings.account_id else None,
)
on_aws = pulumi.ResourceOptions(providers=[provider])
asked = pulumi.InvokeOptions(provider=provider)
refuse_placeholders(settings, asked)
refuse_zones(settings, asked)
refuse_taken_names(stack_names, asked)
refuse_direct_jump(NODE_ACCESS, settings.cluster.node_access, stack_names, asked)
refuse_direct_jump(IDENTITY, settings.karpenter.identity, stack_names, asked)
living = living_cluster(stack_names.cluster, asked)
zones = control_plane_zones(settings, living, stack_names, asked)
tell_tag_changes(tags, living, stack_names, asked)
found_vpc = existing_vpc(settings, asked, new=living is None)
ranges = found_vpc.ranges if found_vpc else (settings.network.made,)
proxy = proxy_environment(settings.network, map(str, ranges))
account_id = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(provider=provider)).account_id

network: Network | ExistingNetwork
if settings.network.existing and found_vpc:
    existing_args = ExistingNetworkArgs(config=settings.network.existing, subnets=found_vpc.private)
    network = ExistingNetwork("network", existing_args, on_aws)
else:
    network_args = NetworkArgs(
        stack_names=stack_names,
        account_id=account_id,
        config=settings.network,
        protect=settings.cluster.deletion_protection,
        kms_key_arn=settings.encryption.kms_key_arn,
    )
    network = Network("network", network_args, on_aws)
queue = InterruptionQueue("interruption", InterruptionQueueArgs(stack_names=stack_names), on_aws)
node_role_args = KarpenterNodeRoleArgs(
    stack_names=stack_names, spot_service_linked_role=settings.karpenter.spot_service_linked_role
)
nodes = KarpenterNodeRole("karpenter-node", node_role_args, on_aws)

if settings.karpenter.interruption_experiments:
    experiment_args = InterruptionExperimentArgs(stack_names=stack_names, account_id=account_id)
    experiment = InterruptionExperiment("interruption-experiment", experiment_args, on_aws)
    pulumi.export("interruptionExperiment", experiment.template_id)

if settings.alarms.topic_arn or settings.alarms.emails:
    alarms_args = AlarmsArgs(
        stack_names=stack_names,
        config=settings.alarms,
        events=tuple(EVENTS),
        account_id=account_id,
        kms_key_arn=settings.encryption.kms_key_arn,
    )
    alarms = Alarms("alarms", alarms_args, on_aws)
    pulumi.export("alarmTopic", alarms.topic_arn)

if settings.costs.budget_emails and settings.costs.monthly_limit_usd:
    budget_args = MonthlyBudgetArgs(
        stack_names=stack_names, limit_usd=settings.costs.monthly_limit_usd, emails=settings.costs.budget_emails
    )
    MonthlyBudget("budget", budget_args, on_aws)

cluster_args = ClusterArgs(
    stack_names=stack_names,
    config=settings.cluster,
    account_id=account_id,
    vpc_id=network.vpc_id,
    subnet_ids=network.private_subnet_ids_in(zones),
    egress_routes=network.egress_routes,
    node_role=nodes.node_role,
    tags=tags,
    oidc_provider=settings.karpenter.identity != "pod-identity",
    snapshots=settings.persistence.backup is not None,
    kms_key_arn=settings.encryption.kms_key_arn,
    volumes_key_arn=settings.encryption.volumes_kms_key_arn,
    existing_vpc_id=settings.network.existing.vpc_id if settings.network.existing else None,
    node_user_data=archive(node_config(None, proxy), settings.network.ca_bundle),
)
cluster = Cluster("cluster", cluster_args, on_aws)
on_cluster = pulumi.ResourceOptions(providers=[cluster.kubernetes_provider])

controller_role_args = ControllerRoleArgs(
    stack_names=stack_names,
    account_id=account_id,
    identity=settings.karpenter.identity,
    node_role_arn=nodes.arn,
    queue_arn=queue.arn,
    created_cluster_name=cluster.name,
    oidc_provider_arn=cluster.oidc_provider_arn,
    oidc_issuer=cluster.oidc_issuer,
    volumes_key_arn=settings.encryption.volumes_kms_key_arn,
)
controller_role = ControllerRole("karpenter-controller", controller_role_args, on_aws)
karpenter_args = KarpenterControllerArgs(
    stack_names=stack_names,
    config=settings.karpenter,
    service_account_role=controller_role.service_account_role,
    security_group_id=cluster.security_group_id,
    after=(*controller_role.granted, cluster.pod_identity_agent),
    metrics_by_dns=settings.monitoring.alerts == "demo",
    isolated=settings.network.existing is not None and settings.network.existing.way_out == "endpoints",
)
on_both = pulumi.ResourceOptions(providers=[provider, cluster.kubernetes_provider])
karpenter = KarpenterController("karpenter", karpenter_args, on_both)
capacity_args = CapacityArgs(
    stack_names=stack_names,
    security_group_id=cluster.security_group_id,
    config=settings.node_class,
    pools=settings.pools,
    headroom=settings.karpenter.headroom,
    tags=tags,
    tagged_for_volumes=settings.cluster.volume_access != "account",
    node_role=cluster.admitted_node_role,
    subnet_ids=tuple(subnet.id for subnet in found_vpc.private) if found_vpc else (),
    proxy_environment=proxy,
    ca_bundle=settings.network.ca_bundle,
    volumes_key_arn=settings.encryption.volumes_kms_key_arn,
    after=(karpenter.release, *queue.targets, *cluster.ready),
)
on_both = pulumi.ResourceOptions(providers=[provider, cluster.kubernetes_provider])
capacity = Capacity("capacity", capacity_args, on_both)

argocd_args = ArgoCdArgs(
    config=settings.argocd,
    metrics_by_dns=settings.monitoring.alerts == "demo",
    proxy_environment=proxy,
    ca_bundle=settings.network.ca_bundle,
    ca_bundle_hosts=settings.network.ca_bundle_hosts,
)
argocd = ArgoCd("argocd", argocd_args, on_cluster)
platform_args = AppOfAppsArgs(
    config=settings.gitops,
    persistence=settings.persistence,
    volumes_key_arn=settings.encryption.volumes_kms_key_arn,
    token=settings.git_token,
    ssh_key=settings.git_ssh_key,
    app_key=settings.github_app_private_key,
    cluster_metadata=stack_names.cluster_metadata(settings.environment),
    protect=settings.cluster.deletion_protection,
    after=(argocd.release, karpenter.release, *capacity.node_pools, *cluster.ready),
    monitoring=settings.monitoring,
    front_path=settings.front_path,
    values_of_ingress=ingress.demo_values(settings.ingress, settings.network, found_vpc),
)
platform = AppOfApps("platform", platform_args, on_cluster)

if settings.ingress.load_balancers:
    balancers_args = LoadBalancerRoleArgs(
        stack_names=stack_names, account_id=account_id, created_cluster_name=cluster.name
    )
    balancers = LoadBalancerRole("load-balancers", balancers_args, on_aws)
    ways_in_args = ingress.WaysInArgs(
        config=settings.ingress,
        gitops=settings.gitops,
        hosts=ingress.hosts(settings.ingress, settings.argocd),
        cluster_metadata=stack_names.cluster_metadata(settings.environment),
        vpc_id=settings.network.existing.vpc_id if settings.network.existing else None,
        subnet_ids=ingress.subnet_ids(found_vpc),
        after=(platform.root, argocd.release, *balancers.granted, cluster.pod_identity_agent, *cluster.ready),
    )
    ways_in = ingress.WaysIn("ingress", ways_in_args, on_cluster)
    pulumi.export("ingressApplication", ways_in.application)

pulumi.export("clusterName", stack_names.cluster)
pulumi.export("region", stack_names.region)
pulumi.export(
    "kubeconfigCommand", f"aws eks update-kubeconfig --region {stack_names.region} --name {stack_names.cluster}"
)
pulumi.export("clusterEndpoint", cluster.endpoint)
pulumi.export("vpcId", network.vpc_id)
pulumi.export("interruptionQueue", queue.name)
pulumi.export("nodeRoleArn", nodes.arn)
pulumi.export("controllerRoleArn", controller_role.arn)
pulumi.export("nodePools", capacity.pool_names)
pulumi.export("rootApplication", platform.application)
