"""Lesson 4: Argo CD reverts a manual scale; a suspension holds at the right level, and only there."""

from datetime import UTC, datetime

import pytest

from tests.lab.running import Lab, stays, until

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
    now = datetime.now(UTC)
    window = {
        "kind": "deny",
        "schedule": f"{now.minute} {now.hour} * * *",
        "duration": "1h",
        "applications": ["*"],
        "manualSync": True,
    }
    lab.patch("appproject", "platform", {"spec": {"syncWindows": [window]}}, "argocd")
    try:
        lab.scale_frontend(50)
        stays("50 replicas", lambda: lab.replicas() == 50, HOLDS_SECONDS)
        lab.apply()
        project = lab.get("appproject", "platform", "argocd")
        assert project["spec"]["syncWindows"] == [window], "an update took the lease away"
        stays("50 replicas after an update", lambda: lab.replicas() == 50, 8)
    finally:
        lab.patch("appproject", "platform", {"spec": {"syncWindows": None}}, "argocd")
    reverted(lab, declared)


def test_a_childs_own_suspension_survives_the_self_healing_root(lab: Lab, declared: int) -> None:
    before = lab.application("otel-demo")["spec"]["syncPolicy"]["automated"]
    lab.patch("application.argoproj.io", "otel-demo", {"spec": {"syncPolicy": {"automated": None}}}, "argocd")
    try:
        lab.scale_frontend(50)
        stays("50 replicas", lambda: lab.replicas() == 50, HOLDS_SECONDS)
    finally:
        lab.patch("application.argoproj.io", "otel-demo", {"spec": {"syncPolicy": {"automated": before}}}, "argocd")
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
    row = next(process for process in lab.ask("processes") if process["name"] == "argocd-application-controller")
    assert (row["state"], row["restarts"] >= 1) == ("running", True)
