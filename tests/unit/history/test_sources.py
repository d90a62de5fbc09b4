"""What the sources answer becomes lives: an API server in memory, and an EC2 that says what it is told to."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from otel_on_spot.failures import UnreachableError
from otel_on_spot.history import sources
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.names import EVENT
from tests.unit.doctor.changes import HEALTHY
from tests.unit.drills.kubernetes_front import KubernetesFront

NOW = datetime.now(UTC).replace(microsecond=0)
OWNED = {"Key": "kubernetes.io/cluster/otel-lab", "Value": "owned"}


class Ec2:
    """Answers with pages that it was given; keeps what was asked."""

    def __init__(self, **pages: list[dict[str, Any]]) -> None:
        self.pages = pages
        self.asked: list[dict[str, Any]] = []

    def get_paginator(self, call: str) -> Any:
        def paginate(**arguments: Any) -> list[dict[str, Any]]:
            self.asked.append({"call": call, **arguments})
            return self.pages[call]

        return SimpleNamespace(paginate=paginate)


def instance(claim: str, *tags: dict[str, str]) -> dict[str, Any]:
    named = [{"Key": "karpenter.sh/nodeclaim", "Value": claim}, {"Key": "karpenter.sh/nodepool", "Value": "spot"}]
    ended = (NOW - timedelta(minutes=5)).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "InstanceId": f"i-{claim}",
        "InstanceType": "m5.large",
        "Placement": {"AvailabilityZone": "eu-west-1a"},
        "State": {"Name": "terminated"},
        "LaunchTime": NOW - timedelta(minutes=65),
        "InstanceLifecycle": "spot",
        "StateTransitionReason": f"User initiated ({ended} GMT)",
        "Tags": [*named, *tags],
    }


def event(front: KubernetesFront, reason: str, name: str) -> None:
    then = (NOW - timedelta(minutes=6)).isoformat()
    about = {"kind": "NodeClaim", "name": name}
    front.add(EVENT, f"{name}-{reason}", involvedObject=about, reason=reason, firstTimestamp=then)


def of_ec2(ec2: Ec2) -> Any:
    return SimpleNamespace(aws=lambda _: ec2, declared=HEALTHY.declared)


def test_the_nodes_of_this_cluster_are_told_and_no_others(front: KubernetesFront) -> None:
    event(front, "SpotInterrupted", "spot-a")
    reservations = [{"Instances": [instance("spot-a", OWNED), instance("spot-theirs")]}]
    platform = of_ec2(Ec2(describe_instances=[{"Reservations": reservations}]))
    (life,) = sources.look(platform, Api(front.client)).lives
    assert (life.claim, life.type, life.zone, life.why_ended) == (
        "spot-a",
        "m5.large",
        "eu-west-1a",
        "Spot interruption",
    )
    assert life.warning_used == timedelta(minutes=1)
    asked = [path for path in front.requests if "/events" in path]
    assert len(asked) == len(sources.SELECTORS)
    assert all("fieldSelector=" in path for path in asked)


def test_prices_are_asked_for_the_types_and_the_time_that_lived(front: KubernetesFront) -> None:
    began = NOW - timedelta(minutes=65)
    row = {"InstanceType": "m5.large", "AvailabilityZone": "eu-west-1a", "SpotPrice": "0.031", "Timestamp": began}
    ec2 = Ec2(
        describe_instances=[{"Reservations": [{"Instances": [instance("spot-a", OWNED)]}]}],
        describe_spot_price_history=[{"SpotPriceHistory": [row]}],
    )
    platform = of_ec2(ec2)
    (life,) = sources.with_prices(platform, sources.look(platform, Api(front.client)).lives)
    assert life.spot_usd == pytest.approx(0.031)
    assert life.on_demand_usd == pytest.approx(0.096)
    assert (ec2.asked[-1]["InstanceTypes"], ec2.asked[-1]["StartTime"]) == (["m5.large"], began)


def test_without_a_node_no_price_is_asked_for(front: KubernetesFront) -> None:
    ec2 = Ec2(describe_instances=[{"Reservations": []}])
    platform = of_ec2(ec2)
    assert sources.with_prices(platform, sources.look(platform, Api(front.client)).lives) == ()
    assert [asked["call"] for asked in ec2.asked] == ["describe_instances"]


def test_an_api_server_that_does_not_answer_is_named(front: KubernetesFront) -> None:
    front.close()
    with pytest.raises(UnreachableError, match=front.url):
        sources.look(of_ec2(Ec2(describe_instances=[])), Api(front.client))


def test_fall_back_goes_to_open_pools_of_on_demand() -> None:
    assert sources.of_pools(of_ec2(Ec2())) == ("on-demand",)
