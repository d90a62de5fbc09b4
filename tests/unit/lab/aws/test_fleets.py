"""CreateFleet launches what the template says, from the cheapest offering that has capacity, or says that none has."""

import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.lab.aws.capacity import Shortage, set_shortages, shortages
from otel_on_spot.lab.aws.endpoint import DIRECT, Endpoint
from otel_on_spot.lab.aws.moto_patches.prices import on_demand_price, spot_price
from tests.unit.lab.aws.conftest import CLUSTER

TYPES = ("m5.4xlarge", "m5.large", "c5.large")


@dataclass
class Place:
    aws: Endpoint
    subnets: dict[str, str]
    group: str
    template: str
    image: str

    def fleet(self, count: int = 1, capacity_type: str = "spot") -> dict[str, Any]:
        overrides = [{"InstanceType": kind, "SubnetId": subnet} for kind in TYPES for subnet in self.subnets]
        tags = [{"Key": f"kubernetes.io/cluster/{CLUSTER}", "Value": "owned"}]
        template = {"LaunchTemplateId": self.template, "Version": "$Latest"}
        return self.aws.client("ec2").create_fleet(
            Type="instant",
            TargetCapacitySpecification={"TotalTargetCapacity": count, "DefaultTargetCapacityType": capacity_type},
            LaunchTemplateConfigs=[{"LaunchTemplateSpecification": template, "Overrides": overrides}],
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )

    def instance(self, identity: str) -> dict[str, Any]:
        return self.aws.client("ec2").describe_instances(InstanceIds=[identity])["Reservations"][0]["Instances"][0]


@pytest.fixture
def place(aws: Endpoint) -> Iterator[Place]:
    ec2, iam, name = aws.client("ec2"), aws.client("iam"), f"p{uuid.uuid4().hex[:8]}"
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    subnets = {}
    for number, zone in enumerate(("eu-west-1a", "eu-west-1b")):
        made = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.20.{number}.0/24", AvailabilityZone=zone)["Subnet"]
        subnets[made["SubnetId"]] = zone
    group = ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
    iam.create_instance_profile(InstanceProfileName=name)
    image = aws.client("ssm").get_parameter(
        Name="/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/standard/recommended/image_id"
    )["Parameter"]["Value"]
    data = {
        "ImageId": image,
        "UserData": "aGVsbG8=",
        "SecurityGroupIds": [group],
        "IamInstanceProfile": {"Name": name},
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 33, "VolumeType": "gp3"}}],
        "TagSpecifications": [{"ResourceType": "volume", "Tags": [{"Key": "of", "Value": "template"}]}],
    }
    template = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)["LaunchTemplate"]
    place = Place(aws, subnets, group, template["LaunchTemplateId"], image)
    yield place
    rows = ec2.describe_instances(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Reservations"]
    if ids := [instance["InstanceId"] for row in rows for instance in row["Instances"]]:
        ec2.terminate_instances(InstanceIds=ids)


def cheapest(price: Any, place: Place) -> tuple[str, str]:
    offers = [(price(kind, zone), kind, subnet) for kind in TYPES for subnet, zone in place.subnets.items()]
    return min(offers)[1:]


def test_the_cheapest_spot_offering_is_taken_not_the_first(place: Place) -> None:
    made = place.fleet()["Instances"][0]
    kind, subnet = cheapest(spot_price, place)
    assert kind != TYPES[0]
    assert (made["InstanceType"], made["LaunchTemplateAndOverrides"]["Overrides"]["SubnetId"]) == (kind, subnet)
    assert made["Lifecycle"] == "spot"


def test_the_cheapest_on_demand_type_is_taken(place: Place) -> None:
    made = place.fleet(capacity_type="on-demand")["Instances"][0]
    assert made["InstanceType"] == cheapest(lambda kind, _: on_demand_price(kind), place)[0]
    assert "InstanceLifecycle" not in place.instance(made["InstanceIds"][0])


def test_an_instance_is_what_its_launch_template_says(place: Place) -> None:
    one = place.instance(place.fleet()["Instances"][0]["InstanceIds"][0])
    assert [group["GroupId"] for group in one["SecurityGroups"]] == [place.group]
    assert one["IamInstanceProfile"]["Arn"].startswith("arn:aws:iam::123456789012:instance-profile/p")
    assert one["MetadataOptions"]["HttpTokens"] == "required"
    assert (one["InstanceLifecycle"], one["ImageId"]) == ("spot", place.image)
    assert one["PrivateDnsName"].endswith(".eu-west-1.compute.internal")
    volume = one["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    disk = place.aws.client("ec2").describe_volumes(VolumeIds=[volume])["Volumes"][0]
    assert (disk["Size"], disk["Tags"]) == (33, [{"Key": "of", "Value": "template"}])


def test_a_fleet_of_several_launches_all_of_them(place: Place) -> None:
    made = place.fleet(3)["Instances"]
    assert len({identity for row in made for identity in row["InstanceIds"]}) == 3


def test_what_is_short_is_passed_over_and_named(place: Place, switches: Path) -> None:
    set_shortages(switches, [Shortage(zone="*a"), Shortage(instance_type="c5.*")])
    answer = place.fleet()
    made = answer["Instances"][0]
    assert made["InstanceType"].startswith("m5.")
    assert place.subnets[made["LaunchTemplateAndOverrides"]["Overrides"]["SubnetId"]] == "eu-west-1b"
    refused = [(e["LaunchTemplateAndOverrides"]["Overrides"], e["ErrorCode"], e["Lifecycle"]) for e in answer["Errors"]]
    assert len(refused) == 4
    assert {code for _, code, _ in refused} == {"InsufficientInstanceCapacity"}
    assert {kind for _, _, kind in refused} == {"spot"}


def test_without_any_capacity_nothing_is_launched_and_every_offering_is_refused(place: Place, switches: Path) -> None:
    set_shortages(switches, [Shortage()])
    answer = place.fleet()
    assert answer["Instances"] == []
    assert [error["ErrorCode"] for error in answer["Errors"]] == ["InsufficientInstanceCapacity"] * 6
    set_shortages(switches, [])
    assert place.fleet()["Instances"]


def test_a_shortage_of_spot_leaves_on_demand_alone(place: Place, switches: Path) -> None:
    set_shortages(switches, [Shortage(capacity_type="spot")])
    assert place.fleet()["Instances"] == []
    assert place.fleet(capacity_type="on-demand")["Instances"]


def test_a_used_up_quota_is_refused_in_its_own_words(place: Place, switches: Path) -> None:
    set_shortages(switches, [Shortage(capacity_type="spot", code="MaxSpotInstanceCountExceeded")])
    errors = place.fleet()["Errors"]
    told = {(error["ErrorCode"], error["ErrorMessage"]) for error in errors}
    assert told == {("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")}
    with pytest.raises(ValueError, match="EC2 refuses by InsufficientInstanceCapacity"):
        Shortage(code="Sorry")


def test_capacity_is_switched_over_http_too(place: Place, switches: Path) -> None:
    body = b'[{"capacity_type": "spot", "zone": "eu-west-1a"}]'
    DIRECT.open(urllib.request.Request(f"{place.aws.url}/lab/capacity", body, method="PUT"), timeout=10).close()
    assert shortages(switches) == [Shortage(capacity_type="spot", zone="eu-west-1a")]
    wrong = urllib.request.Request(f"{place.aws.url}/lab/capacity", b'[{"region": "x"}]', method="PUT")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        DIRECT.open(wrong, timeout=10)
    assert shortages(switches) == [Shortage(capacity_type="spot", zone="eu-west-1a")]


def test_a_broken_switch_says_what_it_must_be(tmp_path: Path) -> None:
    (tmp_path / "capacity.json").write_text('{"all": true}')
    with pytest.raises(ValueError, match="must be a list of objects with capacity_type"):
        shortages(tmp_path)


def test_an_instance_profile_that_is_gone_is_refused_by_the_fleet(place: Place) -> None:
    profile = place.instance(place.fleet()["Instances"][0]["InstanceIds"][0])["IamInstanceProfile"]["Arn"]
    place.aws.client("iam").delete_instance_profile(InstanceProfileName=profile.rpartition("/")[2])
    answer = place.fleet()
    assert answer["Instances"] == []
    assert "Invalid IAM Instance Profile name" in answer["Errors"][0]["ErrorMessage"]


def test_an_instance_that_ends_takes_its_disk_its_interface_and_its_address_along(place: Place) -> None:
    ec2 = place.aws.client("ec2")
    free = {
        s["SubnetId"]: s["AvailableIpAddressCount"]
        for s in ec2.describe_subnets(SubnetIds=list(place.subnets))["Subnets"]
    }
    identity = place.fleet()["Instances"][0]["InstanceIds"][0]
    one = place.instance(identity)
    volume, interface = (
        one["BlockDeviceMappings"][0]["Ebs"]["VolumeId"],
        one["NetworkInterfaces"][0]["NetworkInterfaceId"],
    )
    ec2.terminate_instances(InstanceIds=[identity])
    assert volume not in {v["VolumeId"] for v in ec2.describe_volumes()["Volumes"]}
    assert interface not in {i["NetworkInterfaceId"] for i in ec2.describe_network_interfaces()["NetworkInterfaces"]}
    assert place.instance(identity)["State"]["Name"] == "terminated"
    after = {
        s["SubnetId"]: s["AvailableIpAddressCount"]
        for s in ec2.describe_subnets(SubnetIds=list(place.subnets))["Subnets"]
    }
    assert after == free
    again = place.fleet()["Instances"][0]["InstanceIds"][0]
    assert place.instance(again)["PrivateIpAddress"] == one["PrivateIpAddress"]


def test_the_labs_own_route_tells_what_a_kubelet_needs_and_only_of_the_cluster(place: Place) -> None:
    identity = place.fleet()["Instances"][0]["InstanceIds"][0]
    row = next(row for row in place.aws.instances(CLUSTER) if row["id"] == identity)
    assert (row["state"], row["lifecycle"], row["userData"]) == ("running", "spot", "hello")
    assert row["privateDnsName"] == place.instance(identity)["PrivateDnsName"]
    assert place.aws.instances("another-cluster") == []


@dataclass
class Reserved:
    """A reservation of one m5.large in the first zone, and a fleet whose template targets it, as Karpenter's does."""

    place: Place
    identity: str

    def told(self) -> dict[str, Any]:
        ec2 = self.place.aws.client("ec2")
        return ec2.describe_capacity_reservations(CapacityReservationIds=[self.identity])["CapacityReservations"][0]

    def fleet(self, **changed: str) -> dict[str, Any]:
        ec2 = self.place.aws.client("ec2")
        target = {"CapacityReservationId": self.identity}
        data = {
            "ImageId": self.place.image,
            "CapacityReservationSpecification": {
                "CapacityReservationPreference": "capacity-reservations-only",
                "CapacityReservationTarget": target,
            },
        }
        name = f"r{uuid.uuid4().hex[:8]}"
        made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)["LaunchTemplate"]
        template = {"LaunchTemplateId": made["LaunchTemplateId"], "Version": "$Latest"}
        override = {"InstanceType": "m5.large", "SubnetId": next(iter(self.place.subnets)), **changed}
        return ec2.create_fleet(
            Type="instant",
            TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "on-demand"},
            LaunchTemplateConfigs=[{"LaunchTemplateSpecification": template, "Overrides": [override]}],
        )


@pytest.fixture
def reserved(place: Place) -> Reserved:
    made = place.aws.client("ec2").create_capacity_reservation(
        InstanceType="m5.large",
        InstancePlatform="Linux/UNIX",
        AvailabilityZone="eu-west-1a",
        InstanceCount=1,
        InstanceMatchCriteria="targeted",
        TagSpecifications=[{"ResourceType": "capacity-reservation", "Tags": [{"Key": "team", "Value": "shop"}]}],
    )
    return Reserved(place, made["CapacityReservation"]["CapacityReservationId"])


def test_a_reservation_takes_what_it_has_room_for_and_gets_its_place_back(reserved: Reserved, switches: Path) -> None:
    set_shortages(switches, [Shortage()])  # what is reserved is there whatever is short

    (first,) = reserved.fleet()["Instances"]
    instance = reserved.place.instance(first["InstanceIds"][0])
    full = reserved.fleet()
    assert instance["CapacityReservationId"] == reserved.identity
    assert instance["CapacityReservationSpecification"] == {
        "CapacityReservationPreference": "capacity-reservations-only",
        "CapacityReservationTarget": {"CapacityReservationId": reserved.identity},
    }
    assert "CapacityReservationId" not in reserved.place.instance(place_of(reserved, switches))
    assert reserved.told()["AvailableInstanceCount"] == 0
    assert not full["Instances"]
    assert [error["ErrorCode"] for error in full["Errors"]] == ["ReservationCapacityExceeded"]

    reserved.place.aws.client("ec2").terminate_instances(InstanceIds=first["InstanceIds"])
    assert reserved.told()["AvailableInstanceCount"] == 1
    assert reserved.fleet()["Instances"]


def place_of(reserved: Reserved, switches: Path) -> str:
    """An instance of no reservation."""
    set_shortages(switches, [])
    return reserved.place.fleet()["Instances"][0]["InstanceIds"][0]


def other_zone(reserved: Reserved) -> dict[str, str]:
    return {"SubnetId": list(reserved.place.subnets)[1]}


@pytest.mark.parametrize("changed", [{"InstanceType": "c5.large"}, other_zone], ids=["type", "zone"])
def test_a_reservation_takes_only_its_own_type_in_its_own_zone(reserved: Reserved, changed: Any) -> None:
    told = reserved.fleet(**(changed(reserved) if callable(changed) else changed))
    assert [error["ErrorCode"] for error in told["Errors"]] == ["ReservationCapacityExceeded"]


def test_reservations_are_found_as_karpenter_asks_for_them_until_they_are_cancelled(reserved: Reserved) -> None:
    ec2 = reserved.place.aws.client("ec2")

    def found(**filters: str) -> bool:
        asked = [
            {"Name": name.replace("__", ":").replace("_", "-"), "Values": [told]} for name, told in filters.items()
        ]
        rows = ec2.describe_capacity_reservations(Filters=asked)["CapacityReservations"]
        return reserved.identity in {row["CapacityReservationId"] for row in rows}

    owner = reserved.told()["OwnerId"]
    assert found(state="active", owner_id=owner, tag__team="shop", instance_match_criteria="targeted")
    assert found(tag_key="team")
    assert not found(tag__team="other")
    assert not found(owner_id="999988887777")
    ec2.cancel_capacity_reservation(CapacityReservationId=reserved.identity)
    assert not found(state="active")
    assert [error["ErrorCode"] for error in reserved.fleet()["Errors"]] == ["ReservationCapacityExceeded"]
    with pytest.raises(ec2.exceptions.ClientError, match=r"InvalidCapacityReservationId\.NotFound"):
        ec2.describe_capacity_reservations(CapacityReservationIds=["cr-0123456789abcdef0"])
