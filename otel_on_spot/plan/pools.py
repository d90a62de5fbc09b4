"""What each NodePool of a plan can do: its choice, how it falls back, what one node takes along, what it costs.

Counted over the catalogue and the prices of the Karpenter that the tools are pinned to; a region has fewer types.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.settings.instance_types import SPOT_TO_SPOT_TYPES, InstanceType, meeting, prices_of, quantity
from otel_on_spot.kubernetes.names import APPLICATION, CAPACITY_TYPE, NODE_POOL
from otel_on_spot.plan.cost import AWS_PROVIDER, demo_values, environment_tag
from otel_on_spot.plan.workloads import Service, on_spot
from otel_on_spot.program.recording import Recording
from otel_on_spot.program.resource_types import RELEASE, SUBNET, subnet_zones
from otel_on_spot.program.values import revealed
from otel_on_spot.spot_arithmetic import BOOT_SECONDS, WARNING_SECONDS, fallback_seconds, most_rounds, rounds

DISCOVERY: Final = "karpenter.sh/discovery"
ZONE: Final = "topology.kubernetes.io/zone"
SPOT: Final = "spot"
ON_DEMAND: Final = "on-demand"


@dataclass(frozen=True, kw_only=True)
class PoolReport:
    """A NodePool. ``fallback``: the pools that are tried after its Spot, itself among them where it has On-Demand too.

    ``rounds``: of refusals until a drought is over, where the pods that wait fit any of its types; ``most_rounds``:
    where they fill nodes of each size.

    ``demo_percent``: the most of the demo's requests on Spot that one node may carry; None where a taint keeps the demo
    out. ``price_range``: USD an hour, On-Demand in us-east-1; None where no type has a price.
    """

    name: str
    capacity_types: tuple[str, ...]
    types: int
    families: int
    zones: tuple[str, ...]
    rounds: int
    most_rounds: int
    fallback: tuple[str, ...]
    spot_to_spot: str
    largest_vcpus: int
    largest_gib: int
    demo_percent: int | None
    price_range: tuple[float, float] | None

    @property
    def drought(self) -> str:
        """``1 to 6 rounds, 11 to 61 s``: until a drought is over, the node's boot left out."""
        least, most = self.rounds, self.most_rounds
        seconds = fallback_seconds(least)
        if most == least:
            return f"{least} round{'s' if least != 1 else ''}, {seconds} s"
        return f"{least} to {most} rounds, {seconds} to {fallback_seconds(most)} s"


@dataclass(frozen=True, kw_only=True)
class CapacityReport:
    """The pools of a plan, and the Services that Spot may take away with two minutes' notice."""

    pools: tuple[PoolReport, ...]
    services: tuple[Service, ...]
    prices_date: str
    findings: tuple[tuple[str, str, str], ...] = field(default=())


def report(recording: Recording, root: Path) -> CapacityReport:
    """The report of a plan; without pools where it declares none."""
    pools = [revealed(dict(resource.inputs)) for resource in recording.of_type(NODE_POOL.token)]
    spot = any(SPOT in _capacity(pool) for pool in pools)
    environment = environment_tag(provider.inputs for provider in recording.of_type(AWS_PROVIDER)) or recording.stack
    told = demo_values(revealed(dict(child.inputs)) for child in recording.of_type(APPLICATION.token))
    services = on_spot(root, environment, told) if spot else ()
    gate = any(
        (((revealed(dict(release.inputs)).get("values") or {}).get("settings") or {}).get("featureGates") or {}).get(
            "spotToSpotConsolidation"
        )
        for release in recording.of_type(RELEASE)
    )
    zones = tuple(
        subnet_zones(
            (registration.type, registration.inputs)
            for registration in recording
            if registration.type != SUBNET or DISCOVERY in (registration.inputs.get("tags") or {})
        )
    )
    found = tuple((service.name, *service.problem) for service in services if service.problem[0])
    return CapacityReport(
        pools=tuple(_pool(pool, pools, zones, services, gate=gate) for pool in pools),
        services=services,
        prices_date=prices_of(),
        findings=found,
    )


def _requirements(pool: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Requirements of a NodePool; a well-known label of its nodes is one too."""
    template = pool["spec"]["template"]
    labels = (template.get("metadata") or {}).get("labels") or {}
    return [
        *template["spec"]["requirements"],
        *({"key": key, "operator": "In", "values": [value]} for key, value in labels.items()),
    ]


def _capacity(pool: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        value for term in _requirements(pool) if term["key"] == CAPACITY_TYPE for value in term.get("values") or ()
    )


def _tainted(pool: Mapping[str, Any]) -> bool:
    return any(taint["effect"] != "PreferNoSchedule" for taint in pool["spec"]["template"]["spec"].get("taints") or ())


def _pool(
    pool: Mapping[str, Any],
    pools: Sequence[Mapping[str, Any]],
    zones: Sequence[str],
    services: Sequence[Service],
    *,
    gate: bool,
) -> PoolReport:
    """One pool's report.

    Args:
        pool: the NodePool.
        pools: all of them, among which its fallback is.
        zones: of the subnets that Karpenter discovers.
        services: what the demo asks for on Spot.
        gate: Spot-to-spot consolidation is turned on.
    """
    terms = _requirements(pool)
    types = _within_limits(meeting(terms), pool["spec"].get("limits") or {})
    allowed = [set(term["values"]) for term in terms if term["key"] == ZONE and term["operator"] == "In"]
    priced = [kind.usd_per_hour for kind in types if kind.usd_per_hour]
    capacity = _capacity(pool)
    return PoolReport(
        name=pool["metadata"]["name"],
        capacity_types=capacity,
        types=len(types),
        families=len({kind.family for kind in types}),
        zones=tuple(zone for zone in zones if all(zone in some for some in allowed)),
        rounds=rounds(len(types)),
        most_rounds=most_rounds((kind.vcpus, kind.mib) for kind in types),
        fallback=_fallback(pool, pools),
        spot_to_spot=_spot_to_spot(capacity, len(types), gate=gate),
        largest_vcpus=max((kind.vcpus for kind in types), default=0),
        largest_gib=max((kind.mib for kind in types), default=0) // 1024,
        demo_percent=None if _tainted(pool) or not services else demo_percent(types, services),
        price_range=(min(priced), max(priced)) if priced else None,
    )


def _within_limits(types: Iterable[InstanceType], limits: Mapping[str, str]) -> list[InstanceType]:
    """Types of which the pool may have one. A limit of nothing is how a pool is stopped, and counts as none."""
    cpu, memory = (quantity(limits.get(what, "")) for what in ("cpu", "memory"))
    return [kind for kind in types if (not cpu or kind.vcpus <= cpu) and (not memory or kind.mib * 2**20 <= memory)]


def _fallback(pool: Mapping[str, Any], pools: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Names of the untainted pools that Karpenter tries after this one's Spot: its own On-Demand, then the heaviest."""

    def weight(one: Mapping[str, Any]) -> int:
        return one["spec"].get("weight") or 0

    later = [
        other
        for other in pools
        if other is not pool and not _tainted(other) and weight(other) <= weight(pool) and not _tainted(pool)
    ]
    own = [pool] if {SPOT, ON_DEMAND} <= set(_capacity(pool)) else []
    return tuple(other["metadata"]["name"] for other in (*own, *sorted(later, key=weight, reverse=True)))


def _spot_to_spot(capacity: tuple[str, ...], types: int, *, gate: bool) -> str:
    if SPOT not in capacity:
        return "-"
    if types < SPOT_TO_SPOT_TYPES:
        return f"no: {types} types, {SPOT_TO_SPOT_TYPES} are needed"
    return "yes" if gate else "possible, and off"


def demo_percent(types: Iterable[InstanceType], services: Sequence[Service]) -> int:
    """Percent of what the demo asks for on Spot that one node may carry: by vCPUs or memory, whichever is less.

    A node's own daemons are not counted, so it is the most. Rounded up.
    """
    cpu, memory = (
        sum(getattr(service.workload, what) * service.workload.replicas for service in services)
        for what in ("cpu_millis", "memory_mib")
    )
    fits_cpu, fits_memory = (
        sum(getattr(service.workload, what) * service.most_on_a_node for service in services)
        for what in ("cpu_millis", "memory_mib")
    )
    if not cpu or not memory:
        return 0
    most = max(
        (min(min(1000 * kind.vcpus, fits_cpu) / cpu, min(kind.mib, fits_memory) / memory) for kind in types),
        default=0.0,
    )
    return math.ceil(100 * most)


PoolRow = tuple[str, str, str, str, str, str, str]
POOL_HEAD: Final[PoolRow] = (
    "pool",
    "capacity",
    "types x families x zones",
    "until a drought is over",
    "Spot-to-spot",
    "one node, at most",
    "USD an hour",
)


def rows(found: CapacityReport) -> Iterator[PoolRow]:
    """A line for each pool, in words."""
    for pool in found.pools:
        places = ["its own On-Demand" if name == pool.name else name for name in pool.fallback]
        after = f"then {' or '.join(places)}" if places else "then nothing: pods wait"
        drought = f"{pool.drought} and a boot, {after}" if SPOT in pool.capacity_types else "-"
        share = "" if pool.demo_percent is None else f", {pool.demo_percent} % of the demo"
        price = "-" if pool.price_range is None else f"{pool.price_range[0]:.3f} to {pool.price_range[1]:.2f}"
        yield (
            pool.name,
            ", ".join(pool.capacity_types),
            f"{pool.types} x {pool.families} x {len(pool.zones)}",
            drought,
            pool.spot_to_spot,
            f"{pool.largest_vcpus} vCPU, {pool.largest_gib} GiB{share}",
            price,
        )


ServiceRow = tuple[str, str, str, str, str]
SERVICE_HEAD: Final[ServiceRow] = ("Services on Spot", "replicas", "one node, at most", "when its node is warned", "")


def service_rows(found: CapacityReport) -> Iterator[ServiceRow]:
    """A line for the Services that have the same figures; those that cannot hold come first."""
    groups: dict[tuple[bool, str, str, str], list[str]] = {}
    for service in found.services:
        key = (
            not service.problem[0],
            f"{service.workload.replicas}{f' and {service.on_demand} On-Demand' if service.on_demand else ''}, "
            + (f"{service.drain.at_once} at a time" if service.budget else "no budget"),
            f"{service.most_on_a_node} ({100 * service.most_on_a_node // service.workload.replicas} %)",
            service.drain.arithmetic,
        )
        groups.setdefault(key, []).append(service.name)
    for (holds, replicas, share, arithmetic), names in sorted(groups.items(), key=lambda item: item[0][0]):
        yield ", ".join(names), replicas, share, arithmetic, "fits" if holds else "does not hold"


def _notes(found: CapacityReport) -> tuple[str, str]:
    return (
        f"types: those that the pinned Karpenter knows, of which a region has fewer; prices: On-Demand in us-east-1, "
        f"{found.prices_date}; Spot has cost about half",
        f"two minutes: steps of the budget x {BOOT_SECONDS} s boot + preStop + grace <= {WARNING_SECONDS} s; databases "
        "are never counted on Spot",
    )


def show(found: CapacityReport, console: Console) -> None:
    """Print the pools, the Services, and what does not hold."""
    pools, services = _notes(found)
    table = Table(*POOL_HEAD, title="pools", title_justify="left", caption=pools, caption_justify="left")
    for row in rows(found):
        table.add_row(*map(escape, row))
    console.print(table)
    if not found.services:
        return
    table = Table(*SERVICE_HEAD, title="two minutes", title_justify="left", caption=services, caption_justify="left")
    for row_of_services in service_rows(found):
        table.add_row(*map(escape, row_of_services))
    console.print(table)
    for name, problem, remedy in found.findings:
        console.print(f"[red]{escape(name)}: {escape(problem)}[/red]\n  do  {escape(remedy)}", soft_wrap=True)


def as_document(found: CapacityReport) -> dict[str, Any]:
    """The report as plain JSON values."""
    return {
        "pools": [
            {
                "name": pool.name,
                "capacityTypes": list(pool.capacity_types),
                "types": pool.types,
                "families": pool.families,
                "zones": list(pool.zones),
                "rounds": pool.rounds,
                "mostRounds": pool.most_rounds,
                "fallbackSecondsWithoutBoot": fallback_seconds(pool.rounds),
                "mostFallbackSecondsWithoutBoot": fallback_seconds(pool.most_rounds),
                "fallback": list(pool.fallback),
                "spotToSpot": pool.spot_to_spot,
                "largestNode": {"vcpus": pool.largest_vcpus, "gib": pool.largest_gib},
                "demoPercentOnOneNode": pool.demo_percent,
                "onDemandUsdAnHour": list(pool.price_range) if pool.price_range else None,
            }
            for pool in found.pools
        ],
        "services": [
            {
                "name": service.name,
                "replicas": service.workload.replicas,
                "onDemandReplicas": service.on_demand,
                "evictableAtOnce": service.drain.at_once,
                "mostOnOneNode": service.most_on_a_node,
                "steps": service.drain.steps,
                "seconds": service.drain.seconds if service.drain.steps is not None else None,
                "arithmetic": service.drain.arithmetic,
                "holds": not service.problem[0],
            }
            for service in found.services
        ],
        "findings": [{"service": name, "problem": problem, "do": remedy} for name, problem, remedy in found.findings],
        "bootSeconds": BOOT_SECONDS,
        "prices": {"region": "us-east-1", "date": found.prices_date},
    }


def markdown(found: CapacityReport) -> str:
    """The report as Markdown, for a summary or a pull request."""

    def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
        return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *lines)]

    pools, services = _notes(found)
    parts = ["### Pools", "", *table(POOL_HEAD, rows(found)), "", f"{pools}."]
    if found.services:
        parts += ["", "### Two minutes", "", *table(SERVICE_HEAD, service_rows(found)), "", f"{services}."]
    if found.findings:
        parts += ["", *(f"- **{name}**: {problem}. Do: {remedy}." for name, problem, remedy in found.findings)]
    return "\n".join(parts)
