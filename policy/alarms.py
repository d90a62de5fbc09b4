"""Rules about the topic that alarms go to."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from policy.stack import Resource, denies_plain_http, each, statements
from policy.values import at, items, may, may_be, may_be_set, may_hold

TOPIC: Final = "aws:sns/topic:Topic"


def _of_one_account(row: Mapping[str, Any]) -> bool:
    """True where a condition of the statement names the account of who publishes."""
    return any(
        may_be_set(account)
        for condition in row.get("Condition", [])
        for operator in ("StringEquals", "ArnEquals", "ArnLike")
        for account in items(at(condition, operator, "aws:SourceAccount"))
    )


@each(TOPIC)
def topic_takes_this_accounts_alarms(topic: Resource) -> Iterator[str]:
    """Encrypted with a key that CloudWatch may use; published to over TLS, by alarms of one account, by nobody else."""
    if not may(topic.at("kmsMasterKeyId"), lambda key: isinstance(key, str) and bool(key) and "alias/aws/" not in key):
        yield "not encrypted with a key of the stack's own"
    document = topic.document("policy")
    if not denies_plain_http(document, "sns:Publish"):
        yield "plain HTTP is not denied"
    for row in statements(document, "Allow"):
        for action in row.get("Action", []):
            if not may_be(action, "sns:Publish"):
                yield f"allows {action}"
        for principal in row.get("Principal", []):
            if not may_hold(at(principal, "Service"), "cloudwatch.amazonaws.com"):
                yield f"allows {principal}"
        if not _of_one_account(row):
            yield "alarms of any account may publish"
