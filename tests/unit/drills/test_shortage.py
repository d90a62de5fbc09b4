"""What a drought takes away: by the lab's switch or by narrowed NodePools, and given back to the last field."""

import copy
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from otel_on_spot.drills import undo
from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.drills.shortage import (
    CLOSED,
    Shortage,
    capacity_types,
    concerned,
    narrowing,
    require_something_left,
)
from otel_on_spot.kubernetes.client import Object
from otel_on_spot.lab.aws.capacity import Shortage as LabShortage
from otel_on_spot.target import Target
from tests.unit.drills.cluster import Cluster

ROOT = Path(__file__).parents[3]
ZONES = ("eu-west-1a", "eu-west-1b")


def pool(name: str, *kinds: str, tainted: bool = False, limits: dict[str, str] | None = None, **terms: Any) -> Object:
    requirements = [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": list(kinds)}] if kinds else []
    requirements += [
        {"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": terms.get("families", ["m7i", "c7i"])}
    ]
    if "zones" in terms:
        requirements.append({"key": "topology.kubernetes.io/zone", "operator": "In", "values": terms["zones"]})
    inside: Object = {"requirements": requirements}
    if tainted:
        inside["taints"] = [{"key": "dedicated", "value": "data", "effect": "NoSchedule"}]
    spec: Object = {"template": {"spec": inside}, "disruption": {"budgets": [{"nodes": "10%"}]}}
    if limits is not None:
        spec["limits"] = limits
    return {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name}, "spec": spec}


SPOT = pool("spot", "spot", limits={"cpu": "200", "memory": "800Gi"})
FALLBACK = pool("on-demand", "on-demand")
MIXED = pool("mixed", "spot", "on-demand")
DATA = pool("data", "on-demand", tainted=True)
UNSAID = pool("unsaid")
ALL = [SPOT, FALLBACK, MIXED, DATA, UNSAID]


def test_only_pools_that_have_what_is_taken_and_that_any_pod_may_use_are_concerned() -> None:
    assert [p["metadata"]["name"] for p in concerned(Shortage(), ALL)] == ["spot", "mixed"]
    assert [p["metadata"]["name"] for p in concerned(Shortage(everything=True), ALL)] == [
        "spot",
        "on-demand",
        "mixed",
        "unsaid",
    ]
    assert capacity_types(UNSAID) == ("on-demand",)


@pytest.mark.parametrize(
    "given", [{"zone": "a", "quota": True}, {"family": "m7i", "everything": True}, {"quota": True, "everything": True}]
)
def test_two_droughts_at_once_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(DrillRefusedError, match="one drought at a time"):
        Shortage(**given)


@pytest.mark.parametrize(
    ("shortage", "pools", "said"),
    [
        (Shortage(), [FALLBACK, DATA], "no NodePool that takes any pod launches Spot"),
        (Shortage(zone="eu-west-1c"), ALL, "--zone eu-west-1c: no Spot pool launches there. Its zones: eu-west-1a, "),
        (Shortage(family="p5"), ALL, "--family p5: no Spot pool launches there. Its families: c7i, m7i"),
        (Shortage(zone="eu-west-1a"), [pool("spot", "spot", zones=["eu-west-1a"])], "Spot is nowhere else"),
        (Shortage(family="m7i"), [pool("spot", "spot", families=["m7i"])], "Spot is nowhere else"),
    ],
    ids=["no Spot", "no such zone", "no such family", "the only zone", "the only family"],
)
def test_a_drought_that_would_be_none_or_another_one_is_refused(
    shortage: Shortage, pools: list[Object], said: str
) -> None:
    with pytest.raises(DrillRefusedError, match=said):
        require_something_left(shortage, pools, ZONES)


@pytest.mark.parametrize(
    "shortage",
    [Shortage(), Shortage(zone="eu-west-1a"), Shortage(family="m7i"), Shortage(quota=True), Shortage(everything=True)],
)
def test_a_drought_that_is_one_begins(shortage: Shortage) -> None:
    require_something_left(shortage, ALL, ZONES)


def test_a_row_of_the_switch_is_what_the_lab_takes_and_covers_what_is_taken() -> None:
    for shortage in (
        Shortage(),
        Shortage(zone="eu-west-1a"),
        Shortage(family="m7i"),
        Shortage(family="m7i", zone="eu-west-1b"),
        Shortage(quota=True),
        Shortage(everything=True),
    ):
        lab = LabShortage(**shortage.row)
        for kind in ("spot", "on-demand"):
            for instance_type in ("m7i.large", "m7i-flex.large", "c7i.large"):
                for zone in ZONES:
                    offering = (kind, instance_type, zone)
                    assert lab.covers(*offering) == shortage.covers(*offering), (shortage.text, offering)
    assert LabShortage(**Shortage(quota=True).row).code == "MaxSpotInstanceCountExceeded"


def written(there: Cluster, name: str) -> Object:
    return there.front.find("NodePool", name)["spec"]


@pytest.fixture
def pools(there: Cluster) -> dict[str, Object]:
    """NodePools in the cluster, and their specs as they were."""
    things = [copy.deepcopy(thing) for thing in ALL]
    for thing in things:
        thing["metadata"]["resourceVersion"] = "1"
    there.front.objects += things
    return {thing["metadata"]["name"]: copy.deepcopy(thing["spec"]) for thing in things}


@pytest.mark.parametrize(
    ("shortage", "name"),
    [
        (Shortage(), "spot"),
        (Shortage(), "mixed"),
        (Shortage(zone="eu-west-1a"), "spot"),
        (Shortage(family="m7i"), "mixed"),
        (Shortage(quota=True), "spot"),
        (Shortage(everything=True), "on-demand"),
        (Shortage(everything=True), "unsaid"),
    ],
    ids=lambda given: given.text if isinstance(given, Shortage) else given,
)
def test_a_narrowed_pool_is_restored_to_the_last_field_however_often(
    there: Cluster, pools: dict[str, Object], shortage: Shortage, name: str
) -> None:
    step = narrowing(shortage, there.front.find("NodePool", name))
    assert undo.take_back(there.target, there.api, step).startswith(("is not", "has no")), "before it was made"
    assert undo.make_change(there.target, there.api, step)
    assert written(there, name) != pools[name]
    assert not undo.make_change(there.target, there.api, step), "it is so already"
    assert "again" in undo.take_back(there.target, there.api, step)
    assert written(there, name) == pools[name]
    undo.take_back(there.target, there.api, step)
    assert written(there, name) == pools[name]


def test_a_narrowed_pool_stays_valid_and_keeps_its_nodes(there: Cluster, pools: dict[str, Object]) -> None:
    undo.make_change(there.target, there.api, narrowing(Shortage(zone="eu-west-1a"), SPOT))
    spec = written(there, "spot")
    terms = spec["template"]["spec"]["requirements"]
    assert terms[:-1] == pools["spot"]["template"]["spec"]["requirements"]
    assert terms[-1] == {"key": "topology.kubernetes.io/zone", "operator": "NotIn", "values": ["eu-west-1a"]}
    assert spec["disruption"]["budgets"] == [{"nodes": "10%"}, {"nodes": "0", "reasons": ["Drifted"]}]
    undo.make_change(there.target, there.api, narrowing(Shortage(), SPOT))
    assert written(there, "spot")["limits"] == {"cpu": "0", "memory": "800Gi"}, "no requirement is left without values"


def test_what_somebody_else_changed_meanwhile_stays(there: Cluster, pools: dict[str, Object]) -> None:
    closed, zone = narrowing(Shortage(), SPOT), narrowing(Shortage(zone="eu-west-1a"), SPOT)
    undo.make_change(there.target, there.api, closed)
    undo.make_change(there.target, there.api, zone)
    spec = written(there, "spot")
    spec["limits"]["cpu"] = "50"
    spec["template"]["spec"]["requirements"].append({"key": "theirs", "operator": "Exists"})
    assert undo.take_back(there.target, there.api, closed) == "has no limits of the drill"
    assert undo.take_back(there.target, there.api, zone) == "has its requirements again"
    spec = written(there, "spot")
    assert spec["limits"]["cpu"] == "50"
    assert {"key": "theirs", "operator": "Exists"} in spec["template"]["spec"]["requirements"]
    assert spec["disruption"]["budgets"] == [{"nodes": "10%"}]


def test_where_somebody_is_faster_the_pool_is_read_again(there: Cluster, pools: dict[str, Object]) -> None:
    left = [1]

    def meddle(verb: str, path: str, _body: Object) -> tuple[int, Object] | None:
        if verb == "PATCH" and left.pop() if left else False:
            thing = there.front.find("NodePool", "spot")
            thing["metadata"]["resourceVersion"] = "theirs"
            thing["spec"]["limits"]["memory"] = "1Gi"
        return None

    there.front.meddle = meddle
    undo.make_change(there.target, there.api, narrowing(Shortage(), SPOT))
    assert written(there, "spot")["limits"] == {"cpu": "0", "memory": "1Gi"}


@pytest.mark.parametrize("stack", ["dev", "lab", "staging", "prod"])
def test_each_pool_of_the_stack_files_is_closed_where_it_has_spot_alone(stack: str) -> None:
    declared = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]["otel-on-spot:pools"]
    things = [pool(name, *given["capacityTypes"]) for name, given in declared.items()]
    found = {thing["metadata"]["name"]: narrowing(Shortage(), thing) for thing in concerned(Shortage(), things)}
    assert found
    for name, change in found.items():
        alone = declared[name]["capacityTypes"] == ["spot"]
        assert change.kind == ("limits" if alone else "requirement")
        assert change.arguments.get("limits") == (CLOSED if alone else None)


class Switch(BaseHTTPRequestHandler):
    """The lab's capacity route."""

    rows: list[dict[str, str]] = []
    known = True

    def do_GET(self) -> None:
        self._tell(200 if self.path == "/lab/capacity" and self.known else 404)

    def do_PUT(self) -> None:
        type(self).rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._tell(200)

    def _tell(self, status: int) -> None:
        body = json.dumps(self.rows).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def switch(there: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Switch)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    monkeypatch.setattr(Switch, "rows", [])
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    session = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="eu-west-1")
    yield replace(there.target, session=session)
    server.shutdown()
    server.server_close()


def test_the_switch_takes_the_drills_row_and_gives_only_that_back(there: Cluster, switch: Target) -> None:
    step = undo.short_of("Spot", Shortage().row)
    assert undo.take_back(switch, there.api, step) == "was not short"
    undo.make_change(switch, there.api, step)
    assert undo.shortages(switch) == [Shortage().row]
    theirs = Shortage(zone="eu-west-1a").row
    Switch.rows = [theirs, *Switch.rows]
    assert undo.take_back(switch, there.api, step) == "is there again"
    assert undo.shortages(switch) == [theirs]
    assert undo.take_back(switch, there.api, step) == "was not short"


def test_a_simulated_aws_without_the_switch_says_so(switch: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Switch, "known", False)
    with pytest.raises(ValueError, match="/lab/capacity: 404"):
        undo.shortages(switch)
