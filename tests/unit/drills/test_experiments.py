"""The warning by AWS FIS: what is asked of AWS, what is written down first, and what is taken back."""

import json

import boto3
import pytest
from botocore.stub import ANY, Stubber

from infra import names
from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.drills.spot_interruption.warning import experiment_failure, require_experiment, start_experiment
from otel_on_spot.drills.undo import Step, tagged, take_back
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.target import Target, with_outputs
from tests.unit.doctor.changes import HEALTHY
from tests.unit.drills.conftest import Aws

TAGS = [{"Key": "otel-on-spot/drill", "Value": "spot-interruption"}]


def platform(template: str = "EXT1") -> Target:
    declared = with_outputs(HEALTHY.declared, {"interruptionExperiment": template})
    return Aws(declared=declared, session=boto3.Session(), cluster_api=None, context="")


BEGUN = {"experiment": {"id": "EXP1", "state": {"status": "initiating"}}}


def test_the_instance_is_tagged_before_the_experiment_starts_and_both_are_written_down(
    answers: dict[str, Stubber],
) -> None:
    written: list[Step] = []
    answers["ec2"].add_response("create_tags", {}, {"Resources": ["i-a"], "Tags": TAGS})
    answers["fis"].add_response("start_experiment", BEGUN, {"experimentTemplateId": "EXT1", "clientToken": ANY})
    assert start_experiment(platform(), written.append, ["i-a"]) == "EXP1"
    assert [step.kind for step in written] == ["tags", "experiment"]


def test_what_aws_refuses_is_told_with_what_it_takes_and_the_tag_is_written_down_all_the_same(
    answers: dict[str, Stubber],
) -> None:
    written: list[Step] = []
    answers["ec2"].add_response("create_tags", {})
    answers["fis"].add_client_error("start_experiment", "AccessDeniedException", "no")
    with pytest.raises(
        DrillRefusedError, match=r"AccessDeniedException: no\. It takes fis:StartExperiment on template EXT1"
    ):
        start_experiment(platform(), written.append, ["i-a"])
    assert [step.kind for step in written] == ["tags"]


def test_a_stack_without_the_setting_is_refused_with_what_to_set() -> None:
    with pytest.raises(DrillRefusedError, match=r"Set `karpenter\.interruptionExperiments: true` in Pulumi\.lab\.yaml"):
        require_experiment(platform(template=""))


@pytest.mark.parametrize(
    ("code", "done"), [("", "tags taken off"), ("InvalidInstanceID.NotFound", "the instance is gone")]
)
def test_the_tag_is_taken_off_whatever_became_of_the_instance(
    answers: dict[str, Stubber], code: str, done: str
) -> None:
    if code:
        answers["ec2"].add_client_error("delete_tags", code)
    else:
        answers["ec2"].add_response("delete_tags", {}, {"Resources": ["i-a"], "Tags": TAGS})
    step = Step(**json.loads(json.dumps(vars(tagged("i-a", names.DRILL_TAGS)))))
    assert take_back(platform(), Api(None), step) == done  # ty: ignore[invalid-argument-type]


def test_an_experiment_that_failed_says_why(answers: dict[str, Stubber]) -> None:
    state = {"status": "failed", "reason": "Target resolution returned empty set"}
    answers["fis"].add_response("get_experiment", {"experiment": {"id": "EXP1", "state": state}})
    assert experiment_failure(platform(), "EXP1") == "experiment EXP1 failed: Target resolution returned empty set"
    answers["fis"].add_response("get_experiment", BEGUN)
    assert experiment_failure(platform(), "EXP1") == ""
