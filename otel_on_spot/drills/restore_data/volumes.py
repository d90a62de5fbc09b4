"""The volume of a database: which claim, which EBS volume, in which zone, used by which pod on which node."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import (
    APP_NAME,
    EBS_DRIVER,
    EBS_ZONE,
    NODE,
    PERSISTENT_VOLUME,
    POD,
    SNAPSHOT,
    SNAPSHOT_CLASS,
    STORAGE_CLASS,
    VOLUME_ATTACHMENT,
    VOLUME_CLAIM,
    ZONE,
)


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A claim that a running pod uses.

    ``handle``: id of the EBS volume. ``zone``: of the volume; ``node_zone``: of the pod's node. ``attached``: nodes
    that the volume is attached to.
    """

    claim: str
    name: str
    handle: str
    zone: str
    pod: str
    node: str
    node_zone: str
    attached: tuple[str, ...]

    @property
    def in_place(self) -> bool:
        """The volume is attached to the node of its pod and to no other, in its own zone."""
        return self.attached == (self.node,) and self.zone == self.node_zone


@dataclass(frozen=True, kw_only=True)
class Database:
    """The database whose volume is restored beside it.

    ``snapshot_class``: of the driver. ``placement``: node selector and tolerations of its pod, which the drill's pod
    gets too.
    """

    name: str
    namespace: str
    volume: Volume
    gib: str
    storage_class: str
    snapshot_class: str
    placement: Mapping[str, Any]


def zone_of(volume: Object) -> str:
    """Zone that a PersistentVolume is bound to; empty where it is bound to none."""
    terms = ((volume["spec"].get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or []
    values = {
        value
        for term in terms
        for expression in term.get("matchExpressions") or []
        if expression["key"] in (ZONE, EBS_ZONE)
        for value in expression.get("values") or []
    }
    return values.pop() if len(values) == 1 else ""


def users(api: Api, namespace: str, claim: str) -> Iterator[Object]:
    """Pods that mount a claim and are not going."""
    for pod in api.list(POD.path(namespace)):
        mounted = {
            (volume.get("persistentVolumeClaim") or {}).get("claimName") for volume in pod["spec"].get("volumes") or []
        }
        if claim in mounted and not pod["metadata"].get("deletionTimestamp"):
            yield pod


def see(api: Api, namespace: str, claim: str) -> Volume | None:
    """The volume of a claim under the pod that runs on it; None while there is no such pod.

    Raises:
        ApiException, urllib3.exceptions.HTTPError: the server refused, or did not answer.
    """
    bound = api.get(VOLUME_CLAIM.path(namespace, claim)) or {}
    name = (bound.get("spec") or {}).get("volumeName") or ""
    if (bound.get("status") or {}).get("phase") != "Bound" or not name:
        return None
    volume = api.get(PERSISTENT_VOLUME.path(name=name))
    pod = next((pod for pod in users(api, namespace, claim) if pod["status"].get("phase") == "Running"), None)
    if volume is None or pod is None:
        return None
    node = api.get(NODE.path(name=pod["spec"]["nodeName"]))
    attached = [
        attachment["spec"]["nodeName"]
        for attachment in api.list(VOLUME_ATTACHMENT.path())
        if attachment["spec"]["source"].get("persistentVolumeName") == name
        and (attachment.get("status") or {}).get("attached")
    ]
    return Volume(
        claim=claim,
        name=name,
        handle=(volume["spec"].get("csi") or {}).get("volumeHandle", ""),
        zone=zone_of(volume),
        pod=pod["metadata"]["name"],
        node=pod["spec"]["nodeName"],
        node_zone=((node or {"metadata": {}})["metadata"].get("labels") or {}).get(ZONE, ""),
        attached=tuple(sorted(attached)),
    )


def choose(api: Api, namespace: str, name: str) -> Database:
    """The database of that name, with all that the drill needs.

    Raises:
        DrillRefusedError: it has no volume, does not run on it, or the drill would leave something behind.
    """
    claims = list(api.list(VOLUME_CLAIM.path(namespace)))
    databases = sorted({(claim["metadata"].get("labels") or {}).get(APP_NAME, "") for claim in claims} - {""})
    if not databases:
        raise DrillRefusedError(
            f"there is no volume of a database in namespace {namespace}: nothing can be restored. Set "
            "persistence.enabled: true and persistence.backup in the stack file, and update"
        )
    used = [
        claim
        for claim in claims
        if (claim["metadata"].get("labels") or {}).get(APP_NAME) == name
        and any(True for _ in users(api, namespace, claim["metadata"]["name"]))
    ]
    if not used:
        raise DrillRefusedError(
            f"--database {name}: no pod uses a volume of that name. Databases with a volume: {', '.join(databases)}"
        )
    (claim, *_) = used
    volume = see(api, namespace, claim["metadata"]["name"])
    if volume is None or not volume.in_place:
        raise DrillRefusedError(
            f"--database {name}: its pod does not run on its volume ({volume or 'it is Pending'}). A drill begins on "
            f"a platform that is well: kubectl -n {namespace} describe pods, and docs/runbooks/restore-data.md"
        )
    stored = api.get(PERSISTENT_VOLUME.path(name=volume.name)) or {"spec": {}}
    if (stored["spec"].get("csi") or {}).get("driver") != EBS_DRIVER:
        raise DrillRefusedError(
            f"--database {name}: its volume {volume.name} is not of {EBS_DRIVER}: not the drill's to copy"
        )
    pod = api.get(POD.path(namespace, volume.pod)) or {"spec": {}}
    return Database(
        name=name,
        namespace=namespace,
        volume=volume,
        gib=claim["spec"]["resources"]["requests"]["storage"],
        storage_class=_storage_class(api, claim["spec"]["storageClassName"]),
        snapshot_class=_snapshot_class(api, namespace),
        placement={key: pod["spec"].get(key) for key in ("nodeSelector", "tolerations") if pod["spec"].get(key)},
    )


def _storage_class(api: Api, name: str) -> str:
    found = api.get(STORAGE_CLASS.path(name=name)) or {}
    if found.get("reclaimPolicy") != "Delete":
        raise DrillRefusedError(
            f"StorageClass {name} has the reclaim policy {found.get('reclaimPolicy', 'of no class')}: the copy that "
            "the drill restores would stay in the account, billed. It needs Delete"
        )
    return name


def _snapshot_class(api: Api, namespace: str) -> str:
    if api.get(SNAPSHOT.path(namespace)) is None:
        raise DrillRefusedError(
            "the cluster serves no VolumeSnapshots: the add-on snapshot-controller is not there. Set "
            "persistence.backup in the stack file, and update"
        )
    classes = {
        snapshot_class["metadata"]["name"]: snapshot_class["deletionPolicy"]
        for snapshot_class in api.list(SNAPSHOT_CLASS.path())
        if snapshot_class["driver"] == EBS_DRIVER
    }
    deleting = sorted(name for name, policy in classes.items() if policy == "Delete")
    if not deleting:
        told = ", ".join(f"{name} ({policy})" for name, policy in sorted(classes.items())) or "none"
        raise DrillRefusedError(
            f"VolumeSnapshotClasses of {EBS_DRIVER}: {told}. The drill's snapshot would stay in the account, billed: "
            "it needs one with the deletion policy Delete, as persistence.backup makes it"
        )
    return deleting[0]
