"""IAM, SQS and KMS policy documents: plain values in, dict out. No Pulumi here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict, Unpack

from infra.names import StackNames

Document = dict[str, Any]
Statement = dict[str, Any]

POLICY_SIZE_LIMIT: Final = 6144
"""Characters of a managed policy, white space not counted.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""


def document(*statements: Statement) -> Document:
    """A policy document of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a document is about: one cluster in one region of one account."""

    cluster: str
    region: str
    partition: str
    account_id: str

    @classmethod
    def of(cls, stack_names: StackNames, account_id: str) -> "Scope":
        """The stack's own cluster."""
        where = {"region": stack_names.region, "partition": stack_names.partition}
        return cls(cluster=stack_names.cluster, account_id=account_id, **where)

    @property
    def cluster_arn(self) -> str:
        """ARN of the cluster, known before the cluster is."""
        return self.arn("eks", f"cluster/{self.cluster}")

    def arn(self, service: str, rest: str) -> str:
        """ARN in the scope's account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{rest}"

    def ec2(self, kind: str, account: str = "*") -> str:
        """ARN pattern of all EC2 resources of a kind in the region."""
        return f"arn:{self.partition}:ec2:{self.region}:{account}:{kind}/*"

    @property
    def owned(self) -> str:
        """Tag key that says that a resource belongs to the cluster."""
        return f"kubernetes.io/cluster/{self.cluster}"


class Elements(TypedDict, total=False):
    """Elements of a statement beside its name and its effect; a document keeps the order in which they are given."""

    principal: Any
    action: str | list[str]
    resource: str | list[str]
    condition: Mapping[str, Any]


def allow(sid: str = "", **elements: Unpack[Elements]) -> Statement:
    """A statement that allows."""
    named = {"Sid": sid} if sid else {}
    return {**named, "Effect": "Allow", **{name.capitalize(): element for name, element in elements.items()}}


def compact(policy: Document) -> str:
    """JSON without white space, as IAM counts it."""
    return json.dumps(policy, separators=(",", ":"))


def _deny_without_tls(action: str, resource: str) -> Statement:
    without = {"Bool": {"aws:SecureTransport": "false"}}
    denied = allow("DenyWithoutTls", principal="*", action=action, resource=resource, condition=without)
    return denied | {"Effect": "Deny"}


def service_trust(service: str, *actions: str, condition: Mapping[str, Any] | None = None) -> Document:
    """Trust policy: an AWS service may assume the role."""
    statement: Statement = allow(principal={"Service": service}, action=list(actions or ("sts:AssumeRole",)))
    return document(statement | ({"Condition": dict(condition)} if condition else {}))


def cluster_trust() -> Document:
    """Trust policy: EKS may assume the role; in the form that pulumi-eks gave it, so that no living role changes.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/cluster-iam-role.html
    """
    return document(allow(principal={"Service": ["eks.amazonaws.com"]}, action=["sts:AssumeRole", "sts:TagSession"]))


def pod_identity_trust(scope: Scope, namespace: str, service_account: str) -> Document:
    """Trust policy: EKS Pod Identity may assume the role, for one service account of one cluster of the account.

    Sources: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html,
    https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html#pod-id-abac-tags
    """
    tags = {
        "eks-cluster-name": scope.cluster,
        "kubernetes-namespace": namespace,
        "kubernetes-service-account": service_account,
    }
    condition = {"aws:SourceAccount": scope.account_id} | {
        f"aws:RequestTag/{key}": value for key, value in tags.items()
    }
    return service_trust(
        "pods.eks.amazonaws.com", "sts:AssumeRole", "sts:TagSession", condition={"StringEquals": condition}
    )


def flow_log_trust(scope: Scope) -> Document:
    """Trust policy: flow logs of this account and region may assume the role.

    Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
    """
    condition = {
        "StringEquals": {"aws:SourceAccount": scope.account_id},
        "ArnLike": {"aws:SourceArn": scope.arn("ec2", "vpc-flow-log/*")},
    }
    return service_trust("vpc-flow-logs.amazonaws.com", condition=condition)


def irsa_trust(provider_arn: str, issuer: str, namespace: str, service_account: str) -> Document:
    """Trust policy: one service account of one cluster may assume the role through its OIDC provider.

    Args:
        provider_arn: ARN of the cluster's IAM OIDC provider.
        issuer: the cluster's issuer, with or without ``https://``.
        namespace: of the service account.
        service_account: its name.
    """
    host = issuer.removeprefix("https://")
    return document(
        allow(
            principal={"Federated": provider_arn},
            action="sts:AssumeRoleWithWebIdentity",
            condition={
                "StringEquals": {
                    f"{host}:aud": "sts.amazonaws.com",
                    f"{host}:sub": f"system:serviceaccount:{namespace}:{service_account}",
                }
            },
        )
    )


def queue_policy(queue_arn: str, rule_arns: Sequence[str]) -> Document:
    """Policy of the interruption queue: this stack's rules may send, over TLS; nobody else.

    Stricter than Karpenter's own template, which lets any rule of any account send.
    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    """
    return document(
        allow(
            "AllowThisStacksRules",
            principal={"Service": "events.amazonaws.com"},
            action="sqs:SendMessage",
            resource=queue_arn,
            condition={"ArnEquals": {"aws:SourceArn": sorted(rule_arns)}},
        ),
        _deny_without_tls("sqs:*", queue_arn),
    )


def alarm_topic_policy(scope: Scope, topic: str) -> Document:
    """Policy of the topic of alarms: alarms of this account may publish, over TLS; nobody else by this policy.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
    """
    arn = scope.arn("sns", topic)
    return document(
        allow(
            "AllowAlarmsOfThisAccount",
            principal={"Service": "cloudwatch.amazonaws.com"},
            action="sns:Publish",
            resource=arn,
            condition={
                "StringEquals": {"aws:SourceAccount": scope.account_id},
                "ArnLike": {"aws:SourceArn": scope.arn("cloudwatch", "alarm:*")},
            },
        ),
        _deny_without_tls("sns:Publish", arn),
    )


def experiment_trust(scope: Scope) -> Document:
    """Trust policy: experiments of AWS FIS in this account and region may assume the role.

    Source: https://docs.aws.amazon.com/fis/latest/userguide/getting-started-iam-service-role.html
    """
    condition = {
        "StringEquals": {"aws:SourceAccount": scope.account_id},
        "ArnLike": {"aws:SourceArn": scope.arn("fis", "experiment/*")},
    }
    return service_trust("fis.amazonaws.com", condition=condition)


def experiment_policy(scope: Scope, tags: Mapping[str, str]) -> Document:
    """Permissions of an experiment's role: warn Spot instances with all of these tags, and nothing else.

    Source: https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html#send-spot-instance-interruptions
    """
    return document(
        allow("FindInstances", resource="*", action="ec2:DescribeInstances"),
        allow(
            "WarnThisClustersSpotNodes",
            resource=scope.ec2("instance", account=scope.account_id),
            action="ec2:SendSpotInstanceInterruptions",
            condition={"StringEquals": {f"aws:ResourceTag/{key}": value for key, value in tags.items()}},
        ),
    )


def key_policy(account_id: str, partition: str) -> Document:
    """Key policy: the account decides through IAM who may use the key, as AWS's own default does.

    Source: https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
    """
    return document(
        allow(
            "AllowTheAccountThroughIam",
            principal={"AWS": f"arn:{partition}:iam::{account_id}:root"},
            action="kms:*",
            resource="*",
        )
    )


def alarm_key_policy(account_id: str, partition: str) -> Document:
    """Policy of the key of the topic of alarms: as ``key_policy``, and CloudWatch may use it for this account's alarms.

    Source: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
    """
    return document(*key_policy(account_id, partition)["Statement"], _alarms_use_the_key(account_id))


def _alarms_use_the_key(account_id: str) -> Statement:
    return allow(
        "AllowAlarmsOfThisAccount",
        principal={"Service": "cloudwatch.amazonaws.com"},
        action=["kms:Decrypt", "kms:GenerateDataKey*"],
        resource="*",
        condition={"StringEquals": {"aws:SourceAccount": account_id}},
    )


def given_key_statements(scope: Scope, log_groups: Sequence[str]) -> list[Statement]:
    """Statements that the policy of a key of ``encryption.kmsKeyArn`` needs: docs/kms-key.md shows them.

    The key may be another account's. Who makes the cluster grants EKS the key, in a request of their own:
    kms:GrantIsForAWSResource does not hold there.
    Sources: https://docs.aws.amazon.com/eks/latest/userguide/enable-kms.html,
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html,
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
    """
    groups = [scope.arn("logs", f"log-group:{group}") for group in log_groups]
    return [
        allow(
            "AllowWhoMakesTheCluster",
            principal={"AWS": f"arn:{scope.partition}:iam::{scope.account_id}:root"},
            action=["kms:DescribeKey", "kms:CreateGrant"],
            resource="*",
        ),
        allow(
            "AllowLogsOfThisStack",
            principal={"Service": f"logs.{scope.region}.amazonaws.com"},
            action=["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
            resource="*",
            condition={"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": groups}},
        ),
        _alarms_use_the_key(scope.account_id),
    ]


def volumes_key_statement(region: str, account_id: str) -> Statement:
    """Statement that the policy of a key of ``encryption.volumesKmsKeyArn`` needs: docs/kms-key.md shows it.

    Whoever of the account may make volumes may use the key, through EC2 alone: EC2 Auto Scaling's own role, which
    nobody can give a policy, Karpenter and the EBS CSI driver. EBS's own managed key says the same.
    Sources: https://karpenter.sh/v1.14/troubleshooting/#node-terminates-before-ready-on-failed-encrypted-ebs-volume,
    https://docs.aws.amazon.com/kms/latest/developerguide/services-ebs.html
    """
    return allow(
        "AllowVolumesOfThisAccount",
        principal={"AWS": "*"},
        action=[
            "kms:Encrypt",
            "kms:Decrypt",
            "kms:ReEncrypt*",
            "kms:GenerateDataKey*",
            "kms:CreateGrant",
            "kms:DescribeKey",
        ],
        resource="*",
        condition={"StringEquals": {"kms:CallerAccount": account_id, "kms:ViaService": f"ec2.{region}.amazonaws.com"}},
    )


def volumes_key_policy(key_arn: str) -> Document:
    """Permissions of whoever makes volumes with a key that is not EBS's own: Karpenter, and the EBS CSI driver.

    A grant is made for AWS's own services alone, such as EC2, which attaches the volume.
    Sources: https://docs.aws.amazon.com/eks/latest/userguide/csi-iam-role.html,
    https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html#ebs-encryption-permissions
    """
    return document(
        allow(
            "LendTheVolumesKeyToEc2",
            resource=key_arn,
            action=["kms:CreateGrant"],
            condition={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
        allow(
            "MakeVolumesWithTheKey",
            resource=key_arn,
            action=[
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:GenerateDataKeyWithoutPlaintext",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ],
        ),
    )


def flow_log_policy(log_group_arn: str) -> Document:
    """Permissions of the flow log role: write to its own log group.

    Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
    """
    return document(
        allow(
            "WriteFlowLogs",
            resource=f"{log_group_arn}:*",
            action=["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
        )
    )
