"""Pods of the drought drill: a Deployment of its own that asks for what the front path asks for."""

from decimal import Decimal
from typing import Any, Final

from otel_on_spot.drills.node_join.pod import CONTAINER, LABEL, NAMESPACE
from otel_on_spot.drills.stress.preconditions import Workload
from otel_on_spot.kubernetes.client import Object
from otel_on_spot.kubernetes.names import DEPLOYMENT

DRILL: Final = "drought"


def deployment(name: str, replicas: int, model: Workload) -> Object:
    """A Deployment of pods that request what the model's do and name no pool: they go where it would.

    They are ended at once, and nothing is behind them: what it takes away is theirs alone.
    """
    cpu, memory = model.requests
    requests = {"cpu": f"{int(cpu * 1000)}m", "memory": str(int(memory))}
    spec = model.template["spec"]
    labels = {LABEL: DRILL, "app": name}
    container = {**CONTAINER, "resources": {"requests": requests}}
    template: dict[str, Any] = {
        "metadata": {"labels": labels},
        "spec": {
            "automountServiceAccountToken": False,
            "containers": [container],
            "nodeSelector": dict(spec.get("nodeSelector") or {}),
            "tolerations": list(spec.get("tolerations") or []),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65535,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationGracePeriodSeconds": 0,
        },
    }
    return {
        "apiVersion": DEPLOYMENT.version,
        "kind": DEPLOYMENT.kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def as_workload(name: str, model: Workload) -> Workload:
    """That Deployment as what the watch of the stress drill looks at."""
    return Workload(
        namespace=NAMESPACE,
        name=name,
        path=DEPLOYMENT.path(NAMESPACE, name),
        selector=f"app={name}",
        before=0,
        application="",
        template=model.template,
    )


def model_of(namespace: str, name: str, found: Object) -> Workload:
    """The workload whose requests the pods take."""
    return Workload(
        namespace=namespace,
        name=name,
        path=DEPLOYMENT.path(namespace, name),
        selector="",
        before=found["spec"].get("replicas", 1),
        application="",
        template=found["spec"]["template"],
    )


def asks_for_something(model: Workload) -> bool:
    """True where a pod needs room at all."""
    return any(request > Decimal(0) for request in model.requests)


def held(vcpus: int, mib: int, model: Workload, replicas: int) -> int:
    """How many of the drill's pods a node holds, its own daemons not counted.

    Args:
        vcpus: of the node.
        mib: of the node: its memory.
        model: what a pod asks for.
        replicas: pods of the drill: no node holds more.
    """
    cpu, memory = model.requests
    return min(
        replicas,
        int(vcpus // cpu) if cpu else replicas,
        int(mib * 2**20 // memory) if memory else replicas,
    )
