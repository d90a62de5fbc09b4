"""Claims get zonal volumes, volumes follow their pods, snapshots begin volumes: by looks at an API server in memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.names import StackNames
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.names import (
    EBS_DRIVER,
    NODE,
    SNAPSHOT,
    SNAPSHOT_CLASS,
    STORAGE_CLASS,
    VOLUME_ATTACHMENT,
    VOLUME_CLAIM,
    ZONE,
)
from otel_on_spot.lab.volumes.driver import ATTACHED, PROVISIONER, SELECTED_NODE, EbsDriver
from otel_on_spot.lab.volumes.snapshots import BOUND, SnapshotController
from tests.unit.drills.kubernetes_front import KubernetesFront, Object
from tests.unit.lab.volumes.ec2 import Ec2, tags

SPACE = "otel-demo"


class Storage:
    """A cluster with two nodes in two zones, a class of volumes, and both controllers."""

    def __init__(self) -> None:
        self.front, self.ec2 = KubernetesFront(), Ec2(i_a="eu-west-1a", i_b="eu-west-1b")
        self.api = Api(self.front.client)
        self.lines: list[str] = []
        self.driver = EbsDriver(self.api, self.ec2, "otel-lab", self.lines.append)
        self.snapshots = SnapshotController(self.api, self.ec2, "otel-lab", Path("/none"), self.lines.append)
        for letter in "ab":
            labels, spec = {ZONE: f"eu-west-1{letter}"}, {"providerID": f"aws:///eu-west-1{letter}/i-{letter}"}
            self.front.add(NODE, f"node-{letter}", metadata={"labels": labels}, spec=spec)
        self.storage = self.front.add(
            STORAGE_CLASS,
            "gp3",
            reclaimPolicy="Delete",
            volumeBindingMode="WaitForFirstConsumer",
            parameters={"type": "gp3", "encrypted": "true", "tagSpecification_1": "environment=lab"},
        )

    def claim(self, name: str = "data", node: str = "node-b", gib: int = 10, **spec: Any) -> Object:
        made = self.front.add(
            VOLUME_CLAIM,
            name,
            spec={
                "accessModes": ["ReadWriteOncePod"],
                "storageClassName": "gp3",
                "resources": {"requests": {"storage": f"{gib}Gi"}},
                **spec,
            },
            status={"phase": "Pending"},
        )
        made["metadata"]["annotations"] = {PROVISIONER: EBS_DRIVER} | ({SELECTED_NODE: node} if node else {})
        return made

    def bound(self, name: str = "data", **given: Any) -> Object:
        """A claim with its volume, bound as the controller manager does: the PersistentVolume."""
        claim = self.claim(name, **given)
        self.driver.look()
        volume = self.front.find("PersistentVolume", f"pvc-uid-{name}")
        claim["spec"]["volumeName"], claim["status"] = volume["metadata"]["name"], {"phase": "Bound"}
        volume["status"] = {"phase": "Bound"}
        return volume

    def attachment(self, volume: Object, node: str) -> Object:
        source = {"persistentVolumeName": volume["metadata"]["name"]}
        spec = {"attacher": EBS_DRIVER, "nodeName": node, "source": source}
        return self.front.add(VOLUME_ATTACHMENT, f"csi-{node}", spec=spec)

    def snapshot(self, claim: str = "data", policy: str = "Delete") -> Object:
        self.front.add(SNAPSHOT_CLASS, "gp3", driver=EBS_DRIVER, deletionPolicy=policy)
        spec = {"volumeSnapshotClassName": "gp3", "source": {"persistentVolumeClaimName": claim}}
        return self.front.add(SNAPSHOT, "snap", spec=spec)

    def told(self) -> str:
        return " ".join(thing["message"] for thing in self.front.objects if thing["kind"] == "Event")

    def there(self, kind: str) -> list[Object]:
        return [thing for thing in self.front.objects if thing["kind"] == kind]


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    made = Storage()
    made.snapshots._installed = True
    monkeypatch.setattr(Api, "apply", lambda _api, _path, thing, _manager, force: made.front.objects.append(thing))
    yield made
    made.front.close()


def test_every_node_is_registered_with_its_instance_and_the_zone_of_its_volumes(storage: Storage) -> None:
    storage.driver.look()
    registered = storage.front.find("CSINode", "node-b")
    assert registered["spec"]["drivers"][0]["nodeID"] == "i-b"
    assert storage.front.find("Node", "node-b")["metadata"]["labels"]["topology.ebs.csi.aws.com/zone"] == "eu-west-1b"
    assert storage.front.find("CSIDriver", EBS_DRIVER)["spec"]["attachRequired"] is True
    node = storage.front.find("Node", "node-b")
    node["metadata"]["uid"], node["spec"]["providerID"] = "another", "aws:///eu-west-1b/i-b2"
    storage.driver.look()
    assert storage.front.find("CSINode", "node-b")["spec"]["drivers"][0]["nodeID"] == "i-b2"


def test_a_claim_gets_a_volume_in_the_zone_of_the_node_that_the_scheduler_chose_and_only_one(storage: Storage) -> None:
    storage.claim()
    storage.driver.look()
    (volume,) = storage.there("PersistentVolume")
    assert volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"] == [
        {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["eu-west-1b"]}]}
    ]
    assert (volume["spec"]["claimRef"]["uid"], volume["spec"]["capacity"]["storage"]) == ("uid-data", "10Gi")
    made = storage.ec2.volumes["vol-1"]
    assert (made["AvailabilityZone"], made["Size"], made["Encrypted"]) == ("eu-west-1b", 10, True)
    assert {"environment": "lab", "ebs.csi.aws.com/cluster": "true"}.items() <= tags(made).items()
    # By this one the preview sees that `cluster.volumeAccess: cluster` shuts out no volume.
    assert StackNames(cluster="otel-lab", region="eu-west-1").volume_tags.items() <= tags(made).items()
    storage.front.objects.remove(volume)  # killed between both
    storage.driver.look()
    assert list(storage.ec2.volumes) == ["vol-1"]
    assert len(storage.there("PersistentVolume")) == 1


def test_a_claim_waits_for_the_scheduler_and_asks_it_again_where_its_node_is_gone(storage: Storage) -> None:
    storage.claim("waits", node="")
    storage.claim("lost", node="node-c")
    storage.driver.look()
    assert storage.ec2.volumes == {}
    assert SELECTED_NODE not in storage.front.find("PersistentVolumeClaim", "lost")["metadata"]["annotations"]


def test_another_drivers_claims_and_volumes_are_left_alone(storage: Storage) -> None:
    storage.claim()["metadata"]["annotations"][PROVISIONER] = "efs.csi.aws.com"
    storage.driver.look()
    assert storage.ec2.volumes == {}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({}, "VolumeSnapshot snap is not ready to use"),
        ({"readyToUse": True, "restoreSize": "20Gi", "boundVolumeSnapshotContentName": "c"}, "is of 20Gi"),
    ],
)
def test_a_claim_whose_snapshot_cannot_begin_it_stays_pending_and_says_why(
    storage: Storage, status: Object, said: str
) -> None:
    storage.snapshot()["status"] = status
    storage.claim("copy", dataSource={"kind": "VolumeSnapshot", "name": "snap"})
    storage.driver.look()
    assert storage.ec2.volumes == {}
    assert said in storage.told()


def test_a_snapshot_begins_a_volume_in_any_zone(storage: Storage) -> None:
    storage.bound()
    storage.snapshot()
    storage.snapshots.look()
    status = storage.front.find("VolumeSnapshot", "snap")["status"]
    assert (status["readyToUse"], status["restoreSize"]) == (True, "10Gi")
    storage.snapshots.look()
    assert list(storage.ec2.snapshots) == ["snap-1"]
    storage.claim("copy", node="node-a", dataSource={"kind": "VolumeSnapshot", "name": "snap"})
    storage.driver.look()
    copy = storage.ec2.volumes["vol-2"]
    assert (copy["SnapshotId"], copy["AvailabilityZone"]) == ("snap-1", "eu-west-1a")


@pytest.mark.parametrize(("policy", "left"), [("Delete", []), ("Retain", ["snap-1"])])
def test_a_snapshot_goes_with_its_object_where_its_class_says_so(
    storage: Storage, policy: str, left: list[str]
) -> None:
    storage.bound()
    snapshot = storage.snapshot(policy=policy)
    storage.snapshots.look()
    (content,) = storage.there("VolumeSnapshotContent")
    assert content["metadata"]["finalizers"] == [BOUND]
    storage.front.objects.remove(snapshot)
    storage.snapshots.look()
    assert list(storage.ec2.snapshots) == left
    assert bool(storage.there("VolumeSnapshotContent")) == bool(left)


def test_a_volume_is_attached_to_its_pods_node_and_detached_when_that_is_asked_for(storage: Storage) -> None:
    volume = storage.bound()
    attachment = storage.attachment(volume, "node-b")
    storage.driver.look()
    assert attachment["status"]["attached"] is True
    assert attachment["metadata"]["finalizers"] == [ATTACHED]
    assert [each["InstanceId"] for each in storage.ec2.volumes["vol-1"]["Attachments"]] == ["i-b"]
    attachment["metadata"]["deletionTimestamp"] = "now"
    storage.driver.look()
    assert storage.ec2.volumes["vol-1"]["Attachments"] == []
    assert "finalizers" not in attachment["metadata"]


def test_a_volume_in_another_zone_or_on_another_instance_is_refused(storage: Storage) -> None:
    volume = storage.bound()
    elsewhere = storage.attachment(volume, "node-a")
    storage.driver.look()
    assert "vol-1 is in eu-west-1b, i-a in eu-west-1a" in elsewhere["status"]["attachError"]["message"]
    storage.ec2.attach_volume("vol-1", "i-other", "/dev/xvdaa")
    second = storage.attachment(volume, "node-b")
    storage.driver.look()
    assert "vol-1 is attached to i-other" in second["status"]["attachError"]["message"]


@pytest.mark.parametrize(("policy", "left"), [("Delete", []), ("Retain", ["vol-1"])])
def test_a_volume_goes_with_its_claim_where_its_class_says_so_and_not_while_it_is_attached(
    storage: Storage, policy: str, left: list[str]
) -> None:
    storage.storage["reclaimPolicy"] = policy
    volume = storage.bound()
    attachment = storage.attachment(volume, "node-b")
    storage.driver.look()
    volume["status"] = {"phase": "Released"}
    storage.front.objects.remove(storage.front.find("PersistentVolumeClaim", "data"))
    storage.driver.look()
    assert (list(storage.ec2.volumes), storage.told()) == (["vol-1"], "")
    storage.ec2.detach_volume("vol-1", "i-b")
    storage.front.objects.remove(attachment)
    storage.driver.look()
    assert list(storage.ec2.volumes) == left
    assert bool(storage.there("PersistentVolume")) == bool(left)


def test_a_larger_claim_grows_its_volume_in_place(storage: Storage) -> None:
    volume = storage.bound()
    storage.front.find("PersistentVolumeClaim", "data")["spec"]["resources"]["requests"]["storage"] = "15Gi"
    storage.driver.look()
    assert storage.ec2.volumes["vol-1"]["Size"] == 15
    assert volume["spec"]["capacity"]["storage"] == "15Gi"
    assert storage.front.find("PersistentVolumeClaim", "data")["status"]["capacity"] == {"storage": "15Gi"}
