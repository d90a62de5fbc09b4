"""What a stack's roles may touch, as ARNs and tags; and policy documents of statements. No Pulumi here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from access import names

Statement = dict[str, Any]
Document = dict[str, Any]
POLICY_SIZE_LIMIT: Final = 6144
"""Characters of a managed policy, white space not counted.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """One stack in one account: its cluster's name begins what it makes, and is the tag ``cluster`` of the rest."""

    stack: str
    cluster: str
    region: str
    partition: str
    account_id: str
    iam_path: str
    service_role: str | None
    kms_key_arn: str | None = None
    volumes_kms_key_arn: str | None = None
    vpc_id: str | None = None
    vpc_owner_id: str | None = None

    def arn(self, service: str, rest: str) -> str:
        """ARN in the stack's region and account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{rest}"

    def iam(self, kind: str, rest: str) -> str:
        """ARN of something of IAM, which is in no region."""
        return f"arn:{self.partition}:iam::{self.account_id}:{kind}/{rest}"

    def own_iam(self, kind: str) -> str:
        """What the stack makes in IAM: in its path, by its cluster's name."""
        return self.iam(kind, f"{self.iam_path.removeprefix('/')}{self.cluster}-*")

    @property
    def roles(self) -> list[str]:
        """The stack's roles, and the one that pulumi-eks named where the cluster is older."""
        older = [self.iam("role", self.service_role)] if self.service_role else []
        return [self.own_iam("role"), *older]

    def ec2(self, *kinds: str) -> list[str]:
        """EC2 resources of these kinds in the stack's region."""
        return [self.arn("ec2", f"{kind}/*") for kind in kinds]

    @property
    def budget(self) -> str:
        """The stack's budget, which is in no region."""
        return f"arn:{self.partition}:budgets::{self.account_id}:budget/{self.cluster}-{self.region}"

    @property
    def boundary(self) -> str:
        """ARN of the permissions boundary."""
        return self.iam("policy", f"{names.PATH.removeprefix('/')}{names.policy(self.stack, 'boundary')}")

    @property
    def tagged(self) -> Mapping[str, Any]:
        """Condition: the request tags what it makes as the stack's."""
        return {"StringEquals": {"aws:RequestTag/cluster": self.cluster}}

    @property
    def ours(self) -> Mapping[str, Any]:
        """Condition: the resource is tagged as the stack's."""
        return {"StringEquals": {"aws:ResourceTag/cluster": self.cluster}}

    @property
    def not_anybodys(self) -> Mapping[str, Any]:
        """Condition: the resource belongs to no stack yet, and the request says that it is this one's."""
        return {"StringEquals": {"aws:RequestTag/cluster": self.cluster}, "Null": {"aws:ResourceTag/cluster": "true"}}


def allow(
    sid: str, actions: list[str], resources: list[str] | str, condition: Mapping[str, Any] | None = None
) -> Statement:
    """A statement that allows.

    Args:
        sid: its name.
        actions: what it allows.
        resources: on what.
        condition: when; None means always.
    """
    statement: Statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
    return statement | ({"Condition": dict(condition)} if condition else {})


def deny(
    sid: str, actions: list[str] | str, resources: list[str] | str, condition: Mapping[str, Any] | None = None
) -> Statement:
    """A statement that denies, whatever else allows.

    Args:
        sid: its name.
        actions: what it denies.
        resources: on what.
        condition: when; None means always.
    """
    statement: Statement = {"Sid": sid, "Effect": "Deny", "Action": actions, "Resource": resources}
    return statement | ({"Condition": dict(condition)} if condition else {})


def document(*statements: Statement) -> Document:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}
