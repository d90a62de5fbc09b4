"""A VPC that is there: looked up before the first resource, held against what the stack needs of it, and left alone.

Nothing here writes: neither a tag, nor a route. What is missing is refused with the command that its owner runs.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, collapse_addresses
from typing import Final

import pulumi
from pulumi_aws import ec2, get_caller_identity

from infra.settings.models import ExistingVpc, Settings, SubnetIds, SubnetTags
from infra.settings.problem import Problem, message
from infra.settings.rules import SERVICE_RANGES

PRIVATE_TAG, PUBLIC_TAG = "kubernetes.io/role/internal-elb", "kubernetes.io/role/elb"
ROLE_VALUES: Final = ("1", "")
"""Values by which the load balancer controller takes a subnet.

Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/subnet_discovery
"""
FREE_IN_A_ZONE: Final = 251
"""Addresses that a zone has free for a new cluster: those of a whole /24, AWS's five taken off.

Eight nodes of 2 to 8 vCPUs at 30 each, which is what the VPC CNI's warm pool takes: the system nodes, and those of the
demo where a drought leaves one zone. Source: https://docs.aws.amazon.com/eks/latest/best-practices/vpc-cni.html
"""
FREE_IN_A_SUBNET: Final = 6
"""Addresses that EKS asks of each subnet that a cluster is given.

Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
"""
MOST_SUBNETS: Final = 16
"""Source: ``SubnetIds``; EKS spreads at most four interfaces over them."""
INSTEAD_OF_A_WAY_OUT: Final = ("ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "s3", "sqs", "ssm", "sts")
"""Services whose endpoints serve nodes, Pod Identity and Karpenter where there is no way out.

Sources: https://docs.aws.amazon.com/eks/latest/userguide/private-clusters.html,
https://karpenter.sh/docs/getting-started/getting-started-with-karpenter/#private-clusters
"""
AMAZONS_RESOLVER: Final = ("AmazonProvidedDNS", "169.254.169.253")
"""Names of the VPC's own resolver among a VPC's name servers; another is the address above that of its primary range.

Source: https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html
"""
EVERYWHERE: Final = IPv4Network("0.0.0.0/0")
INTERNET, ELSEWHERE, NOWHERE, UNSEEN = "internet gateway", "elsewhere", "", "not to be seen"
"""Where a subnet's routes to everywhere lead: to an Internet gateway, by way of something else, or nowhere.

The main table of a VPC that another account shares is not to be seen, and nothing is said of it.
"""


@dataclass(frozen=True, kw_only=True)
class FoundSubnet:
    """A subnet as AWS tells it. ``way_out``: where its route table leads."""

    id: str
    vpc_id: str
    zone: str
    free: int
    way_out: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FoundVpc:
    """A VPC as AWS tells it. ``endpoints``: services that it has endpoints of, among those that were asked for.

    ``name_servers``: of its DHCP options. ``shared_by``: the account that shares its subnets; empty of the stack's own.
    """

    ranges: tuple[IPv4Network, ...]
    dns_support: bool
    dns_hostnames: bool
    private: tuple[FoundSubnet, ...]
    public: tuple[FoundSubnet, ...]
    endpoints: frozenset[str] = frozenset()
    name_servers: tuple[str, ...] = AMAZONS_RESOLVER[:1]
    shared_by: str = ""


def existing_vpc(settings: Settings, opts: pulumi.InvokeOptions, *, new: bool) -> FoundVpc | None:
    """What ``network.existing`` names, its subnets in the order of the zones; None where the stack makes its VPC.

    Args:
        settings: of the stack.
        opts: of the questions to AWS.
        new: the cluster is still to be made.

    Raises:
        pulumi.RunError: the VPC or its subnets lack something; all is named, and no resource was declared yet.
    """
    existing, zones = settings.network.existing, settings.network.zones
    if existing is None:
        return None
    found = look(existing, zones, settings.region, opts)
    problems = list(problems_of(existing, zones, settings.region, found, new=new))
    if found is not None:
        problems += issuer_problems(settings, existing, opts)
    if problems or found is None:
        raise pulumi.RunError(message(f"Pulumi.{pulumi.get_stack()}.yaml", problems))
    private, public = (
        tuple(sorted(subnets, key=lambda subnet: (zones.index(subnet.zone), subnet.id)))
        for subnets in (found.private, found.public)
    )
    return replace(found, private=private, public=public)


def look(existing: ExistingVpc, zones: tuple[str, ...], region: str, opts: pulumi.InvokeOptions) -> FoundVpc | None:
    """The VPC and its subnets, of the provider's account; None where it is not there.

    Args:
        existing: the settings that name the VPC, and its subnets by id or tags.
        zones: names of the zones whose subnets count, such as ``eu-west-1a``.
        region: of the VPC; endpoints of its services are looked for where they are the way out.
        opts: the provider, and so the account and region, that is asked.
    """
    by_id = ec2.GetVpcsFilterArgs(name="vpc-id", values=[existing.vpc_id])
    if not ec2.get_vpcs(filters=[by_id], opts=opts).ids:
        return None
    vpc = ec2.get_vpc(id=existing.vpc_id, opts=opts)
    private, public = (
        tuple(_subnets(existing.vpc_id, ids, tags, zones, vpc.main_route_table_id, opts))
        for ids, tags in (
            (existing.private_subnet_ids, existing.private_subnet_tags),
            (existing.public_subnet_ids, existing.public_subnet_tags),
        )
    )
    return FoundVpc(
        ranges=tuple(
            IPv4Network(block)
            for block in dict.fromkeys(
                [vpc.cidr_block, *(association.cidr_block for association in vpc.cidr_block_associations)]
            )
        ),
        dns_support=vpc.enable_dns_support,
        dns_hostnames=vpc.enable_dns_hostnames,
        private=private,
        public=public,
        endpoints=frozenset(
            service
            for service in (INSTEAD_OF_A_WAY_OUT if existing.way_out == "endpoints" else ())
            if _has_endpoint(existing.vpc_id, f"com.amazonaws.{region}.{service}", opts)
        ),
        name_servers=_name_servers(vpc.dhcp_options_id, opts),
        shared_by=vpc.owner_id if vpc.owner_id != get_caller_identity(opts=opts).account_id else "",
    )


def _name_servers(options: str, opts: pulumi.InvokeOptions) -> tuple[str, ...]:
    """Name servers of a set of DHCP options; ``default`` is AWS's word for no set, and no name server."""
    if options == "default":
        return ()
    return tuple(ec2.get_vpc_dhcp_options(dhcp_options_id=options, opts=opts).domain_name_servers)


def _subnets(
    vpc_id: str, ids: SubnetIds, tags: SubnetTags, zones: tuple[str, ...], main: str | None, opts: pulumi.InvokeOptions
) -> Iterator[FoundSubnet]:
    """Subnets by their ids, wherever they are; or by their tags, in the VPC and the zones."""
    if not ids and not tags:
        return
    wanted = {"subnet-id": list(ids)} if ids else {"vpc-id": [vpc_id], "availability-zone": list(zones)}
    wanted |= {f"tag:{key}": [value] for key, value in tags.items()}
    filters = [ec2.GetSubnetsFilterArgs(name=name, values=values) for name, values in wanted.items()]
    found = [ec2.get_subnet(id=subnet, opts=opts) for subnet in ec2.get_subnets(filters=filters, opts=opts).ids]
    if not found:
        return
    of_them = ec2.GetRouteTablesFilterArgs(name="association.subnet-id", values=[subnet.id for subnet in found])
    ways: dict[str, str] = {}
    for table_id in ec2.get_route_tables(filters=[of_them], opts=opts).ids:
        table = ec2.get_route_table(route_table_id=table_id, opts=opts)
        ways |= dict.fromkeys(
            (association.subnet_id for association in table.associations if association.subnet_id),
            _way_out(table.routes),
        )
    if any(subnet.id not in ways for subnet in found) and main:
        # Without an association of its own a subnet has the VPC's main table.
        table = ec2.get_route_table(route_table_id=main, opts=opts)
        ways = dict.fromkeys((subnet.id for subnet in found), _way_out(table.routes)) | ways
    for subnet in found:
        yield FoundSubnet(
            id=subnet.id,
            vpc_id=subnet.vpc_id,
            zone=subnet.availability_zone,
            free=subnet.available_ip_address_count,
            way_out=ways.get(subnet.id, UNSEEN),
            tags=subnet.tags or {},
        )


def _way_out(routes: Iterable[ec2.outputs.GetRouteTableRouteResult]) -> str:
    """Where the routes to everywhere lead: one, or several that are everywhere together.

    A peering is none: it carries to the other VPC's own addresses alone.
    Source: https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html#vpc-peering-limitations
    """
    return way_out(
        (
            route.cidr_block,
            (route.gateway_id or "").startswith("igw-"),
            bool(
                (route.gateway_id or "").startswith("vgw-")
                or route.nat_gateway_id
                or route.transit_gateway_id
                or route.network_interface_id
                or route.instance_id
                or route.vpc_endpoint_id
                or route.core_network_arn
                or route.local_gateway_id
            ),
        )
        for route in routes
    )


def way_out(routes: Iterable[tuple[str, bool, bool]]) -> str:
    """Where routes lead: (destination, to an Internet gateway, to another thing that forwards) each."""
    led = [(IPv4Network(cidr), internet) for cidr, internet, other in routes if cidr and (internet or other)]
    if EVERYWHERE not in collapse_addresses(network for network, _ in led):
        return NOWHERE
    return INTERNET if any(internet for network, internet in led if network.prefixlen <= 1) else ELSEWHERE


def issuer_problems(settings: Settings, existing: ExistingVpc, opts: pulumi.InvokeOptions) -> Iterator[Problem]:
    """A VPC's own eks endpoint hides the issuer that IRSA needs from a runner inside, whatever else its way out is.

    Where endpoints are the way out, it is among them, and the settings refuse it (``issuer_is_resolved``).

    Args:
        settings: of the stack.
        existing: the VPC's part of them.
        opts: of the question to AWS.
    """
    identity = settings.karpenter.identity
    inside = settings.cluster.endpoint.reached_from == "runner-in-vpc"
    if identity == "pod-identity" or not inside or existing.way_out == "endpoints":
        return
    if _has_endpoint(existing.vpc_id, f"com.amazonaws.{settings.region}.eks", opts, private_names=True):
        yield Problem(
            "karpenter.identity",
            f"{identity}, with a runner in {existing.vpc_id}, which has an interface endpoint of eks",
            f"inside the VPC the endpoint's private names hide oidc.eks.{settings.region}: the runner cannot read the "
            "issuer's certificate",
            "set identity: pod-identity; or have the endpoint's private names turned off: "
            "aws ec2 modify-vpc-endpoint --no-private-dns-enabled --vpc-endpoint-id ENDPOINT",
        )


def _has_endpoint(vpc_id: str, service: str, opts: pulumi.InvokeOptions, *, private_names: bool = False) -> bool:
    """Whether a VPC has an endpoint of a service, and where asked, the service's names in the VPC lead to it.

    Of several, which the provider does not tell apart, one has the names at most, and one counts.
    """
    try:
        endpoint = ec2.get_vpc_endpoint(vpc_id=vpc_id, service_name=service, state="available", opts=opts)
    except Exception as problem:  # noqa: BLE001 the provider raises a plain one, where there is none or several
        return "multiple" in str(problem)
    return not private_names or endpoint.private_dns_enabled is True


def problems_of(
    existing: ExistingVpc, zones: tuple[str, ...], region: str, found: FoundVpc | None, *, new: bool
) -> Iterator[Problem]:
    """Everything that the VPC and its subnets lack.

    Args:
        existing: the settings.
        zones: of the stack.
        region: of the stack, for the commands.
        found: what is there; None where the VPC is not.
        new: the cluster is still to be made, so that its own addresses are not among the used ones.
    """
    at = f"--region {region}"
    if found is None:
        yield Problem(
            "network.existing.vpcId",
            existing.vpc_id,
            f"the VPC is in {region}, of the stack's account or shared with it",
            f"take one of these: aws ec2 describe-vpcs {at}",
        )
        return
    for name, on, option in (
        ("DNS support", found.dns_support, "--enable-dns-support"),
        ("DNS hostnames", found.dns_hostnames, "--enable-dns-hostnames"),
    ):
        if not on:
            yield Problem(
                "network.existing.vpcId",
                f"{existing.vpc_id}, without {name}",
                "nodes find the cluster's endpoint by the VPC's own names",
                f"aws ec2 modify-vpc-attribute --vpc-id {existing.vpc_id} {option} {at}",
            )
    resolvers = {*AMAZONS_RESOLVER, *(str(own.network_address + 2) for own in found.ranges[:1])}
    if resolvers.isdisjoint(found.name_servers):
        yield Problem(
            "network.existing.vpcId",
            f"{existing.vpc_id}, whose name servers are {', '.join(found.name_servers) or 'none'}",
            "the VPC's own resolver is among the name servers of its DHCP options: no other knows the cluster's "
            "private endpoint",
            "aws ec2 associate-dhcp-options --dhcp-options-id OPTIONS, of a set with domain-name-servers="
            f"AmazonProvidedDNS, --vpc-id {existing.vpc_id} {at}; let it forward the company's names instead "
            "(Route 53 Resolver)",
        )
    if all(any(own.overlaps(service) for own in found.ranges) for service in SERVICE_RANGES):
        yield Problem(
            "network.existing.vpcId",
            f"{existing.vpc_id}, of {', '.join(map(str, found.ranges))}",
            "a VPC leaves one of EKS's Service ranges free, " + " or ".join(map(str, SERVICE_RANGES)),
            "take another VPC",
        )
    yield from _private_problems(existing, zones, at, found, new=new)
    yield from _kind_problems("public", existing, zones, at, found)
    for subnet in found.public:
        if subnet.way_out not in (INTERNET, UNSEEN) and subnet.vpc_id == existing.vpc_id:
            yield Problem(
                f"network.existing.{_key('public', existing)}",
                f"{subnet.id}, whose 0.0.0.0/0 leads "
                + ("not to an Internet gateway" if subnet.way_out else "nowhere"),
                "what the Internet reaches is in a subnet with a route to the VPC's Internet gateway",
                "give it that route, or leave it out",
            )


def _key(kind: str, existing: ExistingVpc) -> str:
    tags = existing.private_subnet_tags if kind == "private" else existing.public_subnet_tags
    return f"{kind}SubnetTags" if tags else f"{kind}SubnetIds"


def _private_problems(
    existing: ExistingVpc, zones: tuple[str, ...], at: str, found: FoundVpc, *, new: bool
) -> Iterator[Problem]:
    key = f"network.existing.{_key('private', existing)}"
    yield from _kind_problems("private", existing, zones, at, found)
    inside = [subnet for subnet in found.private if subnet.vpc_id == existing.vpc_id]
    without = [zone for zone in zones if not any(subnet.zone == zone for subnet in inside)]
    if without and inside:
        yield Problem(
            key,
            f"none in {', '.join(without)}",
            "each of network.zones has a private subnet, and EKS takes at least two zones",
            f"add one, or take the zone out of network.zones; the VPC has: aws ec2 describe-subnets "
            f"--filters Name=vpc-id,Values={existing.vpc_id} {at}",
        )
    if len(found.private) > MOST_SUBNETS:
        yield Problem(
            key,
            f"{len(found.private)} subnets",
            f"the cluster is given at most {MOST_SUBNETS} subnets",
            "take tags that fewer of them have, or list ids",
        )
    for zone in zones if new else ():
        free = {subnet.id: subnet.free for subnet in inside if subnet.zone == zone}
        if free and sum(free.values()) < FREE_IN_A_ZONE:
            yield Problem(
                key,
                f"{sum(free.values())} addresses free in {zone} ("
                + ", ".join(f"{subnet} {count}" for subnet, count in free.items())
                + ")",
                f"a new cluster needs {FREE_IN_A_ZONE} free in each zone, a whole /24: about 30 a node, with its pods",
                f"add a larger subnet of {zone} (the VPC takes a secondary range: aws ec2 associate-vpc-cidr-block "
                f"--vpc-id {existing.vpc_id} --cidr-block RANGE {at})",
            )
    if new and (small := [subnet for subnet in inside if subnet.free < FREE_IN_A_SUBNET]):
        yield Problem(
            key,
            ", ".join(f"{subnet.id} with {subnet.free} addresses free" for subnet in small),
            f"EKS needs {FREE_IN_A_SUBNET} free in each subnet that the cluster is given",
            "leave it out" if len(small) == 1 else "leave them out",
        )
    open_ones = [subnet.id for subnet in inside if subnet.way_out == INTERNET]
    if open_ones:
        yield Problem(
            key,
            f"{', '.join(open_ones)}, whose 0.0.0.0/0 leads to an Internet gateway",
            "nodes have no public address, so an Internet gateway carries nothing of theirs",
            "take private subnets, whose way out is a NAT or transit gateway",
        )
    if existing.way_out == "route" and (enclosed := [subnet.id for subnet in inside if subnet.way_out == NOWHERE]):
        yield Problem(
            key,
            f"{', '.join(enclosed)}, without a route to 0.0.0.0/0",
            "a node reaches AWS and its images' registries, by a NAT or transit gateway or a firewall: a peering "
            "carries nothing further",
            "have the route added; or, where images come from registries in the VPC, set wayOut: endpoints",
        )
    missing = [service for service in INSTEAD_OF_A_WAY_OUT if service not in found.endpoints]
    if existing.way_out == "endpoints" and missing:
        yield Problem(
            "network.existing.wayOut",
            f"endpoints, and {existing.vpc_id} has none of {', '.join(missing)}",
            "nodes, Pod Identity and Karpenter reach these services, and there is no other way",
            f"have them added: aws ec2 create-vpc-endpoint --vpc-id {existing.vpc_id} --vpc-endpoint-type Interface "
            f"--service-name SERVICE {at}; or set wayOut: route",
        )


def _kind_problems(
    kind: str, existing: ExistingVpc, zones: tuple[str, ...], at: str, found: FoundVpc
) -> Iterator[Problem]:
    """What private and public subnets must both be: there, in the VPC and its zones, with their role's tag.

    Each account sees its own tags of a shared subnet alone.
    Source: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-share-limitations.html
    """
    subnets = found.private if kind == "private" else found.public
    key = f"network.existing.{_key(kind, existing)}"
    ids, tags, role = (
        (existing.private_subnet_ids, existing.private_subnet_tags, PRIVATE_TAG)
        if kind == "private"
        else (existing.public_subnet_ids, existing.public_subnet_tags, PUBLIC_TAG)
    )
    if tags and not subnets:
        yield Problem(
            key,
            ", ".join(f"{name}={value}" for name, value in tags.items()),
            f"subnets of {existing.vpc_id} in {', '.join(zones)} have these tags",
            f"no subnet has: aws ec2 describe-subnets --filters Name=vpc-id,Values={existing.vpc_id} {at}",
        )
    if gone := sorted(set(ids) - {subnet.id for subnet in subnets}):
        yield Problem(
            key,
            ", ".join(gone),
            "a subnet is in the stack's region, of its account or shared with it",
            f"the VPC has: aws ec2 describe-subnets --filters Name=vpc-id,Values={existing.vpc_id} {at}",
        )
    if strangers := [f"{subnet.id} (of {subnet.vpc_id})" for subnet in subnets if subnet.vpc_id != existing.vpc_id]:
        yield Problem(
            key, ", ".join(strangers), f"the subnets are those of {existing.vpc_id}", "take subnets of one VPC"
        )
    inside = [subnet for subnet in subnets if subnet.vpc_id == existing.vpc_id]
    if outside := [f"{subnet.id} (in {subnet.zone})" for subnet in inside if subnet.zone not in zones]:
        yield Problem(
            key,
            ", ".join(outside),
            f"the subnets lie in network.zones: {', '.join(zones)}",
            "add the zone to network.zones, or leave the subnet out",
        )
    if untagged := [subnet.id for subnet in inside if subnet.tags.get(role) not in ROLE_VALUES]:
        yield Problem(
            key,
            f"{', '.join(untagged)}, without the tag {role}",
            "load balancers find their subnets by it, and the program writes nothing to what is not its own"
            + (f"; the tags that {found.shared_by} gave what it shares are not seen here" if found.shared_by else ""),
            ("an administrator of this account" if found.shared_by else "its owner")
            + f" runs: aws ec2 create-tags --resources {' '.join(untagged)} --tags Key={role},Value=1 {at}",
        )
