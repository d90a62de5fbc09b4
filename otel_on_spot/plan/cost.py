"""What a stack costs by list prices: at rest, with the demo on it, and at the limits of its pools. No credentials.

Quantities come from the recorded plan and from the demo's requests, prices from ``prices.toml`` and the pinned
Karpenter's price list; each line says which. Karpenter decides on live prices and packs better or worse than this
module does: an estimate, to compare with another, not a bill.
"""

import datetime
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import yaml
from rich.console import Console
from rich.table import Table

from infra.settings import instance_types
from infra.settings.instance_types import InstanceType, quantity
from otel_on_spot.errors import ToolError
from otel_on_spot.kubernetes.names import APPLICATION, CAPACITY_TYPE, NODE_POOL, PUBLIC_BALANCER_ROLE
from otel_on_spot.plan.workloads import Workload, workloads
from otel_on_spot.program import stack_file
from otel_on_spot.program.resource_types import subnet_zones

if TYPE_CHECKING:
    from otel_on_spot.plan.live_prices import LivePrices

HOME: Final = "us-east-1"
"""The region whose instance prices the pinned Karpenter carries."""
ALARM: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"
AWS_PROVIDER: Final = "pulumi:providers:aws"
INGRESS: Final = "ingress"
"""Name of the Application that brings the load balancers."""
PRICE_LIST: Final = "https://github.com/aws/karpenter-provider-aws (pkg/providers/pricing)"
PRICE_LIST_API: Final = "AWS Price List API (pricing:GetProducts)"
SPOT_HISTORY: Final = "Spot price history (ec2:DescribeSpotPriceHistory)"
DAEMONSETS: Final = (190, 300)
"""(mCPU, MiB) that each node gives to VPC CNI, kube-proxy, the EBS CSI driver and the Pod Identity agent, measured."""
DAEMON_PODS: Final = 4
CAPACITY_BUFFER: Final = "kubernetes:autoscaling.x-k8s.io/v1beta1:CapacityBuffer"
FREE_IOPS, FREE_MIBPS = 3000, 125
"""What comes with a gp3 volume. Source: https://aws.amazon.com/ebs/pricing/"""
DISKS: Final = {"gp3-volume": "", "gp3-iops": ", IOPS", "gp3-throughput": ", throughput"}
"""Service that is billed for a node's volume -> what its line is called beside."""
PODS: Final[Mapping[str, int]] = {"medium": 8, "large": 29, "xlarge": 58, "2xlarge": 58}
"""Pods that a node's network interfaces have addresses for, by size; larger sizes have more than the demo needs.

Source: https://github.com/awslabs/amazon-eks-ami/blob/main/nodeadm/internal/kubelet/eni-max-pods.txt (families c, m, r
of generations 5 to 8)
"""
Kind = Literal["list", "factor", "live", "assumed", "packed"]
KINDS: Final[Mapping[Kind, str]] = {
    "list": "list price",
    "factor": "us-east-1's list price times the region's factor",
    "live": "AWS's price of the day",
    "assumed": "quantity assumed",
    "packed": "quantity from the demo's requests",
}


class PriceError(ToolError):
    """A region or an instance type that no price is known for."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the estimate.

    ``quantity`` times ``unit_price`` (USD) is a month with the demo on it. ``rest`` and ``limits`` are USD a month
    without the demo and with every pool at its limits.
    """

    what: str
    quantity: float
    unit: str
    unit_price: float
    expected: float
    rest: float
    limits: float
    kinds: tuple[Kind, ...]
    sources: tuple[str, ...]
    date: str
    range: tuple[float, float] | None = None
    """``expected`` at the least and at the most that Spot may cost; None where the price is fixed."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """All lines of a stack, USD a month."""

    stack: str
    environment: str
    region: str
    lines: tuple[Line, ...]

    @property
    def spot_range(self) -> tuple[float, float]:
        """USD a month with the demo on it, at the least and at the most that Spot may cost."""
        least, most = zip(*(line.range or (line.expected, line.expected) for line in self.lines), strict=True)
        return sum(least), sum(most)

    @property
    def rest(self) -> float:
        """USD a month without the demo: what is there after `pulumi up`, no node of Karpenter's."""
        return sum(line.rest for line in self.lines)

    @property
    def expected(self) -> float:
        """USD a month with the demo on it."""
        return sum(line.expected for line in self.lines)

    @property
    def limits(self) -> float:
        """USD a month with every pool at its limits."""
        return sum(line.limits for line in self.lines)


@cache
def prices() -> dict[str, Any]:
    """The dated price list."""
    return tomllib.loads((Path(__file__).parent / "prices.toml").read_text())


@dataclass(frozen=True)
class _Node:
    """An instance type and what a month of it costs On-Demand, in USD."""

    kind: InstanceType
    month: float

    @property
    def pods(self) -> int:
        """Pods that have an address."""
        return PODS.get(self.kind.size, 234)

    @property
    def allocatable(self) -> tuple[int, int]:
        """(mCPU, MiB) for pods that are no DaemonSet's, as Karpenter reckons.

        Source: kubeReservedResources, evictionThreshold, vmMemoryOverheadPercent of
        https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/providers/instancetype/types.go
        """
        cores = self.kind.vcpus
        reserved = 60 + 10 * (cores > 1) + 5 * min(2, max(0, cores - 2)) + 2.5 * max(0, cores - 4)
        memory = self.kind.mib * (1 - 0.075) - (11 * self.pods + 255) - 100
        return int(cores * 1000 - reserved) - DAEMONSETS[0], int(memory) - DAEMONSETS[1]


@dataclass(frozen=True)
class _Price:
    """USD of a unit, how it is known, where from, and of what day."""

    usd: float
    kind: Kind
    sources: tuple[str, ...]
    date: str


class _Region:
    """Prices of one region, USD: AWS's of today where they are asked for and told, else the list's."""

    def __init__(self, name: str, live: "LivePrices | None" = None) -> None:
        self.name = name
        self.live = live
        lists = prices()["regions"]
        listed = next((table for table in lists if name in table["factors"]), None)
        if listed is None:
            known = ", ".join(sorted(region for table in lists for region in table["factors"]))
            raise PriceError(
                f"there is no price for region {name}: otel_on_spot/plan/prices.toml has {known}. Add its factor "
                "there, with its date and source"
            )
        self.factor: float = listed["factors"][name]
        self.hours: int = prices()["hours"]["per_month"]
        self._factors_source = f"{listed['source']}, {listed['date']}"

    def service(self, key: str) -> _Price:
        """The price of a service's unit."""
        service, date = prices()["services"][key], str(prices()["services"]["date"])
        if self.live and (usd := self.live.service(key, service.get("price_list"))):
            return _Price(usd, "live", (PRICE_LIST_API,), self.live.date)
        listed = (service["source"],)
        if "everywhere" in service:
            return _Price(service["everywhere"], "list", listed, date)
        if self.name in service:
            return _Price(service[self.name], "list", listed, date)
        return _Price(round(service[HOME] * self.factor, 4), "factor", (*listed, self._factors_source), date)

    def instance(self, node: _Node) -> _Price:
        """The price of an hour of a node On-Demand."""
        if self.live and (usd := self.live.on_demand(node.kind.name)):
            return _Price(usd, "live", (PRICE_LIST_API,), self.live.date)
        usd, date = node.month / self.hours, instance_types.prices_of()
        if self.factor == 1:
            return _Price(usd, "list", (PRICE_LIST,), date)
        return _Price(usd, "factor", (PRICE_LIST, self._factors_source), date)

    def spot(self, node: _Node) -> tuple[_Price, tuple[float, float]]:
        """The price of an hour of a node on Spot, and the least and the most that it may be."""
        if self.live and (by_zone := self.live.spot(node.kind.name)):
            usd = sum(by_zone) / len(by_zone)
            return _Price(usd, "live", (SPOT_HISTORY,), self.live.date), (by_zone[0], by_zone[-1])
        spot, full = prices()["spot"], self.instance(node)
        paid = (full.usd * (1 - spot[f"saving_{how}"]) for how in ("median", "high", "low"))
        usd, least, most = paid
        return replace(full, usd=usd, sources=(*full.sources, f"{spot['source']}, {spot['date']}")), (least, most)

    def node(self, kind: InstanceType) -> _Node | None:
        """An instance type with its price; None where none is known."""
        if kind.usd_per_hour and kind.vcpus and kind.mib:
            return _Node(kind, kind.usd_per_hour * self.factor * self.hours)
        return None


def estimate(
    document: Mapping[str, Any],
    workloads: Sequence[Workload],
    live: "LivePrices | None" = None,
    today: datetime.date | None = None,
) -> Estimate:
    """The estimate of a plan.

    Types and numbers of nodes are chosen by list prices either way: the table is the same, its prices are not.

    Args:
        document: the plan, as ``plan.manifests.as_document`` has it.
        workloads: what the demo asks for in this environment.
        live: prices of today; None keeps the list's.
        today: of which it is; None is this day. It decides whether a Kubernetes minor is in extended support.

    Raises:
        PriceError: a region, a system node or all types of a pool without a price.
    """
    plan = _Plan(document)
    region = _Region(plan.region, live)
    return Estimate(
        stack=document["stack"],
        environment=plan.environment,
        region=plan.region,
        lines=(
            *_control_planes(plan, region, today or datetime.datetime.now(datetime.UTC).date()),
            *_fixed(plan, region),
            *_load_balancers(plan, region),
            *_pools(plan, region, workloads),
            *_data(plan, region),
        ),
    )


def environment_of(document: Mapping[str, Any]) -> str:
    """The environment that a plan is of, which decides the demo's values: its default tag, else the stack's name."""
    providers = (resource["inputs"] for resource in document["resources"] if resource["type"] == AWS_PROVIDER)
    return environment_tag(providers) or str(document["stack"])


def environment_tag(providers: Iterable[Mapping[str, Any]]) -> str:
    """The environment among the default tags of the first AWS provider, by its inputs; empty where there is none."""
    for inputs in providers:
        return str((json.loads(inputs.get("defaultTags") or "{}").get("tags") or {}).get("environment") or "")
    return ""


class _Plan:
    """Questions to the recorded plan."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.resources: list[Mapping[str, Any]] = document["resources"]
        self.region = next(
            (str(resource["inputs"]["region"]) for resource in self.resources if resource["type"] == AWS_PROVIDER), HOME
        )
        self.environment = environment_of(document)

    def inputs(self, token: str) -> list[Mapping[str, Any]]:
        """Inputs of all resources of a type."""
        return [resource["inputs"] for resource in self.resources if resource["type"] == token]


def _control_planes(plan: _Plan, region: _Region, today: datetime.date) -> Iterator[Line]:
    """The control plane, by the support of its minor on a day: a cluster goes on into extended support by itself."""
    support = prices()["support"]
    clusters = plan.inputs("aws:eks/cluster:Cluster")
    extended = [
        cluster["version"]
        for cluster in clusters
        if today > support.get(cluster.get("version"), today)
        and (cluster.get("upgradePolicy") or {}).get("supportType") != "STANDARD"
    ]
    yield from _service(region, "eks-standard", "control plane", (len(clusters) - len(extended)) * region.hours)
    for version in sorted(set(extended)):
        what = f"control plane, extended support of {version}"
        yield from _service(region, "eks-extended", what, extended.count(version) * region.hours)


def _fixed(plan: _Plan, region: _Region) -> Iterator[Line]:
    hours = region.hours
    for key, label, count in (
        ("nat-gateway", "NAT gateways", len(plan.inputs("aws:ec2/natGateway:NatGateway"))),
        ("public-ipv4", "public addresses", len(plan.inputs("aws:ec2/eip:Eip"))),
        (
            "interface-endpoint",
            "interface endpoints",
            sum(
                len(endpoint.get("subnetIds") or ())
                for endpoint in plan.inputs("aws:ec2/vpcEndpoint:VpcEndpoint")
                if endpoint.get("vpcEndpointType") == "Interface"
            ),
        ),
    ):
        yield from _service(region, key, label, count * hours)
    yield from _service(region, "kms-key", "KMS keys", len(plan.inputs("aws:kms/key:Key")))
    yield from _service(region, "cloudwatch-alarm", "alarms", sum(map(_metrics, plan.inputs(ALARM))))
    yield from _system_nodes(plan, region)
    if plan.inputs("aws:ec2/natGateway:NatGateway"):
        yield from _service(region, "nat-gateway-data", "NAT gateways, data", _assumed("nat_gb", plan), "assumed")
    if any(cluster.get("enabledClusterLogTypes") for cluster in plan.inputs("aws:eks/cluster:Cluster")):
        amount = _assumed("control_plane_log_gb", plan)
        yield from _service(region, "log-ingestion", "control-plane logs", amount, "assumed")
    if plan.inputs("aws:ec2/flowLog:FlowLog"):
        yield from _service(region, "log-ingestion", "VPC flow logs", _assumed("flow_log_gb", plan), "assumed")


def _load_balancers(plan: _Plan, region: _Region) -> Iterator[Line]:
    """Load balancers of ``ingress``: hours, capacity units, and facing the internet an address in each zone."""
    told = next(
        (_values(inputs) for inputs in plan.inputs(APPLICATION.token) if inputs["metadata"].get("name") == INGRESS),
        None,
    )
    balancers = [told[key] for key in ("shop", "argocd") if key in told] if isinstance(told, dict) else []
    tagged = sum(
        1 for subnet in plan.inputs("aws:ec2/subnet:Subnet") if PUBLIC_BALANCER_ROLE in (subnet.get("tags") or {})
    )
    addresses = sum(
        len(balancer.get("subnetIds") or ()) or tagged
        for balancer in balancers
        if balancer.get("scheme") == "internet-facing"
    )
    hours = region.hours * len(balancers)
    yield from _service(region, "load-balancer", "load balancers", hours)
    units = hours * _assumed("load_balancer_lcu", plan)
    yield from _service(region, "load-balancer-lcu", "load balancers, capacity units", units, "assumed")
    yield from _service(region, "public-ipv4", "load balancers, public addresses", addresses * region.hours)


def _metrics(alarm: Mapping[str, Any]) -> int:
    """Metrics that an alarm is billed for: of an expression, those that it reads."""
    return sum(1 for query in alarm.get("metricQueries") or () if query.get("metric")) or 1


def _assumed(key: str, plan: _Plan) -> float:
    by_environment: Mapping[str, float] = prices()["assumed"][key]
    return by_environment.get(plan.environment, by_environment["other"])


def _service(
    region: _Region,
    key: str,
    what: str,
    amount: float,
    *kinds: Kind,
    counts: tuple[float, float, float] = (1, 1, 1),
) -> Iterator[Line]:
    """Line of a service; none where nothing of it is taken.

    Args:
        region: its prices.
        key: of the service in the price list.
        what: it is paid for.
        amount: of its units a month.
        kinds: how the quantity is known.
        counts: times that amount with the demo, at rest, and at the limits.
    """
    if amount:
        taken = tuple(count * amount for count in counts)
        yield _line(what, prices()["services"][key]["unit"], region.service(key), taken, *kinds)


def _line(what: str, unit: str, price: _Price, amounts: Sequence[float], *kinds: Kind) -> Line:
    """A line of one price.

    Args:
        what: is paid for.
        unit: of the amounts.
        price: of one.
        amounts: a month with the demo, at rest, and at the limits.
        kinds: how the quantity is known.
    """
    expected, rest, limits = (amount * price.usd for amount in amounts)
    return Line(
        what=what,
        quantity=amounts[0],
        unit=unit,
        unit_price=price.usd,
        expected=expected,
        rest=rest,
        limits=limits,
        kinds=(price.kind, *kinds),
        sources=price.sources,
        date=price.date,
    )


def _system_nodes(plan: _Plan, region: _Region) -> Iterator[Line]:
    templates = plan.inputs("aws:ec2/launchTemplate:LaunchTemplate")
    for group in plan.inputs("aws:eks/nodeGroup:NodeGroup"):
        name = group["instanceTypes"][0]
        kind = next((kind for kind, _ in instance_types.catalogue() if kind.name == name), None)
        node = region.node(kind) if kind else None
        if node is None:
            raise PriceError(f"there is no price for {name} in the catalogue of instance types")
        size, most = int(group["scalingConfig"]["desiredSize"]), int(group["scalingConfig"]["maxSize"])
        yield _node_line("system nodes", node, region, (size, size, most))
        volume = sum(
            int(mapping["ebs"]["volumeSize"])
            for template in templates[:1]
            for mapping in template.get("blockDeviceMappings", ())
        )
        yield from _service(region, "gp3-volume", "system nodes' volumes", volume, counts=(size, size, most))


def _node_line(
    what: str, node: _Node, region: _Region, counts: tuple[float, float, float], *kinds: Kind, spot: bool = False
) -> Line:
    """Line of nodes of one type, On-Demand or on Spot.

    Args:
        what: whose nodes they are.
        node: the type.
        region: its prices.
        counts: nodes with the demo, at rest, and at the limits.
        kinds: how the quantity is known.
        spot: on Spot.
    """
    hours = [count * region.hours for count in counts]
    price, extremes = region.spot(node) if spot else (region.instance(node), None)
    line = _line(f"{what}, {node.kind.name}", "instance-hour", price, hours, *kinds)
    return replace(line, range=(hours[0] * extremes[0], hours[0] * extremes[1])) if extremes else line


def _pools(plan: _Plan, region: _Region, workloads: Sequence[Workload]) -> Iterator[Line]:
    pools = {pool["metadata"]["name"]: pool["spec"] for pool in plan.inputs(NODE_POOL.token)}
    classes = plan.inputs("kubernetes:karpenter.k8s.aws/v1:EC2NodeClass")
    disks = [mapping["ebs"] for found in classes[:1] for mapping in found["spec"].get("blockDeviceMappings", ())]
    disk = {
        "gp3-volume": sum(int(str(ebs["volumeSize"]).removesuffix("Gi")) for ebs in disks),
        "gp3-iops": sum(max(0, ebs.get("iops", 0) - FREE_IOPS) for ebs in disks),
        "gp3-throughput": sum(max(0, ebs.get("throughput", 0) - FREE_MIBPS) for ebs in disks) / 1024,
    }
    room = _headroom(plan)
    heaviest = sorted(pools, key=lambda name: pools[name].get("weight", 0), reverse=True)

    def home(workload: Workload) -> str:
        """The pool that it names, else the heaviest that is open to it."""
        needed = workload.node_selector.get(CAPACITY_TYPE, "")
        return workload.pool or next((name for name in heaviest if _open(pools[name], needed)), "")

    for name, spec in pools.items():
        wanted, kept = (
            [workload for workload in asking if home(workload) == name] for asking in ((*workloads, *room), room)
        )
        yield from _pool(name, spec, wanted, kept, region, disk)


def _headroom(plan: _Plan) -> tuple[Workload, ...]:
    """The room that is kept free, with the demo and without: chunks of pods that never start."""
    requests = [
        container["resources"]["requests"]
        for chunk in plan.inputs("kubernetes:core/v1:PodTemplate")
        for container in chunk["template"]["spec"]["containers"]
    ]
    chunks = [buffer["spec"]["replicas"] for buffer in plan.inputs(CAPACITY_BUFFER)]
    return tuple(
        Workload(
            name="headroom", replicas=replicas, cpu_millis=int(quantity(asked["cpu"]) * 1000),
            memory_mib=int(quantity(asked["memory"]) / 2**20), node_selector={}, apart=False,
        )
        for replicas, asked in zip(chunks, requests, strict=False)
    )  # fmt: skip


def _open(spec: Mapping[str, Any], capacity_type: str) -> bool:
    """Decide if a pool is open to every pod, and launches this capacity type; any of them where it is empty."""
    return not spec["template"]["spec"].get("taints") and (not capacity_type or capacity_type in _capacity_types(spec))


def _capacity_types(spec: Mapping[str, Any]) -> Sequence[str]:
    requirements = spec["template"]["spec"]["requirements"]
    return next((term["values"] for term in requirements if term["key"] == CAPACITY_TYPE), ())


def _data(plan: _Plan, region: _Region) -> Iterator[Line]:
    """Volumes of the demo's databases and their backups: there with the demo, whatever the pools' sizes.

    A backup holds what has changed since the one before: one full copy is expected, and ``keep`` of them are the most.
    Source: https://repost.aws/knowledge-center/ebs-snapshot-billing
    """
    if not _demo(plan.inputs(APPLICATION.token)).get("enabled", True):
        return
    told = persistence(plan.resources)
    gib = sum(claim["gib"] for claim in (told.get("claims") or {}).values())
    yield from _service(region, "gp3-volume", "volumes of the databases", gib, counts=(1, 0, 1))
    if backup := told.get("backup"):
        keep = (1, 0, backup["keep"])
        yield from _service(region, "ebs-snapshot", "backups of the databases", gib, counts=keep)


def persistence(resources: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The volumes of the demo's databases, as the root Application of a plan gives them to its chart.

    ``claims``: by database. Without such values there are none: an older revision's Application, or one that is not
    the root.
    """
    applications = (resource["inputs"] for resource in resources if resource["type"] == APPLICATION.token)
    return demo_values(applications).get("persistence") or {}


def demo_values(applications: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What the root Application of a plan gives to the demo's chart, over the chart's own values.

    Args:
        applications: inputs of the plan's Applications.
    """
    return _demo(applications).get("values") or {}


def _demo(applications: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What the root Application of a plan says of the demo's child, over ``gitops/apps``'s own word."""
    for inputs in applications:
        if isinstance(told := _values(inputs), dict) and "applications" in told:
            return (told["applications"] or {}).get("otel-demo") or {}
    return {}


def workloads_of(document: Mapping[str, Any], root: Path) -> tuple[Workload, ...]:
    """What the demo asks for in the environment of a plan, with what the plan gives to its chart; nothing if it is off.

    Raises:
        ToolError: the wrapper chart or the environment's values are not under ``root``.
    """
    applications = [resource["inputs"] for resource in document["resources"] if resource["type"] == APPLICATION.token]
    if not _demo(applications).get("enabled", True):
        return ()
    return workloads(root, environment_of(document), demo_values(applications))


def _values(application: Mapping[str, Any]) -> Any:
    """What an Application gives to its chart; None where that is no YAML."""
    source = (application.get("spec") or {}).get("source") or {}
    try:
        return yaml.load((source.get("helm") or {}).get("values") or "", Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return None


def _pool(
    name: str,
    spec: Mapping[str, Any],
    wanted: Sequence[Workload],
    kept: Sequence[Workload],
    region: _Region,
    disk: Mapping[str, float],
) -> Iterator[Line]:
    """Nodes of a pool and their volumes.

    Args:
        name: of the pool.
        spec: of its NodePool.
        wanted: what it carries with the demo.
        kept: what it carries without.
        region: its prices.
        disk: of a node, by the service that is billed for it.

    Raises:
        PriceError: none of its types has a price.
    """
    requirements = spec["template"]["spec"]["requirements"]
    spot = "spot" in _capacity_types(spec)
    candidates = _candidates(requirements, region)
    if not candidates:
        if kinds := instance_types.meeting(requirements):
            raise PriceError(
                f"there is no price for any type of pool {name}, such as {kinds[0].name}: the pinned Karpenter's list "
                "has none. Let the pool choose among more types"
            )
        return
    node, count = _packed(wanted, candidates)
    rest = _count(node, kept) if kept else 0
    limit_cpu, limit_mib = float(quantity(spec["limits"]["cpu"])), float(quantity(spec["limits"]["memory"])) / 2**20
    limit_nodes = float(spec["limits"].get("nodes", "inf"))
    most = max(float(count), min(limit_cpu / node.kind.vcpus, limit_mib / node.kind.mib, limit_nodes))
    label = f"{'Spot' if spot else 'On-Demand'} nodes of pool {name}"
    yield _node_line(label, node, region, (count, rest, most), "packed", spot=spot)
    for service, amount in disk.items():
        what = f"volumes of pool {name}{DISKS[service]}"
        yield from _service(region, service, what, amount, counts=(count, rest, most))


def _candidates(requirements: Iterable[Mapping[str, Any]], region: _Region) -> list[_Node]:
    """Types with a price that meet a NodePool's requirements."""
    return [node for kind in instance_types.meeting(requirements) if (node := region.node(kind))]


def _packed(wanted: Sequence[Workload], candidates: Sequence[_Node]) -> tuple[_Node, int]:
    """The cheapest (type, number of nodes) that carries the workloads, all nodes of one type."""
    cheapest = min(candidates, key=lambda node: (node.month, node.kind.name))
    if not wanted:
        return cheapest, 0
    largest = max(w.cpu_millis for w in wanted), max(w.memory_mib for w in wanted)
    best: tuple[float, str, _Node, int] | None = None
    for node in candidates:
        has_cpu, has_memory = node.allocatable
        if has_cpu < largest[0] or has_memory < largest[1]:
            continue
        count = _count(node, wanted)
        option = (count * node.month, node.kind.name, node, count)
        if best is None or option[:2] < best[:2]:
            best = option
    return (best[2], best[3]) if best else (cheapest, _apart(wanted))


def _count(node: _Node, wanted: Iterable[Workload]) -> int:
    """Nodes of one type that carry the workloads."""
    wanted = list(wanted)
    cpu = sum(workload.replicas * workload.cpu_millis for workload in wanted)
    memory = sum(workload.replicas * workload.memory_mib for workload in wanted)
    pods = sum(workload.replicas for workload in wanted)
    has_cpu, has_memory = node.allocatable
    addresses = node.pods - DAEMON_PODS
    return max(_apart(wanted), -(-cpu // has_cpu), -(-memory // has_memory), -(-pods // addresses))


def _apart(wanted: Iterable[Workload]) -> int:
    """Nodes that keep replicas apart."""
    return max((workload.replicas for workload in wanted if workload.apart), default=1)


def as_document(found: Estimate) -> dict[str, Any]:
    """The estimate as plain JSON values, USD a month."""
    return {
        "stack": found.stack,
        "environment": found.environment,
        "region": found.region,
        "currency": "USD",
        "rest": round(found.rest, 2),
        "expected": round(found.expected, 2),
        "expectedLow": round(found.spot_range[0], 2),
        "expectedHigh": round(found.spot_range[1], 2),
        "limits": round(found.limits, 2),
        "lines": [
            {
                "what": line.what,
                "quantity": round(line.quantity, 2),
                "unit": line.unit,
                "unitPrice": round(line.unit_price, 6),
                "rest": round(line.rest, 2),
                "expected": round(line.expected, 2),
                "limits": round(line.limits, 2),
                "known": [KINDS[kind] for kind in line.kinds],
                "sources": list(line.sources),
                "date": line.date,
            }
            for line in found.lines
        ],
    }


def above(found: Estimate, limit: int | None) -> str:
    """Reason why an estimate is above its stack's limit; empty where it is not, or there is none."""
    if limit is None or found.expected <= limit:
        return ""
    return (
        f"expected {found.expected:,.0f} USD a month; costs.monthlyLimitUsd of Pulumi.{found.stack}.yaml is "
        f"{limit:,}. Take something out, or raise the limit"
    )


def monthly_limit(root: Path, stack: str) -> int | None:
    """The stack file's ``costs.monthlyLimitUsd``."""
    config = stack_file.read(root, stack)
    limit = json.loads(config.values.get(f"{config.project}:costs") or "{}").get("monthlyLimitUsd")
    return None if limit is None else int(limit)


def zones_of(document: Mapping[str, Any]) -> list[str]:
    """The zones that a plan has subnets in."""
    return sorted(subnet_zones((resource["type"], resource["inputs"]) for resource in document["resources"]))


def region_of(document: Mapping[str, Any]) -> str:
    """The region that a plan is of."""
    return _Plan(document).region


def show(found: Estimate, console: Console, limit: int | None = None, unknown: Iterable[str] = ()) -> None:
    """Print the estimate as a table: what, how much of it, at what price, and how that is known.

    Args:
        found: the estimate.
        console: where it goes.
        limit: USD a month that the stack may be expected to cost.
        unknown: in words, why some prices of today are not known.
    """
    title = (
        f"{found.stack}: about {found.expected:,.0f} USD a month with the demo "
        f"({found.spot_range[0]:,.0f} to {found.spot_range[1]:,.0f} by Spot's price), {found.rest:,.0f} at rest, "
        f"at most {found.limits:,.0f} at the pools' limits"
    )
    table = Table("what", title=title, title_justify="left")
    for heading in ("quantity", "USD each", "at rest", "expected", "at limits"):
        table.add_column(heading, justify="right")
    table.add_column("known from")
    for line in found.lines:
        table.add_row(
            line.what, f"{line.quantity:,.0f} {line.unit}", f"{line.unit_price:.4f}", *_amounts(line),
            f"{', '.join(KINDS[kind] for kind in line.kinds)}, {line.date}",
        )  # fmt: skip
    table.add_section()
    table.add_row(
        "together", "", "", *_amounts(found), f"USD a month of {prices()['hours']['per_month']} hours, no tax"
    )
    console.print(table)
    sources = sorted({source for line in found.lines for source in line.sources})
    if told := above(found, limit):
        console.print(told, style="red")
    for why in unknown:
        console.print(f"No price of today, list prices stay. {why}", style="yellow", soft_wrap=True, highlight=False)
    console.print("\n".join(("Sources:", *(f"  {source}" for source in sources))), soft_wrap=True)


def _amounts(row: Line | Estimate) -> tuple[str, str, str]:
    return f"{row.rest:,.0f}", f"{row.expected:,.0f}", f"{row.limits:,.0f}"


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> str:
    """Markdown of what a change costs: two documents of ``as_document``, the first None where nothing was declared."""
    former = {line["what"]: line for line in (before or {"lines": ()})["lines"]}
    now = {line["what"]: line for line in after["lines"]}
    rows = [
        (what, *(_amount(lines.get(what), key) for key in ("expected", "limits") for lines in (former, now)))
        for what in dict.fromkeys((*former, *now))
    ]
    keys = ("expected", "limits")
    total = ("together", *(_amount(side, key) for key in keys for side in (before, after)))
    changed = [row for row in rows if row[1] != row[2] or row[3] != row[4]]
    if not changed:
        return f"Costs of {after['stack']}: unchanged, about {after['expected']:,.0f} USD a month.\n"
    lines = [
        f"Costs of {after['stack']}, USD a month by list prices:",
        "",
        "| | expected before | now | difference | at limits before | now | difference |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for what, expected, expected_now, limits, limits_now in (*changed, total):
        cells = (expected, expected_now, expected_now - expected, limits, limits_now, limits_now - limits)
        signs = ("", "", "+", "", "", "+")
        lines.append(f"| {what} | " + " | ".join(f"{c:{s},.0f}" for c, s in zip(cells, signs, strict=True)) + " |")
    return "\n".join(lines) + "\n"


def _amount(line: Mapping[str, Any] | None, key: str) -> float:
    return float(line[key]) if line else 0.0
