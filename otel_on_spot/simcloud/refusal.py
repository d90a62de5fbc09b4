"""What the cloud says when it refuses."""

from botocore.exceptions import ClientError

GONE_CODES = (
    "InvalidVpcID.NotFound",
    "InvalidSubnetID.NotFound",
    "InvalidGroup.NotFound",
    "InvalidGroupId.NotFound",
    "InvalidInternetGatewayID.NotFound",
    "InvalidRouteTableID.NotFound",
    "InvalidAssociationID.NotFound",
    "InvalidAllocationID.NotFound",
    "InvalidRoute.NotFound",
    "NatGatewayNotFound",
    "InvalidVpcEndpointId.NotFound",
    "InvalidFlowLogId.NotFound",
    "InvalidLaunchTemplateId.NotFound",
    "InvalidLaunchTemplateName.NotFoundException",
    "InvalidNetworkInterfaceID.NotFound",
    "InvalidVolume.NotFound",
    "NoSuchEntity",
    "NotFoundException",
    "ResourceNotFoundException",
    "QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
)
"""Error codes that mean: it is not there. Source: moto's and AWS's own API errors of the services used here."""


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
    told = error.response.get("Error", {})
    code = str(told.get("Code", "Unknown"))
    kind = Gone if code in GONE_CODES or code.endswith(".NotFound") else Refusal
    return kind(code, f"{error.operation_name}: {told.get('Message', '')}")
