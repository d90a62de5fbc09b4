"""The post-install patch: the rights it has are those it uses, it needs no shell, it changes nothing twice."""

import json
from typing import Any

import pytest

from tests.charts.demo_chart import NAMESPACE, Wrapper
from tests.charts.helm import HelmError
from tests.charts.workloads import by_name

KINDS = {"deployment": "deployments", "statefulset": "statefulsets"}
# What kubectl asks of the API server for a command; held against kubectl itself below.
# Source: https://github.com/kubernetes/kubectl/tree/v0.35.3/pkg/cmd (patch, wait, rollout/rollout_status.go)
VERBS = {"patch": {"get", "patch"}, "wait": {"get", "list", "watch"}, "rollout": {"get", "list", "watch"}}
JOBS = {"stateful-placement-sync": "Sync", "stateful-placement-postsync": "PostSync"}


@pytest.fixture(scope="module")
def objects(wrapper: Wrapper) -> list[dict[str, Any]]:
    return wrapper.objects("prod")


def pod(objects: list[dict[str, Any]], job: str) -> dict[str, Any]:
    return by_name(objects, "Job")[job]["spec"]["template"]["spec"]


def containers(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for job in JOBS for key in ("initContainers", "containers") for entry in pod(objects, job)[key]]


def targets(arguments: list[str]) -> set[tuple[str, str]]:
    """The (resource, name) pairs that a kubectl command names."""
    pairs = [argument.split("/", 1) for argument in arguments if not argument.startswith("--") and "/" in argument]
    return {(KINDS[kind], name) for kind, name in pairs}


def listed(wrapper: Wrapper) -> set[tuple[str, str]]:
    return {(KINDS[entry["kind"].lower()], entry["name"]) for entry in wrapper.values("prod")["stateful"]}


def granted(objects: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    role = by_name(objects, "Role")["stateful-placement"]
    return {
        (verb, resource, name)
        for rule in role["rules"]
        for verb in rule["verbs"]
        for resource in rule["resources"]
        for name in rule["resourceNames"]
    }


def test_the_hook_runs_with_a_sync_and_after_it_and_replaces_its_last_run(objects: list[dict[str, Any]]):
    for name, phase in JOBS.items():
        assert by_name(objects, "Job")[name]["metadata"]["annotations"] == {
            "argocd.argoproj.io/hook": phase,
            "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
        }


def test_there_is_no_helm_hook_that_an_argo_hook_would_disable(real_demo: Wrapper, environment: str):
    annotations = [manifest["metadata"].get("annotations") or {} for manifest in real_demo.objects(environment)]

    assert [key for annotation in annotations for key in annotation if key.startswith("helm.sh/hook")] == []


def test_only_the_jobs_are_hooks_so_that_their_account_outlives_them(objects: list[dict[str, Any]]):
    hooks = [
        manifest for manifest in objects if "argocd.argoproj.io/hook" in (manifest["metadata"].get("annotations") or {})
    ]

    assert {hook["kind"] for hook in hooks} == {"Job"}


def test_each_database_is_patched_and_verified_and_nothing_else_is(wrapper: Wrapper, objects: list[dict[str, Any]]):
    for job in JOBS:
        commands = [init_container["args"] for init_container in pod(objects, job)["initContainers"]]
        assert {entry[0] for entry in commands} == {"patch"}
        assert set().union(*map(targets, commands)) == listed(wrapper)
    waits = [container["args"] for container in pod(objects, "stateful-placement-postsync")["containers"]]
    for command in ("wait", "rollout"):
        assert set().union(*(targets(wait) for wait in waits if wait[0] == command)) == listed(wrapper)


def test_what_runs_during_the_sync_waits_for_no_pod(objects: list[dict[str, Any]]):
    """A database that cannot start keeps the Application from being Healthy: PostSync alone would never free it."""
    commands = [container["args"] for container in pod(objects, "stateful-placement-sync")["containers"]]

    assert all(command[0] == "wait" and any("jsonpath={.spec." in arg for arg in command) for command in commands)


def test_every_patch_comes_before_the_first_wait(objects: list[dict[str, Any]]):
    for job in JOBS:
        assert all(init_container["args"][0] == "patch" for init_container in pod(objects, job)["initContainers"])
        assert all(container["args"][0] != "patch" for container in pod(objects, job)["containers"])


def test_the_role_grants_exactly_what_the_commands_ask_for(objects: list[dict[str, Any]]):
    asked = {
        (verb, resource, name)
        for container in containers(objects)
        for resource, name in targets(container["args"])
        for verb in VERBS[container["args"][0]]
    }

    assert granted(objects) == asked
    assert {
        group for rule in by_name(objects, "Role")["stateful-placement"]["rules"] for group in rule["apiGroups"]
    } == {"apps"}


def test_the_role_is_bound_to_the_account_of_the_hook_and_to_no_other(objects: list[dict[str, Any]]):
    binding = by_name(objects, "RoleBinding")["stateful-placement"]

    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "stateful-placement"}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "stateful-placement", "namespace": NAMESPACE}]
    assert {pod(objects, job)["serviceAccountName"] for job in JOBS} == {"stateful-placement"}


def test_the_image_is_the_official_one_pinned_and_needs_no_shell(objects: list[dict[str, Any]]):
    for container in containers(objects):
        assert container["image"].startswith("registry.k8s.io/kubectl:v1.36.")
        assert "command" not in container
        assert not any(shell in arg for arg in container["args"] for shell in ("sh -c", "&&", "|", ";", "$("))


def test_the_hook_lands_on_nodes_that_exist_already(objects: list[dict[str, Any]]):
    for job in JOBS:
        tolerated = {toleration["key"] for toleration in pod(objects, job)["tolerations"]}
        assert tolerated == {"CriticalAddonsOnly", "dedicated"}
        assert "nodeSelector" not in pod(objects, job)


def test_the_hook_ends(wrapper: Wrapper, objects: list[dict[str, Any]]):
    hook = wrapper.values("prod")["placementHook"]
    for job in JOBS:
        spec = by_name(objects, "Job")[job]["spec"]
        assert spec["activeDeadlineSeconds"] > hook["rolloutTimeoutSeconds"]
        assert spec["backoffLimit"] >= 1
        assert all(
            any(arg.startswith("--timeout=") for arg in container["args"])
            for container in pod(objects, job)["containers"]
        )


def test_a_deadline_that_cuts_the_wait_short_is_refused(shell: Wrapper):
    with pytest.raises(HelmError, match="activeDeadlineSeconds 600 must be more than rolloutTimeoutSeconds 600"):
        shell.objects("dev", {"placementHook": {"activeDeadlineSeconds": 600}})


def test_without_databases_or_without_the_hook_nothing_of_it_is_left(shell: Wrapper):
    for manifest in shell.objects("dev", {"placementHook": {"enabled": False}}):
        assert "stateful-placement" not in manifest["metadata"]["name"]


def applied(patch: list[dict[str, Any]], workload: dict[str, Any]) -> dict[str, Any]:
    """RFC 6902 `add` of a member: it is created, or replaced whole."""
    result = json.loads(json.dumps(workload))
    for operation in patch:
        assert operation["op"] == "add"
        *parents, last = operation["path"].strip("/").split("/")
        part: Any = result
        for key in parents:
            part = part[int(key)] if isinstance(part, list) else part[key]
        part[last] = operation["value"]
    return result


def patch_of(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The patch of kafka, which has a volume in prod: the same placement as every database, and its strategy."""
    texts = {
        (init_container["name"], *init_container["args"][-2:])
        for job in JOBS
        for init_container in pod(objects, job)["initContainers"]
    }
    patches = {name: json.loads(text.removeprefix("--patch=")) for name, _, text in texts}
    assert (len(texts), {kind for _, kind, _ in texts}) == (5, {"--type=json"})
    assert [patch[:2] for patch in patches.values()] == [patches["patch-opensearch"]] * 5
    return patches["patch-kafka"]


def database(placement: dict[str, Any] | None, strategy: str = "Recreate") -> dict[str, Any]:
    rules = {} if placement is None else placement
    spec = {"containers": [{"name": "kafka", "image": "kafka:1"}], "priorityClassName": "stateful", **rules}
    selector = {"matchLabels": {"app": "kafka"}}
    template = {"metadata": {"labels": {"app": "kafka"}}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "kafka"},
        "spec": {"selector": selector, "strategy": {"type": strategy}, "template": template},
    }


STARTS = {
    "undeclared": None,
    "on Spot": {"nodeSelector": {"karpenter.sh/capacity-type": "spot", "node.kubernetes.io/lifecycle": "spot"}},
    "tolerating another taint": {"tolerations": [{"key": "spot", "operator": "Exists"}]},
}


@pytest.mark.parametrize("start", STARTS)
def test_the_patch_puts_a_database_on_the_data_pool_from_wherever_it_was(
    wrapper: Wrapper, objects: list[dict[str, Any]], start: str
):
    placement = wrapper.values("prod")["placement"]

    assert applied(patch_of(objects), database(STARTS[start], "RollingUpdate")) == database(placement)


def test_the_patch_changes_nothing_where_the_placement_is_declared(wrapper: Wrapper, objects: list[dict[str, Any]]):
    declared = database(wrapper.values("prod")["placement"])

    assert applied(patch_of(objects), declared) == declared
