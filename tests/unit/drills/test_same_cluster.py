"""A drill begins on the stack's own cluster alone."""

from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from kubernetes import client
from typer.testing import CliRunner

from otel_on_spot.cli import app
from otel_on_spot.drills import drill
from otel_on_spot.drills.drill import DrillRefusedError, require_same_cluster
from otel_on_spot.target import Target
from tests.unit.doctor.changes import HEALTHY
from tests.unit.drills.cluster import Cluster

OURS, OTHERS = "https://ABC123.gr7.eu-west-1.eks.amazonaws.com", "https://fff999.gr7.eu-west-1.eks.amazonaws.com"


@dataclass(frozen=True, kw_only=True)
class Answered(Target):
    """A platform whose EKS says where its cluster is; None where nobody answers."""

    endpoint: str | None = OURS

    def aws(self, service: str) -> Any:
        assert service == "eks"
        return self

    def describe_cluster(self, name: str) -> dict[str, Any]:
        assert name == HEALTHY.declared.cluster
        if self.endpoint is None:
            raise EndpointConnectionError(endpoint_url="https://eks")
        return {"cluster": {"endpoint": self.endpoint}}


def at(host: str, endpoint: str | None = OURS) -> Target:
    configuration = client.Configuration()
    configuration.host = host
    return Answered(
        declared=HEALTHY.declared,
        session=boto3.Session(region_name="eu-west-1"),
        cluster_api=client.ApiClient(configuration),
        context="somebody@somewhere",
        endpoint=endpoint,
    )


def test_the_stacks_own_cluster_is_taken_however_its_name_is_written() -> None:
    require_same_cluster(at(OURS))
    require_same_cluster(at(OURS.lower() + "/"))


def test_another_cluster_is_refused_with_both_addresses_and_the_command() -> None:
    with pytest.raises(DrillRefusedError) as refused:
        require_same_cluster(at(OTHERS))
    said = str(refused.value)
    assert f"context somebody@somewhere leads to {OTHERS}, but cluster {HEALTHY.declared.cluster}" in said
    assert OURS in said
    assert f"aws eks update-kubeconfig --region {HEALTHY.declared.region} --name {HEALTHY.declared.cluster}" in said


def test_a_cluster_that_aws_does_not_tell_is_refused() -> None:
    with pytest.raises(DrillRefusedError, match=r"is not known: .*Check credentials"):
        require_same_cluster(at(OURS, endpoint=None))


@pytest.mark.parametrize(
    "options",
    [["stress", "--replicas", "5"], ["drift"], ["node-join"], ["spot-interruption"]],
    ids=lambda arguments: arguments[0],
)
def test_no_drill_changes_another_cluster(there: Cluster, monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    known = there.target
    target = Answered(
        declared=known.declared,
        session=known.session,
        cluster_api=known.cluster_api,
        context="here",
        endpoint=OTHERS,
    )
    monkeypatch.setattr(drill, "reach", lambda *_: (target, there.api))
    before = there.api.requests
    ended = CliRunner().invoke(app, ["drill", *options, "--stack", "lab"])
    assert ended.exit_code == 2, ended.output
    assert f"is at {OTHERS}" in ended.output
    assert there.api.requests == before
