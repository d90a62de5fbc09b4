"""Events on their way to a queue, checked against the queue's policy, which moto 5.2.5 does not look at."""

import fnmatch
import json
from dataclasses import dataclass
from typing import Any

from moto.events.models import EventPattern

from otel_on_spot.simcloud.handler import Site
from otel_on_spot.simcloud.refusal import Refusal

SERVICE = "events.amazonaws.com"


@dataclass(frozen=True)
class Delivery:
    """What became of an event at one target of one rule that matches it. ``refused`` says why it was dropped."""

    rule: str
    target: str
    refused: str = ""


def deliver(site: Site, event: Any) -> list[Delivery]:
    """Put an event on the default bus: each matching rule's queues get it where their policy lets the rule send.

    As AWS does, a refused delivery is dropped; nobody is told but the caller of this function.
    """
    events = site.client("events")
    told: list[Delivery] = []
    for rule in events.list_rules()["Rules"]:
        pattern = EventPattern.load(rule["EventPattern"])
        if rule["State"] != "ENABLED" or not pattern.matches_event(event):
            continue
        for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
            why = _send(site, rule["Arn"], target["Arn"], event)
            told.append(Delivery(rule["Name"], target["Arn"], why))
    return told


def _send(site: Site, rule_arn: str, target: str, event: Any) -> str:
    if ":sqs:" not in target:
        raise Refusal("NotSimulated", f"{target}: only queues are simulated as targets")
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
    """Why a queue's policy keeps EventBridge from sending for a rule; empty where it may.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    """
    if not policy:
        return "the queue has no policy"
    facts = {"aws:SourceArn": rule_arn, "aws:SecureTransport": "true", "aws:SourceAccount": rule_arn.split(":")[4]}
    allowed = False
    for statement in json.loads(policy)["Statement"]:
        if not _about(statement, queue_arn) or not _met(statement.get("Condition") or {}, facts):
            continue
        if statement["Effect"] == "Deny":
            return f"denied by {statement.get('Sid', 'a statement')}"
        allowed = True
    return "" if allowed else f"no statement allows {SERVICE} to send for {rule_arn}"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _about(statement: dict[str, Any], queue_arn: str) -> bool:
    principal = statement.get("Principal")
    services = (
        _listed(principal.get("Service", [])) if isinstance(principal, dict) else [SERVICE] if principal == "*" else []
    )
    actions = [action.lower() for action in _listed(statement["Action"])]
    acts = any(fnmatch.fnmatchcase("sqs:sendmessage", action) for action in actions)
    return (
        SERVICE in services
        and acts
        and any(fnmatch.fnmatchcase(queue_arn, one) for one in _listed(statement["Resource"]))
    )


def _met(conditions: dict[str, Any], facts: dict[str, str]) -> bool:
    """Whether every condition holds; an operator that is not known here does not."""
    for operator, wanted in conditions.items():
        for key, values in wanted.items():
            actual = facts.get(key)
            if operator in ("ArnEquals", "ArnLike", "StringLike", "StringEquals"):
                exact = operator == "StringEquals"
                held = actual is not None and any(
                    actual == v if exact else fnmatch.fnmatchcase(actual, v) for v in _listed(values)
                )
            elif operator == "Bool":
                held = actual is not None and str(values).lower() == actual
            else:
                held = False
            if not held:
                return False
    return True
