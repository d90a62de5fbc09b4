"""Pods of Jobs are run for real: containers in order, real exit codes, ended when the pod is deleted."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.kubernetes.kubeconfig import Kubeconfig
from otel_on_spot.lab.nodes.container import Container, cannot_run
from otel_on_spot.lab.nodes.pod_run import PodRun
from otel_on_spot.lab.nodes.pods import of_a_job
from tests.unit.lab.conftest import ApiServer

KUBECTL = """#!/bin/sh
echo "$0 $*" >> "$HOME/calls"
case "$1" in
  env) env; exit 0;;
  fail) echo "it went wrong" >&2; exit 3;;
  sleep) exec sleep 60;;
  together) touch "$HOME/$2"; n=0; while [ ! -e "$HOME/$3" ]; do n=$((n+1)); [ $n -gt 50 ] && exit 4; sleep 0.1; done;;
esac
"""


def container(name: str, *args: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "registry.k8s.io/kubectl:v1.36.3", "args": list(args), **more}


def pod(*containers: dict[str, Any], inits: tuple[dict[str, Any], ...] = (), **spec: Any) -> dict[str, Any]:
    about = {"name": "hook", "namespace": "demo", "uid": "u-1", "ownerReferences": [{"kind": "Job", "name": "hook"}]}
    told = {"nodeName": "n", "serviceAccountName": "placer", "restartPolicy": "Never", "initContainers": list(inits)}
    return {"metadata": about, "spec": {**told, "containers": list(containers), **spec}, "status": {"phase": "Pending"}}


@pytest.fixture
def kubectl(tmp_path: Path) -> Path:
    file = tmp_path / "kubectl"
    file.write_text(KUBECTL)
    file.chmod(0o755)
    return file


def run_of(api: ApiServer, kubectl: Path, told: dict[str, Any]) -> PodRun:
    def answer(method: str, path: str, body: Any) -> tuple[int, Any]:
        return (201, {"status": {"token": "pods-own"}}) if path.endswith("/token") else (200, {})

    api.answer = answer
    kubeconfig = Kubeconfig(api.server, api.authority, "cloud_controller")
    return PodRun(told, lambda: api.client.as_user("node"), kubeconfig, kubectl, kubectl.parent / "pod")


def last_status(api: ApiServer) -> dict[str, Any]:
    return [body for method, _, body, _ in api.asked if method == "PATCH"][-1]["status"]


def codes(api: ApiServer, which: str = "containerStatuses") -> dict[str, Any]:
    return {status["name"]: status["state"].get("terminated", {}).get("exitCode") for status in last_status(api)[which]}


def test_init_containers_run_in_order_before_the_others(api: ApiServer, kubectl: Path) -> None:
    run = run_of(api, kubectl, pod(container("c", "third"), inits=(container("a", "first"), container("b", "second"))))
    assert run.run() == "Succeeded"
    calls = (kubectl.parent / "pod" / "calls").read_text().splitlines()
    assert [line.split()[-1] for line in calls] == ["first", "second", "third"]
    assert (codes(api, "initContainerStatuses"), codes(api)) == ({"a": 0, "b": 0}, {"c": 0})


def test_a_mounted_config_map_is_read_as_the_node_and_its_files_are_where_the_arguments_say(
    api: ApiServer, kubectl: Path
) -> None:
    told = pod(
        container(
            "c", "create", "--filename=/snapshots/a.yaml", volumeMounts=[{"name": "s", "mountPath": "/snapshots"}]
        ),
        volumes=[{"name": "s", "configMap": {"name": "manifests"}}, {"name": "tmp", "emptyDir": {}}],
    )
    run = run_of(api, kubectl, told)
    answer = api.answer
    path = "/api/v1/namespaces/demo/configmaps/manifests"
    api.answer = lambda verb, where, body: (
        (200, {"data": {"a.yaml": "x"}}) if where == path else answer(verb, where, body)
    )
    assert run.run() == "Succeeded"
    (call,) = (kubectl.parent / "pod" / "calls").read_text().splitlines()
    assert Path(call.rpartition("--filename=")[2]).read_text() == "x"
    assert {token for _, where, _, token in api.asked if where == path} == {"node"}


def test_containers_run_at_the_same_time(api: ApiServer, kubectl: Path) -> None:
    run = run_of(api, kubectl, pod(container("a", "together", "x", "y"), container("b", "together", "y", "x")))
    assert run.run() == "Succeeded"


def test_a_failed_init_container_fails_the_pod_and_nothing_after_it_runs(api: ApiServer, kubectl: Path) -> None:
    run = run_of(api, kubectl, pod(container("c", "third"), inits=(container("a", "fail"), container("b", "second"))))
    assert run.run() == "Failed"
    ended = last_status(api)["initContainerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "it went wrong")
    assert codes(api) == {"c": None}
    assert "second" not in (kubectl.parent / "pod" / "calls").read_text()


def test_one_failed_container_fails_the_pod_with_its_own_exit_code(api: ApiServer, kubectl: Path) -> None:
    assert run_of(api, kubectl, pod(container("a", "ok"), container("b", "fail"))).run() == "Failed"
    assert codes(api) == {"a": 0, "b": 3}


def test_a_container_acts_as_the_pods_own_service_account_bound_to_the_pod(api: ApiServer, kubectl: Path) -> None:
    run_of(
        api, kubectl, pod(container("c", "env", env=[{"name": "HOME", "value": "/tmp"}, {"name": "A", "value": "b"}]))
    ).run()
    method, path, body, token = next(request for request in api.asked if request[1].endswith("/token"))
    assert (method, path, token) == ("POST", "/api/v1/namespaces/demo/serviceaccounts/placer/token", "node")
    assert body["spec"]["boundObjectRef"] == {"kind": "Pod", "apiVersion": "v1", "name": "hook", "uid": "u-1"}
    folder = kubectl.parent / "pod"
    assert "pods-own" in (folder / "kubeconfig").read_text()
    said = dict(line.split("=", 1) for line in (folder / "c.log").read_text().splitlines() if "=" in line)
    assert said["KUBECONFIG"] == str(folder / "kubeconfig")
    assert (said["HOME"], said["A"], said["KUBERNETES_SERVICE_HOST"]) == (str(folder), "b", "127.0.0.1")
    assert "AWS_ACCESS_KEY_ID" not in said


def test_a_pod_without_a_token_gets_none(api: ApiServer, kubectl: Path) -> None:
    run_of(api, kubectl, pod(container("c", "env"), automountServiceAccountToken=False)).run()
    assert not [path for _, path, _, _ in api.asked if path.endswith("/token")]
    assert "KUBECONFIG" not in (kubectl.parent / "pod" / "c.log").read_text()


def test_a_deleted_pods_processes_are_ended(api: ApiServer, kubectl: Path) -> None:
    run = run_of(api, kubectl, pod(container("c", "sleep"), terminationGracePeriodSeconds=5))
    ended: list[str] = []
    thread = threading.Thread(target=lambda: ended.append(run.run()))
    thread.start()
    end = time.monotonic() + 10
    while "running" not in run.mains[0].state and time.monotonic() < end:
        time.sleep(0.02)
    run.cancel()
    thread.join(10)
    assert ended == ["Failed"]
    assert codes(api) == {"c": 143}
    run.remove()
    assert api.asked[-1][:3] == (
        "DELETE",
        "/api/v1/namespaces/demo/pods/hook",
        {"gracePeriodSeconds": 0, "preconditions": {"uid": "u-1"}},
    )


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (container("c", image="busybox:1"), "image busybox:1"),
        (container("c", image="example.com/kubectl-shell:1"), "image example.com/kubectl-shell:1"),
        (container("c", command=["sh", "-c", "true"]), "command"),
        (container("c", env=[{"name": "A", "valueFrom": {}}]), "A"),
        (container("c", restartPolicy="Always"), "sidecar"),
    ],
)
def test_what_cannot_be_run_ends_as_failed_with_the_reason_and_never_as_a_success(
    api: ApiServer, kubectl: Path, spec: dict[str, Any], why: str
) -> None:
    assert why in cannot_run(spec)
    assert run_of(api, kubectl, pod(spec)).run() == "Failed"
    ended = last_status(api)["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "ContainerCannotRun")
    assert why in ended["message"]


@pytest.mark.parametrize(
    "image", ["kubectl", "registry.k8s.io/kubectl:v1.36.3", "host:5000/kubectl@sha256:0", "bitnami/kubectl:1.35"]
)
def test_an_image_of_kubectl_is_known_by_its_name(image: str) -> None:
    assert cannot_run(container("c", image=image)) == ""


def test_only_pods_of_jobs_are_run_here() -> None:
    assert of_a_job(pod(container("c")))
    other = pod(container("c"))
    other["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "r"}]
    assert not of_a_job(other)
    del other["metadata"]["ownerReferences"]
    assert not of_a_job(other)


def test_a_container_that_is_stopped_before_it_starts_never_starts(kubectl: Path, tmp_path: Path) -> None:
    one = Container(container("c", "sleep"), tmp_path / "log")
    one.stop(1)
    one.start(kubectl, {"HOME": str(tmp_path)}, tmp_path)
    assert one.wait() == 143
    assert not (tmp_path / "calls").exists()
