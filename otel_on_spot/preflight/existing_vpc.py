"""The VPC that the stack is given: whether it is there, and has what the stack needs of it."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from infra.existing_vpc import INSTEAD_OF_A_WAY_OUT, UNSEEN, FoundSubnet, FoundVpc, problems_of, way_out
from infra.settings.models import ExistingVpc
from infra.settings.problem import Problem
from otel_on_spot.aws_errors import unless_absent
from otel_on_spot.doctor.check import Judging, result_of
from otel_on_spot.doctor.collectors.aws import pages
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.iam import tags_of
from otel_on_spot.preflight.situation import Situation
from otel_on_spot.preflight.taken import CLUSTER
from otel_on_spot.program.resource_types import EXISTING_NETWORK
from otel_on_spot.simcloud.aws.network import name_servers
from otel_on_spot.simcloud.aws.network_acls import stopped, subnets_of

PAGE = "docs/existing-vpc.md"
SHOWN = 4
"""What an ACL stops that a finding names before it counts the rest."""
OTHER_TARGETS = (
    *("NatGatewayId", "TransitGatewayId", "NetworkInterfaceId", "InstanceId", "CoreNetworkArn", "LocalGatewayId"),
)


@result_of
def given(situation: Situation) -> Judging:
    """The VPC of ``network.existing`` and its subnets lack nothing, as the program will judge it at the preview."""
    planned = situation.of_type(EXISTING_NETWORK)
    if not planned:
        return 0, "none: the stack makes a VPC of its own"
    told = planned[0].inputs
    zones = tuple(told["zones"])
    fields = {field.alias or name for name, field in ExistingVpc.model_fields.items()}
    existing = ExistingVpc.model_validate({key: value for key, value in told.items() if key in fields})
    found = _found(situation, existing, zones)
    new = not any(_is_there(situation, cluster.inputs["name"]) for cluster in situation.of_type(CLUSTER))
    for problem in (
        *problems_of(existing, zones, situation.region, found, new=new),
        *(_acl_problems(situation, existing, found) if found else ()),
    ):
        yield Finding(subject=problem.key, seen=problem.given, rule=problem.rule, remedy=(problem.do, f"see {PAGE}"))
    subnets = (*found.private, *found.public) if found else ()
    free = ", ".join(
        f"{sum(subnet.free for subnet in found.private if subnet.zone == zone)} addresses free in {zone}"
        for zone in zones
        if found
    )
    return len(subnets), f"{existing.vpc_id}, {format_count(len(subnets), 'subnet')}; {free or 'not there'}"


def _acl_problems(situation: Situation, existing: ExistingVpc, found: FoundVpc) -> Iterator[Problem]:
    """Network ACLs that stop what nodes need. Only preflight looks: no function of the provider tells the rules."""
    ec2, ids = situation.client("ec2"), [subnet.id for subnet in found.private]
    if not ids:
        return
    ranges = {
        subnet["SubnetId"]: IPv4Network(subnet["CidrBlock"])
        for subnet in _described(ec2, "subnets", {"subnet-id": ids})
    }
    for acl in _described(ec2, "network_acls", {"association.subnet-id": ids}):
        own, peers = subnets_of(acl, ranges)
        if told := list(stopped(acl["Entries"], peers, outside=existing.way_out == "route")):
            more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
            yield Problem(
                f"network.existing.privateSubnet{'Tags' if existing.private_subnet_tags else 'Ids'}",
                f"the network ACL {acl['NetworkAclId']} of {', '.join(own)} stops "
                + f"{', '.join(told[:SHOWN])}{more}",
                "an ACL lets through what nodes need, and the answers by rules of their own: among the private subnets "
                "DNS, 443 and all ports from 1024; by a way out 443, and answers from everywhere",
                situation.command(f"ec2 describe-network-acls --network-acl-ids {acl['NetworkAclId']}"),
            )


def _is_there(situation: Situation, cluster: str) -> bool:
    return unless_absent(situation.client("eks").describe_cluster, name=cluster) is not None


def _found(situation: Situation, existing: ExistingVpc, zones: tuple[str, ...]) -> FoundVpc | None:
    """The VPC and its subnets as EC2 tells them; None where there is no such VPC."""
    ec2, of_vpc = situation.client("ec2"), {"vpc-id": existing.vpc_id}
    vpcs = _described(ec2, "vpcs", of_vpc)
    if not vpcs:
        return None
    support, hostnames = (
        ec2.describe_vpc_attribute(VpcId=existing.vpc_id, Attribute=name)[name[0].upper() + name[1:]]["Value"]
        for name in ("enableDnsSupport", "enableDnsHostnames")
    )
    tables = _described(ec2, "route_tables", of_vpc)
    private, public = (
        tuple(_subnets(ec2, existing.vpc_id, ids, tags, zones, tables))
        for ids, tags in (
            (existing.private_subnet_ids, existing.private_subnet_tags),
            (existing.public_subnet_ids, existing.public_subnet_tags),
        )
    )
    there = {endpoint["ServiceName"] for endpoint in _described(ec2, "vpc_endpoints", of_vpc)}
    return FoundVpc(
        ranges=tuple(
            IPv4Network(block)
            for block in dict.fromkeys(
                [
                    vpcs[0]["CidrBlock"],
                    *(association["CidrBlock"] for association in vpcs[0].get("CidrBlockAssociationSet") or ()),
                ]
            )
        ),
        dns_support=support,
        dns_hostnames=hostnames,
        private=private,
        public=public,
        endpoints=frozenset(
            service for service in INSTEAD_OF_A_WAY_OUT if f"com.amazonaws.{situation.region}.{service}" in there
        ),
        name_servers=tuple(name_servers(ec2, vpcs[0]["DhcpOptionsId"])),
        shared_by=vpcs[0]["OwnerId"] if vpcs[0]["OwnerId"] != situation.identity.account else "",
    )


def _described(ec2: Any, what: str, wanted: Mapping[str, str | Sequence[str]]) -> list[dict[str, Any]]:
    """What EC2 describes with these properties."""
    filters = [
        {"Name": name, "Values": [value] if isinstance(value, str) else list(value)} for name, value in wanted.items()
    ]
    member = "".join(part.capitalize() for part in what.split("_"))
    return list(pages(ec2, f"describe_{what}", member, Filters=filters))


def _subnets(
    ec2: Any,
    vpc: str,
    ids: Sequence[str],
    tags: Mapping[str, str],
    zones: Sequence[str],
    tables: Sequence[Mapping[str, Any]],
) -> Iterator[FoundSubnet]:
    """Subnets by their ids, wherever they are; or by their tags, in the VPC and the zones. As infra/existing_vpc.py."""
    if not ids and not tags:
        return
    wanted: dict[str, str | Sequence[str]] = {"subnet-id": ids} if ids else {"vpc-id": vpc, "availability-zone": zones}
    for subnet in _described(ec2, "subnets", wanted | {f"tag:{key}": value for key, value in tags.items()}):
        own = [table for table in tables if _serves(table, subnet["SubnetId"])]
        main = [table for table in tables if any(association.get("Main") for association in table["Associations"])]
        yield FoundSubnet(
            id=subnet["SubnetId"],
            vpc_id=subnet["VpcId"],
            zone=subnet["AvailabilityZone"],
            free=subnet["AvailableIpAddressCount"],
            way_out=way_out(
                (
                    route.get("DestinationCidrBlock") or "",
                    str(route.get("GatewayId", "")).startswith("igw-"),
                    any(route.get(target) for target in OTHER_TARGETS)
                    or str(route.get("GatewayId", "")).startswith(("vgw-", "vpce-")),
                )
                for table in own or main
                for route in table["Routes"]
            )
            if own or main
            else UNSEEN,
            tags=tags_of(subnet.get("Tags")),
        )


def _serves(table: Mapping[str, Any], subnet: str) -> bool:
    return any(association.get("SubnetId") == subnet for association in table["Associations"])
