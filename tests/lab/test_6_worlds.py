"""Two labs do not meet; one that is killed, or loses a process that it cannot do without, leaves nothing running."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from otel_on_spot.simcloud.inventory import TABLES
from tests.lab.running import Lab, until


def family(lab: Lab) -> list[psutil.Process]:
    """Every process of a lab, its launcher first."""
    launcher = psutil.Process(lab.folder.read_state()["launcher"])
    return [launcher, *launcher.children(recursive=True)]


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Lab]:
    """Another lab, applied and not waited for."""
    beside = Lab(tmp_path)
    try:
        beside.up(boot_seconds=2.0, timeout_seconds=1.0)
        yield beside
    finally:
        beside.down()


def test_a_second_lab_is_another_world_and_ends_with_its_etcd(lab: Lab, second: Lab) -> None:
    ours, theirs = family(lab), family(second)
    assert {one.pid for one in ours}.isdisjoint(one.pid for one in theirs)
    second.kubectl("create", "namespace", "only-there")
    assert lab.get("namespace", "only-there") is None

    second.ask("kill", name="etcd")
    until("the second lab has ended", lambda: not second.folder.is_running(), 90)
    _gone, alive = psutil.wait_procs(theirs, timeout=15)
    assert alive == []
    assert "etcd" in second.down()
    assert lab.kubectl("get", "--raw=/readyz") == "ok"


@pytest.mark.skipif(shutil.which("pulumi") is None, reason="no pulumi on PATH: install the Pulumi CLI")
def test_the_real_engine_makes_the_same_lab_and_takes_it_away(lab: Lab, tmp_path: Path) -> None:
    by_engine = Lab(tmp_path)
    try:
        found = by_engine.up(boot_seconds=2.0, timeout_seconds=300.0, engine=True)
        assert found["waits_for"] == [], "\n".join(by_engine.log_lines)
        assert by_engine.ask("urns") == lab.ask("urns")
        assert {key: found[key] for key in ("placed", "applications")} == {
            key: lab.ask("status")["cluster"][key] for key in ("placed", "applications")
        }
        assert [one for one in by_engine.ask("destroy") if one[0] not in TABLES] == []
    finally:
        by_engine.down()


def test_a_lab_whose_first_process_is_killed_leaves_nothing_running(lab: Lab, second: Lab) -> None:
    theirs = family(second)
    assert len(theirs) > 10
    os.kill(second.folder.read_state()["pid"], signal.SIGKILL)
    _gone, alive = psutil.wait_procs(theirs, timeout=15)
    assert alive == []
    second.down()
    assert lab.kubectl("get", "--raw=/readyz") == "ok"
