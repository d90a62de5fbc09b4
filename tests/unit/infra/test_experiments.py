"""The experiment template: one Spot node of this cluster that a drill has tagged, and nothing else."""

import json
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from otel_on_spot.plan.record import record
from otel_on_spot.plan.verdict import stack_of
from otel_on_spot.program.recording import Recording
from otel_on_spot.recovery.lookups import FINDERS
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.aws.experiments import ExperimentTemplate
from policy.guardrails import violations
from tests.unit.conftest import recorded
from tests.unit.settings.test_settings import committed

TEMPLATE = "aws:fis/experimentTemplate:ExperimentTemplate"


@cache
def with_experiments() -> Recording:
    karpenter = committed("dev")["karpenter"] | {"interruptionExperiments": True}
    return record("dev", config_overrides={"karpenter": karpenter})


def inputs(token: str, name: str = "interruption-experiment") -> Any:
    (found,) = [
        with_experiment.inputs for with_experiment in with_experiments().of_type(token) if name in with_experiment.name
    ]
    return found


def test_only_the_setting_makes_it() -> None:
    assert recorded("dev").of_type(TEMPLATE) == ()
    assert "interruptionExperiment" not in recorded("dev").exports
    assert with_experiments().exports["interruptionExperiment"]


def test_it_takes_one_running_spot_instance_of_this_cluster_that_a_drill_has_tagged() -> None:
    (target,) = inputs(TEMPLATE)["targets"]
    assert (target["resourceType"], target["selectionMode"]) == ("aws:ec2:spot-instance", "ALL")
    assert {resource_tag["key"]: resource_tag["value"] for resource_tag in target["resourceTags"]} == {
        "kubernetes.io/cluster/otel-dev": "owned",
        "otel-on-spot/drill": "spot-interruption",
    }
    assert target["filters"] == [{"path": "State.Name", "values": ["running"]}]


def test_its_action_is_ec2s_own_warning_at_its_target() -> None:
    (action,) = inputs(TEMPLATE)["actions"]
    assert action["actionId"] == "aws:ec2:send-spot-instance-interruptions"
    assert action["target"] == {"key": "SpotInstances", "value": inputs(TEMPLATE)["targets"][0]["name"]}


def test_the_role_is_for_experiments_of_this_account_and_may_warn_this_clusters_instances_alone() -> None:
    (trust,) = json.loads(inputs("aws:iam/role:Role")["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "fis.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "111122223333"},
        "ArnLike": {"aws:SourceArn": "arn:aws:fis:eu-west-1:111122223333:experiment/*"},
    }
    reads, writes = json.loads(inputs("aws:iam/rolePolicy:RolePolicy")["policy"])["Statement"]
    assert reads["Action"] == "ec2:DescribeInstances"
    assert writes["Action"] == "ec2:SendSpotInstanceInterruptions"
    assert writes["Condition"] == {"StringEquals": {"aws:ResourceTag/kubernetes.io/cluster/otel-dev": "owned"}}


def test_it_breaks_no_rule_without_a_waiver() -> None:
    assert [violation for violation in violations(stack_of(with_experiments())) if violation.waiver is None] == []


def test_recover_finds_the_template_that_an_interrupted_update_made() -> None:
    fis = boto3.client("fis", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    told = inputs(TEMPLATE)["description"]
    rows = [
        {"id": "EXT1", "description": told, "tags": {"cluster": "otel-dev", "more": "x"}},
        {"id": "EXT2", "description": told, "tags": {"cluster": "other"}},
        {"id": "EXT3", "description": "another", "tags": {"cluster": "otel-dev"}},
    ]
    with Stubber(fis) as answers:
        answers.add_response("list_experiment_templates", {"experimentTemplates": rows})
        found = FINDERS[TEMPLATE](lambda _service: fis, inputs(TEMPLATE), {"cluster": "otel-dev"})
        assert [entry.id for entry in found] == ["EXT1"]


def test_the_simulated_cloud_refuses_an_action_whose_target_is_not_there() -> None:
    broken = {**inputs(TEMPLATE), "targets": []}
    with pytest.raises(ApiError, match="Action warn names target node"):
        ExperimentTemplate._whole(broken)
