"""The role that EKS assumes is the program's: named like all others, and complete before the cluster."""

import re

from otel_on_spot.program.recording import Recording

NAMED = (
    "aws:iam/role:Role",
    "aws:iam/policy:Policy",
    "aws:iam/instanceProfile:InstanceProfile",
)
COMPONENT = "otel-on-spot:index:Cluster$eks:index:Cluster$eks:index:ServiceRole"


def test_every_iam_name_begins_with_the_clusters(plan: Recording) -> None:
    cluster = plan.named("aws:eks/cluster:Cluster", "cluster-eks-eksCluster").inputs["name"]
    found = {kind: [made.inputs.get("name") for made in plan.of_type(kind)] for kind in NAMED}

    assert all(found.values())
    assert [name for made in found.values() for name in made if not re.match(f"{cluster}-", name or "")] == []


def test_the_cluster_is_made_after_its_roles_policy_and_with_that_role(plan: Recording) -> None:
    role = plan.named("aws:iam/role:Role", "cluster-service-role")
    attachment = plan.named("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "cluster-service-role")
    cluster = plan.named("aws:eks/cluster:Cluster", "cluster-eks-eksCluster")

    assert cluster.inputs["roleArn"] == role.outputs["arn"]
    assert attachment.inputs["policyArn"] == "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
    assert plan.reaches(cluster, attachment)


def test_the_role_that_a_living_cluster_has_is_found_again_and_keeps_its_name(dev: Recording) -> None:
    role = dev.named("aws:iam/role:Role", "cluster-service-role")
    attachment = dev.named("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "cluster-service-role")
    prefix = f"urn:pulumi:dev::otel-on-spot::{COMPONENT}"

    assert role.aliases == (f"{prefix}$aws:iam/role:Role::cluster-eks-eksRole-role",)
    assert role.ignore_changes == ("name", "path")
    assert attachment.aliases == (
        f"{prefix}$aws:iam/rolePolicyAttachment:RolePolicyAttachment::cluster-eks-eksRole-4b490823",
    )
