"""What the cloud says when it refuses."""

from botocore.exceptions import ClientError

from otel_on_spot.aws_errors import error_code, is_not_found


class Refusal(Exception):  # noqa: N818 (the cloud's answer, not our mistake)
    """The cloud refuses: ``code`` as AWS or Kubernetes writes it, and a sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


class Gone(Refusal):
    """The thing asked for is not there."""


class TimedOut(Refusal):
    """The cloud did not finish within the operation's timeout."""

    def __init__(self, sentence: str) -> None:
        super().__init__("Timeout", sentence)


class Interrupted(Refusal):
    """The caller went away, or the cloud is stopping."""

    def __init__(self, sentence: str) -> None:
        super().__init__("Interrupted", sentence)


class Unfinished(Exception):  # noqa: N818
    """A resource exists, and is not as asked: the engine must know its id and remember what is wrong."""

    def __init__(self, identity: str, outputs: dict[str, object], reason: Refusal) -> None:
        super().__init__(str(reason))
        self.identity = identity
        self.outputs = outputs
        self.reason = reason


def of_client_error(error: ClientError) -> Refusal:
    """A boto3 error as a Refusal, its code kept: ``Gone`` where it says that the thing is not there."""
    kind = Gone if is_not_found(error) else Refusal
    return kind(error_code(error), f"{error.operation_name}: {error.response.get('Error', {}).get('Message', '')}")
