"""Errors of AWS: their codes, and what does not exist."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError

T = TypeVar("T")
NOT_FOUND_CODES: Final = frozenset(
    {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NoSuchEntity", "NoSuchEntityException"}
)
"""Codes for what does not exist, beside those that say NotFound. Source: the API references of IAM and SQS."""


def error_code(problem: ClientError) -> str:
    """The code of an error."""
    return str(problem.response.get("Error", {}).get("Code", "Unknown"))


def is_not_found(problem: ClientError) -> bool:
    """True where AWS said that the thing does not exist."""
    code = error_code(problem)
    return code in NOT_FOUND_CODES or "NotFound" in code


def unless_absent(call: Callable[..., T], *arguments: Any, **named: Any) -> T | None:
    """Result of calls; None where AWS says that there is no such thing.

    Raises:
        botocore.exceptions.ClientError: AWS refused for another reason.
    """
    try:
        return call(*arguments, **named)
    except ClientError as problem:
        if is_not_found(problem):
            return None
        raise
