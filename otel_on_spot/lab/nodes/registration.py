"""Registration of a kubelet: the Node of an instance that Karpenter launched, or that is of a managed node group."""

from math import ceil
from typing import Any

from otel_on_spot.kubernetes.names import HOSTNAME, INSTANCE_TYPE, REGION, ZONE
from otel_on_spot.lab.nodes.node_config import NodeConfig

KWOK_LABEL = ("lab.otel-on-spot/kubelet", "kwok")
"""KWOK keeps nodes with this label alive. It goes when the instance stops."""
ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}
MANAGED_ATTACHMENTS = "volumes.kubernetes.io/controller-managed-attach-detach"
"""By it the controller manager attaches the volumes of a node's pods; kubelets set it.

Source: https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/volume/util/util.go
"""
EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}
"""Taint effects of EKS in Kubernetes' words.

Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_Taint.html
"""
GROUP_TAG = "eks:nodegroup-name"
VM_OVERHEAD = 0.075
"""Share of the memory that the hypervisor keeps.

Source: https://karpenter.sh/docs/reference/settings/ (VM_MEMORY_OVERHEAD_PERCENT)
"""
EVICTION_MIB = 100
"""Source: https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#hard-eviction-thresholds"""
DISK_GIB = 20
MANY_CPUS = 30
"""Above it EKS allows 250 pods, else 110.

Source: https://docs.aws.amazon.com/eks/latest/userguide/choosing-instance-type.html
"""


def group_config(cluster: str, name: str, group: dict[str, Any], endpoint: str, image: str) -> NodeConfig:
    """What EKS tells an instance of a managed node group, from the group's row in the simulated cloud.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html

    Args:
        cluster: its name.
        name: of the node group.
        group: its row in the table ``node-groups``; ``inputs`` are the resource's.
        endpoint: URL of the API server.
        image: id of the instance's AMI.
    """
    told = group["inputs"]
    labels = {
        "eks.amazonaws.com/nodegroup": name,
        "eks.amazonaws.com/nodegroup-image": image,
        "eks.amazonaws.com/capacityType": told.get("capacityType") or "ON_DEMAND",
        **(told.get("labels") or {}),
    }
    taints = [
        {"key": taint["key"], "value": taint.get("value") or "", "effect": EFFECTS[taint["effect"]]}
        for taint in told.get("taints") or []
    ]
    role = told["nodeRoleArn"]
    return NodeConfig(cluster=cluster, endpoint=endpoint, role_arn=role, labels=labels, taints=taints)


def node(row: dict[str, Any], config: NodeConfig, kubernetes_version: str) -> dict[str, Any]:
    """The Node object, without its status.

    ``row``: as ``otel_on_spot.lab.aws.moto_patches.routes.instance_row`` has it. ``kubernetes_version``: of its
    kubelet, such as ``v1.36.3``.
    """
    name, region = row["privateDnsName"], row["zone"][:-1]
    labels = {
        **config.labels,
        HOSTNAME: name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": ARCHITECTURES[row["architecture"]],
        INSTANCE_TYPE: row["type"],
        ZONE: row["zone"],
        REGION: region,
        KWOK_LABEL[0]: KWOK_LABEL[1],
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {MANAGED_ATTACHMENTS: "true"}},
        "spec": {"providerID": f"aws:///{row['zone']}/{row['id']}", "taints": config.taints or None},
        "status": status(row, config, kubernetes_version),
    }


def status(row: dict[str, Any], config: NodeConfig, kubernetes_version: str) -> dict[str, Any]:
    """Status of the node; its conditions are KWOK's to write."""
    capacity, allocatable = amounts(row, config.max_pods)
    return {
        "capacity": capacity,
        "allocatable": allocatable,
        "addresses": [
            {"type": "InternalIP", "address": row["privateIp"]},
            {"type": "InternalDNS", "address": row["privateDnsName"]},
            {"type": "Hostname", "address": row["privateDnsName"]},
        ],
        "nodeInfo": {
            "architecture": ARCHITECTURES[row["architecture"]],
            "operatingSystem": "linux",
            "osImage": "Amazon Linux 2023 (simulated)",
            "kernelVersion": "simulated",
            "containerRuntimeVersion": "kwok://simulated",
            "kubeletVersion": kubernetes_version,
            "kubeProxyVersion": "",
            "machineID": row["id"],
            "systemUUID": row["id"],
            "bootID": row["id"],
        },
    }


def amounts(row: dict[str, Any], max_pods: int = 0) -> tuple[dict[str, str], dict[str, str]]:
    """(capacity, what of it is left for pods) of the machine of an instance.

    ``row``: as in ``node``. ``max_pods`` where the user data says it.
    Source: https://github.com/awslabs/amazon-eks-ami/blob/main/nodeadm/internal/kubelet/config.go (kubeReserved)
    """
    cores, limit = row["vcpus"], 250 if row["vcpus"] > MANY_CPUS else 110
    pods = max_pods or min(limit, row["interfaces"] * (row["addresses"] - 1) + 2)
    memory = row["memoryMib"] - ceil(row["memoryMib"] * VM_OVERHEAD)
    reserved = 60 * min(cores, 1) + 10 * min(max(cores - 1, 0), 1) + 5 * min(max(cores - 2, 0), 2)
    reserved += ceil(2.5 * max(cores - 4, 0))
    kept = 11 * pods + 255 + EVICTION_MIB
    capacity = {"cpu": f"{cores}", "memory": f"{memory}Mi", "pods": f"{pods}", "ephemeral-storage": f"{DISK_GIB}Gi"}
    disk = f"{int(DISK_GIB * 0.85)}Gi"
    left = {"cpu": f"{1000 * cores - reserved}m", "memory": f"{memory - kept}Mi", "ephemeral-storage": disk}
    return capacity, capacity | left
