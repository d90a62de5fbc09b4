"""When a pod is Ready and how it ends: declared where the chart has a key, else patched by a hook."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.charts.demo_chart import Wrapper
from tests.charts.helm import HelmError
from tests.charts.test_kubernetes_schemas import problems
from tests.charts.test_placement_hook import VERBS, applied, targets
from tests.charts.workloads import DATABASES, by_name, workloads

JOB = "pod-lifecycle"
KINDS = ("Deployment", "StatefulSet")
SERVE_NOBODY = {"accounting", "fraud-detection"}
WITHOUT_PROBE = {"kafka"}
"""Its broker finds its controller through its own Service: with a probe in front of that, it never would."""
SPOT_WARNING_SECONDS = 120
"""Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html"""
KARPENTER_SECONDS = 20
"""From the warning to the eviction: a message's way through the queue, and a drain that evicts pod by pod."""
UNDECLARED_PORTS = {("flagd", 8014), ("frontend-proxy", 10000), ("jaeger", 14269), ("otel-collector", 13133)}
"""Listened on and not declared as container ports: management and health ports."""


def commands(objects: list[dict[str, Any]]) -> list[list[str]]:
    return [container["args"] for container in by_name(objects, "Job")[JOB]["spec"]["template"]["spec"]["containers"]]


def patches(objects: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Workload -> the patch that the hook sends for it."""
    found = {}
    for command in commands(objects):
        for _, name in targets(command[:-1]):
            assert name not in found, "patched twice: each start would undo the other's"
            found[name] = json.loads(command[-1].removeprefix("--patch="))
    return found


@pytest.fixture(scope="module")
def patched(real_demo: Wrapper) -> dict[str, dict[str, Any]]:
    """The workloads of prod as they stand when the hook has run."""
    objects = real_demo.objects("prod")
    sent = patches(objects)
    rendered = {manifest["metadata"]["name"]: manifest for manifest in objects if manifest["kind"] in KINDS}
    return {name: applied(sent.get(name, []), entry) for name, entry in rendered.items()}


def pod_of(workload: dict[str, Any]) -> dict[str, Any]:
    return workload["spec"]["template"]["spec"]


def main_container(name: str, workload: dict[str, Any]) -> dict[str, Any]:
    named = {"grafana": "grafana", "otel-collector": "opentelemetry-collector", "prometheus": "prometheus-server"}
    return next(container for container in pod_of(workload)["containers"] if container["name"] == named.get(name, name))


def test_whatever_serves_is_ready_when_it_answers_and_not_when_it_starts(patched: dict[str, dict[str, Any]]):
    without = {name for name, entry in patched.items() if "readinessProbe" not in main_container(name, entry)}

    assert without == SERVE_NOBODY | WITHOUT_PROBE


def test_a_probe_asks_where_the_container_listens(patched: dict[str, dict[str, Any]]):
    for name, entry in patched.items():
        container = main_container(name, entry)
        probe = container.get("readinessProbe") or {}
        handlers = [probe[kind] for kind in ("grpc", "httpGet", "tcpSocket") if kind in probe]
        assert len(handlers) == (0 if name in SERVE_NOBODY | WITHOUT_PROBE else 1), name
        listens = {port["containerPort"] for port in container.get("ports") or []}
        listens |= {port["name"] for port in container.get("ports") or [] if "name" in port}
        for handler in handlers:
            assert handler["port"] in listens or (name, handler["port"]) in UNDECLARED_PORTS


def test_a_stateless_pod_serves_on_while_it_is_taken_out_and_ends_within_a_spot_warning(
    patched: dict[str, dict[str, Any]],
):
    for name, entry in patched.items():
        grace = pod_of(entry).get("terminationGracePeriodSeconds", 30)
        assert grace <= SPOT_WARNING_SECONDS - KARPENTER_SECONDS, name
        if name not in DATABASES:
            sleep = main_container(name, entry)["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert 5 <= sleep <= grace - 15, name


def test_replicas_beyond_one_a_zone_spread_evenly_and_start_where_only_one_zone_is_left(
    patched: dict[str, dict[str, Any]],
):
    several = {name for name, entry in patched.items() if entry["spec"].get("replicas", 1) > 1}
    assert len(several) == 10
    for name in several:
        (spread,) = pod_of(patched[name])["topologySpreadConstraints"]
        assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", "ScheduleAnyway")
        selected = {expression["key"] for expression in spread["labelSelector"]["matchExpressions"]}
        assert selected.isdisjoint(spread["matchLabelKeys"]), "the API server refuses a key that is in both"
        labels = patched[name]["spec"]["template"]["metadata"]["labels"]
        assert selected | set(spread["matchLabelKeys"]) - {"pod-template-hash"} <= set(labels)


def test_kubernetes_accepts_what_comes_of_the_patches(patched: dict[str, dict[str, Any]]):
    assert problems(list(patched.values())) == []


def test_a_patch_meets_the_container_that_it_is_for(real_demo: Wrapper, environment: str):
    objects = real_demo.objects(environment)
    deployments = by_name(objects, "Deployment")

    for name in patches(objects):
        assert pod_of(deployments[name])["containers"][0]["name"] == name


def test_nothing_is_patched_that_git_declares_so_that_self_heal_leaves_it(real_demo: Wrapper, environment: str):
    objects = real_demo.objects(environment)
    deployments = by_name(objects, "Deployment")
    declared = {
        (name, operation["path"])
        for name, operations in patches(objects).items()
        for operation in operations
        if at_pointer(deployments[name], operation["path"]) is not None
    }

    assert declared == set()


def at_pointer(found: Any, path: str) -> Any:
    for key in path.strip("/").split("/"):
        found = found[int(key)] if isinstance(found, list) else (found or {}).get(key)
    return found


def test_every_component_is_decided_on(known_demo: Wrapper, environment: str):
    """A new one that is forgotten would be Ready when its container starts."""
    components = set(known_demo.demo_values(environment)["components"])
    listed = set(patches(known_demo.objects(environment)))

    assert listed == components | {"jaeger"}
    assert listed <= set(workloads(known_demo, environment))


def test_the_hook_asks_for_what_its_role_grants_and_no_more(wrapper: Wrapper, environment: str):
    objects = wrapper.objects(environment)
    (rule,) = by_name(objects, "Role")[JOB]["rules"]
    asked = {pair for command in commands(objects) for pair in targets(command[:-1])}

    assert {command[0] for command in commands(objects)} == {"patch"}
    assert {(resource, name) for resource in rule["resources"] for name in rule["resourceNames"]} == asked
    assert set(rule["verbs"]) == VERBS["patch"]
    assert by_name(objects, "RoleBinding")[JOB]["subjects"][0]["name"] == JOB
    assert by_name(objects, "Job")[JOB]["spec"]["template"]["spec"]["serviceAccountName"] == JOB


def test_the_hook_runs_with_the_sync_and_lands_where_a_node_is(wrapper: Wrapper):
    job = by_name(wrapper.objects("prod"), "Job")[JOB]
    pod = pod_of(job)

    assert job["metadata"]["annotations"] == {
        "argocd.argoproj.io/hook": "Sync",
        "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
    }
    assert job["spec"]["activeDeadlineSeconds"] > 0
    assert {toleration["key"] for toleration in pod["tolerations"]} == {"CriticalAddonsOnly", "dedicated"}
    assert not any("command" in container for container in pod["containers"])


def test_a_component_that_is_switched_off_is_not_patched(shell: Wrapper):
    off = {"opentelemetry-demo": {"components": {"recommendation": {"enabled": False}}}}

    assert set(patches(shell.objects("dev"))) - set(patches(shell.objects("dev", off))) == {"recommendation"}


def test_a_probe_that_a_newer_chart_declares_is_left_to_git(shell: Wrapper, tmp_path: Path):
    newer = Wrapper.assemble(shell.demo, tmp_path, templates=False)
    for schema in newer.path.rglob("values.schema.json"):
        schema.unlink()
    probe = {"readinessProbe": {"httpGet": {"path": "/", "port": 8080}}}

    sent = patches(newer.objects("dev", {"opentelemetry-demo": {"components": {"frontend": probe}}}))

    assert not any(operation["path"].endswith("readinessProbe") for operation in sent["frontend"])
    assert any(operation["path"].endswith("lifecycle") for operation in sent["frontend"])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"preStopSleepSeconds": 45}, "terminationGracePeriodSeconds 45 must be more than preStopSleepSeconds 45"),
        ({"terminationGracePeriodSeconds": 120}, "terminationGracePeriodSeconds"),
        ({"workloads": {"frontent": {}}}, "frontent is neither a component"),
        ({"workloads": {"grafana": {}}}, "grafana is neither a component"),
        ({"workloads": {"ad": {"httpGet": {"path": "/", "port": 8080}}}}, "ad"),
        ({"workloads": {"ad": {"grpc": {"port": 0}}}}, "port"),
        ({"readyness": {}}, "readyness"),
    ],
)
def test_a_lifecycle_that_cannot_be_is_refused_with_its_name(shell: Wrapper, fault: dict[str, Any], said: str):
    with pytest.raises(HelmError, match=said):
        shell.objects("dev", {"podLifecycle": fault})
