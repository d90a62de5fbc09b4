"""Drills on a real platform.

What they say when all is well, where they stop when it is not, and what they leave behind.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from otel_on_spot.drills.node_join.verdicts import STEPS
from otel_on_spot.lab.addresses import MOTO_URL
from tests.lab import faults_access, faults_cloud, faults_nodes
from tests.lab.rehearsals import rehearse
from tests.lab.running import Lab, thing, until


def no_node_is_left(lab: Lab, before: set[str]) -> bool:
    """Neither the pod nor a NodeClaim that is not going."""
    pods = lab.get("pods", namespace="default", selector="otel-on-spot/drill")
    new = [claim for name, claim in lab.claims().items() if name not in before]
    return not pods and all(entry["metadata"].get("deletionTimestamp") for entry in new) and lab.lease() is None


def claims_of(lab: Lab, pool: str) -> dict[str, str]:
    """NodeClaims of a pool, and the node of each."""
    return {
        name: claim.get("status", {}).get("nodeName", "")
        for name, claim in lab.claims().items()
        if claim["metadata"]["labels"]["karpenter.sh/nodepool"] == pool
    }


def give_nodes_up(lab: Lab, claims: Iterable[str]) -> None:
    """Delete NodeClaims, and wait until they are drained and gone."""
    if names := list(claims):
        lab.kubectl("delete", "nodeclaims", "--ignore-not-found", "--timeout=120s", *names)


@pytest.fixture
def demo_on_spot(lab: Lab) -> None:
    """The demo on Spot nodes, as after a quiet hour: a test before may have made it fall back to On-Demand."""
    lab.forget_refusals()
    give_nodes_up(lab, claims_of(lab, "on-demand"))
    until("Spot nodes are there", lambda: claims_of(lab, "spot"), 60)
    faults_nodes.joined(lab)


def test_a_node_joins_and_each_step_is_timed(lab: Lab, tmp_path: Path) -> None:
    before = set(lab.claims())
    seen = rehearse(lab, tmp_path, "node-join", "--timeout", "90", keep="node-join")
    assert seen.lines == {step.id: "ok" for step in STEPS}, seen.told
    claim, launched = seen.looked_at("claimed").split(", ")[1], seen.looked_at("launched")
    assert claim not in before
    assert {"spot"} <= set(launched.split())
    assert launched.split()[2].startswith("i-")
    assert (
        seen.moments["claimed"] <= seen.moments["launched"] <= seen.moments["authenticated"] <= seen.moments["running"]
    )
    assert no_node_is_left(lab, before)


def test_a_node_whose_role_is_not_mapped_stops_at_authentication_and_the_cause_is_named(
    lab: Lab, tmp_path: Path
) -> None:
    before = set(lab.claims())
    with faults_access.FAULTS.one("the role is missing from aws auth").seed(lab):
        seen = rehearse(lab, tmp_path, "node-join", "--timeout", "15", keep="node-join-not-admitted")
    assert (seen.lines["launched"], seen.lines["authenticated"], seen.code) == ("ok", "found", 1), seen.told
    assert "likely cause: the cluster does not admit its role (aws-auth: mapRoles does not list" in seen.said(
        "authenticated"
    )
    assert seen.lines["node-role"] == "found"
    assert no_node_is_left(lab, before)


def test_without_capacity_the_node_stops_at_its_launch_and_the_clouds_words_are_told(
    lab: Lab, tmp_path: Path, no_capacity: None
) -> None:
    before = set(lab.claims())
    seen = rehearse(lab, tmp_path, "node-join", "--timeout", "15", keep="node-join-no-capacity")
    assert (seen.lines, seen.code) == ({"claimed": "ok", "launched": "found"}, 1), seen.told
    assert "InsufficientCapacityError" in seen.said("launched")
    assert no_node_is_left(lab, before)


def test_a_pool_that_is_not_there_is_refused_with_those_that_are(lab: Lab, tmp_path: Path) -> None:
    seen = rehearse(lab, tmp_path, "node-join", "--pool", "moon")
    assert (seen.report, seen.code) == (None, 2)
    assert "there is no such NodePool. NodePools of this cluster: data, on-demand, spot" in seen.told


def test_a_scale_by_hand_is_put_back_and_timed(lab: Lab, tmp_path: Path) -> None:
    declared = lab.replicas()
    seen = rehearse(lab, tmp_path, "drift", keep="drift")
    assert seen.lines == {"reverted": "ok", "synced": "ok"}, seen.told
    assert seen.code == 0
    assert seen.moments["scaled by hand"] < seen.moments["put back"] <= seen.moments["Synced"]
    assert lab.replicas() == declared
    assert lab.lease() is None


def test_a_suspended_application_is_found_and_the_drill_puts_the_scale_back_itself(lab: Lab, tmp_path: Path) -> None:
    declared = lab.replicas()
    with lab.suspended("otel-demo"):
        seen = rehearse(lab, tmp_path, "drift", "--timeout", "8", keep="drift-suspended")
        assert seen.code == 1
        assert "automatic sync of Application otel-demo is off" in seen.said("reverted"), seen.told
        assert "Application otel-demo: automatic sync is off" in seen.said("suspensions")
        assert lab.replicas() == declared, "the drill leaves its scale behind"
        assert lab.lease() is None
    until("all is in sync", lambda: lab.state()[0] == "Synced")


def test_a_warned_spot_node_is_tainted_drained_and_replaced_and_the_front_path_is_watched(
    lab: Lab, tmp_path: Path, demo_on_spot: None
) -> None:
    seen = rehearse(lab, tmp_path, "spot-interruption", "--timeout", "120", keep="spot-interruption")
    assert set(seen.lines.values()) == {"ok"}, seen.told
    assert {"warned", "deleting", "tainted", "drained", "replaced", "registered", "ready", "gone", "workloads"} <= set(
        seen.moments
    )
    measured = (seen.report or {})["measures"]["front path"]
    served, looks = int(measured.split()[0]), int(measured.split()[2])
    assert 0 < served < looks, "one replica: away while its node boots"
    assert looks > 5
    assert "100% is waived: lab declares 1 of frontend-proxy and 1 of frontend" in seen.looked_at("front-path")
    assert lab.lease() is None


def test_every_spot_node_is_warned_at_once_and_the_front_path_is_counted(
    lab: Lab, tmp_path: Path, demo_on_spot: None
) -> None:
    before = set(lab.claims())
    seen = rehearse(lab, tmp_path, "spot-storm", "--all", "--timeout", "150", keep="spot-storm")
    assert seen.lines == dict.fromkeys(("heard", "drained", "front-path", "answering", "whole"), "ok"), seen.told
    assert seen.moments["warned"] <= seen.moments["handled"] <= seen.moments["drained"] <= seen.moments["whole"]
    told = (seen.report or {})["measures"]
    assert told["least answering"].startswith("0 ready endpoints: 1, 0 at"), "one replica: away while its node boots"
    spot = {name for name in before if name.startswith("spot-")}
    assert not spot & set(lab.claims())
    assert lab.lease() is None


@pytest.fixture
def spot_nodes(lab: Lab, demo_on_spot: None) -> Iterator[dict[str, dict[str, str]]]:
    """Three Spot nodes or more, with a pod each that needs its own: labels by NodeClaim."""
    name = "apart"
    lab.wants_node(name, cpu="3", replicas=3, apart=True)
    until("all three run", lambda: lab.ready(name) == 3, 180)
    yield {claim: lab.get("nodeclaim", claim)["metadata"]["labels"] for claim in claims_of(lab, "spot")}
    lab.kubectl("delete", "deployment", name, "--namespace=default")


ZONE, TYPE = "topology.kubernetes.io/zone", "node.kubernetes.io/instance-type"


@pytest.mark.parametrize(
    ("option", "label"), [("", ""), ("--zone", ZONE), ("--type", TYPE)], ids=["half", "zone", "type"]
)
def test_a_part_of_the_spot_nodes_is_warned_at_once(
    lab: Lab, tmp_path: Path, spot_nodes: dict[str, dict[str, str]], option: str, label: str
) -> None:
    place = next(iter(spot_nodes.values())).get(label, "")
    wanted = {claim for claim, labels in spot_nodes.items() if labels.get(label, "") == place} if option else set()
    count = len(wanted) or -(-len(spot_nodes) // 2)
    options = (option, place) if option else ()
    kept = "-".join(["spot-storm", *options]).replace("--", "")
    seen = rehearse(lab, tmp_path, "spot-storm", *options, "--timeout", "150", keep=kept)
    assert set(seen.lines.values()) == {"ok"}, seen.told
    told = (seen.report or {})["measures"]
    assert int(told["warned"].split()[0]) == count
    assert told["messages until handled"].startswith(f"{count} of {count} in ")
    there = lab.claims().keys() & spot_nodes.keys()
    assert not wanted & there
    assert len(spot_nodes.keys() - there) >= count
    assert lab.lease() is None


@pytest.fixture
def floor(lab: Lab) -> Iterator[None]:
    """A replica of each component of the front path On-Demand, as a stack file asks for it."""
    lab.apply(frontPath={"onDemandFloor": 1})

    def serves() -> bool:
        found = [each for each in lab.get("deployments") if each["metadata"]["name"].endswith("-on-demand")]
        return bool(found) and all(each["status"].get("readyReplicas") == 1 for each in found)

    until("the front path runs On-Demand too", serves, 180)
    yield
    lab.apply()
    until("nothing of it is left", lambda: lab.get("deployment", "frontend-on-demand", "otel-demo") is None)


def test_a_floor_on_demand_serves_every_look_while_all_of_spot_is_warned_and_is_healed(
    lab: Lab, tmp_path: Path, demo_on_spot: None, floor: None
) -> None:
    seen = rehearse(lab, tmp_path, "spot-storm", "--all", "--timeout", "150", keep="spot-storm-floor")
    assert set(seen.lines.values()) == {"ok"}, seen.told
    served, looks = (int(word) for word in (seen.report or {})["measures"]["front path"].split()[:3:2])
    assert served == looks > 5
    lab.kubectl("scale", "deployment/frontend-on-demand", "--namespace=otel-demo", "--replicas=0")
    until("Argo CD puts its replica back", lambda: lab.ready("frontend-on-demand", "otel-demo") == 1, 120)


@pytest.fixture
def nothing_of_a_drought(lab: Lab) -> Iterator[None]:
    before = set(lab.claims())
    yield
    give_nodes_up(lab, lab.claims().keys() - before)


DROUGHT = ("drought", "--replicas", "120", "--within", "60", "--max-wait", "150", "--max-return", "0")


@pytest.mark.parametrize(
    ("options", "share"),
    [
        (("--zone", "eu-west-1a"), "0%"),
        (("--family", "m7i"), "0%"),
        ((), "100%"),
        (("--quota",), "100%"),
        (("--narrow",), "100%"),
    ],
    ids=["zone", "family", "spot", "quota", "narrowed"],
)
def test_pods_fall_back_while_spot_is_away_and_capacity_is_given_back(
    lab: Lab, tmp_path: Path, nothing_of_a_drought: None, options: tuple[str, ...], share: str
) -> None:
    pool = lab.get("nodepool", "spot")["spec"]
    if share == "0%":
        lab.forget_refusals()
    seen = rehearse(lab, tmp_path, *DROUGHT, *options, keep="-".join(["drought", *options]).replace("--", ""))
    lines = ("taken", "rounds", "fallback", "running", "front-path")
    assert seen.lines == dict.fromkeys(lines, "ok"), seen.told
    measures = (seen.report or {})["measures"]
    assert measures["On-Demand share"].startswith(share)
    refused = not measures["rounds of refusals"].startswith("0,")
    by_ec2 = options in ((), ("--quota",))
    assert refused <= by_ec2, measures["rounds of refusals"]
    # Within three minutes of another drought Karpenter does not ask again.
    assert not by_ec2 or refused or "Karpenter remembers" in seen.looked_at("rounds"), seen.told
    assert lab.get("nodepool", "spot")["spec"] == pool
    ask = f"import urllib.request as r; print(r.urlopen({MOTO_URL + '/lab/capacity'!r}).read().decode())"
    assert lab.inside(sys.executable, "-c", ask) == "[]\n"
    assert lab.lease() is None


@pytest.fixture
def without_a_shape(lab: Lab) -> Iterator[None]:
    """The Spot pool as it was before it had a shape: hundreds of types."""
    pools = lab.config("pools")
    for key in ("minVcpus", "maxVcpus", "localStorage", "excludedInstanceFamilies"):
        del pools["spot"][key]
    lab.apply(pools=pools)
    yield
    lab.apply()


def test_a_spot_pool_without_a_shape_is_found_by_how_long_its_pods_wait(
    lab: Lab, tmp_path: Path, nothing_of_a_drought: None, without_a_shape: None
) -> None:
    lab.forget_refusals()
    options = ("--replicas", "120", "--max-wait", "300", "--max-return", "0")
    seen = rehearse(lab, tmp_path, "drought", *options, keep="drought-without-a-shape", seconds=540)
    assert (seen.lines["running"], seen.lines["fallback"], seen.code) == ("found", "ok", 1), seen.told
    rounds = int((seen.report or {})["measures"]["rounds of refusals"].partition(",")[0])
    assert rounds > 5
    assert f"{rounds} rounds x 10 s" in seen.said("running")


@pytest.fixture
def spot_node(lab: Lab) -> Iterator[str]:
    """A Spot node with a pod of its own: one that the drill may take, whatever became of the others."""
    lab.forget_refusals()
    lab.wants_node("on-spot")
    yield until("the pod runs", lambda: lab.runs("on-spot"))
    lab.no_longer_wants_node("on-spot")


@pytest.mark.parametrize("name", ["a rule is gone", "the queue lost its policy"])
def test_a_warning_that_does_not_arrive_is_found_with_the_link_that_is_missing(
    lab: Lab, tmp_path: Path, spot_node: str, name: str
) -> None:
    # Of Spot: On-Demand nodes that a drought before has left go meanwhile, as they should.
    labels = {found: claim["metadata"]["labels"] for found, claim in lab.claims().items()}
    before = {claim for claim, own in labels.items() if own["karpenter.sh/nodepool"] == "spot"}
    fault = faults_cloud.FAULTS.one(name)
    with fault.seed(lab):
        kept = f"spot-interruption-{fault.line}"
        seen = rehearse(lab, tmp_path, "spot-interruption", "--timeout", "8", keep=kept)
    assert (seen.lines, seen.code) == ({"heard": "found", fault.line: "found"}, 1), seen.told
    assert fault.said in seen.said(fault.line)
    assert before <= set(lab.claims())


@pytest.fixture
def ledger(lab: Lab) -> Iterator[str]:
    """The only copy of some data, on the Spot node; its node."""
    size, both = {"storage": "1Gi"}, {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    kept = {"capacity": size, "hostPath": {"path": "/ledger"}, "claimRef": {"name": "ledger", "namespace": "default"}}
    asked = {"volumeName": "ledger", "resources": {"requests": size}}
    lab.put(
        thing("v1", "PersistentVolume", "ledger", spec=both | kept),
        thing("v1", "PersistentVolumeClaim", "ledger", "default", spec=both | asked),
    )
    lab.wants_node("ledger", cpu="10m", memory="8Mi")
    mount = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "ledger"}}]}
    lab.patch("deployment", "ledger", {"spec": {"template": {"spec": mount}}}, "default")

    def with_its_volume() -> str:
        pod = lab.pod_of("ledger")
        return lab.runs("ledger") if pod and pod["spec"].get("volumes") else ""

    until("it runs with its volume", with_its_volume, seconds=300)
    # The pool may grow no more and gives its other nodes up: a drill could take one of them.
    limits = lab.get("nodepool", "spot")["spec"]["limits"]
    lab.patch("nodepool", "spot", {"spec": {"limits": {"cpu": "1"}}})
    give_nodes_up(lab, [name for name, node in claims_of(lab, "spot").items() if node != with_its_volume()])
    yield until(
        "it runs on the only Spot node",
        lambda: with_its_volume() if [*claims_of(lab, "spot").values()] == [with_its_volume()] else "",
    )
    lab.patch("nodepool", "spot", {"spec": {"limits": limits}})
    lab.kubectl("delete", "deployment", "ledger", "--namespace=default")
    lab.kubectl("delete", "pvc", "ledger", "--namespace=default", "--wait=false")
    lab.kubectl("delete", "pv", "ledger", "--wait=false")


def test_the_only_copy_of_data_is_not_interrupted(lab: Lab, tmp_path: Path, ledger: str) -> None:
    before = set(lab.claims())
    seen = rehearse(lab, tmp_path, "spot-interruption", keep="spot-interruption-refused")
    asked = rehearse(lab, tmp_path, "spot-interruption", "--node", ledger)
    assert (seen.report, seen.code, asked.code) == (None, 2, 2)
    assert f"{ledger}: it keeps the only copy of the data of default/ledger" in seen.told
    assert "it is on-demand: no Spot warning is ever about it" in seen.told
    assert f"--node {ledger}: it keeps the only copy" in asked.told
    assert before <= set(lab.claims())
