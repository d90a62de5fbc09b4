"""The role that Karpenter's controller assumes: its permissions and its trust policy."""

import json
from dataclasses import dataclass
from typing import Final, Literal

import pulumi
from pulumi_aws import eks, iam

from infra import documents, names, roles
from infra.documents import Scope, compact
from infra.karpenter.policies import controller_policies

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
