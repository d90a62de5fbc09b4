"""EC2's volumes and snapshots in memory, as far as the driver asks for them."""

from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "refused"}}, "Any")


class Ec2:
    """``instances``: zone by id."""

    def __init__(self, **instances: str) -> None:
        self.instances = {identity.replace("_", "-"): zone for identity, zone in instances.items()}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.snapshots: dict[str, dict[str, Any]] = {}

    def create_volume(self, **asked: Any) -> dict[str, Any]:
        identity = f"vol-{len(self.volumes) + 1}"
        self.volumes[identity] = {**asked, "VolumeId": identity, "Attachments": []}
        return self.volumes[identity]

    def describe_volumes(self, VolumeIds: list[str] = [], Filters: list[Any] = []) -> dict[str, Any]:  # noqa: B006, N803
        return {
            "Volumes": [
                volume
                for volume in self.volumes.values()
                if (not VolumeIds or volume["VolumeId"] in VolumeIds)
                and all(set(each["Values"]) & {_field(volume, each["Name"])} for each in Filters)
            ]
        }

    def delete_volume(self, VolumeId: str) -> dict[str, Any]:  # noqa: N803
        if VolumeId not in self.volumes:
            raise refused("InvalidVolume.NotFound")
        if self.volumes[VolumeId]["Attachments"]:
            raise refused("VolumeInUse")
        return self.volumes.pop(VolumeId)

    def modify_volume(self, VolumeId: str, Size: int) -> None:  # noqa: N803
        self.volumes[VolumeId]["Size"] = Size

    def describe_instances(self, InstanceIds: list[str]) -> dict[str, Any]:  # noqa: N803
        (identity,) = InstanceIds
        devices = [
            {"DeviceName": each["Device"]}
            for volume in self.volumes.values()
            for each in volume["Attachments"]
            if each["InstanceId"] == identity
        ]
        row = {"Placement": {"AvailabilityZone": self.instances[identity]}, "BlockDeviceMappings": devices}
        return {"Reservations": [{"Instances": [row]}]}

    def attach_volume(self, VolumeId: str, InstanceId: str, Device: str) -> None:  # noqa: N803
        self.volumes[VolumeId]["Attachments"].append({"InstanceId": InstanceId, "Device": Device})

    def detach_volume(self, VolumeId: str, InstanceId: str) -> None:  # noqa: N803
        there = self.volumes[VolumeId]["Attachments"]
        there[:] = [each for each in there if each["InstanceId"] != InstanceId]

    def create_snapshot(self, **asked: Any) -> dict[str, Any]:
        identity = f"snap-{len(self.snapshots) + 1}"
        size = self.volumes[asked["VolumeId"]]["Size"]
        row = {**asked, "SnapshotId": identity, "VolumeSize": size, "StartTime": datetime(2026, 11, 1, tzinfo=UTC)}
        self.snapshots[identity] = row
        return row

    def describe_snapshots(self, **asked: Any) -> dict[str, Any]:
        wanted = asked.get("Filters") or []
        return {
            "Snapshots": [
                row
                for row in self.snapshots.values()
                if all(set(each["Values"]) & {_field(row, each["Name"])} for each in wanted)
            ]
        }

    def delete_snapshot(self, SnapshotId: str) -> None:  # noqa: N803
        if self.snapshots.pop(SnapshotId, None) is None:
            raise refused("InvalidSnapshot.NotFound")


def tags(row: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in row["TagSpecifications"][0]["Tags"]}


def _field(row: dict[str, Any], name: str) -> str:
    return row["VolumeId"] if name == "volume-id" else tags(row).get(name.removeprefix("tag:"), "")
