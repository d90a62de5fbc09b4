"""Facts of EC2 and load balancing: where nodes may live, what runs, and what is left over."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from otel_on_spot.declared import Declared
from otel_on_spot.doctor.collectors.gathering import Gathered
from otel_on_spot.doctor.facts_aws import Instance, Interface, LoadBalancer, Located, Volume
from otel_on_spot.kubernetes.names import CLAIM_NAME_TAG, CLUSTER_TAG_PREFIX

Client = Any
LIVING: Final = ("pending", "running", "stopping", "stopped", "shutting-down")
CLUSTER_TAG: Final = f"{CLUSTER_TAG_PREFIX}*"
"""Filters of EC2 take wild cards. Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html"""


def tags(thing: Mapping[str, Any], key: str = "Tags") -> dict[str, str]:
    """Tags as a mapping."""
    return {one["Key"]: one["Value"] for one in thing.get(key) or ()}


def pages(client: Client, call: str, key: str, **arguments: Any) -> Iterable[dict[str, Any]]:
    """Every item of every page of a call."""
    for page in client.get_paginator(call).paginate(**arguments):
        yield from page.get(key) or ()


def instances(ec2: Client) -> tuple[Instance, ...]:
    """Instances of any cluster that are not terminated."""
    filters = [{"Name": "tag-key", "Values": [CLUSTER_TAG]}, {"Name": "instance-state-name", "Values": list(LIVING)}]
    return tuple(
        Instance(
            id=one["InstanceId"],
            state=one["State"]["Name"],
            launched_at=one["LaunchTime"],
            private_dns=one.get("PrivateDnsName") or "",
            profile_arn=(one.get("IamInstanceProfile") or {}).get("Arn") or "",
            spot=one.get("InstanceLifecycle") == "spot",
            tags=tags(one),
        )
        for reservation in pages(ec2, "describe_instances", "Reservations", Filters=filters)
        for one in reservation["Instances"]
    )


def volumes(ec2: Client) -> tuple[Volume, ...]:
    """Volumes that were made for a claim of any cluster."""
    filters = [{"Name": "tag-key", "Values": [CLAIM_NAME_TAG]}]
    return tuple(
        Volume(id=one["VolumeId"], state=one["State"], created_at=one["CreateTime"], gib=one["Size"], tags=tags(one))
        for one in pages(ec2, "describe_volumes", "Volumes", Filters=filters)
    )


def interfaces(ec2: Client) -> tuple[Interface, ...]:
    """Network interfaces that are attached to nothing."""
    filters = [{"Name": "status", "Values": ["available"]}]
    return tuple(
        Interface(
            id=one["NetworkInterfaceId"],
            vpc_id=one.get("VpcId") or "",
            description=one.get("Description") or "",
            tags=tags(one, "TagSet"),
        )
        for one in pages(ec2, "describe_network_interfaces", "NetworkInterfaces", Filters=filters)
    )


def load_balancers(tagging: Client) -> tuple[LoadBalancer, ...]:
    """Every load balancer with tags: one API knows the tags of all kinds of them."""
    found = pages(
        tagging,
        "get_resources",
        "ResourceTagMappingList",
        ResourceTypeFilters=["elasticloadbalancing:loadbalancer"],
    )
    return tuple(LoadBalancer(arn=one["ResourceARN"], tags=tags(one)) for one in found)


def subnets(ec2: Client, declared: Declared) -> Callable[[Gathered], tuple[Located, ...]]:
    """Subnets of the cluster's VPC, and those of any VPC that carry its discovery tag."""

    def task(gathered: Gathered) -> tuple[Located, ...]:
        return _located(
            gathered, declared, lambda only: pages(ec2, "describe_subnets", "Subnets", Filters=only), "SubnetId"
        )

    return task


def security_groups(ec2: Client, declared: Declared) -> Callable[[Gathered], tuple[Located, ...]]:
    """Security groups of the cluster's VPC, and those of any VPC that carry its discovery tag."""

    def task(gathered: Gathered) -> tuple[Located, ...]:
        return _located(
            gathered,
            declared,
            lambda only: pages(ec2, "describe_security_groups", "SecurityGroups", Filters=only),
            "GroupId",
        )

    return task


def _located(
    gathered: Gathered,
    declared: Declared,
    listed: Callable[[list[dict[str, Any]]], Iterable[dict[str, Any]]],
    key: str,
) -> tuple[Located, ...]:
    tagged = [{"Name": f"tag:{tag}", "Values": [value]} for tag, value in declared.discovery_tags.items()]
    found = {one[key]: one for one in listed(tagged)}
    here = [one.vpc_id for one in gathered.wait("clusters") or ()]
    if here:
        found |= {one[key]: one for one in listed([{"Name": "vpc-id", "Values": here}])}
    return tuple(
        Located(
            id=one[key],
            vpc_id=one.get("VpcId") or "",
            name=one.get("GroupName") or tags(one).get("Name", ""),
            tags=tags(one),
        )
        for one in found.values()
    )
