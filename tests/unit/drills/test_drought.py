"""The drought drill against a cluster in memory whose Karpenter does as told: its course, and what it leaves behind."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from otel_on_spot.drills import lease
from otel_on_spot.drills.drill import Drill, DrillRefusedError
from otel_on_spot.drills.drought.run import Drought, Options, longest_seconds, make_plan
from otel_on_spot.drills.shortage import Shortage
from otel_on_spot.drills.stress import prices
from otel_on_spot.drills.stress.watch import Sample
from otel_on_spot.kubernetes.names import EVENT, NODE, NODE_CLAIM, POD
from otel_on_spot.report import Report
from tests.unit.drills.cluster import Cluster, cluster
from tests.unit.drills.drilled import found, looked_at, statuses
from tests.unit.drills.test_shortage import FALLBACK, SPOT

REPLICAS = 5
OPTIONS = Options(
    shortage=Shortage(), replicas=REPLICAS, within=30, max_wait=1.0, max_return=1.0, narrow=False, gap=None
)
NODE_CLASS: dict[str, Any] = {
    "apiVersion": "karpenter.k8s.aws/v1",
    "kind": "EC2NodeClass",
    "metadata": {"name": "default"},
    "status": {"subnets": [{"zone": "eu-west-1a"}, {"zone": "eu-west-1b"}]},
}


class World:
    """A cluster with a Karpenter: a look later it launches what the pools allow, and moves pods back to Spot.

    ``launches``: it does. ``returns``: it consolidates. ``raises``: what the first step raises.
    """

    def __init__(self, there: Cluster) -> None:
        self.there = there
        self.launches = self.returns = True
        self.raises: BaseException | None = None
        self.steps = 0
        self.samples: list[Sample] = []
        there.front.find("Deployment", "frontend")["spec"]["template"] = {
            "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "200m", "memory": "250Mi"}}}]}
        }
        for thing in (SPOT, FALLBACK, NODE_CLASS):
            made = copy.deepcopy(thing)
            made["metadata"]["resourceVersion"] = "1"
            there.front.objects.append(made)

    @property
    def away(self) -> bool:
        """True while the Spot pool is closed."""
        return self.pool["limits"]["cpu"] == "0"

    @property
    def pool(self) -> dict[str, Any]:
        return self.there.front.find("NodePool", "spot")["spec"]

    def _of(self, kind: str) -> list[dict[str, Any]]:
        return [thing for thing in self.there.front.objects if thing["kind"] == kind]

    def _only(self, name: str, kind: str) -> None:
        """One node of this kind, with every pod of the drill on it."""
        objects = self.there.front.objects
        objects[:] = [thing for thing in objects if thing["kind"] not in ("Pod", "Node", "NodeClaim")]
        labels = {
            "karpenter.sh/nodepool": name,
            "karpenter.sh/capacity-type": kind,
            "node.kubernetes.io/instance-type": "m7i.xlarge",
            "topology.kubernetes.io/zone": "eu-west-1a",
        }
        times = (("Launched", "2026-11-26T08:00:00Z"), ("Ready", "2026-11-26T08:00:41Z"))
        conditions = [{"type": one, "status": "True", "lastTransitionTime": at} for one, at in times]
        status = {"providerID": "aws:///eu-west-1a/i-1", "nodeName": f"n-{name}", "conditions": conditions}
        self.there.front.add(NODE_CLAIM, f"{name}-a", metadata={"labels": labels}, status=status)
        self.there.front.add(NODE, f"n-{name}", metadata={"labels": labels})
        self._pods("Running", f"n-{name}")

    def _pods(self, phase: str, node: str = "") -> None:
        made = [thing for thing in self._of("Deployment") if thing["metadata"]["name"].startswith("drill-drought")]
        for deployment in made:
            labels = {"app": deployment["metadata"]["name"]}
            for number in range(deployment["spec"]["replicas"]):
                name, where = f"{phase}-{node}-{number}", {"namespace": "default", "labels": labels}
                spec = {"nodeName": node} if node else {}
                self.there.front.add(POD, name, metadata=where, status={"phase": phase}, spec=spec)

    def step(self) -> None:
        """What happens between two looks."""
        self.steps += 1
        if self.raises is not None:
            raise self.raises
        if not self._of("Pod"):
            self._pods("Pending")
        elif self.away and self.launches:
            self._only("on-demand", "on-demand")
        elif not self.away and self.returns:
            self._only("spot", "spot")

    def drill(self, **more: Any) -> Report:
        options = replace(OPTIONS, **more)
        there = self.there
        plan = make_plan(there.target, there.api, options)
        with there.drill("drought", longest_seconds(options)) as running:
            return Drought(running, options, plan, there.told.append, self.samples.append).run(lambda *_: None)

    def put_back(self) -> None:
        assert self.pool == SPOT["spec"]
        assert [thing["metadata"]["name"] for thing in self._of("Deployment")] == ["frontend"]
        assert self.there.lease is None


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, served: None) -> Iterator[World]:
    with cluster() as there:
        made = World(there)
        monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
        monkeypatch.setattr(prices.Prices, "of", lambda _self, kind, *_: {"spot": 0.03, "on-demand": 0.09}[kind])

        def pause(self: Drill, _seconds: float) -> None:
            made.step()
            self.require_lease()

        monkeypatch.setattr(Drill, "pause", pause)
        yield made


def moments(report: Report) -> list[str]:
    named = ("taken away", "scaled", "all Running", "given back", "back on Spot")
    return [moment.what for moment in report.moments if moment.what in named]


def test_spot_goes_pods_fall_back_spot_comes_back_and_so_do_they(world: World) -> None:
    report = world.drill()
    assert set(statuses(report).values()) == {"ok"}, report.verdicts
    assert moments(report) == ["taken away", "scaled", "all Running", "given back", "back on Spot"]
    told = report.measures
    assert told["launched meanwhile"] == "0 spot, 1 on-demand"
    assert told["On-Demand share"] == f"100% ({REPLICAS} of {REPLICAS} pods on new nodes)"
    assert told["evictions by node"] == f"on-demand-a {REPLICAS}"
    assert "41 s boot" in told["until all Running"]
    assert told["taken away"] == "Spot, by narrowed NodePools"
    assert told["bill, drought"].startswith("on-demand 0.0")
    world.put_back()


def test_what_is_changed_is_written_down_before_it_is_made(world: World) -> None:
    world.drill()
    written = [(verb, path.rpartition("/")[2]) for verb, path, _ in world.there.front.writes]
    pool = written.index(("PATCH", "spot"))
    made = written.index(("POST", "deployments"))
    assert pool < made
    leases = [number for number, (_, name) in enumerate(written) if name == lease.NAME]
    assert any(number < pool for number in leases)
    assert any(pool < number < made for number in leases)


def test_pods_that_nobody_launches_for_are_found(world: World) -> None:
    world.launches = False
    report = world.drill(max_wait=0.2, max_return=0.0)
    assert (statuses(report)["running"], statuses(report)["fallback"]) == ("found", "found")
    world.put_back()


def test_a_fall_back_that_stays_is_found(world: World) -> None:
    world.returns = False
    report = world.drill(max_return=0.2)
    (back,) = found(report)["back"]
    assert "still on On-Demand 0 s after its return" in back
    assert "on-demand-a" in back
    world.put_back()


@pytest.mark.parametrize(("minutes", "remembered"), [(2, True), (4, False)])
def test_a_refusal_of_the_last_three_minutes_is_remembered(world: World, minutes: int, remembered: bool) -> None:
    then, about = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat(), {"name": "spot-x"}
    told = {"reason": "InsufficientCapacityError", "involvedObject": about, "firstTimestamp": then}
    world.there.front.add(EVENT, "e", metadata={"namespace": "default"}, **told)
    if remembered:
        with pytest.raises(DrillRefusedError, match="Wait three minutes"):
            world.drill(shortage=Shortage(zone="eu-west-1a"))
        assert world.there.front.writes == []
    rounds = looked_at(world.drill())["rounds"]
    assert ("Karpenter remembers" in rounds) == remembered
    assert rounds.startswith("none" if remembered else "0 rounds, 0 refused NodeClaims")


SIZES = [
    {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
    {"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["c7i", "m7i", "r7i"]},
    {"key": "karpenter.k8s.aws/instance-size", "operator": "In", "values": ["xlarge", "2xlarge"]},
    {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]},
]


@pytest.mark.parametrize(
    ("requests", "replicas", "most"),
    [
        ({"cpu": "200m", "memory": "250Mi"}, 120, 2),
        ({"cpu": "100m", "memory": "250Mi"}, 120, 4),
        ({"cpu": "100m", "memory": "250Mi"}, 40, 2),
        ({"cpu": "100m", "memory": "250Mi"}, 5, 1),
        ({"cpu": "5", "memory": "1Gi"}, 50, 1),
        ({"memory": "3Gi"}, 50, 4),
    ],
)
def test_the_sizes_of_a_pool_say_how_many_rounds_its_pods_may_take(
    world: World, requests: dict[str, str], replicas: int, most: int
) -> None:
    world.pool["template"]["spec"]["requirements"] = SIZES
    model = world.there.front.find("Deployment", "frontend")["spec"]["template"]["spec"]["containers"][0]
    model["resources"]["requests"] = requests
    plan = make_plan(world.there.target, world.there.api, replace(OPTIONS, replicas=replicas))
    assert (plan.types, plan.most_rounds) == (6, most)


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), RuntimeError("anything")], ids=["Ctrl-C", "a failure"])
def test_whatever_ends_it_capacity_is_given_back_and_the_pods_are_deleted(world: World, problem: BaseException) -> None:
    world.raises = problem
    with pytest.raises(type(problem)):
        world.drill()
    assert world.steps == 1
    world.put_back()


def test_a_held_lease_is_refused_before_anything_is_taken(world: World) -> None:
    there = world.there
    with there.drill("stress"):
        with pytest.raises(lease.LeaseHeldError, match="drill stress"):
            world.drill()
        assert not world.away


@pytest.mark.parametrize(
    ("without", "said"),
    [("on-demand", "without Spot every pod would wait"), ("spot", "launches Spot: there is nothing to take")],
)
def test_a_stack_that_cannot_have_a_drought_is_refused(world: World, without: str, said: str) -> None:
    objects = world.there.front.objects
    objects.remove(world.there.front.find("NodePool", without))
    with pytest.raises(DrillRefusedError, match=said):
        world.drill()
    assert world.there.front.writes == []
