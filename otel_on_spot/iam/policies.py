"""Policies of one kind, and whether they allow a request.

Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html (order of decisions),
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html (what a statement is about).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import unquote

from otel_on_spot.iam.conditions import Context, Facts, each_unmet, filled_in_arn, like, listed, unmet

Document = Mapping[str, Any] | str | None
"""A policy: a mapping, JSON, JSON in URL form as IAM's API gives it, or nothing."""
Outcome = Literal["allowed", "implicitly denied", "explicitly denied"]
Principal = Mapping[str, str | tuple[str, ...]]
"""Kind -> the names of one caller, the narrowest first: ``{"AWS": (session ARN, role ARN)}``."""


@dataclass(frozen=True)
class Decision:
    """A decision of IAM. True where the request is allowed.

    Attributes:
        outcome: the decision.
        statement: the one that decided; of an implicit denial, the Allow that the fewest conditions kept from it.
        unmet: the first of them, with the value that the request has; empty where there is none.
        policy: the kind of policy that decided, such as ``permissions boundary``; empty where one kind was asked.
        resource: ARN of the resource that it is about; empty where one was asked about.
    """

    outcome: Outcome
    statement: Mapping[str, Any] | None = None
    unmet: str = ""
    policy: str = ""
    resource: str = ""

    def __bool__(self) -> bool:
        return self.outcome == "allowed"


def allows(
    documents: Document | Iterable[Document],
    action: str,
    resource: str | None = None,
    context: Context | Facts | None = None,
    principal: Principal | None = None,
) -> Decision:
    """Decide if policies allow a request. A Deny is never undone; without an Allow the request is denied.

    Args:
        documents: policies that add up, such as those of one role. A permissions boundary is a question of its own.
        action: such as ``sqs:SendMessage``.
        resource: its ARN; None where it is not known: then an Allow counts for whatever it is about, and a Deny only
            where it is about everything.
        context: condition keys; None where they are not known: then an Allow counts whatever its conditions, and a Deny
            only where it has none.
        principal: who asks, such as ``{"Service": "events.amazonaws.com"}`` or ``{"AWS": "arn:…:role/x"}``; a statement
            with a Principal is about nobody else.

    Raises:
        ValueError: a document is no JSON.
    """
    single = documents is None or isinstance(documents, str | Mapping)
    facts = context if context is None or isinstance(context, Facts) else Facts(context)
    allowed, nearest, fewest = None, Decision("implicitly denied"), 0
    for statement, variables in _acting([documents] if single else documents, action):  # ty: ignore[invalid-argument-type]
        denies = statement.get("Effect") == "Deny"
        if not _is_about(statement, resource, principal, facts if variables else None, denies=denies):
            continue
        why = _unmet(statement, facts, variables=variables, denies=denies)
        if denies and not why:
            return Decision("explicitly denied", statement)
        if denies:
            continue
        if not why:
            allowed = allowed or Decision("allowed", statement)
        elif facts is not None:
            missed = sum(1 for _ in each_unmet(statement.get("Condition") or {}, facts, variables=variables))
            if nearest.statement is None or missed < fewest:
                nearest, fewest = Decision("implicitly denied", statement, why), missed
    return allowed or nearest


def granted(
    document_of_resource: Document, action: str, resource: str, facts: Facts, principal: Principal
) -> Iterator[Mapping[str, Any]]:
    """The statements of a resource's policy that allow a request.

    Args:
        document_of_resource: the policy on the resource, such as a queue's or a key's.
        action: such as ``sqs:SendMessage``.
        resource: its ARN.
        facts: condition keys of the request.
        principal: who asks, such as ``{"AWS": "arn:…:role/x"}``.
    """
    for statement, variables in _acting([document_of_resource], action):
        if statement.get("Effect") == "Deny":
            continue
        filled = facts if variables else None
        if _is_about(statement, resource, principal, filled, denies=False) and not _unmet(
            statement, facts, variables=variables, denies=False
        ):
            yield statement


def document(value: Document) -> Mapping[str, Any]:
    """A policy as a mapping; empty where there is none.

    Raises:
        ValueError: it is no JSON.
    """
    if isinstance(value, Mapping):
        return value
    return _read(value or "{}")


@lru_cache(512)
def _read(text: str) -> Mapping[str, Any]:
    return json.loads(unquote(text) if text.startswith("%") else text)


def statements(value: Document) -> list[Mapping[str, Any]]:
    """The statements of a policy: one alone needs no list."""
    return listed(document(value).get("Statement", []))


def tags_of(listed: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Tags as most of AWS's services list them, by key."""
    return {tag["Key"]: tag["Value"] for tag in listed or ()}


def _acting(documents: Iterable[Document], action: str) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """(statement, whether its policy's language has variables), of the statements about an action in all policies."""
    for policy in documents:
        yield from _acting_in(policy, action) if isinstance(policy, str) else _acting_of(document(policy), action)


@lru_cache(1 << 14)
def _acting_in(policy: str, action: str) -> tuple[tuple[Mapping[str, Any], bool], ...]:
    return tuple(_acting_of(document(policy), action))


def _acting_of(policy: Mapping[str, Any], action: str) -> Iterator[tuple[Mapping[str, Any], bool]]:
    for statement in statements(policy):
        others = "NotAction" in statement
        if _acts(statement["NotAction"] if others else statement.get("Action", []), action) != others:
            yield statement, policy.get("Version") == "2012-10-17"


def _unmet(statement: Mapping[str, Any], facts: Facts | None, *, variables: bool, denies: bool) -> str:
    conditions = statement.get("Condition") or {}
    if facts is None:
        return "its conditions are not known" if conditions and denies else ""
    return unmet(conditions, facts, variables=variables)


def _is_about(
    statement: Mapping[str, Any],
    resource: str | None,
    principal: Principal | None,
    facts: Facts | None,
    *,
    denies: bool,
) -> bool:
    """Decide if a statement about an action is about a request, its conditions aside."""
    if "NotPrincipal" in statement:
        spared = spares if denies else names
        if spared(statement["NotPrincipal"], principal or {}):
            return False
    elif "Principal" in statement and not names(statement["Principal"], principal or {}):
        return False
    if resource is None:
        everything = "NotResource" not in statement and "*" in listed(statement.get("Resource", "*"))
        return everything or not denies
    if "NotResource" in statement:
        return not _covers(statement["NotResource"], resource, facts)
    return _covers(statement.get("Resource", "*"), resource, facts)


def _acts(patterns: Any, action: str) -> bool:
    asked = action.lower()
    return any(like(str(pattern).lower(), asked) for pattern in listed(patterns))


def _covers(patterns: Any, resource: str, facts: Facts | None) -> bool:
    return any(
        like(text, resource) for pattern in listed(patterns) if (text := filled_in_arn(str(pattern), facts)) is not None
    )


# Principals


def names(told: Any, principal: Principal) -> bool:
    """Decide if a Principal element names who asks: by any of its names, as everybody, or by the account.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    return bool(as_named(told, principal))


def as_named(told: Any, principal: Principal) -> str:
    """The name by which a Principal element names who asks; empty where it does not.

    ``*`` is everybody, and an account's id or root is everybody in it.
    """
    if told == "*":
        return "*"
    for kind, wanted in (told or {}).items():
        asked = listed(principal.get(kind, ()))
        for name in listed(wanted):
            if name in asked or (name == "*" and (kind == "AWS" or asked)):
                return name
            if kind == "AWS" and any(_is_account_of(name, principal) for principal in asked):
                return name
    return ""


def spares(told: Any, principal: Principal) -> bool:
    """Decide if a Deny with NotPrincipal spares who asks: it must name the caller, its role and its account.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
    """
    if told == "*":
        return True
    for kind, asked in principal.items():
        wanted = listed((told or {}).get(kind, ()))
        if "*" in wanted or (kind != "AWS" and set(listed(asked)) & set(wanted)):
            return True
        if kind == "AWS" and set(listed(asked)) <= set(wanted):
            return any(_is_account_of(name, principal) for name in wanted for principal in listed(asked))
    return False


def is_account(name: str) -> bool:
    """Decide if a principal's name is an account: its id or its root."""
    return ACCOUNT.fullmatch(name) is not None


def _is_account_of(name: str, asked: str) -> bool:
    """Decide if a name stands for every principal of the account of who asks."""
    account = ACCOUNT.fullmatch(name)
    return account is not None and f"::{account.group(1)}:" in asked


ACCOUNT: Final = re.compile(r"(?:arn:[\w-]+:iam::)?(\d{12})(?::root)?")
EVENTS: Final = "events.amazonaws.com"


def may_send(policy: Document, queue_arn: str, rule_arn: str) -> Decision:
    """Decide if a queue's policy lets EventBridge send for a rule.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    """
    context = {"aws:SourceArn": rule_arn, "aws:SourceAccount": rule_arn.split(":")[4], "aws:SecureTransport": True}
    return allows(policy, "sqs:SendMessage", queue_arn, context, {"Service": EVENTS})
