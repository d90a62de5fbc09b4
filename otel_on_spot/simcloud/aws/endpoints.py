"""VPC endpoints and flow logs."""

import re
from typing import Any, Final

from typing_extensions import override

from infra.settings.rules import endpoint_services
from otel_on_spot.simcloud.api_errors import refuse
from otel_on_spot.simcloud.aws.ec2 import Ec2Handler, refuse_other_networks
from otel_on_spot.simcloud.aws.network import names_of
from otel_on_spot.simcloud.handler import Call, Seconds, Site
from otel_on_spot.simcloud.properties import Properties
from otel_on_spot.simcloud.service_model import in_aws_form, in_provider_form

GATEWAYS = ("s3", "dynamodb")
PLACES = {"routeTableIds": "Route tables", "subnetIds": "Subnets", "securityGroupIds": "Security groups"}


class VpcEndpoint(Ec2Handler):
    """A gateway or interface endpoint. moto gives interface endpoints no network interfaces; AWS does, and so do we."""

    token = "aws:ec2/vpcEndpoint:VpcEndpoint"
    kind, noun, key = "vpc-endpoint", "VpcEndpoint", "VpcEndpointId"
    seconds = Seconds(60, 30, 60)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        ec2 = call.site.client("ec2")
        self._refuse_service(call.site, inputs)
        told = {key: inputs.get(key) for key in ("vpcId", "serviceName", "vpcEndpointType", "privateDnsEnabled")}
        told |= {key: inputs.get(key) or None for key in (*PLACES, "dnsOptions", "policy")}
        asked = in_aws_form("ec2", "CreateVpcEndpointRequest", told, {"policy": "PolicyDocument"})
        asked["TagSpecifications"] = self.specification(call, inputs)
        self._refuse_conflicts(ec2, inputs)
        self._refuse_places(call.site, inputs)
        made = ec2.create_vpc_endpoint(**asked)["VpcEndpoint"]
        identity = made["VpcEndpointId"]
        interfaces = [
            ec2.create_network_interface(
                SubnetId=subnet,
                Groups=inputs.get("securityGroupIds") or [],
                Description=f"VPC Endpoint Interface {identity}",
            )["NetworkInterface"]["NetworkInterfaceId"]
            for subnet in inputs.get("subnetIds") or []
        ]
        call.site.cloud.tables.put("endpoint-interfaces", identity, {"interfaces": interfaces})
        return identity, {
            "arn": self.arn(call.site, identity),
            "networkInterfaceIds": interfaces,
            "ownerId": call.site.cloud.account,
            "state": "available",
            "requesterManaged": False,
        }

    @staticmethod
    def _refuse_service(site: Site, inputs: Properties) -> None:
        """Refuse services that have no endpoint in the region, and gateways of any but two; moto takes any name."""
        name, kind = inputs["serviceName"], inputs["vpcEndpointType"]
        service = name.removeprefix(f"com.amazonaws.{site.region}.")
        absent = service == name or service.removesuffix("-fips") not in endpoint_services()
        refuse((absent, f"The Vpc Endpoint Service '{name}' does not exist"), code="InvalidServiceName")
        told = f"Endpoint type ({kind}) does not match available service types ([Interface]) of {name}."
        refuse((kind == "Gateway" and service not in GATEWAYS, told), code="InvalidParameter")

    @staticmethod
    def _refuse_places(site: Site, inputs: Properties) -> None:
        """An endpoint is in subnets and groups, or in tables, of its network; private names need the network's DNS.

        Source: https://docs.aws.amazon.com/vpc/latest/privatelink/manage-dns-names.html
        """
        vpc, gateway, ec2 = inputs["vpcId"], inputs["vpcEndpointType"] == "Gateway", site.client("ec2")
        for argument, words in PLACES.items():
            kind = "Gateway" if argument == "routeTableIds" else "Interface"
            misplaced = inputs.get(argument) and gateway != (kind == "Gateway")
            told = f"{words} are only supported for {kind} type VPC Endpoints."
            refuse((misplaced, told), code="InvalidParameter")
            refuse_other_networks(site, vpc, inputs.get(argument) or (), "InvalidParameter")
        if not inputs.get("privateDnsEnabled"):
            return
        lacks = (
            "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for "
            f"{vpc}"
        )
        refuse(
            (gateway, "Private DNS is only supported for Interface type VPC Endpoints."),
            (not all(names_of(ec2, vpc).values()), lacks),
            code="InvalidParameter",
        )

    @staticmethod
    def _refuse_conflicts(ec2: Any, inputs: Properties) -> None:
        """A network has one private name of a service, a zone one interface, a route table one route to a service.

        Private names of S3 need a gateway, through which AWS sends the VPC's own traffic by default.
        """
        vpc, service, kind = inputs["vpcId"], inputs["serviceName"], inputs["vpcEndpointType"]
        here = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "service-name", "Values": [service]}]
        others = ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"]
        others = [other for other in others if other["State"] != "deleted"]
        same = [other for other in others if other["VpcEndpointType"] == kind]
        tables = inputs.get("routeTableIds") or ()
        refuse(
            *(
                (
                    any(table in (other.get("RouteTableIds") or ()) for other in same),
                    f"route table {table} already has a route to the prefix list of {service}",
                )
                for table in (tables if kind == "Gateway" else ())
            ),
            code="RouteAlreadyExists",
        )
        if kind == "Gateway":
            return
        private, options = inputs.get("privateDnsEnabled"), inputs.get("dnsOptions") or {}
        inbound_only = options.get("privateDnsOnlyForInboundResolverEndpoint", True)
        gateways = [other for other in others if other["VpcEndpointType"] == "Gateway"]
        refuse(
            (
                service.endswith(".s3") and private and inbound_only and not gateways,
                "To set PrivateDnsOnlyForInboundResolverEndpoint to true, the VPC must have a Gateway endpoint for "
                "the service.",
            ),
            (
                private and any(other.get("PrivateDnsEnabled") for other in same),
                "private-dns-enabled cannot be set because there is already a conflicting DNS domain for "
                f"{service} in the VPC {vpc}",
            ),
            code="InvalidParameter",
        )
        subnets = inputs.get("subnetIds") or []
        found = ec2.describe_subnets(SubnetIds=sorted(set(subnets)))["Subnets"] if subnets else []
        told = f"Found another VPC endpoint subnet in the zone of {', '.join(subnets)}"
        zones = {subnet["AvailabilityZone"] for subnet in found}
        refuse((len(subnets) != len(zones), told), code="DuplicateSubnetsInSameZone")

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties:
        endpoint = in_provider_form(self.described(call, identity))
        lists = {key: endpoint.get(key) or [] for key in ("routeTableIds", "subnetIds") if state.get(key)}
        return {**super().read(call, identity, state), **lists}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        asked: dict[str, Any] = {}
        for part in PLACES:
            had, wanted = set(state.get(part) or []), set(new.get(part) or [])
            asked |= {f"add{part}": sorted(wanted - had) or None, f"remove{part}": sorted(had - wanted) or None}
        of_itself = ("policy", "dnsOptions", "privateDnsEnabled")
        asked |= {key: new.get(key) for key in of_itself if new.get(key) != state.get(key)}
        asked = in_aws_form("ec2", "ModifyVpcEndpointRequest", asked, {"policy": "PolicyDocument"})
        self._refuse_places(call.site, new)
        if asked:
            call.site.client("ec2").modify_vpc_endpoint(VpcEndpointId=identity, **asked)
        super().update(call, identity, state, old, new)

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        ec2 = call.site.client("ec2")
        ec2.delete_vpc_endpoints(VpcEndpointIds=[identity])
        made = call.site.cloud.tables.remove("endpoint-interfaces", identity) or {"interfaces": []}
        for interface in made["interfaces"]:
            ec2.delete_network_interface(NetworkInterfaceId=interface)


FIELDS: Final = frozenset(
    {
        *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets"),
        *("bytes", "start", "end", "action", "log-status", "vpc-id", "subnet-id", "instance-id", "tcp-flags", "type"),
        *("pkt-srcaddr", "pkt-dstaddr", "region", "az-id", "sublocation-type", "sublocation-id", "flow-direction"),
        *("pkt-src-aws-service", "pkt-dst-aws-service", "traffic-path", "reject-reason", "resource-id"),
        *("ecs-cluster-arn", "ecs-cluster-name", "ecs-container-instance-arn", "ecs-container-instance-id"),
        *("ecs-container-id", "ecs-second-container-id", "ecs-service-name", "ecs-task-definition-arn", "ecs-task-arn"),
        *("ecs-task-id", "encryption-status"),
    }
)
"""Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html#flow-logs-fields"""


class FlowLog(Ec2Handler):
    """A flow log; nothing of it changes in place but its tags."""

    token = "aws:ec2/flowLog:FlowLog"
    kind, noun, key = "vpc-flow-log", "FlowLog", "FlowLogId"
    told = ("trafficType",)
    seconds = Seconds(3, 1, 2)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        written = re.findall(r"\$\{([^}]*)\}", inputs.get("logFormat") or "")
        unknown = [field for field in written if field not in FIELDS]
        to, home = inputs["logDestination"], call.site.region
        _, _, service, region, *_ = f"{to}:::".split(":")
        lacks = "DeliverLogsPermissionArn can't be empty if LogDestinationType is cloud-watch-logs"
        refuse(
            (not inputs.get("iamRoleArn"), lacks),
            (unknown, f"Unknown fields provided: {', '.join(unknown)}"),
            ((service, region) != ("logs", home), f"LogDestination {to} is no log group of {home}"),
            code="InvalidParameter",
        )
        made = call.site.client("ec2").create_flow_logs(
            ResourceType="VPC",
            ResourceIds=[inputs["vpcId"]],
            TrafficType=inputs["trafficType"],
            LogDestinationType="cloud-watch-logs",
            LogGroupName=inputs["logDestination"].partition("log-group:")[2].removesuffix(":*"),
            DeliverLogsPermissionArn=inputs["iamRoleArn"],
            **({"LogFormat": inputs["logFormat"]} if inputs.get("logFormat") else {}),
            MaxAggregationInterval=int(inputs.get("maxAggregationInterval") or 600),
            TagSpecifications=self.specification(call, inputs),
        )
        identity = made["FlowLogIds"][0]
        return identity, {
            "arn": self.arn(call.site, identity),
            "logDestinationType": "cloud-watch-logs",
            "logFormat": inputs.get("logFormat") or "",
        }

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("ec2").delete_flow_logs(FlowLogIds=[identity])
