"""Facts of the way of an interruption: rules, their targets, the queue. Nothing is received from the queue.

A peek with ReceiveMessage would count against the message and could take it from Karpenter; counts and CloudWatch's age are
harmless.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from otel_on_spot.aws_errors import is_not_found
from otel_on_spot.declared import Declared
from otel_on_spot.doctor.collectors.ec2_facts import pages
from otel_on_spot.doctor.collectors.gathering import Gathered
from otel_on_spot.doctor.facts_aws import Queue, Rule
from otel_on_spot.doctor.facts_kubernetes import QUEUE_VARIABLE

Client = Any
SECOND_LOOK_SECONDS: Final = 2.0
AGE_WINDOW: Final = timedelta(minutes=10)
ATTRIBUTES: Final = [
    "QueueArn",
    "Policy",
    "MessageRetentionPeriod",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
]


def queues(
    sqs: Client, cloudwatch: Client, declared: Declared, sleep: Callable[[float], None] = time.sleep
) -> Callable[[Gathered], tuple[Queue, ...]]:
    """The declared queue, and the one that the controller reads where it is another."""

    def task(gathered: Gathered) -> tuple[Queue, ...]:
        read = {one.environment.get(QUEUE_VARIABLE, "") for one in gathered.wait("controllers") or ()}
        wanted = {declared.interruption_queue} | {name for name in read if name and ":" not in name}
        found = (_queue(sqs, cloudwatch, name, sleep) for name in sorted(wanted))
        return tuple(one for one in found if one is not None)

    return task


def _queue(sqs: Client, cloudwatch: Client, name: str, sleep: Callable[[float], None]) -> Queue | None:
    try:
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        first = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=ATTRIBUTES)["Attributes"]
    except ClientError as problem:
        if is_not_found(problem):
            return None
        raise
    waiting = [int(first.get("ApproximateNumberOfMessages", 0))]
    if waiting[0]:
        sleep(SECOND_LOOK_SECONDS)
        again = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
        waiting.append(int(again["ApproximateNumberOfMessages"]))
    return Queue(
        name=name,
        arn=first["QueueArn"],
        retention_seconds=int(first.get("MessageRetentionPeriod", 0)),
        policy=json.loads(first["Policy"]) if first.get("Policy") else {},
        waiting=tuple(waiting),
        in_flight=int(first.get("ApproximateNumberOfMessagesNotVisible", 0)),
        oldest_seconds=_oldest(cloudwatch, name),
    )


def _oldest(cloudwatch: Client, queue: str) -> float | None:
    """Age of the oldest message in seconds; None where CloudWatch has no datapoint, or may not be asked."""
    now = datetime.now(UTC)
    try:
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Dimensions=[{"Name": "QueueName", "Value": queue}],
            StartTime=now - AGE_WINDOW,
            EndTime=now,
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
    except (ClientError, BotoCoreError):
        return None
    newest = max(points, key=lambda one: one["Timestamp"], default=None)
    return None if newest is None else float(newest["Maximum"])


def rules(events: Client, declared: Declared) -> tuple[Rule, ...]:
    """The declared rules that exist, with their targets."""
    listed = pages(events, "list_rules", "Rules", NamePrefix=f"{declared.cluster}-")
    return tuple(
        Rule(
            name=one["Name"],
            arn=one["Arn"],
            state=one.get("State") or "",
            pattern=json.loads(one.get("EventPattern") or "{}"),
            targets=tuple(
                str(target["Arn"]) for target in pages(events, "list_targets_by_rule", "Targets", Rule=one["Name"])
            ),
        )
        for one in listed
        if one["Name"] in declared.rules
    )
