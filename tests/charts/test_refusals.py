"""Values that the demo chart takes and that would never work here are refused at render, with key and reason."""

from functools import reduce
from typing import Any

import pytest

from tests.charts.demo_chart import Wrapper
from tests.charts.helm import HelmError, layered
from tests.charts.test_capacity import baseline_problems, containers, pod_specs
from tests.charts.workloads import by_name

DEMO = "opentelemetry-demo"
PERSISTENT = {
    "opensearch": {"persistence": {"enabled": True}},
    "prometheus": {"server": {"persistentVolume": {"enabled": True}}},
    "grafana": {"persistence": {"enabled": True}, "deploymentStrategy": {"type": "Recreate"}},
}


def components(**values: Any) -> dict[str, Any]:
    return {"components": {name.replace("_", "-"): value for name, value in values.items()}}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (components(kafka={"replicas": 3}), r"components\.kafka\.replicas: 3 replicas"),
        (components(postgresql={"replicas": 2}), r"components\.postgresql\.replicas: 2"),
        (components(valkey_cart={"replicas": 2}), r"components\.valkey-cart\.replicas: 2"),
        ({"prometheus": {"server": {"replicaCount": 2}}}, r"prometheus\.server\.replicaCount: 2"),
        ({"opensearch": {"singleNode": False}}, r"opensearch\.singleNode"),
        ({"opentelemetry-collector": {"mode": "daemonset"}}, r"mode: daemonset"),
        ({"opentelemetry-collector": {"mode": "statefulset"}}, r"mode: statefulset"),
        ({"opensearch": {"persistence": {"enabled": True, "enableInitChown": True}}}, "enableInitChown"),
        ({"opensearch": {"sysctlInit": {"enabled": True}}}, "sysctlInit"),
        ({"grafana": {"persistence": {"enabled": True}}}, r"grafana\.persistence"),
        (
            {"prometheus": {"server": {"persistentVolume": {"enabled": True}, "strategy": {"type": "RollingUpdate"}}}},
            r"prometheus\.server\.persistentVolume",
        ),
    ],
)
def test_what_would_never_start_or_hold_data_of_its_own_is_refused(shell: Wrapper, fault: dict[str, Any], said: str):
    with pytest.raises(HelmError, match=said):
        shell.objects("dev", {DEMO: fault})


WAYS_IN = [
    ("frontend-proxy", components(frontend_proxy={"ingress": {"enabled": True, "hosts": []}})),
    ("frontend-proxy", components(frontend_proxy={"service": {"type": "LoadBalancer"}})),
    ("frontend", components(frontend={"service": {"type": "NodePort"}})),
    ("grafana", {"grafana": {"ingress": {"enabled": True}}}),
    ("grafana", {"grafana": {"service": {"type": "LoadBalancer"}}}),
    ("grafana", {"grafana": {"route": {"main": {"enabled": True}}}}),
    ("jaeger", {"jaeger": {"allInOne": {"ingress": {"enabled": True}}}}),
    ("prometheus", {"prometheus": {"server": {"ingress": {"enabled": True}}}}),
    ("opensearch", {"opensearch": {"service": {"type": "LoadBalancer"}}}),
    ("otel-collector", {"opentelemetry-collector": {"ingress": {"enabled": True}}}),
]


@pytest.mark.parametrize(("name", "way"), WAYS_IN)
def test_a_way_in_that_the_network_policy_closes_is_refused(shell: Wrapper, name: str, way: dict[str, Any]):
    with pytest.raises(HelmError, match=rf"networkPolicy\.entry\.{name}"):
        shell.objects("dev", {DEMO: way})


def test_every_way_in_is_taken_with_an_entry_or_without_policies(shell: Wrapper):
    ways: dict[str, Any] = reduce(layered, (way for _, way in WAYS_IN), {})
    entry = {name: {"ports": [8080], "from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]} for name, _ in WAYS_IN}

    assert shell.objects("dev", {DEMO: ways, "networkPolicy": {"entry": entry}})
    assert shell.objects("dev", {DEMO: ways, "networkPolicy": {"enabled": False}})


def test_a_component_that_is_switched_off_opens_nothing(shell: Wrapper):
    off = components(frontend_proxy={"enabled": False, "service": {"type": "LoadBalancer"}})

    assert shell.objects("dev", {DEMO: off})


def test_with_volumes_turned_on_every_pod_may_start(real_demo: Wrapper):
    """Neither the namespace's level refuses it, nor the kubelet: root in a pod that is to be non-root."""
    specs = pod_specs(real_demo.objects("dev", {DEMO: PERSISTENT}))
    plain = pod_specs(real_demo.objects("dev"))
    as_root = [
        (name, container["name"])
        for name, spec in specs.items()
        for container in containers(spec)
        if (context := layered(spec.get("securityContext") or {}, container.get("securityContext") or {}))
        and context.get("runAsNonRoot")
        and context.get("runAsUser") == 0
    ]

    assert as_root == []
    allowed = {"grafana": ["init-chown-data adds CHOWN"]}
    found = {name: told for name, spec in specs.items() if (told := baseline_problems(spec))}
    assert {name: told for name, told in found.items() if told != allowed.get(name)} == {}
    assert {name for name in specs if specs[name] != plain[name]} >= {"grafana", "prometheus"}


def test_no_budget_holds_the_drain_of_a_node_for_a_pod_that_is_not_ready(real_demo: Wrapper, environment: str):
    budgets = by_name(real_demo.objects(environment), "PodDisruptionBudget")

    assert {
        name: one["spec"]
        for name, one in budgets.items()
        if one["spec"].get("unhealthyPodEvictionPolicy") != "AlwaysAllow"
    } == {}
