"""What a kubelet registers: the Node of an instance that Karpenter launched, or that is of a managed node group."""

from dataclasses import dataclass
from typing import Any

from otel_on_spot.kubernetes.names import HOSTNAME, INSTANCE_TYPE, REGION, ZONE
from otel_on_spot.lab.nodes.machine import machine
from otel_on_spot.lab.nodes.node_config import NodeConfig

KWOK_LABEL = ("lab.otel-on-spot/kubelet", "kwok")
"""KWOK keeps nodes with this label alive. It goes when the instance stops."""
ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}
EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}
"""Taint effects of EKS in Kubernetes' words. Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_Taint.html"""
GROUP_TAG = "eks:nodegroup-name"


@dataclass(frozen=True, kw_only=True)
class Seat:
    """Where and as what an instance joins. ``group`` is empty but for instances of a managed node group."""

    endpoint: str
    role_arn: str
    labels: dict[str, str]
    taints: list[dict[str, str]]
    max_pods: int = 0
    certificate_authority: str = ""
    group: str = ""


def seat_of_karpenter(config: NodeConfig, role_arn: str) -> Seat:
    """From the user data that Karpenter wrote."""
    return Seat(
        endpoint=config.endpoint,
        role_arn=role_arn,
        labels=config.labels,
        taints=config.taints,
        max_pods=config.max_pods,
        certificate_authority=config.certificate_authority,
    )


def seat_of_group(name: str, group: dict[str, Any], endpoint: str, image: str) -> Seat:
    """From a managed node group's row in the simulated cloud.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html
    """
    told = group["inputs"]
    labels = {
        "eks.amazonaws.com/nodegroup": name,
        "eks.amazonaws.com/nodegroup-image": image,
        "eks.amazonaws.com/capacityType": told.get("capacityType") or "ON_DEMAND",
        **(told.get("labels") or {}),
    }
    taints = [
        {"key": one["key"], "value": one.get("value") or "", "effect": EFFECTS[one["effect"]]}
        for one in told.get("taints") or []
    ]
    return Seat(endpoint=endpoint, role_arn=told["nodeRoleArn"], labels=labels, taints=taints, group=name)


def node(row: dict[str, Any], seat: Seat, kubernetes_version: str) -> dict[str, Any]:
    """The Node object, without its status.

    Args:
        row: the instance, as ``otel_on_spot.lab.aws.routes.instance_row`` has it.
    """
    name, region = row["privateDnsName"], row["zone"][:-1]
    labels = {
        **seat.labels,
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
        "metadata": {"name": name, "labels": labels},
        "spec": {"providerID": f"aws:///{row['zone']}/{row['id']}", "taints": seat.taints or None},
        "status": status(row, seat, kubernetes_version),
    }


def status(row: dict[str, Any], seat: Seat, kubernetes_version: str) -> dict[str, Any]:
    """What the node is and offers; its conditions are KWOK's to write."""
    offered = machine(row, seat.max_pods)
    return {
        "capacity": offered.capacity,
        "allocatable": offered.allocatable,
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
