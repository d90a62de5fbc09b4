"""Errors that end a command, and exit codes that several commands share."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic import ValidationError

EXIT_FINDINGS: Final = 1
"""Something was found, or could not be finished."""
EXIT_INCOMPLETE: Final = 2
"""Bad input, or not everything could be looked at."""
EXIT_INTERRUPTED: Final = 130
"""Ctrl-C, or a signal that counts as it."""


class ToolError(Exception):
    """An error whose message says all that a person needs: what was given or seen, the rule, what to do.

    The command line prints the message without a traceback, and exits with ``exit_code``.
    """

    exit_code: int = EXIT_INCOMPLETE


def first_problem(error: "ValidationError", whole: str = "the file") -> str:
    """The first problem that pydantic found, with its place; ``whole`` names the place of what is no mapping at all."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or whole}: {first['msg']}"
