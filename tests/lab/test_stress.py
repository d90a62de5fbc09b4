"""The stress drill on a real platform.

It holds, it ends, and whoever kills it at whatever moment, nothing stays behind.
"""

import csv
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.lab.drilling import Drilling
from tests.lab.running import Lab, thing, until

FEW = ("drill", "stress", "--replicas", "3", "--max-wait", "60")
LONG = ("--hold", "300", "--why", "a test")
SELF_HEAL_SECONDS = 330
"""The most that Argo CD waits before it heals the same commit again: its back-off grows with every revert before it.

Source: https://github.com/argoproj/argo-cd/blob/v3.5.3/cmd/argocd-application-controller/commands
(--self-heal-backoff-cap-seconds, 300)
"""


@pytest.fixture(autouse=True)
def as_before(lab: Lab) -> Iterator[int]:
    def declared() -> int:
        settled = lab.replicas() < 3 and synced(lab) and not windows(lab) and lab.lease() is None
        return lab.replicas() if settled else 0

    before = until("the platform is as declared", declared, 120)
    yield before
    Drilling.end_all()
    if lab.lease() is not None or windows(lab):  # a failed test: the next one begins as every test does
        restored(lab, "--force")


def windows(lab: Lab) -> list[dict[str, Any]]:
    return lab.get("appproject", "platform", "argocd")["spec"].get("syncWindows") or []


def synced(lab: Lab) -> bool:
    return lab.state()[0] == "Synced"


def steps(lab: Lab) -> list[str]:
    held = lab.lease()
    assert held is not None
    return [step["kind"] for step in json.loads(held["metadata"]["annotations"]["otel-on-spot/steps"])]


def restored(lab: Lab, *options: str) -> Drilling:
    running = Drilling(lab, "drill", "restore", *options)
    assert running.ends() == 0, running.told
    return running


def nothing_is_left(lab: Lab, before: int) -> None:
    assert windows(lab) == []
    assert lab.lease() is None
    until("the frontend is as declared", lambda: lab.replicas() == before, 15)
    until("its Application is Synced", lambda: synced(lab), 60)


def test_fifty_replicas_are_held_for_a_while_and_everything_is_put_back(
    lab: Lab, as_before: int, tmp_path: Path
) -> None:
    files = {name: tmp_path / f"stress.{name}" for name in ("json", "csv", "svg")}
    options = [f"--{flag}={files[name]}" for flag, name in (("json", "json"), ("csv", "csv"), ("plot", "svg"))]
    running = Drilling(lab, "drill", "stress", "--replicas", "50", "--hold", "20", "--why", "a look", *options)
    running.says("holding for 20 s", 150)
    assert [window["kind"] for window in windows(lab)] == ["deny"]
    assert steps(lab) == ["window", "scale"]
    assert running.ends() == 0, running.told
    nothing_is_left(lab, as_before)
    report = json.loads(files["json"].read_text())
    assert [(verdict["id"], verdict["status"]) for verdict in report["verdicts"]] == [
        ("replicas", "ok"),
        ("held", "ok"),
        ("restored", "ok"),
        ("untouched", "ok"),
    ]
    rows = list(csv.DictReader(files["csv"].read_text().splitlines()))
    assert max(int(row["pods_running"]) for row in rows) == 50
    assert max(int(row["pods_pending"]) for row in rows) > 0
    assert (rows[0]["replicas_wanted"], rows[-1]["replicas_wanted"]) == (str(as_before), str(as_before))
    costs = [float(row["cost_usd_per_hour"]) for row in rows]
    claims = [int(row["claims"]) for row in rows]
    assert costs[0] > 0
    # Nodes that earlier tests left may have room for all; and Karpenter may have other ones for them meanwhile.
    assert max(claims) == claims[0] or max(costs) > costs[0]
    ElementTree.parse(files["svg"])
    running.keep("stress")
    if os.environ.get("CAPTURES"):
        shutil.copy(files["svg"], Path(os.environ["CAPTURES"]) / "stress.svg")


def dies(words: str, seconds: float = 0.0) -> Callable[[Lab], None]:
    """A drill that is killed so many seconds after it has said this."""

    def dies_there(lab: Lab) -> None:
        running = Drilling(lab, *FEW, *LONG)
        running.says(words)
        time.sleep(seconds)
        running.kill()

    return dies_there


def dies_between_scaling_back_and_removing_the_window(lab: Lab) -> None:
    """Nobody may write an AppProject for a while, so that it waits exactly there."""
    running = Drilling(lab, *FEW, *LONG)
    running.says("holding for 300 s")
    with lab.there(UNREACHABLE):
        time.sleep(1)  # until the API server asks it
        running.press(signal.SIGTERM)
        running.says("suspended: no answer (500 ")
        running.kill()


RULE = {"apiGroups": ["argoproj.io"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["appprojects"]}
NOBODY = {
    "name": "nobody.there.example.com",
    "clientConfig": {"url": "https://127.0.0.1:9/"},
    "rules": [RULE],
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}
UNREACHABLE = thing(
    "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "nobody-there", webhooks=[NOBODY]
)


def is_scaled(lab: Lab) -> bool:
    return (lab.replicas(), len(windows(lab))) == (3, 1)


DEATHS: dict[str, tuple[Callable[[Lab], None], Callable[[Lab], bool]]] = {
    "lease held": (dies("lease held"), lambda lab: steps(lab) == []),
    "window set": (dies("automatic sync is suspended"), lambda lab: len(windows(lab)) == 1),
    "scaled": (dies("scaled to 3"), is_scaled),
    "holding": (dies("holding for 300 s", 3), is_scaled),
    "restoring": (
        dies_between_scaling_back_and_removing_the_window,
        lambda lab: (len(windows(lab)), steps(lab), lab.replicas() < 3) == (1, ["window"], True),
    ),
}
"""Moment -> the death, and what it leaves."""


@pytest.mark.parametrize("moment", DEATHS)
def test_what_a_killed_drill_left_is_put_back_by_restore(lab: Lab, as_before: int, moment: str) -> None:
    death, left = DEATHS[moment]
    death(lab)
    assert left(lab)
    told = restored(lab)
    assert "nothing is left" in told.told
    if moment == "holding":
        told.keep("restore")
    nothing_is_left(lab, as_before)


def test_where_nobody_does_anything_the_leases_end_lets_argo_cd_revert_it(lab: Lab, as_before: int) -> None:
    running = Drilling(lab, "drill", "stress", "--replicas", "3", "--max-wait", "10", "--hold", "1")
    running.says("all 3 pods are Running")
    running.kill()
    assert (lab.replicas(), len(windows(lab))) == (3, 1)
    until("Argo CD reverts it", lambda: lab.replicas() == as_before, 120 + SELF_HEAL_SECONDS)
    until("its Application is Synced", lambda: synced(lab), 60)
    told = restored(lab).told
    assert f"has {as_before} replicas" in told
    nothing_is_left(lab, as_before)
    assert "no drill has left anything" in restored(lab).told


def test_the_next_drill_puts_back_what_was_left_refuses_a_second_outlives_an_update_and_ends_by_ctrl_c(
    lab: Lab, as_before: int
) -> None:
    dies("scaled to 3")(lab)
    running = Drilling(lab, *FEW, *LONG)
    running.says("putting back what was left by drill stress")
    running.says("holding for 300 s")
    second = Drilling(lab, *FEW)
    lab.apply()
    assert second.ends() == 2
    assert "a drill is under way: drill stress" in second.told
    assert len(windows(lab)) == 1
    assert lab.replicas() == 3
    assert "reverted to" not in running.told
    running.press(signal.SIGINT)
    assert running.ends() == 130
    assert "all is as it was" in running.told
    nothing_is_left(lab, as_before)


def test_without_its_window_the_drill_says_that_the_scale_was_reverted(lab: Lab, as_before: int) -> None:
    running = Drilling(lab, *FEW, "--hold", "420", "--why", "a test")
    running.says("holding for 420 s")
    lab.patch("appproject", "platform", {"spec": {"syncWindows": None}}, "argocd")
    running.says(f"reverted to {as_before} replica", SELF_HEAL_SECONDS)
    assert running.ends() == 1
    assert f"scaled back to {as_before} by somebody else" in running.told
    running.keep("stress-reverted")
    nothing_is_left(lab, as_before)
