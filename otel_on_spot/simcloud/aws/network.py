"""VPC, Internet gateway and subnets."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from otel_on_spot.simcloud.api_errors import refuse
from otel_on_spot.simcloud.aws import in_use
from otel_on_spot.simcloud.aws.ec2 import Ec2Handler, filters_of
from otel_on_spot.simcloud.handler import Call, Seconds, Site, tags_of
from otel_on_spot.simcloud.properties import Properties
from otel_on_spot.simcloud.service_model import in_provider_form


class Vpc(Ec2Handler):
    """A VPC. moto deletes one with an Internet gateway or security groups in it; AWS does not, nor do we."""

    token = "aws:ec2/vpc:Vpc"
    kind, noun, key = "vpc", "Vpc", "VpcId"
    told = ("cidrBlock",)
    seconds = Seconds(24, 5, 3)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        ec2, most = call.site.client("ec2"), call.site.cloud.quota("vpcs", call.site.region)
        told = f"The maximum number of VPCs has been reached: {most}"
        refuse((len(ec2.describe_vpcs()["Vpcs"]) >= most, told), code="VpcLimitExceeded")
        made = ec2.create_vpc(
            CidrBlock=inputs["cidrBlock"],
            InstanceTenancy=inputs["instanceTenancy"],
            TagSpecifications=self.specification(call, inputs),
        )
        vpc = made["Vpc"]["VpcId"]
        self._dns(ec2, vpc, inputs)
        return vpc, self._known(call, vpc)

    def _dns(self, ec2: Any, vpc: str, inputs: Properties) -> None:
        lacking = inputs.get("enableDnsHostnames") and not inputs.get("enableDnsSupport", True)
        rule = "You can only enable DNS hostnames if DNS support is enabled."
        refuse((lacking, rule), code="InvalidParameterCombination")
        ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": bool(inputs.get("enableDnsSupport", True))})
        ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": bool(inputs.get("enableDnsHostnames"))})

    def _known(self, call: Call, vpc: str) -> Properties:
        ec2, here = call.site.client("ec2"), [{"Name": "vpc-id", "Values": [vpc]}]
        main, default = {"Name": "association.main", "Values": ["true"]}, {"Name": "group-name", "Values": ["default"]}
        table = ec2.describe_route_tables(Filters=[*here, main])["RouteTables"][0]["RouteTableId"]
        group = ec2.describe_security_groups(Filters=[*here, default])["SecurityGroups"][0]["GroupId"]
        acls = ec2.describe_network_acls(Filters=here)["NetworkAcls"]
        return {
            "arn": self.arn(call.site, vpc),
            "defaultRouteTableId": table,
            "mainRouteTableId": table,
            "defaultSecurityGroupId": group,
            "defaultNetworkAclId": acls[0]["NetworkAclId"] if acls else "",
            "ownerId": call.site.cloud.account,
        }

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties:
        return {**super().read(call, identity, state), **names_of(call.site.client("ec2"), identity)}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        self._dns(call.site.client("ec2"), identity, new)
        super().update(call, identity, state, old, new)

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        in_use.refuse_vpc(call.site, identity)
        super().delete(call, identity, state)


class InternetGateway(Ec2Handler):
    """An Internet gateway of a VPC. AWS does not detach one while public addresses are mapped through it."""

    token = "aws:ec2/internetGateway:InternetGateway"
    kind, noun, key = "internet-gateway", "InternetGateway", "InternetGatewayId"
    seconds = Seconds(3, 2, 12)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        ec2 = call.site.client("ec2")
        here = [{"Name": "attachment.vpc-id", "Values": [inputs.get("vpcId") or ""]}]
        taken = inputs.get("vpcId") and ec2.describe_internet_gateways(Filters=here)["InternetGateways"]
        told = f"Network {inputs.get('vpcId')} already has an internet gateway attached"
        refuse((taken, told), code="InvalidParameterValue")
        made = ec2.create_internet_gateway(TagSpecifications=self.specification(call, inputs))
        identity = made["InternetGateway"]["InternetGatewayId"]
        if inputs.get("vpcId"):
            ec2.attach_internet_gateway(InternetGatewayId=identity, VpcId=inputs["vpcId"])
        return identity, {"arn": self.arn(call.site, identity), "ownerId": call.site.cloud.account}

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties:
        attached = self.described(call, identity).get("Attachments") or [{}]
        return {**super().read(call, identity, state), "vpcId": attached[0].get("VpcId", "")}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        ec2 = call.site.client("ec2")
        if state.get("vpcId") != new.get("vpcId"):
            if state.get("vpcId"):
                ec2.detach_internet_gateway(InternetGatewayId=identity, VpcId=state["vpcId"])
            if new.get("vpcId"):
                ec2.attach_internet_gateway(InternetGatewayId=identity, VpcId=new["vpcId"])
        super().update(call, identity, state, old, new)

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        if state.get("vpcId"):
            in_use.refuse_detach(call.site, identity, state["vpcId"])
            call.site.client("ec2").detach_internet_gateway(InternetGatewayId=identity, VpcId=state["vpcId"])
        super().delete(call, identity, state)


PREFIXES = range(16, 29)
"""Source: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html"""


class Subnet(Ec2Handler):
    """A subnet. moto deletes one that network interfaces live in; AWS does not, nor do we."""

    token = "aws:ec2/subnet:Subnet"
    kind, noun, key = "subnet", "Subnet", "SubnetId"
    told = ("vpcId", "cidrBlock", "availabilityZone", "mapPublicIpOnLaunch")
    seconds = Seconds(12, 2, 5)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        ec2 = call.site.client("ec2")
        prefix = int(inputs["cidrBlock"].rpartition("/")[2])
        refuse((prefix not in PREFIXES, f"The CIDR '{inputs['cidrBlock']}' is invalid."), code="InvalidSubnet.Range")
        zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]
        wanted = inputs.get("availabilityZone")
        rule = "Subnets can currently only be created in the following availability zones"
        told = f"Value ({wanted}) for parameter availabilityZone is invalid. {rule}: {', '.join(zones)}."
        refuse((wanted and wanted not in zones, told), code="InvalidParameterValue")
        made = ec2.create_subnet(
            VpcId=inputs["vpcId"],
            CidrBlock=inputs["cidrBlock"],
            **({"AvailabilityZone": inputs["availabilityZone"]} if inputs.get("availabilityZone") else {}),
            TagSpecifications=self.specification(call, inputs),
        )["Subnet"]
        identity = made["SubnetId"]
        ec2.modify_subnet_attribute(
            SubnetId=identity, MapPublicIpOnLaunch={"Value": bool(inputs.get("mapPublicIpOnLaunch"))}
        )
        return identity, {
            "arn": self.arn(call.site, identity),
            "availabilityZone": made["AvailabilityZone"],
            "availabilityZoneId": made["AvailabilityZoneId"],
            "ownerId": call.site.cloud.account,
        }

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        public = {"Value": bool(new.get("mapPublicIpOnLaunch"))}
        call.site.client("ec2").modify_subnet_attribute(SubnetId=identity, MapPublicIpOnLaunch=public)
        super().update(call, identity, state, old, new)

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        in_use.refuse_subnet(call.site, identity)
        super().delete(call, identity, state)


def names_of(ec2: Any, vpc: str) -> dict[str, bool]:
    """Whether a VPC resolves names, and gives them."""
    return {
        key: ec2.describe_vpc_attribute(VpcId=vpc, Attribute=key)[key[0].upper() + key[1:]]["Value"]
        for key in ("enableDnsSupport", "enableDnsHostnames")
    }


def vpc(site: Site, arguments: Mapping[str, Any]) -> Properties:
    """Answer of the function that describes a VPC by its id.

    Raises:
        ClientError: there is no such VPC.
    """
    ec2, identity = site.client("ec2"), arguments["id"]
    (found,) = ec2.describe_vpcs(VpcIds=[identity])["Vpcs"]
    main = [{"Name": "vpc-id", "Values": [identity]}, {"Name": "association.main", "Values": ["true"]}]
    return {
        "id": identity,
        "cidrBlock": found["CidrBlock"],
        "cidrBlockAssociations": [
            {
                "associationId": association["AssociationId"],
                "cidrBlock": association["CidrBlock"],
                "state": association["CidrBlockState"]["State"],
            }
            for association in found.get("CidrBlockAssociationSet") or ()
        ],
        **names_of(ec2, identity),
        "mainRouteTableId": ec2.describe_route_tables(Filters=main)["RouteTables"][0]["RouteTableId"],
        "dhcpOptionsId": found["DhcpOptionsId"],
        "ownerId": found["OwnerId"],
        "tags": tags_of(found.get("Tags")),
    }


def dhcp_options(site: Site, arguments: Mapping[str, Any]) -> Properties:
    """Answer of the function that describes a set of DHCP options by its id.

    Raises:
        ClientError: there is no such set.
    """
    identity = arguments["dhcpOptionsId"]
    return {"id": identity, "dhcpOptionsId": identity, "domainNameServers": name_servers(site.client("ec2"), identity)}


def name_servers(ec2: Any, options: str) -> list[str]:
    """Name servers of a set of DHCP options; none where AWS says ``default``, which is no set."""
    if options == "default":
        return []
    (found,) = ec2.describe_dhcp_options(DhcpOptionsIds=[options])["DhcpOptions"]
    return [
        server["Value"]
        for told in found["DhcpConfigurations"]
        if told["Key"] == "domain-name-servers"
        for server in told["Values"]
    ]


def vpc_endpoint(site: Site, arguments: Mapping[str, Any]) -> Properties:
    """Answer of the function that describes the one endpoint of a service in a VPC."""
    wanted = {"vpc-id": arguments["vpcId"], "service-name": arguments["serviceName"]}
    filters = [{"Name": name, "Values": [value]} for name, value in wanted.items()]
    found = [
        endpoint
        for endpoint in site.client("ec2").describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
        if endpoint["State"].lower() == arguments.get("state", "available")
    ]
    told = "multiple EC2 VPC Endpoints matched" if found else "no matching EC2 VPC Endpoint matched"
    refuse((len(found) != 1, told), code="InvalidParameterValue")
    return {
        "id": found[0]["VpcEndpointId"],
        "vpcEndpointType": found[0]["VpcEndpointType"],
        "privateDnsEnabled": bool(found[0].get("PrivateDnsEnabled")),
    }


def instance_ids(site: Site, arguments: Mapping[str, Any]) -> Properties:
    """Answer of the function that lists instances by filters, tags and states: none found is an empty list."""
    states = {"Name": "instance-state-name", "Values": arguments.get("instanceStateNames") or ["running"]}
    filters = [*filters_of(arguments, "instanceTags"), states]
    found = site.client("ec2").describe_instances(Filters=filters)["Reservations"]
    return {
        "ids": [instance["InstanceId"] for row in found for instance in row["Instances"]],
        "privateIps": [],
        "publicIps": [],
        "ipv6Addresses": [],
        "id": site.region,
    }


def volume(site: Site, arguments: Mapping[str, Any]) -> Properties:
    """Answer of the function that describes the one volume that its filters name."""
    found = site.client("ec2").describe_volumes(Filters=filters_of(arguments))["Volumes"]
    told = f"Your query returned {'more than one result' if found else 'no results'}"
    rule = "Please change your search criteria and try again"
    refuse((len(found) != 1, f"{told}. {rule}"), code="InvalidParameterValue")
    (only,) = found
    told = in_provider_form(only)
    same = ("volumeId", "size", "volumeType", "availabilityZone", "encrypted")
    return {"id": only["VolumeId"], **{key: told[key] for key in same}, "tags": tags_of(only.get("Tags"))}


def subnet(site: Site, arguments: Mapping[str, Any]) -> Properties:
    """Answer of the function that describes a subnet by its id.

    Raises:
        ClientError: there is no such subnet.
    """
    (found,) = site.client("ec2").describe_subnets(SubnetIds=[arguments["id"]])["Subnets"]
    told = in_provider_form(found)
    same = ("vpcId", "availabilityZone", "availabilityZoneId", "cidrBlock", "availableIpAddressCount")
    return {"id": found["SubnetId"], **{key: told[key] for key in same}, "tags": tags_of(found.get("Tags"))}
