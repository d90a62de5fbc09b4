"""The roles of one stack: ``preview`` and ``drift`` read, ``up`` writes; and the boundary of all that ``up`` makes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import iam

from access import names
from access.boundary import boundary
from access.deployer import deployer
from access.github import environment, trust
from access.reader import reader
from access.scope import POLICY_SIZE_LIMIT, Document, Scope
from access.settings import Repository
from access.state import state_policy

READERS = ("preview", "drift")
SESSION_HOURS_OF_A_READER = 1


@dataclass(frozen=True, kw_only=True)
class StackAccessArgs:
    """Arguments: the stack's scope, whose jobs may assume its roles, and where its state lies."""

    scope: Scope
    repository: Repository
    provider_arn: pulumi.Input[str]
    session_hours: int
    bucket_arn: pulumi.Input[str]
    bucket_key_arn: pulumi.Input[str]
    secrets_key_arn: pulumi.Input[str]


class StackAccess(pulumi.ComponentResource):
    """Three roles and what they may do."""

    role_arns: dict[str, pulumi.Output[str]]
    """GitHub environment -> ARN of the role that its jobs assume."""
    boundary_arn: pulumi.Output[str]
    """ARN of the permissions boundary: ``iam.permissionsBoundary`` of the stack's file."""

    def __init__(self, name: str, args: StackAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot-bootstrap:index:StackAccess", name, None, opts)
        self._args, self._child = args, pulumi.ResourceOptions(parent=self)
        self._name, scope = name, args.scope
        bounds = self._policy("boundary", boundary(scope))
        read = self._policy("reads", reader(scope))
        writes = {
            part: self._policy(f"up-{part}", statements)
            for part, statements in deployer(scope).items()
            if part != "read"
        }
        self.role_arns = {}
        for purpose in (*READERS, "up"):
            hours = args.session_hours if purpose == "up" else SESSION_HOURS_OF_A_READER
            self._role(purpose, {"reads": read} | (writes if purpose == "up" else {}), hours)
        self.boundary_arn = bounds.arn
        self.register_outputs({"boundaryArn": self.boundary_arn, "roleArns": self.role_arns})

    def _policy(self, part: str, statements: Document) -> iam.Policy:
        text = json.dumps(statements, separators=(",", ":"))
        if len(text) > POLICY_SIZE_LIMIT:
            raise pulumi.RunError(
                f"stack {self._args.scope.stack}: the policy {part} has {len(text)} characters, and AWS takes "
                f"{POLICY_SIZE_LIMIT}: choose a shorter cluster name or IAM path"
            )
        return iam.Policy(
            f"{self._name}-{part}",
            name=names.policy(self._args.scope.stack, part),
            path=names.PATH,
            policy=text,
            opts=self._child,
        )

    def _role(self, purpose: str, policies: Mapping[str, iam.Policy], session_hours: int) -> None:
        args, stack = self._args, self._args.scope.stack
        where = environment(stack, purpose)
        role = iam.Role(
            f"{self._name}-{purpose}",
            name=names.role(stack, purpose),
            path=names.PATH,
            description=f"GitHub jobs of the environment {where}",
            max_session_duration=session_hours * 3600,
            assume_role_policy=pulumi.Output.from_input(args.provider_arn).apply(
                lambda arn: json.dumps(trust(arn, args.repository, where))
            ),
            opts=self._child,
        )
        for part, policy in policies.items():
            iam.RolePolicyAttachment(
                f"{self._name}-{purpose}-{part}", role=role.name, policy_arn=policy.arn, opts=self._child
            )
        iam.RolePolicy(
            f"{self._name}-{purpose}-state",
            name="state",
            role=role.name,
            policy=pulumi.Output.all(args.bucket_arn, args.bucket_key_arn, args.secrets_key_arn).apply(
                lambda arns: json.dumps(state_policy(arns[0], arns[1], arns[2], stack, writes=purpose == "up"))
            ),
            opts=self._child,
        )
        self.role_arns[where] = role.arn
