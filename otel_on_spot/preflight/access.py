"""The way to the account: boto3's usual credentials, and what it means where they do not work."""

from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from otel_on_spot.aws_errors import error_code
from otel_on_spot.errors import ToolError
from otel_on_spot.failures import reason
from otel_on_spot.preflight import state
from otel_on_spot.preflight.situation import Identity, Situation, region_of
from otel_on_spot.program.recording import Recording
from otel_on_spot.target import make_client


class NoAccessError(ToolError):
    """AWS does not say who asks. The message says why, and what to do."""


def situation(recording: Recording, root: Path, role: str = "") -> Situation:
    """The plan and the account that boto3's credentials lead to.

    Args:
        recording: the stack's plan.
        root: the project's folder.
        role: name or ARN of the role whose permissions are judged; empty for those of whoever asks.

    Raises:
        NoAccessError: there are no credentials, or AWS does not take them.
    """
    import boto3

    session, region = boto3.Session(region_name=region_of(recording)), region_of(recording)
    clients: dict[tuple[str, str], Any] = {}

    def client(service: str, where: str = region) -> Any:
        if (service, where) not in clients:
            clients[service, where] = make_client(session, service, where)
        return clients[service, where]

    asks = identity(client)
    for service in ("ec2", "eks", "events", "iam", "kms", "logs", "s3", "service-quotas", "sqs"):
        client(service)  # here and not in the checks' threads: a session makes one client at a time
    return Situation(
        recording=recording,
        root=root,
        client=client,
        identity=asks,
        role=role,
        backend=state.backend(root),
        elsewhere=client,
    )


def identity(client: Any) -> Identity:
    """The identity that asks.

    Raises:
        NoAccessError: AWS does not say.
    """
    try:
        told = client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as problem:
        raise NoAccessError(why(problem)) from None
    return Identity(account=told["Account"], arn=told["Arn"], user_id=told["UserId"])


def why(problem: BotoCoreError | ClientError) -> str:
    """Reason why AWS does not say who asks, and what to do."""
    if isinstance(problem, ClientError) and problem.operation_name.startswith("AssumeRole"):
        return (
            f"the role of your profile cannot be assumed: {reason(problem)}. A role lets in whom its trust policy "
            "names and whose own policies allow sts:AssumeRole on it: ask for both, or choose another profile "
            "(AWS_PROFILE). A role that bootstrap made trusts the jobs of one GitHub environment and nobody else: "
            "judge it with --as ROLE"
        )
    if isinstance(problem, ClientError) and error_code(problem) in ("ExpiredToken", "ExpiredTokenException"):
        return f"the credentials have expired: {reason(problem)}. Log in again, `aws sso login` for instance"
    return f"AWS does not say who you are: {reason(problem)}. Try `aws sts get-caller-identity`"
