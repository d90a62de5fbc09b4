"""Quotas of the account in the region: what the plan takes, what others use, and the exact request for more.

Source of the codes: https://docs.aws.amazon.com/general/latest/gr/vpc-service.html,
https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.settings.instance_types import InstanceType, catalogue, meeting, quantity
from otel_on_spot.doctor.check import Judging, result_of
from otel_on_spot.doctor.collectors.aws import pages, quota
from otel_on_spot.doctor.facts_aws import ON_DEMAND_VCPUS, SPOT_VCPUS
from otel_on_spot.findings import Finding
from otel_on_spot.iam import tags_of
from otel_on_spot.kubernetes.names import CAPACITY_TYPE, NODE_POOL
from otel_on_spot.preflight.situation import Situation

NODE_GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
NAT_GATEWAY: Final = "aws:ec2/natGateway:NatGateway"
SUBNET: Final = "aws:ec2/subnet:Subnet"
ADDRESSES: Final = ("ec2", "L-0263D0A3", "Elastic IP addresses", "AddressLimitExceeded")
VPCS: Final = ("vpc", "L-F678F1CE", "VPCs", "VpcLimitExceeded")
NAT_GATEWAYS: Final = ("vpc", "L-FE5A380F", "NAT gateways in a zone", "NatGatewayLimitExceeded")
SPOT: Final = ("ec2", SPOT_VCPUS, "vCPUs of Spot", "MaxSpotInstanceCountExceeded")
ON_DEMAND: Final = ("ec2", ON_DEMAND_VCPUS, "vCPUs of On-Demand", "VcpuLimitExceeded")
"""Service, code, noun, and EC2's error at the quota.

Source of the errors: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""
STANDARD: Final = re.compile(r"(a|c|d|h|i|im|is|m|r|t|z)\d")
"""Families that the two quotas of vCPUs count. Source: https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html"""


@dataclass(frozen=True, kw_only=True)
class Take:
    """What one quota has to hold. ``least``: below it ``up`` itself fails, or no pod of a pool ever runs."""

    kind: tuple[str, str, str, str]
    used: float
    most: float
    least: float
    where: str = ""


@result_of
def judge(situation: Situation) -> Judging:
    """What the plan takes fits beside what others use."""
    service_quotas = situation.client("service-quotas")
    told, untold = [], []
    for take in takes(situation):
        service, code, noun, _ = take.kind
        allowed = _allowed(service_quotas, service, code)
        if allowed is None:
            untold.append(noun)
            continue
        told.append(f"{noun} {take.used:.0f} used + {take.most:.0f} of {allowed:.0f}")
        if take.used + take.most > allowed:
            yield _finding(situation, take, allowed)
    if untold:
        told.append(f"not told: {', '.join(untold)}")
    return len(told), "; ".join(told)


def _allowed(service_quotas: Any, service: str, code: str) -> float | None:
    """The quota; its default where AWS keeps no value for the account, None where it tells neither.

    Source: https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html
    """
    if found := quota(service_quotas, service, code):
        return found.value
    try:
        told = service_quotas.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]
    except ClientError:
        return None
    return float(told["Value"])


def _finding(situation: Situation, take: Take, allowed: float) -> Finding:
    service, code, noun, error = take.kind
    needed = take.used + take.most
    fails = take.used + take.least > allowed
    rule = (
        f"the quota holds what is there and what the stack makes: beyond it AWS answers {error}"
        if take.most == take.least
        else f"the quota lets the pools grow to their limits: beyond it launches fail with {error}, pods stay Pending"
    )
    if fails and take.most != take.least:
        rule += f". Here not even the first nodes fit, which take {take.least:.0f}"
    return Finding(
        subject=noun,
        seen=f"{allowed:.0f} allowed{take.where}; others use {take.used:.0f}, the stack takes up to {take.most:.0f}",
        rule=rule,
        remedy=(
            situation.command(
                f"service-quotas request-service-quota-increase --service-code {service} --quota-code {code} "
                f"--desired-value {needed:.0f}"
            ),
        ),
        severity="critical" if fails else "warning",
    )


def takes(situation: Situation) -> Iterator[Take]:
    """What the plan takes of each quota, and what others use of it: this stack's own does not count twice."""
    ec2 = situation.client("ec2")
    addresses = len(situation.of_type("aws:ec2/eip:Eip"))
    if addresses:
        used = _others(situation, ec2.describe_addresses()["Addresses"])
        yield Take(kind=ADDRESSES, used=used, most=addresses, least=addresses)
    vpcs = len(situation.of_type("aws:ec2/vpc:Vpc"))
    if vpcs:
        yield Take(kind=VPCS, used=_others(situation, pages(ec2, "describe_vpcs", "Vpcs")), most=vpcs, least=vpcs)
    yield from _nat_gateways(situation, ec2)
    pools = [pool.inputs for pool in situation.of_type(NODE_POOL.token)]
    groups = [group.inputs for group in situation.of_type(NODE_GROUP)]
    if pools or groups:
        used_by = _vcpus_of_others(situation, ec2)
        for kind, spot in ((SPOT, True), (ON_DEMAND, False)):
            least, most = vcpus(pools, () if spot else groups, "spot" if spot else "on-demand")
            if most:
                yield Take(kind=kind, used=used_by[spot], most=most, least=least)


def _others(situation: Situation, things: Iterable[Mapping[str, Any]]) -> int:
    return sum(not _is_own(situation, thing) for thing in things)


def _is_own(situation: Situation, thing: Mapping[str, Any]) -> bool:
    return situation.owns(tags_of(thing.get("Tags")), situation.default_tags)


def _nat_gateways(situation: Situation, ec2: Any) -> Iterator[Take]:
    zone_of = {subnet.id: subnet.inputs["availabilityZone"] for subnet in situation.of_type(SUBNET)}
    planned = Counter(zone_of.get(nat.inputs["subnetId"], "") for nat in situation.of_type(NAT_GATEWAY))
    if not planned:
        return
    alive = [{"Name": "state", "Values": ["pending", "available", "deleting"]}]
    living = [
        nat for nat in pages(ec2, "describe_nat_gateways", "NatGateways", Filter=alive) if not _is_own(situation, nat)
    ]
    subnets = sorted({nat["SubnetId"] for nat in living})
    places = ec2.describe_subnets(SubnetIds=subnets)["Subnets"] if subnets else []
    zones = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in places}
    used = Counter(zones[nat["SubnetId"]] for nat in living)
    fullest = max(planned, key=lambda zone: used[zone] + planned[zone])
    most = planned[fullest]
    yield Take(kind=NAT_GATEWAYS, used=used[fullest], most=most, least=most, where=f" in {fullest}")


def vcpus(
    pools: Iterable[Mapping[str, Any]], groups: Iterable[Mapping[str, Any]], capacity_type: str
) -> tuple[float, float]:
    """(fewest, most) vCPUs of a capacity type: a first node of each pool, or all that the limits allow.

    A pool of both types may be all of either. A group's nodes are counted as its first type, and one more at most.
    """
    least = most = 0.0
    for pool in pools:
        terms = pool["spec"]["template"]["spec"]["requirements"]
        offered = next((term["values"] for term in terms if term["key"] == CAPACITY_TYPE), ("on-demand",))
        limit = quantity((pool["spec"].get("limits") or {}).get("cpu", ""))
        if capacity_type not in offered or not limit:
            continue
        most += float(limit)
        if offered[0] == capacity_type or len(offered) == 1:
            least += min((kind.vcpus for kind in meeting(terms)), default=0)
    for group in groups:
        size = group["scalingConfig"]
        vcpus = by_name()[group["instanceTypes"][0]].vcpus
        least, most = least + vcpus * size["desiredSize"], most + vcpus * size["maxSize"]
    return least, most


def by_name() -> dict[str, InstanceType]:
    """Every instance type of the catalogue."""
    return {f"{kind.family}.{kind.size}": kind for kind, _ in catalogue()}


def _vcpus_of_others(situation: Situation, ec2: Any) -> dict[bool, float]:
    """Running vCPUs, of Spot (True) and On-Demand, beside this cluster's: its own are part of what it takes."""
    clusters = [cluster.inputs["name"] for cluster in situation.of_type("aws:eks/cluster:Cluster")]
    owned = {f"kubernetes.io/cluster/{name}" for name in clusters} | {"aws:eks:cluster-name"}
    used = {True: 0.0, False: 0.0}
    running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    for reservation in pages(ec2, "describe_instances", "Reservations", Filters=running):
        for instance in reservation["Instances"]:
            tags = tags_of(instance.get("Tags"))
            ours = owned & set(tags) and tags.get("aws:eks:cluster-name", clusters[0] if clusters else "") in clusters
            if ours or not STANDARD.match(instance["InstanceType"]):
                continue
            known = by_name().get(instance["InstanceType"])
            options = instance.get("CpuOptions") or {}
            told = options.get("CoreCount", 0) * options.get("ThreadsPerCore", 0)
            used[instance.get("InstanceLifecycle") == "spot"] += told or (known.vcpus if known else 0)
    return used
