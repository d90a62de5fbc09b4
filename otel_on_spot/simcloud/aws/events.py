"""EventBridge rules and targets; SQS queues and their policies."""

import json
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError
from typing_extensions import override

from otel_on_spot.simcloud.api_errors import ApiError, refuse
from otel_on_spot.simcloud.aws import principals
from otel_on_spot.simcloud.handler import Call, Handler, Rewritten, Seconds, Site, all_tags, own_tags, tag_list, tags_of
from otel_on_spot.simcloud.properties import Properties

REUSE_SECONDS = 60
"""A queue's name is free again this long after its deletion; the provider retries until then.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
"""

ATTRIBUTES = {
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "delaySeconds": "DelaySeconds",
    "maxMessageSize": "MaximumMessageSize",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
}


RANGES = {
    "MessageRetentionPeriod": (60, 1209600),
    "VisibilityTimeout": (0, 43200),
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, 1048576),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "KmsDataKeyReusePeriodSeconds": (60, 86400),
}
"""Smallest and greatest value of an attribute: the model has them as text.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
"""


PATTERN_LENGTH, TARGETS_OF_A_RULE = 2048, 5
"""Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html"""


TARGET_SERVICES = frozenset(
    {
        *("apigateway", "appsync", "batch", "codebuild", "codepipeline", "ecs", "events", "execute-api", "firehose"),
        *("glue", "imagebuilder", "inspector", "kinesis", "lambda", "logs", "redshift", "redshift-serverless"),
        *("sagemaker", "sns", "sqs", "ssm", "ssm-incidents", "states"),
    }
)
"""Services whose resources a rule leads to.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html
"""


class EventRule(Handler):
    """A rule on the default event bus."""

    token = "aws:cloudwatch/eventRule:EventRule"
    taggable = True
    seconds = Seconds(2, 1, 1)
    removed_by = ("events", "delete_rule", "Name")

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        return self.identity(call.site, inputs), {"arn": self._put(call, inputs)}

    def _put(self, call: Call, inputs: Properties) -> str:
        if not inputs.get("eventPattern"):
            raise ApiError("ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.")
        text, opening = inputs["eventPattern"], "Event pattern is not valid. Reason"
        refuse(
            (len(text) > PATTERN_LENGTH, f"{opening}: it has {len(text)} of {PATTERN_LENGTH} characters"),
            ("".join(text.split()) == "{}", f"{opening}: Empty pattern is not allowed"),
            code="InvalidEventPatternException",
        )
        made = call.site.client("events").put_rule(
            Name=inputs["name"],
            EventPattern=inputs["eventPattern"],
            Description=inputs.get("description") or "",
            State=inputs.get("state") or "ENABLED",
            Tags=tag_list(all_tags(call.site, inputs)),
        )
        return made["RuleArn"]

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        events = call.site.client("events")
        rule = events.describe_rule(Name=identity)
        tags = tags_of(events.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"])
        return {
            "eventPattern": rule["EventPattern"],
            "description": rule.get("Description") or "",
            "state": rule["State"],
            **own_tags(call.site, state, tags),
        }

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        arn = self._put(call, new)  # of a rule that is there it leaves the tags
        self.retag(call, state, new, "events", ResourceARN=arn)


class EventTarget(Rewritten):
    """A target of a rule's events."""

    token = "aws:cloudwatch/eventTarget:EventTarget"
    seconds = Seconds(2, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        targets = call.site.client("events").list_targets_by_rule(Rule=inputs["rule"])["Targets"]
        ids = {*(target["Id"] for target in targets), inputs["targetId"]}
        told = "The requested resource exceeds the maximum number allowed."
        refuse((len(ids) > TARGETS_OF_A_RULE, told), code="LimitExceededException")
        to, home = inputs["arn"], call.site.region
        _, partition, service, region, *_ = f"{to}:::".split(":")
        opening, unknown = f"Parameter {to} is not valid. Reason", service not in TARGET_SERVICES
        refuse(
            (partition != call.site.scope.partition or unknown, f"{opening}: Provided Arn is not in correct format."),
            (service == "sqs" and region != home, f"{opening}: a queue is of the rule's own region, {home}"),
            code="ValidationException",
        )
        answer = call.site.client("events").put_targets(
            Rule=inputs["rule"], Targets=[{"Id": inputs["targetId"], "Arn": inputs["arn"]}]
        )
        if answer.get("FailedEntryCount"):
            raise ApiError("FailedEntry", json.dumps(answer["FailedEntries"]))
        return self.identity(call.site, inputs), {}

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        for target in call.site.client("events").list_targets_by_rule(Rule=state["rule"])["Targets"]:
            if target["Id"] == state["targetId"]:
                return {"arn": target["Arn"]}
        return None

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("events").remove_targets(Rule=state["rule"], Ids=[state["targetId"]])


def moto_url(site: Site, url: str) -> str:
    """The URL that moto gives the queue with this URL."""
    return f"{site.cloud.moto.url}/{'/'.join(url.split('/')[-2:])}"


class Queue(Handler):
    """An SQS queue. moto frees a deleted queue's name at once; AWS after a minute, and so do we."""

    token = "aws:sqs/queue:Queue"
    taggable = True
    seconds = Seconds(25, 5, 60)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        name, sqs = inputs["name"], call.site.client("sqs")
        rule = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        refuse((name.endswith(".fifo"), rule), code="InvalidParameterValue")
        gone = call.site.cloud.tables.get("deleted-queues", f"{call.site.region}/{name}")
        if gone and call.site.cloud.clock.scale:
            elapsed = (time.time() - gone["at"]) / call.site.cloud.clock.scale
            call.spend(max(0.0, REUSE_SECONDS - elapsed))
        try:
            sqs.get_queue_url(QueueName=name)
        except ClientError:
            pass
        else:
            raise ApiError("QueueAlreadyExists", f"A queue named {name} already exists")
        sqs.create_queue(QueueName=name, Attributes=self._attributes(inputs), tags=all_tags(call.site, inputs))
        # moto's URL changes with its port, and a state that outlives moto must not.
        url = self.identity(call.site, inputs)
        return url, {
            "arn": self.arn(call.site, url, inputs),
            "url": url,
            "policy": "",
            "kmsDataKeyReusePeriodSeconds": inputs.get("kmsDataKeyReusePeriodSeconds") or 300,
        }

    @staticmethod
    def _attributes(inputs: Properties) -> dict[str, str]:
        wanted = {there: inputs[here] for here, there in ATTRIBUTES.items() if inputs.get(here) is not None}
        refuse(
            *(
                (
                    name in wanted and not least <= int(wanted[name]) <= most,
                    f"Invalid value for the parameter {name}: {least} to {most} are allowed",
                )
                for name, (least, most) in RANGES.items()
            ),
            code="InvalidAttributeValue",
        )
        twice = "You can use one type of server-side encryption (SSE) at one time: KMS or SQS."
        both = wanted.get("SqsManagedSseEnabled") and wanted.get("KmsMasterKeyId")
        refuse((both, twice), code="InvalidAttributeName")
        return {k: str(v).lower() if isinstance(v, bool) else _number(v) for k, v in wanted.items()}

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        sqs, url = call.site.client("sqs"), moto_url(call.site, identity)
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        seen = {here: _plain(found[there]) for here, there in ATTRIBUTES.items() if there in found and here in state}
        tags = sqs.list_queue_tags(QueueUrl=url).get("Tags", {})
        return {**seen, "policy": found.get("Policy", ""), **own_tags(call.site, state, tags)}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        url = moto_url(call.site, identity)
        call.site.client("sqs").set_queue_attributes(QueueUrl=url, Attributes=self._attributes(new))
        self.retag(call, state, new, "sqs", "queue", QueueUrl=url)

    @override
    def tags_as_sent(self, tags: Mapping[str, str]) -> Mapping[str, str]:
        return tags

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("sqs").delete_queue(QueueUrl=moto_url(call.site, identity))
        call.site.cloud.tables.put("deleted-queues", f"{call.site.region}/{state['name']}", {"at": time.time()})


def _number(value: Any) -> str:
    """The text of an attribute: a whole number has no fraction, whatever the engine made of it."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _plain(value: str) -> Any:
    return value == "true" if value in ("true", "false") else int(value) if value.isdigit() else value


class QueuePolicy(Rewritten):
    """The policy of a queue."""

    token = "aws:sqs/queuePolicy:QueuePolicy"
    seconds = Seconds(25, 25, 5)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        self._set(call, inputs["queueUrl"], inputs["policy"])
        return inputs["queueUrl"], {}

    @staticmethod
    def _set(call: Call, url: str, policy: str) -> None:
        if policy and (unknown := principals.unknown(call.site, policy)):
            raise ApiError(
                "InvalidAttributeValue", f"Invalid value for the parameter Policy: principals {', '.join(unknown)}"
            )
        call.site.client("sqs").set_queue_attributes(QueueUrl=moto_url(call.site, url), Attributes={"Policy": policy})

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        url = moto_url(call.site, identity)
        answer = call.site.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        policy = answer.get("Attributes", {}).get("Policy")
        return {"policy": policy} if policy else None

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        self._set(call, identity, "")
