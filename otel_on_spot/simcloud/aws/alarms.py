"""CloudWatch alarms, SNS topics and their subscriptions by moto; AWS budgets in a table. No alarm is evaluated here."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from typing_extensions import override

from otel_on_spot.program.resource_types import ProviderScope
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.aws import principals
from otel_on_spot.simcloud.handler import Call, Handler, Seconds, Site, all_tags, gone_tags, own_tags, tag_list, tags_of
from otel_on_spot.simcloud.properties import Properties
from otel_on_spot.simcloud.service_model import in_aws_form, in_provider_form

ACTIONS: Final = ("alarmActions", "okActions", "insufficientDataActions")
ARGUMENTS: Final = (
    *("alarmDescription", "actionsEnabled", *ACTIONS, "comparisonOperator", "threshold", "evaluationPeriods"),
    *("treatMissingData", "namespace", "metricName", "statistic", "period"),
)
"""Arguments that PutMetricAlarm takes and DescribeAlarms answers as they are."""


class MetricAlarm(Handler):
    """An alarm. AWS takes no action in another region or partition, moto does."""

    token = "aws:cloudwatch/metricAlarm:MetricAlarm"
    taggable = True
    seconds = Seconds(1, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        cloudwatch = call.site.client("cloudwatch")
        if cloudwatch.describe_alarms(AlarmNames=[inputs["name"]])["MetricAlarms"]:
            raise ApiError("AlreadyExists", f'CloudWatch metric alarm "{inputs["name"]}" already exists')
        self._put(call, inputs)
        return self.identity(call.site, inputs), {"arn": self.arn(call.site, inputs["name"], inputs)}

    def _put(self, call: Call, inputs: Properties) -> None:
        self._within_reach(call.site.scope, inputs)
        asked = in_aws_form("cloudwatch", "PutMetricAlarmInput", {key: inputs.get(key) for key in ARGUMENTS})
        if inputs.get("dimensions"):
            asked["Dimensions"] = _dimensions(inputs["dimensions"])
        if inputs.get("metricQueries"):
            asked["Metrics"] = [_query(query) for query in inputs["metricQueries"]]
        call.site.client("cloudwatch").put_metric_alarm(
            AlarmName=inputs["name"], Tags=tag_list(all_tags(call.site, inputs)), **asked
        )

    @staticmethod
    def _within_reach(scope: ProviderScope, inputs: Properties) -> None:
        """Hold the actions against region and partition, in AWS's words.

        Sources: https://github.com/cds-snc/notification-terraform/pull/128 (region),
        https://github.com/aws-samples/amazon-cloudwatch-auto-alarms/issues/61 (partition)

        Raises:
            ApiError: an action is of another partition or region.
        """
        for arn in (arn for key in ACTIONS for arn in inputs.get(key) or []):
            _, partition, _, region, *_ = f"{arn}:::".split(":")
            for what, given, only in (
                ("partition", partition, scope.partition),
                ("region", region, scope.region),
            ):
                if given != only:
                    raise ApiError("ValidationError", f"Invalid {what} {given} specified. Only {only} is supported.")

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        cloudwatch = call.site.client("cloudwatch")
        for alarm in cloudwatch.describe_alarms(AlarmNames=[identity])["MetricAlarms"]:
            listed = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
            told = in_provider_form(alarm)
            found = {key: told[key] for key in ARGUMENTS if key in told and key in state}
            if alarm.get("Dimensions"):
                found["dimensions"] = {row["Name"]: row["Value"] for row in alarm["Dimensions"]}
            if alarm.get("Metrics"):
                found["metricQueries"] = [_as_declared(query) for query in alarm["Metrics"]]
            return {**found, **own_tags(call.site, state, tags_of(listed))}
        return None

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        self._put(call, new)
        cloudwatch, arn = call.site.client("cloudwatch"), state["arn"]
        wanted = all_tags(call.site, new)
        if gone := gone_tags(call.site, state, new):
            cloudwatch.untag_resource(ResourceARN=arn, TagKeys=gone)
        cloudwatch.tag_resource(ResourceARN=arn, Tags=tag_list(wanted))
        return {key: new[key] for key in (*ARGUMENTS, "dimensions", "metricQueries") if key in new}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("cloudwatch").delete_alarms(AlarmNames=[identity])


def _dimensions(given: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in given.items()]


def _query(query: Properties) -> dict[str, Any]:
    """A query as PutMetricAlarm takes it."""
    asked: dict[str, Any] = {"Id": query["id"], "ReturnData": bool(query.get("returnData"))}
    asked |= {
        member: query[key] for key, member in (("expression", "Expression"), ("label", "Label")) if query.get(key)
    }
    if metric := query.get("metric"):
        measured = {
            "Namespace": metric["namespace"],
            "MetricName": metric["metricName"],
            "Dimensions": _dimensions(metric.get("dimensions") or {}),
        }
        asked["MetricStat"] = {"Metric": measured, "Period": int(metric["period"]), "Stat": metric["stat"]}
    return asked


def _as_declared(query: Mapping[str, Any]) -> Properties:
    """A query as the program declares it; what is false or not there is left out, as there."""
    told = in_provider_form(query)
    statistic = told.pop("metricStat", None)
    found: Properties = {key: value for key, value in told.items() if value}
    if statistic:
        metric = statistic.pop("metric")
        dimensions = {row["name"]: row["value"] for row in metric["dimensions"]}
        found["metric"] = {**metric, "dimensions": dimensions, **statistic}
    return found


ATTRIBUTES: Final = {"displayName": "DisplayName", "kmsMasterKeyId": "KmsMasterKeyId", "policy": "Policy"}


class Topic(Handler):
    """A standard topic. AWS refuses a policy of services and roles that do not exist; moto takes it."""

    token = "aws:sns/topic:Topic"
    taggable = True
    seconds = Seconds(1, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        sns = call.site.client("sns")
        arn = sns.create_topic(Name=inputs["name"], Tags=tag_list(all_tags(call.site, inputs)))["TopicArn"]
        self._set(call, arn, inputs, {})
        return arn, {"arn": arn, "owner": call.site.cloud.account}

    @staticmethod
    def _set(call: Call, arn: str, inputs: Properties, before: Properties) -> None:
        if inputs.get("policy") and (unknown := principals.unknown(call.site, inputs["policy"])):
            raise ApiError(
                "InvalidParameter", f"Invalid parameter: Policy statement principal: {', '.join(map(str, unknown))}"
            )
        for key, attribute in ATTRIBUTES.items():
            # AWS keeps a topic's policy where none is asked for.
            if inputs.get(key) or (key in before and key != "policy"):
                call.site.client("sns").set_topic_attributes(
                    TopicArn=arn, AttributeName=attribute, AttributeValue=inputs.get(key) or ""
                )

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        sns = call.site.client("sns")
        attributes = sns.get_topic_attributes(TopicArn=identity)["Attributes"]
        listed = sns.list_tags_for_resource(ResourceArn=identity)["Tags"]
        found = {key: attributes[name] for key, name in ATTRIBUTES.items() if attributes.get(name)}
        return {**found, **own_tags(call.site, state, tags_of(listed))}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        self._set(call, identity, new, old)
        sns, wanted = call.site.client("sns"), all_tags(call.site, new)
        if gone := gone_tags(call.site, state, new):
            sns.untag_resource(ResourceArn=identity, TagKeys=gone)
        sns.tag_resource(ResourceArn=identity, Tags=tag_list(wanted))
        return {key: new[key] for key in ATTRIBUTES if key in new}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("sns").delete_topic(TopicArn=identity)


class TopicSubscription(Handler):
    """A subscription by e-mail. It waits for its confirmation, and for nobody's."""

    token = "aws:sns/topicSubscription:TopicSubscription"
    seconds = Seconds(1, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        made = call.site.client("sns").subscribe(
            TopicArn=inputs["topic"],
            Protocol=inputs["protocol"],
            Endpoint=inputs["endpoint"],
            ReturnSubscriptionArn=True,
        )
        arn = made["SubscriptionArn"]
        return arn, {"arn": arn, "ownerId": call.site.cloud.account, "pendingConfirmation": True}

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        found = call.site.client("sns").get_subscription_attributes(SubscriptionArn=identity)["Attributes"]
        return {"topic": found["TopicArn"], "endpoint": found["Endpoint"], "protocol": "email"}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("sns").unsubscribe(SubscriptionArn=identity)


TABLE: Final = "budgets"
KEPT: Final = ("budgetType", "timeUnit", "limitAmount", "limitUnit", "costFilters", "notifications")


class Budget(Handler):
    """A budget of the account, by its name. moto knows no change of one, no tags and no subscribers."""

    token = "aws:budgets/budget:Budget"
    taggable = True
    seconds = Seconds(2, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        name, account = inputs["name"], call.site.cloud.account
        self._hold(call.site, "CreateBudget", "Budget", inputs, ResourceTags=tag_list(all_tags(call.site, inputs)))
        if call.site.cloud.tables.get(TABLE, name):
            raise ApiError("DuplicateRecordException", f"Error creating budget: {name} - the budget already exists.")
        self._write(call, name, inputs)
        arn = self.arn(call.site, name, inputs)
        return self.identity(call.site, inputs), {"accountId": account, "arn": arn}

    @staticmethod
    def _hold(site: Site, operation: str, member: str, inputs: Properties, **more: Any) -> None:
        account = {"AccountId": site.cloud.account}
        site.hold("budgets", operation, {**account, member: _as_asked(inputs), **more})
        for notification, subscribers in _notifications(inputs):
            site.hold(
                "budgets",
                "CreateNotification",
                {
                    **account,
                    "BudgetName": inputs["name"],
                    "Notification": notification,
                    "Subscribers": subscribers,
                },
            )

    @staticmethod
    def _write(call: Call, name: str, inputs: Properties) -> None:
        kept = {key: inputs.get(key) for key in KEPT}
        call.site.cloud.tables.put(TABLE, name, {**kept, "tags": all_tags(call.site, inputs)})

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        row = call.site.cloud.tables.get(TABLE, identity.partition(":")[2])
        if row is None:
            return None
        return {**{key: row[key] for key in KEPT}, **own_tags(call.site, state, row["tags"])}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        self._hold(call.site, "UpdateBudget", "NewBudget", new)
        self._write(call, identity.partition(":")[2], new)
        return {key: new.get(key) for key in KEPT}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        name = identity.partition(":")[2]
        if call.site.cloud.tables.remove(TABLE, name) is None:
            raise ApiError("NotFoundException", f"Unable to delete budget: {name} - the budget doesn't exist.")


def _as_asked(inputs: Properties) -> dict[str, Any]:
    """The budget as CreateBudget and UpdateBudget take it."""
    return {
        "BudgetName": inputs["name"],
        "BudgetType": inputs["budgetType"],
        "TimeUnit": inputs["timeUnit"],
        "BudgetLimit": {"Amount": inputs["limitAmount"], "Unit": inputs["limitUnit"]},
        "CostFilters": {row["name"]: row["values"] for row in inputs.get("costFilters") or []},
    }


def _notifications(inputs: Properties) -> Iterator[tuple[dict[str, Any], list[dict[str, str]]]]:
    """Each notice with who gets it, as CreateNotification takes them: the provider makes them one by one."""
    for row in inputs.get("notifications") or []:
        told = {key: row[key] for key in ("notificationType", "comparisonOperator", "threshold", "thresholdType")}
        notification = in_aws_form("budgets", "Notification", told)
        emails = row.get("subscriberEmailAddresses") or []
        topics = row.get("subscriberSnsTopicArns") or []
        yield (
            notification,
            [
                *({"SubscriptionType": "EMAIL", "Address": address} for address in emails),
                *({"SubscriptionType": "SNS", "Address": arn} for arn in topics),
            ],
        )
