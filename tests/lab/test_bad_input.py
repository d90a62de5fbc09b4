"""What a lab cannot do ends with what was given, the rule and what to do, and leaves nothing running."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.lab.running import ROOT, Lab, until


def cli(state: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "XDG_STATE_HOME": str(state), **environment}
    return subprocess.run(
        [sys.executable, "-m", "otel_on_spot", "lab", *arguments],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        ((), {"PATH": "/usr/sbin"}, ("no go command on PATH", "https://go.dev/dl/")),
        (("--dirty",), {"DEMO_CHART": "/nowhere"}, ("DEMO_CHART=/nowhere: no Chart.yaml there", "Give the unpacked")),
        (("--revision", "nope"), {}, ("revision 'nope': no such commit", "Give a branch, a tag or a commit")),
        (("--stack", "moon"), {}, ("stack 'moon': there is no such stack file", "Use one of them")),
        ((), {"ARGOCD": "/nowhere"}, ("/nowhere",)),
    ],
    ids=["no Go", "wrong chart path", "no such revision", "no such stack", "no Argo CD there"],
)
def test_a_bring_up_that_cannot_be_ends_with_one_message_and_no_process(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], said: tuple[str, ...]
) -> None:
    ended = cli(tmp_path, "up", *arguments, **environment)
    assert ended.returncode in (1, 2)
    for part in said:
        assert part in ended.stderr
    assert ended.stderr.count("error:") == 1
    assert "Traceback" not in ended.stderr
    assert [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(tmp_path) in " ".join(process.info["cmdline"] or [])
    ] == []
    assert "no lab" in cli(tmp_path, "down").stdout


def test_a_cloud_that_refuses_every_launch_is_named_and_its_end_is_noticed(lab: Lab, no_capacity: None) -> None:
    name = "no-room"
    lab.wants_node(name)
    try:
        told = until(
            "Karpenter says why",
            lambda: [event["message"] for event in lab.get("events") if event["reason"] == "InsufficientCapacityError"],
            60,
        )
        assert "insufficient capacity" in told[0].lower()
        assert lab.runs(name) == ""
        lab.ask("capacity", shortages=[])
        until("the pod runs", lambda: lab.runs(name), 240)
    finally:
        lab.no_longer_wants_node(name)
