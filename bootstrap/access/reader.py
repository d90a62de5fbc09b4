"""Permissions of the roles that preview: everything that a preview with a refresh reads, and nothing else.

The calls are those of the AWS provider, in ``resource<Type>Read`` of each type that the program declares.
Source: https://github.com/hashicorp/terraform-provider-aws/tree/main/internal/service
"""

from access.scope import Document, Scope, Statement, allow, document


def reads(scope: Scope) -> list[Statement]:
    """Statements of what a preview reads."""
    return [
        allow(
            "LookAtTheNetwork",
            [
                "ec2:DescribeAddresses",
                "ec2:DescribeAddressesAttribute",
                "ec2:DescribeAvailabilityZones",
                "ec2:DescribeFlowLogs",
                "ec2:DescribeInstances",
                "ec2:DescribeInternetGateways",
                "ec2:DescribeLaunchTemplateVersions",
                "ec2:DescribeLaunchTemplates",
                "ec2:DescribeNatGateways",
                "ec2:DescribeNetworkAcls",
                "ec2:DescribePrefixLists",
                "ec2:DescribeRouteTables",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeTags",
                "ec2:DescribeVolumes",
                "ec2:DescribeVpcAttribute",
                "ec2:DescribeVpcEndpoints",
                "ec2:DescribeVpcs",
            ],
            "*",
            {"StringEquals": {"aws:RequestedRegion": scope.region}},
        ),
        allow(
            "LookAtTheCluster",
            [
                "eks:DescribeAccessEntry",
                "eks:DescribeAddon",
                "eks:DescribeCluster",
                "eks:DescribeNodegroup",
                "eks:DescribePodIdentityAssociation",
                "eks:ListAssociatedAccessPolicies",
            ],
            [
                scope.arn("eks", f"cluster/{scope.cluster}"),
                *(
                    scope.arn("eks", f"{kind}/{scope.cluster}/*")
                    for kind in ("access-entry", "addon", "nodegroup", "podidentityassociation")
                ),
            ],
        ),
        allow(
            "LookAtRoles",
            [
                "iam:GetRole",
                "iam:GetRolePolicy",
                "iam:ListAttachedRolePolicies",
                "iam:ListRolePolicies",
            ],
            [*scope.roles, scope.iam("role", "aws-service-role/*")],
        ),
        allow(
            "LookAtPoliciesAndProfiles",
            [
                "iam:GetInstanceProfile",
                "iam:GetOpenIDConnectProvider",
                "iam:GetPolicy",
                "iam:GetPolicyVersion",
            ],
            [
                scope.own_iam("instance-profile"),
                scope.own_iam("policy"),
                scope.iam("oidc-provider", f"oidc.eks.{scope.region}.amazonaws.com/*"),
            ],
        ),
        allow(
            "LookAtKeys",
            ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"],
            scope.arn("kms", "key/*"),
            scope.ours,
        ),
        *([allow("LookAtTheNameServersOfTheVpcGiven", ["ec2:DescribeDhcpOptions"], "*")] if scope.vpc_id else []),
        *([allow("LookAtTheKeyGiven", ["kms:DescribeKey"], scope.kms_key_arn)] if scope.kms_key_arn else []),
        allow(
            "ListWhatHasNoArnOfItsOwn",
            ["eks:ListClusters", "iam:ListRoles", "kms:ListAliases", "logs:DescribeLogGroups"],
            "*",
        ),
        allow(
            "LookForAnImage",
            ["ssm:GetParametersByPath"],
            f"arn:{scope.partition}:ssm:{scope.region}::parameter/aws/service/*",
        ),
        allow("LookAtLogGroups", ["logs:ListTagsForResource"], log_groups(scope)),
        allow(
            "LookAtTheInterruptionQueueAndItsRules",
            [
                "events:DescribeRule",
                "events:ListTagsForResource",
                "events:ListTargetsByRule",
                "sqs:GetQueueAttributes",
                "sqs:ListQueueTags",
            ],
            [scope.arn("events", f"rule/{scope.cluster}-*"), scope.arn("sqs", f"{scope.cluster}-*")],
        ),
        allow("LookAtAlarms", ["cloudwatch:DescribeAlarms"], scope.arn("cloudwatch", "alarm:*")),
        allow(
            "LookAtTagsOfAlarms",
            ["cloudwatch:ListTagsForResource"],
            scope.arn("cloudwatch", f"alarm:{scope.cluster}-*"),
        ),
        allow(
            "LookAtTheTopicOfAlarms",
            ["sns:GetTopicAttributes", "sns:ListTagsForResource"],
            scope.arn("sns", f"{scope.cluster}-alarms"),
        ),
        allow("LookAtSubscriptions", ["sns:GetSubscriptionAttributes"], "*"),
        allow("LookAtTheBudget", ["budgets:ListTagsForResource", "budgets:ViewBudget"], scope.budget),
        allow(
            "LookAtExperiments",
            ["fis:GetExperimentTemplate"],
            scope.arn("fis", "experiment-template/*"),
            scope.ours,
        ),
    ]


def log_groups(scope: Scope) -> list[str]:
    """The control plane's log group, and that of the VPC's flow logs."""
    groups = (f"/aws/eks/{scope.cluster}/cluster", f"/aws/vpc/{scope.cluster}/flow-logs")
    return [scope.arn("logs", f"log-group:{group}") for group in groups]


def reader(scope: Scope) -> Document:
    """The policy of who previews."""
    return document(*reads(scope))
