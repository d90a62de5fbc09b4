"""What the cluster declares for what lives beside the engine: tags that no provider sets, trust, and support."""

import json
from typing import Any

import pytest

from otel_on_spot.plan.record import record
from otel_on_spot.program.recording import Recording
from tests.unit.conftest import recorded
from tests.unit.settings.test_settings import committed

STACK_TAGS = {"cluster": "otel-prod", "environment": "prod", "managed-by": "pulumi", "cost-centre": "platform"}


@pytest.fixture(scope="module")
def prod() -> Recording:
    return recorded("prod")


def trust(plan: Recording, role: str) -> dict[str, Any]:
    (found,) = [r for r in plan.of_type("aws:iam/role:Role") if r.name == role]
    (statement,) = json.loads(found.inputs["assumeRolePolicy"])["Statement"]
    return statement


def test_system_nodes_and_what_belongs_to_them_carry_the_stacks_tags(prod: Recording) -> None:
    (template,) = prod.of_type("aws:ec2/launchTemplate:LaunchTemplate")
    tagged = {told["resourceType"]: told["tags"] for told in template.inputs["tagSpecifications"]}

    assert tagged == dict.fromkeys(
        ("instance", "volume", "network-interface"), STACK_TAGS | {"Name": "otel-prod-system-node"}
    )


def test_volumes_that_the_driver_makes_carry_the_stacks_tags(prod: Recording) -> None:
    (driver,) = [r for r in prod.of_type("aws:eks/addon:Addon") if r.inputs["addonName"] == "aws-ebs-csi-driver"]

    assert json.loads(driver.inputs["configurationValues"])["controller"]["extraVolumeTags"] == STACK_TAGS


@pytest.mark.parametrize(
    ("role", "account"),
    [
        ("karpenter-controller-role", "karpenter"),
        ("cluster-after-nodes-ebs-csi", "ebs-csi-controller-sa"),
        ("cluster-before-nodes-vpc-cni", "aws-node"),
    ],
)
def test_pod_identity_assumes_a_role_for_one_service_account_of_this_cluster(
    prod: Recording, role: str, account: str
) -> None:
    assert trust(prod, role)["Condition"]["StringEquals"] == {
        "aws:SourceAccount": prod.exports["controllerRoleArn"].split(":")[4],
        "aws:RequestTag/eks-cluster-name": "otel-prod",
        "aws:RequestTag/kubernetes-namespace": "kube-system",
        "aws:RequestTag/kubernetes-service-account": account,
    }


def attached(plan: Recording) -> dict[str, set[str]]:
    """Managed policies by the role that has them."""
    found: dict[str, set[str]] = {}
    for resource in plan.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment"):
        found.setdefault(str(resource.inputs["role"]), set()).add(str(resource.inputs["policyArn"]).rpartition("/")[2])
    return found


def test_the_network_plugin_has_a_role_of_its_own_and_nodes_lend_it_none(prod: Recording) -> None:
    policies = attached(prod)
    (plugin,) = [r for r in prod.of_type("aws:eks/addon:Addon") if r.inputs["addonName"] == "vpc-cni"]

    assert [role for role, names in policies.items() if "AmazonEKS_CNI_Policy" in names] == ["otel-prod-vpc-cni"]
    assert [
        podidentityassociation["serviceAccount"] for podidentityassociation in plugin.inputs["podIdentityAssociations"]
    ] == ["aws-node"]


@pytest.mark.parametrize(
    ("access", "policy", "tagged"),
    [
        ("account", "AmazonEBSCSIDriverPolicy", False),
        ("both", "AmazonEBSCSIDriverPolicy", True),
        ("cluster", "AmazonEBSCSIDriverEKSClusterScopedPolicy", True),
    ],
)
def test_the_driver_is_held_to_its_clusters_volumes_once_nodes_carry_the_tag(
    access: str, policy: str, tagged: bool
) -> None:
    plan = record("dev", config_overrides={"cluster": committed("dev")["cluster"] | {"volumeAccess": access}})
    (node_class,) = plan.of_type("kubernetes:karpenter.k8s.aws/v1:EC2NodeClass")

    assert attached(plan)["otel-dev-ebs-csi"] == {policy}
    assert (node_class.inputs["spec"]["tags"].get("ebs.csi.aws.com/cluster-name") == "otel-dev") == tagged


def test_flow_logs_of_this_account_alone_assume_their_role(prod: Recording) -> None:
    account = prod.exports["controllerRoleArn"].split(":")[4]

    assert trust(prod, "network-flow-logs-role")["Condition"] == {
        "StringEquals": {"aws:SourceAccount": account},
        "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:eu-west-1:{account}:vpc-flow-log/*"},
    }


def test_no_committed_stack_slides_into_extended_support(prod: Recording) -> None:
    (cluster,) = prod.of_type("aws:eks/cluster:Cluster")

    assert cluster.inputs["upgradePolicy"] == {"supportType": "STANDARD"}
    assert {committed(stack)["cluster"]["upgradePolicy"] for stack in ("dev", "staging", "prod")} == {"STANDARD"}


def test_the_accounts_spot_role_stays_when_the_stack_goes() -> None:
    karpenter = committed("dev")["karpenter"] | {"spotServiceLinkedRole": True}
    plan = record("dev", config_overrides={"karpenter": karpenter})
    (role,) = plan.of_type("aws:iam/serviceLinkedRole:ServiceLinkedRole")

    assert role.retain_on_delete
