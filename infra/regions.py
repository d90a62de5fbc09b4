"""AWS regions by partition, what the program supports of them, and zones that EKS has no control plane in.

Seen on 2026-11-25 in botocore 1.44.8 (data/partitions.json); a test compares. A region that AWS opened since needs its
row here.
"""

from typing import Final

REGIONS: Final[dict[str, tuple[str, ...]]] = {
    "aws": (
        *("af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
        *("ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4"),
        *("ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1"),
        *("eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2"),
        *("eu-west-3", "il-central-1", "me-central-1", "me-south-1", "me-west-1", "mx-central-1", "sa-east-1"),
        *("sa-west-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
    ),
    "aws-us-gov": ("us-gov-east-1", "us-gov-west-1"),
    "aws-cn": ("cn-north-1", "cn-northwest-1"),
    "aws-eusc": ("eusc-de-east-1",),
    "aws-iso": ("us-iso-east-1", "us-iso-west-1"),
    "aws-iso-b": ("us-isob-east-1", "us-isob-west-1"),
    "aws-iso-e": ("eu-isoe-west-1",),
    "aws-iso-f": ("us-isof-east-1", "us-isof-south-1"),
}
PARTITION_OF: Final = {region: partition for partition, regions in REGIONS.items() for region in regions}

NOT_SUPPORTED: Final[dict[str, str]] = {
    "aws-cn": "service principals end in amazonaws.com.cn there, interface endpoints begin with cn.com.amazonaws, and "
    "the registries of charts and images are out of reach",
    "aws-eusc": "its endpoints and principals were never tried",
    "aws-iso": "it has no way to public registries of charts and images",
    "aws-iso-b": "it has no way to public registries of charts and images",
    "aws-iso-e": "it has no way to public registries of charts and images",
    "aws-iso-f": "it has no way to public registries of charts and images",
}
"""Partition -> why the program does not work there."""

ZONES_WITHOUT_CONTROL_PLANE: Final[dict[str, frozenset[str]]] = {
    "us-east-1": frozenset({"use1-az3"}),
    "us-west-1": frozenset({"usw1-az2"}),
    "ca-central-1": frozenset({"cac1-az3"}),
}
"""Region -> ids of the zones in which EKS takes no subnet of a cluster.

A zone's letter differs from account to account, its id does not. Seen on 2026-11-25.
Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
"""


def zone_id_prefix(region: str) -> str:
    """What ids of a region's zones begin with: ``euw1`` of ``eu-west-1``, ``usgw1`` of ``us-gov-west-1``.

    Source: https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-availability-zones.html
    """
    first, *ways, number = region.split("-")
    short = {"northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw"}
    return first + "".join(short.get(way, way[0]) for way in ways) + number


def partition(region: str) -> str:
    """Partition of a region; ``aws`` for one that the table does not have, which the settings refuse."""
    return PARTITION_OF.get(region, "aws")


def partition_elsewhere(arn: str, region: str) -> str | None:
    """The partition of a region that an ARN is not of; None where it is, or where nobody knows the region."""
    _, of_partition, _, of_region, *_ = arn.split(":")
    expected = PARTITION_OF.get(region)
    return None if (of_partition, of_region) == (expected, region) else expected
