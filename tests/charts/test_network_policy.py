"""Default deny, and exactly the traffic that the workloads are told to make."""

from typing import Any

import pytest

from tests.charts.demo_chart import Wrapper
from tests.charts.flows import SERVICE_WORKLOADS, TARGET_PORTS, Flow, allowed, leaving, needed, reachable
from tests.charts.workloads import by_name, workloads

# Not found in values: the demo chart keeps Grafana's data sources in its templates.
DATASOURCES = {
    Flow("grafana", "jaeger", 16686),
    Flow("grafana", "opensearch", 9200),
    Flow("grafana", "prometheus", 9090),
}
HOOKS = {"pod-lifecycle", "stateful-placement"}
STRAY_PORTS = {22, 80, 443, 8888, 9093}


def policies(wrapper: Wrapper, environment: str, overrides: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return list(by_name(wrapper.objects(environment, overrides), "NetworkPolicy").values())


def permitted(wrapper: Wrapper, environment: str, rendered: list[dict[str, Any]] | None = None) -> set[Flow]:
    labels = {name: workload.labels for name, workload in workloads(wrapper, environment).items()}
    ports = {flow.port for flow in needed(wrapper, environment)} | STRAY_PORTS
    return allowed(rendered or policies(wrapper, environment), labels, ports)


def block_rules(policy: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for rule in policy["spec"].get("egress", []) if any("ipBlock" in entry for entry in rule["to"])]


def test_what_is_not_allowed_is_denied_in_both_directions(wrapper: Wrapper, environment: str):
    denied = by_name(wrapper.objects(environment), "NetworkPolicy")["default-deny"]["spec"]

    assert denied == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_every_pod_resolves_names_and_does_so_nowhere_else(wrapper: Wrapper, environment: str):
    dns = by_name(wrapper.objects(environment), "NetworkPolicy")["dns"]["spec"]
    (rule,) = dns["egress"]

    assert dns["podSelector"] == {}
    assert rule["ports"] == [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    assert rule["to"] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ]


def test_the_workloads_reach_what_they_are_told_to_and_nothing_more(known_demo: Wrapper, environment: str):
    wanted = needed(known_demo, environment)
    if known_demo.demo.source != "real":
        wanted |= DATASOURCES

    assert len(wanted) > 70
    assert permitted(known_demo, environment) == wanted


@pytest.mark.parametrize(
    "lost",
    [
        Flow("checkout", "kafka", 9092),
        Flow("otel-collector", "postgresql", 5432),
        Flow("kafka", "kafka", 9093),
        Flow("load-generator", "otel-collector", 4318),
    ],
)
def test_a_flow_that_is_left_out_is_noticed(known_demo: Wrapper, shell: Wrapper, lost: Flow):
    listed = known_demo.values("dev")["networkPolicy"]["flows"][lost.source][lost.target]
    kept = [port for port in listed if port != lost.port] or None
    left = policies(shell, "dev", {"networkPolicy": {"flows": {lost.source: {lost.target: kept}}}})

    assert needed(known_demo, "dev") - permitted(known_demo, "dev", left) == {lost}


def test_services_lead_where_the_flows_take_them_to_lead(real_demo: Wrapper):
    objects = real_demo.objects("prod")
    found = workloads(real_demo, "prod")
    names = {port["name"]: port["containerPort"] for spec in _specs(objects) for port in spec if "name" in port}
    for name, service in by_name(objects, "Service").items():
        selector = service["spec"]["selector"].items()
        behind = {entry.name for entry in found.values() if selector <= entry.labels.items()}
        if name not in {flow.target for flow in needed(real_demo, "prod")} | set(SERVICE_WORKLOADS):
            continue
        assert behind == {SERVICE_WORKLOADS.get(name, name)}
        for port in service["spec"]["ports"]:
            leads = port.get("targetPort") or port["port"]
            leads = names[leads] if isinstance(leads, str) and (name, port["port"]) in TARGET_PORTS else leads
            if isinstance(leads, int):
                assert leads == TARGET_PORTS.get((name, port["port"]), port["port"])


def _specs(objects: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    kinds = ("Deployment", "StatefulSet")
    pods = [manifest["spec"]["template"]["spec"] for manifest in objects if manifest["kind"] in kinds]
    return [container.get("ports") or [] for pod in pods for container in pod["containers"]]


def test_only_who_has_rights_in_the_cluster_reaches_the_api_server(real_demo: Wrapper, environment: str):
    objects = real_demo.objects(environment)
    roles = {
        (manifest["kind"], manifest["metadata"]["name"]): manifest.get("rules")
        for manifest in objects
        if manifest["kind"] in ("Role", "ClusterRole")
    }
    bound = {
        subject["name"]
        for manifest in objects
        if manifest["kind"] in ("RoleBinding", "ClusterRoleBinding")
        and roles[(manifest["roleRef"]["kind"], manifest["roleRef"]["name"])]
        for subject in manifest["subjects"]
    }
    holders = {
        manifest["metadata"]["name"]
        for manifest in objects
        if manifest["kind"] in ("Deployment", "StatefulSet")
        and manifest["spec"]["template"]["spec"].get("serviceAccountName") in bound
    }
    holders |= {
        name
        for name, cron in by_name(objects, "CronJob").items()
        if cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["serviceAccountName"] in bound
    }
    reach = {
        policy["metadata"]["name"]
        for policy in policies(real_demo, environment)
        if any(block["ipBlock"]["cidr"] == "10.0.0.0/8" for rule in block_rules(policy) for block in rule["to"])
    }

    assert reach == holders | HOOKS


def test_a_hook_reaches_the_api_server_and_nothing_else(wrapper: Wrapper, environment: str):
    objects = wrapper.objects(environment)
    pods = {name: job["spec"]["template"]["metadata"]["labels"] for name, job in by_name(objects, "Job").items()}

    assert set(pods) == {"pod-lifecycle", "stateful-placement-sync", "stateful-placement-postsync"}
    for labels in pods.values():
        policy = by_name(objects, "NetworkPolicy")[labels["app.kubernetes.io/name"]]
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
        (rule,) = policy["spec"]["egress"]
        assert rule["ports"] == [{"port": 443, "protocol": "TCP"}]
        assert all(set(entry) == {"ipBlock"} for entry in rule["to"])


PUBLIC_ADDRESS = "203.0.113.10"
PRIVATE_ADDRESSES = ("10.1.2.3", "172.16.9.9", "192.168.1.1", "100.64.1.1", "169.254.169.254")
OUTSIDE_PORTS = {22, 80, 443, 8443}


def labels_of(wrapper: Wrapper, environment: str) -> dict[str, dict[str, str]]:
    return {name: workload.labels for name, workload in workloads(wrapper, environment).items()}


def test_who_needs_the_internet_reaches_it_and_nobody_else_does(known_demo: Wrapper, environment: str):
    rendered = policies(known_demo, environment)

    found = reachable(rendered, labels_of(known_demo, environment), PUBLIC_ADDRESS, OUTSIDE_PORTS)

    assert found == leaving(known_demo, environment)
    assert found["load-generator"] == {443}, "a page of the shop waits for its stylesheet before it is ready"


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES)
def test_what_leaves_never_reaches_a_private_address_but_the_api_servers(known_demo: Wrapper, address: str):
    api_clients = set(known_demo.values("prod")["networkPolicy"]["apiServer"]["clients"])

    found = reachable(policies(known_demo, "prod"), labels_of(known_demo, "prod"), address, OUTSIDE_PORTS)

    assert set(found) == (set() if address.startswith("169.254.") else api_clients)


def test_a_client_of_the_internet_may_have_several_ports_or_be_taken_away(known_demo: Wrapper, shell: Wrapper):
    given = {"networkPolicy": {"internet": {"clients": {"grafana": [443, 8443], "load-generator": None}}}}

    found = reachable(policies(shell, "dev", given), labels_of(known_demo, "dev"), PUBLIC_ADDRESS, OUTSIDE_PORTS)

    assert found == {"grafana": {443, 8443}}


def test_nobody_enters_from_outside_unless_it_is_said_who(shell: Wrapper):
    ingress = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
    entry = {"networkPolicy": {"entry": {"frontend-proxy": {"ports": [8080], "from": [ingress]}}}}

    def outside(objects: list[dict[str, Any]]) -> list[str]:
        rules = [
            (manifest["metadata"]["name"], rule) for manifest in objects for rule in manifest["spec"].get("ingress", [])
        ]
        return [name for name, rule in rules if any("podSelector" not in peer for peer in rule["from"])]

    assert outside(policies(shell, "prod")) == []
    assert outside(policies(shell, "prod", entry)) == ["frontend-proxy"]
