"""Who is told: alarms on what a cluster cannot tell of itself (queue, control plane), and a budget of what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_aws import budgets, cloudwatch, kms, sns

from infra import documents, names
from infra.roles import in_account
from infra.settings import models

KEY_DELETION_WINDOW_DAYS: Final = 7
"""Nothing is kept under the key: a message is delivered at once."""
AGE_SECONDS: Final = 60
"""A message that Karpenter has not taken for so long has half of a warning's two minutes behind it."""
FAILED_SHARE: Final = 5
"""Percent of the API server's answers that are its own errors (5xx)."""
STORAGE_BYTES: Final = 6 * 2**30
"""Three quarters of the 8 GiB at which etcd takes no more writes.

Source: https://docs.aws.amazon.com/eks/latest/best-practices/scale-control-plane.html
"""


@dataclass(frozen=True, kw_only=True)
class Signal:
    """An alarm: one metric's statistic above a threshold for some periods.

    ``share_of``: metric of the same namespace; the threshold is then percent of it. ``page``: where to look what to do.
    ``heartbeat``: the alarm is that nothing is measured, where something always is. Times are seconds.
    """

    name: str
    namespace: str
    metric: str
    dimensions: dict[str, str]
    means: str
    page: str
    statistic: str = "Sum"
    above: float = 0
    period: int = 300
    periods: int = 3
    share_of: str | None = None
    heartbeat: bool = False


def signals(stack_names: names.StackNames, events: Sequence[str]) -> list[Signal]:
    """The alarms of a stack. A metric that is not there breaks no rule but a heartbeat's: most are of faults.

    Sources: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html,
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html,
    https://docs.aws.amazon.com/eks/latest/userguide/cloudwatch.html (free, of Kubernetes 1.28 and newer)
    """
    queue = Signal(
        name="queue-age",
        namespace="AWS/SQS",
        metric="ApproximateAgeOfOldestMessage",
        dimensions={"QueueName": stack_names.interruption_queue},
        statistic="Maximum",
        above=AGE_SECONDS,
        period=60,
        periods=2,
        means="Karpenter does not take interruption warnings: Spot nodes end undrained, with the requests on them",
        page="docs/runbooks/doctor/interruption-backlog.md",
    )
    rules = [
        Signal(
            name=f"{event}-failed",
            namespace="AWS/Events",
            metric="FailedInvocations",
            dimensions={"RuleName": stack_names.interruption_rule(event)},
            period=60,
            periods=1,
            means=f"EventBridge could not put a {event} event into the interruption queue: it is lost",
            page="docs/runbooks/interruption-not-handled.md",
        )
        for event in events
    ]
    # Karpenter asks the queue again every 20 seconds, and nearly every answer is empty.
    # Source: https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/providers/sqs/sqs.go (WaitTimeSeconds)
    unread = Signal(
        name="queue-unread",
        namespace="AWS/SQS",
        metric="NumberOfEmptyReceives",
        dimensions={"QueueName": stack_names.interruption_queue},
        means="nobody asks the interruption queue: Karpenter does not run, or may not read it, and no node is launched",
        page="docs/runbooks/doctor/karpenter-running.md",
        heartbeat=True,
    )
    cluster = {"ClusterName": stack_names.cluster}
    control_plane = "docs/runbooks/doctor/cluster.md"
    return [
        queue,
        unread,
        *rules,
        Signal(
            name="api-errors",
            namespace="AWS/EKS",
            metric="apiserver_request_total_5XX",
            share_of="apiserver_request_total",
            dimensions=cluster,
            above=FAILED_SHARE,
            means="the API server fails requests: no pod is placed, no node joins, and Argo CD changes nothing",
            page=control_plane,
        ),
        Signal(
            name="scheduler-errors",
            namespace="AWS/EKS",
            metric="scheduler_schedule_attempts_ERROR",
            dimensions=cluster,
            means="the scheduler itself fails: pods wait though there is room",
            page=control_plane,
        ),
        Signal(
            name="api-storage",
            namespace="AWS/EKS",
            metric="apiserver_storage_size_bytes",
            dimensions=cluster,
            statistic="Maximum",
            above=STORAGE_BYTES,
            means="the cluster's database is nearly full: at 8 GiB nothing can be written any more",
            page=control_plane,
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    """Arguments: the cluster, who is told, the kinds of events that have a rule, and the account of the topic.

    ``kms_key_arn``: of the key that encrypts the stack's own topic; None makes one.
    """

    stack_names: names.StackNames
    config: models.Alarms
    events: Sequence[str]
    account_id: pulumi.Input[str]
    kms_key_arn: str | None = None


class Alarms(pulumi.ComponentResource):
    """Alarms, and for e-mail the topic that they go to; each tells when it fires and when it is over."""

    topic_arn: pulumi.Output[str]
    """ARN of the topic that the alarms go to."""

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:Alarms", name, None, opts)
        self.topic_arn = (
            pulumi.Output.from_input(args.config.topic_arn) if args.config.topic_arn else self._topic(name, args)
        )
        for signal in signals(args.stack_names, args.events):
            cloudwatch.MetricAlarm(
                f"{name}-{signal.name}",
                name=args.stack_names.alarm(signal.name),
                alarm_description=f"{signal.means}. What to do: {signal.page}",
                comparison_operator="LessThanOrEqualToThreshold" if signal.heartbeat else "GreaterThanThreshold",
                threshold=signal.above,
                evaluation_periods=signal.periods,
                treat_missing_data="breaching" if signal.heartbeat else "notBreaching",
                alarm_actions=[self.topic_arn],
                ok_actions=[self.topic_arn],
                opts=pulumi.ResourceOptions(parent=self),
                **_measured(signal),
            )
        self.register_outputs({"topicArn": self.topic_arn})

    def _topic(self, name: str, args: AlarmsArgs) -> pulumi.Output[str]:
        """The stack's own topic: under a key that CloudWatch may use, which AWS's key for SNS is not.

        Source: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
        """
        child = pulumi.ResourceOptions(parent=self)
        stack_names = args.stack_names
        key_arn: pulumi.Input[str] = args.kms_key_arn or ""
        if not args.kms_key_arn:
            key_arn = kms.Key(
                f"{name}-topic",
                description=f"Alarms of {stack_names.cluster}",
                enable_key_rotation=True,
                deletion_window_in_days=KEY_DELETION_WINDOW_DAYS,
                policy=in_account(
                    stack_names,
                    args.account_id,
                    lambda scope: documents.alarm_key_policy(scope.account_id, scope.partition),
                ),
                opts=child,
            ).arn
        topic = sns.Topic(
            f"{name}-topic",
            name=stack_names.alarm_topic,
            kms_master_key_id=key_arn,
            policy=in_account(
                stack_names,
                args.account_id,
                lambda scope: documents.alarm_topic_policy(scope, stack_names.alarm_topic),
            ),
            opts=child,
        )
        for address in args.config.emails:
            sns.TopicSubscription(
                f"{name}-{address}",
                topic=topic.arn,
                protocol="email",
                endpoint=address,
                opts=child,
            )
        return topic.arn


def _measured(signal: Signal) -> dict[str, Any]:
    """The alarm's metric, or the share of one metric in another."""
    if signal.share_of is None:
        return {
            "namespace": signal.namespace,
            "metric_name": signal.metric,
            "dimensions": signal.dimensions,
            "statistic": signal.statistic,
            "period": signal.period,
        }

    def query(identity: str, metric: str) -> cloudwatch.MetricAlarmMetricQueryArgs:
        return cloudwatch.MetricAlarmMetricQueryArgs(
            id=identity,
            metric=cloudwatch.MetricAlarmMetricQueryMetricArgs(
                namespace=signal.namespace,
                metric_name=metric,
                dimensions=signal.dimensions,
                period=signal.period,
                stat=signal.statistic,
            ),
        )

    share = cloudwatch.MetricAlarmMetricQueryArgs(
        id="share", expression="100 * FILL(part, 0) / whole", label=f"{signal.name} in percent", return_data=True
    )
    return {"metric_queries": [share, query("part", signal.metric), query("whole", signal.share_of)]}


NOTICES: Final = (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
"""(what is compared, percent of the limit) of each notice."""


@dataclass(frozen=True, kw_only=True)
class MonthlyBudgetArgs:
    """Arguments: the cluster whose tag is on what is billed, USD a month, and who is told."""

    stack_names: names.StackNames
    limit_usd: int
    emails: Sequence[str]


class MonthlyBudget(pulumi.ComponentResource):
    """A monthly budget of what carries the stack's tag ``cluster``.

    The tag is in bills once the account has activated it for cost allocation; until then the budget counts nothing.
    Source: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/activating-tags.html
    """

    def __init__(self, name: str, args: MonthlyBudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:MonthlyBudget", name, None, opts)
        budgets.Budget(
            f"{name}-monthly",
            name=args.stack_names.budget,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(args.limit_usd),
            limit_unit="USD",
            cost_filters=[
                budgets.BudgetCostFilterArgs(name="TagKeyValue", values=[f"user:cluster${args.stack_names.cluster}"])
            ],
            notifications=[
                budgets.BudgetNotificationArgs(
                    notification_type=kind,
                    comparison_operator="GREATER_THAN",
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                    subscriber_email_addresses=list(args.emails),
                )
                for kind, percent in NOTICES
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
