"""The hook's commands, run by the real kubectl: what it asks of an API server, what its patch makes of a workload."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.charts.api_server import ApiServer
from tests.charts.demo_chart import Wrapper
from tests.charts.test_placement_hook import STARTS, containers, database, granted, pod
from tests.charts.workloads import by_name


@pytest.fixture(scope="module")
def objects(wrapper: Wrapper) -> list[dict[str, Any]]:
    return wrapper.objects("prod")


@pytest.fixture(scope="session")
def kubectl() -> str:
    path = shutil.which("kubectl")
    if not path:
        pytest.skip("needs kubectl on PATH: shows what the real one asks for, beside the table in this file")
    return path


def run(kubectl: str, arguments: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    return subprocess.run([kubectl, *arguments], capture_output=True, text=True, timeout=30, env=environment)


@pytest.mark.parametrize("start", STARTS)
def test_kubectl_applies_the_patch_as_it_is_meant(
    kubectl: str, wrapper: Wrapper, objects: list[dict[str, Any]], tmp_path: Path, start: str
):
    file = tmp_path / "kafka.json"
    file.write_text(json.dumps(database(STARTS[start])))
    arguments = [
        arg
        for arg in pod(objects, "stateful-placement-sync")["initContainers"][0]["args"][2:]
        if "field-manager" not in arg
    ]
    local = [
        "patch",
        "--local",
        f"--filename={file}",
        "--output=json",
        *[arg for arg in arguments if "namespace" not in arg],
    ]

    done = run(kubectl, local, tmp_path)

    assert done.returncode == 0, done.stderr
    assert (
        json.loads(done.stdout)["spec"]["template"]["spec"]
        == database(wrapper.values("prod")["placement"])["spec"]["template"]["spec"]
    )


def databases(wrapper: Wrapper, placement: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for entry in wrapper.values("prod")["stateful"]:
        workload = database(placement) | {"kind": entry["kind"], "metadata": {"name": entry["name"]}}
        workload["spec"]["updateStrategy"] = {"type": "RollingUpdate"}
        found.append(workload)
    return found


def test_kubectl_asks_for_what_the_role_grants_and_for_nothing_else(
    kubectl: str, wrapper: Wrapper, objects: list[dict[str, Any]], tmp_path: Path
):
    commands = {tuple(container["args"]) for container in containers(objects)}
    with ApiServer(databases(wrapper, wrapper.values("prod")["placement"])) as api:
        for command in commands:
            done = run(kubectl, [f"--server={api.url}", *command], tmp_path)
            assert done.returncode == 0, f"{command}: {done.stderr}"

    assert {(request.verb, request.resource, request.name) for request in api.requests} == granted(objects)


def test_kubectl_patches_several_workloads_with_one_command_and_the_rights_of_its_role(
    kubectl: str, objects: list[dict[str, Any]], tmp_path: Path
):
    lifecycle = by_name(objects, "Job")["pod-lifecycle"]["spec"]["template"]["spec"]["containers"]
    (rule,) = by_name(objects, "Role")["pod-lifecycle"]["rules"]
    command = max((container["args"] for container in lifecycle), key=len)
    workloads = [database(None) | {"metadata": {"name": name}} for name in rule["resourceNames"]]

    with ApiServer(workloads) as api:
        done = run(kubectl, [f"--server={api.url}", *command], tmp_path)

    asked = {(request.verb, request.resource, request.name) for request in api.requests}
    named = {argument.removeprefix("deployment/") for argument in command if argument.startswith("deployment/")}
    assert done.returncode == 0, done.stderr
    assert {request.name for request in api.requests if request.verb == "patch"} == named
    assert len(named) == 7
    assert asked <= {(verb, "deployments", name) for verb in rule["verbs"] for name in rule["resourceNames"]}


@pytest.mark.parametrize("start", ["undeclared", "on Spot"])
def test_a_database_that_is_not_on_demand_fails_the_job_with_its_name(
    kubectl: str, wrapper: Wrapper, objects: list[dict[str, Any]], tmp_path: Path, start: str
):
    verify = pod(objects, "stateful-placement-postsync")["containers"][0]["args"]
    placed = databases(wrapper, wrapper.values("prod")["placement"])
    placed[0] = database(STARTS[start])
    arguments = [*verify[:-1], "--timeout=1s"]

    with ApiServer(placed) as api:
        done = run(kubectl, [f"--server={api.url}", *arguments], tmp_path)

    assert verify[-1].startswith("--timeout=")
    assert done.returncode != 0
    assert "kafka" in done.stderr
