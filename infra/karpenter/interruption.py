"""The interruption queue: EventBridge -> SQS -> Karpenter, and no code of ours in between."""

import json
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import cloudwatch, sqs

from infra import documents, names

RETENTION_SECONDS: Final = 300
"""A warning is two minutes; an older message is of no use. Source: Karpenter's own template."""

EVENTS: Final[dict[str, dict[str, list[str]]]] = {
    "spot-interruption": {"source": ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning"]},
    "rebalance": {"source": ["aws.ec2"], "detail-type": ["EC2 Instance Rebalance Recommendation"]},
    "state-change": {"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"]},
    "scheduled-change": {"source": ["aws.health"], "detail-type": ["AWS Health Event"]},
    "capacity-reservation": {
        "source": ["aws.ec2"],
        "detail-type": ["EC2 Capacity Reservation Instance Interruption Warning"],
    },
}
"""Event patterns by rule. A pattern that AWS does not know is accepted and never matches: a test pins these words.

Karpenter drains on all but the rebalance recommendation, which only leaves a Kubernetes event.
Source: https://karpenter.sh/v1.14/reference/cloudformation/#interruption-handling
"""


@dataclass(frozen=True, kw_only=True)
class InterruptionQueueArgs:
    """Arguments: the cluster. One queue per cluster, because Karpenter deletes what it does not know."""

    stack_names: names.StackNames


class InterruptionQueue(pulumi.ComponentResource):
    """The queue, who may send to it, and the five rules that do."""

    name: pulumi.Output[str]
    """Name of the queue."""
    arn: pulumi.Output[str]
    """ARN of the queue."""

    def __init__(self, name: str, args: InterruptionQueueArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:InterruptionQueue", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        queue = sqs.Queue(
            f"{name}-queue",
            name=args.stack_names.interruption_queue,
            message_retention_seconds=RETENTION_SECONDS,
            sqs_managed_sse_enabled=True,
            opts=child,
        )
        rules = {
            event: cloudwatch.EventRule(
                f"{name}-{event}",
                name=args.stack_names.interruption_rule(event),
                description=f"{event} events for Karpenter in {args.stack_names.cluster}",
                event_pattern=json.dumps(pattern),
                opts=child,
            )
            for event, pattern in EVENTS.items()
        }
        policy = sqs.QueuePolicy(
            f"{name}-policy",
            queue_url=queue.url,
            opts=child,
            policy=pulumi.Output.all(queue.arn, *(rule.arn for rule in rules.values())).apply(
                lambda arns: json.dumps(documents.queue_policy(arns[0], arns[1:]))
            ),
        )
        targets: list[pulumi.Resource] = []
        for event, rule in rules.items():
            # A target that may not send yet drops its events in silence; no value carries that edge.
            targets.append(
                cloudwatch.EventTarget(
                    f"{name}-{event}",
                    rule=rule.name,
                    target_id="karpenter",
                    arn=queue.arn,
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
                )
            )
        self.targets = tuple(targets)
        self.name = queue.name
        self.arn = queue.arn
        self.register_outputs({"name": self.name, "arn": self.arn})
