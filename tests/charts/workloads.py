"""The 25 workloads of the demo, from the rendered chart or, without it, from values and a recorded list."""

import json
from dataclasses import dataclass
from typing import Any

from tests.charts.demo_chart import Wrapper

# The one list that the tests hold against the chart's: what keeps data.
DATABASES = frozenset({"kafka", "opensearch", "postgresql", "prometheus", "valkey-cart"})
COUNT = 25

# Where a subchart's container takes its resources from. Source: the templates of the subcharts in opentelemetry-demo
# 0.38.6; test_demo_resources.py holds this table against the rendered chart when that is there.
SUBCHART_RESOURCES = {
    ("grafana", "grafana"): "grafana/resources",
    ("grafana", "grafana-sc-alerts"): "grafana/sidecar/resources",
    ("grafana", "grafana-sc-dashboard"): "grafana/sidecar/resources",
    ("grafana", "grafana-sc-datasources"): "grafana/sidecar/resources",
    ("jaeger", "jaeger"): "jaeger/allInOne/resources",  # jaeger/jaeger/resources from 0.40
    ("opensearch", "configfile"): "opensearch/initResources",
    ("opensearch", "opensearch"): "opensearch/resources",
    ("otel-collector", "opentelemetry-collector"): "opentelemetry-collector/resources",
    ("prometheus", "prometheus-server"): "prometheus/server/resources",
}
SUBCHART_ANNOTATIONS = {
    "opensearch": "opensearch/podAnnotations",
    "prometheus": "prometheus/server/podAnnotations",
}


@dataclass(frozen=True)
class Workload:
    """What the scheduler and Karpenter see of a Deployment or StatefulSet; `requests`, `limits`: by container."""

    kind: str
    name: str
    replicas: int
    labels: dict[str, str]
    annotations: dict[str, str]
    node_selector: dict[str, str]
    tolerations: list[dict[str, str]]
    affinity: dict[str, Any]
    requests: dict[str, dict[str, str]]
    limits: dict[str, dict[str, str]]
    images: dict[str, str]


def workloads(wrapper: Wrapper, environment: str) -> dict[str, Workload]:
    """Every workload of the demo in an environment, by name."""
    if wrapper.demo.source == "real":
        found = [
            from_object(manifest)
            for manifest in wrapper.objects(environment)
            if manifest["kind"] in ("Deployment", "StatefulSet")
        ]
    else:
        found = recorded(wrapper, environment)
    return {entry.name: entry for entry in found}


def from_object(rendered: dict[str, Any]) -> Workload:
    pod = rendered["spec"]["template"]
    spec = pod["spec"]
    containers = spec["containers"] + spec.get("initContainers", [])
    return Workload(
        kind=rendered["kind"],
        name=rendered["metadata"]["name"],
        replicas=rendered["spec"].get("replicas", 1),
        labels=pod["metadata"]["labels"],
        annotations=pod["metadata"].get("annotations") or {},
        node_selector=spec.get("nodeSelector") or {},
        tolerations=spec.get("tolerations") or [],
        affinity=spec.get("affinity") or {},
        requests=resources(containers, "requests"),
        limits=resources(containers, "limits"),
        images={container["name"]: container["image"] for container in containers},
    )


def resources(containers: list[dict[str, Any]], side: str) -> dict[str, dict[str, str]]:
    """The requests or the limits of containers, by name."""
    return {container["name"]: (container.get("resources") or {}).get(side) or {} for container in containers}


def quantity(text: str) -> float:
    """A Kubernetes quantity as a number.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    number, unit = text.rstrip("mkMGTi"), text.lstrip("0123456789.")
    return float(number) * {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}[unit]


def recorded(wrapper: Wrapper, environment: str) -> list[Workload]:
    """The recorded workloads under the values of an environment."""
    assert wrapper.demo.path is not None
    values = wrapper.demo_values(environment)
    return [
        computed(workload, values)
        for workload in json.loads((wrapper.demo.path / "workloads.json").read_text())["workloads"]
    ]


def computed(record: dict[str, Any], values: dict[str, Any]) -> Workload:
    name = record["name"]
    component = values["components"].get(name, {})
    rules = values["default"]["schedulingRules"] | {k: v for k, v in component.get("schedulingRules", {}).items() if v}
    extra = {
        entry["name"]: entry for key in ("initContainers", "sidecarContainers") for entry in component.get(key, [])
    }
    one_binary = "jaeger/jaeger" if "jaeger" in values["jaeger"] else "jaeger/allInOne"
    owned = {
        subchart_resource: at(values, path.replace("jaeger/allInOne", one_binary))
        for (owner, subchart_resource), path in SUBCHART_RESOURCES.items()
        if owner == name
    }
    images = {container["name"]: container["image"] for container in record["containers"]}
    if component:
        owned = {name: component["resources"]} | {key: entry.get("resources", {}) for key, entry in extra.items()}
        images |= {key: entry["image"] for key, entry in extra.items() if "image" in entry}
    return Workload(
        kind=record["kind"],
        name=name,
        replicas=component.get("replicas", values["default"].get("replicas", 1)) if component else record["replicas"],
        labels=record["labels"],
        annotations=component.get("podAnnotations", {}) or at(values, SUBCHART_ANNOTATIONS.get(name, "")),
        node_selector=rules.get("nodeSelector", {}) if component else at(values, record["nodeSelectorPath"]),
        tolerations=rules.get("tolerations", []) if component else at(values, record["tolerationsPath"]) or [],
        affinity=rules.get("affinity", {}) if component else {},
        requests={key: entry.get("requests", {}) for key, entry in owned.items()},
        limits={key: entry.get("limits", {}) for key, entry in owned.items()},
        images=images,
    )


def at(values: dict[str, Any], path: str) -> Any:
    """The value at a slash-separated path, or an empty map."""
    found: Any = values if path else {}
    for key in filter(None, path.split("/")):
        found = found.get(key) or {}
    return found


def by_name(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {manifest["metadata"]["name"]: manifest for manifest in objects if manifest["kind"] == kind}
