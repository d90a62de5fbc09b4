"""The snapshot controller and the driver's snapshotter: an EBS snapshot for each VolumeSnapshot.

Source: https://github.com/kubernetes-csi/external-snapshotter/tree/v8.6.0/pkg (common-controller, sidecar-controller)
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from otel_on_spot.aws_errors import unless_absent
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import (
    DEFINITION,
    EBS_DRIVER,
    PERSISTENT_VOLUME,
    SNAPSHOT,
    SNAPSHOT_CLASS,
    SNAPSHOT_CONTENT,
    VOLUME_CLAIM,
)
from otel_on_spot.lab.volumes.objects import FAILURES, RefusedError, aws_tags, owned_tags, tell, why, without_finalizer

BOUND: Final = "snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection"


class SnapshotController:
    """The controller of one cluster.

    Args:
        api: the API server, as the driver's user.
        ec2: a boto3 client of the simulated EC2.
        cluster: name of the cluster.
        definitions: folder of the CRDs.
        log: gets a line for each thing that is done or refused.
    """

    def __init__(self, api: Api, ec2: Any, cluster: str, definitions: Path, log: Callable[[str], None]) -> None:
        self.api, self.ec2, self.cluster, self.definitions, self.log = api, ec2, cluster, definitions, log
        self._installed = False

    def look(self) -> bool:
        """Do what is due: True where there is a snapshot."""
        if not self._installed:
            self._install()
            return True
        snapshots = list(self.api.list(SNAPSHOT.path()))
        contents = {content["metadata"]["name"]: content for content in self.api.list(SNAPSHOT_CONTENT.path())}
        for snapshot in snapshots:
            if not (snapshot.get("status") or {}).get("readyToUse"):
                self._act(snapshot, lambda snapshot=snapshot: self._take(snapshot, contents))
        wanted = {snapshot["metadata"]["uid"] for snapshot in snapshots}
        for content in contents.values():
            if content["spec"]["volumeSnapshotRef"].get("uid") not in wanted:
                self._act(content, lambda content=content: self._drop(content))
        return bool(snapshots or contents)

    def _act(self, thing: Object, act: Callable[[], None]) -> None:
        try:
            act()
        except FAILURES as problem:
            self.log(f"{thing['metadata']['name']}: {why(problem)}")
            if isinstance(problem, RefusedError):
                about = {"apiVersion": SNAPSHOT.version, "kind": SNAPSHOT.kind, **thing}
                tell(self.api, about, "SnapshotFailed", why(problem))

    def _install(self) -> None:
        """The CRDs, as the add-on brings them; they stay when it goes."""
        for definition in definitions(self.definitions):
            self.api.apply(DEFINITION.path(name=definition["metadata"]["name"]), definition, "snapshot-controller")
        self._installed = True

    def _take(self, snapshot: Object, contents: dict[str, Object]) -> None:
        about, spec = snapshot["metadata"], snapshot["spec"]
        if about.get("deletionTimestamp"):
            return
        given = spec["source"].get("volumeSnapshotContentName")
        name = given or f"snapcontent-{about['uid']}"
        content = contents.get(name)
        if content is None:
            if given:
                raise RefusedError(f"there is no VolumeSnapshotContent {given}")
            content = self._make(snapshot, name)
        if not (content.get("status") or {}).get("readyToUse"):
            content = self._ready(content)
        status = content["status"]
        told = {
            "boundVolumeSnapshotContentName": name,
            "readyToUse": True,
            "restoreSize": f"{status['restoreSize'] // 2**30}Gi",
            "creationTime": datetime.fromtimestamp(status["creationTime"] // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self.api.merge(f"{SNAPSHOT.path(about['namespace'], about['name'])}/status", {"status": told})

    def _make(self, snapshot: Object, name: str) -> Object:
        about, spec = snapshot["metadata"], snapshot["spec"]
        kind = self.api.get(SNAPSHOT_CLASS.path(name=spec.get("volumeSnapshotClassName") or "-"))
        if kind is None or kind["driver"] != EBS_DRIVER:
            raise RefusedError(f"there is no VolumeSnapshotClass {spec.get('volumeSnapshotClassName')} of {EBS_DRIVER}")
        claim = self.api.get(VOLUME_CLAIM.path(about["namespace"], spec["source"]["persistentVolumeClaimName"]))
        if claim is None or (claim.get("status") or {}).get("phase") != "Bound":
            raise RefusedError(f"claim {spec['source']['persistentVolumeClaimName']} is not bound to a volume")
        volume = self.api.get(PERSISTENT_VOLUME.path(name=claim["spec"]["volumeName"])) or {}
        reference = {"apiVersion": SNAPSHOT.version, "kind": SNAPSHOT.kind}
        content = {
            "apiVersion": SNAPSHOT_CONTENT.version,
            "kind": SNAPSHOT_CONTENT.kind,
            "metadata": {"name": name, "finalizers": [BOUND]},
            "spec": {
                "deletionPolicy": kind["deletionPolicy"],
                "driver": EBS_DRIVER,
                "source": {"volumeHandle": volume["spec"]["csi"]["volumeHandle"]},
                "volumeSnapshotClassName": kind["metadata"]["name"],
                "volumeSnapshotRef": reference | {key: about[key] for key in ("name", "namespace", "uid")},
            },
        }
        return self.api.create(SNAPSHOT_CONTENT.path(), content)

    def _ready(self, content: Object) -> Object:
        name, source = content["metadata"]["name"], content["spec"]["source"]
        snapshot = self._snapshot(name, source)
        status = {
            "snapshotHandle": snapshot["SnapshotId"],
            "readyToUse": True,
            "restoreSize": int(snapshot["VolumeSize"]) * 2**30,
            "creationTime": int(snapshot["StartTime"].timestamp()) * 10**9,
        }
        return self.api.merge(f"{SNAPSHOT_CONTENT.path(name=name)}/status", {"status": status})

    def _snapshot(self, name: str, source: dict[str, str]) -> dict[str, Any]:
        """The EBS snapshot of a content, made where it is not there yet."""
        if handle := source.get("snapshotHandle"):
            return self.ec2.describe_snapshots(SnapshotIds=[handle])["Snapshots"][0]
        tags = owned_tags(self.cluster, name) | {"CSIVolumeSnapshotName": name}
        filters = [{"Name": "tag:CSIVolumeSnapshotName", "Values": [name]}]
        there = self.ec2.describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
        if there:
            return there[0]
        made = self.ec2.create_snapshot(
            VolumeId=source["volumeHandle"],
            Description="Created by AWS EBS CSI driver for volume " + source["volumeHandle"],
            TagSpecifications=aws_tags("snapshot", tags),
        )
        self.log(f"{name}: {made['SnapshotId']} of {source['volumeHandle']}")
        return made

    def _drop(self, content: Object) -> None:
        """A content whose VolumeSnapshot is gone, where its policy says that it goes along."""
        path = SNAPSHOT_CONTENT.path(name=content["metadata"]["name"])
        if content["spec"]["deletionPolicy"] != "Delete":
            return
        handle = (content.get("status") or {}).get("snapshotHandle")
        if handle:
            unless_absent(self.ec2.delete_snapshot, SnapshotId=handle)
            self.log(f"{content['metadata']['name']}: {handle} deleted")
        self.api.delete(path)
        now = self.api.get(path)
        if now is not None:
            without_finalizer(self.api, path, now, BOUND)


def definitions(folder: Path) -> Iterator[Object]:
    """The CRDs of VolumeSnapshots in upstream's folder, without those of groups, which nobody here asks for."""
    for file in sorted(folder.glob("snapshot.storage.k8s.io_*.yaml")):
        yield from (document for document in yaml.safe_load_all(file.read_text()) if document)
