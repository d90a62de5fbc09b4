"""The demo's Services on Spot, as the wrapper chart's values declare them: how they leave a node that was warned."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from infra.demo_chart import over
from otel_on_spot.kubernetes.names import CAPACITY_TYPE
from otel_on_spot.plan.workloads import (
    CHART,
    CONTAINERS_OF_SUBCHARTS,
    Workload,
    on_demand_floor,
    workloads,
    wrapper_values,
)
from otel_on_spot.spot_arithmetic import DEFAULT_GRACE_SECONDS, WARNING_SECONDS, Drain, evictable

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
