"""Condition operators and policy variables.

Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

import base64
import ipaddress
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

Context = Mapping[str, str | bool | int | float | Iterable[str]]
"""Condition keys of a request with their values."""


def listed(value: Any) -> list[Any]:
    """A policy's element as a list: one value alone needs none."""
    return list(value) if isinstance(value, list | tuple | set | frozenset) else [value]


class Facts:
    """The condition keys of one request, whose names have no case, as the texts that policies compare."""

    __slots__ = ("values",)

    def __init__(self, context: Context) -> None:
        self.values = {key.lower(): _texts(value) for key, value in context.items()}

    def of(self, key: str) -> tuple[str, ...] | None:
        """The values of a key; None where the request has no such key, or has it without a value."""
        found = self.values.get(key.lower())
        return found[0] or None if found else None

    def variable(self, key: str) -> str | None:
        """The value of a policy variable; None where it has none. A key of several values is none."""
        found = self.values.get(key.lower())
        return found[0][0] if found and not found[1] else None


def _texts(value: Any) -> tuple[tuple[str, ...], bool]:
    """(values, whether the key may have several)."""
    several = isinstance(value, list | tuple | set | frozenset)
    return tuple(map(_text, listed(value))), several


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def unmet(conditions: Mapping[str, Any], facts: Facts, *, variables: bool) -> str:
    """The first condition that a request does not meet, as of :func:`each_unmet`; empty where it meets all."""
    return next(each_unmet(conditions, facts, variables=variables), "")


def each_unmet(conditions: Mapping[str, Any], facts: Facts, *, variables: bool) -> Iterator[str]:
    """Each condition that a request does not meet, with the value that the request has.

    Args:
        conditions: operator -> key -> values, of one statement.
        facts: the request's.
        variables: whether the policy's language has variables.
    """
    for name, keys in conditions.items():
        for key, wanted in keys.items():
            actual = facts.of(key)
            if not _holds(name, [_text(value) for value in listed(wanted)], actual, facts if variables else None):
                has = "nothing" if actual is None else ", ".join(actual)
                yield f"{name} {key}: {', '.join(map(_text, listed(wanted)))}; the request has {has}"


def _holds(name: str, wanted: list[str], actual: tuple[str, ...] | None, facts: Facts | None) -> bool:
    """Decide if a condition holds; one with an operator that IAM does not have never does.

    Args:
        name: the operator, such as ``ForAnyValue:StringLikeIfExists``.
        wanted: the policy's values.
        actual: the request's; None where it has no such key.
        facts: where variables get their values; None where there are none.
    """
    quantifier, _, plain = name.rpartition(":")
    if plain == "Null" and not quantifier:
        return any((value.lower() == "true") == (actual is None) for value in wanted)
    exists = plain.removesuffix("IfExists")
    negated = exists in NEGATED
    positive = NEGATED.get(exists, exists)
    if positive not in OPERATORS or quantifier not in ("", "ForAllValues", "ForAnyValue"):
        return False
    if actual is None:
        return exists != plain or quantifier == "ForAllValues" or (negated and not quantifier)
    if positive.startswith(WITH_VARIABLES):
        filled = [filled_in(text, facts) for text in wanted]
        wanted = [text for text in filled if text is not None]
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


def _moment(text: str) -> datetime:
    """A date of the W3C's profile of ISO 8601, or seconds since 1970. Source: http://www.w3.org/TR/NOTE-datetime."""
    if re.fullmatch(r"\d{4}(-\d\d)?", text):
        text = f"{text}-01-01"[:10]
    elif re.fullmatch(r"\d+(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), UTC)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _arn_like(value: str, wanted: str) -> bool:
    """Each of an ARN's six parts by itself: a ``*`` does not reach past a colon, but in the last."""
    parts, patterns = value.split(":", 5), wanted.split(":", 5)
    return len(parts) == len(patterns) == 6 and all(map(like, patterns, parts))


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
    "StringLike": lambda value, wanted: like(wanted, value),
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "BinaryEquals": lambda value, wanted: base64.b64decode(value) == base64.b64decode(wanted),
    "IpAddress": _within,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    **_ordered("Numeric", float),
    **_ordered("Date", _moment),
}
"""Operator -> test of one value of the request against one of the policy."""

NEGATED: Final = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}
"""Operator -> the one whose opposite it is."""

PATTERNS: Final = ("StringLike", "ArnEquals", "ArnLike")
WITH_VARIABLES: Final = ("String", "Arn", "Bool")
"""Operators whose values may have variables; with the others, a variable is the text that it is written as."""

VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")
LITERAL: Final = {"*": "\ue000", "?": "\ue001", "$": "$"}
"""``${*}`` and ``${?}`` are the characters themselves: no wildcards."""


def filled_in(pattern: str, facts: Facts | None) -> str | None:
    """A pattern with its policy variables; None where one has no value: it matches nothing. As it is without facts."""
    if facts is None or "${" not in pattern:
        return pattern
    missing = False

    def fill(found: re.Match[str]) -> str:
        nonlocal missing
        name, comma, default = found.group(1).partition(",")
        if name in LITERAL:
            return LITERAL[name]
        value = facts.variable(name.strip())
        if value is not None:
            return value.replace("*", LITERAL["*"]).replace("?", LITERAL["?"])
        missing |= not comma
        return default.strip().strip("'")

    text = VARIABLE.sub(fill, pattern)
    return None if missing else text


def filled_in_arn(pattern: str, facts: Facts | None) -> str | None:
    """An ARN's pattern with its variables, which it may have in its last part alone."""
    if facts is None or "${" not in pattern:
        return pattern
    *before, last = pattern.split(":", 5)
    text = filled_in(last, facts)
    return None if text is None else ":".join([*before, text])


def like(pattern: str, text: str) -> bool:
    """Decide if a text is what a pattern with ``*`` and ``?`` says, from its beginning to its end."""
    if pattern == "*":
        return True
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": ".", LITERAL["*"]: r"\*", LITERAL["?"]: r"\?"}
    return re.compile("".join(wild.get(char, re.escape(char)) for char in pattern), re.DOTALL)
