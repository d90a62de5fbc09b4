"""What the demo asks of its nodes, by the wrapper chart's values: requests, placement, images, and how pods leave them.

No chart is rendered: the wrapper states every container's requests itself, so its values are enough.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import yaml

from infra import demo_chart, names
from infra.demo_chart import over
from infra.images import named
from infra.settings.instance_types import quantity
from otel_on_spot.errors import ToolError
from otel_on_spot.kubernetes.names import CAPACITY_TYPE
from otel_on_spot.program.recording import Recording
from otel_on_spot.spot_arithmetic import DEFAULT_GRACE_SECONDS, WARNING_SECONDS, Drain, evictable

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


HOSTNAME: Final = "kubernetes.io/hostname"


@dataclass(frozen=True, kw_only=True)
class Service:
    """A workload of the demo that may run on Spot.

    ``budget``: its budget's maxUnavailable, empty where it has none. ``grace_seconds`` holds ``pre_stop_seconds``.
    ``on_demand``: replicas beside them behind the same Service that no Spot warning takes.
    """

    workload: Workload
    budget: str = ""
    pre_stop_seconds: int = 0
    grace_seconds: int = DEFAULT_GRACE_SECONDS
    on_demand: int = 0

    @property
    def name(self) -> str:
        """Name of the workload, and of its Service."""
        return self.workload.name

    @property
    def most_on_a_node(self) -> int:
        """Replicas that one node may carry."""
        return 1 if self.workload.apart else self.workload.replicas

    @cached_property
    def drain(self) -> Drain:
        """The drain of a node that carries as many as it may."""
        return Drain(
            pods=self.most_on_a_node,
            at_once=min(
                self.most_on_a_node, evictable(self.workload.replicas + self.on_demand, max_unavailable=self.budget)
            ),
            pre_stop_seconds=self.pre_stop_seconds,
            grace_seconds=self.grace_seconds,
        )

    @cached_property
    def problem(self) -> tuple[str, str]:
        """What does not hold, and what to change; empty where all holds."""
        if not self.drain.fits:
            return f"{self.drain.arithmetic}, more than the {WARNING_SECONDS} s of a warning", self.drain.remedy
        if self.workload.replicas > 1 and not self.workload.apart and not self.on_demand:
            return (
                f"one node may carry all {self.workload.replicas} replicas: its interruption takes the Service",
                f"keep replicas apart: required anti-affinity by {HOSTNAME}, as in values-prod.yaml",
            )
        return "", ""


def on_spot(root: Path, environment: str, more: Mapping[str, Any] | None = None) -> tuple[Service, ...]:
    """Services that may run on Spot; none where the project has no wrapper chart. Databases are never counted on Spot.

    Args:
        root: the project.
        environment: whose values are laid over the wrapper chart's.
        more: values that the stack file gives the demo, laid over both.

    Raises:
        ToolError: the environment has no values.
    """
    if not (root / CHART).is_dir():
        return ()
    values = over(wrapper_values(root, environment), more or {})
    return tuple(_services(values, workloads(root, environment, more)))


def _services(values: Mapping[str, Any], demo: tuple[Workload, ...]) -> Iterator[Service]:
    stateful = {database["name"] for database in values.get("stateful") or ()}
    budgets = values.get("disruptionBudgets") or {}
    floor = on_demand_floor(values)
    budgeted = {*(budgets.get("workloads") or ()), *floor}
    for workload in demo:
        name = workload.name
        if name in stateful or workload.pool or workload.node_selector.get(CAPACITY_TYPE, "spot") != "spot":
            continue
        pre_stop, grace = _end(name, values)
        yield Service(
            workload=workload,
            budget=str(budgets.get("maxUnavailable", "")) if name in budgeted else "",
            pre_stop_seconds=pre_stop,
            grace_seconds=grace,
            on_demand=floor.get(name, 0),
        )


def _end(name: str, values: Mapping[str, Any]) -> tuple[int, int]:
    """(preStop, grace) in seconds: the wrapper's podLifecycle where it lists the workload, else its chart's."""
    lifecycle = values.get("podLifecycle") or {}
    if lifecycle.get("enabled") and name in (lifecycle.get("workloads") or {}):
        return lifecycle["preStopSleepSeconds"], lifecycle["terminationGracePeriodSeconds"]
    path = CONTAINERS_OF_SUBCHARTS.get(name, (f"components/{name}",))[0]
    own: Any = values["opentelemetry-demo"]
    for key in path.split("/"):
        own = own.get(key) or {}
    hook = ((own.get("lifecycleHooks") or {}).get("preStop") or {}).get("sleep") or {}
    return hook.get("seconds") or 0, own.get("terminationGracePeriodSeconds") or DEFAULT_GRACE_SECONDS


ROOT_APPLICATION, INGRESS_APPLICATION = "platform-root", "ingress-application"
CONTROLLER_IMAGE = "public.ecr.aws/eks/aws-load-balancer-controller"


def images(recording: Recording, root: Path) -> dict[str, list[str]]:
    """Image with its tag -> the workloads that run it, of the children in the recorded stack; both sorted.

    Raises:
        ToolError: the plan has no root Application, or the wrapper chart is not there.
    """
    found = next((r for r in recording if r.name == ROOT_APPLICATION), None)
    if found is None:
        raise ToolError(f"the plan has no {ROOT_APPLICATION}: nothing says which children there are")
    listed = of_values(yaml.load(found.inputs["spec"]["source"]["helm"]["values"], Loader=yaml.CSafeLoader), root)
    balancers = next((r for r in recording if r.name == INGRESS_APPLICATION), None)
    if balancers is not None:
        told = yaml.load(balancers.inputs["spec"]["source"]["helm"]["values"], Loader=yaml.CSafeLoader)
        listed[_of_load_balancers(told["controller"])] = [names.LOAD_BALANCER_CONTROLLER]
    return dict(sorted(listed.items()))


def _of_load_balancers(controller: Mapping[str, Any]) -> str:
    """The controller's image: its chart's, whose version is the image's with a v before it, or that of a mirror."""
    given = ((controller.get("values") or {}).get("image") or {}).get("repository") or CONTROLLER_IMAGE
    return f"{given}:v{controller['chartVersion']}"


def of_values(told: Mapping[str, Any], root: Path) -> dict[str, list[str]]:
    """The same, from the values that the root Application passes.

    Raises:
        ToolError: the wrapper chart is not there.
    """
    child = told["applications"].get("otel-demo", {})
    if not child.get("enabled", True):
        return {}
    values = over(wrapper_values(root, told["clusterMetadata"]["environment"]), child.get("values") or {})
    return named(demo_chart.without_nulls(values), demo_chart.app_version(root), demo_chart.variant(root))
