"""The permissions boundary of every role that a stack makes: the most that any of them can ever do. No Pulumi here.

A role of the stack has what its own policies allow and the boundary allows as well. It is as wide as the policies of
AWS and of Karpenter that the program attaches, service by service, and closed where they are wider than they need be.
"""

from access import names
from access.scope import Document, Scope, Statement, allow, deny, document


def boundary(scope: Scope) -> Document:
    """The boundary of a stack's roles."""
    return document(
        allow(
            "RunThePlatform",
            [
                "arc-zonal-shift:GetManagedResource",
                "autoscaling:Describe*",
                "autoscaling:UpdateAutoScalingGroup",
                "ec2:*",
                "ec2messages:*",
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:BatchImportUpstreamImage",
                "ecr:GetAuthorizationToken",
                "ecr:GetDownloadUrlForLayer",
                "eks:Describe*",
                "eks-auth:AssumeRoleForPodIdentity",
                "elasticloadbalancing:*",
                "kms:DescribeKey",
                "pricing:GetProducts",
                "ssm:DescribeAssociation",
                "ssm:DescribeDocument",
                "ssm:Get*",
                "ssm:List*",
                "ssm:Put*",
                "ssm:Update*",
                "ssmmessages:*",
                "wafv2:AssociateWebACL",
                "wafv2:DisassociateWebACL",
                "wafv2:GetWebACL",
                "wafv2:GetWebACLForResource",
            ],
            "*",
        ),
        allow("WriteFlowLogs", ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"], "*"),
        allow(
            "ReadInterruptions",
            ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"],
            scope.arn("sqs", f"{scope.cluster}-*"),
        ),
        allow(
            "LaunchNodes",
            [
                "iam:AddRoleToInstanceProfile",
                "iam:CreateInstanceProfile",
                "iam:DeleteInstanceProfile",
                "iam:GetInstanceProfile",
                "iam:ListInstanceProfiles",
                "iam:RemoveRoleFromInstanceProfile",
                "iam:TagInstanceProfile",
            ],
            scope.iam("instance-profile", "*"),
        ),
        allow(
            "PassTheStacksRoles",
            ["iam:PassRole"],
            scope.own_iam("role"),
            {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}},
        ),
        allow(
            "LetLoadBalancersHaveTheirRole",
            ["iam:CreateServiceLinkedRole"],
            scope.iam("role", "aws-service-role/*"),
            {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},
        ),
        *_with_the_key_of_volumes(scope),
        # AWS's policy for nodes reads every parameter of the account; nodes need AWS's own.
        deny(
            "KeepOffOthersParameters",
            ["ssm:GetParameter*", "ssm:PutParameter"],
            f"arn:{scope.partition}:ssm:*:{scope.account_id}:parameter/*",
        ),
        deny("KeepOffThisProgram", "iam:*", [scope.iam(kind, f"{names.OWN}/*") for kind in ("role", "policy")]),
    )


def _with_the_key_of_volumes(scope: Scope) -> list[Statement]:
    """Use of the company's key for volumes, where the stack has one: Karpenter's and the EBS CSI driver's."""
    if not scope.volumes_kms_key_arn:
        return []
    return [
        allow(
            "MakeVolumesWithTheKeyGiven",
            [
                "kms:CreateGrant",
                "kms:Decrypt",
                "kms:GenerateDataKeyWithoutPlaintext",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ],
            scope.volumes_kms_key_arn,
        )
    ]
