"""The base of every handler of EC2; what its functions are asked for and answer."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from typing_extensions import override

from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.handler import Call, Handler, Site, all_tags, tag_list
from otel_on_spot.simcloud.properties import Properties


class Ec2Handler(Handler):
    """Something of EC2 with tags, which are what an update changes."""

    taggable = True
    kind: str

    def specification(self, call: Call, inputs: Properties) -> list[dict[str, Any]]:
        """TagSpecifications of a create call."""
        tags = all_tags(call.site, inputs)
        return [{"ResourceType": self.kind, "Tags": tag_list(tags)}] if tags else []

    def retag(self, call: Call, identity: str, state: Properties, new: Properties) -> Properties:
        """Make the tags those that are wanted.

        Args:
            call: under way.
            identity: id of the resource.
            state: its outputs, with the tags that it has in ``tagsAll``.
            new: the inputs that are wanted.
        """
        wanted, had = all_tags(call.site, new), state.get("tagsAll") or {}
        ec2 = call.site.client("ec2")
        gone = [{"Key": key} for key in had if key not in wanted]
        if gone:
            ec2.delete_tags(Resources=[identity], Tags=gone)
        if wanted:
            ec2.create_tags(Resources=[identity], Tags=tag_list(wanted))
        return {"tags": new.get("tags") or {}, "tagsAll": wanted}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        return self.retag(call, identity, state, new)


NETWORKS: Final = {
    "subnet": ("describe_subnets", "SubnetIds", "Subnets", "SubnetId"),
    "sg": ("describe_security_groups", "GroupIds", "SecurityGroups", "GroupId"),
    "rtb": ("describe_route_tables", "RouteTableIds", "RouteTables", "RouteTableId"),
    "nat": ("describe_nat_gateways", "NatGatewayIds", "NatGateways", "NatGatewayId"),
}
"""Prefix of an id -> how EC2 describes what is of one network."""


def networks_of(site: Site, ids: Iterable[str]) -> dict[str, str]:
    """The VPC of each subnet, security group, route table, NAT gateway or attached Internet gateway, one call a kind.

    Of another kind nothing is known, and it is left out.

    Raises:
        ClientError: one of them is not there.
    """
    ec2, found = site.client("ec2"), dict[str, str]()
    by_kind: dict[str, list[str]] = {}
    for identity in ids:
        by_kind.setdefault(identity.partition("-")[0], []).append(identity)
    for gateway in by_kind.pop("igw", ()):
        (row,) = ec2.describe_internet_gateways(InternetGatewayIds=[gateway])["InternetGateways"]
        found[gateway] = next((attached["VpcId"] for attached in row["Attachments"]), "")
    for kind, asked in by_kind.items():
        if kind in NETWORKS:
            describe, argument, member, key = NETWORKS[kind]
            rows = getattr(ec2, describe)(**{argument: sorted(set(asked))})[member]
            found |= {row[key]: row["VpcId"] for row in rows}
    return found


def network_of(site: Site, identity: str) -> str:
    """The VPC of one thing, as :func:`networks_of`."""
    return networks_of(site, [identity])[identity]


def refuse_other_networks(
    site: Site, vpc: str, ids: Iterable[str], code: str = "InvalidParameterValue", of: str = ""
) -> None:
    """Refuse what is of another network than the one that it is put together with; moto takes it.

    Args:
        site: region.
        vpc: the network.
        ids: of subnets, security groups, route tables and gateways; of another kind, nothing is known.
        code: of the refusal.
        of: whose network it is; left out, the VPC's id.

    Raises:
        ApiError: one of them is of another network.
    """
    for identity, network in networks_of(site, ids).items():
        if network != vpc:
            raise ApiError(code, f"{of or vpc} and {identity} belong to different networks")


def filters_of(arguments: Mapping[str, Any], tags: str = "tags") -> list[dict[str, Any]]:
    """EC2's filters out of a function's arguments: those that it names, and one for each of its tags."""
    named = [{"Name": told["name"], "Values": told["values"]} for told in arguments.get("filters") or ()]
    return named + [{"Name": f"tag:{key}", "Values": [told]} for key, told in (arguments.get(tags) or {}).items()]


def ids_of(describe: str, member: str, identity: str) -> Callable[[Site, Mapping[str, Any]], Properties]:
    """A function that lists ids by filters and tags; none found is an empty list.

    Args:
        describe: the client's method.
        member: the list in its answer.
        identity: the id in a row of it.
    """

    def answer(site: Site, arguments: Mapping[str, Any]) -> Properties:
        found = getattr(site.client("ec2"), describe)(Filters=filters_of(arguments))[member]
        return {"ids": [row[identity] for row in found], "id": site.region}

    return answer
