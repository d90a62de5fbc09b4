"""The watch over nodes, pods and databases while Karpenter replaces nodes by those of another AMI release."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

from infra.schedules import ScheduleError, nanoseconds, parse_schedule
from otel_on_spot.declared import Declared
from otel_on_spot.doctor.checks.placement import keeps_data
from otel_on_spot.doctor.fact import parse_all
from otel_on_spot.doctor.facts_kubernetes import NodePool, Pod, PoolBudget
from otel_on_spot.drills.shortage import SPOT
from otel_on_spot.drills.timeline import Timeline
from otel_on_spot.drills.upgrade.node_verdicts import Again, Away, Course, Left
from otel_on_spot.drills.upgrade.verdicts import DRIFTED
from otel_on_spot.drills.upgrade.watch import DISRUPTION_REASON, is_ready, reason_of
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import CAPACITY_TYPE, NODE_CLAIM, NODE_CLASS, NODE_POOL, POD, POOL_LABEL

RELEASE: Final = re.compile(r"v\d{8}$")
"""How the name of an EKS-optimized image ends. Source: https://docs.aws.amazon.com/eks/latest/userguide/retrieve-ami-id.html"""
INITIALIZED: Final = "Initialized"
TERMINATING: Final = "InstanceTerminating"
"""Conditions of a NodeClaim between which it counts as a node of its pool.

Source: BuildDisruptionBudgetMapping of
https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/controllers/disruption/helpers.go
"""
ENDED: Final = ("Succeeded", "Failed")
STAYS: Final = ("DaemonSet", "Node", "Job")
"""Owners of pods that do not move: they are of their node, or end by themselves."""
Owner = tuple[str, str, str]
"""Namespace, kind and name of a workload."""


def allowed(budgets: Sequence[PoolBudget], nodes: int, now: datetime) -> int | None:
    """Drifted nodes of a pool that its budgets let go at once, as Karpenter counts them; None where none says.

    A percentage of the pool's nodes is rounded up, and a budget with a schedule holds within its window alone.
    Source: GetAllowedDisruptionsByReason and IsActive of
    https://github.com/kubernetes-sigs/karpenter/blob/v1.14.3/pkg/apis/v1/nodepool.go
    """
    concerned = [budget for budget in budgets if not budget.reasons or DRIFTED in budget.reasons]
    try:
        return min((_nodes(budget, nodes) for budget in concerned if _is_active(budget, now)), default=None)
    except ScheduleError:
        return 0  # Karpenter lets nothing go by a budget that it cannot read


def _nodes(budget: PoolBudget, nodes: int) -> int:
    share = budget.nodes.removesuffix("%")
    return ceil(int(share) * nodes / 100) if share != budget.nodes else int(share)


def _is_active(budget: PoolBudget, now: datetime) -> bool:
    if budget.schedule is None or budget.duration is None:
        return True
    came = parse_schedule(budget.schedule).latest(now)
    return came is not None and now - came < timedelta(microseconds=nanoseconds(budget.duration) / 1000)


def image_releases(node_classes: Iterable[Object]) -> dict[str, str]:
    """Release by image id, of the images that node classes have found; an image of no release has its name."""
    return {
        image["id"]: found[0] if (found := RELEASE.findall(image.get("name") or "")) else image.get("name") or "?"
        for node_class in node_classes
        for image in (node_class.get("status") or {}).get("amis") or ()
    }


def image_of(claim: Object) -> str:
    """Id of the image that a NodeClaim's instance runs; empty before its launch."""
    return str((claim.get("status") or {}).get("imageID") or "")


def leaving(claim: Object) -> str | None:
    """Why Karpenter takes a NodeClaim away, empty where it does not say; None where it does not."""
    if (given := reason_of(claim, DISRUPTION_REASON)) is not None:
        return given
    return "" if claim["metadata"].get("deletionTimestamp") else None


@dataclass
class _Claim:
    """A NodeClaim that was Ready once. ``began``: when Karpenter chose it; ``gone``: when it was gone."""

    name: str
    pool: str
    capacity_type: str
    release: str
    reason: str = ""
    began: float | None = None
    gone: float | None = None


@dataclass
class _Move:
    """What was seen since the alias moved."""

    before: str
    after: str
    began: float
    there: frozenset[str]
    nodes: int
    away: dict[str, Away] = field(default_factory=dict)
    moved: dict[str, Again | None] = field(default_factory=dict)
    parted: dict[str, str] = field(default_factory=dict)


class NodeWatch:
    """NodeClaims, pods and databases, each time they are looked at.

    ``declared`` says which workloads keep data.
    """

    def __init__(self, api: Api, timeline: Timeline, declared: Declared) -> None:
        self._api, self._timeline, self._declared = api, timeline, declared
        self._budgets = {pool.name: pool.budgets for pool in parse_all(NodePool, api.list(NODE_POOL.path()))}
        self._releases: dict[str, str] = {}
        self._claims: dict[str, _Claim] = {}
        self._counted: dict[str, int] = {}
        self._homes: dict[str, tuple[str, str]] = {}
        """Pod's uid -> its name, and the uid of the NodeClaim that it ran on."""
        self._databases: dict[Owner, str] = {}
        """Database -> the uid of the NodeClaim that it was last Ready on, empty for another node."""
        self.on_spot: dict[str, None] = {}
        self._move = _Move("", "", 0.0, frozenset(), 0)
        self._now: list[Object] = []
        self.pending: tuple[str, ...] = ()

    @property
    def databases(self) -> int:
        """Number of workloads that keep data and were Ready."""
        return len(self._databases)

    def begin(self, before: str, after: str) -> None:
        """The alias is about to move."""
        self.look()
        nodes = sum(claim.release == before and claim.gone is None for claim in self._claims.values())
        began = self._timeline.add("moving", f"AMI {before} to {after}").seconds
        self._move = _Move(before, after, began, frozenset(self._homes), nodes)

    def look(self) -> None:
        """Look once. Pods first: one that was drained is gone after its NodeClaim was chosen, never before."""
        listed = list(self._api.list(POD.path()))
        self._releases |= image_releases(self._api.list(NODE_CLASS.path()))
        self._now = list(self._api.list(NODE_CLAIM.path()))
        self._look_at_claims()
        self._look_at_budgets()
        alive = [pod for pod in listed if (pod.get("status") or {}).get("phase") not in ENDED]
        pods = dict(zip((pod["metadata"]["uid"] for pod in alive), parse_all(Pod, alive), strict=True))
        self.pending = tuple(
            sorted(
                f"{pod.namespace}/{pod.name}"
                for pod in pods.values()
                if pod.phase == "Pending" and pod.owner[0] != "Job" and pod.deleted_at is None
            )
        )
        moving = {uid: pod for uid, pod in pods.items() if pod.owner[0] not in STAYS}
        homes = self._nodes()
        self._look_at_pods(moving, homes)
        self._look_at_databases(moving.values(), homes)

    def is_done(self) -> bool:
        """Look: every NodeClaim is Ready and of the asked release, none of them going, and no pod waits."""
        self.look()
        return not self.pending and all(
            self._release(claim) == self._move.after and is_ready(claim) and leaving(claim) is None
            for claim in self._now
        )

    def course(self) -> Course:
        """The move, as it was seen so far."""
        move = self._move
        left = tuple(
            Left(
                claim=claim.name,
                pool=claim.pool,
                reason=claim.reason,
                took=None if claim.gone is None else claim.gone - claim.began,
                replaced=claim.release == move.before,
            )
            for claim in self._claims.values()
            if claim.began is not None and claim.began >= move.began
        )
        return Course(
            before=move.before,
            after=move.after,
            nodes=move.nodes,
            stayed=tuple(
                f"{claim['metadata']['name']} ({self._release(claim)}{', going' if leaving(claim) is not None else ''})"
                for claim in self._now
                if self._release(claim) != move.after or leaving(claim) is not None
            ),
            left=left,
            away=dict(move.away),
            moved=len(move.moved),
            again=tuple(again for again in move.moved.values() if again is not None),
            parted=tuple(f"{pool}: {text}" for pool, text in move.parted.items()),
            pending=self.pending,
            seconds=self._timeline.seconds - move.began,
        )

    def _release(self, claim: Object) -> str:
        image = image_of(claim)
        return self._releases.get(image, image or "not launched")

    def _look_at_claims(self) -> None:
        for claim in self._now:
            uid, labels = claim["metadata"]["uid"], claim["metadata"].get("labels") or {}
            if uid not in self._claims and is_ready(claim):
                self._claims[uid] = _Claim(
                    name=claim["metadata"]["name"],
                    pool=labels.get(POOL_LABEL, ""),
                    capacity_type=labels.get(CAPACITY_TYPE, ""),
                    release=self._release(claim),
                )
            reason, known = leaving(claim), self._claims.get(uid)
            if known is not None and reason is not None:
                known.reason = known.reason or reason
                self._note_leaving(known)
        there = {claim["metadata"]["uid"] for claim in self._now}
        for uid, known in self._claims.items():
            if uid not in there and known.gone is None:
                began = self._note_leaving(known)
                known.gone = self._timeline.seconds
                self._timeline.add("gone", f"NodeClaim {known.name}, {known.gone - began:.0f} s after it was chosen")

    def _note_leaving(self, claim: _Claim) -> float:
        if claim.began is None:
            claim.began = self._timeline.add("going", f"NodeClaim {claim.name}: {claim.reason or 'no reason'}").seconds
        return claim.began

    def _look_at_budgets(self) -> None:
        counted: dict[str, int] = {}
        away: dict[str, int] = {}
        for claim in self._now:
            if reason_of(claim, INITIALIZED) is None or reason_of(claim, TERMINATING) is not None:
                continue
            pool = (claim["metadata"].get("labels") or {}).get(POOL_LABEL, "")
            counted[pool] = counted.get(pool, 0) + 1
            away[pool] = away.get(pool, 0) + (leaving(claim) == DRIFTED)
        for pool, nodes in away.items():
            seen = Away(pool=pool, nodes=nodes, allowed=self._allowed(pool, counted[pool]))
            worst = self._move.away.get(pool, seen)
            self._move.away[pool] = max(worst, seen, key=lambda each: (each.too_many, each.nodes))
        self._counted = counted

    def _allowed(self, pool: str, nodes: int) -> int | None:
        """What budgets let go of that many nodes, or of as many as at the last look: Karpenter decided in between."""
        return allowed(self._budgets.get(pool, ()), max(nodes, self._counted.get(pool, 0)), datetime.now(UTC))

    def _nodes(self) -> Mapping[str, str]:
        """Name of a node -> uid of its NodeClaim: a new node may have the name of one that ends."""
        ordered = sorted(self._now, key=lambda claim: reason_of(claim, TERMINATING) is None)
        return {
            name: claim["metadata"]["uid"]
            for claim in ordered
            if (name := (claim.get("status") or {}).get("nodeName")) and claim["metadata"]["uid"] in self._claims
        }

    def _look_at_pods(self, pods: Mapping[str, Pod], homes: Mapping[str, str]) -> None:
        for uid, pod in pods.items():
            if pod.deleted_at is None and pod.node in homes and uid not in self._homes:
                self._homes[uid] = (f"{pod.namespace}/{pod.name}", homes[pod.node])
        for uid in [uid for uid in self._homes if uid not in pods or pods[uid].deleted_at is not None]:
            name, home = self._homes.pop(uid)
            claim = self._claims[home]
            if claim.began is None:
                continue  # taken away by its workload, not by a drain
            came = uid not in self._move.there
            self._move.moved[uid] = (
                Again(pod=name, claim=claim.name, reason=claim.reason, onto_new=claim.release == self._move.after)
                if came
                else None
            )

    def _look_at_databases(self, pods: Collection[Pod], homes: Mapping[str, str]) -> None:
        ready: set[Owner] = set()
        for pod in pods:
            if not keeps_data(self._declared, pod) or not pod.node:
                continue
            owner, home = (pod.namespace, *pod.owner), homes.get(pod.node, "")
            if home and self._claims[home].capacity_type == SPOT:
                self.on_spot[f"{pod.namespace}/{pod.name}"] = None
            if pod.ready and pod.deleted_at is None:
                ready.add(owner)
                self._databases[owner] = home
        away: dict[str, dict[str, list[str]]] = {}
        for owner, home in self._databases.items():
            if owner not in ready and home and self._claims[home].began is not None:
                away.setdefault(self._claims[home].pool, {}).setdefault(home, []).append(owner[2])
        for pool, nodes in away.items():
            most = self._allowed(pool, self._counted.get(pool, 0))
            if most is not None and len(nodes) > max(1, most):
                names = ", ".join(sorted(name for owners in nodes.values() for name in owners))
                self._move.parted[f"NodePool {pool}"] = f"{names} away from {len(nodes)} nodes at once"
