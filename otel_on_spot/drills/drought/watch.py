"""The watch of the drought drill: what came and went, where its pods are, what that cost."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from otel_on_spot.doctor.collectors.kubernetes import conditions, moment
from otel_on_spot.drills.drill import Drill
from otel_on_spot.drills.drought.verdicts import FORGETS_SECONDS, ON_DEMAND, Launch, Move, Spent
from otel_on_spot.drills.stress.prices import Prices
from otel_on_spot.drills.stress.watch import Sample, Watch, claim_of
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import CAPACITY_TYPE, EVENT, NODE_CLAIM, POD

REFUSED: Final = "InsufficientCapacityError"
"""Reason of the event of a NodeClaim for which EC2 had nothing, for whatever reason.

Source: https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/controllers/nodeclaim/lifecycle/events.go
"""
TELLING: Final = ("FailedScheduling", "NoCompatibleInstanceTypes", REFUSED)
"""Reasons of events that say why a pod waits."""
LONGEST: Final = 160


class Follow:
    """Follows NodeClaims and pods through the samples of a watch.

    ``watch``: of the drill's Deployment; ``prices``: of nodes.

    ``remembered``: EC2 refused a NodeClaim so shortly before that Karpenter need not ask again.
    """

    def __init__(self, drill: Drill, watch: Watch, prices: Prices) -> None:
        self._drill, self._watch, self._prices = drill, watch, prices
        self._before = {thing["metadata"]["name"] for thing in drill.api.list(NODE_CLAIM.path())}
        refused = _refusals(drill.api)
        self._refused_before = set(refused)
        self.remembered = remembers(drill.api)
        self._homes: dict[str, str] = {}
        self._part = ""
        self._since = 0.0
        self._spent: dict[str, dict[str, float | None]] = {}
        self._lengths: dict[str, float] = {}
        self.launches: dict[str, Launch] = {}
        self.moves: list[Move] = []
        self.returning = False

    def begin(self, part: str) -> None:
        """Count what is spent to another part of the drill from now on."""
        self._part, self._since = part, self._drill.timeline.seconds
        self._spent[part], self._lengths[part] = {}, 0.0

    @property
    def spent(self) -> dict[str, Spent]:
        """Money spent, by part of the drill."""
        return {part: Spent(seconds=self._lengths[part], usd=dict(usd)) for part, usd in self._spent.items()}

    def look(self) -> Sample | None:
        """Take a sample, and learn from it; None while nobody answers."""
        sample = self._watch.sample()
        if sample is None:
            return None
        seconds = sample.seconds
        self._learn_claims(seconds)
        self._learn_pods(seconds)
        self._count(sample)
        return sample

    def _learn_claims(self, seconds: float) -> None:
        there: dict[str, Object] = {thing["metadata"]["name"]: thing for thing in self._watch.node_claims}
        for name, thing in there.items():
            claim = claim_of(thing)
            if name in self._before or not claim.launched:
                continue
            known = self.launches.get(name)
            going = bool(thing["metadata"].get("deletionTimestamp"))
            self.launches[name] = Launch(
                name=name,
                capacity_type=claim.capacity_type,
                instance_type=claim.instance_type,
                zone=claim.zone,
                launched=known.launched if known else seconds,
                boot=_boot(thing),
                gone=(known.gone if known and known.gone is not None else seconds) if going else None,
            )
        for name, launch in list(self.launches.items()):
            if name not in there and launch.gone is None:
                self.launches[name] = replace(launch, gone=seconds)

    def _learn_pods(self, seconds: float) -> None:
        claim_of_node = {
            (thing.get("status") or {}).get("nodeName"): thing["metadata"]["name"] for thing in self._watch.node_claims
        }
        homes: dict[str, str] = {}
        for pod in self._watch.pods:
            node = pod["spec"].get("nodeName")
            if node:
                name = pod["metadata"]["name"]
                homes[name] = self._homes.get(name) or claim_of_node.get(node, node)
        if self.returning:
            for pod, node in self._homes.items():
                if pod not in homes:
                    self.moves.append(Move(pod=pod, node=node, seconds=seconds))
        self._homes = homes

    def _count(self, sample: Sample) -> None:
        if not self._part:
            return
        hours = (sample.seconds - self._since) / 3600
        self._lengths[self._part] += sample.seconds - self._since
        self._since = sample.seconds
        spent = self._spent[self._part]
        for claim in sample.claims:
            if claim.launched and claim.name not in self._before:
                price = self._prices.of(claim.capacity_type, claim.instance_type, claim.zone)
                so_far = spent.get(claim.capacity_type, 0.0)
                spent[claim.capacity_type] = None if price is None or so_far is None else so_far + price * hours

    def placed(self) -> tuple[int, int]:
        """(pods on On-Demand, pods) on nodes that came during the drill."""
        kinds = [self.launches[node].capacity_type for node in self._homes.values() if node in self.launches]
        return kinds.count(ON_DEMAND), len(kinds)

    def on_demand_left(self) -> list[str]:
        """On-Demand nodes of the drill that are not gone, and its pods on On-Demand."""
        pods = [
            pod["metadata"]["name"]
            for pod in self._watch.pods
            if self._watch.node_labels.get(pod["spec"].get("nodeName") or "", {}).get(CAPACITY_TYPE) == ON_DEMAND
        ]
        nodes = [
            launch.name
            for launch in self.launches.values()
            if launch.capacity_type == ON_DEMAND and any(c.name == launch.name for c in self._watch.samples[-1].claims)
        ]
        return [*nodes, *pods]

    def refusals(self, began: float) -> list[float]:
        """Moments of refusals of NodeClaims; the first at ``began``, the others by the cluster's own clock."""
        new = {name: at for name, at in _refusals(self._drill.api).items() if name not in self._refused_before}
        first = min(new.values(), default=None)
        return sorted(began + (at - first).total_seconds() for at in new.values()) if first else []

    def told(self) -> list[str]:
        """What events say about pods of the drill that wait, the newest first, each once."""
        waiting = {
            pod["metadata"]["name"]
            for pod in self._watch.pods
            if (pod.get("status") or {}).get("phase", "Pending") == "Pending"
        }
        found = [
            event
            for event in self._drill.api.list(EVENT.path("default"))
            if event["reason"] in TELLING
            and (
                event["involvedObject"].get("name") in waiting
                or (event["reason"] == REFUSED and event["involvedObject"].get("name") not in self._refused_before)
            )
        ]
        found.sort(key=_when, reverse=True)
        words = (" ".join(f"{event['reason']}: {event.get('message', '')}".split())[:LONGEST] for event in found)
        return list(dict.fromkeys(words))


def _boot(thing: Object) -> float | None:
    """Seconds from the launch of an instance to its Ready node, by the NodeClaim's own clock."""
    since = {condition.type: condition.since for condition in conditions(thing) if condition.status == "True"}
    launched, ready = since.get("Launched"), since.get("Ready")
    return max(0.0, (ready - launched).total_seconds()) if launched and ready else None


def _refusals(api: Api) -> Mapping[str, datetime]:
    """Moment at which each NodeClaim was refused, by name."""
    found = {}
    for event in api.list(EVENT.path("default"), fieldSelector=f"reason={REFUSED}"):
        at = moment(_when(event)) if event["reason"] == REFUSED else None
        if at is not None:
            found[event["involvedObject"]["name"]] = at
    return found


def remembers(api: Api) -> bool:
    """True where EC2 refused a NodeClaim so shortly before that Karpenter still leaves it alone."""
    now = datetime.now(UTC)
    return any((now - at).total_seconds() < FORGETS_SECONDS for at in _refusals(api).values())


def _when(event: Object) -> str:
    return event.get("firstTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]


def running(api: Api, namespace: str) -> int:
    """Pods of a namespace that run, Jobs' left out."""
    return sum(
        (pod.get("status") or {}).get("phase") == "Running"
        and not pod["metadata"].get("deletionTimestamp")
        and not any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences") or [])
        for pod in api.list(POD.path(namespace))
    )
