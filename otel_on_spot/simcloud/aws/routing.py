"""Route tables, routes and associations; addresses and NAT gateways."""

from collections.abc import Mapping
from typing import Any, Final

from typing_extensions import override

from otel_on_spot.simcloud.api_errors import refuse
from otel_on_spot.simcloud.aws import in_use
from otel_on_spot.simcloud.aws.ec2 import Ec2Handler, network_of, refuse_other_networks
from otel_on_spot.simcloud.handler import Call, Handler, Seconds, Site
from otel_on_spot.simcloud.properties import Properties
from otel_on_spot.simcloud.service_model import in_aws_form, in_provider_form

TARGETS = ("gatewayId", "natGatewayId", "vpcEndpointId", "transitGatewayId")


class RouteTable(Ec2Handler):
    """A route table."""

    token = "aws:ec2/routeTable:RouteTable"
    kind, noun, key = "route-table", "RouteTable", "RouteTableId"
    told = ("vpcId",)
    seconds = Seconds(6, 2, 3)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        made = call.site.client("ec2").create_route_table(
            VpcId=inputs["vpcId"], TagSpecifications=self.specification(call, inputs)
        )
        identity = made["RouteTable"]["RouteTableId"]
        known = {"arn": self.arn(call.site, identity), "ownerId": call.site.cloud.account}
        return identity, {**known, "routes": [], "propagatingVgws": []}


class Route(Handler):
    """One route."""

    token = "aws:ec2/route:Route"
    seconds = Seconds(2, 2, 2)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        self._refuse(call, inputs)
        call.site.client("ec2").create_route(**self._asked(inputs))
        none = dict.fromkeys(("instanceId", "instanceOwnerId", "networkInterfaceId"), "")
        return self.identity(call.site, inputs), {"origin": "CreateRoute", "state": "active", **none}

    @staticmethod
    def _refuse(call: Call, inputs: Properties) -> None:
        """Refuse a route without one target that is there, or over the network's own range; moto takes any."""
        targets, to = [inputs[target] for target in TARGETS if inputs.get(target)], inputs["destinationCidrBlock"]
        rule = "The request must contain exactly one of the parameters: " + ", ".join(TARGETS)
        refuse((not targets, rule), code="MissingParameter")
        refuse((len(targets) > 1, rule), code="InvalidParameterCombination")
        ec2, nat = call.site.client("ec2"), inputs.get("natGatewayId")
        here = [{"Name": "nat-gateway-id", "Values": [nat]}]
        gone = nat and not ec2.describe_nat_gateways(Filters=here)["NatGateways"]
        refuse((gone, f"The natGateway ID '{nat}' does not exist"), code="InvalidNatGatewayID.NotFound")
        table = ec2.describe_route_tables(RouteTableIds=[inputs["routeTableId"]])["RouteTables"][0]
        refuse_other_networks(call.site, table["VpcId"], targets, of=f"route table {inputs['routeTableId']}")
        (vpc,) = ec2.describe_vpcs(VpcIds=[table["VpcId"]])["Vpcs"]
        taken = to in [association["CidrBlock"] for association in vpc["CidrBlockAssociationSet"]]
        refuse((taken, f"The route identified by {to} already exists."), code="RouteAlreadyExists")

    def _asked(self, inputs: Properties) -> dict[str, Any]:
        told = {key: inputs.get(key) or None for key in ("routeTableId", "destinationCidrBlock", *TARGETS)}
        return in_aws_form("ec2", "CreateRouteRequest", told)

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        table = call.site.client("ec2").describe_route_tables(RouteTableIds=[state["routeTableId"]])["RouteTables"][0]
        for route in table["Routes"]:
            if route.get("DestinationCidrBlock") == state["destinationCidrBlock"]:
                told = in_provider_form(route)
                return {key: told.get(key, "") for key in TARGETS if state.get(key) or told.get(key)}
        return None

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        self._refuse(call, new)
        call.site.client("ec2").replace_route(**self._asked(new))

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("ec2").delete_route(
            RouteTableId=state["routeTableId"], DestinationCidrBlock=state["destinationCidrBlock"]
        )


class RouteTableAssociation(Handler):
    """The table that a subnet follows. AWS ends it with the subnet; moto does not."""

    token = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    seconds = Seconds(2, 2, 2)
    removed_by = ("ec2", "disassociate_route_table", "AssociationId")

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        other = self._of_subnet(call, inputs["subnetId"])
        table = (other or {}).get("RouteTableId")
        told = f"the specified association for route table {table} conflicts with an existing association"
        refuse((other, told), code="Resource.AlreadyAssociated")
        self._refuse_other_network(call, inputs)
        made = call.site.client("ec2").associate_route_table(
            RouteTableId=inputs["routeTableId"], SubnetId=inputs["subnetId"]
        )
        return made["AssociationId"], {}

    @staticmethod
    def _refuse_other_network(call: Call, inputs: Properties) -> None:
        table = inputs["routeTableId"]
        refuse_other_networks(call.site, network_of(call.site, table), [inputs["subnetId"]], of=f"Route table {table}")

    def _of_subnet(self, call: Call, subnet: str) -> dict[str, Any] | None:
        here = [{"Name": "association.subnet-id", "Values": [subnet]}]
        for table in call.site.client("ec2").describe_route_tables(Filters=here)["RouteTables"]:
            for association in table["Associations"]:
                if association.get("SubnetId") == subnet:
                    return association
        return None

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        association = self._of_subnet(call, state["subnetId"])
        if association is None or association["RouteTableAssociationId"] != identity:
            return None
        return {"routeTableId": association["RouteTableId"]}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        ec2 = call.site.client("ec2")
        self._refuse_other_network(call, new)
        ec2.replace_route_table_association(AssociationId=identity, RouteTableId=new["routeTableId"])


class Eip(Ec2Handler):
    """A public address. moto releases one in use; AWS does not, nor do we."""

    token = "aws:ec2/eip:Eip"
    kind, noun, key = "elastic-ip", "Address", "AllocationId"
    told = ("publicIp",)
    seconds = Seconds(2, 2, 2)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        ec2, most = call.site.client("ec2"), call.site.cloud.quota("addresses", call.site.region)
        told = f"The maximum number of addresses has been reached: {most}"
        refuse((len(ec2.describe_addresses()["Addresses"]) >= most, told), code="AddressLimitExceeded")
        made = ec2.allocate_address(Domain="vpc", TagSpecifications=self.specification(call, inputs))
        identity = made["AllocationId"]
        known = {"allocationId": identity, "arn": self.arn(call.site, identity)}
        return identity, {**known, "publicIp": made["PublicIp"], "domain": "vpc"}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        in_use.refuse_address(call.site, identity)
        call.site.client("ec2").release_address(AllocationId=identity)


class NatGateway(Ec2Handler):
    """A NAT gateway. moto leaves its network interface behind when it is deleted; AWS takes it away, and so do we."""

    token = "aws:ec2/natGateway:NatGateway"
    kind, noun, key = "natgateway", "NatGateway", "NatGatewayId"
    told = ("subnetId",)
    seconds = Seconds(110, 2, 60)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        ec2, vpc = call.site.client("ec2"), network_of(call.site, inputs["subnetId"])
        here = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
        attached = ec2.describe_internet_gateways(Filters=here)["InternetGateways"]
        refuse((not attached, f"Network {vpc} has no Internet gateway attached"), code="Gateway.NotAttached")
        made = ec2.create_nat_gateway(
            SubnetId=inputs["subnetId"],
            AllocationId=inputs["allocationId"],
            TagSpecifications=self.specification(call, inputs),
        )["NatGateway"]
        address = (made.get("NatGatewayAddresses") or [{}])[0]
        told, known = in_provider_form(address), ("networkInterfaceId", "privateIp", "publicIp", "associationId")
        return made["NatGatewayId"], {key: told.get(key) or "" for key in known}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        addresses = self.described(call, identity).get("NatGatewayAddresses", [])
        super().delete(call, identity, state)
        for address in addresses:
            if in_use.interfaces(call.site, "network-interface-id", address["NetworkInterfaceId"]):
                call.site.client("ec2").delete_network_interface(NetworkInterfaceId=address["NetworkInterfaceId"])


ROUTE: Final = (
    *("carrierGatewayId", "coreNetworkArn", "destinationPrefixListId", "gatewayId", "instanceId", "localGatewayId"),
    *("natGatewayId", "networkInterfaceId", "odbNetworkArn", "transitGatewayId", "vpcPeeringConnectionId"),
)
"""What the provider's function says of a route by EC2's own name."""
OTHERWISE: Final = {
    "cidrBlock": "destinationCidrBlock",
    "egressOnlyGatewayId": "egressOnlyInternetGatewayId",
    "ipv6CidrBlock": "destinationIpv6CidrBlock",
}
"""The same by another name -> EC2's."""


def table(site: Site, arguments: Mapping[str, Any]) -> Properties:
    """Answer of the function that describes a route table by its id; an endpoint in a route has a key of its own.

    Raises:
        ClientError: there is no such table.
    """
    (found,) = site.client("ec2").describe_route_tables(RouteTableIds=[arguments["routeTableId"]])["RouteTables"]
    routes = []
    for route in found["Routes"]:
        known = in_provider_form(route)
        told = {key: known.get(member) or "" for key, member in (*((key, key) for key in ROUTE), *OTHERWISE.items())}
        endpoint = told["gatewayId"] if told["gatewayId"].startswith("vpce-") else ""
        routes.append(told | {"vpcEndpointId": endpoint} | ({"gatewayId": ""} if endpoint else {}))
    return {
        "id": found["RouteTableId"],
        "vpcId": found["VpcId"],
        "routes": routes,
        "associations": [
            {
                "subnetId": association.get("SubnetId", ""),
                "main": bool(association.get("Main")),
                "routeTableId": found["RouteTableId"],
                "routeTableAssociationId": association["RouteTableAssociationId"],
                "gatewayId": "",
            }
            for association in found["Associations"]
        ],
    }
