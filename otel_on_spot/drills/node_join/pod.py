"""The pod that wants a node of its own."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from otel_on_spot.kubernetes.client import Object
from otel_on_spot.kubernetes.names import DO_NOT_DISRUPT, HOSTNAME, INSTANCE_TYPE, POD_NAME, POOL_LABEL

NAMESPACE: Final = "default"
LABEL: Final = "otel-on-spot/drill"
DRILL: Final = "node-join"
REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
IMAGE: Final = "registry.k8s.io/pause:3.10"
NOT_OF_A_DAEMON_SET: Final = (
    {"key": "controller-revision-hash", "operator": "DoesNotExist"},
    {"key": POD_NAME, "operator": "Exists"},
)
"""Either of both: DaemonSets and StatefulSets set the first label on their pods, only StatefulSets the second."""
CONTAINER: Final[Mapping[str, Any]] = {
    "name": "pause",
    "image": IMAGE,
    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}


def manifest(
    name: str, pool: str, taints: Iterable[Mapping[str, Any]], empty_types: Iterable[str], seconds: int
) -> Object:
    """A small pod for which Karpenter must launch a node: anti-affinity keeps it from every pod but a DaemonSet's.

    The scheduler keeps other pods off its node for the same reason. A node that is empty would still do for it, so the
    instance types of such nodes are ruled out: Karpenter allows no pod to rule out nodes by name.

    Args:
        name: of the pod.
        pool: name of the NodePool.
        taints: of the pool, which the pod tolerates.
        empty_types: instance types of the pool's nodes that run nothing.
        seconds: after which the kubelet ends it, if nobody has.
    """
    types = sorted(set(empty_types))
    elsewhere = {"matchExpressions": [{"key": INSTANCE_TYPE, "operator": "NotIn", "values": types}]}
    alone = [
        {
            "topologyKey": HOSTNAME,
            "namespaceSelector": {},
            "labelSelector": {"matchExpressions": [expression]},
        }
        for expression in NOT_OF_A_DAEMON_SET
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {LABEL: DRILL},
            "annotations": {DO_NOT_DISRUPT: "true"},
        },
        "spec": {
            "activeDeadlineSeconds": seconds,
            "automountServiceAccountToken": False,
            "containers": [dict(CONTAINER)],
            "nodeSelector": {POOL_LABEL: pool},
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65535,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationGracePeriodSeconds": 0,
            "tolerations": [toleration(taint) for taint in taints],
            "affinity": {
                **({"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [elsewhere]}}} if types else {}),
                "podAntiAffinity": {REQUIRED: alone},
            },
        },
    }


def toleration(taint: Mapping[str, Any]) -> dict[str, Any]:
    """A toleration of a taint and no other."""
    value = {"operator": "Equal", "value": taint["value"]} if taint.get("value") else {"operator": "Exists"}
    return {"key": taint["key"], "effect": taint["effect"], **value}
