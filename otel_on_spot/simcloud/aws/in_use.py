"""Refusals that AWS makes and moto 5.2.5 does not: deleting what something else still lives in.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html (DependencyViolation)
"""

from typing import Any

from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.handler import Site


def interfaces(site: Site, name: str, value: str) -> list[dict[str, Any]]:
    """Network interfaces that match one filter."""
    found = site.client("ec2").describe_network_interfaces(Filters=[{"Name": name, "Values": [value]}])
    return found["NetworkInterfaces"]


def refuse_subnet(site: Site, subnet: str) -> None:
    """Refuse while network interfaces live in the subnet.

    Raises:
        ApiError: there are some, named as EC2 does.
    """
    there = interfaces(site, "subnet-id", subnet)
    if there:
        told = ", ".join(
            sorted(f"{row['NetworkInterfaceId']} ({row.get('Description') or 'no description'})" for row in there)
        )
        raise ApiError(
            "DependencyViolation", f"The subnet '{subnet}' has dependencies and cannot be deleted. In it: {told}"
        )


def refuse_group(site: Site, group: str) -> None:
    """Refuse while network interfaces, launch templates' groups or other groups' rules use the security group.

    Raises:
        ApiError: there are some, named as EC2 does.
    """
    ec2 = site.client("ec2")
    users = [row["NetworkInterfaceId"] for row in interfaces(site, "group-id", group)]
    for other in ec2.describe_security_groups()["SecurityGroups"]:
        rules = [*other["IpPermissions"], *other["IpPermissionsEgress"]]
        referring = any(pair.get("GroupId") == group for rule in rules for pair in rule.get("UserIdGroupPairs", []))
        if other["GroupId"] != group and referring:
            users.append(other["GroupId"])
    if users:
        raise ApiError("DependencyViolation", f"resource {group} has a dependent object: {', '.join(sorted(users))}")


def refuse_vpc(site: Site, vpc: str) -> None:
    """Refuse while the VPC has an Internet gateway, security groups of its own, endpoints or NAT gateways.

    Raises:
        ApiError: there are some, named as EC2 does.
    """
    ec2 = site.client("ec2")
    here = [{"Name": "vpc-id", "Values": [vpc]}]
    gateways = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}])[
        "InternetGateways"
    ]
    groups = [g for g in ec2.describe_security_groups(Filters=here)["SecurityGroups"] if g["GroupName"] != "default"]
    endpoints = [e for e in ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"] if e.get("State") != "deleted"]
    left = [
        *(g["InternetGatewayId"] for g in gateways),
        *(g["GroupId"] for g in groups),
        *(e["VpcEndpointId"] for e in endpoints),
    ]
    if left:
        raise ApiError(
            "DependencyViolation", f"The vpc '{vpc}' has dependencies and cannot be deleted: {', '.join(sorted(left))}"
        )


def refuse_detach(site: Site, gateway: str, vpc: str) -> None:
    """Refuse while the VPC maps public addresses: NAT gateways, load balancers.

    Raises:
        ApiError: there are some, named as EC2 does.
    """
    ec2 = site.client("ec2")
    nats = ec2.describe_nat_gateways(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NatGateways"]
    mapped = [nat["NatGatewayId"] for nat in nats if nat["State"] != "deleted"]
    balancers = site.cloud.tables.all("load-balancers")
    mapped += [name for name, row in balancers.items() if row["vpc"] == vpc and row["scheme"] == "internet-facing"]
    if mapped:
        raise ApiError(
            "DependencyViolation",
            f"Network {vpc} has some mapped public address(es). Please unmap those public address(es) before "
            f"detaching {gateway}: {', '.join(sorted(mapped))}",
        )


def refuse_address(site: Site, allocation: str) -> None:
    """Refuse to release an address that a NAT gateway uses.

    Raises:
        ApiError: one uses it.
    """
    for nat in site.client("ec2").describe_nat_gateways()["NatGateways"]:
        used = [address.get("AllocationId") for address in nat.get("NatGatewayAddresses", [])]
        if nat["State"] != "deleted" and allocation in used:
            raise ApiError(
                "InvalidIPAddress.InUse",
                f"The address with allocation id [{allocation}] cannot be released: "
                f"it is in use by {nat['NatGatewayId']}",
            )
