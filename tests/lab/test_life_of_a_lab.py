"""Two labs do not meet.

Whichever way one ends, it leaves nothing running, and a teardown leaves nothing in its cloud.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from otel_on_spot.simcloud.inventory import TABLES
from tests.lab.running import Lab, until


def family(lab: Lab) -> list[psutil.Process]:
    """Every process of a lab, its launcher first."""
    launcher = psutil.Process(lab.folder.read_state()["launcher"])
    return [launcher, *launcher.children(recursive=True)]


def ended(processes: list[psutil.Process]) -> None:
    _gone, alive = psutil.wait_procs(processes, timeout=15)
    assert alive == []


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
    assert {our.pid for our in ours}.isdisjoint(their.pid for their in theirs)
    second.kubectl("create", "namespace", "only-there")
    assert lab.get("namespace", "only-there") is None

    second.ask("kill", name="etcd")
    until("the second lab has ended", lambda: not second.folder.is_running(), 90)
    ended(theirs)
    assert "etcd" in second.down()
    assert lab.kubectl("get", "--raw=/readyz") == "ok"


def test_prod_runs_in_its_own_shape_and_what_is_set_aside_is_told(tmp_path: Path) -> None:
    prod = Lab(tmp_path, "prod")
    try:
        found = prod.up(boot_seconds=2.0, timeout_seconds=420.0)
        assert found["waits_for"] == [], "\n".join(prod.log_lines)
        told = [line for line in prod.log_lines if line.startswith("set aside: ")]
        assert [line.split()[2] for line in told] == [
            "gitops.repository",
            "gitops.revision",
            "persistence:",
            "cluster.endpoint",
            "karpenter.spotServiceLinkedRole",
            "cluster.adminRoleArns[0]",
        ]
        assert prod.replicas() == 3
        assert len({node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in prod.get("nodes")}) == 3
    finally:
        prod.down()


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
        assert [entry for entry in by_engine.ask("destroy") if entry[0] not in TABLES] == []
    finally:
        by_engine.down()


def killed(lab: Lab) -> None:
    """Its first process ends."""
    os.kill(lab.folder.read_state()["pid"], signal.SIGKILL)


@pytest.mark.parametrize("end", [killed, Lab.down], ids=["first process killed", "down"])
def test_a_lab_that_ends_leaves_nothing_running(lab: Lab, second: Lab, end: Callable[[Lab], object]) -> None:
    theirs = family(second)
    assert len(theirs) > 10
    end(second)
    ended(theirs)
    assert second.down().startswith("no lab")
    assert lab.kubectl("get", "--raw=/readyz") == "ok"


def test_an_api_server_that_is_killed_comes_back_with_everything(lab: Lab) -> None:
    before = {deployment["metadata"]["uid"] for deployment in lab.get("deployments", namespace="otel-demo")}
    lab.ask("kill", name="kube-apiserver")
    until("the API server answers", lambda: lab.kubectl("get", "--raw=/readyz", check=False) == "ok", 60)
    assert {deployment["metadata"]["uid"] for deployment in lab.get("deployments", namespace="otel-demo")} == before


def test_a_teardown_with_live_nodes_leaves_nothing_in_the_cloud(second: Lab) -> None:
    def launched() -> bool:
        return any("karpenter.sh/nodepool" in node["metadata"]["labels"] for node in second.get("nodes"))

    until("Karpenter's first node joins", launched, 240)
    left = second.ask("destroy")
    assert [resource for resource in left if resource[0] not in TABLES] == []
    states = second.aws("ec2", "describe_instances")["Reservations"]
    assert {instance["State"]["Name"] for row in states for instance in row["Instances"]} <= {"terminated"}
    assert second.aws("sqs", "list_queues").get("QueueUrls", []) == []
    assert [role for role in second.aws("iam", "list_roles")["Roles"] if role["RoleName"].startswith("otel-lab")] == []


STARTS_WITHIN_SECONDS = 5
"""Between the start of containers and the first probe that can see a process answer, at the wrapper's period of 5 s."""


def seconds_until_ready(pod: dict[str, Any]) -> float:
    became = next(entry for entry in pod["status"]["conditions"] if entry["type"] == "Ready")
    started, ready = (
        datetime.fromisoformat(text) for text in (pod["status"]["startTime"], became["lastTransitionTime"])
    )
    return (ready - started).total_seconds()


def test_a_pod_is_ready_when_its_probe_would_be_and_ends_after_its_sleep(lab: Lab) -> None:
    pods = {
        pod["metadata"]["labels"].get("opentelemetry.io/name"): pod for pod in lab.get("pods", namespace="otel-demo")
    }
    probed = {name: pod for name, pod in pods.items() if pod["spec"]["containers"][0].get("readinessProbe")}
    assert {"frontend", "cart", "ad"} <= set(probed)
    assert "accounting" not in probed
    assert seconds_until_ready(pods["accounting"]) == 0
    assert [name for name, pod in probed.items() if seconds_until_ready(pod) < STARTS_WITHIN_SECONDS] == []
    assert seconds_until_ready(probed["ad"]) >= 2 * STARTS_WITHIN_SECONDS

    name = pods["checkout"]["metadata"]["name"]
    begun = time.monotonic()
    lab.kubectl("--namespace=otel-demo", "delete", "pod", name, "--wait=false")
    assert lab.get("pod", name, namespace="otel-demo")["metadata"]["deletionTimestamp"]
    until(f"pod {name} has ended", lambda: lab.get("pod", name, namespace="otel-demo") is None, 90)
    assert time.monotonic() - begun > 9
