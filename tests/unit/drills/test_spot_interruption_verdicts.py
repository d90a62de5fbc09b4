"""The spot-interruption drill: which node it may take, what it says, and how it counts gaps."""

import json
from dataclasses import replace
from typing import Any

import pytest

from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_kubernetes import Node, NodeClaim, Pod, Terminating
from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.drills.spot_interruption import warning
from otel_on_spot.drills.spot_interruption.candidates import Candidate, choose, judge_nodes
from otel_on_spot.drills.spot_interruption.run import is_whole
from otel_on_spot.drills.spot_interruption.verdicts import verdicts
from otel_on_spot.kubernetes.names import CAPACITY_TYPE
from tests.unit.doctor.changes import HEALTHY
from tests.unit.drills.interruptions import SEEN, room

NOW = HEALTHY.taken_at


def node(name: str, capacity: str = "spot", *, ready: bool = True) -> Node:
    return Node(name=name, instance_id=f"i-{name}", labels={CAPACITY_TYPE: capacity}, ready=ready)


def claim(name: str) -> NodeClaim:
    return NodeClaim(
        name=f"spot-{name}", pool="spot", instance_id=f"i-{name}", node=name, created_at=NOW, conditions=()
    )


def pod(where: str, owner: str, kind: str = "Deployment", **more: Any) -> Pod:
    given: dict[str, Any] = {"namespace": "otel-demo", "name": f"{owner}-1", "phase": "Running", **more}
    return Pod(node=where, owner=(kind, owner), **given)


def platform(*pods: Pod, nodes: tuple[Node, ...] = (node("a"),), claims: tuple[NodeClaim, ...] | None = None) -> Facts:
    made = tuple(claim(node.name) for node in nodes) if claims is None else claims
    return replace(HEALTHY, nodes=nodes, pods=pods, node_claims=made, terminating=())


def only(facts: Facts, *, allow_stateful: bool = False) -> Candidate:
    (found,) = judge_nodes(facts, allow_stateful=allow_stateful)
    return found


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (platform(pod("a", "cart")), ""),
        (platform(claims=()), "Karpenter did not launch it"),
        (platform(nodes=(node("a", "on-demand"),)), "it is on-demand: no Spot warning is ever about it"),
        (platform(nodes=(node("a", ready=False),)), "it is not Ready"),
        (
            replace(
                platform(),
                terminating=(Terminating(kind="NodeClaim", namespace="", name="spot-a", since=NOW, finalizers=()),),
            ),
            "its NodeClaim is being deleted already",
        ),
        (platform(pod("a", "mine", "Pod")), "nothing would make otel-demo/mine-1 again: a pod without a controller"),
        (platform(pod("a", "kafka")), "it keeps the only copy of the data of otel-demo/kafka (--allow-stateful"),
        (
            platform(pod("a", "db", "StatefulSet", claims=("data-db-0",))),
            "it keeps the only copy of the data of otel-demo/db",
        ),
        (platform(pod("a", "db", "StatefulSet", claims=("d",)), pod("b", "db", "StatefulSet", claims=("e",))), ""),
        (
            platform(pod("a", "db", claims=("d",)), pod("b", "db", claims=("e",), phase="Pending")),
            "it keeps the only copy",
        ),
        (platform(pod("a", "fluent", "DaemonSet", claims=("d",))), ""),
    ],
    ids=[
        "free",
        "not Karpenter's",
        "On-Demand",
        "not Ready",
        "going",
        "bare pod",
        "listed database",
        "volume claim",
        "two copies",
        "other copy does not run",
        "daemon",
    ],
)
def test_why_a_node_must_not_be_interrupted(facts: Facts, why: str) -> None:
    found = only(facts).why_not
    assert found.startswith(why) if why else found == ""


def test_the_only_copy_is_taken_when_that_is_allowed() -> None:
    assert only(platform(pod("a", "kafka")), allow_stateful=True).why_not == ""


def test_a_node_of_the_front_path_is_chosen_before_a_fuller_one() -> None:
    facts = platform(
        *(pod("a", name) for name in ("ad", "cart", "quote")),
        pod("b", "frontend-proxy"),
        pod("c", "frontend", namespace="other"),
        nodes=(node("a"), node("b"), node("c")),
    )
    found = judge_nodes(facts, allow_stateful=False)
    assert choose(found, None).node == "b"
    assert choose(found, "a").workloads == tuple(("otel-demo", "Deployment", name) for name in ("ad", "cart", "quote"))
    without = [candidate for candidate in found if candidate.node != "b"]
    assert choose(without, None).node == "a"


def test_where_none_may_be_interrupted_the_reason_of_each_is_told() -> None:
    found = judge_nodes(platform(pod("a", "kafka"), nodes=(node("a"), node("b", "on-demand"))), allow_stateful=False)
    with pytest.raises(DrillRefusedError) as refused:
        choose(found, None)
    told = str(refused.value)
    assert "none of 2 nodes may be interrupted" in told
    assert "a: it keeps the only copy of the data of otel-demo/kafka" in told
    assert "b: it is on-demand" in told


@pytest.mark.parametrize(
    ("wanted", "said"), [("z", "there is no such node. Nodes: a"), ("a", "--node a: it keeps the only")]
)
def test_a_node_that_was_asked_for_is_refused_with_its_reason(wanted: str, said: str) -> None:
    with pytest.raises(DrillRefusedError, match=said):
        choose(judge_nodes(platform(pod("a", "kafka")), allow_stateful=False), wanted)


def test_each_promise_has_its_line_and_an_unheard_warning_that_one_alone() -> None:
    lines = ["heard", "tainted", "drained", "replaced", "workloads", "front-path"]
    assert [verdict.id for verdict in verdicts(SEEN)] == lines
    assert [verdict.id for verdict in verdicts(replace(SEEN, at={}))] == lines[:1]


def test_where_other_nodes_had_room_no_replacement_is_needed() -> None:
    assert verdicts(room())[3].what == "none was needed: other nodes had room"


def test_a_workload_is_whole_when_a_status_of_its_newest_spec_says_so() -> None:
    thing = {
        "metadata": {"generation": 2},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 2, "readyReplicas": 2},
    }
    assert is_whole(thing)
    assert not is_whole({**thing, "status": {"observedGeneration": 1, "readyReplicas": 2}})
    assert not is_whole({**thing, "status": {"observedGeneration": 2, "readyReplicas": 1}})
    assert not is_whole({**thing, "status": {"observedGeneration": 2}})


def test_the_message_has_the_shape_that_the_rule_asks_for() -> None:
    told = json.loads(json.dumps(warning.event("eu-west-1", "123456789012", "i-a")))
    pattern = HEALTHY.declared.rules["otel-lab-spot-interruption"]
    assert all(told[key] in allowed for key, allowed in pattern.items())
    assert told["detail"] == {"instance-id": "i-a", "instance-action": "terminate"}
