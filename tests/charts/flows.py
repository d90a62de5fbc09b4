"""Who has to reach whom, read from what the workloads are told; and who may, read from the network policies."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from tests.charts.demo_chart import Wrapper
from tests.charts.workloads import by_name, workloads

# Services whose name or port is not their workload's. Source: the services of grafana 10.1.2 and jaeger 3.4.1;
# held against the rendered services when the demo chart is there.
SERVICE_WORKLOADS = {"jaeger-query": "jaeger", "jaeger-collector": "jaeger"}
TARGET_PORTS = {("grafana", 80): 3000}
POSTGRESQL_PORT = 5432

ADDRESS = re.compile(r"(?<![\w.-])([a-z][a-z-]*[a-z]):(\d{2,5})\b")
NETCAT = re.compile(r"\bnc\b[^;]*?\s([a-z][a-z-]*)\s(\d+)")
CONNECTION_STRING = re.compile(r"(?i:\bhost=|\bpostgres://[^@\s]+@)([a-z-]+)(?=[;\s/])")


class Flow(NamedTuple):
    """One direction of traffic: workload, workload, container port."""

    source: str
    target: str
    port: int


# What no value of the chart names, because the demo's own source does. Evidence: the files of opentelemetry-demo 2.1.3.
BROWSER_FLOWS = {
    # src/frontend/pages/_document.tsx, getInitialProps: a synthetic request's page exports its spans to
    # `http://${OTEL_COLLECTOR_HOST}:4318/v1/traces`, and the browser that runs it is the load generator's.
    Flow("load-generator", "otel-collector", 4318),
}
BROWSER_INTERNET_PORT = 443
"""src/frontend/pages/_document.tsx, render: a stylesheet of https://fonts.googleapis.com stands before its scripts,
so that nothing is ready while it is waited for."""
PLUGIN_PORT = 443
"""Grafana fetches what ``plugins`` lists from https://grafana.com when it starts (run.sh of the image)."""


def browses(wrapper: Wrapper, environment: str) -> bool:
    """Whether the load generator runs a browser (locustfile.py, from demo 3.0.0 script.js)."""
    generator = wrapper.demo_values(environment)["components"]["load-generator"]
    told = {e["name"]: str(e.get("value", "")) for e in [*generator["env"], *generator.get("envOverrides", [])]}
    asked = told.get("LOCUST_BROWSER_TRAFFIC_ENABLED") or told.get("K6_BROWSER_ENABLED", "")
    return asked.lower() in ("true", "yes", "on")


def leaving(wrapper: Wrapper, environment: str) -> dict[str, set[int]]:
    """Who needs the internet, and on which ports."""
    needs = {}
    if wrapper.demo_values(environment)["grafana"].get("plugins"):
        needs["grafana"] = {PLUGIN_PORT}
    if browses(wrapper, environment):
        needs["load-generator"] = {BROWSER_INTERNET_PORT}
    return needs


def needed(wrapper: Wrapper, environment: str) -> set[Flow]:
    """Every flow that a workload's environment, arguments or configuration asks for, or its source alone."""
    known = set(workloads(wrapper, environment)) | set(SERVICE_WORKLOADS)
    told = told_by_objects if wrapper.demo.source == "real" else told_by_values
    flows = set(BROWSER_FLOWS) if browses(wrapper, environment) else set()
    flows |= scraped(wrapper, environment)
    for source, env, texts in told(wrapper, environment):
        for service, port in addresses(env, texts):
            if service in known:
                target = SERVICE_WORKLOADS.get(service, service)
                flows.add(Flow(source, target, TARGET_PORTS.get((service, port), port)))
    return flows


def scraped(wrapper: Wrapper, environment: str) -> set[Flow]:
    """What the collector finds by the annotations of pods, since chart 0.40.

    Source: https://github.com/open-telemetry/opentelemetry-collector-contrib/blob/main/receiver/receivercreator/README.md
    """
    values = wrapper.demo_values(environment)
    presets = values["opentelemetry-collector"].get("presets") or {}
    if not presets.get("annotationDiscovery", {}).get("metrics", {}).get("enabled"):
        return set()
    found = {
        name: values["components"][name]
        for name, workload in workloads(wrapper, environment).items()
        if workload.annotations.get("io.opentelemetry.discovery.metrics/enabled") == "true"
    }
    return {
        Flow("otel-collector", name, port)
        for name, component in found.items()
        for port in [
            *filter(None, [component.get("service", {}).get("port")]),
            *(listed["value"] for listed in component.get("ports", ())),
        ]
    }


def addresses(env: dict[str, str], texts: list[str]) -> Iterator[tuple[str, int]]:
    """Service and port pairs in one container's environment and in the texts that it reads."""
    plain = {key: re.sub(r"\$\((\w+)\)", lambda found: env.get(found[1], ""), value) for key, value in env.items()}
    for key, value in plain.items():
        if prefix := key.removesuffix("_HOST") if key.endswith("_HOST") else "":
            ports = [port for name, port in plain.items() if name.startswith(f"{prefix}_") and "PORT" in name]
            yield from ((value, int(port)) for port in ports if port.isdigit())
    for text in [*plain.values(), *texts]:
        yield from ((host, int(port)) for host, port in ADDRESS.findall(text))
        yield from ((host, int(port)) for host, port in NETCAT.findall(text))
        yield from ((host, POSTGRESQL_PORT) for host in CONNECTION_STRING.findall(text))


Told = Iterator[tuple[str, dict[str, str], list[str]]]


def told_by_objects(wrapper: Wrapper, environment: str) -> Told:
    """(workload, environment variables, texts) of every rendered container; mounted configuration counts as text."""
    objects = wrapper.objects(environment)
    configs = by_name(objects, "ConfigMap")
    datasources = [entry for entry in configs.values() if "grafana_datasource" in entry["metadata"].get("labels", {})]
    for kind in ("Deployment", "StatefulSet"):
        for name, entry in by_name(objects, kind).items():
            spec = entry["spec"]["template"]["spec"]
            mounted = [configs[v["configMap"]["name"]] for v in spec.get("volumes") or [] if "configMap" in v]
            mounted += datasources if name == "grafana" else []
            texts = [text for config in mounted for key, text in config["data"].items() if not key.endswith(".json")]
            for container in spec["containers"] + spec.get("initContainers", []):
                env = {e["name"]: str(e.get("value", "")) for e in container.get("env") or []}
                arguments = [*container.get("command", []), *container.get("args", [])]
                yield name, env, [*arguments, *texts]


def told_by_values(wrapper: Wrapper, environment: str) -> Told:
    """The same from values: what the demo chart keeps in templates (Grafana's data sources) is not seen."""
    values = wrapper.demo_values(environment)
    shared = values["default"]["env"]
    for name, component in values["components"].items():
        for entry in [component, *component.get("sidecarContainers", [])]:
            listed = [*shared, *entry.get("env", []), *entry.get("envOverrides", [])]
            env = {e["name"]: str(e.get("value", "")) for e in listed}
            commands = [*entry.get("command", []), *(c for i in entry.get("initContainers", []) for c in i["command"])]
            yield name, env, [str(command) for command in commands]
    jaeger = values["jaeger"].get("jaeger") or values["jaeger"]["allInOne"]
    settings = yaml.safe_dump(values["jaeger"].get("userconfig") or {})
    yield "jaeger", {e["name"]: e["value"] for e in jaeger["extraEnv"]}, [*jaeger.get("args", ()), settings]
    yield "otel-collector", {}, [yaml.safe_dump(values["opentelemetry-collector"]["config"])]


def allowed(policies: list[dict[str, Any]], labels: dict[str, dict[str, str]], ports: set[int]) -> set[Flow]:
    """Every flow between the labelled workloads that the policies let through, on both sides."""
    everything = {Flow(a, b, port) for a in labels for b in labels for port in ports}
    sends = {(a, b, port) for a in labels for b, port in _peers(policies, labels, a, "Egress", "to", ports)}
    receives = {(a, b, port) for b in labels for a, port in _peers(policies, labels, b, "Ingress", "from", ports)}
    return {flow for flow in everything if flow in sends and flow in receives}


def reachable(
    policies: list[dict[str, Any]], labels: dict[str, dict[str, str]], address: str, ports: set[int]
) -> dict[str, set[int]]:
    """The labelled workloads whose packets to an address outside the cluster are not dropped, and on which ports."""
    found: dict[str, set[int]] = {}
    for name, own in labels.items():
        rules = [
            rule
            for policy in policies
            if "Egress" in policy["spec"]["policyTypes"] and _selects(policy["spec"]["podSelector"], own)
            for rule in policy["spec"].get("egress", [])
        ]
        for rule in rules:
            if any("ipBlock" in peer and _holds(peer["ipBlock"], address) for peer in rule["to"]):
                found.setdefault(name, set()).update({port["port"] for port in rule["ports"]} & ports)
    return {name: open_ports for name, open_ports in found.items() if open_ports}


def _holds(block: dict[str, Any], address: str) -> bool:
    one = ipaddress.ip_address(address)
    return one in ipaddress.ip_network(block["cidr"]) and not any(
        one in ipaddress.ip_network(excepted) for excepted in block.get("except", [])
    )


def _peers(
    policies: list[dict[str, Any]],
    labels: dict[str, dict[str, str]],
    name: str,
    direction: str,
    side: str,
    ports: set[int],
) -> set[tuple[str, int]]:
    applied = [
        p["spec"]
        for p in policies
        if direction in p["spec"]["policyTypes"] and _selects(p["spec"]["podSelector"], labels[name])
    ]
    if not applied:
        return {(peer, port) for peer in labels for port in ports}
    return {
        (peer, port["port"])
        for spec in applied
        for rule in spec.get(direction.lower(), [])
        for entry in rule[side]
        if "podSelector" in entry and "namespaceSelector" not in entry
        for peer in labels
        if _selects(entry["podSelector"], labels[peer])
        for port in rule["ports"]
    }


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
