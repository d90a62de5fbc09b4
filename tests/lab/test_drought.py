"""Spot runs dry: pods run On-Demand after one round of refusals, and room that was kept free needs no launch."""

from collections.abc import Iterator

import pytest

from tests.lab.running import Lab, condition, until

NAME, REPLICAS = "drought", 50
PATIENCE_SECONDS = 100.0
"""Less than the 122 s that the pool without a shape took, and enough for a busy machine; one round is about 20 s."""

MOST_REFUSED = 3
"""NodeClaims that are refused: one a round, or a second where pods come in two batches; without a shape eleven."""


def refused(lab: Lab) -> set[str]:
    """NodeClaims that EC2 had no capacity for."""
    events = [event for event in lab.get("events") if event["reason"] == "InsufficientCapacityError"]
    return {event["involvedObject"]["name"] for event in events}


@pytest.fixture
def no_spot(lab: Lab) -> Iterator[None]:
    with lab.short_of("spot"):
        yield
    claims = [name for name, claim in lab.claims().items() if pool_of(claim) == "on-demand"]
    lab.kubectl("delete", "deployment", NAME, "--namespace=default", "--ignore-not-found")
    if claims:
        lab.kubectl("delete", "nodeclaims", "--ignore-not-found", "--timeout=120s", *claims)


def pool_of(thing: dict[str, dict[str, dict[str, str]]]) -> str:
    return thing["metadata"]["labels"]["karpenter.sh/nodepool"]


def test_without_spot_fifty_frontends_run_on_demand_after_one_round_of_refusals(lab: Lab, no_spot: None) -> None:
    before = refused(lab)
    lab.wants_node(NAME, cpu="200m", memory="250Mi", pool="", replicas=REPLICAS)  # as prod's frontend
    until(f"{REPLICAS} frontends run", lambda: lab.ready(NAME) == REPLICAS, PATIENCE_SECONDS)
    nodes = {node["metadata"]["name"]: pool_of(node) for node in lab.get("nodes") if karpenters(node)}
    pods = lab.get("pods", namespace="default", selector=f"app={NAME}")
    homes = [nodes.get(pod["spec"]["nodeName"], "") for pod in pods]

    assert "on-demand" in homes
    assert set(homes) <= {"spot", "on-demand"}  # the nodes that were there take some
    assert 0 < len(refused(lab) - before) <= MOST_REFUSED


@pytest.fixture
def headroom(lab: Lab) -> Iterator[None]:
    """Room for the pod that ``wants_node`` makes, as a stack file declares it."""
    lab.apply(karpenter=lab.config("karpenter") | {"headroom": {"cpu": "7", "memory": "2Gi"}})
    yield
    lab.apply()


def test_a_pod_finds_the_room_that_is_kept_free_without_a_launch(lab: Lab, headroom: None) -> None:
    def kept() -> bool:
        buffer = lab.get("capacitybuffers.autoscaling.x-k8s.io", "headroom", "kube-system")
        return condition(buffer, "Provisioning") == "True"

    until("room is kept", kept, 240)
    # Beyond that a node is ordered; the room is there once the node has joined.
    until("its node has joined", lambda: all(condition(claim, "Ready") == "True" for claim in lab.claims().values()))
    before = {claim["metadata"]["uid"] for claim in lab.claims().values()}
    lab.wants_node("front", cpu="7")
    try:
        node = until("the pod runs", lambda: lab.runs("front"), 60)
        home = lab.claim_of_node(node)
        assert home["metadata"]["uid"] in before
    finally:
        lab.no_longer_wants_node("front")


@pytest.fixture
def reservation(lab: Lab) -> Iterator[str]:
    """One m7i.2xlarge that is paid for already, and a fallback pool that may take it, as a stack file declares both."""
    made = lab.aws(
        "ec2",
        "create_capacity_reservation",
        InstanceType="m7i.2xlarge",
        InstancePlatform="Linux/UNIX",
        AvailabilityZone="eu-west-1a",
        InstanceCount=1,
        InstanceMatchCriteria="targeted",
    )
    identity = made["CapacityReservation"]["CapacityReservationId"]
    pools = lab.config("pools")
    pools["on-demand"]["capacityTypes"] = ["on-demand", "reserved"]
    lab.apply(pools=pools, nodeClass=lab.config("nodeClass") | {"capacityReservations": [{"id": identity}]})
    yield identity
    for name in ("reserved", "beyond"):
        lab.no_longer_wants_node(name)
    lab.aws("ec2", "cancel_capacity_reservation", CapacityReservationId=identity)
    lab.apply()


def test_what_is_reserved_is_used_first_and_what_it_does_not_hold_runs_on_demand(lab: Lab, reservation: str) -> None:
    def reserved() -> bool:
        node_class = lab.get("ec2nodeclasses", "default")
        known = {told["id"] for told in node_class["status"].get("capacityReservations", [])}
        return condition(node_class, "Ready") == "True" and reservation in known

    until("Karpenter knows of the reservation", reserved, 120)
    kinds = {}
    for name in ("reserved", "beyond"):
        lab.wants_node(name, cpu="7", pool="on-demand")
        node = until(f"{name} runs", lambda name=name: lab.runs(name), 120)
        kinds[name] = lab.get("node", node)["metadata"]["labels"]

    assert kinds["reserved"]["karpenter.sh/capacity-type"] == "reserved"
    assert kinds["reserved"]["karpenter.k8s.aws/capacity-reservation-id"] == reservation
    assert kinds["beyond"]["karpenter.sh/capacity-type"] == "on-demand"


def karpenters(node: dict[str, dict[str, dict[str, str]]]) -> bool:
    return "karpenter.sh/nodepool" in node["metadata"]["labels"]
