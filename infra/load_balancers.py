"""The role of the AWS Load Balancer Controller: its permissions, and its association with the controller's pods.

The statements are those of the controller 3.5's own policy, for Application Load Balancers: where the policy asks that
a resource has the tag of some cluster, this one asks for its own. What it does not use is left out: network load
balancers, shield, the classic WAF, Cognito, and the discovery of certificates.
Sources: docs/install/iam_policy.json of
https://github.com/kubernetes-sigs/aws-load-balancer-controller/tree/v3.5.0, and for tags on listeners, rules and
targets AWS's own https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEKSLoadBalancingPolicy.html
"""

import json
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import eks, iam

from infra import documents, names
from infra.documents import Document, document
from infra.karpenter.policies import Scope

CLUSTER_TAG: Final = "elbv2.k8s.aws/cluster"
"""The tag that the controller puts on everything that it makes: the cluster's name."""
READS: Final = (
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeAddresses",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVpcs",
    "ec2:GetSecurityGroupsForVpc",
    "elasticloadbalancing:DescribeCapacityReservation",
    "elasticloadbalancing:DescribeListenerAttributes",
    "elasticloadbalancing:DescribeListenerCertificates",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeLoadBalancerAttributes",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeSSLPolicies",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
)


@dataclass(frozen=True, kw_only=True)
class LoadBalancerRoleArgs:
    """Arguments: the scope of the role. ``created_cluster_name`` is released when the cluster is there."""

    stack_names: names.StackNames
    account_id: pulumi.Input[str]
    created_cluster_name: pulumi.Input[str]


class LoadBalancerRole(pulumi.ComponentResource):
    """The role, its policy, and the association with the controller's service account."""

    arn: pulumi.Output[str]
    """ARN of the role."""
    granted: tuple[pulumi.Resource, ...]
    """What the controller needs while it lives: it goes after it, or its load balancers stay."""

    def __init__(self, name: str, args: LoadBalancerRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:LoadBalancerRole", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        stack_names, account = args.stack_names, pulumi.Output.from_input(args.account_id)
        role = iam.Role(
            f"{name}-role",
            name=stack_names.load_balancer_role,
            tags=stack_names.owner_tags,
            path=stack_names.iam_path,
            permissions_boundary=stack_names.permissions_boundary,
            assume_role_policy=account.apply(
                lambda account_id: json.dumps(
                    documents.pod_identity_trust(
                        account_id,
                        stack_names.cluster,
                        names.LOAD_BALANCER_CONTROLLER,
                        names.LOAD_BALANCER_CONTROLLER,
                    )
                )
            ),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["path"]),
        )
        policy = iam.Policy(
            f"{name}-policy",
            name=stack_names.load_balancer_role,
            tags=stack_names.owner_tags,
            path=stack_names.iam_path,
            policy=account.apply(
                lambda account_id: json.dumps(
                    load_balancer_policy(
                        Scope(
                            cluster=stack_names.cluster,
                            region=stack_names.region,
                            partition=stack_names.partition,
                            account_id=account_id,
                        )
                    ),
                    separators=(",", ":"),
                )
            ),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["path"]),
        )
        attachment = iam.RolePolicyAttachment(f"{name}-policy", role=role.name, policy_arn=policy.arn, opts=child)
        association = eks.PodIdentityAssociation(
            f"{name}-association",
            cluster_name=args.created_cluster_name,
            namespace=names.LOAD_BALANCER_CONTROLLER,
            service_account=names.LOAD_BALANCER_CONTROLLER,
            role_arn=role.arn,
            opts=child,
        )
        self.granted = (attachment, association)
        self.arn = role.arn
        self.register_outputs({"arn": self.arn})


def load_balancer_policy(scope: Scope) -> Document:
    """What the controller may do, on what has the tag of its own cluster."""
    requested = {"StringEquals": {f"aws:RequestTag/{CLUSTER_TAG}": scope.cluster}}
    own = {"StringEquals": {f"aws:ResourceTag/{CLUSTER_TAG}": scope.cluster}}
    kept = {"Null": {f"aws:RequestTag/{CLUSTER_TAG}": "true"}}
    groups = scope.ec2("security-group", account=scope.account_id)
    made = [
        f"arn:{scope.partition}:elasticloadbalancing:{scope.region}:{scope.account_id}:{kind}"
        for kind in ("loadbalancer/app/*", "targetgroup/*", "listener*/app/*")
    ]
    acls = f"arn:{scope.partition}:wafv2:{scope.region}:{scope.account_id}:regional/webacl/*"
    by_eks = {"StringEquals": {f"aws:ResourceTag/{scope.owned}": "owned"}}
    rule_changes = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
    return document(
        {"Sid": "Look", "Effect": "Allow", "Action": list(READS), "Resource": "*"},
        {
            "Sid": "LinkRole",
            "Effect": "Allow",
            "Action": "iam:CreateServiceLinkedRole",
            "Resource": f"arn:{scope.partition}:iam::{scope.account_id}:role/aws-service-role/*",
            "Condition": {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},
        },
        {
            "Sid": "MakeTaggedGroups",
            "Effect": "Allow",
            "Action": "ec2:CreateSecurityGroup",
            "Resource": groups,
            "Condition": requested,
        },
        {
            "Sid": "MakeGroupsInAVpc",
            "Effect": "Allow",
            "Action": "ec2:CreateSecurityGroup",
            "Resource": scope.ec2("vpc", account=scope.account_id),
        },
        {
            "Sid": "TagNewGroups",
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": groups,
            "Condition": {
                "StringEquals": {**requested["StringEquals"], "ec2:CreateAction": "CreateSecurityGroup"},
            },
        },
        {
            "Sid": "TagOwnGroups",
            "Effect": "Allow",
            "Action": ["ec2:CreateTags", "ec2:DeleteTags"],
            "Resource": groups,
            "Condition": kept | own,
        },
        {
            "Sid": "ChangeOwnGroups",
            "Effect": "Allow",
            "Action": [*rule_changes, "ec2:DeleteSecurityGroup"],
            "Resource": groups,
            "Condition": own,
        },
        # Targets are pods: they wear the group that EKS made for the cluster.
        {
            "Sid": "OpenTheClustersGroup",
            "Effect": "Allow",
            "Action": rule_changes,
            "Resource": groups,
            "Condition": by_eks,
        },
        {
            "Sid": "MakeTagged",
            "Effect": "Allow",
            "Action": [
                "elasticloadbalancing:CreateListener",
                "elasticloadbalancing:CreateLoadBalancer",
                "elasticloadbalancing:CreateRule",
                "elasticloadbalancing:CreateTargetGroup",
            ],
            "Resource": made,
            "Condition": requested,
        },
        {
            "Sid": "TagWhatIsMade",
            "Effect": "Allow",
            "Action": "elasticloadbalancing:AddTags",
            "Resource": made,
            "Condition": {
                "StringEquals": {
                    **requested["StringEquals"],
                    "elasticloadbalancing:CreateAction": [
                        "CreateListener",
                        "CreateLoadBalancer",
                        "CreateRule",
                        "CreateTargetGroup",
                    ],
                }
            },
        },
        {
            "Sid": "TagOwn",
            "Effect": "Allow",
            "Action": ["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"],
            "Resource": made,
            "Condition": kept | own,
        },
        {
            "Sid": "ChangeOwn",
            "Effect": "Allow",
            "Action": [
                "elasticloadbalancing:AddListenerCertificates",
                "elasticloadbalancing:DeleteListener",
                "elasticloadbalancing:DeleteLoadBalancer",
                "elasticloadbalancing:DeleteRule",
                "elasticloadbalancing:DeleteTargetGroup",
                "elasticloadbalancing:DeregisterTargets",
                "elasticloadbalancing:ModifyListener",
                "elasticloadbalancing:ModifyListenerAttributes",
                "elasticloadbalancing:ModifyLoadBalancerAttributes",
                "elasticloadbalancing:ModifyRule",
                "elasticloadbalancing:ModifyTargetGroup",
                "elasticloadbalancing:ModifyTargetGroupAttributes",
                "elasticloadbalancing:RegisterTargets",
                "elasticloadbalancing:RemoveListenerCertificates",
                "elasticloadbalancing:SetIpAddressType",
                "elasticloadbalancing:SetRulePriorities",
                "elasticloadbalancing:SetSecurityGroups",
                "elasticloadbalancing:SetSubnets",
            ],
            "Resource": made,
            "Condition": own,
        },
        {
            "Sid": "UseWebAcls",
            "Effect": "Allow",
            "Action": [
                "elasticloadbalancing:SetWebAcl",
                "wafv2:AssociateWebACL",
                "wafv2:DisassociateWebACL",
                "wafv2:GetWebACL",
                "wafv2:GetWebACLForResource",
            ],
            "Resource": [acls, made[0]],
        },
    )
