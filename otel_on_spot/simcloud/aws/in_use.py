"""Refusals that AWS makes and moto 5.2.5 does not: deleting what something else still lives in.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html (DependencyViolation)
"""

from collections.abc import Iterable
from typing import Any

from otel_on_spot.simcloud.api_errors import refuse
from otel_on_spot.simcloud.handler import Site


def interfaces(site: Site, name: str, value: str) -> list[dict[str, Any]]:
    """Network interfaces that match one filter."""
    found = site.client("ec2").describe_network_interfaces(Filters=[{"Name": name, "Values": [value]}])
    return found["NetworkInterfaces"]


def refuse_subnet(site: Site, subnet: str) -> None:
    """Refuse while network interfaces live in the subnet, each named with its description."""
    there = (
        f"{row['NetworkInterfaceId']} ({row.get('Description') or 'no description'})"
        for row in interfaces(site, "subnet-id", subnet)
    )
    _refuse(there, f"The subnet '{subnet}' has dependencies and cannot be deleted. In it")


def _refuse(users: Iterable[str], sentence: str) -> None:
    """Refuse while somebody uses a thing, and name who."""
    named = ", ".join(sorted(users))
    refuse((named, f"{sentence}: {named}"), code="DependencyViolation")


def refuse_group(site: Site, group: str) -> None:
    """Refuse while network interfaces or other groups' rules use the security group."""
    users = [row["NetworkInterfaceId"] for row in interfaces(site, "group-id", group)]
    for other in site.client("ec2").describe_security_groups()["SecurityGroups"]:
        rules = [*other["IpPermissions"], *other["IpPermissionsEgress"]]
        referring = any(pair.get("GroupId") == group for rule in rules for pair in rule.get("UserIdGroupPairs", []))
        if other["GroupId"] != group and referring:
            users.append(other["GroupId"])
    _refuse(users, f"resource {group} has a dependent object")


def refuse_vpc(site: Site, vpc: str) -> None:
    """Refuse while the VPC has an Internet gateway, security groups of its own, or endpoints."""
    ec2, here, attached = site.client("ec2"), [{"Name": "vpc-id", "Values": [vpc]}], "attachment.vpc-id"
    gateways = ec2.describe_internet_gateways(Filters=[{"Name": attached, "Values": [vpc]}])["InternetGateways"]
    groups = [g for g in ec2.describe_security_groups(Filters=here)["SecurityGroups"] if g["GroupName"] != "default"]
    endpoints = [e for e in ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"] if e.get("State") != "deleted"]
    left = (
        *(gateway["InternetGatewayId"] for gateway in gateways),
        *(group["GroupId"] for group in groups),
        *(endpoint["VpcEndpointId"] for endpoint in endpoints),
    )
    _refuse(left, f"The vpc '{vpc}' has dependencies and cannot be deleted")


def refuse_detach(site: Site, gateway: str, vpc: str) -> None:
    """Refuse while the VPC maps public addresses: NAT gateways, load balancers."""
    nats = site.client("ec2").describe_nat_gateways(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NatGateways"]
    mapped = [nat["NatGatewayId"] for nat in nats if nat["State"] != "deleted"]
    balancers = site.cloud.tables.all("load-balancers")
    mapped += [name for name, row in balancers.items() if row["vpc"] == vpc and row["scheme"] == "internet-facing"]
    rule = f"Please unmap those public address(es) before detaching {gateway}"
    _refuse(mapped, f"Network {vpc} has some mapped public address(es). {rule}")


def refuse_address(site: Site, allocation: str) -> None:
    """Refuse to release an address that a NAT gateway uses."""
    for nat in site.client("ec2").describe_nat_gateways()["NatGateways"]:
        used = [address.get("AllocationId") for address in nat.get("NatGatewayAddresses", [])]
        told = (
            f"The address with allocation id [{allocation}] cannot be released: it is in use by {nat['NatGatewayId']}"
        )
        refuse((nat["State"] != "deleted" and allocation in used, told), code="InvalidIPAddress.InUse")
