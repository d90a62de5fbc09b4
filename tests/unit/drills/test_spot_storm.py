"""The spot-storm drill: which nodes it warns, how it sends, and what it follows."""

from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.drills.spot_interruption import warning
from otel_on_spot.drills.spot_interruption.candidates import Candidate
from otel_on_spot.drills.spot_storm.run import Watch
from otel_on_spot.drills.spot_storm.verdicts import Seen, Storm, checks, choose_nodes, measures, verdicts
from otel_on_spot.drills.timeline import Timeline
from otel_on_spot.kubernetes.names import DEPLOYMENT, INSTANCE_TYPE, NODE, NODE_CLAIM, POD, ZONE
from tests.unit.doctor.changes import HEALTHY
from tests.unit.drills.cluster import Cluster
from tests.unit.drills.conftest import Aws
from tests.unit.drills.storms import dev, storm
from tests.unit.drills.test_spot_interruption_verdicts import node, platform, pod


def spot(name: str, zone: str = "eu-west-1a", instance_type: str = "m7i.xlarge") -> Any:
    made = node(name)
    return replace(made, labels={**made.labels, ZONE: zone, INSTANCE_TYPE: instance_type})


FLEET = (spot("a"), spot("b"), spot("c", "eu-west-1b"), spot("d", "eu-west-1b", "c7i.xlarge"), node("e", "on-demand"))
PODS = (pod("a", "ad"), pod("a", "quote"), pod("b", "frontend"), pod("c", "frontend-proxy"), pod("d", "cart"))


def chosen(wanted: Storm, *more: Any, allow_stateful: bool = False, fleet: Any = FLEET) -> list[str]:
    facts = platform(*PODS, *more, nodes=fleet)
    return [found.node for found in choose_nodes(facts, wanted, allow_stateful=allow_stateful)]


@pytest.mark.parametrize(
    ("wanted", "nodes"),
    [
        (Storm(), ["c", "b"]),
        (Storm(everything=True), ["c", "b", "a", "d"]),
        (Storm(zone="eu-west-1b"), ["c", "d"]),
        (Storm(instance_type="c7i.xlarge"), ["d"]),
        (Storm(zone="eu-west-1b", instance_type="m7i.xlarge"), ["c"]),
    ],
    ids=lambda given: given.text if isinstance(given, Storm) else "",
)
def test_the_nodes_that_are_asked_for_are_warned_those_of_the_front_path_first(wanted: Storm, nodes: list[str]) -> None:
    assert chosen(wanted) == nodes


def test_half_of_an_odd_number_is_the_larger_half() -> None:
    assert len(chosen(Storm(), fleet=FLEET[:3])) == 2
    assert len(chosen(Storm(), fleet=FLEET[:1])) == 1


@pytest.mark.parametrize(
    ("wanted", "fleet", "said"),
    [
        (
            Storm(zone="eu-west-1z"),
            FLEET,
            "there are no Spot nodes in eu-west-1z. Spot nodes: c7i.xlarge in",
        ),
        (Storm(instance_type="p5.large"), FLEET, "there are no Spot nodes of type p5.large"),
        (Storm(), FLEET[-1:], "none of 1 node is a Spot node of Karpenter's"),
    ],
)
def test_a_storm_over_no_node_is_refused(wanted: Storm, fleet: Any, said: str) -> None:
    with pytest.raises(DrillRefusedError, match=said):
        chosen(wanted, fleet=fleet)


def test_all_of_them_and_a_part_of_them_is_refused() -> None:
    with pytest.raises(DrillRefusedError, match="Give one"):
        Storm(everything=True, zone="eu-west-1a")


def test_a_node_with_the_only_copy_of_data_stops_a_storm_over_it() -> None:
    with pytest.raises(DrillRefusedError, match="3 of 4 nodes may be interrupted") as refused:
        chosen(Storm(everything=True), pod("d", "kafka"))
    assert "d: it keeps the only copy of the data of otel-demo/kafka" in str(refused.value)
    assert "d" in chosen(Storm(everything=True), pod("d", "kafka"), allow_stateful=True)
    assert chosen(Storm(), pod("d", "kafka")) == ["c", "b"], "half of them are others"


def test_the_doctor_is_asked_about_the_part_of_the_way_that_was_not_gone() -> None:
    assert "interruption-queue" in checks(replace(storm(), handled={}))
    assert "node-classes" in checks(replace(storm(), whole=None))


def test_the_numbers_of_a_storm_are_told() -> None:
    told = measures(storm(), "by the bus")
    assert told["warned"] == "3 nodes at once: all Spot nodes"
    assert told["messages until handled"] == "3 of 3 in 0.9 s: median 0.5 s, 3.3 a second"
    assert told["least answering"] == "1 ready endpoints: 2, 1 at 1.5 s, 2 at 3.0 s"
    assert told["time to whole"] == "104.0 s"
    assert "100% is waived" in next(verdict.what for verdict in verdicts(dev()) if verdict.id == "front-path")


def test_warnings_go_ten_a_request_and_what_is_refused_is_told(answers: dict[str, Stubber]) -> None:
    target = Aws(declared=HEALTHY.declared, session=boto3.Session(), cluster_api=None, context="")
    instances = [f"i-{number:017x}" for number in range(12)]
    account = {"Account": "123456789012"}

    answers["sts"].add_response("get_caller_identity", account)
    for count in (10, 2):
        entries = [{"EventId": str(number)} for number in range(count)]
        answers["events"].add_response(
            "put_events", {"Entries": entries, "FailedEntryCount": 0}, {"Entries": [ANY] * count}
        )
    warning.send(target, warning.BUS, instances)

    answers["sts"].add_response("get_caller_identity", account)
    url = {"QueueUrl": "https://queue"}
    answers["sqs"].add_response("get_queue_url", url, {"QueueName": HEALTHY.declared.interruption_queue})
    done = {"Successful": [], "Failed": []}
    answers["sqs"].add_response("send_message_batch", done, {**url, "Entries": [ANY] * 10})
    refused = {"Id": "1", "SenderFault": True, "Code": "Bad", "Message": "no"}
    answers["sqs"].add_response("send_message_batch", {**done, "Failed": [refused]}, {**url, "Entries": [ANY] * 2})
    with pytest.raises(DrillRefusedError, match="1 of 12 warnings were refused: Bad: no"):
        warning.send(target, warning.QUEUE, instances)


def test_each_node_is_followed_to_its_end_and_not_by_its_name_alone(there: Cluster) -> None:
    cart = ("otel-demo", "Deployment", "cart")
    warned = [
        Candidate(node=f"n{number}", claim=f"claim-{number}", instance=f"i-{number}", workloads=(cart,))
        for number in (1, 2)
    ]
    owned = {"ownerReferences": [{"kind": "ReplicaSet", "name": "cart", "controller": True}]}
    for found in warned:
        there.front.add(NODE_CLAIM, found.claim)
        there.front.add(NODE, found.node, spec={"providerID": f"aws:///a/{found.instance}"})
        there.front.add(POD, found.node, metadata=owned, spec={"nodeName": found.node}, status={"phase": "Running"})
    deployment = there.front.add(DEPLOYMENT, "cart", spec={"replicas": 2}, status={"readyReplicas": 1})
    seen = Seen(storm=Storm(), warned=["n1", "n2"], timeout=60.0)
    watch = Watch(there.api, Timeline(), warned, seen)
    assert not watch.heard()
    there.front.find("NodeClaim", "claim-1")["metadata"]["deletionTimestamp"] = "2026-11-26T08:00:00Z"
    assert not watch.settled()
    assert (set(seen.handled), set(seen.drained)) == ({"n1"}, set())
    assert seen.left == ("otel-demo/n1", "otel-demo/n2")
    there.front.objects.remove(there.front.find("NodeClaim", "claim-2"))
    there.front.find("Node", "n2")["spec"]["providerID"] = "aws:///a/i-new"  # its address, and so its name, anew
    there.front.objects.remove(there.front.find("Pod", "n1"))
    assert not watch.settled()
    assert set(seen.handled) == set(seen.drained) == {"n1", "n2"}
    assert seen.waiting == ("otel-demo/cart",)
    deployment["status"]["readyReplicas"] = 2
    there.front.objects.remove(there.front.find("NodeClaim", "claim-1"))
    assert watch.settled()
    assert set(seen.gone) == {"n1", "n2"}
    assert seen.whole is not None
