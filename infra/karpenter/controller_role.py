"""The role that Karpenter's controller assumes: its permissions and its trust policy."""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

import pulumi
from pulumi_aws import eks, iam

from infra import documents, names, roles
from infra.documents import Document, Scope, allow, compact, document


def controller_policies(scope: Scope, node_role_arn: str, queue_arn: str) -> dict[str, Document]:
    """The controller's managed policies: group -> document, each far from AWS's limit, as upstream has them.

    The statements are those of Karpenter 1.14.3's own template, less what this program does not use: making and filling
    instance profiles (its node class names one of ours, so Karpenter reads profiles and makes none) and the status of
    zonal shifts (``settings.enableZonalShift`` is off).
    Source: https://karpenter.sh/v1.14/reference/cloudformation/
    """
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


Identity = Literal["pod-identity", "both", "irsa"]
PARKED: Final = f"{names.KARPENTER_SERVICE_ACCOUNT}-parked"
"""Service account of the association with ``both``: no pod has it, so the association gives nobody anything.

EKS gives a new pod its association's credentials, whatever its annotation says. So on the way to IRSA the association
has to go before the pods are replaced; but Pulumi deletes what is declared no more at the very end of an update. A
replacement it makes in its place in the order.
Source: https://github.com/aws/amazon-eks-pod-identity-webhook (container credentials take precedence)
"""


@dataclass(frozen=True, kw_only=True)
class ControllerRoleArgs:
    """Arguments: the scope of the role.

    ``created_cluster_name`` is released when the cluster is there.
    ``identity``: with "both" the role trusts both ways, and the controller's pods use IRSA.
    ``oidc_provider_arn`` and ``oidc_issuer`` are used with "both" and "irsa".
    ``volumes_key_arn``: of a key that nodes' volumes have; None for the account's key for EBS.
    """

    stack_names: names.StackNames
    account_id: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]
    queue_arn: pulumi.Input[str]
    identity: Identity
    created_cluster_name: pulumi.Input[str]
    oidc_provider_arn: pulumi.Input[str]
    oidc_issuer: pulumi.Input[str]
    volumes_key_arn: str | None = None


class ControllerRole(pulumi.ComponentResource):
    """The controller's role, its managed policies, and with Pod Identity the association to its service account."""

    arn: pulumi.Output[str]
    """ARN of the role."""

    def __init__(self, name: str, args: ControllerRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:ControllerRole", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = roles.role(
            self, f"{name}-role", args.stack_names, args.stack_names.role("karpenter-controller"), self._trust(args)
        )
        known = pulumi.Output.all(args.account_id, args.node_role_arn, args.queue_arn)

        def policy_document(group: str) -> pulumi.Output[str]:
            def render(values: list[str]) -> str:
                account_id, node_role_arn, queue_arn = values
                scope = Scope.of(args.stack_names, account_id)
                return compact(controller_policies(scope, node_role_arn, queue_arn)[group])

            return known.apply(render)

        granted: list[pulumi.Resource] = []
        for group in GROUPS:
            own = args.stack_names.controller_policy(group)
            granted.append(
                roles.attached_policy(self, f"{name}-{group}", args.stack_names, own, policy_document(group), role)
            )
        if args.volumes_key_arn:
            granted.append(
                iam.RolePolicy(
                    f"{name}-volumes-key",
                    role=role.name,
                    policy=compact(documents.volumes_key_policy(args.volumes_key_arn)),
                    opts=child,
                )
            )
        if args.identity != "irsa":
            granted.append(
                eks.PodIdentityAssociation(
                    f"{name}-association",
                    cluster_name=args.created_cluster_name,
                    namespace=names.KARPENTER_NAMESPACE,
                    service_account=PARKED if args.identity == "both" else names.KARPENTER_SERVICE_ACCOUNT,
                    role_arn=role.arn,
                    opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
                )
            )
        self.granted = tuple(granted)
        # Written out, because the role's own ARN is unknown until it is made, and it goes into a chart's values.
        written = pulumi.Output.from_input(args.account_id).apply(
            lambda account: args.stack_names.role_arn(account, "karpenter-controller")
        )
        self.service_account_role = written if args.identity != "pod-identity" else None
        self.arn = role.arn
        self.register_outputs({"arn": self.arn})

    @staticmethod
    def _trust(args: ControllerRoleArgs) -> pulumi.Input[str]:
        service_account = (names.KARPENTER_NAMESPACE, names.KARPENTER_SERVICE_ACCOUNT)

        def associated(scope: Scope) -> documents.Document:
            return documents.pod_identity_trust(scope, *service_account)

        if args.identity == "pod-identity":
            return roles.in_account(args.stack_names, args.account_id, associated)

        def by_issuer(known: list[str]) -> str:
            account, provider_arn, issuer = known
            also = associated(Scope.of(args.stack_names, account))["Statement"] if args.identity == "both" else []
            annotated = documents.irsa_trust(provider_arn, issuer, *service_account)
            return json.dumps(documents.document(*also, *annotated["Statement"]))

        return pulumi.Output.all(args.account_id, args.oidc_provider_arn, args.oidc_issuer).apply(by_issuer)


GROUPS = tuple(controller_policies(Scope(cluster="x", region="x", partition="x", account_id="x"), "x", "x"))
"""The policy groups, known before any ARN is."""
