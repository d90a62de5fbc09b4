"""The upgrade drill from its start to its end, over an API server in memory and a Karpenter that moves as told."""

import time
from collections.abc import Sequence
from typing import Any

import pytest

from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.drills.spot_interruption.candidates import Candidate
from otel_on_spot.drills.upgrade import moving, run
from otel_on_spot.drills.upgrade.run import UpgradeRun, make_plan
from otel_on_spot.errors import ToolError
from otel_on_spot.kubernetes.names import APP_NAME, APP_VERSION, DEFINITION, DEPLOYMENT, KARPENTER_KINDS
from otel_on_spot.report import Report
from tests.unit.drills.cluster import Cluster
from tests.unit.drills.drilled import found, statuses

READY = {"conditions": [{"type": "Ready", "status": "True"}]}


class Karpenter:
    """Karpenter of the platform: handles warnings at once, and fails on the way to ``broken``."""

    def __init__(self, there: Cluster) -> None:
        self.there, self.broken = there, ""
        self.asked: list[str] = []
        self.hears, self.timeout = True, 30.0
        self.warned: list[Sequence[str]] = []
        add, namespace = there.front.add, there.target.declared.karpenter_namespace
        labels = {APP_NAME: "karpenter", APP_VERSION: "1.14.3"}
        self.deployment = add(DEPLOYMENT, "karpenter", metadata={"namespace": namespace, "labels": labels})
        self.definitions = [add(DEFINITION, kind.crd, metadata={"generation": 1}) for kind in KARPENTER_KINDS]
        pool, claim, node_class = KARPENTER_KINDS
        self.claims = {
            name: add(claim, name, status={**READY, "nodeName": f"ip-{name}"}) for name in ("spot-a", "spot-b", "data")
        }
        for kind in (pool, node_class):
            add(kind, "one", status=READY)

    @property
    def version(self) -> str:
        return self.deployment["metadata"]["labels"][APP_VERSION]

    def move(self, version: str) -> None:
        self.asked.append(version)
        for definition in self.definitions:
            definition["metadata"]["generation"] += 1
        time.sleep(0.1)
        self.deployment["metadata"]["labels"][APP_VERSION] = version
        time.sleep(0.1)
        if version == self.broken:
            raise ToolError("it does not become ready: panic")

    def candidates(self, *_: Any) -> tuple[Candidate, ...]:
        spot = [name for name in ("spot-a", "spot-b") if self.claims[name] in self.there.front.objects]
        return tuple(Candidate(node=f"ip-{name}", claim=name, instance=f"i-{name}", pods=1) for name in spot)

    def hear(self, _target: Any, _by: Any, instances: Sequence[str]) -> None:
        self.warned.append(instances)
        for instance in instances if self.hears else ():
            self.there.front.objects.remove(self.claims[instance.removeprefix("i-")])

    def drill(self) -> Report:
        target, api = self.there.target, self.there.api
        plan = make_plan(target, api, "1.15.0")
        with self.there.drill("upgrade") as running:
            return UpgradeRun(
                running, plan, self.move, timeout=self.timeout, gap=None, log=self.there.told.append
            ).run()


@pytest.fixture
def karpenter(there: Cluster, monkeypatch: pytest.MonkeyPatch, served: None) -> Karpenter:
    karpenter = Karpenter(there)
    monkeypatch.setattr(moving, "EVERY_SECONDS", 0.02)
    monkeypatch.setattr(run, "_candidates", karpenter.candidates)
    monkeypatch.setattr(run, "send", karpenter.hear)
    return karpenter


def test_it_moves_up_and_back_and_warns_half_of_the_spot_nodes_in_each_restart(
    there: Cluster, karpenter: Karpenter
) -> None:
    report = karpenter.drill()

    assert karpenter.asked == ["1.15.0", "1.14.3"]
    assert karpenter.warned == [["i-spot-a"], ["i-spot-b"]]
    assert set(statuses(report).values()) == {"ok"}
    assert report.exit_code == 0
    moments = [moment.what for moment in report.moments]
    ordered = ["moving", "crds", "controller", "warned"]
    assert [what for what in moments if what in ordered] == ordered * 2
    assert there.lease is None


def test_a_node_whose_warning_is_not_handled_is_not_warned_again_and_stays_found(karpenter: Karpenter) -> None:
    karpenter.hears = False
    karpenter.timeout = 1.0

    report = karpenter.drill()

    assert karpenter.warned == [["i-spot-a"], ["i-spot-b"]]
    lines = found(report)
    assert list(lines) == ["heard"]
    assert [line.partition(":")[0] for line in lines["heard"]] == ["NodeClaim spot-a", "NodeClaim spot-b"]


def test_a_version_that_does_not_run_is_found_and_taken_back(there: Cluster, karpenter: Karpenter) -> None:
    karpenter.broken = "1.15.0"

    report = karpenter.drill()

    assert (karpenter.asked, karpenter.version) == (["1.15.0", "1.14.3"], "1.14.3")
    assert found(report) == {"moved": ["Karpenter 1.14.3 to 1.15.0: it does not become ready: panic"]}
    assert there.lease is None


def test_a_drill_that_is_interrupted_moves_back_before_it_ends(
    there: Cluster, karpenter: Karpenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_run: UpgradeRun) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(UpgradeRun, "_is_settled", interrupted)
    with pytest.raises(KeyboardInterrupt):
        karpenter.drill()

    assert (karpenter.asked, karpenter.version) == (["1.15.0", "1.14.3"], "1.14.3")
    assert there.lease is None


def test_a_way_back_that_is_barred_is_found_and_the_version_is_left_to_an_update(
    karpenter: Karpenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(karpenter, "move", lambda version, move=karpenter.move: version == "1.15.0" and move(version))

    with pytest.raises(ToolError, match=r"Karpenter is 1\.15\.0 and was 1\.14\.3: an update brings back"):
        karpenter.drill()


def test_a_platform_that_does_not_rest_or_has_moved_already_is_refused(karpenter: Karpenter) -> None:
    karpenter.claims["data"]["metadata"]["deletionTimestamp"] = "2026-11-26T08:00:00Z"
    with pytest.raises(DrillRefusedError, match="NodeClaims data: they are being deleted"):
        karpenter.drill()

    karpenter.deployment["metadata"]["labels"][APP_VERSION] = "1.15.0"
    with pytest.raises(DrillRefusedError, match=r"Karpenter is 1\.15\.0 already"):
        karpenter.drill()
    assert karpenter.asked == []
