"""Moves Karpenter to another version and back, warns Spot nodes while it restarts, and watches what becomes of all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from otel_on_spot.drills import diagnosis
from otel_on_spot.drills.drill import Drill, DrillRefusedError
from otel_on_spot.drills.front_path import FrontProbe, require_served
from otel_on_spot.drills.resilience import signals_deferred
from otel_on_spot.drills.spot_interruption.candidates import Candidate, choose, judge_nodes
from otel_on_spot.drills.spot_interruption.run import collect_facts, waiting
from otel_on_spot.drills.spot_interruption.warning import channel, send
from otel_on_spot.drills.timeline import Log
from otel_on_spot.drills.undo import moved
from otel_on_spot.drills.upgrade.moving import Mover, Product
from otel_on_spot.drills.upgrade.verdicts import Move, Upgrade, Warned, verdicts
from otel_on_spot.drills.upgrade.watch import (
    ClaimWatch,
    compare_pods,
    controller,
    controller_version,
    definitions,
    generations,
    is_ready,
    newly_stored,
    unready,
)
from otel_on_spot.kubernetes.client import Api, Object
from otel_on_spot.kubernetes.names import DEPLOYMENT, NODE_CLAIM, POD
from otel_on_spot.report import Report
from otel_on_spot.target import Target

CHECKS: Final = (
    "karpenter-running",
    "karpenter-versions",
    "node-classes",
    "node-pools",
    "interruption-queue",
    "interruption-policy",
    "interruption-rules",
    "interruption-backlog",
)
"""Checks of the doctor that explain why a version does not run as it should."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Versions to move between, and Karpenter's Deployment by its API path."""

    before: str
    after: str
    path: str


def make_plan(target: Target, api: Api, after: str) -> Plan:
    """Plan the moves.

    Raises:
        DrillRefusedError: Karpenter is not there or in that version already, a node is going, no Spot node may be
            warned, or the front path is away.
    """
    namespace, doctor = target.declared.karpenter_namespace, f"otel-on-spot doctor --stack {target.declared.stack}"
    found, before = controller(api, namespace), controller_version(api, namespace)
    if found is None or not before:
        raise DrillRefusedError(f"namespace {namespace}: no Deployment of Karpenter says its version. See {doctor}")
    if before == after:
        raise DrillRefusedError(f"Karpenter is {before} already: there is nothing to move to. Bring it back: make lab")
    going = [
        claim["metadata"]["name"] for claim in api.list(NODE_CLAIM.path()) if "deletionTimestamp" in claim["metadata"]
    ]
    if going:
        raise DrillRefusedError(
            f"NodeClaims {', '.join(going)}: they are being deleted, before any drill. Which nodes a version loses is "
            "seen on a platform that rests: wait until they are gone"
        )
    choose(_candidates(target, api), None)
    require_served(target, api)
    return Plan(before=before, after=after, path=DEPLOYMENT.path(namespace, found["metadata"]["name"]))


def _candidates(target: Target, api: Api) -> tuple[Candidate, ...]:
    return judge_nodes(collect_facts(target, api), allow_stateful=False)


class UpgradeRun:
    """Both moves, each with its storm: half of the Spot nodes that may be lost, warned while the controller restarts.

    Args:
        drill: under way.
        plan: the versions.
        mover: what brings Karpenter to a version.
        timeout: seconds for each move, and again for what follows it.
        gap: how long the front path may be away, in seconds; None judges by what the stack promises.
        log: takes a line for people.
    """

    def __init__(self, drill: Drill, plan: Plan, mover: Mover, *, timeout: float, gap: float | None, log: Log) -> None:
        self._drill, self._plan, self._timeout, self._log = drill, plan, timeout, log
        self._gap = gap
        self._api, self._timeline = drill.api, drill.timeline
        self._namespace = drill.declared.karpenter_namespace
        self._karpenter = Product(
            name="Karpenter",
            marker=f"Deployment {plan.path.rpartition('/')[2]}",
            version=lambda: controller_version(self._api, self._namespace),
            generations=lambda: generations(self._api),
            mover=mover,
        )
        self._pods = list(self._api.list(POD.path()))
        claims = list(self._api.list(NODE_CLAIM.path()))
        self._homes = {claim["metadata"]["name"]: str((claim.get("status") or {}).get("nodeName")) for claim in claims}
        self._claims = ClaimWatch(self._api, self._timeline, claims)
        self._definitions = definitions(self._api)
        self._sent: dict[str, tuple[float, Candidate, str]] = {}
        """NodeClaim -> when it was warned, the node, during which move."""
        self._heard: dict[str, float] = {}
        self._waiting: tuple[str, ...] = ()

    def run(self) -> Report:
        """Move up, wait until all is well, move back, wait again, and report.

        Raises:
            LeaseHeldError: somebody took the lease over.
            ApiException: the server refused.
        """
        plan, moves = self._plan, list[Move]()
        self._drill.lease.record_undo(moved(plan.path, plan.before, plan.after))
        with FrontProbe(self._drill, self._gap) as probed:
            try:
                moves.append(self._move(plan.before, plan.after))
                if not moves[-1].error:
                    self._drill.wait_until(self._is_settled, self._timeout)
            finally:
                if controller_version(self._api, self._namespace) != plan.before:
                    with signals_deferred(self._log):
                        moves.append(self._move(plan.after, plan.before))
            self._drill.wait_until(self._is_settled, self._timeout)
        pods_count, pods_moved = self._pods_that_stayed()
        seen = Upgrade(
            moves=tuple(moves),
            warned=self._warned(),
            claims=self._claims.count(self._sent),
            gone=self._claims.gone(self._sent),
            drifted=self._claims.drifted,
            hashes=self._claims.hashes,
            pods=pods_count,
            moved=pods_moved,
            waiting=self._waiting,
            unready=unready(self._api),
            stored=newly_stored(self._definitions, definitions(self._api)),
            version=controller_version(self._api, self._namespace),
            front=probed.front,
            timeout=self._timeout,
        )
        judged = diagnosis.explained(self._drill.target, verdicts(seen), CHECKS)
        took = {f"Karpenter {move.name}": f"{move.at['done']:.1f} s" for move in seen.moves}
        return self._drill.report(judged, {**took, "front path": seen.front.text})

    def _move(self, before: str, after: str) -> Move:
        there = _candidates(self._drill.target, self._api)
        free = [candidate for candidate in there if not candidate.why_not and candidate.claim not in self._sent]
        storm = sorted(free, key=lambda candidate: (-candidate.pods, candidate.node))[: (len(free) + 1) // 2]
        return self._karpenter.move(
            self._drill,
            before,
            after,
            self._timeout,
            look=self._look,
            came=lambda: self._warn(storm, f"{before} to {after}"),
        )

    def _warn(self, storm: list[Candidate], during: str) -> None:
        by = channel(self._drill.target, fis=False)
        send(self._drill.target, by, [candidate.instance for candidate in storm])
        for candidate in storm:
            self._sent[candidate.claim] = (self._timeline.seconds, candidate, during)
        self._timeline.add("warned", ", ".join(candidate.node for candidate in storm) or "no Spot node is free")

    def _look(self) -> Mapping[str, Object]:
        wanted = self._claims.look()
        for claim, (sent, _, _) in self._sent.items():
            if claim not in wanted and claim not in self._heard:
                self._heard[claim] = self._timeline.add("heard", f"NodeClaim {claim} deleted").seconds - sent
        return wanted

    def _is_settled(self) -> bool:
        """Every warning is handled, what ran there is whole, and each NodeClaim is Ready, none of them going."""
        wanted = self._look()
        self._waiting = tuple(
            waiting(
                self._api, {workload for _, candidate, _ in self._sent.values() for workload in candidate.workloads}
            )
        )
        there = list(self._api.list(NODE_CLAIM.path()))
        return (
            self._sent.keys() <= self._heard.keys()
            and not self._waiting
            and len(there) == len(wanted)
            and all(map(is_ready, there))
        )

    def _warned(self) -> tuple[Warned, ...]:
        return tuple(
            Warned(node=candidate.node, claim=claim, during=during, heard=self._heard.get(claim))
            for claim, (_, candidate, during) in self._sent.items()
        )

    def _pods_that_stayed(self) -> tuple[int, tuple[str, ...]]:
        """Their number, and what became of those that are not as they were."""
        left = {self._homes[claim] for claim in self._sent if claim in self._homes}
        left |= {gone.node for gone in self._claims.gone(self._sent)}
        return compare_pods(self._pods, list(self._api.list(POD.path())), lambda node: node not in left)
