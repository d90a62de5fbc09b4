"""Events on their way to a queue, checked against the queue's policy, which moto 5.2.5 does not look at."""

import json
from dataclasses import dataclass
from typing import Any

from moto.events.models import EventPattern

from otel_on_spot.iam import EVENTS, may_send
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.handler import Site


@dataclass(frozen=True)
class Delivery:
    """Delivery of an event to one target of one rule that matches it. ``refused`` is the reason for a drop."""

    rule: str
    target: str
    refused: str = ""


def deliver(site: Site, event: Any) -> list[Delivery]:
    """Put an event on the default bus: each matching rule's queues get it where their policy lets the rule send.

    As AWS does, a refused delivery is dropped; nobody is told but the caller of this function.
    """
    events = site.client("events")
    deliveries: list[Delivery] = []
    for rule in events.list_rules()["Rules"]:
        pattern = EventPattern.load(rule["EventPattern"])
        if rule["State"] != "ENABLED" or not pattern.matches_event(event):
            continue
        for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
            why = _send(site, rule["Arn"], target["Arn"], event)
            deliveries.append(Delivery(rule["Name"], target["Arn"], why))
    return deliveries


def _send(site: Site, rule_arn: str, target: str, event: Any) -> str:
    if ":sqs:" not in target:
        raise ApiError("NotSimulated", f"{target}: only queues are simulated as targets")
    sqs, name = site.client("sqs"), target.rpartition(":")[2]
    try:
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist:
        return f"no queue named {name}"
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    if attributes.get("KmsMasterKeyId") == "alias/aws/sqs":
        return "EventBridge may not use the key alias/aws/sqs"
    why = why_refused(attributes.get("Policy") or "", target, rule_arn)
    if not why:
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(event))
    return why


def why_refused(policy: str, queue_arn: str, rule_arn: str) -> str:
    """The reason for which a queue's policy keeps EventBridge from sending for a rule; empty where it may."""
    if not policy:
        return "the queue has no policy"
    decision = may_send(policy, queue_arn, rule_arn)
    if decision.outcome == "explicitly denied" and decision.statement is not None:
        return f"denied by {decision.statement.get('Sid', 'a statement')}"
    unmet = f" ({decision.unmet})" if decision.unmet else ""
    return "" if decision else f"no statement allows {EVENTS} to send for {rule_arn}{unmet}"
