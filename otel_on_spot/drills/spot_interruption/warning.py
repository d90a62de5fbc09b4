"""Spot's interruption warning, and the channels to send it by."""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.failures import reason
from otel_on_spot.target import Target

SOURCE: Final = "aws.ec2"
KIND: Final = "EC2 Spot Instance Interruption Warning"


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A channel for a warning. ``description``: for people, with what it proves."""

    id: str
    description: str


BUS: Final = Channel(
    id="bus", description="event on the simulated bus: through rule, queue policy and queue to Karpenter"
)
QUEUE: Final = Channel(
    id="queue",
    description="message to the queue, as EventBridge writes it: through queue to Karpenter; "
    "the rules are not in its way (--fis has them)",
)
FIS: Final = Channel(
    id="fis", description="experiment of AWS FIS: EC2's own warning, through rule, queue policy and queue to Karpenter"
)


def channel(target: Target, *, fis: bool) -> Channel:
    """The channel for this platform: AWS refuses events of ``aws.*`` sources from users, a lab's bus takes them."""
    return FIS if fis else BUS if target.simulated else QUEUE


def event(region: str, account: str, instance: str) -> dict[str, Any]:
    """The warning as EventBridge hands it on.

    Its resource has no account: EC2 writes ``arn:aws:ec2:<zone>:instance/<id>`` here and nowhere else.
    Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
    """
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": KIND,
        "source": SOURCE,
        "account": account,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [f"arn:aws:ec2:{region}a:instance/{instance}"],
        "detail": {"instance-id": instance, "instance-action": "terminate"},
    }


def send(target: Target, chosen: Channel, instance: str) -> None:
    """Send the warning by the bus or to the queue.

    Raises:
        DrillRefusedError: AWS refused it, or the queue is not there.
    """
    region, queue = target.declared.region, target.declared.interruption_queue
    try:
        account = target.aws("sts").get_caller_identity()["Account"]
        warning = event(region, account, instance)
        if chosen is BUS:
            entry = {
                "Source": SOURCE,
                "DetailType": KIND,
                "Resources": warning["resources"],
                "Detail": json.dumps(warning["detail"]),
            }
            target.aws("events").put_events(Entries=[entry])
            return
        sqs = target.aws("sqs")
        sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"], MessageBody=json.dumps(warning))
    except (ClientError, BotoCoreError) as problem:
        raise DrillRefusedError(
            f"the warning could not be sent: {reason(problem)}. Look at the queue with "
            f"`otel-on-spot doctor --stack {target.declared.stack} --only interruption-queue,interruption-policy`"
        ) from None
