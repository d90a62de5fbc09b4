"""What the demo asks of its nodes: requests, replicas and placement, as the wrapper chart's values declare them.

No chart is rendered: the wrapper states every container's requests itself, so its values are enough.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from infra import demo_chart
from infra.demo_chart import over
from infra.settings.instance_types import quantity
from otel_on_spot.errors import ToolError
from otel_on_spot.kubernetes.names import CAPACITY_TYPE

CHART: Final = "gitops/charts/otel-demo"
CONTAINERS_OF_SUBCHARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "grafana": ("grafana", *3 * ("grafana/sidecar",)),
    "jaeger": ("jaeger/allInOne",),
    "opensearch": ("opensearch",),
    "otel-collector": ("opentelemetry-collector",),
    "prometheus": ("prometheus/server",),
}
"""Workload -> where each of its containers takes ``resources`` from; three of Grafana's are sidecars.

Source: templates of the subcharts of opentelemetry-demo 0.38.6. Since 0.40 Jaeger's are under ``jaeger/jaeger``, with
the same figures here.
"""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A Deployment or StatefulSet of the demo.

    ``cpu_millis`` and ``memory_mib`` are a pod's requests: the sum of its containers, or an init container's where that
    is more. ``node_selector`` is what it is declared with. ``apart``: two of its pods never share a node. ``behind``:
    the workload whose Service its pods answer too, for the On-Demand replicas of the front path.
    """

    name: str
    replicas: int
    cpu_millis: int
    memory_mib: int
    node_selector: Mapping[str, str]
    apart: bool
    behind: str = ""

    @property
    def pool(self) -> str:
        """The pool that it is held to; empty where any untainted pool will do."""
        return self.node_selector.get("karpenter.sh/nodepool", "")


def workloads(root: Path, environment: str, more: Mapping[str, Any] | None = None) -> tuple[Workload, ...]:
    """The demo's workloads in an environment.

    Args:
        root: the project.
        environment: which ``values-<environment>.yaml`` is laid over ``values.yaml``.
        more: values that the stack file gives the child, laid over both.

    Raises:
        ToolError: the wrapper chart or the environment's values are not there.
    """
    values = demo_chart.without_nulls(over(wrapper_values(root, environment), more or {}))
    demo = values["opentelemetry-demo"]
    found = (*_components(demo), *_of_subcharts(demo))
    floor = on_demand_floor(values)
    on_demand = (
        replace(
            workload,
            name=f"{workload.name}-on-demand",
            replicas=floor[workload.name],
            node_selector={CAPACITY_TYPE: "on-demand"},
            behind=workload.name,
        )
        for workload in found
        if workload.name in floor
    )
    return tuple(sorted((*found, *on_demand), key=lambda workload: workload.name))


def on_demand_floor(values: Mapping[str, Any]) -> dict[str, int]:
    """Workload of the front path -> its replicas that run On-Demand beside the others; empty where none do."""
    front_path = values.get("frontPath") or {}
    replicas = front_path.get("onDemandFloor") or 0
    return dict.fromkeys(front_path.get("workloads") or (), replicas) if replicas else {}


@cache
def wrapper_values(root: Path, environment: str) -> dict[str, Any]:
    """The wrapper chart's values in an environment, layered as Helm does.

    Raises:
        ToolError: a file of them is not there.
    """
    for name in demo_chart.value_files(environment, ""):
        if not (root / CHART / name).is_file():
            raise ToolError(f"there is no {CHART}/{name}: the wrapper chart's values say what the demo asks for")
    return demo_chart.without_nulls(demo_chart.values(root, environment))


def _components(values: Mapping[str, Any]) -> Iterator[Workload]:
    defaults = values.get("default", {})
    for name, component in values["components"].items():
        if not component.get("enabled", True):
            continue
        own_rules = {key: rule for key, rule in component.get("schedulingRules", {}).items() if rule}
        rules = defaults.get("schedulingRules", {}) | own_rules
        yield _workload(
            name,
            component.get("replicas", defaults.get("replicas", 1)),
            (component, *component.get("sidecarContainers", ())),
            component.get("initContainers", ()),
            rules,
        )


def _of_subcharts(values: Mapping[str, Any]) -> Iterator[Workload]:
    for name, paths in CONTAINERS_OF_SUBCHARTS.items():
        first = _at(values, paths[0])
        if _at(values, paths[0].partition("/")[0]).get("enabled", True):
            containers = tuple(_at(values, path) for path in paths)
            init = ({"resources": first["initResources"]},) if "initResources" in first else ()
            yield _workload(name, first.get("replicas", 1), containers, init, first)


def _workload(name: str, replicas: int, containers: Any, init: Any, rules: Mapping[str, Any]) -> Workload:
    asked = [_requests(container) for container in containers]
    first = [_requests(container) for container in init]
    required = (
        rules.get("affinity", {}).get("podAntiAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", ())
    )
    return Workload(
        name=name,
        replicas=replicas,
        cpu_millis=max([sum(cpu for cpu, _ in asked), *(cpu for cpu, _ in first)]),
        memory_mib=max([sum(memory for _, memory in asked), *(memory for _, memory in first)]),
        node_selector=rules.get("nodeSelector") or {},
        apart=any(term.get("topologyKey") == "kubernetes.io/hostname" for term in required),
    )


def _requests(container: Mapping[str, Any]) -> tuple[int, int]:
    requests = container.get("resources", {}).get("requests", {})
    cpu, memory = (quantity(str(requests.get(resource, 0))) for resource in ("cpu", "memory"))
    return int(cpu * 1000), int(memory / 2**20)


def _at(values: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    for key in path.split("/"):
        values = values.get(key) or {}
    return values
