"""Lesson 4: Argo CD reverts a manual scale; a suspension holds at the right level, and only there."""

from pathlib import Path

import pytest

from tests.lab.external_metrics import served
from tests.lab.faults_alerts import synced_by_hand
from tests.lab.running import Lab, stays, thing, until

HOLDS_SECONDS = 30


@pytest.fixture(autouse=True)
def declared(lab: Lab) -> int:
    return until("the frontend is as declared", lambda: lab.replicas() if lab.replicas() < 50 else 0, 90)


def reverted(lab: Lab, declared: int) -> None:
    until("Argo CD puts it back", lambda: lab.replicas() == declared, 60)


def test_a_manual_scale_to_50_is_put_back(lab: Lab, declared: int) -> None:
    lab.scale_frontend(50)
    reverted(lab, declared)


def test_a_deny_window_on_the_project_holds_while_the_root_heals_and_ends_when_taken_back(
    lab: Lab, declared: int
) -> None:
    with lab.denied() as window:
        lab.scale_frontend(50)
        stays("50 replicas", lambda: lab.replicas() == 50, HOLDS_SECONDS)
        lab.apply()
        project = lab.get("appproject", "platform", "argocd")
        assert project["spec"]["syncWindows"] == [window], "an update took the lease away"
        stays("50 replicas after an update", lambda: lab.replicas() == 50, 8)
    reverted(lab, declared)


def test_a_childs_own_suspension_survives_the_self_healing_root(lab: Lab, declared: int) -> None:
    with lab.suspended("otel-demo"):
        lab.scale_frontend(50)
        stays("50 replicas", lambda: lab.replicas() == 50, HOLDS_SECONDS)
    reverted(lab, declared)


def test_suspending_the_root_alone_does_not_keep_a_child_from_healing(lab: Lab, declared: int) -> None:
    before = lab.application("platform")["spec"]["syncPolicy"]["automated"]
    lab.patch("application.argoproj.io", "platform", {"spec": {"syncPolicy": {"automated": None}}}, "argocd")
    try:
        lab.scale_frontend(50)
        reverted(lab, declared)
    finally:
        lab.apply()
    assert lab.application("platform")["spec"]["syncPolicy"]["automated"] == before


def test_a_killed_argocd_controller_comes_back_and_heals(lab: Lab) -> None:
    """Of another Application: the demo's next self-heal waits longer after each of the above, kill or no kill."""
    name = "platform-critical"
    assert lab.get("priorityclasses.scheduling.k8s.io", name)
    lab.ask("kill", name="argocd-application-controller")
    lab.kubectl("delete", "priorityclass", name)
    until("Argo CD makes it again", lambda: lab.get("priorityclasses.scheduling.k8s.io", name), 120)
    row = lab.process("argocd-application-controller")
    assert (row["state"], row["restarts"] >= 1) == ("running", True)


A_REPLICAS_LOAD = 10
LOAD = {"metric": {"name": "requests"}, "target": {"type": "AverageValue", "averageValue": str(A_REPLICAS_LOAD)}}
SCALES = {
    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "frontend"},
    "minReplicas": 1,
    "maxReplicas": 8,
    "metrics": [{"type": "External", "external": LOAD}],
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
}
AUTOSCALER = thing("autoscaling/v2", "HorizontalPodAutoscaler", "frontend", "otel-demo", spec=SCALES)
"""By default a replica goes five minutes after its load does."""


def ended(lab: Lab) -> str:
    """When Argo CD's last operation ended; empty while one runs."""
    return (lab.application("otel-demo")["status"].get("operationState") or {}).get("finishedAt", "")


def test_an_autoscaler_follows_its_load_where_the_child_ignores_replicas_and_is_put_back_where_not(
    lab: Lab, declared: int, tmp_path: Path
) -> None:
    replicas = {"group": "apps", "kind": "Deployment", "name": "frontend", "jsonPointers": ["/spec/replicas"]}
    assert declared < 4
    try:
        with served(lab, tmp_path) as load:
            load.set(4 * A_REPLICAS_LOAD)
            lab.put(AUTOSCALER)
            until("the autoscaler scales up", lambda: lab.replicas() == 4, 90)
            until("Argo CD puts it back", lambda: lab.replicas() == declared, 60)

            lab.apply(gitops=lab.config("gitops") | {"applications": {"otel-demo": {"ignoreDifferences": [replicas]}}})
            until("the child ignores them", lambda: lab.application("otel-demo")["spec"].get("ignoreDifferences"), 120)
            # A sync that has begun without them still takes the replicas back.
            until("no sync of before is under way", lambda: ended(lab), 120)
            until("the autoscaler scales up once more", lambda: lab.replicas() == 4, 90)
            load.set(6 * A_REPLICAS_LOAD)
            until("and further", lambda: lab.replicas() == 6, 90)
            until("its pods run", lambda: lab.ready("frontend", "otel-demo") == 6)
            stays("6 replicas", lambda: lab.replicas() == 6, HOLDS_SECONDS)
            before = ended(lab)
            synced_by_hand(lab)
            until("a whole sync has ended", lambda: ended(lab) > before, 180)
            load.set(3 * A_REPLICAS_LOAD)
            until("the autoscaler scales down", lambda: lab.replicas() == 3, 90)
            stays("3 replicas", lambda: lab.replicas() == 3, HOLDS_SECONDS)
            assert lab.application("otel-demo")["status"]["sync"]["status"] == "Synced"
    finally:
        lab.kubectl("delete", "horizontalpodautoscaler", "frontend", "--namespace=otel-demo", "--ignore-not-found")
        lab.apply()
    until(
        "the child ignores them no longer",
        lambda: not lab.application("otel-demo")["spec"].get("ignoreDifferences"),
        120,
    )
    reverted(lab, declared)
