"""Lesson 3: no custom webhook.

Interruption events travel rules, queue and Karpenter; the node is tainted, drained and replaced before it goes.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.lab.aws import events
from tests.lab.running import Lab, stays, until

REGION = "eu-west-1"
NAME = "interrupted"


@pytest.fixture
def spot_node(lab: Lab) -> Iterator[Callable[[], tuple[str, Any]]]:
    lab.wants_node(NAME)

    def now() -> tuple[str, Any]:
        node = until("the pod runs", lambda: lab.runs(NAME))
        return node, until("its NodeClaim", lambda: lab.claim_of_node(node))

    yield now
    lab.no_longer_wants_node(NAME)


def instance_of(claim: Any) -> str:
    return claim["status"]["providerID"].rpartition("/")[2]


def going(lab: Lab, claim: Any) -> bool:
    there = lab.claims().get(claim["metadata"]["name"])
    return there is None or bool(there["metadata"].get("deletionTimestamp"))


DRAINING = {
    "spot interruption": lambda instance: events.spot_interruption(REGION, instance),
    "stopping": lambda instance: events.state_change(REGION, instance, "stopping"),
    "health": lambda instance: events.health_event(REGION, instance),
    "capacity reservation": lambda instance: events.capacity_reservation_interruption(REGION, instance),
}


@pytest.mark.parametrize("kind", DRAINING)
def test_an_event_that_ends_an_instance_drains_and_replaces_its_node(
    lab: Lab, spot_node: Callable[[], tuple[str, Any]], kind: str
) -> None:
    _node, claim = spot_node()
    delivered = lab.ask("event", event=DRAINING[kind](instance_of(claim)))
    assert [delivery["refused"] for delivery in delivered] == [""]
    until("the NodeClaim goes", lambda: going(lab, claim), 30)
    until("its pod runs elsewhere", lambda: lab.moved(NAME, claim), 90)
    until("the old NodeClaim is gone", lambda: claim["metadata"]["name"] not in lab.claims(), 60)
    ended = lab.aws("ec2", "describe_instances", InstanceIds=[instance_of(claim)])["Reservations"]
    assert all(instance["State"]["Name"] == "terminated" for row in ended for instance in row["Instances"])


def test_the_history_tells_what_became_of_an_interrupted_node(
    lab: Lab, spot_node: Callable[[], tuple[str, Any]], tmp_path: Path
) -> None:
    _node, claim = spot_node()
    name, told = claim["metadata"]["name"], tmp_path / "history.json"
    lab.ask("event", event=events.spot_interruption(REGION, instance_of(claim)))
    until("its pod runs elsewhere", lambda: lab.moved(NAME, claim), 90)
    until("the old NodeClaim is gone", lambda: name not in lab.claims(), 60)
    said, code = lab.otel_on_spot("history", "--json", str(told), "--incident", str(tmp_path))
    assert code == 0, said
    found = json.loads(told.read_text())
    life = next(life for life in found["lives"] if life["claim"] == name)
    assert (life["pool"], life["capacity_type"], life["why_ended"]) == ("spot", "spot", "Spot interruption")
    assert f"default/{NAME}-" in life["began"]
    assert life["pods_moved"] >= 1
    assert life["warned_at"] <= life["ended_at"]
    assert 0 < life["spot_usd"] < life["on_demand_usd"]
    pages = "".join(page.read_text() for page in tmp_path.glob("incident-*.md"))
    assert f"| `{name}` | {life['type']} | {life['zone']} | spot |" in pages
    assert f"SpotInterrupted | `{name}` |" in pages


def test_a_rebalance_recommendation_leaves_an_event_and_the_node(
    lab: Lab, spot_node: Callable[[], tuple[str, Any]]
) -> None:
    node, claim = spot_node()
    lab.ask("event", event=events.rebalance_recommendation(REGION, instance_of(claim)))

    def told() -> bool:
        seen = lab.get("events", namespace="default")
        return any("rebalance" in event["reason"].lower() and event["involvedObject"]["name"] == node for event in seen)

    until("a Kubernetes event on the node", told, 30)
    stays("the node stays", lambda: not going(lab, claim) and lab.runs(NAME) == node, 8)


def test_an_event_about_another_clusters_instance_does_nothing(
    lab: Lab, spot_node: Callable[[], tuple[str, Any]]
) -> None:
    # Its own node: one that is empty may be consolidated away at any moment.
    node, claim = spot_node()
    lab.ask("event", event=events.spot_interruption(REGION, "i-0123456789abcdef0"))
    stays("the node stays", lambda: not going(lab, claim) and lab.runs(NAME) == node, 8)


def lose_the_rule(lab: Lab) -> None:
    rules = lab.aws("events", "list_rules")["Rules"]
    name = next(rule["Name"] for rule in rules if "Spot Instance Interruption" in rule["EventPattern"])
    targets = lab.aws("events", "list_targets_by_rule", Rule=name)["Targets"]
    lab.aws("events", "remove_targets", Rule=name, Ids=[target["Id"] for target in targets])
    lab.aws("events", "delete_rule", Name=name)


def lose_the_policy(lab: Lab) -> None:
    lab.aws("sqs", "set_queue_attributes", QueueUrl=lab.queue_url(), Attributes={"Policy": ""})


@pytest.mark.parametrize(("lose", "told"), [(lose_the_rule, 0), (lose_the_policy, 1)], ids=["rule", "policy"])
def test_without_its_rule_or_the_queues_policy_a_warning_is_never_heard_of_until_an_update_puts_it_back(
    lab: Lab, spot_node: Callable[[], tuple[str, Any]], lose: Callable[[Lab], None], told: int
) -> None:
    _node, claim = spot_node()
    warning = events.spot_interruption(REGION, instance_of(claim))
    lose(lab)
    refused = [delivery["refused"] for delivery in lab.ask("event", event=warning)]
    assert (len(refused), all(refused)) == (told, True)
    stays("nothing happens", lambda: not going(lab, claim), 8)
    lab.apply()
    assert [delivery["refused"] for delivery in lab.ask("event", event=warning)] == [""]
    until("the pod moves", lambda: lab.moved(NAME, claim))


def test_a_killed_karpenter_comes_back_and_handles_what_arrived_meanwhile(
    lab: Lab, spot_node: Callable[[], tuple[str, Any]]
) -> None:
    _node, claim = spot_node()
    lab.ask("kill", name="karpenter")
    lab.ask("event", event=events.spot_interruption(REGION, instance_of(claim)))
    # The message may have gone to the killed one's last request: it comes back after the queue's visibility timeout.
    until("the pod moves", lambda: lab.moved(NAME, claim), 240)
    row = lab.process("karpenter")
    assert row["restarts"] >= 1
    assert row["state"] == "running"
