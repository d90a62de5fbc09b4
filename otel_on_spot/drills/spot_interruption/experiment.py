"""The warning as an experiment of AWS FIS: EC2 sends it, so the rules and the queue's policy are proved too."""

import uuid
from collections.abc import Callable, Sequence
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from infra import names
from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.drills.undo import Step, experiment, tagged
from otel_on_spot.failures import reason
from otel_on_spot.target import Target

SETTING: Final = "karpenter.interruptionExperiments"
FAILED: Final = ("failed", "stopped", "cancelled")


def require(target: Target) -> str:
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


def start(target: Target, record_undo: Callable[[Step], None], instances: Sequence[str]) -> str:
    """Tag the instances, so that the template's targets are these and no others, and start an experiment: its id.

    FIS takes five instances of an experiment unless the account's quota was raised.

    Raises:
        DrillRefusedError: AWS refused.
    """
    template = require(target)
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


def failure(target: Target, identity: str) -> str:
    """Reason why an experiment failed; empty where it did not, or AWS does not say."""
    try:
        state = target.aws("fis").get_experiment(id=identity)["experiment"]["state"]
    except (ClientError, BotoCoreError):
        return ""
    return f"experiment {identity} {state['status']}: {state.get('reason', '')}" if state["status"] in FAILED else ""
