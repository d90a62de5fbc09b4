"""What the drill makes beside a database: a snapshot of its volume, a claim that begins with it, a pod on that."""

from typing import Final

from otel_on_spot.drills import pods
from otel_on_spot.drills.restore_data.volumes import Database
from otel_on_spot.kubernetes.client import Object
from otel_on_spot.kubernetes.names import SNAPSHOT, VOLUME_CLAIM

DRILL: Final = "restore-data"


def snapshot(database: Database, name: str) -> Object:
    """A VolumeSnapshot of the database's claim, as the backup makes it, without the label that counts backups."""
    spec = {
        "volumeSnapshotClassName": database.snapshot_class,
        "source": {"persistentVolumeClaimName": database.volume.claim},
    }
    return {"apiVersion": SNAPSHOT.version, "kind": SNAPSHOT.kind, "metadata": _metadata(database, name), "spec": spec}


def claim(database: Database, name: str) -> Object:
    """The claim that ``restoreFrom`` makes: of the snapshot's name, beginning with it.

    Source: gitops/charts/otel-demo/templates/volume-claims.yaml
    """
    spec = {
        "accessModes": ["ReadWriteOncePod"],
        "storageClassName": database.storage_class,
        "resources": {"requests": {"storage": database.gib}},
        "dataSource": {"apiGroup": SNAPSHOT.group, "kind": SNAPSHOT.kind, "name": name},
    }
    return {
        "apiVersion": VOLUME_CLAIM.version,
        "kind": VOLUME_CLAIM.kind,
        "metadata": _metadata(database, name),
        "spec": spec,
    }


def pod(database: Database, name: str, claimed: str, seconds: int) -> Object:
    """A pod that mounts the restored volume where the database would run. It writes nothing.

    Args:
        database: whose placement it has.
        name: of the pod.
        claimed: name of the claim.
        seconds: after which the kubelet ends it, if nobody has.
    """
    return pods.pod(
        _metadata(database, name),
        seconds,
        {**pods.CONTAINER, "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}]},
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": claimed}}],
        **database.placement,
    )


def _metadata(database: Database, name: str) -> Object:
    return {"name": name, "namespace": database.namespace, "labels": {pods.LABEL: DRILL}}
