"""Lives of NodeClaims: pure functions of objects, events, instances and prices."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import AliasChoices, AliasPath, AwareDatetime, Field, FiniteFloat, NonNegativeInt

from otel_on_spot.doctor.checks.spot import LAUNCH_ERRORS, RECLAIMED, REFUSED
from otel_on_spot.doctor.fact import Fact, at
from otel_on_spot.doctor.facts_aws import Instance
from otel_on_spot.doctor.facts_kubernetes import NodeClaim
from otel_on_spot.findings import format_count
from otel_on_spot.kubernetes.names import CAPACITY_TYPE, CLAIM_LABEL, INSTANCE_TYPE, POOL_LABEL, ZONE

SPOT: Final = "spot"
NOMINATED: Final = re.compile(r"\bnodeclaim/([a-z0-9.-]+)")
ASSIGNED: Final = re.compile(r"Successfully assigned (\S+)/(\S+) to (\S+)")
TOGETHER: Final = timedelta(minutes=10)
"""Time between two interruptions or refusals that are one incident."""
IN_PLACE: Final = timedelta(minutes=15)
"""Time after an incident in which a node is launched in place of one that it took."""
WARNED: Final = ("SpotInterrupted", "InstanceStopping")
"""Reasons of Karpenter's events for a message that comes before the end; a state change comes with it."""
ENDED: Final = ("shutting-down", "terminated")


@dataclass(frozen=True, kw_only=True)
class Event(Fact):
    """An event of the Kubernetes API: what happened to an object, first and last."""

    kind: Annotated[str, at("involvedObject", "kind")] = ""
    namespace: Annotated[str, at("involvedObject", "namespace")] = ""
    name: Annotated[str, at("involvedObject", "name")] = ""
    reason: str = ""
    message: str = ""
    first: Annotated[
        datetime | None,
        Field(validation_alias=AliasChoices("firstTimestamp", "eventTime", AliasPath("metadata", "creationTimestamp"))),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Price:
    """A Spot price from a moment on, in USD an hour."""

    type: str
    zone: str
    since: datetime
    usd: float


@dataclass(frozen=True, kw_only=True)
class Life:
    """What is known of a NodeClaim.

    ``began`` and ``why_ended``: empty where no source says. ``warned_at``: when Karpenter heard of the end of its
    instance. ``pods_moved``: that were evicted from its node. ``spot_usd`` and ``on_demand_usd``: an hour's price of
    its type, None where it is not known. ``seen_at``: of the last look at which a source still had it.
    """

    claim: str
    pool: str = ""
    capacity_type: str = ""
    type: str = ""
    zone: str = ""
    instance: str = ""
    node: str = ""
    began: str = ""
    launched_at: AwareDatetime | None = None
    ready_at: AwareDatetime | None = None
    warned_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    why_ended: str = ""
    pods_moved: NonNegativeInt = 0
    spot_usd: FiniteFloat | None = None
    on_demand_usd: FiniteFloat | None = None
    seen_at: AwareDatetime

    @property
    def warning_used(self) -> timedelta | None:
        """From the warning to the end; None where one of them is not known."""
        return self.ended_at - self.warned_at if self.ended_at and self.warned_at else None

    @property
    def lived(self) -> timedelta:
        """From launch to end, or until it was last seen; nothing where it was never launched."""
        return (self.ended_at or self.seen_at) - self.launched_at if self.launched_at else timedelta()

    @property
    def hit(self) -> bool:
        """True where Spot was taken away from it, or refused to it."""
        return self.warned_at is not None or self.why_ended.startswith(("refused", "taken back"))


def lives(
    claims: Iterable[NodeClaim], instances: Iterable[Instance], events: Sequence[Event], now: datetime
) -> tuple[Life, ...]:
    """What the sources know of each NodeClaim, in the order of their launch.

    Args:
        claims: those that are there.
        instances: those of the cluster's pools that EC2 lists, the ended ones of about an hour among them.
        events: of NodeClaims, and of pods that were nominated, assigned and evicted.
        now: when all of it was seen.
    """
    there = {claim.name: claim for claim in claims}
    by_claim = {instance.tags[CLAIM_LABEL]: instance for instance in instances if CLAIM_LABEL in instance.tags}
    of_claim: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.kind == "NodeClaim" and event.name:
            of_claim[event.name].append(event)
    moved = _moved(events)
    nominated = _nominated(events)
    found = [
        _life(name, there.get(name), by_claim.get(name), of_claim[name], nominated.get(name, []), moved, now)
        for name in {*there, *by_claim, *(name for name, told in of_claim.items() if told)}
    ]
    return ordered(found)


def ordered(found: Iterable[Life]) -> tuple[Life, ...]:
    """Lives in the order of their launch; those that were never launched by their end."""
    return tuple(sorted(found, key=lambda life: (life.launched_at or life.ended_at or life.seen_at, life.claim)))


def _nominated(events: Iterable[Event]) -> dict[str, list[str]]:
    """Pods that Karpenter launched each NodeClaim for."""
    found: dict[str, list[str]] = defaultdict(list)
    for event in events:
        if event.reason == "Nominated" and (claim := NOMINATED.search(event.message)):
            found[claim[1]].append(f"{event.namespace}/{event.name}")
    return found


def _moved(events: Iterable[Event]) -> dict[str, list[datetime]]:
    """Times at which pods were evicted from each node, as far as the scheduler's event of each is still there."""
    evicted = {(event.namespace, event.name): event.first for event in events if event.reason == "Evicted"}
    assigned = (ASSIGNED.search(event.message) for event in events if event.reason == "Scheduled")
    found: dict[str, list[datetime]] = defaultdict(list)
    for told in assigned:
        if told and (when := evicted.get((told[1], told[2]))):
            found[told[3]].append(when)
    return found


def _life(
    name: str,
    claim: NodeClaim | None,
    instance: Instance | None,
    events: Sequence[Event],
    pods: Sequence[str],
    moved: Mapping[str, Sequence[datetime]],
    now: datetime,
) -> Life:
    """One NodeClaim's life.

    ``claim``: where it is still there. ``instance``: where EC2 still lists it. ``pods``: for which it was launched.
    ``moved``: times of evictions by node; a later node may have the name of an earlier one.
    """
    labels = claim.labels if claim else {}
    tags = instance.tags if instance else {}
    node = (claim.node if claim else "") or (instance.private_dns if instance else "")
    since = {condition.type: condition.since for condition in claim.conditions} if claim else {}
    first = {event.reason: event.first for event in sorted(events, key=_when, reverse=True)}
    ended = instance.changed_at if instance and instance.state in ENDED else None
    refused = first.get(REFUSED)
    launched = (instance.launched_at if instance else None) or since.get("Launched") or first.get("Launched")
    until = ended or now
    return Life(
        claim=name,
        pool=(claim.pool if claim else "") or tags.get(POOL_LABEL, "") or name.rpartition("-")[0],
        capacity_type=labels.get(CAPACITY_TYPE, "") or _capacity_type(instance),
        type=labels.get(INSTANCE_TYPE, "") or (instance.type if instance else ""),
        zone=labels.get(ZONE, "") or (instance.zone if instance else ""),
        instance=(claim.instance_id if claim else "") or (instance.id if instance else ""),
        node=node,
        began=_began(events, pods),
        launched_at=launched,
        ready_at=since.get("Ready") or first.get("Ready"),
        warned_at=next((first[reason] for reason in WARNED if reason in first), None),
        ended_at=ended or refused,
        why_ended=_why_ended(claim, instance, events, gone=bool(ended or refused)),
        pods_moved=sum(launched is not None and launched <= when <= until for when in moved.get(node, ())),
        seen_at=now,
    )


def _when(event: Event) -> float:
    return event.first.timestamp() if event.first else 0.0


def _capacity_type(instance: Instance | None) -> str:
    if instance is None:
        return ""
    return SPOT if instance.spot else "on-demand"


def _began(events: Iterable[Event], pods: Sequence[str]) -> str:
    launching = next((event.message for event in events if event.reason == "DisruptionLaunching"), "")
    if launching:
        return f"in place of another: {launching.rpartition(': ')[2]}"
    if not pods:
        return ""
    more = f" and {len(pods) - 1} more" if len(pods) > 1 else ""
    return f"for {pods[0]}{more}"


def _why_ended(claim: NodeClaim | None, instance: Instance | None, events: Sequence[Event], *, gone: bool) -> str:
    by_reason = {event.reason: event.message for event in events}
    if REFUSED in by_reason:
        errors = [error for error in LAUNCH_ERRORS if error in by_reason[REFUSED]]
        return f"refused by EC2: {', '.join(errors) or by_reason[REFUSED]}"
    going = gone or claim is None or claim.deleted_at is not None
    if not going:
        return ""
    if "SpotInterrupted" in by_reason:
        return "Spot interruption"
    if instance is not None and instance.reason_code in RECLAIMED:
        return "taken back by EC2, and Karpenter heard nothing"
    if "DisruptionTerminating" in by_reason:
        return f"disrupted: {by_reason['DisruptionTerminating'].rpartition(': ')[2]}"
    if "InstanceStopping" in by_reason or (instance is not None and "User initiated" in instance.reason):
        return "ended by somebody, or by Karpenter"
    return "ended" if gone else "going"


def merged(kept: Iterable[Life], found: Iterable[Life]) -> tuple[Life, ...]:
    """Lives of an earlier look and of this one: what a source no longer says stays as it was."""
    seen = {life.claim: life for life in found}
    result = []
    for old in kept:
        new = seen.pop(old.claim, None)
        if new is None:
            lost = old.ended_at is None
            result.append(replace(old, ended_at=old.seen_at, why_ended="gone between two looks") if lost else old)
            continue
        same = {field.name: getattr(old, field.name) for field in fields(Life) if not getattr(new, field.name)}
        more = max(old.pods_moved, new.pods_moved)
        # Karpenter's own word of why is better than what is left of the instance.
        why = old.why_ended if old.why_ended not in ("", "going") else new.why_ended
        result.append(replace(new, **same | {"pods_moved": more, "why_ended": why}))
    return ordered([*result, *seen.values()])


def priced(found: Iterable[Life], prices: Sequence[Price], on_demand: Mapping[str, float]) -> tuple[Life, ...]:
    """The same lives with an hour's price: Spot's over the time that each lived, and the list price of On-Demand."""
    by_offer: dict[tuple[str, str], list[Price]] = defaultdict(list)
    for price in prices:
        by_offer[price.type, price.zone].append(price)
    return tuple(
        replace(
            life,
            spot_usd=_mean(by_offer[life.type, life.zone], life) if life.launched_at else life.spot_usd,
            on_demand_usd=on_demand.get(life.type) or life.on_demand_usd,
        )
        for life in found
    )


def _mean(prices: Sequence[Price], life: Life) -> float | None:
    """Mean of a price over a life; the price that was in effect at its launch is the last one of before."""
    if not prices or life.launched_at is None:
        return life.spot_usd
    steps = sorted(prices, key=lambda price: price.since)
    begin, end = life.launched_at, max(life.ended_at or life.seen_at, life.launched_at)
    whole = total = 0.0
    for number, price in enumerate(steps):
        # The first one that is known stands for the time before it.
        since = begin if number == 0 else max(price.since, begin)
        until = min(steps[number + 1].since, end) if number + 1 < len(steps) else end
        seconds = max(0.0, (until - since).total_seconds())
        whole, total = whole + seconds, total + seconds * price.usd
    return total / whole if whole else steps[0].usd


@dataclass(frozen=True, kw_only=True)
class Saving:
    """What a pool's nodes cost, and what they would have cost On-Demand; lives without a price are left out.

    ``fallback``: pods that may run on Spot ran here On-Demand: ``saved`` is then what Spot would have saved, as a loss.
    """

    pool: str
    nodes: int
    hours: float
    usd: float
    on_demand_usd: float
    saved: float
    fallback: bool


def savings(found: Iterable[Life], fallback_pools: Iterable[str]) -> tuple[Saving, ...]:
    """Spot's saving by pool, and what the hours on On-Demand fall-back took from it."""
    groups: dict[tuple[str, str], list[Life]] = defaultdict(list)
    for life in found:
        if life.launched_at and life.on_demand_usd and life.spot_usd is not None:
            groups[life.pool, life.capacity_type].append(life)
    open_pools = set(fallback_pools)
    return tuple(
        _saving(pool, group, spot=kind == SPOT, fallback=kind != SPOT and pool in open_pools)
        for (pool, kind), group in sorted(groups.items())
    )


def _saving(pool: str, group: Sequence[Life], *, spot: bool, fallback: bool) -> Saving:
    hours = [life.lived.total_seconds() / 3600 for life in group]
    listed = sum(hour * (life.on_demand_usd or 0.0) for hour, life in zip(hours, group, strict=True))
    market = sum(hour * (life.spot_usd or 0.0) for hour, life in zip(hours, group, strict=True))
    return Saving(
        pool=pool,
        nodes=len(group),
        hours=sum(hours),
        usd=market if spot else listed,
        on_demand_usd=listed,
        saved=listed - market if spot else market - listed if fallback else 0.0,
        fallback=fallback,
    )


def shares(usd: float, requests: Mapping[str, tuple[int, int]]) -> dict[str, float]:
    """What each workload has of a sum, the greatest first: by its requests, CPU and memory alike.

    ``usd``: the sum, such as what Spot saved. ``requests``: CPU and memory that each workload asks for, in any units.
    """
    cpu, memory = (sum(asked) or 1 for asked in zip(*requests.values(), strict=True)) if requests else (1, 1)
    found = {name: usd * (cores / cpu + held / memory) / 2 for name, (cores, held) in requests.items()}
    return dict(sorted(found.items(), key=lambda row: (-abs(row[1]), row[0])))


@dataclass(frozen=True, kw_only=True)
class Incident:
    """Interruptions and refusals that came together, and the nodes that were launched in place of what they took."""

    began: datetime
    ended: datetime
    hit: tuple[Life, ...]
    in_place: tuple[Life, ...]

    @property
    def interrupted(self) -> tuple[Life, ...]:
        """Nodes that were there, and were taken."""
        return tuple(life for life in self.hit if not life.why_ended.startswith("refused"))

    @property
    def title(self) -> str:
        """What it was, in a line."""
        parts = []
        if self.interrupted:
            parts.append(f"{format_count(len(self.interrupted), 'Spot node')} taken back")
        refused = len(self.hit) - len(self.interrupted)
        if refused:
            parts.append(f"{format_count(refused, 'launch', 'launches')} refused")
        return ", ".join(parts)


def incidents(found: Sequence[Life]) -> tuple[Incident, ...]:
    """Incidents, oldest first."""
    moments = sorted(
        ((when, life) for life in found if life.hit and (when := life.warned_at or life.ended_at)),
        key=lambda moment: (moment[0], moment[1].claim),
    )
    groups: list[list[tuple[datetime, Life]]] = []
    for when, life in moments:
        if groups and when - groups[-1][-1][0] <= TOGETHER:
            groups[-1].append((when, life))
        else:
            groups.append([(when, life)])
    return tuple(_incident(group, found) for group in groups)


def _incident(group: Sequence[tuple[datetime, Life]], found: Sequence[Life]) -> Incident:
    began, last = group[0][0], group[-1][0]
    hit = tuple(life for _, life in group)
    names = {life.claim for life in hit}
    in_place = tuple(
        life
        for life in found
        if life.claim not in names and life.launched_at and began <= life.launched_at <= last + IN_PLACE
    )
    ends: list[Any] = [last, *(life.ended_at for life in hit if life.ended_at)]
    return Incident(began=began, ended=max(ends), hit=hit, in_place=in_place)
