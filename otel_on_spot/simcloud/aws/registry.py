"""Every handler over moto by its type token, and the functions that a program may ask."""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from botocore import xform_name

from otel_on_spot.simcloud import aws
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.arguments import Arguments
from otel_on_spot.simcloud.aws import eks_cluster, images, network, roles, routing, security_groups
from otel_on_spot.simcloud.aws.ec2 import ids_of
from otel_on_spot.simcloud.aws.provider_calls import Asks, asks, asks_for_parameters, asks_for_vpc, call
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


@dataclass(frozen=True)
class Function:
    """A function of the provider.

    Attributes:
        answer: what it answers to its arguments.
        calls: of AWS, which the provider makes for it.
        taken: its arguments.
    """

    answer: Callable[[Site, Mapping[str, Any]], Properties]
    calls: Asks
    taken: tuple[str, ...] = ()


def _caller(site: Site, _arguments: Mapping[str, Any]) -> Properties:
    who, judge = site.client("sts").get_caller_identity(), site.cloud.authorization
    arn = (judge.arn if judge else "") or who["Arn"]
    return {"accountId": who["Account"], "arn": arn, "userId": who["UserId"], "id": who["Account"]}


def _partition(_site: Site, _arguments: Mapping[str, Any]) -> Properties:
    return {"partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws", "id": "aws"}


def _region(site: Site, _arguments: Mapping[str, Any]) -> Properties:
    told = dict.fromkeys(("name", "region", "id", "description"), site.region)
    return {**told, "endpoint": f"ec2.{site.region}.amazonaws.com"}


def _zones(site: Site, _arguments: Mapping[str, Any]) -> Properties:
    zones = site.client("ec2").describe_availability_zones()["AvailabilityZones"]
    return {
        "names": [zone["ZoneName"] for zone in zones],
        "zoneIds": [zone["ZoneId"] for zone in zones],
        "groupNames": sorted({zone["RegionName"] for zone in zones}),
        "id": site.region,
    }


def _listing(what: str, identity: str, *taken: str) -> Function:
    """A function that lists ids of EC2's, such as of ``RouteTables``."""
    return Function(ids_of(xform_name(f"Describe{what}"), what, identity), asks(f"ec2:Describe{what}"), taken)


FUNCTIONS: Final[Mapping[str, Function]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": Function(_caller, asks("sts:GetCallerIdentity")),
    "aws:index/getPartition:getPartition": Function(_partition, asks()),
    "aws:index/getRegion:getRegion": Function(_region, asks()),
    "aws:index/getAvailabilityZones:getAvailabilityZones": Function(_zones, asks("ec2:DescribeAvailabilityZones")),
    "aws:ec2/getSecurityGroups:getSecurityGroups": Function(
        security_groups.by_tags, asks("ec2:DescribeSecurityGroups"), ("tags",)
    ),
    "aws:ebs/getEbsVolumes:getEbsVolumes": _listing("Volumes", "VolumeId", "tags"),
    "aws:ebs/getVolume:getVolume": Function(network.volume, asks("ec2:DescribeVolumes"), ("filters",)),
    "aws:ec2/getInstances:getInstances": Function(
        network.instance_ids, asks("ec2:DescribeInstances"), ("filters", "instanceTags", "instanceStateNames")
    ),
    "aws:ec2/getSubnet:getSubnet": Function(network.subnet, asks("ec2:DescribeSubnets"), ("id",)),
    "aws:ec2/getSubnets:getSubnets": _listing("Subnets", "SubnetId", "filters", "tags"),
    "aws:ec2/getVpcs:getVpcs": _listing("Vpcs", "VpcId", "filters"),
    "aws:ec2/getVpc:getVpc": Function(network.vpc, asks_for_vpc, ("id",)),
    "aws:ec2/getVpcDhcpOptions:getVpcDhcpOptions": Function(
        network.dhcp_options, asks("ec2:DescribeDhcpOptions"), ("dhcpOptionsId",)
    ),
    "aws:ec2/getVpcEndpoint:getVpcEndpoint": Function(
        network.vpc_endpoint,
        asks("ec2:DescribeVpcEndpoints", "ec2:DescribePrefixLists"),
        ("vpcId", "serviceName", "state"),
    ),
    "aws:ec2/getRouteTables:getRouteTables": _listing("RouteTables", "RouteTableId", "filters"),
    "aws:ec2/getRouteTable:getRouteTable": Function(routing.table, asks("ec2:DescribeRouteTables"), ("routeTableId",)),
    "aws:eks/getCluster:getCluster": Function(
        eks_cluster.described,
        lambda asked, arguments: [call("eks:DescribeCluster", asked.cluster_named(arguments["name"]))],
        ("name",),
    ),
    "aws:eks/getClusters:getClusters": Function(eks_cluster.names_of_all, asks("eks:ListClusters")),
    "aws:iam/getRole:getRole": Function(
        roles.one, lambda asked, arguments: [call("iam:GetRole", asked.role(arguments["name"]))], ("name",)
    ),
    "aws:iam/getRoles:getRoles": Function(roles.named, asks("iam:ListRoles"), ("nameRegex", "pathPrefix")),
    "aws:ssm/getParametersByPath:getParametersByPath": Function(
        images.parameters_by_path, asks_for_parameters, ("path",)
    ),
}
"""Functions of the provider that a program may ask, by their tokens."""


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
    if token not in FUNCTIONS:
        raise ApiError(
            "NotSimulated",
            f"{token}: the simulated cloud has no answer for this function. Add one to simcloud/aws/registry.py",
        )
    function = FUNCTIONS[token]
    for name, reason in Arguments(function.taken).refusals(arguments):
        raise ApiError("NotSimulated", f"{token}: {name}: {reason}")
    if site.cloud.authorization:
        site.cloud.authorization.function(token, site, dict(arguments))
    return function.answer(site, arguments)
