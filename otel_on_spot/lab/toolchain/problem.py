"""What stands in the lab's way: one thing each, all of them told at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from otel_on_spot.errors import EXIT_FINDINGS, ToolError


class ToolchainError(ToolError):
    """The tools can't be had; the message says what happened and what to do."""

    exit_code = EXIT_FINDINGS


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong with the machine: what it is about, what was found, the rule, what to do."""

    subject: str
    found: str
    rule: str
    do: str

    def __str__(self) -> str:
        return f"  {self.subject}\n    found: {self.found}\n    rule:  {self.rule}\n    do:    {self.do}"


def message(problems: Sequence[Problem]) -> str:
    """The one message: how many problems, each with what was found, the rule and what to do."""
    count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
    return f"the lab can't start here: {count}, nothing was started\n" + "\n".join(map(str, problems))
