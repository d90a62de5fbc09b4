"""Experiments of AWS FIS for the Spot drills: EC2 itself warns the Spot nodes of this cluster that one has tagged."""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import fis, iam

from infra import documents, names, roles

ACTION: Final = "aws:ec2:send-spot-instance-interruptions"
"""The action of AWS FIS that warns.

Source: https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html#send-spot-instance-interruptions
"""
RESOURCE_TYPE: Final = "aws:ec2:spot-instance"
NOTICE: Final = "PT2M"
"""From the warning to the end of the instance, as EC2 gives it."""


@dataclass(frozen=True, kw_only=True)
class InterruptionExperimentArgs:
    """Arguments: the cluster of the nodes. ``account_id``: the account whose experiments may assume the role."""

    stack_names: names.StackNames
    account_id: pulumi.Input[str]


class InterruptionExperiment(pulumi.ComponentResource):
    """A template, and the role that its experiments assume.

    One running Spot instance of this cluster that a drill has tagged.
    """

    template_id: pulumi.Output[str]
    """Id of the experiment template."""

    def __init__(self, name: str, args: InterruptionExperimentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:InterruptionExperiment", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        stack_names = args.stack_names
        trust = roles.in_account(stack_names, args.account_id, documents.experiment_trust)
        role = roles.role(self, f"{name}-role", stack_names, stack_names.role("experiments"), trust)
        policy = iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=roles.in_account(
                stack_names,
                args.account_id,
                lambda scope: documents.experiment_policy(scope, stack_names.owned_tags),
            ),
            opts=child,
        )
        # An experiment must not start before its role may do its work; no value carries that edge.
        template = fis.ExperimentTemplate(
            f"{name}-template",
            description=f"Warn the Spot nodes of {stack_names.cluster} that a drill has tagged",
            role_arn=role.arn,
            stop_conditions=[fis.ExperimentTemplateStopConditionArgs(source="none")],
            targets=[
                fis.ExperimentTemplateTargetArgs(
                    name="node",
                    resource_type=RESOURCE_TYPE,
                    selection_mode="ALL",
                    resource_tags=[
                        fis.ExperimentTemplateTargetResourceTagArgs(key=key, value=value)
                        for key, value in (stack_names.owned_tags | names.DRILL_TAGS).items()
                    ],
                    filters=[fis.ExperimentTemplateTargetFilterArgs(path="State.Name", values=["running"])],
                )
            ],
            actions=[
                fis.ExperimentTemplateActionArgs(
                    name="warn",
                    action_id=ACTION,
                    parameters=[
                        fis.ExperimentTemplateActionParameterArgs(key="durationBeforeInterruption", value=NOTICE)
                    ],
                    target=fis.ExperimentTemplateActionTargetArgs(key="SpotInstances", value="node"),
                )
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.template_id = template.id
        self.register_outputs({"templateId": self.template_id})
