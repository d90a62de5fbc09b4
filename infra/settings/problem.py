"""A problem with the configuration, the rules that find one, and how all of them are told at once."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

Rule = Callable[..., Iterator["Problem"]]
RULES: Final[dict[Rule, frozenset[str]]] = {}
"""Rule -> the sections that it takes, by the names of its parameters. It runs when each of them is valid by itself."""


def rule(function: Rule) -> Rule:
    """Register a rule: it takes the sections that it judges, yields problems and never raises."""
    RULES[function] = frozenset(inspect.signature(function).parameters)
    return function


@dataclass(frozen=True)
class Problem:
    """One thing wrong: the key as written in the stack file, what was given, the rule, what to do."""

    key: str
    given: str
    rule: str
    do: str

    def __str__(self) -> str:
        return f"  {self.key}\n    given: {self.given}\n    rule:  {self.rule}\n    do:    {self.do}"


def message(stack_file: str, problems: Sequence[Problem]) -> str:
    """The one message: which file, how many problems, each with key, given, rule and what to do."""
    count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
    return f"{stack_file}: {count}, nothing was created\n" + "\n".join(str(p) for p in problems)


def did_you_mean(given: str, known: Iterable[str], *, most: int = 1, likeness: float = 0.6) -> str:
    """A question to begin an advice with; empty where nothing that is known looks like it.

    Args:
        given: what is not known.
        known: what could have been meant.
        most: answers at most.
        likeness: from which on one is named, of 1.
    """
    close = difflib.get_close_matches(given, list(known), n=most, cutoff=likeness)
    return f"did you mean {' or '.join(close)}? " if close else ""
