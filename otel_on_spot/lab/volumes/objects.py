"""What the storage controllers have in common: refusals, sizes, tags, finalizers and warnings."""

from collections.abc import Mapping
from math import ceil
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from kubernetes.client.exceptions import ApiException
from kubernetes.utils.quantity import parse_quantity

from otel_on_spot.failures import reason
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import EBS_DRIVER, EVENT

CLUSTER_TAG: Final = "ebs.csi.aws.com/cluster"
"""Tag of what the driver made, the only volumes and snapshots that AmazonEBSCSIDriverPolicy lets it delete.

Source: https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/tagging.md
"""
CLUSTER_NAME_TAG: Final = "ebs.csi.aws.com/cluster-name"
"""Tag with the cluster's name, by which AmazonEBSCSIDriverEKSClusterScopedPolicy knows what is this cluster's.

The driver writes it where it is told the cluster's name, which EKS does for its add-on.
Source: https://github.com/kubernetes-sigs/aws-ebs-csi-driver/pull/2899
"""


class RefusedError(Exception):
    """A volume, a snapshot or an attachment cannot be made. The message is for the object's event or status."""


FAILURES: Final = (RefusedError, ApiException, ClientError, BotoCoreError)
"""What one object's step may end in: it is told, and tried again at the next look."""


def why(problem: Exception) -> str:
    """Reason why a step failed, on one line."""
    return str(problem) if isinstance(problem, RefusedError) else reason(problem)


def gib(quantity: str) -> int:
    """GiB of a quantity, rounded up as EBS does."""
    return ceil(parse_quantity(quantity) / 2**30)


def owned_tags(cluster: str, name: str) -> dict[str, str]:
    """Tags of a volume or a snapshot that the driver made for a cluster.

    ``name``: of the PersistentVolume or of the VolumeSnapshotContent.
    """
    return {
        CLUSTER_TAG: "true",
        CLUSTER_NAME_TAG: cluster,
        f"kubernetes.io/cluster/{cluster}": "owned",
        "Name": f"{cluster}-dynamic-{name}",
    }


def aws_tags(resource: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Tags as EC2 takes them when it makes a resource."""
    return [{"ResourceType": resource, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


def without_finalizer(api: Api, path: str, thing: Object, finalizer: str) -> None:
    """Let an object go that waited for this finalizer; nothing where it has none.

    Args:
        api: the API server.
        path: of the object.
        thing: the object as it was read; its version must still be the server's.
        finalizer: such as ``external-attacher/ebs-csi-aws-com``.

    Raises:
        ApiException: the server refused; status 409 where somebody was faster.
    """
    held = thing["metadata"].get("finalizers") or []
    if finalizer in held:
        kept = [name for name in held if name != finalizer]
        version = thing["metadata"]["resourceVersion"]
        api.merge(path, {"metadata": {"finalizers": kept or None, "resourceVersion": version}})


def tell(api: Api, thing: Object, code: str, message: str) -> None:
    """Write a warning about an object, once and then anew in its place: a refusal is looked at every second.

    Args:
        api: the API server.
        thing: what the event is about.
        code: the event's reason, such as ``ProvisioningFailed``.
        message: one sentence.
    """
    about = thing["metadata"]
    name = f"{about['name'][:200]}.{code.lower()}"
    namespace = about.get("namespace", "default")
    involved = {key: about[key] for key in ("name", "namespace", "uid") if key in about}
    event = {
        "apiVersion": EVENT.version,
        "kind": EVENT.kind,
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {"apiVersion": thing["apiVersion"], "kind": thing["kind"], **involved},
        "type": "Warning",
        "reason": code,
        "message": message,
        "source": {"component": EBS_DRIVER},
    }
    api.apply(EVENT.path(namespace, name), event, EBS_DRIVER, force=True)
