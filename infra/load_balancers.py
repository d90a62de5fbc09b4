"""The role of the AWS Load Balancer Controller: its permissions, and its association with the controller's pods.

The statements are those of the controller 3.5's own policy, for Application Load Balancers: where the policy asks that
a resource has the tag of some cluster, this one asks for its own. What it does not use is left out: network load
balancers, shield, the classic WAF, Cognito, and the discovery of certificates.
Sources: docs/install/iam_policy.json of
https://github.com/kubernetes-sigs/aws-load-balancer-controller/tree/v3.5.0, and for tags on listeners, rules and
targets AWS's own https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEKSLoadBalancingPolicy.html
"""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import eks

from infra import documents, names, roles
from infra.documents import Document, Scope, allow, compact, document

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
        stack_names = args.stack_names
        service_account = (names.LOAD_BALANCER_CONTROLLER, names.LOAD_BALANCER_CONTROLLER)
        trust = roles.in_account(
            stack_names,
            args.account_id,
            lambda scope: documents.pod_identity_trust(scope, *service_account),
        )
        own = stack_names.role("load-balancers")
        role = roles.role(self, f"{name}-role", stack_names, own, trust)
        policy = roles.in_account(stack_names, args.account_id, load_balancer_policy, compact)
        attachment = roles.attached_policy(self, f"{name}-policy", stack_names, own, policy, role)
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
        allow("Look", action=list(READS), resource="*"),
        allow(
            "LinkRole",
            action="iam:CreateServiceLinkedRole",
            resource=f"arn:{scope.partition}:iam::{scope.account_id}:role/aws-service-role/*",
            condition={"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},
        ),
        allow("MakeTaggedGroups", action="ec2:CreateSecurityGroup", resource=groups, condition=requested),
        allow(
            "MakeGroupsInAVpc", action="ec2:CreateSecurityGroup", resource=scope.ec2("vpc", account=scope.account_id)
        ),
        allow(
            "TagNewGroups",
            action="ec2:CreateTags",
            resource=groups,
            condition={
                "StringEquals": {**requested["StringEquals"], "ec2:CreateAction": "CreateSecurityGroup"},
            },
        ),
        allow("TagOwnGroups", action=["ec2:CreateTags", "ec2:DeleteTags"], resource=groups, condition=kept | own),
        allow("ChangeOwnGroups", action=[*rule_changes, "ec2:DeleteSecurityGroup"], resource=groups, condition=own),
        # Targets are pods: they wear the group that EKS made for the cluster.
        allow("OpenTheClustersGroup", action=rule_changes, resource=groups, condition=by_eks),
        allow(
            "MakeTagged",
            action=[
                "elasticloadbalancing:CreateListener",
                "elasticloadbalancing:CreateLoadBalancer",
                "elasticloadbalancing:CreateRule",
                "elasticloadbalancing:CreateTargetGroup",
            ],
            resource=made,
            condition=requested,
        ),
        allow(
            "TagWhatIsMade",
            action="elasticloadbalancing:AddTags",
            resource=made,
            condition={
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
        ),
        allow(
            "TagOwn",
            action=["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"],
            resource=made,
            condition=kept | own,
        ),
        allow(
            "ChangeOwn",
            action=[
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
            resource=made,
            condition=own,
        ),
        allow(
            "UseWebAcls",
            action=[
                "elasticloadbalancing:SetWebAcl",
                "wafv2:AssociateWebACL",
                "wafv2:DisassociateWebACL",
                "wafv2:GetWebACL",
                "wafv2:GetWebACLForResource",
            ],
            resource=[acls, made[0]],
        ),
    )
