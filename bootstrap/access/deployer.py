"""Permissions of the role that updates: what ``up``, a change of a setting and ``destroy`` of one stack need.

What the stack makes is found by its name, ``<cluster>-*``, where AWS lets people name it, and by the tag ``cluster``
elsewhere. Whoever wears the role can make no role without the boundary, pass none but the stack's, and touch nothing of
another stack or of this program. The calls are those of the AWS provider.
Sources: https://github.com/hashicorp/terraform-provider-aws/tree/main/internal/service (calls),
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
(resources and condition keys)
"""

from typing import Final

from access import names
from access.reader import log_groups, reads
from access.scope import Document, Scope, Statement, allow, deny, document

MADE: Final = {
    "AllocateAddress": "elastic-ip",
    "CreateFlowLogs": "vpc-flow-log",
    "CreateInternetGateway": "internet-gateway",
    "CreateLaunchTemplate": "launch-template",
    "CreateNatGateway": "natgateway",
    "CreateRouteTable": "route-table",
    "CreateSecurityGroup": "security-group",
    "CreateSubnet": "subnet",
    "CreateVpc": "vpc",
    "CreateVpcEndpoint": "vpc-endpoint",
}
"""Action of EC2 -> what it makes, with the stack's tags from the first moment."""
PASSED_TO: Final = (
    "ec2.amazonaws.com",
    "eks.amazonaws.com",
    "fis.amazonaws.com",
    "pods.eks.amazonaws.com",
    "vpc-flow-logs.amazonaws.com",
)
LINKED: Final = ("eks.amazonaws.com", "eks-nodegroup.amazonaws.com", "spot.amazonaws.com", "fis.amazonaws.com")
"""Services whose own role the first call in an account makes, as the caller.

Sources: https://docs.aws.amazon.com/eks/latest/userguide/using-service-linked-roles.html,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html,
https://docs.aws.amazon.com/fis/latest/userguide/using-service-linked-roles.html
"""
ATTACHED: Final = (
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonEKSClusterPolicy",
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonSSMManagedInstanceCore",
    "AmazonEBSCSIDriverEKSClusterScopedPolicy",
    "service-role/AmazonEBSCSIDriverPolicy",
)
"""AWS's policies that the program attaches. Source: ``NODE_POLICIES``, ``addons.py`` and ``cluster.py`` in ../infra."""


def deployer(scope: Scope) -> dict[str, Document]:
    """The policies of who updates, by part: none alone may pass the limit of a managed policy."""
    return {
        "read": document(*reads(scope)),
        "network": network(scope),
        "launch": launch(scope),
        "cluster": cluster(scope),
        "identity": identity(scope),
        "watch": watch(scope),
    }


def network(scope: Scope) -> Document:
    """Make, change and remove the VPC and what is in it."""
    made = scope.ec2(*sorted(set(MADE.values())))
    return document(
        allow("Make", [f"ec2:{action}" for action in MADE], made, scope.tagged),
        allow(
            "MakeInOurs",
            [
                "ec2:CreateFlowLogs",
                "ec2:CreateNatGateway",
                "ec2:CreateRouteTable",
                "ec2:CreateSecurityGroup",
                "ec2:CreateSubnet",
                "ec2:CreateVpcEndpoint",
            ],
            scope.ec2("elastic-ip", "route-table", "security-group", "subnet", "vpc"),
            scope.ours,
        ),
        allow(
            "TagWhatIsMade",
            ["ec2:CreateTags"],
            made,
            {"StringEquals": {"ec2:CreateAction": list(MADE)}},
        ),
        allow(
            "ChangeOurs",
            [
                "ec2:AssociateRouteTable",
                "ec2:AttachInternetGateway",
                "ec2:AuthorizeSecurityGroupIngress",
                "ec2:CreateLaunchTemplateVersion",
                "ec2:CreateRoute",
                "ec2:DeleteFlowLogs",
                "ec2:DeleteInternetGateway",
                "ec2:DeleteLaunchTemplate",
                "ec2:DeleteNatGateway",
                "ec2:DeleteRoute",
                "ec2:DeleteRouteTable",
                "ec2:DeleteSecurityGroup",
                "ec2:DeleteSubnet",
                "ec2:DeleteTags",
                "ec2:DeleteVpc",
                "ec2:DeleteVpcEndpoints",
                "ec2:DetachInternetGateway",
                "ec2:DisassociateAddress",
                "ec2:DisassociateRouteTable",
                "ec2:ModifyLaunchTemplate",
                "ec2:ModifySubnetAttribute",
                "ec2:ModifyVpcAttribute",
                "ec2:ModifyVpcEndpoint",
                "ec2:ReleaseAddress",
                "ec2:ReplaceRoute",
                "ec2:RevokeSecurityGroupEgress",
                "ec2:RevokeSecurityGroupIngress",
            ],
            made,
            scope.ours,
        ),
        allow(
            "TagOurs",
            ["ec2:CreateTags"],
            made,
            {**scope.ours, "StringEqualsIfExists": {"aws:RequestTag/cluster": scope.cluster}},
        ),
        # A VPC's default group is made by AWS, with no tag: whoever gives it one has it from then on.
        allow("ClaimTheDefaultGroup", ["ec2:CreateTags"], scope.ec2("security-group"), scope.not_anybodys),
    )


def launch(scope: Scope) -> Document:
    """What EKS asks of whoever makes a node group, and what the network's parts ask of other services."""
    return document(
        # The group that EKS makes has EKS's tags and none of ours; Karpenter finds it by the one that it gets.
        allow(
            "TagTheGroupOfEks",
            ["ec2:CreateTags", "ec2:DeleteTags"],
            scope.ec2("security-group"),
            {
                "StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{scope.cluster}": "owned"},
                "ForAllValues:StringLike": {"aws:TagKeys": ["karpenter.sh/discovery", "otel-on-spot/*"]},
            },
        ),
        # EKS tries a launch with a group's template as whoever makes the group.
        allow(
            "TryALaunch",
            ["ec2:RunInstances"],
            [
                *scope.ec2("instance", "network-interface", "security-group", "volume"),
                f"arn:{scope.partition}:ec2:{scope.region}::image/*",
            ],
        ),
        allow("TryALaunchInOurs", ["ec2:RunInstances"], scope.ec2("launch-template", "subnet"), scope.ours),
        *_in_the_vpc_given(scope),
        allow(
            "TagTheLaunch",
            ["ec2:CreateTags"],
            scope.ec2("instance", "volume"),
            {"StringEquals": {"ec2:CreateAction": "RunInstances"}},
        ),
        allow("LookForLeftInterfaces", ["ec2:DescribeNetworkInterfaces"], "*"),
        allow(
            "DeliverFlowLogs",
            ["logs:CreateLogDelivery", "logs:DeleteLogDelivery"],
            "*",
            {"StringEquals": {"aws:RequestedRegion": scope.region}},
        ),
        allow("NameEndpoints", ["route53:AssociateVPCWithHostedZone"], f"arn:{scope.partition}:route53:::hostedzone/*"),
    )


def _in_the_vpc_given(scope: Scope) -> list[Statement]:
    """What a VPC that is there is used for: a security group in it, and its subnets for nodes. Nothing changes it."""
    if not scope.vpc_id:
        return []
    owners = f"arn:{scope.partition}:ec2:{scope.region}:{scope.vpc_owner_id or scope.account_id}"
    vpc = f"{owners}:vpc/{scope.vpc_id}"
    return [
        allow("MakeAGroupInTheVpcGiven", ["ec2:CreateSecurityGroup"], vpc),
        allow("TryALaunchInTheVpcGiven", ["ec2:RunInstances"], f"{owners}:subnet/*", {"ArnEquals": {"ec2:Vpc": vpc}}),
    ]


def cluster(scope: Scope) -> Document:
    """Make, change and remove the cluster, its key, its logs, the interruption queue and experiments."""
    within = [
        scope.arn("eks", f"{kind}/{scope.cluster}/*")
        for kind in ("access-entry", "addon", "nodegroup", "podidentityassociation")
    ]
    itself = scope.arn("eks", f"cluster/{scope.cluster}")
    return document(
        allow("MakeTheCluster", ["eks:CreateCluster"], "*", scope.tagged),
        allow(
            "ChangeTheCluster",
            [
                "eks:AssociateAccessPolicy",
                "eks:CreateAccessEntry",
                "eks:CreateAddon",
                "eks:CreateNodegroup",
                "eks:CreatePodIdentityAssociation",
                "eks:DeleteAccessEntry",
                "eks:DeleteAddon",
                "eks:DeleteCluster",
                "eks:DeleteNodegroup",
                "eks:DeletePodIdentityAssociation",
                "eks:DescribeUpdate",
                "eks:DisassociateAccessPolicy",
                "eks:TagResource",
                "eks:UntagResource",
                "eks:UpdateAddon",
                "eks:UpdateClusterConfig",
                "eks:UpdateClusterVersion",
                "eks:UpdateNodegroupConfig",
                "eks:UpdateNodegroupVersion",
            ],
            [itself, *within],
        ),
        allow("MakeAKey", ["kms:CreateKey"], "*", scope.tagged),
        allow("TagANewKey", ["kms:TagResource"], scope.arn("kms", "key/*"), scope.not_anybodys),
        allow(
            "ChangeOurKey",
            [
                "kms:CreateAlias",
                "kms:DeleteAlias",
                "kms:EnableKeyRotation",
                "kms:ScheduleKeyDeletion",
                "kms:TagResource",
                "kms:UntagResource",
            ],
            scope.arn("kms", "key/*"),
            scope.ours,
        ),
        # Who makes a cluster grants EKS the key: there kms:GrantIsForAWSResource does not hold (enable-kms.html).
        allow("LendOurKeyToEks", ["kms:CreateGrant"], scope.arn("kms", "key/*"), scope.ours),
        *_with_the_key_given(scope),
        allow(
            "NameOurKey",
            ["kms:CreateAlias", "kms:DeleteAlias"],
            scope.arn("kms", f"alias/{scope.cluster}-*"),
        ),
        allow(
            "KeepLogs",
            [
                "logs:CreateLogGroup",
                "logs:DeleteLogGroup",
                "logs:PutRetentionPolicy",
                "logs:TagResource",
                "logs:UntagResource",
            ],
            log_groups(scope),
        ),
        allow(
            "RouteInterruptions",
            [
                "events:DeleteRule",
                "events:PutRule",
                "events:PutTargets",
                "events:RemoveTargets",
                "events:TagResource",
                "events:UntagResource",
            ],
            scope.arn("events", f"rule/{scope.cluster}-*"),
        ),
        allow(
            "QueueInterruptions",
            ["sqs:CreateQueue", "sqs:DeleteQueue", "sqs:SetQueueAttributes", "sqs:TagQueue", "sqs:UntagQueue"],
            scope.arn("sqs", f"{scope.cluster}-*"),
        ),
        allow(
            "MakeExperiments",
            ["fis:CreateExperimentTemplate", "fis:TagResource"],
            scope.arn("fis", "experiment-template/*"),
            scope.not_anybodys,
        ),
        allow(
            "UseTheWarning",
            ["fis:CreateExperimentTemplate", "fis:UpdateExperimentTemplate"],
            scope.arn("fis", "action/aws:ec2:send-spot-instance-interruptions").replace(f":{scope.account_id}:", ":*:"),
        ),
        allow(
            "ChangeOurExperiments",
            [
                "fis:DeleteExperimentTemplate",
                "fis:TagResource",
                "fis:UntagResource",
                "fis:UpdateExperimentTemplate",
            ],
            scope.arn("fis", "experiment-template/*"),
            scope.ours,
        ),
    )


def _with_the_key_given(scope: Scope) -> list[Statement]:
    """Use of the company's key, where the stack has one: EKS is granted it, and log groups are tied to it."""
    if not scope.kms_key_arn:
        return []
    return [
        allow("LendTheKeyGivenToEks", ["kms:CreateGrant"], scope.kms_key_arn),
        allow("KeyLogs", ["logs:AssociateKmsKey", "logs:DisassociateKmsKey"], log_groups(scope)),
    ]


def watch(scope: Scope) -> Document:
    """Make, change and remove alarms, the topic that they go to, and the budget."""
    topic = scope.arn("sns", f"{scope.cluster}-alarms")
    return document(
        allow(
            "KeepAlarms",
            [
                "cloudwatch:DeleteAlarms",
                "cloudwatch:PutMetricAlarm",
                "cloudwatch:TagResource",
                "cloudwatch:UntagResource",
            ],
            scope.arn("cloudwatch", f"alarm:{scope.cluster}-*"),
        ),
        allow(
            "KeepTheTopicOfAlarms",
            [
                "sns:CreateTopic",
                "sns:DeleteTopic",
                "sns:SetTopicAttributes",
                "sns:Subscribe",
                "sns:TagResource",
                "sns:UntagResource",
            ],
            topic,
        ),
        allow("EndSubscriptions", ["sns:Unsubscribe"], "*", {"StringEquals": {"aws:RequestedRegion": scope.region}}),
        allow(
            "KeepTheBudget",
            ["budgets:ModifyBudget", "budgets:TagResource", "budgets:UntagResource"],
            scope.budget,
        ),
    )


def identity(scope: Scope) -> Document:
    """Make, change and remove the stack's roles, policies and profiles: each role within the boundary."""
    bounded = {"StringEquals": {"iam:PermissionsBoundary": scope.boundary}}
    issuer = scope.iam("oidc-provider", f"oidc.eks.{scope.region}.amazonaws.com/*")
    attachable = [scope.own_iam("policy"), *(f"arn:{scope.partition}:iam::aws:policy/{name}" for name in ATTACHED)]
    own = [scope.iam(kind, f"{names.OWN}/*") for kind in ("role", "policy")]
    return document(
        allow("MakeBoundedRoles", ["iam:CreateRole", "iam:PutRolePermissionsBoundary"], scope.roles, bounded),
        allow(
            "ChangeBoundedRoles",
            ["iam:DeleteRolePolicy", "iam:PutRolePolicy"],
            scope.roles,
            bounded,
        ),
        allow(
            "AttachKnownPolicies",
            ["iam:AttachRolePolicy"],
            scope.roles,
            {**bounded, "ArnLike": {"iam:PolicyARN": attachable}},
        ),
        allow("DetachPolicies", ["iam:DetachRolePolicy"], scope.roles),
        allow(
            "ChangeRoles",
            [
                "iam:DeleteRole",
                "iam:ListInstanceProfilesForRole",
                "iam:TagRole",
                "iam:UntagRole",
                "iam:UpdateAssumeRolePolicy",
            ],
            scope.roles,
        ),
        allow("PassRoles", ["iam:PassRole"], scope.roles, {"StringEquals": {"iam:PassedToService": list(PASSED_TO)}}),
        allow(
            "ChangePolicies",
            [
                "iam:CreatePolicy",
                "iam:CreatePolicyVersion",
                "iam:DeletePolicy",
                "iam:DeletePolicyVersion",
                "iam:ListPolicyVersions",
                "iam:TagPolicy",
                "iam:UntagPolicy",
            ],
            scope.own_iam("policy"),
        ),
        allow(
            "ChangeProfiles",
            [
                "iam:AddRoleToInstanceProfile",
                "iam:CreateInstanceProfile",
                "iam:DeleteInstanceProfile",
                "iam:RemoveRoleFromInstanceProfile",
                "iam:TagInstanceProfile",
                "iam:UntagInstanceProfile",
            ],
            scope.own_iam("instance-profile"),
        ),
        allow("MakeTheClustersIssuer", ["iam:CreateOpenIDConnectProvider"], issuer, scope.tagged),
        allow("TagTheClustersIssuer", ["iam:TagOpenIDConnectProvider"], issuer, scope.not_anybodys),
        allow(
            "ChangeTheClustersIssuer",
            [
                "iam:DeleteOpenIDConnectProvider",
                "iam:TagOpenIDConnectProvider",
                "iam:UntagOpenIDConnectProvider",
                "iam:UpdateOpenIDConnectProviderThumbprint",
            ],
            issuer,
            scope.ours,
        ),
        allow(
            "LetServicesHaveTheirOwnRole",
            ["iam:CreateServiceLinkedRole"],
            scope.iam("role", "aws-service-role/*"),
            {"StringEquals": {"iam:AWSServiceName": list(LINKED)}},
        ),
        allow(
            "DescribeTheSpotRole",
            ["iam:UpdateRole"],
            scope.iam("role", "aws-service-role/spot.amazonaws.com/*"),
        ),
        deny("KeepOffThisProgram", "iam:*", own),
        deny("KeepTheBoundary", "iam:DeleteRolePermissionsBoundary", "*"),
    )
