"""Plain values with a marker for what only the cloud can tell, and the questions that rules ask of them.

Each question has an answer for an unknown value. A rule that asks by these functions alone says nothing about a leaf
that is not known, and still judges every other leaf.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final


@dataclass(frozen=True)
class Unknown:
    """A value that is not known before the update. ``passes``: whether rules take it for one that they allow."""

    passes: bool = True

    def __repr__(self) -> str:
        return "[unknown]"


UNKNOWN: Final = Unknown()
YES, NO = (True, "true"), (False, "false")
"""Booleans, as AWS and charts write them."""


def at(value: Any, *path: str | int) -> Any:
    """The value at a path: None where a step is absent, the marker where one is unknown."""
    for step in path:
        if isinstance(value, Unknown):
            return value
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def items(value: Any) -> list[Any]:
    """The items of a list: none where it is absent, one unknown item where it is unknown; a scalar is its only item."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def may(value: Any, test: Callable[[Any], object]) -> bool:
    """True where the value passes a test, as far as it is known."""
    return value.passes if isinstance(value, Unknown) else bool(test(value))


def surely(value: Any, test: Callable[[Any], object]) -> bool:
    """True where the value is known and passes a test."""
    return not value.passes if isinstance(value, Unknown) else bool(test(value))


def may_be(value: Any, *choices: Any) -> bool:
    """True where the value is one of these, as far as both are known."""
    return any(may(choice, lambda known: may(value, partial(_equal, known))) for choice in choices)


def is_one_of(value: Any, *choices: Any) -> bool:
    """True where the value is one of these for certain."""
    return any(surely(choice, lambda known: surely(value, partial(_equal, known))) for choice in choices)


def may_hold(values: Any, *choices: Any) -> bool:
    """True where one of the items is one of these, as far as they are known."""
    return any(may_be(item, *choices) for item in items(values))


def is_set(value: Any) -> bool:
    """True where there is a value for certain, and not an empty one."""
    return surely(value, bool)


def may_be_set(value: Any) -> bool:
    """True where there is a value, and not an empty one, as far as it is known."""
    return may(value, bool)


def _equal(expected: Any, value: Any) -> bool:
    return expected == value and isinstance(expected, bool) == isinstance(value, bool)


def may_match(value: Any, wanted: Any) -> bool:
    """True where a map has all entries of another, as far as both are known; ``*`` stands for any value."""
    return may(
        wanted,
        lambda entries: all(
            may_be_set(at(value, key)) if expected == "*" else may_be(at(value, key), expected)
            for key, expected in entries.items()
        ),
    )


def leaves(value: Any) -> Iterator[Any]:
    """Every scalar below a value."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def completed(value: Any, declared: Any) -> Any:
    """The value with each leaf that is unknown or absent taken from what was declared."""
    if value is None or isinstance(value, Unknown):
        return value if declared is None else declared
    if isinstance(value, Mapping) and isinstance(declared, Mapping):
        return {key: completed(value.get(key), declared.get(key)) for key in value.keys() | declared.keys()}
    if isinstance(value, list) and isinstance(declared, list) and len(value) == len(declared):
        return [completed(*pair) for pair in zip(value, declared, strict=True)]
    return value


def strict(value: Any) -> Any:
    """The value with every unknown leaf taken for one that no rule allows."""
    if isinstance(value, Mapping):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [strict(item) for item in value]
    return Unknown(passes=False) if isinstance(value, Unknown) else value
