"""The upgrade drill on Argo CD: its course over an Argo CD that moves as told, and what it refuses."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from otel_on_spot.drills.drill import DrillRefusedError
from otel_on_spot.drills.resilience import ElsewhereError
from otel_on_spot.drills.undo import moved, take_back
from otel_on_spot.drills.upgrade import argocd_run, moving
from otel_on_spot.drills.upgrade.argocd_run import ArgocdUpgradeRun, make_plan, version_of
from otel_on_spot.errors import ToolError
from otel_on_spot.kubernetes.names import (
    APPLICATION,
    APPLICATION_SET,
    CONFIG_MAP,
    DEFINITION,
    NODE,
    POD,
    PROJECT,
    TRACKING,
)
from otel_on_spot.report import Report
from tests.unit.drills.cluster import Cluster
from tests.unit.drills.drilled import found, looked_at

HERE, NEXT = "v3.5.3", "v3.6.1"


class ArgoCd:
    """Argo CD over an API server in memory: it compares at each look, and puts back what no window holds.

    ``fault``: what it does wrong, in the next version alone.
    """

    def __init__(self, there: Cluster, fault: str = "") -> None:
        self.there, self.fault, self.moments = there, fault, count(1)
        front, own = there.front, {"namespace": "argocd"}
        labels = {"app.kubernetes.io/version": HERE}
        self.marker = front.add(CONFIG_MAP, "argocd-cm", metadata={**own, "labels": labels})
        self.crds = [
            front.add(DEFINITION, kind.crd, metadata={"generation": 1}, status={"storedVersions": ["v1alpha1"]})
            for kind in (APPLICATION, APPLICATION_SET, PROJECT)
        ]
        status = {
            "sync": {"status": "Synced"},
            "health": {"status": "Healthy"},
            "operationState": {"startedAt": "once"},
        }
        self.demo, self.root = (
            front.add(
                APPLICATION,
                name,
                metadata=own,
                spec={"project": "platform", "source": {}},
                status={**status, "reconciledAt": "0"},
            )
            for name in ("otel-demo", "root")
        )
        self.frontend = front.find("Deployment", "frontend")
        self.frontend["metadata"]["annotations"] = {TRACKING: "otel-demo:apps/Deployment:otel-demo/frontend"}
        self.pod = front.add(POD, "cart-1", spec={"nodeName": "ip-1"}, status={"phase": "Running"})
        front.add(NODE, "ip-1", spec={})
        look = front.answer

        def answer(target: str) -> Any:
            if "/applications" in target:
                self.compare()
            return look(target)

        front.answer = answer

    @property
    def version(self) -> str:
        return self.marker["metadata"]["labels"]["app.kubernetes.io/version"]

    def does(self, fault: str) -> bool:
        return self.fault == fault and self.version == NEXT

    def compare(self) -> None:
        """Compare with Git, and sync what differs unless it is suspended."""
        differs = self.frontend["spec"]["replicas"] != 1
        if differs and self.does("syncs") and self.root["status"]["operationState"]["startedAt"] == "once":
            self.sync(self.root)
        for application in (self.demo, self.root):
            if not (self.does("compares nothing") and application is self.root):
                application["status"]["reconciledAt"] = str(next(self.moments))
        if differs and (not self.there.windows or self.does("undoes what is suspended")):
            self.frontend["spec"]["replicas"] = 1
            self.sync(self.demo)
            differs = False
        if not (differs and self.does("does not see the scale")):
            self.demo["status"]["sync"] = {"status": "OutOfSync" if differs else "Synced"}
        self.root["status"]["sync"] = {"status": "OutOfSync" if self.does("sees a difference") else "Synced"}
        self.root["status"]["health"] = {"status": "Degraded" if self.does("takes it for broken") else "Healthy"}

    def sync(self, application: dict[str, Any]) -> None:
        application["status"]["operationState"] = {"startedAt": f"moment {next(self.moments)}"}

    def move(self, version: str) -> None:
        """What the lab does."""
        if self.fault == "does not start" and version == NEXT:
            raise ToolError("argocd-repo-server does not become ready: panic")
        if self.fault == "stays" and version == NEXT:
            return
        for crd in self.crds:
            crd["metadata"]["generation"] += 1
        self.marker["metadata"]["labels"]["app.kubernetes.io/version"] = version
        if self.does("syncs as its CRDs change"):
            self.sync(self.root)
        if self.does("replaces a pod"):
            self.there.front.objects.remove(self.pod)
        if self.does("drops the window"):
            self.there.front.meddle = lambda verb, path, body: (
                (200, self.there.front.find("AppProject", "platform")) if "/appprojects/" in path else None
            )
        if self.does("writes an Application anew"):
            self.demo["spec"]["source"] = {"repoURL": "another"}
        if self.does("stores another version"):
            self.crds[0]["status"]["storedVersions"].append("v1")

    def drill(self, timeout: float = 0.3) -> Report:
        plan = make_plan(self.there.target, self.there.api, NEXT)
        log = self.there.told.append
        with self.there.drill("upgrade") as drill:
            return ArgocdUpgradeRun(drill, plan, self.move, timeout=timeout, gap=60, log=log).run()


@pytest.fixture
def argocd(there: Cluster, monkeypatch: pytest.MonkeyPatch, served: None) -> Callable[..., ArgoCd]:
    monkeypatch.setattr(moving, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(argocd_run, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(argocd_run, "TRIAL_SECONDS", 0.05)
    return lambda fault="": ArgoCd(there, fault)


def test_a_platform_that_took_both_moves_well_is_in_order_and_the_scale_is_put_back_after_the_suspension(
    there: Cluster, argocd: Callable[..., ArgoCd]
) -> None:
    running = argocd()

    report = running.drill()

    assert found(report) == {}
    said = looked_at(report)
    assert [*said] == [
        "moved", "order", "compared", "stays", "syncs", "suspended", "put-back", "pods", "back", "front-path",
    ]  # fmt: skip
    assert said["suspended"] == "otel-demo/frontend by hand from 1 to 2, OutOfSync in v3.6.1 and v3.5.3, and left"
    assert said["stays"] == "2 of 2 Applications Synced and Healthy in each version"
    moments = [moment.what for moment in report.moments]
    first = moments.index("scaled by hand")
    assert moments.index("compared") < moments.index("automatic sync is suspended") < first
    assert first < moments.index("noticed") < moments.index("moving", first) < moments.index("the suspension ends")
    assert (running.version, there.replicas, there.windows, there.lease) == (HERE, 1, [], None)


def test_what_the_version_that_is_left_does_as_its_crds_change_is_told(argocd: Callable[..., ArgoCd]) -> None:
    report = argocd("syncs as its CRDs change").drill()

    assert found(report) == {}
    told = looked_at(report)["syncs"]
    assert told.startswith("neither version synced anything; before the next one was ready, root: a sync began at ")
    assert told.endswith(" (v3.5.3 to v3.6.1)")


@pytest.mark.parametrize(
    ("fault", "line", "said"),
    [
        ("does not start", "moved", "does not become ready: panic"),
        ("stays", "moved", "the controller is v3.5.3 after the update"),
        ("compares nothing", "compared", "not compared with Git within 0 s: root"),
        ("sees a difference", "stays", "root: OutOfSync while Argo CD moved from v3.5.3 to v3.6.1"),
        ("takes it for broken", "stays", "root: Degraded while"),
        ("syncs", "syncs", "root: a sync began at moment"),
        ("undoes what is suspended", "suspended", "it was 1 again in spite of it, with v3.6.1"),
        ("does not see the scale", "suspended", "nobody looked"),
        ("drops the window", "suspended", "the deny window is gone"),
        ("replaces a pod", "pods", "otel-demo/cart-1: gone"),
        ("writes an Application anew", "back", "Application otel-demo is not what it was"),
        ("stores another version", "back", "applications.argoproj.io in v1"),
    ],
)
def test_what_a_version_does_wrong_is_found_by_its_line_and_taken_back(
    there: Cluster, argocd: Callable[..., ArgoCd], fault: str, line: str, said: str
) -> None:
    running = argocd(fault)

    lines = found(running.drill())

    assert any(said in words for words in lines[line]), lines
    assert (running.version, there.replicas) == (HERE, 1)
    assert there.lease is None


def test_a_drill_that_is_interrupted_moves_back_and_ends_the_suspension(
    there: Cluster, argocd: Callable[..., ArgoCd], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = argocd()
    seen: list[tuple[str, int, int]] = []

    def interrupted(_run: ArgocdUpgradeRun) -> bool:
        seen.append((running.version, there.replicas, len(there.windows)))
        raise KeyboardInterrupt

    monkeypatch.setattr(ArgocdUpgradeRun, "_is_reverted", interrupted)
    with pytest.raises(KeyboardInterrupt):
        running.drill()

    assert seen == [(NEXT, 2, 1)]
    assert (running.version, there.replicas, there.windows, there.lease) == (HERE, 1, [], None)


@pytest.mark.parametrize(
    ("disturb", "said"),
    [
        (lambda a: a.marker["metadata"].pop("labels"), "no ConfigMap argocd-cm says Argo CD's version"),
        (lambda a: a.move(NEXT), "Argo CD is v3.6.1 already"),
        (lambda a: a.root.update(operation={}), r"root \(Synced, Healthy, being synced\)"),
        (lambda a: setattr(a, "compare", lambda: a.root["status"].update(sync={})), r"root \(Unknown, Healthy\)"),
        (lambda a: a.frontend["metadata"].pop("annotations"), "whose scale no HPA owns"),
    ],
    ids=["no version", "there already", "syncing", "not Synced", "nothing to scale"],
)
def test_a_platform_that_does_not_rest_or_cannot_move_is_refused(
    there: Cluster, argocd: Callable[..., ArgoCd], disturb: Callable[[ArgoCd], object], said: str
) -> None:
    disturb(argocd())

    with pytest.raises(DrillRefusedError, match=said):
        make_plan(there.target, there.api, NEXT)
    assert there.front.writes == []


def test_a_dead_drills_version_is_left_to_an_update_and_said_so(there: Cluster, argocd: Callable[..., ArgoCd]) -> None:
    running = argocd()
    step = moved(make_plan(there.target, there.api, NEXT).path, HERE, NEXT, "argocd")

    assert take_back(there.target, there.api, step) == "is v3.5.3"
    running.move(NEXT)
    assert version_of(there.api, "argocd") == NEXT
    with pytest.raises(ElsewhereError, match=r"Argo CD is v3\.6\.1 and was v3\.5\.3: an update brings back"):
        take_back(there.target, there.api, step)
