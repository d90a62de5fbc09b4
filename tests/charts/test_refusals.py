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
        ({"opensearch": {"sysctl": {"enabled": True}}}, r"opensearch\.sysctl:"),
        ({"prometheus": {"server": {"replicaCount": 0}}}, r"prometheus\.server\.replicaCount: 0"),
        ({"jaeger": {"allInOne": {"replicas": 2}}}, r"jaeger\.allInOne\.replicas: 2"),
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


def resources(requests: dict[str, Any], limits: dict[str, Any]) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": "1m", "memory": "1Mi"} | requests, "limits": limits}}


EXTRA = {"name": "extra", "image": "docker.io/library/busybox:1.37.0"}
SMALL = resources({}, {"memory": "1Mi"})


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        # A request above its limit, in each unit and wherever a container is described.
        (
            components(ad=resources({"memory": "1Gi"}, {"memory": "512Mi"})),
            r"components\.ad\.resources: .* memory, 1Gi",
        ),
        (components(ad=resources({"memory": "320Mi"}, {"memory": "320M"})), r"components\.ad\.resources"),
        (components(ad=resources({"cpu": "1"}, {"cpu": "500m"})), r"components\.ad\.resources: .* cpu, 1"),
        (components(accounting={"resources": {"limits": {"memory": "100Mi"}}}), r"components\.accounting\.resources"),
        (components(ad=resources({"memory": "300 MB"}, {})), "memory 300 MB is no quantity"),
        (
            components(quote={"initContainers": [EXTRA | resources({"memory": "2Mi"}, {"memory": "1Mi"})]}),
            r"initCont.*0\]",
        ),
        (
            components(quote={"sidecarContainers": [EXTRA | resources({"memory": "2Mi"}, {"memory": "1Mi"})]}),
            "sidecarC",
        ),
        ({"grafana": {"sidecar": {"resources": {"requests": {"cpu": "200m"}}}}}, r"grafana\.sidecar\.resources"),
        ({"opensearch": {"initResources": {"requests": {"memory": "1Gi"}}}}, r"opensearch\.initResources"),
        ({"opentelemetry-collector": {"resources": {"requests": {"memory": "1Gi"}}}}, r"collector\.resources"),
        # What the namespace's level refuses, wherever it stands.
        ({"opentelemetry-collector": {"hostNetwork": True}}, r"collector\.hostNetwork"),
        (
            components(ad={"additionalVolumes": [{"name": "x", "hostPath": {"path": "/"}}]}),
            r"additionalVolumes\[0\]\.hostP",
        ),
        ({"prometheus": {"server": {"extraHostPathMounts": [{"name": "x", "hostPath": "/x"}]}}}, "extraHostPathMounts"),
        (components(ad={"securityContext": {"privileged": True}}), r"components\.ad\.securityContext\.privileged"),
        ({"default": {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}}, "NET_ADMIN"),
        (
            components(quote={"initContainers": [EXTRA | SMALL | {"securityContext": {"privileged": True}}]}),
            "privileged",
        ),
        (components(ad={"podSecurityContext": {"sysctls": [{"name": "a", "value": "1"}]}}), "sysctls"),
        (components(ad={"securityContext": {"seccompProfile": {"type": "Unconfined"}}}), "seccompProfile"),
        (components(ad={"securityContext": {"procMount": "Unmasked"}}), "procMount"),
        (components(ad={"securityContext": {"seLinuxOptions": {"type": "spc_t"}}}), "seLinuxOptions"),
        (components(ad={"securityContext": {"windowsOptions": {"hostProcess": True}}}), "hostProcess"),
        # A pod that no node is sized for, and an image that moves.
        # Without the demo chart's own values the null stays, and the schema refuses it.
        (components(ad={"resources": None}), r"components[./]ad[./]resources"),
        (components(ad={"imageOverride": {"tag": "latest"}}), r"components\.ad\.imageOverride\.tag"),
        ({"default": {"image": {"tag": "latest"}}}, r"default\.image\.tag"),
        ({"prometheus": {"server": {"image": {"tag": "latest"}}}}, r"prometheus\.server\.image\.tag"),
        # Memory that its process fills.
        ({"prometheus": {"server": {"retentionSize": "800MB"}}}, r"800MB is not below resources\.limits\.memory"),
        ({"prometheus": {"server": {"retentionSize": ""}}}, "is no size"),
        ({"prometheus": {"server": {"emptyDir": {"sizeLimit": "256Mi"}}}}, r"512MB is not below emptyDir\.sizeLimit"),
        ({"opensearch": resources({}, {"memory": "1Gi"}) | {"opensearchJavaOpts": "-Xms2g -Xmx2g"}}, "heap of 2G"),
        (
            components(kafka={"envOverrides": [{"name": "KAFKA_HEAP_OPTS", "value": "-Xmx700M"}]}),
            r"components\.kafka: KAFKA_HEAP_OPTS: a heap of 700M",
        ),
        # Names, kinds and workloads that nothing here is made for.
        ({"grafana": {"fullnameOverride": "graf"}}, r"grafana\.fullnameOverride"),
        ({"prometheus": {"server": {"fullnameOverride": "prom"}}}, r"prometheus\.server\.fullnameOverride"),
        ({"jaeger": {"nameOverride": "j"}}, r"jaeger\.nameOverride"),
        ({"opentelemetry-collector": {"service": {"enabled": False}}}, r"collector\.service\.enabled"),
        ({"prometheus": {"server": {"statefulSet": {"enabled": True}}}}, r"prometheus\.server\.statefulSet"),
        ({"grafana": {"useStatefulSet": True}}, r"grafana\.useStatefulSet"),
        ({"grafana": {"imageRenderer": {"enabled": True}}}, r"grafana\.imageRenderer"),
        ({"prometheus": {"kube-state-metrics": {"enabled": True}}}, r"prometheus\.kube-state-metrics"),
        ({"jaeger": {"collector": {"enabled": True}}}, r"jaeger\.collector"),
        ({"jaeger": {"provisionDataStore": {"cassandra": True}}}, r"provisionDataStore\.cassandra"),
        ({"enabled": False}, r"gitops\.applications\.otel-demo\.enabled"),
    ],
)
def test_what_the_api_server_the_level_or_the_kernel_would_refuse_is_refused_at_render(
    shell: Wrapper, fault: dict[str, Any], said: str
):
    with pytest.raises(HelmError, match=said):
        shell.objects("dev", {DEMO: fault})


def on(key: str, *values: str) -> dict[str, Any]:
    terms = [{"matchExpressions": [{"key": key, "operator": "In", "values": list(values)}]}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


@pytest.mark.parametrize(
    ("fault", "at"),
    [
        (
            components(kafka={"schedulingRules": {"affinity": on("karpenter.sh/capacity-type", "spot")}}),
            "components.kafka",
        ),
        (components(ad={"schedulingRules": {"affinity": on("karpenter.sh/nodepool", "data")}}), "components.ad"),
        (
            {"default": {"schedulingRules": {"affinity": on("karpenter.sh/capacity-type", "spot")}}},
            "default.scheduling",
        ),
        ({"opensearch": on("karpenter.sh/capacity-type", "spot")}, "opensearch.nodeAffinity"),
        ({"prometheus": {"server": {"affinity": on("karpenter.sh/nodepool", "spot")}}}, "prometheus.server.affinity"),
    ],
)
def test_a_pool_or_a_capacity_type_is_not_required_by_an_affinity_either(
    shell: Wrapper, fault: dict[str, Any], at: str
):
    with pytest.raises(HelmError, match=at):
        shell.objects("dev", {DEMO: fault})


def entry(name: str, port: int, **peer: Any) -> dict[str, Any]:
    return {"networkPolicy": {"entry": {name: {"ports": [port], "from": [peer]}}}}


OFFICE = {"ipBlock": {"cidr": "10.0.0.0/8"}}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"networkPolicy": {"flows": {"frontent": {"ad": [8080]}}}}, "frontent is no workload"),
        ({"networkPolicy": {"flows": {"frontend": {"adservice": [8080]}}}}, "adservice is no workload"),
        ({"networkPolicy": {"internet": {"clients": {"loadgenerator": [443]}}}}, "loadgenerator is no workload"),
        ({"networkPolicy": {"apiServer": {"clients": ["collector"]}}}, "collector is no workload"),
        ({"networkPolicy": {"apiServer": {"cidrs": ["172.20.0.0/33"]}}}, "cidrs"),
        (entry("frontendproxy", 8080, **OFFICE), "frontendproxy is no workload"),
        (entry("grafana", 80, **OFFICE), r"grafana listens on \[3000\]"),
        (entry("frontend-proxy", 8080), "minProperties"),
        (entry("frontend-proxy", 8080, ipblock={"cidr": "10.0.0.0/8"}), "ipblock"),
        (entry("frontend-proxy", 8080, ipBlock={"cidr": "10.0.0.0"}), "cidr"),
        ({DEMO: components(ad={"service": {"port": 9090}})}, "port 8080 of ad, and it listens on .9090"),
        (
            {DEMO: components(kafka={"ports": [{"name": "plaintext", "value": 9999}]})},
            "of kafka, and it listens on .9999",
        ),
        (
            {"podLifecycle": {"workloads": {"ad": None}}, DEMO: components(ad={"enabled": True})},
            "ad runs and has no line",
        ),
        ({"stateful": [{"kind": "Deployment", "name": "opensearch"}]}, "opensearch is listed, but it is a StatefulSet"),
    ],
)
def test_a_policy_or_a_list_that_names_nobody_is_refused(shell: Wrapper, fault: dict[str, Any], said: str):
    with pytest.raises(HelmError, match=said):
        shell.objects("dev", fault)


def test_what_is_sound_of_the_same_kinds_is_taken(shell: Wrapper):
    """A policy's peer of each kind, a client without a flow, bytes and powers of ten, a capability of the baseline."""
    sound = {
        "networkPolicy": {
            "entry": {
                "grafana": {
                    "ports": [80, 3000],
                    "from": [{"ipBlock": {"cidr": "2001:db8::/32"}}, {"namespaceSelector": {}, "podSelector": {}}],
                }
            },
            "internet": {"clients": {"quote": [443], "load-generator": None}},
            "flows": {"quote": None},
        },
        DEMO: {
            "components": {
                "ad": resources({"memory": "1073741824"}, {"memory": "1Gi"}),
                "cart": resources({"memory": "1G", "cpu": "0.5"}, {"memory": "1Gi", "cpu": "1"})
                | {"securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"]}}},
                "quote": {"schedulingRules": {"affinity": on("kubernetes.io/arch", "amd64")}},
                "load-generator": {"enabled": False, "imageOverride": {"tag": "latest"}},
            },
            "prometheus": {
                "server": resources({"memory": "3Gi"}, {"memory": "3Gi"})
                | {"retentionSize": "2GB", "emptyDir": {"sizeLimit": "6Gi"}}
            },
        },
    }

    assert shell.objects("dev", sound)


WAYS_IN = [
    ("frontend-proxy", components(frontend_proxy={"ingress": {"enabled": True, "hosts": []}})),
    ("frontend-proxy", components(frontend_proxy={"service": {"type": "LoadBalancer"}})),
    ("frontend", components(frontend={"service": {"type": "NodePort"}})),
    ("grafana", {"grafana": {"ingress": {"enabled": True}}}),
    ("grafana", {"grafana": {"service": {"type": "LoadBalancer"}}}),
    ("grafana", {"grafana": {"route": {"main": {"enabled": True}}}}),
    ("grafana", {"grafana": {"route": {"other": {"enabled": True}}}}),
    ("grafana", {"grafana": {"service": {"externalIPs": ["10.0.0.1"]}}}),
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
    entries = {name: {"ports": [8080, 3000, 9090, 9200, 4317, 16686], "from": [OFFICE]} for name, _ in WAYS_IN}

    assert shell.objects("dev", {DEMO: ways, "networkPolicy": {"entry": entries}})
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
