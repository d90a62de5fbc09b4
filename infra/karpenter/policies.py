"""Permissions of Karpenter's controller, one managed policy per group, each far from AWS's limit, as upstream has them.

The statements are those of Karpenter 1.14.3's own template, less what this program does not use: making and filling
instance profiles (its node class names one of ours, so Karpenter reads profiles and makes none) and the status of zonal
shifts (``settings.enableZonalShift`` is off).
Source: https://karpenter.sh/v1.14/reference/cloudformation/
"""

from typing import Any

from infra.documents import Document, Scope, allow, document


def controller_policies(scope: Scope, node_role_arn: str, queue_arn: str) -> dict[str, Document]:
    """The controller's managed policies: group -> document."""
    return {
        "node-lifecycle": node_lifecycle(scope),
        "iam-integration": iam_integration(node_role_arn),
        "eks-integration": document(
            allow("AllowAPIServerEndpointDiscovery", resource=scope.cluster_arn, action="eks:DescribeCluster")
        ),
        "interruption": document(
            allow(
                "AllowInterruptionQueueActions",
                resource=queue_arn,
                action=["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"],
            )
        ),
        "resource-discovery": resource_discovery(scope),
    }


def node_lifecycle(scope: Scope) -> Document:
    """Launch, tag and terminate instances that carry the cluster's tags."""
    launched = [
        scope.ec2(kind)
        for kind in ("fleet", "instance", "volume", "network-interface", "launch-template", "spot-instances-request")
    ]
    any_pool: dict[str, Any] = {"aws:RequestTag/karpenter.sh/nodepool": "*"}
    tagged_by_pool = {"aws:ResourceTag/karpenter.sh/nodepool": "*"}
    requested_as_ours = {f"aws:RequestTag/{scope.owned}": "owned", "aws:RequestTag/eks:eks-cluster-name": scope.cluster}
    is_ours = {f"aws:ResourceTag/{scope.owned}": "owned"}
    return document(
        allow(
            "AllowScopedEC2InstanceAccessActions",
            action=["ec2:RunInstances", "ec2:CreateFleet"],
            resource=[
                scope.ec2("image", account=""),
                scope.ec2("snapshot", account=""),
                *(scope.ec2(kind) for kind in ("security-group", "subnet", "capacity-reservation", "placement-group")),
            ],
        ),
        allow(
            "AllowScopedEC2LaunchTemplateAccessActions",
            action=["ec2:RunInstances", "ec2:CreateFleet"],
            resource=scope.ec2("launch-template"),
            condition={"StringEquals": is_ours, "StringLike": tagged_by_pool},
        ),
        allow(
            "AllowScopedEC2InstanceActionsWithTags",
            action=["ec2:RunInstances", "ec2:CreateFleet", "ec2:CreateLaunchTemplate"],
            resource=launched,
            condition={"StringEquals": requested_as_ours, "StringLike": any_pool},
        ),
        allow(
            "AllowScopedResourceCreationTagging",
            action="ec2:CreateTags",
            resource=launched,
            condition={
                "StringEquals": requested_as_ours
                | {"ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"]},
                "StringLike": any_pool,
            },
        ),
        allow(
            "AllowScopedResourceTagging",
            action="ec2:CreateTags",
            resource=scope.ec2("instance"),
            condition={
                "StringEquals": is_ours,
                "StringLike": tagged_by_pool,
                "StringEqualsIfExists": {"aws:RequestTag/eks:eks-cluster-name": scope.cluster},
                "ForAllValues:StringEquals": {
                    "aws:TagKeys": ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"]
                },
            },
        ),
        allow(
            "AllowScopedDeletion",
            action=["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
            resource=[scope.ec2("instance"), scope.ec2("launch-template")],
            condition={"StringEquals": is_ours, "StringLike": tagged_by_pool},
        ),
    )


def iam_integration(node_role_arn: str) -> Document:
    """Pass the node role, and only it, to EC2."""
    return document(
        allow(
            "AllowPassingInstanceRole",
            resource=node_role_arn,
            action="iam:PassRole",
            condition={"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}},
        )
    )


def resource_discovery(scope: Scope) -> Document:
    """Read what there is to launch, where, and at which price."""
    return document(
        allow(
            "AllowRegionalReadActions",
            resource="*",
            action=[
                "ec2:DescribeCapacityReservations",
                "ec2:DescribeImages",
                "ec2:DescribeInstances",
                "ec2:DescribeInstanceStatus",
                "ec2:DescribeInstanceTypeOfferings",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeLaunchTemplates",
                "ec2:DescribePlacementGroups",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSpotPriceHistory",
                "ec2:DescribeSubnets",
            ],
            condition={"StringEquals": {"aws:RequestedRegion": scope.region}},
        ),
        allow(
            "AllowSSMReadActions",
            action="ssm:GetParameter",
            resource=f"arn:{scope.partition}:ssm:{scope.region}::parameter/aws/service/*",
        ),
        allow("AllowPricingReadActions", resource="*", action="pricing:GetProducts"),
        allow("AllowUnscopedInstanceProfileListAction", resource="*", action="iam:ListInstanceProfiles"),
        allow(
            "AllowInstanceProfileReadActions",
            action="iam:GetInstanceProfile",
            resource=f"arn:{scope.partition}:iam::{scope.account_id}:instance-profile/*",
        ),
    )
