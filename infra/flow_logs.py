"""VPC flow logs: who talked to whom, kept in CloudWatch."""

import json
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, ec2, iam

from infra import documents, names, roles


@dataclass(frozen=True, kw_only=True)
class FlowLogsArgs:
    """Arguments: the VPC, the days that CloudWatch keeps its flow logs, and their key; None leaves them to AWS's."""

    stack_names: names.StackNames
    account_id: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    retention_days: int
    kms_key_arn: str | None = None


class FlowLogs(pulumi.ComponentResource):
    """All traffic of a VPC, accepted and rejected, in a log group of its own."""

    log_group_name: pulumi.Output[str]
    """Name of the log group."""

    def __init__(self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:FlowLogs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = cloudwatch.LogGroup(
            f"{name}-group",
            name=f"/aws/vpc/{args.stack_names.cluster}/flow-logs",
            retention_in_days=args.retention_days,
            kms_key_id=args.kms_key_arn,
            opts=child,
        )
        stack_names = args.stack_names
        trust = roles.in_account(stack_names, args.account_id, documents.flow_log_trust)
        role = roles.role(self, f"{name}-role", stack_names, stack_names.role("flow-logs"), trust)
        policy = iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=group.arn.apply(lambda arn: json.dumps(documents.flow_log_policy(arn))),
            opts=child,
        )
        # The role must be allowed to write before the first record; no value carries that edge.
        ec2.FlowLog(
            f"{name}-log",
            vpc_id=args.vpc_id,
            traffic_type="ALL",
            iam_role_arn=role.arn,
            log_destination=group.arn,
            max_aggregation_interval=60,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.log_group_name = group.name
        self.register_outputs({"logGroupName": self.log_group_name})
