"""The VPC: one public and one private subnet per zone, NAT, routes, endpoints, flow logs."""

import json
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import cloudwatch, ec2, iam

from infra import documents, names, roles
from infra.existing_vpc import FoundSubnet
from infra.settings import models as settings
from infra.subnets import SubnetLayout


@dataclass(frozen=True, kw_only=True)
class FlowLogsArgs:
    """Arguments: the VPC, the days that CloudWatch keeps its flow logs, and their key; None leaves them to AWS's."""

    stack_names: names.StackNames
    account_id: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    retention_days: int
    kms_key_arn: str | None = None


class FlowLogs(pulumi.ComponentResource):
    """All traffic of a VPC, accepted and rejected, in a log group of its own."""

    log_group_name: pulumi.Output[str]
    """Name of the log group."""

    def __init__(self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:FlowLogs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = cloudwatch.LogGroup(
            f"{name}-group",
            name=f"/aws/vpc/{args.stack_names.cluster}/flow-logs",
            retention_in_days=args.retention_days,
            kms_key_id=args.kms_key_arn,
            opts=child,
        )
        stack_names = args.stack_names
        trust = roles.in_account(stack_names, args.account_id, documents.flow_log_trust)
        role = roles.role(self, f"{name}-role", stack_names, stack_names.role("flow-logs"), trust)
        policy = iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=group.arn.apply(lambda arn: json.dumps(documents.flow_log_policy(arn))),
            opts=child,
        )
        # The role must be allowed to write before the first record; no value carries that edge.
        ec2.FlowLog(
            f"{name}-log",
            vpc_id=args.vpc_id,
            traffic_type="ALL",
            iam_role_arn=role.arn,
            log_destination=group.arn,
            max_aggregation_interval=60,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.log_group_name = group.name
        self.register_outputs({"logGroupName": self.log_group_name})


WITH_GATEWAY: Final = ("s3", "dynamodb")
"""Services with endpoints of both kinds. S3's private names need a gateway, or an option; DynamoDB's are left off.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/privatelink-interface-endpoints.html,
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/privatelink-interface-endpoints.html
"""


@dataclass(frozen=True, kw_only=True)
class ExistingNetworkArgs:
    """Arguments of a VPC that is there: its settings, and its private subnets, zone by zone."""

    config: settings.ExistingVpc
    subnets: tuple[FoundSubnet, ...]


class ExistingNetwork(pulumi.ComponentResource):
    """A VPC of somebody else's, as the cluster and its nodes are given it: nothing is made in it here."""

    vpc_id: str
    """Id of the VPC."""
    private_subnet_ids: tuple[str, ...]
    """Subnet ids, one or more per zone, in the order of the zones."""
    egress_routes: tuple[pulumi.Resource, ...]
    """None: they are there before the cluster, and stay."""

    def __init__(self, name: str, args: ExistingNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        self.vpc_id, self._subnets = args.config.vpc_id, args.subnets
        self.private_subnet_ids = tuple(subnet.id for subnet in args.subnets)
        self.egress_routes = ()
        given = args.config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        found = {
            "zones": list(dict.fromkeys(subnet.zone for subnet in args.subnets)),
            "subnetIds": list(self.private_subnet_ids),
        }
        super().__init__("otel-on-spot:index:ExistingNetwork", name, given | found, opts)
        self.register_outputs(found)

    def private_subnet_ids_in(self, zones: tuple[str, ...]) -> list[str]:
        """Ids of the private subnets in these zones, in their order."""
        return [subnet.id for subnet in self._subnets if subnet.zone in zones]


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """Arguments of the VPC. ``protect``: Pulumi refuses to delete or replace it.

    ``kms_key_arn``: of the key that encrypts its flow logs; None leaves them to AWS's.
    """

    stack_names: names.StackNames
    account_id: pulumi.Input[str]
    config: settings.Network
    protect: bool
    kms_key_arn: str | None = None


class Network(pulumi.ComponentResource):
    """The VPC that the cluster and its nodes live in."""

    vpc_id: pulumi.Output[str]
    """Id of the VPC."""
    public_subnet_ids: pulumi.Output[list[str]]
    """Subnet ids, one per zone, in the order of the zones."""
    private_subnet_ids: pulumi.Output[list[str]]
    """Subnet ids, one per zone, in the order of the zones. They may not have their route to the Internet yet."""
    egress_routes: tuple[pulumi.Resource, ...]
    """Routes and their associations, and the endpoints.

    Whatever runs on nodes waits for them: nodes can then reach the Internet, load balancers have public subnets, and
    both outlive everything on nodes. No value carries this: its change would preview as a new group.
    """

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # A setting that replaces the network under a cluster is refused at the preview where deletion is protected.
        kept = pulumi.ResourceOptions(parent=self, protect=args.protect)
        config = args.config
        layout = SubnetLayout(config.made, len(config.zones), config.private_prefix, config.public_prefix)

        vpc = ec2.Vpc(
            f"{name}-vpc",
            cidr_block=str(config.made),
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags={"Name": args.stack_names.cluster},
            opts=kept,
        )
        # Closed: no rule at all. Whatever lands in it by accident talks to nobody (FSBP EC2.2).
        ec2.DefaultSecurityGroup(
            f"{name}-default-closed",
            vpc_id=vpc.id,
            ingress=[],
            egress=[],
            tags={"Name": f"{args.stack_names.cluster}-default-closed"},
            opts=child,
        )
        gateway = ec2.InternetGateway(
            f"{name}-internet", vpc_id=vpc.id, tags={"Name": args.stack_names.cluster}, opts=child
        )
        public_table = ec2.RouteTable(
            f"{name}-public", vpc_id=vpc.id, tags={"Name": f"{args.stack_names.cluster}-public"}, opts=child
        )
        internet_route = ec2.Route(
            f"{name}-public-internet",
            route_table_id=public_table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=child,
        )

        egress_routes: list[pulumi.Resource] = [internet_route]
        public: dict[str, ec2.Subnet] = {}
        private: dict[str, ec2.Subnet] = {}
        for index, zone in enumerate(config.zones):
            suffix = zone.removeprefix(args.stack_names.region)
            public[suffix] = ec2.Subnet(
                f"{name}-public-{suffix}",
                vpc_id=vpc.id,
                availability_zone=zone,
                cidr_block=str(layout.public(index)),
                map_public_ip_on_launch=False,
                opts=kept,
                tags={"Name": f"{args.stack_names.cluster}-public-{suffix}", "kubernetes.io/role/elb": "1"},
            )
            private[suffix] = ec2.Subnet(
                f"{name}-private-{suffix}",
                vpc_id=vpc.id,
                availability_zone=zone,
                cidr_block=str(layout.private(index)),
                opts=kept,
                tags={"Name": f"{args.stack_names.cluster}-private-{suffix}", "kubernetes.io/role/internal-elb": "1"}
                | args.stack_names.discovery_tags,
            )
            public_association = ec2.RouteTableAssociation(
                f"{name}-public-{suffix}", subnet_id=public[suffix].id, route_table_id=public_table.id, opts=child
            )
            egress_routes.append(public_association)

        # A NAT gateway works only once its subnet has a route to the Internet; no value carries that edge.
        after_route = pulumi.ResourceOptions(parent=self, depends_on=[internet_route])
        nat: dict[str, ec2.NatGateway] = {}
        for suffix in list(public) if config.nat == "per-zone" else list(public)[:1]:
            address = ec2.Eip(
                f"{name}-nat-{suffix}",
                domain="vpc",
                tags={"Name": f"{args.stack_names.cluster}-nat-{suffix}"},
                opts=child,
            )
            nat[suffix] = ec2.NatGateway(
                f"{name}-nat-{suffix}",
                allocation_id=address.allocation_id,
                subnet_id=public[suffix].id,
                tags={"Name": f"{args.stack_names.cluster}-{suffix}"},
                opts=after_route,
            )
        tables: list[pulumi.Output[str]] = []
        for suffix, subnet in private.items():
            table = ec2.RouteTable(
                f"{name}-private-{suffix}",
                vpc_id=vpc.id,
                tags={"Name": f"{args.stack_names.cluster}-private-{suffix}"},
                opts=child,
            )
            exit_through = nat.get(suffix) or next(iter(nat.values()))
            route = ec2.Route(
                f"{name}-private-{suffix}-nat",
                route_table_id=table.id,
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=exit_through.id,
                opts=child,
            )
            association = ec2.RouteTableAssociation(
                f"{name}-private-{suffix}", subnet_id=subnet.id, route_table_id=table.id, opts=child
            )
            tables.append(table.id)
            egress_routes += [route, association]

        # What works inside the VPC talks to AWS through them, to the end.
        egress_routes += self._endpoints(name, args, vpc, list(private.values()), tables)
        if config.flow_logs:
            FlowLogs(
                f"{name}-flow-logs",
                FlowLogsArgs(
                    stack_names=args.stack_names,
                    account_id=args.account_id,
                    vpc_id=vpc.id,
                    retention_days=config.flow_log_retention_days,
                    kms_key_arn=args.kms_key_arn,
                ),
                opts=child,
            )

        self.vpc_id = vpc.id
        self.public_subnet_ids = pulumi.Output.all(*(subnet.id for subnet in public.values())).apply(list)
        self._private = {zone: subnet.id for zone, subnet in zip(config.zones, private.values(), strict=True)}
        self.private_subnet_ids = self.private_subnet_ids_in(config.zones)
        self.egress_routes = tuple(egress_routes)
        self.register_outputs(
            {
                "vpcId": self.vpc_id,
                "publicSubnetIds": self.public_subnet_ids,
                "privateSubnetIds": self.private_subnet_ids,
            }
        )

    def private_subnet_ids_in(self, zones: tuple[str, ...]) -> pulumi.Output[list[str]]:
        """Ids of the private subnets in these zones, in their order."""
        return pulumi.Output.all(*(self._private[zone] for zone in zones)).apply(list)

    def _endpoints(
        self, name: str, args: NetworkArgs, vpc: ec2.Vpc, private: list[ec2.Subnet], tables: list[pulumi.Output[str]]
    ) -> list[pulumi.Resource]:
        child = pulumi.ResourceOptions(parent=self)
        gateways: dict[str, ec2.VpcEndpoint] = {}
        for gateway in args.config.gateway_endpoints:
            gateways[gateway] = ec2.VpcEndpoint(
                f"{name}-{gateway}",
                vpc_id=vpc.id,
                vpc_endpoint_type="Gateway",
                route_table_ids=tables,
                service_name=f"com.amazonaws.{args.stack_names.region}.{gateway}",
                tags={"Name": f"{args.stack_names.cluster}-{gateway}"},
                opts=child,
            )
        if not args.config.interface_endpoints:
            return list(gateways.values())
        group = ec2.SecurityGroup(
            f"{name}-endpoints",
            vpc_id=vpc.id,
            description="HTTPS from the VPC to interface endpoints",
            opts=child,
            tags={"Name": f"{args.stack_names.cluster}-endpoints"},
            egress=[],
            ingress=[
                ec2.SecurityGroupIngressArgs(
                    protocol="tcp",
                    from_port=443,
                    to_port=443,
                    cidr_blocks=[str(args.config.made)],
                    description="HTTPS from the VPC",
                )
            ],
        )
        interfaces: list[pulumi.Resource] = []
        for service in args.config.interface_endpoints:
            plain, both_kinds = service.replace(".", "-"), service in WITH_GATEWAY
            # Until November 2026 both kinds had one name, and so one of them only.
            former = [pulumi.Alias(name=f"{name}-{plain}")] if both_kinds and service not in gateways else None
            endpoint = ec2.VpcEndpoint(
                f"{name}-{plain}-interface" if both_kinds else f"{name}-{plain}",
                vpc_id=vpc.id,
                vpc_endpoint_type="Interface",
                # The VPC itself uses the gateway, which is free; networks behind a resolver use the interface.
                private_dns_enabled=service != "dynamodb",
                dns_options=ec2.VpcEndpointDnsOptionsArgs(
                    private_dns_only_for_inbound_resolver_endpoint=service in gateways
                )
                if service == "s3"
                else None,
                service_name=f"com.amazonaws.{args.stack_names.region}.{service}",
                subnet_ids=[subnet.id for subnet in private],
                security_group_ids=[group.id],
                tags={"Name": f"{args.stack_names.cluster}-{service}"},
                opts=pulumi.ResourceOptions(
                    parent=self, aliases=former, depends_on=[gateways[service]] if service in gateways else None
                ),
            )
            interfaces.append(endpoint)
        return [*gateways.values(), *interfaces]
