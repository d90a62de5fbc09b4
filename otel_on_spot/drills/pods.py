"""Pods that drills make: they run nothing, are ended at once, and are told by a label."""

from collections.abc import Mapping
from typing import Any, Final

from otel_on_spot.kubernetes.client import Object
from otel_on_spot.kubernetes.names import DO_NOT_DISRUPT, POD

NAMESPACE: Final = "default"
LABEL: Final = "otel-on-spot/drill"
CONTAINER: Final[Mapping[str, Any]] = {
    "name": "pause",
    "image": "registry.k8s.io/pause:3.10",
    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}


def spec(container: Mapping[str, Any] = CONTAINER, **more: Any) -> Object:
    """Spec of such a pod. ``more``: fields of it."""
    return {
        "automountServiceAccountToken": False,
        "containers": [dict(container)],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65535, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 0,
        **more,
    }


def pod(metadata: Object, seconds: int, container: Mapping[str, Any] = CONTAINER, **more: Any) -> Object:
    """A pod that Karpenter leaves alone.

    Args:
        metadata: its own.
        seconds: after which the kubelet ends it, if nobody has.
        container: that it runs.
        more: fields of its spec.
    """
    return {
        "apiVersion": POD.version,
        "kind": POD.kind,
        "metadata": {**metadata, "annotations": {DO_NOT_DISRUPT: "true"}},
        "spec": spec(container, activeDeadlineSeconds=seconds, restartPolicy="Never", **more),
    }
