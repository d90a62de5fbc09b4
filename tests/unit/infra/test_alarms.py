"""Alarms and budget: what they measure, who is told, and who may publish to the stack's own topic."""

import json
from functools import cache
from typing import Any

import pytest

from infra.karpenter.interruption import EVENTS
from otel_on_spot.iam import allows
from otel_on_spot.plan.record import record
from otel_on_spot.plan.verdict import stack_of
from otel_on_spot.program.recording import Recording
from otel_on_spot.program.resource_types import ProviderScope
from otel_on_spot.project import root
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.aws.alarms import MetricAlarm
from policy.guardrails import violations
from tests.unit.conftest import recorded

ALARM, TOPIC, KEY = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:sns/topic:Topic", "aws:kms/key:Key"
SUBSCRIPTION, BUDGET = "aws:sns/topicSubscription:TopicSubscription", "aws:budgets/budget:Budget"
ACCOUNT, TOPIC_ARN = "111122223333", "arn:aws:sns:eu-west-1:111122223333:otel-dev-alarms"
ON_CALL = "arn:aws:sns:eu-west-1:444455556666:on-call"
CLOUDWATCH = {"Service": "cloudwatch.amazonaws.com"}


@cache
def told_by_email() -> Recording:
    emails = ["on-call@example.com", "second@example.com"]
    more = {"alarms": {"emails": emails}, "costs": {"monthlyLimitUsd": 600, "budgetEmails": emails}}
    return record("dev", config_overrides=more)


def topic_policy() -> Any:
    (topic,) = told_by_email().of_type(TOPIC)
    return topic.inputs["policy"]


def from_alarm(account: str = ACCOUNT, region: str = "eu-west-1", *, tls: bool = True) -> dict[str, Any]:
    return {
        "aws:SourceAccount": account,
        "aws:SourceArn": f"arn:aws:cloudwatch:{region}:{account}:alarm:otel-dev-queue-age",
        "aws:SecureTransport": tls,
    }


def test_only_a_setting_makes_them() -> None:
    assert [recorded("dev").of_type(token) for token in (ALARM, TOPIC, SUBSCRIPTION, BUDGET)] == [()] * 4
    assert "alarmTopic" not in recorded("dev").exports


def test_queue_rules_and_control_plane_are_watched() -> None:
    alarms = {alarm.inputs["name"]: alarm.inputs for alarm in told_by_email().of_type(ALARM)}

    assert set(alarms) == {
        "otel-dev-queue-age",
        "otel-dev-queue-unread",
        *(f"otel-dev-{event}-failed" for event in EVENTS),
        "otel-dev-api-errors",
        "otel-dev-scheduler-errors",
        "otel-dev-api-storage",
    }
    queue = alarms["otel-dev-queue-age"]
    assert (queue["namespace"], queue["metricName"]) == ("AWS/SQS", "ApproximateAgeOfOldestMessage")
    (declared,) = told_by_email().of_type("aws:sqs/queue:Queue")
    assert queue["dimensions"] == {"QueueName": declared.inputs["name"]}
    failed = {
        alarms[f"otel-dev-{event}-failed"]["dimensions"]["RuleName"]
        for event in EVENTS
        if alarms[f"otel-dev-{event}-failed"]["metricName"] == "FailedInvocations"
    }
    rules = told_by_email().of_type("aws:cloudwatch/eventRule:EventRule")
    assert failed == {rule.inputs["name"] for rule in rules}


def test_the_api_servers_errors_are_a_share_of_its_answers() -> None:
    (alarm,) = [made.inputs for made in told_by_email().of_type(ALARM) if "api-errors" in made.name]
    share, *measured = alarm["metricQueries"]

    assert (share["expression"], share["returnData"]) == ("100 * FILL(part, 0) / whole", True)
    assert {query["id"]: query["metric"]["metricName"] for query in measured} == {
        "part": "apiserver_request_total_5XX",
        "whole": "apiserver_request_total",
    }
    assert {query["metric"]["dimensions"]["ClusterName"] for query in measured} == {"otel-dev"}


def test_an_alarm_tells_its_beginning_and_its_end_and_where_to_read_on() -> None:
    for made in told_by_email().of_type(ALARM):
        page = made.inputs["alarmDescription"].rpartition("What to do: ")[2]

        assert made.inputs["alarmActions"] == made.inputs["okActions"] == [TOPIC_ARN]
        assert (root() / page).is_file(), page


def test_silence_is_no_alarm_but_of_the_heartbeat() -> None:
    alarms = {made.inputs["name"].removeprefix("otel-dev-"): made.inputs for made in told_by_email().of_type(ALARM)}
    silent = {name: alarm for name, alarm in alarms.items() if alarm["treatMissingData"] == "breaching"}

    assert set(silent) == {"queue-unread"}
    assert {alarm["treatMissingData"] for name, alarm in alarms.items() if name not in silent} == {"notBreaching"}
    unread = silent["queue-unread"]
    assert (unread["metricName"], unread["comparisonOperator"], unread["threshold"]) == (
        "NumberOfEmptyReceives", "LessThanOrEqualToThreshold", 0,
    )  # fmt: skip
    assert unread["period"] * unread["evaluationPeriods"] == 900


def test_each_address_gets_the_topics_messages() -> None:
    made = told_by_email().of_type(SUBSCRIPTION)

    assert {each.inputs["endpoint"] for each in made} == {"on-call@example.com", "second@example.com"}
    assert {(each.inputs["protocol"], each.inputs["topic"]) for each in made} == {("email", TOPIC_ARN)}
    assert told_by_email().exports["alarmTopic"] == TOPIC_ARN


def test_alarms_of_this_account_and_region_may_publish_over_tls_and_nothing_else_may() -> None:
    def may(context: dict[str, Any], service: str = "cloudwatch.amazonaws.com") -> bool:
        return bool(allows(topic_policy(), "sns:Publish", TOPIC_ARN, context, {"Service": service}))

    assert may(from_alarm())
    assert not may(from_alarm(tls=False))
    assert not may(from_alarm("444455556666"))
    assert not may(from_alarm(region="us-east-1"))
    assert not may(from_alarm(), "events.amazonaws.com")
    assert not may({"aws:SecureTransport": True})
    assert not allows(topic_policy(), "sns:Subscribe", TOPIC_ARN, from_alarm(), CLOUDWATCH)


def test_the_topic_has_a_key_of_its_own_that_alarms_of_this_account_may_use() -> None:
    (key,) = [made for made in told_by_email().of_type(KEY) if "alarms" in made.name]
    (topic,) = told_by_email().of_type(TOPIC)

    def may(account: str, action: str) -> bool:
        return bool(allows(key.inputs["policy"], action, "*", {"aws:SourceAccount": account}, CLOUDWATCH))

    assert topic.inputs["kmsMasterKeyId"] == key.outputs["arn"]
    assert key.inputs["enableKeyRotation"]
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert may(ACCOUNT, action)
        assert not may("444455556666", action)
    assert not may(ACCOUNT, "kms:Encrypt")


def test_a_topic_of_somebody_elses_is_used_as_it_is() -> None:
    recording = record("dev", config_overrides={"alarms": {"topicArn": ON_CALL}})

    assert recording.of_type(TOPIC) == recording.of_type(SUBSCRIPTION) == ()
    assert {arn for alarm in recording.of_type(ALARM) for arn in alarm.inputs["alarmActions"]} == {ON_CALL}


def test_the_budget_is_of_what_has_the_stacks_tag_and_tells_before_the_limit() -> None:
    (made,) = told_by_email().of_type(BUDGET)
    (provider,) = told_by_email().of_type("pulumi:providers:aws")
    notices = {(row["notificationType"], row["threshold"]) for row in made.inputs["notifications"]}

    assert (made.inputs["limitAmount"], made.inputs["limitUnit"], made.inputs["timeUnit"]) == ("600", "USD", "MONTHLY")
    cluster = json.loads(provider.inputs["defaultTags"])["tags"]["cluster"]
    assert made.inputs["costFilters"] == [{"name": "TagKeyValue", "values": [f"user:cluster${cluster}"]}]
    assert notices == {("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)}
    assert {len(row["subscriberEmailAddresses"]) for row in made.inputs["notifications"]} == {2}


def test_the_policy_pack_takes_them() -> None:
    assert violations(stack_of(told_by_email())) == violations(stack_of(recorded("dev")))


@pytest.mark.parametrize(
    ("arn", "told"),
    [
        ("arn:aws:sns:us-east-1:111122223333:x", "Invalid region us-east-1 specified. Only eu-west-1 is supported."),
        ("arn:aws-us-gov:sns:eu-west-1:111122223333:x", "Invalid partition aws-us-gov specified. Only aws is"),
    ],
)
def test_the_simulated_cloud_refuses_a_topic_elsewhere_as_aws_does(arn: str, told: str) -> None:
    with pytest.raises(ApiError, match=told):
        MetricAlarm._within_reach(ProviderScope(), {"alarmActions": [arn]})
