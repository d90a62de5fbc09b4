"""CloudWatch alarms, SNS topics and their subscriptions by moto; AWS budgets in a table. No alarm is evaluated here."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from typing_extensions import override

from otel_on_spot.program.resource_types import ProviderScope
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.aws import principals
from otel_on_spot.simcloud.handler import Call, Handler, Kept, Seconds, Site, all_tags, own_tags, tag_list, tags_of
from otel_on_spot.simcloud.properties import Properties
from otel_on_spot.simcloud.service_model import in_aws_form, in_provider_form

ACTIONS: Final = ("alarmActions", "okActions", "insufficientDataActions")
ARGUMENTS: Final = (
    *("alarmDescription", "actionsEnabled", *ACTIONS, "comparisonOperator", "threshold", "evaluationPeriods"),
    *("treatMissingData", "namespace", "metricName", "statistic", "period"),
)
"""Arguments that PutMetricAlarm takes and DescribeAlarms answers as they are."""


PERIODS: Final = (10, 20, 30)
"""Periods shorter than a minute; a longer one is a whole number of minutes."""
LONGEST: Final = {False: 86_400, True: 604_800}
"""Seconds that an alarm looks back, with periods of an hour and more a week."""
MISSING: Final = ("breaching", "notBreaching", "ignore", "missing")


def _refused(inputs: Properties) -> Iterator[str]:
    """What CloudWatch refuses of an alarm beyond its model; moto takes any.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    """
    queries, periods = inputs.get("metricQueries") or [], int(inputs.get("evaluationPeriods") or 1)
    if queries and any(inputs.get(key) for key in ("metricName", "namespace", "statistic", "period", "dimensions")):
        yield "An alarm is on a metric, or on Metrics: not both."
    if not queries:
        for key in ("metricName", "namespace", "statistic", "period"):
            if not inputs.get(key):
                yield f"The parameter {key[0].upper() + key[1:]} is required where there are no Metrics."
    elif (returned := sum(bool(query.get("returnData")) for query in queries)) != 1:
        yield f"Exactly one element of the metrics list should return data: {returned} do."
    for period in (*([inputs["period"]] if inputs.get("period") else []), *_periods(queries)):
        seconds = int(period)
        if seconds not in PERIODS and seconds % 60:
            yield f"Period must be 10, 20, 30 or a multiple of 60: {seconds}"
        if seconds * periods > LONGEST[seconds >= 3600]:
            yield f"Metrics cannot be checked across more than {LONGEST[seconds >= 3600] // 86_400} day(s)"
    for query in queries:
        if not re.fullmatch("[a-z][a-zA-Z0-9_]{0,254}", query["id"]):
            yield f"Invalid id {query['id']}: it begins with a small letter"
    if inputs.get("treatMissingData") not in (None, *MISSING):
        yield f"TreatMissingData {inputs['treatMissingData']} is none of {', '.join(MISSING)}"


QUERY: Final = frozenset({"id", "expression", "label", "returnData", "metric"})
METRIC: Final = frozenset({"namespace", "metricName", "dimensions", "period", "stat"})
"""Arguments of a query, and of a metric in it, that are sent."""


def _unknown(queries: list[Properties]) -> Iterator[str]:
    for query in queries:
        for block, known in ((query, QUERY), (query.get("metric") or {}, METRIC)):
            yield from (key for key, value in block.items() if value is not None and key not in known)


def _periods(queries: list[Properties]) -> list[Any]:
    return [query["metric"]["period"] for query in queries if query.get("metric")]


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
        if unknown := sorted(_unknown(inputs.get("metricQueries") or [])):
            raise ApiError(
                "NotSimulated", f"{', '.join(unknown)} of a metric query: the simulated cloud does not know it"
            )
        if problem := next(_refused(inputs), ""):
            raise ApiError("ValidationError", problem)
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
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        self._put(call, new)
        self.retag(call, state, new, "cloudwatch", ResourceARN=state["arn"])

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
    removed_by = ("sns", "delete_topic", "TopicArn")

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
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        self._set(call, identity, new, old)
        self.retag(call, state, new, "sns", ResourceArn=identity)


ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


class TopicSubscription(Handler):
    """A subscription by e-mail. It waits for its confirmation, and for nobody's."""

    token = "aws:sns/topicSubscription:TopicSubscription"
    seconds = Seconds(1, 1, 1)
    removed_by = ("sns", "unsubscribe", "SubscriptionArn")

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        if not ADDRESS.fullmatch(inputs["endpoint"]):
            raise ApiError("InvalidParameter", "Invalid parameter: Email address")
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


class Budget(Kept):
    """A budget of the account, by its name. moto knows no change of one, no tags and no subscribers."""

    token = "aws:budgets/budget:Budget"
    table = "budgets"
    kept = ("budgetType", "timeUnit", "limitAmount", "limitUnit", "costFilters", "notifications")
    missing = ("NotFoundException", "Unable to delete budget: {} - the budget doesn't exist.")
    seconds = Seconds(2, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        name, account = inputs["name"], call.site.cloud.account
        self._hold(call.site, "CreateBudget", "Budget", inputs, ResourceTags=tag_list(all_tags(call.site, inputs)))
        if call.site.cloud.tables.get(self.table, name):
            raise ApiError("DuplicateRecordException", f"Error creating budget: {name} - the budget already exists.")
        self.keep(call, name, inputs)
        return self.identity(call.site, inputs), {"accountId": account, "arn": self.arn(call.site, name, inputs)}

    @staticmethod
    def _hold(site: Site, operation: str, member: str, inputs: Properties, **more: Any) -> None:
        if problem := next(_refused_budget(inputs), None):
            raise problem
        account = {"AccountId": site.cloud.account}
        site.hold("budgets", operation, {**account, member: _as_asked(inputs), **more})
        for notification, subscribers in _notifications(inputs):
            told = {"BudgetName": inputs["name"], "Notification": notification, "Subscribers": subscribers}
            site.hold("budgets", "CreateNotification", {**account, **told})

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        self._hold(call.site, "UpdateBudget", "NewBudget", new)
        self.keep(call, identity.rpartition(":")[2], new)


NOTICES: Final = 5
SUBSCRIBERS: Final = 10
"""Of a budget, and by e-mail of a notice.

Source: https://docs.aws.amazon.com/cost-management/latest/userguide/management-limits.html
"""
FILTERS: Final = frozenset(
    {
        *("AZ", "BillingEntity", "CacheEngine", "CostCategory", "DatabaseEngine", "InstanceType", "InstanceTypeFamily"),
        *("InvoicingEntity", "LegalEntityName", "LinkedAccount", "Operation", "OperatingSystem", "PurchaseType"),
        *("Region", "ReservationId", "SavingsPlanArn", "Service", "TagKeyValue", "UsageType", "UsageTypeGroup"),
    }
)
"""Source: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_Budget.html (CostFilters)"""


def _refused_budget(inputs: Properties) -> Iterator[ApiError]:
    """What AWS Budgets refuses beyond its model: amounts, filters, notices."""
    invalid, notices = "InvalidParameterException", list(_notifications(inputs))
    try:
        amount = Decimal(str(inputs["limitAmount"]))
    except InvalidOperation:
        amount = Decimal(0)
    if amount <= 0:
        yield ApiError(invalid, f"The budget limit {inputs['limitAmount']} is no positive number")
    for row in inputs.get("costFilters") or ():
        if row["name"] not in FILTERS:
            yield ApiError(invalid, f"Unsupported filter key: {row['name']}")
    if len(notices) > NOTICES:
        yield ApiError("CreationLimitExceededException", f"A budget has at most {NOTICES} notifications")
    told = [tuple(sorted((key, str(value)) for key, value in notice.items())) for notice, _ in notices]
    if len(set(told)) < len(told):
        yield ApiError("DuplicateRecordException", "A notification of the budget is listed twice")
    for _, subscribers in notices:
        addresses = [row["Address"] for row in subscribers if row["SubscriptionType"] == "EMAIL"]
        if len(addresses) > SUBSCRIBERS:
            yield ApiError("CreationLimitExceededException", f"At most {SUBSCRIBERS} addresses get a notification")
        for address in addresses:
            if not ADDRESS.fullmatch(address):
                yield ApiError(invalid, f"Invalid email address: {address}")


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
