"""Drills on a real platform: what they say when all is well, where they stop when it is not, and what they leave behind."""

from pathlib import Path

from drills.lease import NAME
from tests.lab.rehearsals import rehearse
from tests.lab.running import Lab, until


def nothing_is_left(lab: Lab) -> bool:
    return lab.get("lease.coordination.k8s.io", NAME, "argocd") is None


def test_a_scale_by_hand_is_put_back_and_timed(lab: Lab, tmp_path: Path) -> None:
    declared = lab.replicas()
    seen = rehearse(lab, tmp_path, "drift", keep="drift")
    assert seen.lines == {"reverted": "ok", "synced": "ok"}, seen.told
    assert seen.code == 0
    assert seen.moments["scaled by hand"] < seen.moments["put back"] <= seen.moments["Synced"]
    assert lab.replicas() == declared
    assert nothing_is_left(lab)


def test_a_suspended_application_is_found_and_the_drill_puts_the_scale_back_itself(lab: Lab, tmp_path: Path) -> None:
    declared = lab.replicas()
    before = lab.application("otel-demo")["spec"]["syncPolicy"]["automated"]
    lab.patch("application.argoproj.io", "otel-demo", {"spec": {"syncPolicy": {"automated": None}}}, "argocd")
    try:
        seen = rehearse(lab, tmp_path, "drift", "--timeout", "8", keep="drift-suspended")
        assert seen.code == 1
        assert "automatic sync of Application otel-demo is off" in seen.said("reverted"), seen.told
        assert "Application otel-demo: automatic sync is off" in seen.said("suspensions")
        assert lab.replicas() == declared, "the drill leaves its scale behind"
        assert nothing_is_left(lab)
    finally:
        lab.patch("application.argoproj.io", "otel-demo", {"spec": {"syncPolicy": {"automated": before}}}, "argocd")
    until("all is in sync", lambda: lab.application("otel-demo")["status"]["sync"]["status"] == "Synced")


def test_a_deployment_that_argo_cd_does_not_deploy_is_refused(lab: Lab, tmp_path: Path) -> None:
    seen = rehearse(lab, tmp_path, "drift", "--deployment", "kube-system/karpenter")
    assert (seen.report, seen.code) == (None, 2)
    assert "no Application declares it and nobody would put it back" in seen.told
