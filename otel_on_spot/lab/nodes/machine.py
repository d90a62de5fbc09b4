"""What a node offers, from its instance type: the same sums that EKS's image and Karpenter make."""

from dataclasses import dataclass
from math import ceil
from typing import Any

VM_OVERHEAD = 0.075
"""Share of the memory that the hypervisor keeps. Source: https://karpenter.sh/docs/reference/settings/ (VM_MEMORY_OVERHEAD_PERCENT)"""
EVICTION_MIB = 100
"""Source: https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#hard-eviction-thresholds"""
DISK_GIB = 20
MANY_CPUS = 30
"""Above it EKS allows 250 pods, else 110. Source: https://docs.aws.amazon.com/eks/latest/userguide/choosing-instance-type.html"""


@dataclass(frozen=True)
class Machine:
    """Amounts of a node: millicores, MiB, pods, GiB."""

    cpu: int
    memory: int
    pods: int
    disk: int = DISK_GIB

    @property
    def capacity(self) -> dict[str, str]:
        """As a Node's ``status.capacity``."""
        return {
            "cpu": f"{self.cpu // 1000}",
            "memory": f"{self.memory}Mi",
            "pods": f"{self.pods}",
            "ephemeral-storage": f"{self.disk}Gi",
        }

    @property
    def allocatable(self) -> dict[str, str]:
        """What is left for pods.

        Source: https://github.com/awslabs/amazon-eks-ami/blob/main/nodeadm/internal/kubelet/config.go (kubeReserved)
        """
        cores = self.cpu // 1000
        reserved = 60 * min(cores, 1) + 10 * min(max(cores - 1, 0), 1) + 5 * min(max(cores - 2, 0), 2)
        reserved += ceil(2.5 * max(cores - 4, 0))
        kept = 11 * self.pods + 255 + EVICTION_MIB
        return self.capacity | {
            "cpu": f"{self.cpu - reserved}m",
            "memory": f"{self.memory - kept}Mi",
            "ephemeral-storage": f"{int(self.disk * 0.85)}Gi",
        }


def machine(row: dict[str, Any], max_pods: int = 0) -> Machine:
    """The machine of an instance's row (``otel_on_spot.lab.aws.routes.instance_row``); ``max_pods`` where the user data says it."""
    limit = 250 if row["vcpus"] > MANY_CPUS else 110
    pods = max_pods or min(limit, row["interfaces"] * (row["addresses"] - 1) + 2)
    memory = row["memoryMib"] - ceil(row["memoryMib"] * VM_OVERHEAD)
    return Machine(cpu=row["vcpus"] * 1000, memory=memory, pods=pods)
