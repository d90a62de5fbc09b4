"""Failures of AWS and of the Kubernetes API, in one line for people."""

from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

LONGEST: Final = 200


class UnreachableError(Exception):
    """AWS, or the Kubernetes API, cannot be asked at all. The message says why."""


def reason(problem: BaseException) -> str:
    """Reason why a call failed, on one line of at most 200 characters."""
    if isinstance(problem, ClientError):
        error = problem.response.get("Error", {})
        text = f"{error.get('Code', 'error')}: {error.get('Message', '')}"
    elif isinstance(problem, ApiException):
        text = f"the Kubernetes API answered {problem.status} {problem.reason}"
    elif isinstance(problem, (BotoCoreError, HTTPError, OSError, UnreachableError)):
        text = str(problem) or type(problem).__name__
    else:
        text = f"the answer was not understood ({type(problem).__name__}: {problem})"
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
