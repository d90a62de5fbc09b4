"""Which platform is looked at: the stack's outputs, else its plan; the kubeconfig of the usual places."""

import json
from pathlib import Path

import boto3
import pytest

from otel_on_spot.target import Target, find, stack_outputs, with_outputs
from tests.unit.doctor.changes import HEALTHY

PLANNED = HEALTHY.declared
OUTPUTS = {
    "clusterName": "otel-one",
    "region": "eu-north-1",
    "interruptionQueue": "otel-one-interruption",
    "nodeRoleArn": "arn:aws:iam::111122223333:role/otel-one-karpenter-node",
    "controllerRoleArn": "arn:aws:iam::111122223333:role/otel-one-karpenter-controller",
    "nodePools": ["spot", "data"],
    "rootApplication": "platform",
}


def pulumi(folder: Path, script: str) -> None:
    """A pulumi of the test's own on PATH."""
    file = folder / "pulumi"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_what_the_stack_exports_goes_before_the_plan() -> None:
    found = with_outputs(PLANNED, OUTPUTS)
    assert (found.cluster, found.region) == ("otel-one", "eu-north-1")
    assert found.node_role == "otel-one-karpenter-node"
    assert found.controller_role == "otel-one-karpenter-controller"
    assert found.interruption_queue == "otel-one-interruption"
    assert set(found.pools) == {"spot", "data"}
    assert found.source == "the stack's outputs, and the plan of its file"
    assert with_outputs(PLANNED, {}) == PLANNED


def test_outputs_are_asked_of_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pulumi(tmp_path, f"echo \"$@\" > {tmp_path}/asked; echo '{json.dumps(OUTPUTS)}'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert stack_outputs("prod", tmp_path) == (OUTPUTS, "")
    assert "stack output --json --stack prod" in (tmp_path / "asked").read_text()


def test_a_stack_that_cannot_be_asked_leaves_the_plan_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulumi(tmp_path, "echo 'error: no stack named prod found' >&2; exit 255")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    outputs, note = stack_outputs("prod", tmp_path)
    assert outputs == {}
    assert "error: no stack named prod found. Names come from the plan" in note
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    assert stack_outputs("prod", tmp_path) == (
        {},
        "no pulumi CLI on PATH: names come from the plan of the stack's file",
    )


def test_without_a_kubeconfig_it_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = find("dev", kubeconfig=tmp_path / "none")
    assert found.cluster_api is None
    assert "Run `aws eks update-kubeconfig`, or give --context" in found.why_no_cluster
    assert found.declared.cluster == "otel-dev"


@pytest.mark.parametrize(
    ("endpoint", "simulated"), [("http://127.0.0.1:15000", True), ("https://vpce-1.eu-west-1.amazonaws.com", False)]
)
def test_a_lab_is_known_by_its_endpoint(monkeypatch: pytest.MonkeyPatch, endpoint: str, simulated: bool) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    session = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="eu-west-1")
    assert Target(declared=PLANNED, session=session, cluster_api=None, context="").simulated is simulated


def test_a_client_of_a_service_is_made_once() -> None:
    session = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="eu-west-1")
    found = Target(declared=PLANNED, session=session, cluster_api=None, context="")
    assert found.aws("sqs") is found.aws("sqs")
