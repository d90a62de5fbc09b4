"""A node registers as its user data, its instance type or its node group says."""

import pytest

from otel_on_spot.lab.nodes.node_config import NodeConfigError, parse
from otel_on_spot.lab.nodes.registration import KWOK_LABEL, amounts, group_config, node
from tests.unit.lab.nodes.conftest import instance

ROLE = "arn:aws:iam::123456789012:role/node"
USER_DATA = """MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="//"

--//
Content-Type: application/node.eks.aws

# Karpenter Generated NodeConfig
apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
metadata: {}
spec:
  cluster:
    apiServerEndpoint: https://127.0.0.1:6443
    certificateAuthority: Y2E=
    cidr: 172.20.0.0/16
    name: otel-lab
  containerd: {}
  instance:
    localStorage: {}
  kubelet:
    config:
      clusterDNS:
      - 172.20.0.10
      maxPods: 29
      registerWithTaints:
      - effect: NoExecute
        key: karpenter.sh/unregistered
    flags:
    - --node-labels="karpenter.sh/capacity-type=spot,karpenter.sh/nodepool=spot"
  featureGates: {}

--//--
"""
"""As Karpenter 1.14.3 writes it.

Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/providers/amifamily/bootstrap/nodeadm.go
"""
GROUP = {
    "inputs": {
        "nodeRoleArn": ROLE,
        "capacityType": "ON_DEMAND",
        "labels": {"node-role": "system"},
        "taints": [{"key": "CriticalAddonsOnly", "value": "true", "effect": "NO_SCHEDULE"}],
    }
}


def test_user_data_of_karpenter_is_read_whole() -> None:
    config = parse(USER_DATA)
    assert (config.cluster, config.endpoint, config.certificate_authority) == (
        "otel-lab",
        "https://127.0.0.1:6443",
        "Y2E=",
    )
    assert config.labels == {"karpenter.sh/capacity-type": "spot", "karpenter.sh/nodepool": "spot"}
    assert config.taints == [{"effect": "NoExecute", "key": "karpenter.sh/unregistered"}]
    assert config.max_pods == 29


@pytest.mark.parametrize(
    "user_data", ["", "#!/bin/bash\necho hello\n", USER_DATA.replace("kind: NodeConfig", "kind: Other")]
)
def test_an_instance_without_a_node_config_never_starts_a_kubelet(user_data: str) -> None:
    with pytest.raises(NodeConfigError):
        parse(user_data)


def test_a_node_of_karpenter_carries_its_labels_taints_and_provider_id() -> None:
    made = node(instance(), parse(USER_DATA), "v1.36.3")
    labels = made["metadata"]["labels"]
    assert made["spec"] == {
        "providerID": "aws:///eu-west-1b/i-1",
        "taints": [{"effect": "NoExecute", "key": "karpenter.sh/unregistered"}],
    }
    assert labels["karpenter.sh/nodepool"] == "spot"
    assert labels["topology.kubernetes.io/zone"] == "eu-west-1b"
    assert made["metadata"]["annotations"] == {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
    assert labels["topology.kubernetes.io/region"] == "eu-west-1"
    assert labels["kubernetes.io/arch"] == "amd64"
    assert labels[KWOK_LABEL[0]] == KWOK_LABEL[1]
    assert made["metadata"]["name"] == instance()["privateDnsName"]
    assert made["status"]["capacity"]["pods"] == "29"


def test_a_node_of_a_managed_group_carries_what_eks_and_the_program_give_it() -> None:
    config = group_config("otel-lab", "system", GROUP, "https://127.0.0.1:6443", "ami-1")
    labels = node(instance(), config, "v1.36.3")["metadata"]["labels"]
    assert (labels["eks.amazonaws.com/nodegroup"], labels["eks.amazonaws.com/capacityType"]) == ("system", "ON_DEMAND")
    assert labels["node-role"] == "system"
    assert config.taints == [{"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"}]
    assert config.role_arn == ROLE


@pytest.mark.parametrize(
    ("vcpus", "memory", "interfaces", "addresses", "pods", "allocatable_cpu"),
    [(2, 8192, 3, 10, 29, "1930m"), (4, 16384, 4, 15, 58, "3920m"), (96, 393216, 15, 50, 250, "95690m")],
)
def test_a_machine_offers_what_eks_says_of_its_type(
    vcpus: int, memory: int, interfaces: int, addresses: int, pods: int, allocatable_cpu: str
) -> None:
    """Numbers of pods.

    Source: https://github.com/awslabs/amazon-eks-ami (eni-max-pods.txt) for m5.large, m5.xlarge;
    the limit is 250 for m5.24xlarge.
    """
    capacity, left = amounts(instance(vcpus=vcpus, memoryMib=memory, interfaces=interfaces, addresses=addresses))
    assert (capacity["pods"], left["cpu"]) == (str(pods), allocatable_cpu)
    kept, memory_left = (int(amount["memory"].removesuffix("Mi")) for amount in (capacity, left))
    assert kept - memory_left == 11 * pods + 255 + 100
