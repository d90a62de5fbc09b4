"""The watch of the stress drill: the workload's replicas and pods, Karpenter's claims and nodes, what they cost."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from kubernetes.client.exceptions import ApiException

from otel_on_spot.drills.drill import Drill, DrillRefusedError
from otel_on_spot.drills.resilience import CONNECTION_ERRORS, describe, is_outage
from otel_on_spot.drills.stress.preconditions import Workload
from otel_on_spot.drills.stress.prices import Prices
from otel_on_spot.findings import format_count
from otel_on_spot.kubernetes.client import METADATA_ONLY, Api, Object
from otel_on_spot.kubernetes.names import (
    CAPACITY_TYPE,
    FRONT_PATH,
    INSTANCE_TYPE,
    NODE,
    NODE_CLAIM,
    POD,
    POOL_LABEL,
    ZONE,
)

EVERY_SECONDS: Final = 2.0
SPOT, ON_DEMAND = "spot", "on-demand"
COLUMNS: Final = (
    "time",
    "seconds",
    "replicas_wanted",
    "pods_running",
    "pods_pending",
    "nodes_spot",
    "nodes_on_demand",
    "nodes_other",
    "claims",
    "cost_usd_per_hour",
    "unpriced",
    "event",
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A NodeClaim: its pool, and what it launched."""

    name: str
    pool: str
    capacity_type: str
    instance_type: str
    zone: str
    launched: bool


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One sample. ``seconds``: since the drill began. ``wanted``: replicas that the workload is scaled to.

    ``nodes``: Karpenter's nodes that joined, by capacity type. ``cost``: USD an hour of what Karpenter launched; None
    where nothing has a price, and ``unpriced`` instances are not in it. ``event``: what happened since the sample
    before. ``observed``: the Deployment's controller has acted on what is wanted; before that, the pods may be of an
    earlier scale.
    """

    at: datetime
    seconds: float
    wanted: int
    running: int
    pending: int
    nodes: Mapping[str, int]
    claims: tuple[Claim, ...]
    cost: float | None
    unpriced: int
    event: str = ""
    observed: bool = True

    @property
    def line(self) -> str:
        """For a log."""
        nodes = ", ".join(f"{count} {kind}" for kind, count in sorted(self.nodes.items())) or "none"
        return (
            f"{self.seconds:7.1f} s  wanted {self.wanted}, Running {self.running}, Pending {self.pending}; "
            f"nodes {nodes}; claims {len(self.claims)}; {self.cost_text}"
        )

    @property
    def cost_text(self) -> str:
        """The cost in words."""
        if self.cost is None:
            return "no price" if self.claims else "no node of Karpenter's"
        return f"{self.cost:.3f} USD/h" + (f" and {self.unpriced} without a price" if self.unpriced else "")


OnSample = Callable[[Sample], None]


def claims(api: Api) -> tuple[Claim, ...]:
    """Every NodeClaim.

    Raises:
        ApiException, urllib3.exceptions.HTTPError: they could not be listed.
    """
    return tuple(map(claim_of, api.list(NODE_CLAIM.path())))


def claim_of(thing: Object) -> Claim:
    """A NodeClaim as the watch keeps it."""
    labels = thing["metadata"].get("labels") or {}
    return Claim(
        name=thing["metadata"]["name"],
        pool=labels.get(POOL_LABEL, ""),
        capacity_type=labels.get(CAPACITY_TYPE, ""),
        instance_type=labels.get(INSTANCE_TYPE, ""),
        zone=labels.get(ZONE, ""),
        launched=bool((thing.get("status") or {}).get("providerID")),
    )


def _observed(deployment: Object) -> bool:
    """Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/#DeploymentStatus"""
    status, generation = deployment.get("status") or {}, deployment["metadata"].get("generation", 0)
    wanted = deployment["spec"].get("replicas", 1)
    return status.get("observedGeneration", generation) >= generation and status.get("replicas", wanted) == wanted


class Watch:
    """Takes samples, keeps them all, and hands each on.

    ``pods``, ``node_labels``, ``node_claims``: what the last sample was counted from; pods that are going are left out.
    """

    def __init__(self, drill: Drill, workload: Workload, prices: Prices, on_sample: OnSample) -> None:
        self._drill, self._workload, self._prices, self._on_sample = drill, workload, prices, on_sample
        self._reported = 0
        self._silent = False
        self.samples: list[Sample] = []
        self.highest_cost: float | None = None
        self.pods: list[Object] = []
        self.node_labels: dict[str, Mapping[str, str]] = {}
        self.node_claims: list[Object] = []

    def sample(self) -> Sample | None:
        """Take one more sample; None while nobody answers.

        Raises:
            DrillRefusedError: the workload is gone.
            ApiException: the server refused to show something.
        """
        try:
            found = self._observe()
        except ApiException as refused:
            if not is_outage(refused):
                raise
            return self._no_answer(refused)
        except CONNECTION_ERRORS as problem:
            return self._no_answer(problem)
        if self._silent:
            self._silent = False
            self._drill.timeline.add("the API server answers again")
        self.samples.append(found)
        if found.cost is not None:
            self.highest_cost = max(found.cost, self.highest_cost or 0.0)
        self._on_sample(found)
        return found

    def _no_answer(self, problem: Exception) -> None:
        if not self._silent:
            self._silent = True
            self._drill.timeline.add("the API server does not answer", describe(problem))

    def _observe(self) -> Sample:
        api = self._drill.api
        deployment = api.get(self._workload.path)
        if deployment is None:
            raise DrillRefusedError(f"{self._workload.name} was deleted while the drill ran")
        phases: Counter[str] = Counter()
        found = api.list(POD.path(self._workload.namespace), labelSelector=self._workload.selector)
        labels = (self._workload.template.get("metadata") or {}).get("labels") or {}
        self.pods = [
            pod
            for pod in found
            if not pod["metadata"].get("deletionTimestamp")
            # On-Demand replicas of the same component are another Deployment's.
            and (pod["metadata"].get("labels") or {}).get(FRONT_PATH) == labels.get(FRONT_PATH)
        ]
        for pod in self.pods:
            phases[(pod.get("status") or {}).get("phase") or "Pending"] += 1
        nodes = api.list(NODE.path(), METADATA_ONLY)
        self.node_labels = {node["metadata"]["name"]: node["metadata"].get("labels") or {} for node in nodes}
        self.node_claims = list(api.list(NODE_CLAIM.path()))
        now = tuple(map(claim_of, self.node_claims))
        costs = [
            self._prices.of(claim.capacity_type, claim.instance_type, claim.zone) for claim in now if claim.launched
        ]
        priced = [cost for cost in costs if cost is not None]
        joined = dict(
            Counter(
                labels[CAPACITY_TYPE]
                for labels in self.node_labels.values()
                if POOL_LABEL in labels and CAPACITY_TYPE in labels
            )
        )
        self._report_changes(now, joined)
        return Sample(
            at=datetime.now(UTC),
            seconds=self._drill.timeline.seconds,
            wanted=deployment["spec"].get("replicas", 1),
            running=phases["Running"],
            pending=phases["Pending"],
            nodes=joined,
            claims=now,
            cost=sum(priced) if priced else None,
            unpriced=len(costs) - len(priced),
            event=self._events(),
            observed=_observed(deployment),
        )

    def _report_changes(self, now: tuple[Claim, ...], joined: Mapping[str, int]) -> None:
        """Claims and nodes that came or went since the last sample."""
        if not self.samples:
            return
        before = self.samples[-1]
        for kind in sorted({*joined, *before.nodes}):
            difference = joined.get(kind, 0) - before.nodes.get(kind, 0)
            if difference:
                verb = "joined" if difference > 0 else "left"
                self._drill.timeline.add(f"{format_count(abs(difference), f'{kind} node')} {verb}")
        more = len({claim.name for claim in now} - {claim.name for claim in before.claims})
        if more:
            self._drill.timeline.add(f"{format_count(more, 'NodeClaim')} made")

    def _events(self) -> str:
        """Moments of the timeline since the last sample."""
        moments = self._drill.timeline.moments
        new, self._reported = moments[self._reported :], len(moments)
        return "; ".join(moment.what for moment in new)


def as_csv(samples: Sequence[Sample]) -> str:
    """The text of the file. ``time`` is UTC; the cost is empty where nothing has a price."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for sample in samples:
        spot, on_demand = sample.nodes.get(SPOT, 0), sample.nodes.get(ON_DEMAND, 0)
        writer.writerow(
            (
                f"{sample.at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
                f"{sample.seconds:.1f}",
                sample.wanted,
                sample.running,
                sample.pending,
                spot,
                on_demand,
                sum(sample.nodes.values()) - spot - on_demand,
                len(sample.claims),
                "" if sample.cost is None else f"{sample.cost:.4f}",
                sample.unpriced,
                sample.event,
            )
        )
    return out.getvalue()
