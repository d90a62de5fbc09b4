"""Every handler over moto by its type token, and the functions that a program may ask."""

import pkgutil
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

from otel_on_spot.simcloud import aws
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.arguments import FUNCTIONS, refuse_unknown
from otel_on_spot.simcloud.aws import eks_cluster, images, network, roles, routing, security_groups
from otel_on_spot.simcloud.aws.ec2 import ids_of
from otel_on_spot.simcloud.handler import Handler, Site
from otel_on_spot.simcloud.properties import Properties

MODULES = [
    import_module(f"{aws.__name__}.{found.name}")
    for found in pkgutil.iter_modules(aws.__path__)
    if found.name != __name__.rpartition(".")[2]
]

HANDLERS: dict[str, Handler] = {
    kind.token: kind()
    for module in MODULES
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Handler) and "token" in vars(kind)
}

ANSWERS: Final[Mapping[str, Callable[[Site, Mapping[str, Any]], Properties]]] = {
    security_groups.GET_BY_TAGS: security_groups.by_tags,
    roles.GET_MANY: roles.named,
    roles.GET_ONE: roles.one,
    "aws:eks/getClusters:getClusters": eks_cluster.names_of_all,
    "aws:eks/getCluster:getCluster": eks_cluster.described,
    "aws:ebs/getEbsVolumes:getEbsVolumes": ids_of("describe_volumes", "Volumes", "VolumeId"),
    "aws:ebs/getVolume:getVolume": network.volume,
    "aws:ec2/getInstances:getInstances": network.instance_ids,
    "aws:ec2/getSubnets:getSubnets": ids_of("describe_subnets", "Subnets", "SubnetId"),
    "aws:ec2/getSubnet:getSubnet": network.subnet,
    "aws:ec2/getVpcs:getVpcs": ids_of("describe_vpcs", "Vpcs", "VpcId"),
    "aws:ec2/getVpc:getVpc": network.vpc,
    "aws:ec2/getVpcDhcpOptions:getVpcDhcpOptions": network.dhcp_options,
    "aws:ec2/getVpcEndpoint:getVpcEndpoint": network.vpc_endpoint,
    "aws:ec2/getRouteTables:getRouteTables": ids_of("describe_route_tables", "RouteTables", "RouteTableId"),
    "aws:ec2/getRouteTable:getRouteTable": routing.table,
    "aws:ssm/getParametersByPath:getParametersByPath": images.parameters_by_path,
}
"""Functions of the provider that ask for what a handler made, or for what AWS publishes."""


def handler(token: str) -> Handler:
    """The handler of a type.

    Raises:
        ApiError: the simulated cloud does not know the type.
    """
    if token not in HANDLERS:
        raise ApiError(
            "NotSimulated", f"{token}: the simulated cloud has no handler for this type. Add one under simcloud/aws/"
        )
    return HANDLERS[token]


def invoke(site: Site, token: str, arguments: Mapping[str, Any]) -> Properties:
    """Answer a function of the AWS provider.

    Raises:
        ApiError: the simulated cloud does not know the function or an argument of it, or who calls may not ask it.
    """
    for name, reason in refuse_unknown(token, arguments) if token in FUNCTIONS else ():
        raise ApiError("NotSimulated", f"{token}: {name}: {reason}")
    judge = site.cloud.authorization
    if judge:
        judge.function(token, site, dict(arguments))
    if token == "aws:index/getCallerIdentity:getCallerIdentity":
        who = site.client("sts").get_caller_identity()
        arn = (judge.arn if judge else "") or who["Arn"]
        return {"accountId": who["Account"], "arn": arn, "userId": who["UserId"], "id": who["Account"]}
    if token == "aws:index/getPartition:getPartition":
        return {"partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws", "id": "aws"}
    if token == "aws:index/getRegion:getRegion":
        return {
            "name": site.region,
            "region": site.region,
            "id": site.region,
            "description": site.region,
            "endpoint": f"ec2.{site.region}.amazonaws.com",
        }
    if token == "aws:index/getAvailabilityZones:getAvailabilityZones":
        zones = site.client("ec2").describe_availability_zones()["AvailabilityZones"]
        return {
            "names": [zone["ZoneName"] for zone in zones],
            "zoneIds": [zone["ZoneId"] for zone in zones],
            "groupNames": sorted({zone["RegionName"] for zone in zones}),
            "id": site.region,
        }
    if token in ANSWERS:
        return ANSWERS[token](site, arguments)
    raise ApiError(
        "NotSimulated",
        f"{token}: the simulated cloud has no answer for this function. Add one to simcloud/aws/registry.py",
    )
