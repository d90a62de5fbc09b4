"""What each pod asks for and how the front path survives a node: requests, replicas, budgets, spread, pod security."""

from typing import Any

import pytest

from tests.charts.demo_chart import Wrapper
from tests.charts.helm import HelmError
from tests.charts.workloads import COUNT, SUBCHART_RESOURCES, Workload, at, by_name, quantity, workloads

# A page, its pictures, a cart, a price, a quote and a payment: a purchase fails without any of these.
PURCHASE = {
    "cart",
    "checkout",
    "currency",
    "frontend",
    "frontend-proxy",
    "image-provider",
    "payment",
    "product-catalog",
    "quote",
    "shipping",
}
# Their images declare no user, so they start as root (without any capability). See the chart's README.
ROOT_IMAGES = {"ad", "cart", "currency", "email", "load-generator", "recommendation"}


def test_every_container_of_every_workload_asks_for_cpu_and_memory(known_demo: Wrapper, environment: str):
    without = {
        (name, container): requests
        for name, entry in workloads(known_demo, environment).items()
        for container, requests in entry.requests.items()
        if not (requests.get("cpu") and requests.get("memory"))
    }

    assert without == {}
    assert all(workload.requests for workload in workloads(known_demo, environment).values())


# What upstream learned after 0.38.6, in Mi, and where it says so.
LEARNED_MEMORY_MIB = {
    ("accounting", "accounting"): 160,  # opentelemetry-demo#2822; helm-charts#2326
    ("frontend-proxy", "frontend-proxy"): 90,  # helm-charts#2326
    ("grafana", "grafana"): 300,  # helm-charts#2188
    ("grafana", "grafana-sc-dashboard"): 256,  # helm-charts#2188
    ("jaeger", "jaeger"): 600,  # helm-charts#2016
    ("kafka", "kafka"): 700,  # helm-charts#2116; 612Mi measured in opentelemetry-demo#3034
    ("otel-collector", "opentelemetry-collector"): 400,  # helm-charts#2326
    ("payment", "payment"): 140,  # opentelemetry-demo#2822; helm-charts#2016
    ("prometheus", "prometheus-server"): 401,  # opentelemetry-demo#3811: 400Mi end in a restart loop
}


def test_no_container_asks_for_more_than_it_may_have(known_demo: Wrapper, environment: str):
    limits = {
        (name, container, resource): (workload.requests[container].get(resource), limit)
        for name, workload in workloads(known_demo, environment).items()
        for container, resources in workload.limits.items()
        for resource, limit in resources.items()
    }

    assert {key: pair for key, pair in limits.items() if pair[0] and quantity(pair[0]) > quantity(pair[1])} == {}
    assert len({(name, container) for name, container, resource in limits if resource == "memory"}) > COUNT


def test_memory_is_promised_once_whole_and_limited_everywhere(known_demo: Wrapper, environment: str):
    """A request below the limit promises a node twice; a container without a limit can take the node down."""
    assert {
        (name, container): (requests.get("memory"), workload.limits[container].get("memory"))
        for name, workload in workloads(known_demo, environment).items()
        for container, requests in workload.requests.items()
        if requests.get("memory") != workload.limits[container].get("memory")
    } == {}


def test_limits_hold_what_upstream_has_seen_since(known_demo: Wrapper, environment: str):
    found = workloads(known_demo, environment)
    missing = {key for key in LEARNED_MEMORY_MIB if key[1] not in found[key[0]].limits}

    assert missing == set()
    assert {
        (name, container): found[name].limits[container]["memory"]
        for (name, container), least in LEARNED_MEMORY_MIB.items()
        if quantity(found[name].limits[container]["memory"]) < least * 2**20
    } == {}


def test_prometheus_keeps_by_size_less_than_its_memory_and_its_volume(known_demo: Wrapper, environment: str):
    """It replays what its volume kept when it restarts, and mapped blocks count as its memory.

    Prometheus' units are powers of two: https://prometheus.io/docs/prometheus/latest/storage/#operational-aspects
    """
    server = known_demo.demo_values(environment)["prometheus"]["server"]
    kept = quantity(server["retentionSize"].removesuffix("B") + "i")

    assert 0 < kept < quantity(workloads(known_demo, environment)["prometheus"].limits["prometheus-server"]["memory"])
    volume = known_demo.values(environment)["persistence"]["claims"].get("prometheus")
    assert kept < (volume["gib"] * 2**30 if volume else quantity(server["emptyDir"]["sizeLimit"]))
    if known_demo.demo.source == "real":
        pod = pod_specs(known_demo.objects(environment))["prometheus"]
        assert f"--storage.tsdb.retention.size={server['retentionSize']}" in pod["containers"][0]["args"]
        emptied = [one.get("emptyDir") for one in pod["volumes"]]
        assert (server["emptyDir"] in emptied) is not bool(volume)


def test_every_image_is_pinned(known_demo: Wrapper, environment: str):
    images = {image for workload in workloads(known_demo, environment).values() for image in workload.images.values()}

    assert [image for image in images if ":" not in image.rpartition("/")[2] or image.endswith(":latest")] == []


def test_fifty_frontends_are_more_than_the_largest_node_of_a_small_pool(known_demo: Wrapper):
    request = workloads(known_demo, "dev")["frontend"].requests["frontend"]
    cpu_millis, memory_mib = int(request["cpu"].removesuffix("m")), int(request["memory"].removesuffix("Mi"))

    assert 50 * cpu_millis >= 4_000
    assert 50 * memory_mib >= 8_192


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_a_purchase_survives_the_loss_of_any_pod(known_demo: Wrapper, environment: str):
    found = workloads(known_demo, environment)
    budgets = by_name(known_demo.objects(environment), "PodDisruptionBudget")

    for name in PURCHASE:
        budget = budgets[name]["spec"]
        assert found[name].replicas >= 2, name
        assert budget["maxUnavailable"] == 1
        assert budget["selector"]["matchLabels"].items() <= found[name].labels.items()
        assert found[name].replicas > budget["maxUnavailable"]


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_replicas_of_a_component_never_share_a_node_and_prefer_other_zones(known_demo: Wrapper, environment: str):
    for name in PURCHASE:
        spread = workloads(known_demo, environment)[name].affinity["podAntiAffinity"]
        (required,) = spread["requiredDuringSchedulingIgnoredDuringExecution"]
        (preferred,) = spread["preferredDuringSchedulingIgnoredDuringExecution"]

        assert required["topologyKey"] == "kubernetes.io/hostname"
        assert preferred["podAffinityTerm"]["topologyKey"] == "topology.kubernetes.io/zone"
        for term in (required, preferred["podAffinityTerm"]):
            selected = {match_expression["key"] for match_expression in term["labelSelector"]["matchExpressions"]}
            assert "opentelemetry.io/name" in term["matchLabelKeys"]
            assert "pod-template-hash" in term["matchLabelKeys"], "a rollout would wait for the revision it replaces"
            assert selected.isdisjoint(term["matchLabelKeys"]), "the API server refuses a key that is in both"
            assert selected <= set(workloads(known_demo, environment)[name].labels)


def test_dev_runs_one_of_everything_and_stops_no_consolidation(known_demo: Wrapper):
    assert by_name(known_demo.objects("dev"), "PodDisruptionBudget") == {}
    assert {name for name, workload in workloads(known_demo, "dev").items() if workload.replicas != 1} == set()


@pytest.mark.parametrize(
    ("workload", "said"),
    [("ad", r"ad has 1 replica\(s\); with a budget it needs at least 2"), ("frontent", "frontent is no component")],
)
def test_a_budget_that_protects_nothing_is_refused(known_demo: Wrapper, shell: Wrapper, workload: str, said: str):
    with pytest.raises(HelmError, match=said):
        shell.objects("dev", {"disruptionBudgets": {"workloads": [workload]}})


def test_what_keeps_data_outranks_what_does_not_wherever_the_chart_has_a_key(real_demo: Wrapper):
    objects = real_demo.objects("prod")
    classes = {
        manifest["metadata"]["name"]: manifest["spec"]["template"]["spec"].get("priorityClassName")
        for manifest in objects
        if manifest["kind"] in ("Deployment", "StatefulSet")
    }

    assert {name: value for name, value in classes.items() if value} == {
        "opensearch": "stateful",
        "prometheus": "stateful",
    }


def pod_specs(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    kinds = ("Deployment", "StatefulSet", "Job")
    return {
        manifest["metadata"]["name"]: manifest["spec"]["template"]["spec"]
        for manifest in objects
        if manifest["kind"] in kinds
    }


def containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [*spec["containers"], *(spec.get("initContainers") or [])]


def baseline_problems(spec: dict[str, Any]) -> list[str]:
    """Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline"""
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    found += [f"hostPath {volume['name']}" for volume in spec.get("volumes") or [] if "hostPath" in volume]
    found += (
        [f"sysctls {spec['securityContext']['sysctls']}"] if (spec.get("securityContext") or {}).get("sysctls") else []
    )
    for container in containers(spec):
        context = container.get("securityContext") or {}
        found += [f"{container['name']} privileged"] if context.get("privileged") else []
        found += [f"{container['name']} adds {added}" for added in (context.get("capabilities") or {}).get("add") or []]
        found += [f"{container['name']} hostPort" for port in container.get("ports") or [] if port.get("hostPort")]
    return found


def restricted_problems(spec: dict[str, Any]) -> list[str]:
    """Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    pod = spec.get("securityContext") or {}
    found = []
    for container in containers(spec):
        context = container.get("securityContext") or {}
        seccomp = context.get("seccompProfile") or pod.get("seccompProfile") or {}
        dropped = (context.get("capabilities") or {}).get("drop") or []
        found += ["allowPrivilegeEscalation"] if context.get("allowPrivilegeEscalation") is not False else []
        found += ["capabilities"] if dropped != ["ALL"] else []
        found += ["seccompProfile"] if seccomp.get("type") != "RuntimeDefault" else []
        found += ["runAsNonRoot"] if not context.get("runAsNonRoot", pod.get("runAsNonRoot")) else []
    return sorted(set(found))


def test_no_pod_would_be_turned_away_by_the_baseline_standard(real_demo: Wrapper, environment: str):
    specs = pod_specs(real_demo.objects(environment))

    assert {name: found for name, spec in specs.items() if (found := baseline_problems(spec))} == {}


def test_only_images_that_start_as_root_fall_short_of_the_restricted_standard(real_demo: Wrapper, environment: str):
    specs = pod_specs(real_demo.objects(environment))
    short = {name: found for name, spec in specs.items() if (found := restricted_problems(spec))}

    assert short == {name: ["runAsNonRoot"] for name in ROOT_IMAGES}


def test_a_pod_that_runs_as_non_root_says_as_whom(real_demo: Wrapper):
    """An image whose user is a name does not start with runAsNonRoot alone: the kubelet cannot tell who it is."""
    for name, spec in pod_specs(real_demo.objects("prod")).items():
        pod = spec.get("securityContext") or {}
        for container in containers(spec):
            context = pod | (container.get("securityContext") or {})
            assert not context.get("runAsNonRoot") or context.get("runAsUser"), (name, container["name"])


def test_the_recorded_places_of_resources_are_those_of_the_chart(real_demo: Wrapper):
    values = real_demo.demo_values("prod")
    found: dict[str, Workload] = workloads(real_demo, "prod")
    for (name, container), path in SUBCHART_RESOURCES.items():
        if container in found[name].requests:
            assert found[name].requests[container] == at(values, path)["requests"], (name, container)


def test_no_secret_of_the_demo_chart_is_used_where_another_can_be_made(real_demo: Wrapper):
    ui = next(
        container
        for container in containers(pod_specs(real_demo.objects("prod"))["flagd"])
        if container["name"] == "flagd-ui"
    )
    names = [entry["name"] for entry in ui["env"]]
    key = next(entry["value"] for entry in ui["env"] if entry["name"] == "SECRET_KEY_BASE")

    assert key == "$(POD_UID)$(POD_UID)"
    assert names.index("POD_UID") < names.index("SECRET_KEY_BASE"), "a reference is expanded only after its definition"


def test_nobody_logs_into_grafana_with_the_password_of_the_chart(real_demo: Wrapper):
    ini = by_name(real_demo.objects("prod"), "ConfigMap")["grafana"]["data"]["grafana.ini"]
    sections = {part.partition("]")[0]: part for part in ini.split("[")}

    assert "disable_login_form = true" in sections["auth"]
    assert "enabled = false" in sections["auth.basic"]
    assert "org_role = Viewer" in sections["auth.anonymous"]


def test_only_the_collector_reads_beyond_its_own_namespace(real_demo: Wrapper, environment: str):
    """It names pods and their owners in the signals of any namespace. No secret, no config map, no node."""
    roles = by_name(real_demo.objects(environment), "ClusterRole")

    assert set(roles) == {"otel-collector"}
    assert {resource for rule in roles["otel-collector"]["rules"] for resource in rule["resources"]} == {
        "namespaces",
        "pods",
        "replicasets",
    }
    assert {verb for rule in roles["otel-collector"]["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
