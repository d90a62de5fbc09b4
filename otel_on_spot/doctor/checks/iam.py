"""What policy documents allow, as far as the doctor decides it: actions and resources with wild cards, no conditions."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

Document = Mapping[str, Any]


def statements(document: Document) -> list[Mapping[str, Any]]:
    """The statements of a document; one alone may stand without a list."""
    found = document.get("Statement") or []
    return [found] if isinstance(found, Mapping) else list(found)


def listed(value: Any) -> Sequence[str]:
    """One text or a list of texts, as a list."""
    return [value] if isinstance(value, str) else list(value or ())


def allows(documents: Iterable[Document], action: str, resource: str) -> bool:
    """Whether a statement allows the action on the resource and none denies it; conditions are not looked at.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    effects = {
        statement.get("Effect")
        for document in documents
        for statement in statements(document)
        if any(fnmatchcase(action.lower(), one.lower()) for one in listed(statement.get("Action")))
        and any(fnmatchcase(resource, one) for one in listed(statement.get("Resource")))
    }
    return "Allow" in effects and "Deny" not in effects


def may_send(policy: Document, queue_arn: str, rule_arn: str) -> bool:
    """Whether EventBridge may send to the queue for this rule: by its principal, and by the source where one is asked for.

    A Deny counts only where it has no condition: ours asks for TLS, which EventBridge uses.
    """
    granted = False
    for statement in statements(policy):
        if not any(fnmatchcase("sqs:sendmessage", one.lower()) for one in listed(statement.get("Action"))):
            continue
        if not any(fnmatchcase(queue_arn, one) for one in listed(statement.get("Resource"))):
            continue
        if statement.get("Effect") == "Deny":
            if not statement.get("Condition"):
                return False
            continue
        granted = granted or (_events(statement.get("Principal")) and _from(statement.get("Condition") or {}, rule_arn))
    return granted


def _events(principal: Any) -> bool:
    services = listed(principal.get("Service")) if isinstance(principal, Mapping) else [principal]
    return any(one in ("events.amazonaws.com", "*") for one in services)


def _from(condition: Mapping[str, Any], rule_arn: str) -> bool:
    """Whether conditions on the source ARN admit the rule; other conditions are not looked at."""
    for operator, values in condition.items():
        for key, wanted in values.items():
            if key.lower() != "aws:sourcearn":
                continue
            matches = any(
                fnmatchcase(rule_arn, one) if "Like" in operator or operator.startswith("Arn") else rule_arn == one
                for one in listed(wanted)
            )
            if not matches:
                return False
    return True
