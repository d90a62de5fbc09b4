"""The EBS CSI driver with its provisioner, attacher and resizer: one look does everything that is due.

Every step looks at what is there first, so that it can be done again after a kill.

Sources: https://github.com/kubernetes-sigs/aws-ebs-csi-driver (pkg/driver/controller.go, pkg/driver/node.go),
https://github.com/kubernetes-csi/external-provisioner (pkg/controller/controller.go),
https://github.com/kubernetes-csi/external-attacher (pkg/controller/csi_handler.go)
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from botocore.exceptions import ClientError
from kubernetes.client.exceptions import ApiException

from otel_on_spot.aws_errors import unless_absent
from otel_on_spot.kubernetes.client import METADATA_ONLY, Api, Object
from otel_on_spot.kubernetes.names import (
    CLAIM_NAME_TAG,
    CSI_DRIVER,
    CSI_NODE,
    EBS_DRIVER,
    EBS_ZONE,
    NODE,
    PERSISTENT_VOLUME,
    SNAPSHOT,
    SNAPSHOT_CONTENT,
    STORAGE_CLASS,
    VOLUME_ATTACHMENT,
    VOLUME_CLAIM,
    ZONE,
)
from otel_on_spot.lab.volumes.objects import (
    FAILURES,
    RefusedError,
    aws_tags,
    gib,
    owned_tags,
    tell,
    why,
    without_finalizer,
)

PROVISIONER: Final = "volume.kubernetes.io/storage-provisioner"
SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
"""Annotations of a claim, by the controller manager and, with WaitForFirstConsumer, by the scheduler."""
PROVISIONED: Final = "external-provisioner.volume.kubernetes.io/finalizer"
ATTACHED: Final = "external-attacher/ebs-csi-aws-com"
NAME_TAG: Final = "CSIVolumeName"
VOLUMES_PER_NODE: Final = 25


class EbsDriver:
    """The driver of one cluster.

    Args:
        api: the API server, as the driver's user.
        ec2: a boto3 client of the simulated EC2.
        cluster: name of the cluster.
        log: gets a line for each thing that is done or refused.
    """

    def __init__(self, api: Api, ec2: Any, cluster: str, log: Callable[[str], None]) -> None:
        self.api, self.ec2, self.cluster, self.log = api, ec2, cluster, log
        self._registered: dict[str, str] = {}

    def look(self) -> bool:
        """Do what is due: True where there is anything that the driver has to do with."""
        self._register()
        claims = list(self.api.list(VOLUME_CLAIM.path()))
        volumes = {
            volume["metadata"]["name"]: volume
            for volume in self.api.list(PERSISTENT_VOLUME.path())
            if (volume["spec"].get("csi") or {}).get("driver") == EBS_DRIVER
        }
        attachments = [
            attachment
            for attachment in self.api.list(VOLUME_ATTACHMENT.path())
            if attachment["spec"]["attacher"] == EBS_DRIVER
        ]
        self._each(attachments, "VolumeAttachment", "", lambda attachment: self._attachment(attachment, volumes))
        self._each(claims, "PersistentVolumeClaim", "ProvisioningFailed", lambda claim: self._claim(claim, volumes))
        in_use = {attachment["spec"]["source"].get("persistentVolumeName") for attachment in attachments}
        gone = [volume for name, volume in volumes.items() if name not in in_use]
        self._each(gone, "PersistentVolume", "VolumeFailedDelete", self._unused)
        return bool(claims or volumes or attachments)

    def _each(self, things: Iterable[Object], kind: str, told: str, act: Callable[[Object], None]) -> None:
        """Act on each; what fails is told, and tried again at the next look."""
        for thing in things:
            try:
                act(thing)
            except FAILURES as problem:
                self.log(f"{kind} {thing['metadata']['name']}: {why(problem)}")
                if told and not isinstance(problem, ApiException):
                    tell(self.api, {"apiVersion": "v1", "kind": kind, **thing}, told, why(problem))

    def _register(self) -> None:
        """The driver, and each node that it runs on with the instance's own id."""
        if self.api.get(CSI_DRIVER.path(name=EBS_DRIVER)) is None:
            spec = {"attachRequired": True, "podInfoOnMount": False, "fsGroupPolicy": "ReadWriteOnceWithFSType"}
            metadata = {"name": EBS_DRIVER}
            self.api.create(
                CSI_DRIVER.path(),
                {"apiVersion": CSI_DRIVER.version, "kind": CSI_DRIVER.kind, "metadata": metadata, "spec": spec},
            )
        now = {thing["metadata"]["name"]: thing["metadata"] for thing in self.api.list(NODE.path(), METADATA_ONLY)}
        self._registered = {name: uid for name, uid in self._registered.items() if name in now}
        for name, metadata in now.items():
            if self._registered.get(name) != metadata["uid"]:
                self._register_node(name)
                self._registered[name] = metadata["uid"]

    def _register_node(self, name: str) -> None:
        node = self.api.get(NODE.path(name=name))
        if node is None:
            return
        about, zone = node["metadata"], node["metadata"]["labels"].get(ZONE, "")
        instance = node["spec"].get("providerID", "").rpartition("/")[2]
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": about["uid"]}
        entry = {
            "name": EBS_DRIVER,
            "nodeID": instance,
            "topologyKeys": ["kubernetes.io/os", EBS_ZONE, ZONE],
            "allocatable": {"count": VOLUMES_PER_NODE},
        }
        wanted = {
            "apiVersion": CSI_NODE.version,
            "kind": CSI_NODE.kind,
            "metadata": {"name": name, "ownerReferences": [owner]},
            "spec": {"drivers": [entry]},
        }
        self.api.delete(CSI_NODE.path(name=name))  # of an earlier node of this name
        self.api.create(CSI_NODE.path(), wanted)
        self.api.merge(NODE.path(name=name), {"metadata": {"labels": {EBS_ZONE: zone}}})

    def _claim(self, claim: Object, volumes: dict[str, Object]) -> None:
        phase = (claim.get("status") or {}).get("phase")
        notes = claim["metadata"].get("annotations") or {}
        if phase == "Bound":
            self._expand(claim, volumes.get(claim["spec"].get("volumeName") or ""))
        elif (
            phase == "Pending"
            and notes.get(PROVISIONER) == EBS_DRIVER
            and not claim["metadata"].get("deletionTimestamp")
        ):
            self._provision(claim, volumes, notes.get(SELECTED_NODE, ""))

    def _provision(self, claim: Object, volumes: dict[str, Object], node_name: str) -> None:
        name = f"pvc-{claim['metadata']['uid']}"
        if name in volumes or claim["spec"].get("volumeName"):
            return
        storage = self.api.get(STORAGE_CLASS.path(name=claim["spec"]["storageClassName"]))
        if storage is None:
            raise RefusedError(f"there is no StorageClass {claim['spec']['storageClassName']}")
        if not node_name and storage.get("volumeBindingMode") == "WaitForFirstConsumer":
            return  # the scheduler has not chosen a node yet
        zone = self._zone(claim, node_name)
        if not zone:
            return
        size, snapshot = gib(claim["spec"]["resources"]["requests"]["storage"]), self._source(claim)
        volume = self._volume(claim, storage, name, zone, size, snapshot)
        self.api.create(PERSISTENT_VOLUME.path(), _persistent_volume(claim, storage, name, zone, size, volume))
        began = f" from {snapshot}" if snapshot else ""
        self.log(f"PersistentVolumeClaim {claim['metadata']['name']}: {volume} in {zone}, {size} GiB{began}")

    def _zone(self, claim: Object, node_name: str) -> str:
        """Zone of the chosen node. Where that is gone the scheduler is asked again, as the provisioner does."""
        if not node_name:
            return self.ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
        node = self.api.get(NODE.path(name=node_name))
        if node is not None:
            return node["metadata"]["labels"][ZONE]
        path = VOLUME_CLAIM.path(claim["metadata"]["namespace"], claim["metadata"]["name"])
        self.api.merge(path, {"metadata": {"annotations": {SELECTED_NODE: None}}})
        return ""

    def _source(self, claim: Object) -> str:
        """Id of the EBS snapshot that the volume begins with; empty where it begins empty.

        Raises:
            RefusedError: the snapshot is not there, not ready, larger than the claim, or the source is none.
        """
        source = claim["spec"].get("dataSource")
        if not source:
            return ""
        if source["kind"] != SNAPSHOT.kind:
            raise RefusedError(f"a volume begins with a VolumeSnapshot or empty, not with a {source['kind']}")
        named = f"VolumeSnapshot {source['name']}"
        snapshot = self.api.get(SNAPSHOT.path(claim["metadata"]["namespace"], source["name"]))
        status = (snapshot or {}).get("status") or {}
        if snapshot is None:
            raise RefusedError(f"there is no {named}")
        if not status.get("readyToUse"):
            raise RefusedError(f"{named} is not ready to use")
        if gib(claim["spec"]["resources"]["requests"]["storage"]) < gib(status["restoreSize"]):
            asked = claim["spec"]["resources"]["requests"]["storage"]
            raise RefusedError(f"{named} is of {status['restoreSize']}, the claim of {asked}: ask for at least as much")
        content = self.api.get(SNAPSHOT_CONTENT.path(name=status["boundVolumeSnapshotContentName"]))
        if content is None:
            raise RefusedError(f"the content of {named} is gone")
        return content["status"]["snapshotHandle"]

    def _volume(self, claim: Object, storage: Object, name: str, zone: str, size: int, snapshot: str) -> str:
        """Id of the claim's EBS volume, made where it is not there yet.

        ``size`` is in GiB. ``snapshot``: id of the EBS snapshot that it begins with; empty for none.
        """
        asked = [{"Name": f"tag:{NAME_TAG}", "Values": [name]}]
        there = self.ec2.describe_volumes(Filters=asked)["Volumes"]
        if there:
            return there[0]["VolumeId"]
        parameters, about = storage.get("parameters") or {}, claim["metadata"]
        tags = {
            **owned_tags(self.cluster, name),
            NAME_TAG: name,
            CLAIM_NAME_TAG: about["name"],
            "kubernetes.io/created-for/pvc/namespace": about["namespace"],
            "kubernetes.io/created-for/pv/name": name,
            **class_tags(parameters),
        }
        further = {"SnapshotId": snapshot} if snapshot else {}
        if key := parameters.get("kmsKeyId"):
            further["KmsKeyId"] = key
        made = self.ec2.create_volume(
            AvailabilityZone=zone,
            Size=size,
            VolumeType=parameters.get("type", "gp3"),
            Encrypted=parameters.get("encrypted") == "true",
            TagSpecifications=aws_tags("volume", tags),
            **further,
        )
        return made["VolumeId"]

    def _expand(self, claim: Object, volume: Object | None) -> None:
        """A larger claim: the volume grows in place. The node's part of it is not played."""
        wanted = claim["spec"]["resources"]["requests"]["storage"]
        if volume is None or gib(wanted) <= gib(volume["spec"]["capacity"]["storage"]):
            return
        size = gib(wanted)
        self.ec2.modify_volume(VolumeId=volume["spec"]["csi"]["volumeHandle"], Size=size)
        capacity = {"storage": f"{size}Gi"}
        self.api.merge(PERSISTENT_VOLUME.path(name=volume["metadata"]["name"]), {"spec": {"capacity": capacity}})
        path = VOLUME_CLAIM.path(claim["metadata"]["namespace"], claim["metadata"]["name"])
        self.api.merge(f"{path}/status", {"status": {"capacity": capacity}})
        self.log(f"PersistentVolumeClaim {claim['metadata']['name']}: grown to {size} GiB")

    def _unused(self, volume: Object) -> None:
        """Delete a volume that is attached to nothing and whose claim is gone, where its class says so."""
        name, spec = volume["metadata"]["name"], volume["spec"]
        path = PERSISTENT_VOLUME.path(name=name)
        released = (volume.get("status") or {}).get("phase") in ("Released", "Failed")
        going = bool(volume["metadata"].get("deletionTimestamp"))
        if released and spec["persistentVolumeReclaimPolicy"] == "Delete":
            if unless_absent(self.ec2.delete_volume, VolumeId=spec["csi"]["volumeHandle"]) is not None:
                self.log(f"PersistentVolume {name}: {spec['csi']['volumeHandle']} deleted")
            self.api.delete(path)
            going = True
        if going:
            now = self.api.get(path)
            if now is not None:
                without_finalizer(self.api, path, now, PROVISIONED)

    def _attachment(self, attachment: Object, volumes: dict[str, Object]) -> None:
        about, spec = attachment["metadata"], attachment["spec"]
        path = VOLUME_ATTACHMENT.path(name=about["name"])
        volume = volumes.get(spec["source"].get("persistentVolumeName") or "")
        handle = volume["spec"]["csi"]["volumeHandle"] if volume else ""
        if about.get("deletionTimestamp"):
            if handle:
                self._detach(handle, spec["nodeName"])
            without_finalizer(self.api, path, attachment, ATTACHED)
        elif not (attachment.get("status") or {}).get("attached"):
            if ATTACHED not in (about.get("finalizers") or []):
                self.api.merge(path, {"metadata": {"finalizers": [*(about.get("finalizers") or []), ATTACHED]}})
            try:
                device = self._attach(handle, spec["nodeName"])
            except (RefusedError, ClientError) as problem:
                self.api.merge(
                    f"{path}/status", {"status": {"attached": False, "attachError": {"message": str(problem)}}}
                )
                raise
            status = {"attached": True, "attachError": None, "attachmentMetadata": {"devicePath": device}}
            self.api.merge(f"{path}/status", {"status": status})
            self.log(f"{handle} attached to {spec['nodeName']}")

    def _attach(self, handle: str, node_name: str) -> str:
        if not handle:
            raise RefusedError("its PersistentVolume is gone")
        instance = self._instance(node_name)
        if not instance:
            raise RefusedError(f"node {node_name} is not registered")
        (now,) = self.ec2.describe_volumes(VolumeIds=[handle])["Volumes"]
        for there in now.get("Attachments") or []:
            if there["InstanceId"] == instance:
                return there["Device"]
            raise RefusedError(f"{handle} is attached to {there['InstanceId']}: an EBS volume is on one instance")
        (row,) = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
        zone = row["Placement"]["AvailabilityZone"]
        if zone != now["AvailabilityZone"]:
            raise RefusedError(
                f"{handle} is in {now['AvailabilityZone']}, {instance} in {zone}: a volume stays in its zone"
            )
        used = {mapping["DeviceName"] for mapping in row.get("BlockDeviceMappings") or []}
        device = next(name for name in map("/dev/xvda{}".format, "abcdefghijklmnopqrstuvwxyz") if name not in used)
        self.ec2.attach_volume(VolumeId=handle, InstanceId=instance, Device=device)
        return device

    def _detach(self, handle: str, node_name: str) -> None:
        """Detach a volume; an instance that has ended holds none."""
        found = self.ec2.describe_volumes(Filters=[{"Name": "volume-id", "Values": [handle]}])["Volumes"]
        instance = self._instance(node_name)
        for there in (found[0].get("Attachments") or []) if found else []:
            if not instance or there["InstanceId"] == instance:
                self.ec2.detach_volume(VolumeId=handle, InstanceId=there["InstanceId"])
                self.log(f"{handle} detached from {node_name}")

    def _instance(self, node_name: str) -> str:
        registered = self.api.get(CSI_NODE.path(name=node_name)) or {"spec": {"drivers": []}}
        drivers = registered["spec"].get("drivers") or []
        return next((driver["nodeID"] for driver in drivers if driver["name"] == EBS_DRIVER), "")


def class_tags(parameters: dict[str, str]) -> dict[str, str]:
    """Tags that a StorageClass gives to its volumes.

    Source: https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/tagging.md
    """
    pairs = (value for key, value in parameters.items() if re.fullmatch(r"tagSpecification_\d+", key))
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


def _persistent_volume(claim: Object, storage: Object, name: str, zone: str, size: int, volume: str) -> Object:
    """The PersistentVolume of a claim, which the controller manager binds.

    ``size`` is in GiB. ``volume``: id of the EBS volume.
    """
    about = claim["metadata"]
    of = {key: about[key] for key in ("name", "namespace", "uid", "resourceVersion")}
    # Source: newCreateVolumeResponse in pkg/driver/controller.go: the well-known label, since driver 1.32
    in_zone = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": [zone]}]}
    return {
        "apiVersion": PERSISTENT_VOLUME.version,
        "kind": PERSISTENT_VOLUME.kind,
        "metadata": {
            "name": name,
            "annotations": {"pv.kubernetes.io/provisioned-by": EBS_DRIVER},
            "finalizers": [PROVISIONED],
        },
        "spec": {
            "capacity": {"storage": f"{size}Gi"},
            "accessModes": claim["spec"]["accessModes"],
            "claimRef": {"apiVersion": "v1", "kind": VOLUME_CLAIM.kind, **of},
            "csi": {"driver": EBS_DRIVER, "volumeHandle": volume, "fsType": "ext4"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [in_zone]}},
            "persistentVolumeReclaimPolicy": storage.get("reclaimPolicy", "Delete"),
            "storageClassName": claim["spec"]["storageClassName"],
            "volumeMode": claim["spec"].get("volumeMode", "Filesystem"),
        },
    }
