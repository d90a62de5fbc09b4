"""A VPC that is there, as a plan takes it: as its settings say, and with everything that the stack needs of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from otel_on_spot.kubernetes.names import INTERNAL_BALANCER_ROLE, PUBLIC_BALANCER_ROLE
from otel_on_spot.plan.identities import short_hash
from otel_on_spot.program.resource_types import ProviderScope

PRIVATE_TABLE, PUBLIC_TABLE = "rtb-private", "rtb-public"
TARGETS: Final = (
    *("carrierGatewayId", "coreNetworkArn", "destinationPrefixListId", "egressOnlyGatewayId", "gatewayId"),
    *("instanceId", "ipv6CidrBlock", "localGatewayId", "natGatewayId", "networkInterfaceId", "odbNetworkArn"),
    *("transitGatewayId", "vpcEndpointId", "vpcPeeringConnectionId"),
)
"""What a route of the provider's function says beside its range; empty where it is not so."""


@dataclass
class AssumedVpc:
    """Answers about ``network.existing``.

    Ids lie in the zones in the order in which both are given; of tags, each zone has one subnet.
    """

    network: Mapping[str, Any] = field(default_factory=dict)
    _zones: dict[str, str] = field(default_factory=dict)
    _public: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, config: Mapping[str, str], project: str) -> "AssumedVpc":
        """The one that a stack's configuration names; what is wrong in it is the settings' to refuse."""
        try:
            network = json.loads(config.get(f"{project}:network") or "{}")
        except ValueError:
            network = {}
        return cls(network if isinstance(network, dict) else {})

    def invoked(self, token: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """The result of a function of the provider; None where it is about something else."""
        filters = {told["name"]: told["values"] for told in arguments.get("filters") or ()}
        match token.rpartition(":")[2]:
            case "getVpcs":
                return {"ids": filters["vpc-id"], "id": "vpcs"}
            case "getVpc":
                return {
                    "cidrBlock": "10.0.0.0/16",
                    "cidrBlockAssociations": [],
                    "enableDnsSupport": True,
                    "enableDnsHostnames": True,
                    "mainRouteTableId": PRIVATE_TABLE,
                    "dhcpOptionsId": "dopt-plan",
                    "ownerId": ProviderScope().account,
                }
            case "getVpcDhcpOptions":
                return {"domainNameServers": ["AmazonProvidedDNS"]}
            case "getSubnets":
                return {"ids": self._subnets(filters), "id": "subnets"}
            case "getSubnet":
                subnet = arguments["id"]
                role = PUBLIC_BALANCER_ROLE if subnet in self._public else INTERNAL_BALANCER_ROLE
                return {
                    "vpcId": self._existing.get("vpcId"),
                    "availabilityZone": self._zones[subnet],
                    "cidrBlock": "10.0.0.0/20",
                    "availableIpAddressCount": 4091,
                    "tags": {role: "1"},
                }
            case "getVpcEndpoint":
                return {"id": "vpce-plan"}
            case "getRouteTables":
                public = not self._public.isdisjoint(filters["association.subnet-id"])
                return {"ids": [PUBLIC_TABLE if public else PRIVATE_TABLE], "id": "tables"}
            case "getRouteTable":
                return self._table(arguments["routeTableId"])
        return None

    @property
    def _existing(self) -> Mapping[str, Any]:
        return self.network.get("existing") or {}

    def _subnets(self, filters: Mapping[str, list[str]]) -> list[str]:
        given, zones = filters.get("subnet-id"), list(self.network["zones"])
        tags = {name.removeprefix("tag:"): values[0] for name, values in filters.items() if name.startswith("tag:")}
        public = bool(given or tags) and (given, tags) == (
            self._existing.get("publicSubnetIds"),
            self._existing.get("publicSubnetTags") or {},
        )
        ids = given or [f"subnet-{short_hash(f'{zone} {sorted(tags.items())}')}" for zone in zones]
        self._zones |= {subnet: zones[place % len(zones)] for place, subnet in enumerate(ids)}
        self._public |= set(ids) if public else set()
        return ids

    def _table(self, identity: str) -> dict[str, Any]:
        public = identity == PUBLIC_TABLE
        target = {"gatewayId": "igw-plan"} if public else {"natGatewayId": "nat-plan"}
        return {
            "associations": [
                {"subnetId": subnet, "main": False} for subnet in self._zones if (subnet in self._public) is public
            ],
            "routes": [dict.fromkeys(TARGETS, "") | {"cidrBlock": "0.0.0.0/0"} | target],
        }
