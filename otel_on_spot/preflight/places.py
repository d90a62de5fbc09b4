"""Zones and instance types: what the region offers this account, in the zones of the plan."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from infra.regions import ZONES_WITHOUT_CONTROL_PLANE
from infra.settings.instance_types import meeting
from otel_on_spot.doctor.check import Judging, result_of
from otel_on_spot.doctor.collectors.aws import pages
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.kubernetes.names import NODE_POOL
from otel_on_spot.preflight.quotas import NODE_GROUP
from otel_on_spot.preflight.situation import Situation
from otel_on_spot.program.resource_types import subnet_zones

ZONE: Final = "topology.kubernetes.io/zone"


@result_of
def zones(situation: Situation) -> Judging:
    """The account has each zone of the plan, and EKS takes a subnet in it."""
    told = situation.client("ec2").describe_availability_zones()["AvailabilityZones"]
    there = {zone["ZoneName"]: zone.get("ZoneId", "") for zone in told if zone.get("State", "available") == "available"}
    refused = ZONES_WITHOUT_CONTROL_PLANE.get(situation.region, frozenset())
    good = [zone for zone, zone_id in there.items() if zone_id not in refused]
    wanted = planned_zones(situation)
    for zone in (zone for zone in wanted if zone not in good):
        yield Finding(
            subject=zone,
            seen=f"{there[zone]} in this account" if zone in there else f"{situation.region} has no such zone for you",
            rule="EKS has no control plane in this zone: it takes no subnet of it"
            if zone in there
            else "a subnet lies in a zone that the account has, and that is available",
            remedy=(f"network.zones: use {', '.join(good)}", situation.command("ec2 describe-availability-zones")),
        )
    return len(wanted), ", ".join(wanted)


def planned_zones(situation: Situation) -> list[str]:
    """Zones of the plan's subnets, those that it makes or is given, each once."""
    return subnet_zones((registration.type, registration.inputs) for registration in situation.recording)


@result_of
def instance_types(situation: Situation) -> Judging:
    """Each zone offers a type of the system nodes, and of each pool as many as it asks for.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypeOfferings.html
    """
    wanted = planned_zones(situation)
    if not wanted:
        return 0, "no zone"
    offered: dict[str, set[str]] = {zone: set() for zone in wanted}
    only = [{"Name": "location", "Values": wanted}]
    ec2 = situation.client("ec2")
    for offer in pages(
        ec2, "describe_instance_type_offerings", "InstanceTypeOfferings", LocationType="availability-zone", Filters=only
    ):
        offered[offer["Location"]].add(offer["InstanceType"])
    for group in situation.of_type(NODE_GROUP):
        types = group.inputs["instanceTypes"]
        lacking = [zone for zone in wanted if not offered[zone] & set(types)]
        if lacking:
            yield Finding(
                subject="cluster.systemNodes.instanceTypes",
                seen=f"{', '.join(types)}: none is offered in {', '.join(lacking)}",
                rule="each zone of the system nodes offers one of their types: else the group's creation fails",
                remedy=_offers(situation, lacking),
            )
    pools = [pool.inputs for pool in situation.of_type(NODE_POOL.token)]
    for pool in pools:
        yield from _pool(situation, pool, offered)
    counts = ", ".join(f"{zone} {len(types)}" for zone, types in offered.items())
    looked = len(pools) + len(situation.of_type(NODE_GROUP))
    return looked, f"{format_count(len(pools), 'pool')}; types offered: {counts}"


def _pool(situation: Situation, pool: Mapping[str, Any], offered: Mapping[str, set[str]]) -> Iterable[Finding]:
    terms = pool["spec"]["template"]["spec"]["requirements"]
    types = {f"{kind.family}.{kind.size}" for kind in meeting(terms)}
    allowed = [set(term["values"]) for term in terms if term["key"] == ZONE and term["operator"] == "In"]
    zones = [zone for zone in offered if all(zone in some for some in allowed)]
    name = pool["metadata"]["name"]
    lacking = [zone for zone in zones if not types & offered[zone]]
    if lacking:
        yield Finding(
            subject=f"pools.{name}",
            seen=f"{', '.join(lacking)} offers none of the {format_count(len(types), 'type')} that it may launch",
            rule="a pool has something to launch in each of its zones: pods that are bound to one, by a volume for "
            "instance, stay Pending there",
            remedy=(f"pools.{name}: take another shape, or name its zones", *_offers(situation, lacking)),
            severity="critical" if len(lacking) == len(zones) else "warning",
        )


def _offers(situation: Situation, zones: Iterable[str]) -> tuple[str, ...]:
    return (
        situation.command(
            "ec2 describe-instance-type-offerings --location-type availability-zone "
            f"--filters Name=location,Values={','.join(zones)} --query InstanceTypeOfferings[].InstanceType"
        ),
    )
