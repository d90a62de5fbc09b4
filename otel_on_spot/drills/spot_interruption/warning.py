"""Spot's interruption warning, and the channels to send it by.

An experiment of AWS FIS is one: EC2 sends it, so the rules and the queue's policy are proved too.
"""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from infra import names
from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.drills.undo import Step, experiment, tagged
from otel_on_spot.failures import reason
from otel_on_spot.target import Target

SETTING: Final = "karpenter.interruptionExperiments"
FAILED: Final = ("failed", "stopped", "cancelled")
SOURCE: Final = "aws.ec2"
KIND: Final = "EC2 Spot Instance Interruption Warning"
BATCH: Final = 10
"""Entries that PutEvents and SendMessageBatch take at once.

Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
"""


def require_experiment(target: Target) -> str:
    """Id of the stack's experiment template.

    Raises:
        DrillRefusedError: this is a lab, or the stack has no template.
    """
    if target.simulated:
        raise DrillRefusedError("--fis: a lab has no AWS FIS. Leave --fis out: the simulated bus takes EC2's own event")
    if not target.declared.experiment:
        raise DrillRefusedError(
            f"--fis: the stack exports no interruptionExperiment. Set `{SETTING}: true` in "
            f"Pulumi.{target.declared.stack}.yaml and run `pulumi up`, or leave --fis out: the warning then goes to "
            "the queue"
        )
    return target.declared.experiment


def start_experiment(target: Target, record_undo: Callable[[Step], None], instances: Sequence[str]) -> str:
    """Tag the instances, so that the template's targets are these and no others, and start an experiment: its id.

    FIS takes five instances of an experiment unless the account's quota was raised.

    Raises:
        DrillRefusedError: AWS refused.
    """
    template = require_experiment(target)
    try:
        for instance in instances:
            record_undo(tagged(instance, names.DRILL_TAGS))
        tags = [{"Key": key, "Value": value} for key, value in names.DRILL_TAGS.items()]
        target.aws("ec2").create_tags(Resources=list(instances), Tags=tags)
        begun = target.aws("fis").start_experiment(experimentTemplateId=template, clientToken=str(uuid.uuid4()))
    except (ClientError, BotoCoreError) as problem:
        raise DrillRefusedError(
            f"--fis: the experiment could not be started: {reason(problem)}. It takes fis:StartExperiment on template "
            f"{template}, and ec2:CreateTags and ec2:DeleteTags on the cluster's instances"
        ) from None
    identity = str(begun["experiment"]["id"])
    record_undo(experiment(identity))
    return identity


def experiment_failure(target: Target, identity: str) -> str:
    """Reason why an experiment failed; empty where it did not, or AWS does not say."""
    try:
        state = target.aws("fis").get_experiment(id=identity)["experiment"]["state"]
    except (ClientError, BotoCoreError):
        return ""
    return f"experiment {identity} {state['status']}: {state.get('reason', '')}" if state["status"] in FAILED else ""


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


def send(target: Target, chosen: Channel, instances: Sequence[str]) -> None:
    """Send a warning for each instance by the bus or to the queue, as many at once as AWS takes.

    Raises:
        DrillRefusedError: AWS refused some, or the queue is not there.
    """
    region, queue = target.declared.region, target.declared.interruption_queue
    try:
        account = target.aws("sts").get_caller_identity()["Account"]
        warnings = [event(region, account, instance) for instance in instances]
        batches = [warnings[first : first + BATCH] for first in range(0, len(warnings), BATCH)]
        if chosen is BUS:
            refused = [entry for batch in batches for entry in _put(target, batch)]
        else:
            url = target.aws("sqs").get_queue_url(QueueName=queue)["QueueUrl"]
            refused = [entry for batch in batches for entry in _queue(target, url, batch)]
    except (ClientError, BotoCoreError) as problem:
        raise DrillRefusedError(
            f"the warning could not be sent: {reason(problem)}. Look at the queue with "
            f"`otel-on-spot doctor --stack {target.declared.stack} --only interruption-queue,interruption-policy`"
        ) from None
    if refused:
        raise DrillRefusedError(
            f"{len(refused)} of {len(warnings)} warnings were refused: {refused[0]}. Those that were sent are on their "
            "way: their nodes are drained and replaced"
        )


def _put(target: Target, batch: Sequence[Mapping[str, Any]]) -> list[str]:
    """Put events on the bus; what it refused."""
    entries = [
        {
            "Source": SOURCE,
            "DetailType": KIND,
            "Resources": warning["resources"],
            "Detail": json.dumps(warning["detail"]),
        }
        for warning in batch
    ]
    told = target.aws("events").put_events(Entries=entries)["Entries"]
    return [f"{entry['ErrorCode']}: {entry.get('ErrorMessage', '')}" for entry in told if entry.get("ErrorCode")]


def _queue(target: Target, url: str, batch: Sequence[Mapping[str, Any]]) -> list[str]:
    """Send messages to the queue; what it refused."""
    entries = [{"Id": str(number), "MessageBody": json.dumps(warning)} for number, warning in enumerate(batch)]
    told = target.aws("sqs").send_message_batch(QueueUrl=url, Entries=entries)
    return [f"{entry['Code']}: {entry.get('Message', '')}" for entry in told.get("Failed") or []]
