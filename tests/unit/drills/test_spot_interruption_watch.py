"""A warned node is told from the one that has its address, and so its name, afterwards."""

import pytest

from otel_on_spot.drills.spot_interruption.candidates import Candidate
from otel_on_spot.drills.spot_interruption.run import DISRUPTED, Watch
from otel_on_spot.drills.spot_interruption.verdicts import Interruption
from otel_on_spot.drills.timeline import Timeline
from otel_on_spot.kubernetes.names import NODE, POD
from tests.unit.drills.cluster import Cluster

WARNED = Candidate(node="ip-10-40-0-6", claim="spot-old", instance="i-old", pods=1)


@pytest.fixture
def watch(there: Cluster) -> Watch:
    owned = {"ownerReferences": [{"kind": "ReplicaSet", "name": "cart", "controller": True}]}
    there.front.add(POD, "cart-1", metadata=owned, spec={"nodeName": WARNED.node}, status={"phase": "Running"})
    seen = Interruption(node=WARNED.node, instance=WARNED.instance, timeout=60.0)
    return Watch(there.api, Timeline(), WARNED, {"spot-old"}, seen)


def has_node(there: Cluster, instance: str, *, tainted: bool) -> None:
    taints = [{"key": DISRUPTED, "effect": "NoSchedule"}] if tainted else []
    spec = {"providerID": f"aws:///eu-west-1a/{instance}", "taints": taints}
    there.front.objects[:] = [other for other in there.front.objects if other["kind"] != "Node"]
    there.front.add(NODE, WARNED.node, spec=spec)


def test_a_node_with_pods_is_tainted_and_not_drained(there: Cluster, watch: Watch) -> None:
    has_node(there, "i-old", tainted=True)
    watch.settled()
    assert "tainted" in watch.seen.at
    assert "drained" not in watch.seen.at
    assert watch.seen.left == ("otel-demo/cart-1",)


def test_pods_on_a_new_node_of_the_same_name_are_none_of_the_warned_one(there: Cluster, watch: Watch) -> None:
    has_node(there, "i-old", tainted=False)
    watch.settled()
    has_node(there, "i-new", tainted=True)
    watch.settled()
    assert "tainted" not in watch.seen.at
    assert "drained" in watch.seen.at
    assert watch.seen.left == ()


def test_a_node_that_is_gone_is_drained(there: Cluster, watch: Watch) -> None:
    watch.settled()
    assert "drained" in watch.seen.at
