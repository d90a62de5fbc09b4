"""What instance types there are, and which of them meet a pool's requirements, decided before anything is made.

The catalogue is that of the pinned Karpenter: ``instance_types.txt`` beside this file says how it is written.
"""

import operator
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from infra.settings.models import Pool

FAMILY: Final = re.compile(r"(^[a-z]+)(-[0-9]+tb)?([0-9]+).*")
"""Category and generation of a family, as Karpenter reads them.

Source: instanceTypeScheme of
https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/providers/instancetype/types.go
"""
SAME_LABEL: Final = {
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "topology.ebs.csi.aws.com/zone": "topology.kubernetes.io/zone",
}
"""Labels that Karpenter reads as others.

Sources: NormalizedLabels of https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/apis/v1/labels.go, and what
https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/operator/operator.go adds
"""
SUFFIXES: Final = (
    {"": Decimal(1), "m": Decimal("0.001")}
    | {suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGT", 1)}
    | {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGT", 1)}
)


SPOT_TO_SPOT_TYPES: Final = 15
"""Types that must be left to replace a Spot node by a cheaper one; Karpenter does not do it with fewer.

Source: MinInstanceTypesForSpotToSpotConsolidation of
https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/controllers/disruption/consolidation.go
"""
SPOT_ZONES: Final = 2
"""Zones below which one zone's shortage takes every Spot node."""


@dataclass(frozen=True, slots=True)
class InstanceType:
    """An instance type. Numbers are 0 where the catalogue does not know them.

    ``usd_per_hour``: On-Demand list price, Linux, us-east-1.
    """

    family: str
    size: str
    arch: str
    vcpus: int
    mib: int
    nvme_gb: int
    usd_per_hour: float

    @property
    def name(self) -> str:
        """Name as EC2 writes it."""
        return f"{self.family}.{self.size}"

    @property
    def labels(self) -> dict[str, str]:
        """The well-known labels that follow from what the catalogue says."""
        match = FAMILY.fullmatch(self.family)
        return {
            "node.kubernetes.io/instance-type": self.name,
            "kubernetes.io/arch": self.arch,
            "kubernetes.io/os": "linux",
            "karpenter.k8s.aws/instance-family": self.family,
            "karpenter.k8s.aws/instance-size": self.size,
            "karpenter.k8s.aws/instance-category": match[1] if match else "",
            "karpenter.k8s.aws/instance-generation": match[3] if match else "0",
            "karpenter.k8s.aws/instance-capability-flex": str("-flex" in self.family).lower(),
            **({"karpenter.k8s.aws/instance-cpu": str(self.vcpus)} if self.vcpus else {}),
            **({"karpenter.k8s.aws/instance-memory": str(self.mib)} if self.mib else {}),
        }

    def may_have(self, label: str, value: str) -> bool:
        """Whether its nodes can carry a label of ``NOT_LISTED``: true where the catalogue does not decide."""
        return value in _values(self, label.rpartition("/")[2])

    @property
    def bare_metal(self) -> bool:
        """True for a whole host without a hypervisor."""
        return self.size.startswith("metal")


NOT_LISTED: Final = frozenset(
    f"karpenter.k8s.aws/instance-{name}"
    for name in (
        *("accelerator-count", "accelerator-manufacturer", "accelerator-name", "cpu-manufacturer"),
        *("encryption-in-transit-supported", "gpu-count", "gpu-manufacturer", "gpu-memory", "gpu-name"),
        *("cpu-sustained-clock-speed-mhz", "ebs-bandwidth", "hypervisor", "local-nvme", "network-bandwidth", "tenancy"),
    )
) | {
    "node.kubernetes.io/windows-build",
    "karpenter.k8s.aws/placement-group-id",
    "karpenter.k8s.aws/placement-group-partition",
}
"""Well-known labels that the catalogue does not list, and for which it says at least what a type cannot have.

Source: computeRequirements of
https://github.com/aws/karpenter-provider-aws/blob/v1.14.3/pkg/providers/instancetype/types.go
"""
_GPU_CATEGORIES: Final = frozenset({"dl", "g", "gr", "p"})
_ACCELERATOR_CATEGORIES: Final = frozenset({"dl", "inf", "trn"})
_NITRO_ALONE: Final = 5
"""Generation from which on every type that is not bare metal is of the Nitro hypervisor.

Source: https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-nitro-instances.html
"""


class _Any:
    """A container of every value."""

    def __contains__(self, value: object) -> bool:
        return True


class _Numbers:
    """A container of every whole number, as text."""

    def __contains__(self, value: object) -> bool:
        return re.fullmatch("[0-9]+", str(value)) is not None


def _values(kind: InstanceType, name: str) -> Container[str]:
    """What a label of ``NOT_LISTED`` can be on a node of this type; nothing where the node has no such label."""
    category, generation = (kind.labels[f"karpenter.k8s.aws/instance-{part}"] for part in ("category", "generation"))
    match name:
        case "instance-local-nvme":
            return {str(kind.nvme_gb)} if kind.nvme_gb else ()
        case "instance-hypervisor":
            return {""} if kind.bare_metal else {"nitro"} if int(generation) >= _NITRO_ALONE else {"nitro", "xen"}
        case "instance-cpu-manufacturer":
            return {"aws", "nvidia"} if kind.arch == "arm64" else {"amd", "intel"}
        case "instance-encryption-in-transit-supported":
            return {"true", "false"}
        case "instance-tenancy":
            return {"default", "dedicated"}
        case "windows-build" | "placement-group-id" | "placement-group-partition":  # the node class selects no group
            return ()
        case "instance-cpu-sustained-clock-speed-mhz" | "instance-ebs-bandwidth" | "instance-network-bandwidth":
            return _Numbers()
    wanted = _GPU_CATEGORIES if name.startswith("instance-gpu") else _ACCELERATOR_CATEGORIES
    return _Any() if category in wanted else ()


@cache
def catalogue() -> tuple[tuple[InstanceType, dict[str, str]], ...]:
    """Every instance type, with its labels."""
    found: list[tuple[InstanceType, dict[str, str]]] = []
    for line in _text().splitlines():
        if line.startswith("#"):
            continue
        family, arch, *sizes = line.split()
        for text in sizes:
            shape, _, price = text.partition("@")
            size, vcpus, mib, *nvme = shape.split(":")
            gb = int(nvme[0]) if nvme else 0
            kind = InstanceType(family, size, arch, int(vcpus), int(mib), gb, float(price or 0))
            found.append((kind, kind.labels))
    return tuple(found)


@cache
def prices_of() -> str:
    """The day of the catalogue's price list, as ``2026-07-06``.

    Raises:
        ValueError: the catalogue's head does not say it.
    """
    found = re.search(r"of (\d{4}-\d\d-\d\d)\.", _text())
    if found is None:
        raise ValueError("instance_types.txt does not say of what day its prices are")
    return found[1]


@cache
def _text() -> str:
    return (Path(__file__).parent / "instance_types.txt").read_text()


@cache
def by_name() -> dict[str, InstanceType]:
    """All types; callers share them."""
    return {kind.name: kind for kind, _ in catalogue()}


@cache
def families() -> frozenset[str]:
    """Families that some type is of."""
    return frozenset(kind.family for kind, _ in catalogue())


@cache
def categories() -> frozenset[str]:
    """Categories that some type is of."""
    return frozenset(labels["karpenter.k8s.aws/instance-category"] for _, labels in catalogue())


def quantity(text: str) -> Decimal:
    """Value of a Kubernetes quantity without exponent, 0 for any other text."""
    match = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", text)
    try:
        return Decimal(match[1]) * SUFFIXES[match[2]] if match else Decimal(0)
    except (InvalidOperation, KeyError):
        return Decimal(0)


@dataclass(frozen=True)
class Choice:
    """What is left of the catalogue after one more requirement: its key in the stack file, its words, and counts."""

    key: str
    requirement: str
    types: int
    families: int


Rows = tuple[tuple[InstanceType, dict[str, str]], ...]


def choices(pool: Pool) -> Iterator[Choice]:
    """The catalogue, narrowed by one requirement of the pool after the other, as Karpenter intersects them."""
    return (choice for choice, _ in _narrowed(pool))


def allowed(pool: Pool) -> tuple[InstanceType, ...]:
    """Types that a pool may launch."""
    *_, (_, left) = _narrowed(pool)
    return tuple(kind for kind, _ in left)


def _narrowed(pool: Pool) -> Iterator[tuple[Choice, Rows]]:
    common = _by_class(pool.architectures, pool.instance_categories, pool.instance_generation_above)
    yield from common
    left = common[-1][1]
    for key, words, met in _shape(pool):
        left = tuple(row for row in left if met(row[0]))
        yield _choice(key, words, left), left
    labels = {SAME_LABEL.get(key, key): value for key, value in pool.labels.items()}
    for label in sorted(labels.keys() & catalogue()[0][1].keys()):
        left = tuple(row for row in left if row[1].get(label, labels[label]) == labels[label])
        yield _choice("labels", f"{label}: {labels[label]}", left), left
    for label in sorted(labels.keys() & NOT_LISTED):
        left = tuple(row for row in left if row[0].may_have(label, labels[label]))
        yield _choice("labels", f"{label}: {labels[label]}", left), left
    # A limit of nothing is how Karpenter's users stop a pool from growing.
    if cpu := quantity(pool.limits.cpu):
        left = tuple(row for row in left if row[0].vcpus <= cpu)
        yield _choice("limits.cpu", f"at most {pool.limits.cpu} of cpu", left), left
    if memory := quantity(pool.limits.memory):
        left = tuple(row for row in left if row[0].mib * 2**20 <= memory)
        yield _choice("limits.memory", f"at most {pool.limits.memory} of memory", left), left


def _shape(pool: Pool) -> Iterator[tuple[str, str, Callable[[InstanceType], bool]]]:
    """(key in the stack file, its words, whether a type meets it) of what the pool says of a node's shape."""
    low, high, memory = pool.min_vcpus, pool.max_vcpus, pool.max_memory_gib
    if low is not None:
        yield "minVcpus", f"at least {low} vCPUs", lambda kind: kind.vcpus >= low
    if high is not None:
        yield "maxVcpus", f"at most {high} vCPUs", lambda kind: 0 < kind.vcpus <= high
    if memory is not None:
        yield "maxMemoryGib", f"at most {memory} GiB", lambda kind: 0 < kind.mib <= memory * 1024
    if not pool.bare_metal:
        yield "bareMetal", "no bare metal", lambda kind: not kind.bare_metal
    if pool.local_storage != "any":
        wanted = pool.local_storage == "required"
        words = "local storage" if wanted else "no local storage"
        yield "localStorage", words, lambda kind: bool(kind.nvme_gb) == wanted
    if excluded := pool.excluded_instance_families:
        words = f"{len(excluded)} families excluded"
        yield "excludedInstanceFamilies", words, lambda kind: kind.family not in excluded


def pool_zones(pool: Pool, zones: tuple[str, ...]) -> tuple[str, ...]:
    """Zones of the network that a pool may launch in."""
    labels = {SAME_LABEL.get(key, key): value for key, value in pool.labels.items()}
    label = labels.get("topology.kubernetes.io/zone")
    return tuple(zone for zone in zones if zone in (pool.zones or zones) and label in (None, zone))


def meeting(requirements: Iterable[Mapping[str, Any]]) -> tuple[InstanceType, ...]:
    """Types that meet a NodePool's requirements, as far as they are about the type.

    Hypervisors are not in the catalogue: whatever has one counts as nitro.
    """
    terms = [(SAME_LABEL.get(term["key"], term["key"]), term) for term in requirements]
    found = []
    for kind, labels in catalogue():
        known: dict[str, str | None] = dict.fromkeys(
            ("karpenter.k8s.aws/instance-cpu", "karpenter.k8s.aws/instance-memory")
        )
        known |= labels
        known |= {
            "karpenter.k8s.aws/instance-hypervisor": "" if kind.bare_metal else "nitro",
            "karpenter.k8s.aws/instance-local-nvme": str(kind.nvme_gb) if kind.nvme_gb else None,
        }
        if all(key not in known or _met(known[key], term) for key, term in terms):
            found.append(kind)
    return tuple(found)


COMPARED: Final = {"Gt": operator.gt, "Gte": operator.ge, "Lt": operator.lt, "Lte": operator.le}


def _met(value: str | None, term: Mapping[str, Any]) -> bool:
    """Decide if a label's value meets a requirement; None is a label that is not there.

    Raises:
        ValueError: the NodePool API has no such operator.
    """
    values = term.get("values") or []
    match term["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case compared if compared in COMPARED:
            return value is not None and COMPARED[compared](int(value), int(values[0]))
    raise ValueError(f"operator {term['operator']} of {term['key']} is none of the NodePool API")


@lru_cache(maxsize=64)
def _by_class(
    architectures: tuple[str, ...], categories: tuple[str, ...], above: int
) -> tuple[tuple[Choice, Rows], ...]:
    """The choices that most pools have in common."""
    by_arch = tuple(row for row in catalogue() if row[0].arch in architectures)
    by_category = tuple(row for row in by_arch if row[1]["karpenter.k8s.aws/instance-category"] in categories)
    newer = tuple(row for row in by_category if int(row[1]["karpenter.k8s.aws/instance-generation"]) > above)
    return (
        (_choice("architectures", f"architecture {' or '.join(architectures)}", by_arch), by_arch),
        (_choice("instanceCategories", f"category {' or '.join(categories)}", by_category), by_category),
        (_choice("instanceGenerationAbove", f"generation above {above}", newer), newer),
    )


def _choice(key: str, requirement: str, rows: Rows) -> Choice:
    return Choice(key, requirement, len(rows), len({row[0].family for row in rows}))
