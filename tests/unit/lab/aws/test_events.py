"""Events have the shapes that rules match and Karpenter reads, and travel only where rules and policies let them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra import documents
from infra.karpenter.interruption import EVENTS
from otel_on_spot.lab.aws import events
from otel_on_spot.lab.aws.endpoint import Endpoint
from otel_on_spot.lab.aws.events import put_event
from tests.unit.lab.aws.conftest import REGION

INSTANCE = "i-0123456789abcdef0"
MADE = {
    "spot-interruption": events.spot_interruption(REGION, INSTANCE),
    "rebalance": events.rebalance_recommendation(REGION, INSTANCE),
    "state-change": events.state_change(REGION, INSTANCE, "stopping"),
    "scheduled-change": events.health_event(REGION, INSTANCE),
    "capacity-reservation": events.capacity_reservation_interruption(REGION, INSTANCE),
}
QUEUE = f"arn:aws:sqs:{REGION}:123456789012:interruption"


@pytest.fixture
def queue(aws: Endpoint) -> Iterator[str]:
    """The program's five rules, its queue and its queue's policy."""
    sqs, bus = aws.client("sqs"), aws.client("events")
    url = sqs.create_queue(QueueName="interruption")["QueueUrl"]
    arns = []
    for name, pattern in EVENTS.items():
        arns.append(bus.put_rule(Name=name, EventPattern=json.dumps(pattern), State="ENABLED")["RuleArn"])
        bus.put_targets(Rule=name, Targets=[{"Id": "karpenter", "Arn": QUEUE}])
    policy = json.dumps(documents.queue_policy(QUEUE, arns))
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    yield url
    for name in EVENTS:
        bus.remove_targets(Rule=name, Ids=["karpenter"])
        bus.delete_rule(Name=name)
    sqs.delete_queue(QueueUrl=url)


def received(aws: Endpoint, url: str) -> list[dict[str, Any]]:
    got = aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0)
    return [json.loads(message["Body"]) for message in got.get("Messages", [])]


def test_there_is_an_event_for_every_rule_of_the_program() -> None:
    assert MADE.keys() == EVENTS.keys()


@pytest.mark.parametrize("rule", EVENTS)
def test_an_event_arrives_through_its_own_rule_and_no_other(aws: Endpoint, queue: str, rule: str) -> None:
    assert [(d.rule, d.refused) for d in put_event(aws, MADE[rule])] == [(rule, "")]
    assert received(aws, queue) == [MADE[rule]]


@pytest.mark.parametrize("rule", EVENTS)
def test_without_its_rule_an_event_goes_nowhere(aws: Endpoint, queue: str, rule: str) -> None:
    aws.client("events").disable_rule(Name=rule)
    assert put_event(aws, MADE[rule]) == []
    assert received(aws, queue) == []


def test_a_queue_whose_policy_does_not_name_the_rule_gets_nothing(aws: Endpoint, queue: str) -> None:
    narrowed = json.dumps(documents.queue_policy(QUEUE, ["arn:aws:events:eu-west-1:123456789012:rule/another"]))
    aws.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": narrowed})
    delivery = put_event(aws, MADE["spot-interruption"])[0]
    assert "no statement allows events.amazonaws.com to send" in delivery.refused
    assert received(aws, queue) == []


def test_events_name_their_instance_where_karpenter_looks() -> None:
    """Source: Karpenter's pkg/controllers/interruption/messages."""
    for name, event in MADE.items():
        detail = event["detail"]
        entities = [affected_entity["entityValue"] for affected_entity in detail.get("affectedEntities", [])]
        assert (entities or [detail["instance-id"]]) == [INSTANCE], name
        assert event["version"] == "0"
    assert (MADE["scheduled-change"]["detail"]["service"], MADE["scheduled-change"]["detail"]["eventTypeCategory"]) == (
        "EC2",
        "scheduledChange",
    )


def put(aws: Endpoint) -> None:
    """An event as a user of the bus puts it."""
    told = MADE["spot-interruption"]
    entry = {"Source": told["source"], "DetailType": told["detail-type"], "Detail": json.dumps(told["detail"])}
    answer = aws.client("events").put_events(Entries=[{**entry, "Resources": told["resources"]}])
    assert answer["FailedEntryCount"] == 0


def test_a_users_event_arrives_with_what_the_rule_asks_for(aws: Endpoint, queue: str) -> None:
    put(aws)
    (got,) = received(aws, queue)
    assert {key: got[key] for key in ("source", "detail-type", "resources", "detail")} == {
        key: MADE["spot-interruption"][key] for key in ("source", "detail-type", "resources", "detail")
    }


def test_a_users_event_is_dropped_where_the_queues_policy_or_a_disabled_rule_says_so(aws: Endpoint, queue: str) -> None:
    aws.client("events").disable_rule(Name="spot-interruption")
    put(aws)
    aws.client("events").enable_rule(Name="spot-interruption")
    aws.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
    put(aws)
    assert received(aws, queue) == []
