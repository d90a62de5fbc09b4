"""Network ACLs: what they let through, rule by rule, and what the nodes of a cluster need of those of their subnets."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any, Final

Ports = tuple[int, int]
"""The first and the last of a range."""
EVERYWHERE: Final = IPv4Network("0.0.0.0/0")
NAMES: Final = {"6": "TCP", "17": "UDP"}
OF_PORTS: Final = (("6", (53, 53)), ("6", (443, 443)), ("6", (1024, 65535)), ("17", (53, 53)), ("17", (1024, 65535)))
"""(protocol, ports) between subnets of one cluster, each way: DNS, the API, the kubelet, pods, and their answers.

Source: https://docs.aws.amazon.com/eks/latest/userguide/sec-group-reqs.html, which restricts no less
"""
ANSWERS: Final = (32768, 60999)
"""Ports from which Linux calls. Source: https://docs.kernel.org/networking/ip-sysctl.html (ip_local_port_range)"""


def subnets_of(acl: Mapping[str, Any], ranges: Mapping[str, IPv4Network]) -> tuple[list[str], list[IPv4Network]]:
    """Which of these subnets have the ACL, and the ranges that they reach through it: nothing inside one passes it.

    Args:
        acl: as EC2 describes it.
        ranges: id of a subnet of the cluster -> its range.
    """
    own = {association["SubnetId"] for association in acl["Associations"]} & set(ranges)
    return sorted(own), sorted({cidr for subnet, cidr in ranges.items() if own - {subnet}})


def stopped(entries: Sequence[Mapping[str, Any]], peers: Iterable[IPv4Network], *, outside: bool) -> Iterator[str]:
    """What an ACL stops of what nodes in its subnets need, one line each.

    An ACL sees no connections: what answers is let through by a rule of its own. It cannot stop DNS with the VPC's own
    resolver. Of the Internet it stops a port where it does so for most addresses: a list of a few that are denied, or
    allowed, says nothing of the rest.
    Source: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-network-acls.html

    Args:
        entries: rules of the ACL, as EC2 describes them.
        peers: ranges of the cluster's other subnets.
        outside: nodes reach AWS and registries by a route, and not by endpoints in the VPC.
    """
    for peer in peers:
        for protocol, ports in OF_PORTS:
            for egress in (True, False):
                if blocked(entries, protocol, ports, peer, egress=egress):
                    yield _told(protocol, ports, peer, egress=egress)
    for ports, egress in (((443, 443), True), (ANSWERS, False)) if outside else ():
        found = blocked(entries, "6", ports, EVERYWHERE, egress=egress)
        if sum(network.num_addresses for network in found) > EVERYWHERE.num_addresses / 2:
            yield _told("6", ports, EVERYWHERE, egress=egress)


def _told(protocol: str, ports: Ports, network: IPv4Network, *, egress: bool) -> str:
    way = "out to" if egress else "in from"
    return f"{NAMES[protocol]} {'-'.join(map(str, dict.fromkeys(ports)))} {way} {network}"


def blocked(
    entries: Sequence[Mapping[str, Any]], protocol: str, ports: Ports, network: IPv4Network, *, egress: bool
) -> list[IPv4Network]:
    """The parts of a network with which some of the ports are stopped: the first rule that is about a packet decides.

    Args:
        entries: rules, as EC2 describes them.
        protocol: its number.
        ports: all of them are asked for.
        network: with whom.
        egress: from the subnet; otherwise into it.
    """
    rules = sorted(
        (
            entry
            for entry in entries
            if entry["Egress"] is egress and entry.get("CidrBlock") and entry["Protocol"] in ("-1", protocol)
        ),
        key=lambda entry: entry["RuleNumber"],
    )
    return _blocked([(IPv4Network(rule["CidrBlock"]), rule) for rule in rules], ports, network)


def _blocked(
    rules: Sequence[tuple[IPv4Network, Mapping[str, Any]]], ports: Ports, network: IPv4Network
) -> list[IPv4Network]:
    about = [(cidr, rule) for cidr, rule in rules if cidr.overlaps(network)]
    if any(cidr != network and cidr.subnet_of(network) for cidr, _ in about):
        return [part for half in network.subnets() for part in _blocked(about, ports, half)]
    left = [ports]
    for _, rule in about:
        told = rule.get("PortRange") if rule["Protocol"] != "-1" else None
        first, last = (told["From"], told["To"]) if told else (0, 65535)
        if not any(low <= last and first <= high for low, high in left):
            continue
        if rule["RuleAction"] == "deny":
            return [network]
        left = [
            part
            for low, high in left
            for part in ((low, min(high, first - 1)), (max(low, last + 1), high))
            if part[0] <= part[1]
        ]
        if not left:
            return []
    return [network]
