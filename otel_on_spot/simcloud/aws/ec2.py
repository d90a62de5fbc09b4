"""The base of every handler of EC2; what its functions are asked for and answer."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from botocore import xform_name
from typing_extensions import override

from otel_on_spot.simcloud.api_errors import ApiError, NotFoundError
from otel_on_spot.simcloud.handler import Call, Handler, Site, all_tags, gone_tags, own_tags, tag_list, tags_of
from otel_on_spot.simcloud.properties import Properties
from otel_on_spot.simcloud.service_model import in_provider_form


class Ec2Handler(Handler):
    """Something of EC2 with tags, which are what an update changes.

    Attributes:
        kind: its type in tag specifications.
        noun: its name in EC2's operations, such as ``InternetGateway`` of DescribeInternetGateways.
        key: the member that is its id.
        told: inputs that EC2 tells under their own names.
    """

    taggable = True
    kind: ClassVar[str]
    noun: ClassVar[str]
    key: ClassVar[str]
    told: ClassVar[tuple[str, ...]] = ()

    def described(self, call: Call, identity: str) -> dict[str, Any]:
        """The resource as EC2 describes it.

        Raises:
            NotFoundError: it is gone, or as good as gone.
        """
        plural = f"{self.noun}es" if self.noun.endswith("s") else f"{self.noun}s"
        describe = getattr(call.site.client("ec2"), xform_name(f"Describe{plural}"))
        for row in describe(**{f"{self.key}s": [identity]})[plural]:
            if row.get("State") != "deleted":
                return row
        raise NotFoundError(f"Invalid{self.key}.NotFound", f"The {self.kind} ID '{identity}' does not exist")

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties:
        row = self.described(call, identity)
        found = in_provider_form(row)
        return {**{key: found[key] for key in self.told}, **own_tags(call.site, state, tags_of(row.get("Tags")))}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        getattr(call.site.client("ec2"), xform_name(f"Delete{self.noun}"))(**{self.key: identity})

    def specification(self, call: Call, inputs: Properties) -> list[dict[str, Any]]:
        """TagSpecifications of a create call."""
        tags = all_tags(call.site, inputs)
        return [{"ResourceType": self.kind, "Tags": tag_list(tags)}] if tags else []

    @override
    def update(
        self, call: Call, identity: str, state: Properties, old: Properties, new: Properties
    ) -> Properties | None:
        ec2 = call.site.client("ec2")
        if gone := gone_tags(call.site, state, new):
            ec2.delete_tags(Resources=[identity], Tags=[{"Key": key} for key in gone])
        if wanted := all_tags(call.site, new):
            ec2.create_tags(Resources=[identity], Tags=tag_list(wanted))
        return None


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
