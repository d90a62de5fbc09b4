"""Changes of recorded facts: ways to say what one fault does to what is seen."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from otel_on_spot.doctor.facts import Facts, load

HEALTHY = load(Path(__file__).with_name("healthy.json"))
"""What the doctor saw of a healthy lab: written by its own --facts-out."""
Change = Callable[[Facts], Facts]
ACCOUNT = "123456789012"


def role_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def given(group: str, *things: Any) -> Change:
    """The group holds these things and no other."""
    return lambda facts: replace(facts, **{group: things})


def added(group: str, *things: Any) -> Change:
    """The group holds these things too."""
    return lambda facts: replace(facts, **{group: (*getattr(facts, group), *things)})


def without(group: str, matches: Callable[[Any], bool] = lambda _: True) -> Change:
    """The group lacks things that match."""
    return lambda facts: replace(
        facts, **{group: tuple(entry for entry in getattr(facts, group) if not matches(entry))}
    )


def changed(group: str, matches: Callable[[Any], bool] = lambda _: True, **values: Any) -> Change:
    """Things of the group that match have other values; a callable makes a value out of the old one."""

    def change(one: Any) -> Any:
        new = {key: value(getattr(one, key)) if callable(value) else value for key, value in values.items()}
        return replace(one, **new)

    return lambda facts: replace(
        facts, **{group: tuple(change(entry) if matches(entry) else entry for entry in getattr(facts, group))}
    )


def of_kinds(**values: Any) -> Change:
    """Karpenter's CRDs and their releases are others."""

    def change(facts: Facts) -> Facts:
        assert facts.custom_kinds is not None
        return replace(facts, custom_kinds=replace(facts.custom_kinds, **values))

    return change


def one_of(group: str, matches: Callable[[Any], bool] = lambda _: True) -> Any:
    """A thing of the healthy lab."""
    return next(entry for entry in getattr(HEALTHY, group) if matches(entry))


def declares(**values: Any) -> Change:
    """The stack declares something else."""
    return lambda facts: replace(facts, declared=replace(facts.declared, **values))


def all_of(*changes: Change) -> Change:
    """One change after another."""

    def change(facts: Facts) -> Facts:
        for change in changes:
            facts = change(facts)
        return facts

    return change


def named(name: str) -> Callable[[Any], bool]:
    """Whether a thing has this name."""
    return lambda one: one.name == name
