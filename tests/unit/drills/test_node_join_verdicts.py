"""The node-join drill's lines, on recorded facts and objects."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_aws import Instance
from otel_on_spot.doctor.facts_kubernetes import Node, Pod
from otel_on_spot.drills.node_join import run as pods
from otel_on_spot.drills.node_join.observation import combine, nominated, words
from otel_on_spot.drills.node_join.run import empty_types
from otel_on_spot.drills.node_join.verdicts import STEPS, Joining, verdicts
from otel_on_spot.kubernetes.client import Api
from tests.unit.doctor import access_faults
from tests.unit.doctor.changes import HEALTHY, added, one_of

ALL = {step.id: float(number) for number, step in enumerate(STEPS)}
SEEN = Joining(
    pool="spot",
    timeout=60.0,
    reached=ALL,
    details={"claimed": "spot-abcde"},
    pod="default/drill-node-join-1",
    claim="spot-abcde",
    instance="i-0new",
    words="InsufficientCapacityError: no room",
)


def until_step(step: str) -> Joining:
    """As far as the step before this one."""
    names = [step.id for step in STEPS]
    return replace(SEEN, reached={name: ALL[name] for name in names[: names.index(step)]})


def with_instance(facts: Facts) -> Facts:
    known = one_of("instances", lambda instance: instance.profile_arn)
    young: Instance = replace(
        known,
        id="i-0new",
        state="running",
        launched_at=facts.taken_at - timedelta(seconds=30),
        tags={**known.tags, "karpenter.sh/nodepool": "spot"},
    )
    return added("instances", young)(facts)


def test_every_step_has_its_line_with_the_time_that_it_took() -> None:
    found = verdicts(SEEN, None)
    assert [step.id for step in found] == [step.id for step in STEPS]
    assert {verdict.status for verdict in found} == {"ok"}
    assert found[0].what == "0.0 s, spot-abcde"
    assert found[1].what == "1.0 s"


@pytest.mark.parametrize("step", [step.id for step in STEPS])
def test_the_first_step_that_was_not_reached_is_found_and_none_behind_it_is_judged(step: str) -> None:
    found = verdicts(until_step(step), HEALTHY)
    assert [verdict.status for verdict in found] == ["ok"] * (len(found) - 1) + ["found"]
    assert found[-1].id == step
    assert f"not {step} 60 s after the pod was made" in found[-1].findings[0].seen


def test_steps_that_come_in_another_order_never_take_less_than_nothing() -> None:
    found = verdicts(replace(SEEN, reached={**ALL, "registered": 9.0}), None)
    assert [verdict.what for verdict in found if verdict.id in ("registered", "ready")] == ["7.0 s", "0.0 s"]


def test_a_launch_that_the_cloud_refuses_is_told_in_the_clouds_words() -> None:
    assert verdicts(until_step("launched"), HEALTHY)[-1].findings[0].seen.endswith("InsufficientCapacityError: no room")


def test_a_role_that_is_not_admitted_is_named_as_the_cause_before_the_doctors_two_minutes_are_over() -> None:
    facts = with_instance(access_faults.FAULTS["role not mapped"][1](HEALTHY))
    said = verdicts(until_step("authenticated"), facts)[-1].findings[0]
    assert said.subject == "i-0new"
    assert (
        "running, no Node; likely cause: the cluster does not admit its role (aws-auth: mapRoles does not" in said.seen
    )


def test_an_instance_that_is_gone_is_said_to_be() -> None:
    assert verdicts(until_step("authenticated"), HEALTHY)[-1].findings[0].seen.endswith("the instance is gone")


def test_the_pod_shares_its_node_with_no_pod_but_those_of_daemon_sets() -> None:
    thing = pods.manifest("p", "spot", [], [], 100)
    terms = thing["spec"]["affinity"]["podAntiAffinity"][pods.REQUIRED]
    sets: dict[str, dict[str, str]] = {
        "Deployment": {"pod-template-hash": "1"},
        "DaemonSet": {"controller-revision-hash": "1"},
        "StatefulSet": {"controller-revision-hash": "1", "statefulset.kubernetes.io/pod-name": "db-0"},
        "bare": {},
    }

    def kept_away(labels: dict[str, str]) -> bool:
        (rules,) = zip(*(term["labelSelector"]["matchExpressions"] for term in terms), strict=True)
        return any((rule["key"] in labels) == (rule["operator"] == "Exists") for rule in rules)

    assert {kind for kind, labels in sets.items() if kept_away(labels)} == {"Deployment", "StatefulSet", "bare"}
    assert all(term["namespaceSelector"] == {} for term in terms)
    assert "nodeAffinity" not in thing["spec"]["affinity"]


def test_instance_types_of_empty_nodes_of_the_pool_are_ruled_out() -> None:
    def node(name: str, pool: str, kind: str) -> Node:
        labels = {pods.POOL_LABEL: pool, pods.INSTANCE_TYPE: kind}
        return Node(name=name, instance_id="", labels=labels, ready=True)

    def pod(name: str, owner: str) -> Pod:
        return Pod(namespace="x", name="p", node=name, phase="Running", owner=(owner, "o"))

    there = [node("busy", "spot", "a.large"), node("idle", "spot", "b.large"), node("other", "data", "c.large")]
    types = empty_types(there, [pod("busy", "Deployment"), pod("idle", "DaemonSet")], "spot")
    assert types == {"b.large"}
    affinity = pods.manifest("p", "spot", [], types, 100)["spec"]["affinity"]["nodeAffinity"]
    assert affinity[pods.REQUIRED]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"] == ["b.large"]


@pytest.mark.parametrize(
    ("taint", "wanted"),
    [
        ({"key": "dedicated", "value": "data", "effect": "NoSchedule"}, {"operator": "Equal", "value": "data"}),
        ({"key": "dedicated", "effect": "NoSchedule"}, {"operator": "Exists"}),
    ],
)
def test_the_pools_taints_are_tolerated(taint: dict[str, str], wanted: dict[str, str]) -> None:
    assert pods.manifest("p", "data", [taint], [], 9)["spec"]["tolerations"] == [
        {"key": "dedicated", "effect": "NoSchedule", **wanted}
    ]


def condition(kind: str, status: str, **more: str) -> dict[str, str]:
    return {"type": kind, "status": status, "lastTransitionTime": "2026-11-23T12:00:05Z", **more}


CLAIM: dict[str, Any] = {
    "metadata": {
        "name": "spot-abcde",
        "creationTimestamp": "2026-11-23T12:00:01Z",
        "labels": {"node.kubernetes.io/instance-type": "c7a.large", "karpenter.sh/capacity-type": "spot"},
    },
    "status": {
        "providerID": "aws:///eu-west-1a/i-0new",
        "conditions": [
            condition("Launched", "True"),
            condition("Registered", "Unknown", reason="NodeNotFound", message="Node not registered with cluster"),
        ],
    },
}


def test_a_claim_that_is_launched_and_no_node_says_what_it_waits_for() -> None:
    seen = combine({"metadata": {"name": "p"}}, CLAIM, None)
    assert set(seen.at) == {"claimed", "launched"}
    assert seen.details["launched"] == "i-0new c7a.large spot"
    assert seen.instance == "i-0new"
    assert seen.words == "Registered=Unknown NodeNotFound Node not registered with cluster"


def test_a_node_that_is_not_ready_was_let_in_all_the_same() -> None:
    node = {
        "metadata": {"name": "n", "creationTimestamp": "2026-11-23T12:00:04Z"},
        "status": {"conditions": [condition("Ready", "False")]},
    }
    assert "ready" not in combine({"metadata": {"name": "p"}}, CLAIM, node).at
    assert "authenticated" in combine({"metadata": {"name": "p"}}, CLAIM, node).at


class Events(Api):
    """An API that knows events."""

    def __init__(self, *things: dict[str, Any]) -> None:
        self.things = things

    def list(self, path: str, accept: str = "", **query: str) -> Iterator[dict[str, Any]]:
        key, value = query["fieldSelector"].removeprefix("involvedObject.").split("=")
        return (event for event in self.things if event["involvedObject"].get(key) == value)


def event(of: dict[str, str], kind: str, why: str, message: str, second: int) -> dict[str, Any]:
    when = f"2026-11-23T12:00:{second:02}Z"
    return {"involvedObject": of, "type": kind, "reason": why, "message": message, "lastTimestamp": when}


def test_only_claims_that_karpenter_named_for_the_pod_are_its_own() -> None:
    pod = {"uid": "u1", "name": "p"}
    told = Events(
        event(pod, "Normal", "Nominated", "Pod should schedule on: nodeclaim/spot-b", 2),
        event(pod, "Normal", "Nominated", "Pod should schedule on: nodeclaim/spot-a", 1),
        event({"uid": "u2"}, "Normal", "Nominated", "Pod should schedule on: nodeclaim/spot-c", 3),
        event(pod, "Warning", "FailedScheduling", "0/4 nodes are available", 4),
    )
    assert nominated(told, "u1") == ("spot-a", "spot-b")
    assert words(told, "u1", ("spot-a", "spot-b")) == "FailedScheduling: 0/4 nodes are available"


def test_what_the_last_claim_says_goes_before_what_the_pod_says() -> None:
    told = Events(
        event({"uid": "u1"}, "Warning", "FailedScheduling", "0/4 nodes are available", 9),
        event({"name": "spot-b"}, "Warning", "InsufficientCapacityError", "no\n room", 3),
        event({"name": "spot-b"}, "Warning", "TerminationGracePeriodExpiring", "All pods will be deleted", 8),
    )
    assert words(told, "u1", ("spot-b",)) == "InsufficientCapacityError: no room"
