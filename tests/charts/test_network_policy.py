"""Default deny, and exactly the traffic that the workloads are told to make."""

from typing import Any

import pytest

from tests.charts.demo_chart import Wrapper
from tests.charts.flows import SERVICE_WORKLOADS, TARGET_PORTS, Flow, allowed, needed
from tests.charts.workloads import by_name, workloads

# Not found in values: the demo chart keeps Grafana's data sources in its templates.
DATASOURCES = {
    Flow("grafana", "jaeger", 16686),
    Flow("grafana", "opensearch", 9200),
    Flow("grafana", "prometheus", 9090),
}
STRAY_PORTS = {22, 80, 443, 8888, 9093}


def policies(wrapper: Wrapper, environment: str, overrides: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return list(by_name(wrapper.objects(environment, overrides), "NetworkPolicy").values())


def permitted(wrapper: Wrapper, environment: str, rendered: list[dict[str, Any]] | None = None) -> set[Flow]:
    labels = {name: one.labels for name, one in workloads(wrapper, environment).items()}
    ports = {flow.port for flow in needed(wrapper, environment)} | STRAY_PORTS
    return allowed(rendered or policies(wrapper, environment), labels, ports)


def block_rules(policy: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for rule in policy["spec"].get("egress", []) if any("ipBlock" in one for one in rule["to"])]


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


@pytest.mark.parametrize("lost", [("checkout", "kafka"), ("otel-collector", "postgresql"), ("kafka", "kafka")])
def test_a_flow_that_is_left_out_is_noticed(known_demo: Wrapper, shell: Wrapper, lost: tuple[str, str]):
    source, target = lost
    wanted = needed(known_demo, "dev")
    left = policies(shell, "dev", {"networkPolicy": {"flows": {source: {target: None}}}})

    missing = wanted - permitted(known_demo, "dev", left)

    assert missing == {flow for flow in wanted if (flow.source, flow.target) == lost} != set()


def test_services_lead_where_the_flows_take_them_to_lead(real_demo: Wrapper):
    objects = real_demo.objects("prod")
    found = workloads(real_demo, "prod")
    names = {port["name"]: port["containerPort"] for spec in _specs(objects) for port in spec if "name" in port}
    for name, service in by_name(objects, "Service").items():
        selector = service["spec"]["selector"].items()
        behind = {one.name for one in found.values() if selector <= one.labels.items()}
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
    pods = [one["spec"]["template"]["spec"] for one in objects if one["kind"] in kinds]
    return [container.get("ports") or [] for pod in pods for container in pod["containers"]]


def test_only_who_has_rights_in_the_cluster_reaches_the_api_server(real_demo: Wrapper, environment: str):
    objects = real_demo.objects(environment)
    roles = {
        (one["kind"], one["metadata"]["name"]): one.get("rules")
        for one in objects
        if one["kind"] in ("Role", "ClusterRole")
    }
    bound = {
        subject["name"]
        for one in objects
        if one["kind"] in ("RoleBinding", "ClusterRoleBinding")
        and roles[(one["roleRef"]["kind"], one["roleRef"]["name"])]
        for subject in one["subjects"]
    }
    holders = {
        one["metadata"]["name"]
        for one in objects
        if one["kind"] in ("Deployment", "StatefulSet")
        and one["spec"]["template"]["spec"].get("serviceAccountName") in bound
    }
    reach = {
        policy["metadata"]["name"]
        for policy in policies(real_demo, environment)
        if any(block["ipBlock"]["cidr"] == "10.0.0.0/8" for rule in block_rules(policy) for block in rule["to"])
    }

    assert reach == holders | {"stateful-placement"}


def test_the_hook_reaches_the_api_server_and_nothing_else(wrapper: Wrapper, environment: str):
    objects = wrapper.objects(environment)
    policy = by_name(objects, "NetworkPolicy")["stateful-placement"]
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in objects if one["kind"] == "Job"]

    assert all(policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items() for labels in pods)
    assert len(pods) == 2
    (rule,) = policy["spec"]["egress"]
    assert rule["ports"] == [{"port": 443, "protocol": "TCP"}]
    assert all(set(one) == {"ipBlock"} for one in rule["to"])


def test_only_grafana_leaves_the_cluster_and_never_for_a_private_address(known_demo: Wrapper, environment: str):
    leaves = {
        policy["metadata"]["name"]: rule
        for policy in policies(known_demo, environment)
        for rule in block_rules(policy)
        if any(block["ipBlock"]["cidr"] == "0.0.0.0/0" for block in rule["to"])
    }

    assert set(leaves) == {"grafana"}
    assert known_demo.demo_values(environment)["grafana"]["plugins"], "without a plugin to fetch it need not leave"
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(leaves["grafana"]["to"][0]["ipBlock"]["except"])


def test_nobody_enters_from_outside_unless_it_is_said_who(shell: Wrapper):
    ingress = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
    entry = {"networkPolicy": {"entry": {"frontend-proxy": {"ports": [8080], "from": [ingress]}}}}

    def outside(objects: list[dict[str, Any]]) -> list[str]:
        rules = [(one["metadata"]["name"], rule) for one in objects for rule in one["spec"].get("ingress", [])]
        return [name for name, rule in rules if any("podSelector" not in peer for peer in rule["from"])]

    assert outside(policies(shell, "prod")) == []
    assert outside(policies(shell, "prod", entry)) == ["frontend-proxy"]
