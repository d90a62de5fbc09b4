"""Errors of the simulated cloud's API."""

from typing import Final

from botocore.exceptions import ClientError

from otel_on_spot.aws_errors import error_code, is_not_found


class ApiError(Exception):
    """The cloud refuses: ``code`` as AWS or Kubernetes writes it, and a sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


class NotFoundError(ApiError):
    """The thing asked for is not there."""


class TimedOutError(ApiError):
    """The cloud did not finish within the operation's timeout."""

    def __init__(self, sentence: str) -> None:
        super().__init__("Timeout", sentence)


class OperationCancelledError(ApiError):
    """The caller went away, or the cloud is stopping."""

    def __init__(self, sentence: str) -> None:
        super().__init__("Interrupted", sentence)


class UnfinishedError(Exception):
    """A resource exists, and is not as asked: the engine must know its id and remember what is wrong."""

    def __init__(self, identity: str, outputs: dict[str, object], reason: ApiError) -> None:
        super().__init__(str(reason))
        self.identity = identity
        self.outputs = outputs
        self.reason = reason


INVALID: Final = "InvalidParameterException"
"""Code of most of what EKS refuses."""


def refuse(*rules: tuple[object, str], code: str = INVALID) -> None:
    """Refuse with the sentence of the first rule that is broken. A rule: (whether it is, the sentence).

    Raises:
        ApiError: one is.
    """
    for broken, sentence in rules:
        if broken:
            raise ApiError(code, sentence)


def of_client_error(error: ClientError) -> ApiError:
    """A boto3 error as an ApiError, its code kept: ``NotFoundError`` where it says that the thing is not there."""
    kind = NotFoundError if is_not_found(error) else ApiError
    return kind(error_code(error), f"{error.operation_name}: {error.response.get('Error', {}).get('Message', '')}")
