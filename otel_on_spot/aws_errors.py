"""Error codes of AWS."""

from typing import Final

from botocore.exceptions import ClientError

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
