"""IAM's policy evaluation, for everything here that asks whether a policy allows something.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html (order of decisions),
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html (what a statement is about), and
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html (conditions).
"""

import base64
import ipaddress
import json
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import unquote

Document = Mapping[str, Any] | str | None
"""A policy: a mapping, JSON, JSON in URL form as IAM's API gives it, or nothing."""
Context = Mapping[str, str | bool | int | float | Iterable[str]]
"""Condition keys of a request with their values."""
Outcome = Literal["allowed", "implicitly denied", "explicitly denied"]


@dataclass(frozen=True)
class Decision:
    """A decision of IAM. True where the request is allowed.

    Attributes:
        outcome: the decision.
        statement: the one that decided; of an implicit denial, the first Allow that only a condition kept from it.
        unmet: that condition, with the value that the request has; empty where there is none.
    """

    outcome: Outcome
    statement: Mapping[str, Any] | None = None
    unmet: str = ""

    def __bool__(self) -> bool:
        return self.outcome == "allowed"


def allows(
    documents: Document | Iterable[Document],
    action: str,
    resource: str | None = None,
    context: Context | None = None,
    principal: Mapping[str, str] | None = None,
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
    allowed, kept = None, Decision("implicitly denied")
    for statement, variables in _statements([documents] if single else documents):  # ty: ignore[invalid-argument-type]
        denies = statement.get("Effect") == "Deny"
        if not _is_about(statement, action, resource, principal, (context or {}) if variables else None, denies=denies):
            continue
        unmet = _unmet(statement, context, variables=variables, denies=denies)
        if denies and not unmet:
            return Decision("explicitly denied", statement)
        if denies:
            continue
        if not unmet:
            allowed = allowed or Decision("allowed", statement)
        elif kept.statement is None:
            kept = Decision("implicitly denied", statement, unmet)
    return allowed or kept


def document(value: Document) -> Mapping[str, Any]:
    """A policy as a mapping; empty where there is none.

    Raises:
        ValueError: it is no JSON.
    """
    if isinstance(value, Mapping):
        return value
    text = value or "{}"
    return json.loads(unquote(text) if text.startswith("%") else text)


def statements(value: Document) -> list[Mapping[str, Any]]:
    """The statements of a policy: one alone needs no list."""
    return _listed(document(value).get("Statement", []))


def _statements(documents: Iterable[Document]) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """(statement, whether its policy's language has variables), of all policies."""
    for each in map(document, documents):
        for statement in statements(each):
            yield statement, each.get("Version") == "2012-10-17"


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | set | frozenset) else [value]


def _is_about(
    statement: Mapping[str, Any],
    action: str,
    resource: str | None,
    principal: Mapping[str, str] | None,
    variables: Context | None,
    *,
    denies: bool,
) -> bool:
    """Decide if a statement is about a request, its conditions aside."""
    if "NotAction" in statement:
        if _acts(statement["NotAction"], action):
            return False
    elif not _acts(statement.get("Action", []), action):
        return False
    if "NotPrincipal" in statement:
        if _names(statement["NotPrincipal"], principal or {}):
            return False
    elif "Principal" in statement and not _names(statement["Principal"], principal or {}):
        return False
    if resource is None:
        everything = "NotResource" not in statement and "*" in _listed(statement.get("Resource", "*"))
        return everything or not denies
    if "NotResource" in statement:
        return not _covers(statement["NotResource"], resource, variables)
    return _covers(statement.get("Resource", "*"), resource, variables)


def _acts(patterns: Any, action: str) -> bool:
    return any(_like(str(pattern).lower(), action.lower()) for pattern in _listed(patterns))


def _covers(patterns: Any, resource: str, variables: Context | None) -> bool:
    return any(
        _like(text, resource) for pattern in _listed(patterns) if (text := _filled(str(pattern), variables)) is not None
    )


def _names(told: Any, principal: Mapping[str, str]) -> bool:
    """Decide if a Principal element names who asks: by name, as everybody, or by the account.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    if told == "*":
        return True
    for kind, names in (told or {}).items():
        for name in _listed(names):
            if name == "*" and (kind == "AWS" or kind in principal):
                return True
            asked = principal.get(kind)
            if asked is not None and (asked == name or (kind == "AWS" and _is_account_of(name, asked))):
                return True
    return False


def _is_account_of(name: str, asked: str) -> bool:
    """Decide if a name, the account's id or its root, stands for every principal of the account of who asks."""
    account = re.fullmatch(r"(?:arn:[\w-]+:iam::)?(\d{12})(?::root)?", name)
    return account is not None and f"::{account.group(1)}:" in asked


EVENTS: Final = "events.amazonaws.com"


def may_send(policy: Document, queue_arn: str, rule_arn: str) -> Decision:
    """Decide if a queue's policy lets EventBridge send for a rule.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    """
    context = {"aws:SourceArn": rule_arn, "aws:SourceAccount": rule_arn.split(":")[4], "aws:SecureTransport": True}
    return allows(policy, "sqs:SendMessage", queue_arn, context, {"Service": EVENTS})


# Conditions


def _unmet(statement: Mapping[str, Any], context: Context | None, *, variables: bool, denies: bool) -> str:
    """The first condition that a request does not meet; empty where it meets all."""
    conditions = statement.get("Condition") or {}
    if context is None:
        return "its conditions are not known" if conditions and denies else ""
    known = {key.lower(): value for key, value in context.items()}
    for name, keys in conditions.items():
        for key, wanted in keys.items():
            values = [
                text
                for value in _listed(wanted)
                if (text := _filled(_text(value), context if variables else None)) is not None
            ]
            actual = [_text(value) for value in _listed(known[key.lower()])] if key.lower() in known else None
            if not _holds(name, values, actual):
                has = "nothing" if actual is None else ", ".join(actual)
                return f"{name} {key}: {', '.join(map(_text, _listed(wanted)))}; the request has {has}"
    return ""


def _holds(name: str, wanted: list[str], actual: list[str] | None) -> bool:
    """Decide if a condition holds; one with an operator that IAM does not have never does.

    Args:
        name: the operator, such as ``ForAnyValue:StringLikeIfExists``.
        wanted: the policy's values.
        actual: the request's; None where it has no such key.
    """
    quantifier, _, plain = name.rpartition(":")
    if plain == "Null":
        return any((value.lower() == "true") == (not actual) for value in wanted)
    exists = plain.removesuffix("IfExists")
    if exists != plain and actual is None:
        return True
    positive = re.sub("Not", "", exists, count=1)
    negated = positive != exists
    if positive not in OPERATORS or quantifier not in ("", "ForAllValues", "ForAnyValue"):
        return False
    if actual is None:
        return quantifier == "ForAllValues" or (negated and not quantifier)

    if positive not in PATTERNS:
        wanted = [text.replace(LITERAL["*"], "*").replace(LITERAL["?"], "?") for text in wanted]

    def matches(value: str) -> bool:
        return any(_safely(positive, value, text) for text in wanted)

    if quantifier == "ForAllValues":
        return all(matches(value) != negated for value in actual)
    if quantifier == "ForAnyValue":
        return any(matches(value) != negated for value in actual)
    return any(map(matches, actual)) != negated


def _safely(name: str, value: str, wanted: str) -> bool:
    try:
        return OPERATORS[name](value, wanted)
    except ValueError:  # no number, date or address: not equal to one
        return False


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _moment(text: str) -> datetime:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), UTC)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _arn_like(value: str, wanted: str) -> bool:
    """Each of an ARN's six parts by itself: a ``*`` does not reach past a colon, but in the last."""
    parts, patterns = value.split(":", 5), wanted.split(":", 5)
    return len(parts) == len(patterns) == 6 and all(map(_like, patterns, parts))


def _within(value: str, wanted: str) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)


def _ordered(kind: str, read: Callable[[str], Any]) -> dict[str, Callable[[str, str], bool]]:
    relations = {
        "Equals": operator.eq,
        "LessThan": operator.lt,
        "LessThanEquals": operator.le,
        "GreaterThan": operator.gt,
        "GreaterThanEquals": operator.ge,
    }
    return {
        f"{kind}{name}": lambda value, wanted, relation=relation: relation(read(value), read(wanted))
        for name, relation in relations.items()
    }


OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "StringEquals": operator.eq,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": lambda value, wanted: _like(wanted, value),
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "BinaryEquals": lambda value, wanted: base64.b64decode(value) == base64.b64decode(wanted),
    "IpAddress": _within,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    **_ordered("Numeric", float),
    **_ordered("Date", _moment),
}
"""Operator -> test of one value of the request against one of the policy; with ``Not`` in it, the opposite."""

PATTERNS: Final = ("StringLike", "ArnEquals", "ArnLike")

VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")
LITERAL: Final = {"*": "\ue000", "?": "\ue001", "$": "$"}
"""``${*}`` and ``${?}`` are the characters themselves: no wildcards."""


def _filled(pattern: str, context: Context | None) -> str | None:
    """A pattern with its policy variables; None where one has no value: it matches nothing. As it is without a context.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    """
    if context is None or "${" not in pattern:
        return pattern
    known = {key.lower(): value for key, value in context.items()}
    missing = False

    def fill(found: re.Match[str]) -> str:
        nonlocal missing
        name, comma, default = found.group(1).partition(",")
        if name in LITERAL:
            return LITERAL[name]
        value = known.get(name.strip().lower())
        if value is not None and not isinstance(value, list | tuple | set | frozenset):
            return _text(value).replace("*", LITERAL["*"]).replace("?", LITERAL["?"])
        missing |= not comma
        return default.strip().strip("'")

    text = VARIABLE.sub(fill, pattern)
    return None if missing else text


def _like(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": ".", LITERAL["*"]: r"\*", LITERAL["?"]: r"\?"}
    return re.compile("".join(wild.get(char, re.escape(char)) for char in pattern), re.DOTALL)
