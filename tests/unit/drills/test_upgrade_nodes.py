"""The upgrade drill on the nodes' AMI: budgets, lines, and its course over a Karpenter that moves as told."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from otel_on_spot.doctor.facts_kubernetes import PoolBudget
from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.drills.undo import make_change, take_back
from otel_on_spot.drills.upgrade import node_run
from otel_on_spot.drills.upgrade.node_run import NodeUpgradeRun, make_node_plan
from otel_on_spot.drills.upgrade.node_verdicts import verdicts
from otel_on_spot.drills.upgrade.node_watch import allowed
from otel_on_spot.kubernetes.names import NODE_CLAIM, NODE_CLASS, NODE_POOL, POD
from otel_on_spot.report import Report
from otel_on_spot.waiting import wait_until
from tests.unit.drills import node_upgrades
from tests.unit.drills.cluster import Cluster, made
from tests.unit.drills.drilled import found, looked_at

SEEN_SECONDS = 10.0
RELEASES = ("v20260601", "v20260901")
NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)  # a Thursday


@pytest.mark.parametrize(
    ("budgets", "nodes", "most"),
    [
        ([], 5, None),
        ([PoolBudget(nodes="10%")], 3, 1),
        ([PoolBudget(nodes="10%")], 11, 2),
        ([PoolBudget(nodes="2"), PoolBudget(nodes="1")], 9, 1),
        ([PoolBudget(nodes="0", reasons=("Empty",))], 9, None),
        ([PoolBudget(nodes="3"), PoolBudget(nodes="0", reasons=("Drifted",))], 9, 0),
        ([PoolBudget(nodes="0", schedule="0 9 * * mon-fri", duration="8h")], 9, 0),
        ([PoolBudget(nodes="0", schedule="0 9 * * mon-fri", duration="3h")], 9, None),
        ([PoolBudget(nodes="0", schedule="0 9 * * sat", duration="8h")], 9, None),
        ([PoolBudget(nodes="5", schedule="at nine", duration="8h")], 9, 0),
    ],
)
def test_budgets_let_as_many_drifted_nodes_go_as_karpenter_says(
    budgets: list[PoolBudget], nodes: int, most: int | None
) -> None:
    assert allowed(budgets, nodes, NOON) == most


def said(seen: Any, identity: str) -> str:
    return next(each.what for each in verdicts(seen) if each.id == identity)


def test_the_lines_say_what_was_replaced_how_fast_and_which_pods_moved_twice() -> None:
    assert said(node_upgrades.WELL, "release") == (
        "v20260901 to v20260601: 2 nodes of 2 replaced in 72 s, v20260601 to v20260901: 2 nodes of 2 replaced in 80 s"
    )
    assert said(node_upgrades.WELL, "nodes") == "4 nodes replaced, 24 to 31 s each"
    going = node_upgrades.broken(left=(replace(node_upgrades.LEFT, took=None),))
    assert said(going, "nodes") == "2 nodes replaced, 24 to 31 s each"
    assert said(node_upgrades.WELL, "budgets") == "away at once: data 1 of 1, spot 1 of 1"
    assert said(node_upgrades.with_hops(), "pods") == (
        "40 pods moved; 1 of them twice, by a node that was still to be replaced: otel-demo/cart-1"
    )
    many = node_upgrades.broken(again=[replace(node_upgrades.AGAIN, pod=f"demo/{letter}") for letter in "fedcba"])
    assert said(many, "pods").endswith("replaced: demo/a, demo/b, demo/c, demo/d and 2 others")
    assert said(node_upgrades.with_consolidation(), "pods") == "40 pods moved; 1 once more, consolidated"
    assert said(node_upgrades.with_consolidation(), "nodes").endswith("; 1 consolidated, as at any time")


def condition(kind: str, reason: str = "") -> dict[str, str]:
    return {"type": kind, "status": "True", "reason": reason or kind}


class Karpenter:
    """Karpenter over an API server in memory: finds the alias's image, and replaces node by node in a thread.

    ``together``: it chooses all nodes at once; ``deaf``: it never moves; ``spot``: databases' nodes are Spot;
    ``twice``: it replaces the first replacement, too; ``stuck``: the first drain never ends.
    """

    def __init__(
        self,
        there: Cluster,
        *,
        together: bool = False,
        deaf: bool = False,
        spot: bool = False,
        twice: bool = False,
        stuck: bool = False,
    ) -> None:
        self.there, self.together, self.deaf, self.twice, self.stuck = there, together, deaf, twice, stuck
        self.number = 0
        self.node_class = made(NODE_CLASS, "default", resourceVersion="1")
        self.node_class["spec"] = {"amiSelectorTerms": [{"alias": "al2023@latest"}]}
        self.find_images()
        self.change(self.node_class)
        for name, capacity_type in (("spot", "spot"), ("data", "spot" if spot else "on-demand")):
            pool = made(NODE_POOL, name)
            pool["spec"] = {"disruption": {"budgets": [{"nodes": "1"}]}, "template": {"spec": {}}}
            pool["status"] = {"conditions": [condition("Ready")]}
            self.change(pool)
            for _ in range(2):
                self.launch(name, capacity_type, "cart" if name == "spot" else f"postgresql-{self.number}")
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.reconcile, daemon=True)

    def change(self, *new: dict[str, Any], gone: dict[str, Any] | None = None) -> None:
        """Add objects, or take one away, in a list of their own: whoever reads the old one reads it to its end."""
        front = self.there.front
        with front._writing:
            front.objects = [*(each for each in front.objects if each is not gone), *new]

    @property
    def release(self) -> str:
        alias = self.node_class["spec"]["amiSelectorTerms"][0]["alias"].partition("@")[2]
        return RELEASES[-1] if alias == "latest" else alias

    def find_images(self) -> None:
        image = {"id": f"ami-{self.release}", "name": f"amazon-eks-node-al2023-x86_64-standard-1.35-{self.release}"}
        self.node_class["status"] = {"amis": [image], "conditions": [condition("Ready")]}

    def launch(self, pool: str, capacity_type: str, workload: str) -> None:
        """A node, and the pod on it."""
        self.number += 1
        name = f"{pool}-{self.number}"
        labels = {"karpenter.sh/nodepool": pool, "karpenter.sh/capacity-type": capacity_type}
        claim = made(NODE_CLAIM, name, uid=f"uid-{name}", labels=labels)
        conditions = [condition(kind) for kind in ("Initialized", "Ready")]
        claim["status"] = {"imageID": f"ami-{self.release}", "nodeName": f"ip-{name}", "conditions": conditions}
        owner = {"kind": "StatefulSet", "name": workload, "controller": True}
        pod = made(POD, f"{workload}-{name}", namespace="otel-demo", uid=f"pod-{name}", ownerReferences=[owner])
        pod["spec"] = {"nodeName": f"ip-{name}", "containers": []}
        if pool == "data":
            pod["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": workload}}]
        pod["status"] = {"phase": "Running", "conditions": [condition("Ready")]}
        self.change(pod, claim)

    def claims(self) -> list[dict[str, Any]]:
        return [each for each in self.there.front.objects if each["kind"] == NODE_CLAIM.kind]

    def reconcile(self) -> None:
        while not self.over.wait(0.02):
            if self.deaf:
                continue
            self.find_images()
            old = [each for each in self.claims() if each["status"]["imageID"] != f"ami-{self.release}"]
            for batch in [old] if self.together else [[each] for each in old]:
                self.replace(batch)

    def be_seen(self) -> None:
        """Wait until the drill has looked twice: its second look began after what was changed."""

        def looks() -> int:
            return sum(request.startswith(NODE_CLAIM.path()) for request in self.there.front.requests)

        before = looks()
        wait_until(lambda: self.over.is_set() or looks() >= before + 2, SEEN_SECONDS, every=0.005)

    def replace(self, batch: list[dict[str, Any]]) -> None:
        for claim in batch:
            claim["status"]["conditions"].append(condition("DisruptionReason", "Drifted"))
        if self.stuck:
            self.over.wait()
            return
        self.be_seen()
        pods = [self.drain(claim) for claim in batch]
        self.be_seen()
        for claim, pod in zip(batch, pods, strict=True):
            labels = claim["metadata"]["labels"]
            workload = pod["metadata"]["ownerReferences"][0]["name"]
            self.launch(labels["karpenter.sh/nodepool"], labels["karpenter.sh/capacity-type"], workload)
            self.change(gone=claim)
        if self.twice:
            self.twice = False
            self.be_seen()
            self.replace(self.claims()[-1:])

    def drain(self, claim: dict[str, Any]) -> dict[str, Any]:
        node = claim["status"]["nodeName"]
        pod = next(
            each for each in self.there.front.objects if each["kind"] == "Pod" and each["spec"]["nodeName"] == node
        )
        self.change(gone=pod)
        return pod

    def drill(self, timeout: float = 20.0) -> Report:
        target, api = self.there.target, self.there.api
        plan = make_node_plan(target, api, RELEASES)
        with self.there.drill("upgrade") as running:
            return NodeUpgradeRun(running, plan, timeout=timeout, gap=None, log=self.there.told.append).run()


@pytest.fixture
def karpenter(there: Cluster, monkeypatch: pytest.MonkeyPatch, served: None) -> Iterator[Callable[..., Karpenter]]:
    monkeypatch.setattr(node_run, "EVERY_SECONDS", 0.01)
    running: list[Karpenter] = []

    def install(**faults: bool) -> Karpenter:
        installed = Karpenter(there, **faults)
        installed.thread.start()
        running.append(installed)
        return installed

    yield install
    for each in running:
        each.over.set()
        each.thread.join()


def test_every_node_moves_to_the_other_release_and_back_one_at_a_time(
    there: Cluster, karpenter: Callable[..., Karpenter]
) -> None:
    running = karpenter()

    report = running.drill()

    assert found(report) == {}
    told = looked_at(report)
    assert told["release"].count("4 nodes of 4 replaced") == 2
    assert told["budgets"] == "away at once: data 1 of 1, spot 1 of 1"
    assert told["pods"] == "8 pods moved"
    assert told["data"] == "2 databases, node after node"
    assert running.node_class["spec"]["amiSelectorTerms"] == [{"alias": "al2023@latest"}]
    assert there.lease is None


def test_nodes_that_go_together_and_their_databases_are_found(karpenter: Callable[..., Karpenter]) -> None:
    report = karpenter(together=True).drill()

    lines = found(report)
    assert lines.keys() == {"budgets", "data"}
    assert any("NodePool spot: 2 Drifted nodes away at once" in line for line in lines["budgets"])
    assert any("postgresql-2, postgresql-3 away from 2 nodes at once" in line for line in lines["data"])


def test_a_replacement_that_is_replaced_and_the_pod_that_moves_off_it_are_found(
    karpenter: Callable[..., Karpenter],
) -> None:
    lines = found(karpenter(twice=True).drill())

    assert lines.keys() == {"nodes", "pods"}
    assert lines["nodes"] == [
        "NodeClaim spot-5: it is deleted (Drifted) while the AMI moved from v20260901 to v20260601, and was of "
        "v20260601 already"
    ]
    assert lines["pods"] == ["otel-demo/cart-spot-5: moved from spot-5 again, which was of v20260601 already (Drifted)"]


def test_a_database_on_spot_is_found(karpenter: Callable[..., Karpenter]) -> None:
    assert found(karpenter(spot=True).drill()).keys() == {"on-demand"}


def test_a_karpenter_that_does_not_move_is_found_and_the_alias_is_put_back(
    there: Cluster, karpenter: Callable[..., Karpenter]
) -> None:
    running = karpenter(deaf=True)

    lines = found(running.drill(timeout=0.3))

    assert lines.keys() == {"release"}
    assert "spot-1 (v20260901)" in lines["release"][0]
    assert (running.release, there.lease) == ("v20260901", None)


def test_a_drain_that_does_not_end_is_found_on_the_way_back_too(karpenter: Callable[..., Karpenter]) -> None:
    lines = found(karpenter(stuck=True).drill(timeout=1.0))

    assert lines.keys() == {"release"}
    assert "spot-1 (v20260901, going), spot-2 (v20260901)" in lines["release"][0]
    assert lines["release"][1].endswith(": spot-1 (v20260901, going)")


def test_a_drill_that_is_interrupted_puts_the_alias_back(
    there: Cluster, karpenter: Callable[..., Karpenter], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = karpenter()
    seen: list[str] = []

    def interrupted(_run: NodeUpgradeRun) -> None:
        seen.append(running.release)
        raise KeyboardInterrupt

    monkeypatch.setattr(NodeUpgradeRun, "_follow", interrupted)
    with pytest.raises(KeyboardInterrupt):
        running.drill()

    assert (seen, running.release, there.lease) == (["v20260601"], "v20260901", None)


def test_an_alias_that_somebody_changed_meanwhile_is_theirs(
    there: Cluster, karpenter: Callable[..., Karpenter]
) -> None:
    running = karpenter(deaf=True)
    plan = make_node_plan(there.target, there.api, RELEASES)
    running.node_class["spec"]["amiSelectorTerms"] = theirs = [{"alias": "al2023@v20270101"}]

    with (
        pytest.raises(DrillRefusedError, match="somebody changed it meanwhile"),
        there.drill("upgrade") as drill,
    ):
        NodeUpgradeRun(drill, plan, timeout=1, gap=None, log=there.told.append).run()

    assert running.node_class["spec"]["amiSelectorTerms"] == theirs
    assert there.lease is None


def test_a_killed_drills_alias_is_put_back_once_and_somebody_elses_is_left(
    there: Cluster, karpenter: Callable[..., Karpenter]
) -> None:
    running = karpenter(deaf=True)
    (step,) = make_node_plan(there.target, there.api, RELEASES).steps

    assert take_back(there.target, there.api, step) == "does not have the drill's alias", "before it was made"
    assert make_change(there.target, there.api, step)
    assert running.release == "v20260601"
    assert take_back(there.target, there.api, step) == "has its alias again"
    assert running.release == "v20260901"
    running.node_class["spec"]["amiSelectorTerms"] = theirs = [{"alias": "al2023@v20270101"}]
    assert take_back(there.target, there.api, step) == "does not have the drill's alias"
    assert running.node_class["spec"]["amiSelectorTerms"] == theirs


@pytest.mark.parametrize(
    ("disturb", "said"),
    [
        (lambda k: k.node_class["spec"].update(amiSelectorTerms=[{"id": "ami-1"}]), "no EC2NodeClass selects"),
        (lambda k: k.node_class["status"].update(amis=[]), "no EC2NodeClass selects"),
        (lambda k: k.claims()[0]["status"].update(imageID="ami-old"), "NodeClaims spot-1: going, or not of v20260901"),
        (lambda k: k.claims()[0]["metadata"].update(deletionTimestamp="2026-11-26T08:00:00Z"), "NodeClaims spot-1"),
        (lambda k: [k.change(gone=claim) for claim in k.claims()], "NodeClaims of Karpenter: none"),
        (
            lambda k: k.there.front.find("NodePool", "data")["spec"]["disruption"].update(budgets=[{"nodes": "0"}]),
            "NodePools data: their budgets let no Drifted node go now",
        ),
    ],
    ids=["no alias", "no images", "another release", "going", "no nodes", "drift held"],
)
def test_a_platform_that_does_not_rest_or_cannot_move_is_refused(
    there: Cluster, karpenter: Callable[..., Karpenter], disturb: Callable[[Karpenter], object], said: str
) -> None:
    running = karpenter(deaf=True)
    disturb(running)

    with pytest.raises(DrillRefusedError, match=said):
        make_node_plan(there.target, there.api, RELEASES)
    assert there.front.writes == []


def test_where_the_lab_knows_no_other_release_it_is_refused(
    there: Cluster, karpenter: Callable[..., Karpenter]
) -> None:
    karpenter(deaf=True)

    with pytest.raises(DrillRefusedError, match="moves from one release to another one"):
        make_node_plan(there.target, there.api, ("v20260901",))


def test_a_pod_that_is_drained_off_a_node_of_the_old_release_again_is_told_and_off_a_new_one_found() -> None:
    hop = node_upgrades.broken(again=(node_upgrades.AGAIN, replace(node_upgrades.AGAIN, onto_new=True)))

    line = next(each for each in verdicts(hop) if each.id == "pods")
    assert line.what == "40 pods moved; 1 of them twice, by a node that was still to be replaced: otel-demo/cart-1"
    assert [finding.seen for finding in line.findings] == [
        "moved from spot-b again, which was of v20260601 already (Drifted)"
    ]
