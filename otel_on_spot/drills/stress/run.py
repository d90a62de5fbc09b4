"""The stress drill: suspend, see that it holds, scale, wait, hold, and put everything back, whatever happens."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from otel_on_spot.drills import undo
from otel_on_spot.drills.drill import Drill, DrillRefusedError
from otel_on_spot.drills.resilience import safe_log, signals_deferred
from otel_on_spot.drills.stress import preconditions, verdicts
from otel_on_spot.drills.stress.preconditions import Workload
from otel_on_spot.drills.stress.prices import Prices
from otel_on_spot.drills.stress.verdicts import Course
from otel_on_spot.drills.stress.verification import Before, verify
from otel_on_spot.drills.stress.watch import EVERY_SECONDS, OnSample, Sample, Watch, claims
from otel_on_spot.drills.stress.window import deny
from otel_on_spot.drills.timeline import Log
from otel_on_spot.drills.undo import Step
from otel_on_spot.findings import format_count
from otel_on_spot.kubernetes.names import NODE_POOL
from otel_on_spot.report import Moment, Report

TRIAL_SECONDS: Final = 8.0
"""Seconds that one more replica must stay before many are made. Argo CD undoes a difference within two."""
NOTICED_SECONDS: Final = 30.0
"""Seconds for Argo CD to see that replica: where it sees nothing, nobody knows whether the suspension holds."""
BESIDE_SECONDS: Final = 60.0
"""Seconds of the lease beyond waiting and holding: to begin, to see the suspension hold, and to put things back."""
Keep = Callable[[Sequence[Sample], Sequence[Moment]], None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the drill. ``hold`` and ``max_wait`` in seconds: held for, and waited at most until all pods run."""

    namespace: str
    deployment: str
    replicas: int
    hold: float
    max_wait: float


def longest_seconds(hold: float, max_wait: float) -> float:
    """Seconds that a drill may take: the lease's promise, and the end of the deny window."""
    return max_wait + hold + BESIDE_SECONDS


def run(drill: Drill, options: Options, *, log: Log, on_sample: OnSample, keep: Keep) -> Report:
    """Run the drill; the lease is held. Everything is taken back and verified before this returns or raises.

    Args:
        drill: under way.
        options: of the drill.
        log: gets a line for each thing that happens.
        on_sample: gets every sample.
        keep: gets all samples and moments at the end, whatever happened.

    Raises:
        DrillRefusedError: it may not begin, or automatic sync could not be seen to be suspended.
        LeaseHeldError: somebody took the lease over.
        NotRestoredError: something could not be taken back.
    """
    work = preconditions.workload(drill, options.namespace, options.deployment, options.replicas)
    prices = Prices(drill.target)
    estimate = _estimate(drill, work, options, prices, log)
    before = Before.take(drill)
    watch = Watch(drill, work, prices, on_sample)
    course = Course(work=work, replicas=options.replicas, hold=options.hold, max_wait=options.max_wait)
    try:
        watch.sample()
        suspend(drill)
        _trial(drill, work, options.replicas, watch)
        _scale(drill, work, options.replicas)
        _wait(drill, course, watch)
        if course.all_running is not None:
            _hold(drill, course, watch)
    finally:
        try:
            with signals_deferred(safe_log(log)):
                drill.lease.restore()
            drill.timeline.add("everything is taken back")
            restored = verify(drill, work, before, watch)
            watch.sample()
        finally:
            keep(tuple(watch.samples), drill.timeline.moments)
    measures = verdicts.measures(course, watch, estimate, _left_over(drill, before))
    report = drill.report(verdicts.verdicts(course, restored), measures)
    return replace(report, notes=(*report.notes, *prices.notes))


def _estimate(drill: Drill, work: Workload, options: Options, prices: Prices, log: Log) -> str:
    found = preconditions.headroom(drill, work, options.replicas)
    if found.short:
        log(f"warning: {found.short}; some will stay Pending")
    if found.nodes is None or found.like is None:
        estimate = "no price: there is no node of these pools to go by"
    else:
        price = prices.of(*found.like)
        nodes = format_count(found.nodes, f"{found.like[0]} node")
        what = f"about {nodes} more, like the smallest that is there ({found.like[1]})"
        hours = (options.max_wait + options.hold) / 3600
        estimate = what + (
            f", {price * found.nodes:.3f} USD/h, at most {price * found.nodes * hours:.3f} USD until it is over"
            if price is not None
            else ", no price"
        )
    log(f"{work.name}: {work.before} -> {options.replicas} replicas; {estimate}")
    return estimate


def suspend(drill: Drill) -> Step:
    """Suspend automatic sync: the window is in the lease before it is in the project.

    Raises:
        DrillRefusedError: the AppProject is not there.
    """
    declared = drill.declared
    window: Mapping[str, Any] = deny(drill.lease.written, datetime.now(UTC))
    step = undo.suspended(declared.argocd_namespace, declared.project, window)
    drill.lease.record_undo(step)
    if not undo.change_windows(drill.api, step.arguments["path"], lambda windows: [*windows, dict(window)]):
        raise DrillRefusedError(
            f"there is no AppProject {declared.project} in {declared.argocd_namespace}: nothing can be suspended. "
            f"See otel-on-spot doctor --stack {declared.stack}"
        )
    drill.timeline.add("automatic sync is suspended", f"{window['schedule']} for {window['duration']}")
    return step


def _scaled(drill: Drill, work: Workload, replicas: int) -> None:
    drill.api.merge(f"{work.path}/scale", {"spec": {"replicas": replicas}})


def _trial(drill: Drill, work: Workload, replicas: int, watch: Watch) -> None:
    """One more replica: Argo CD must see it, and leave it.

    Raises:
        DrillRefusedError: the replica was put back in spite of the suspension, or Argo CD did not notice it.
    """
    drill.lease.record_undo(undo.scaled(work.path, work.before, replicas))
    one_more = work.before + 1
    _scaled(drill, work, one_more)
    drill.timeline.add("one more replica, to see whether the suspension holds")
    began, noticed = time.monotonic(), False
    while time.monotonic() - began < (TRIAL_SECONDS if noticed else NOTICED_SECONDS):
        drill.pause(EVERY_SECONDS / 2)
        found = watch.sample()
        if found is not None and found.wanted != one_more:
            raise DrillRefusedError(
                f"automatic sync could not be suspended: {work.name} was put back from {one_more} to {found.wanted} "
                f"replicas after {time.monotonic() - began:.0f} s, though AppProject {drill.declared.project} has a "
                "deny window. Compare the clock of this machine with the cluster's, and see "
                "docs/runbooks/argocd-reverts-a-scale.md"
            )
        noticed = noticed or preconditions.sync_status(drill, work.application) == "OutOfSync"
    if not noticed:
        raise DrillRefusedError(
            f"Argo CD did not notice one more replica of {work.name} in {NOTICED_SECONDS:.0f} s: whether the "
            "suspension holds cannot be seen. Does its controller run? "
            f"kubectl -n {drill.declared.argocd_namespace} get pods"
        )
    drill.timeline.add("the suspension holds", f"OutOfSync, and not reverted for {TRIAL_SECONDS:.0f} s")


def _scale(drill: Drill, work: Workload, replicas: int) -> None:
    drill.require_lease()
    _scaled(drill, work, replicas)
    drill.timeline.add(f"scaled to {replicas}")


def _wait(drill: Drill, course: Course, watch: Watch) -> None:
    """Until all pods run, somebody reverts the scale, or the time is up."""
    began = course.scaled = drill.timeline.seconds
    while drill.timeline.seconds - began < course.max_wait:
        found = watch.sample()
        if found is not None:
            course.add(found)
            if course.reverted is not None:
                drill.timeline.add(f"reverted to {format_count(found.wanted, 'replica')}")
                return
            if found.observed and found.running >= course.replicas:
                course.all_running = found.seconds - began
                drill.timeline.add(
                    f"all {course.replicas} pods are Running", f"{course.all_running:.1f} s after the scale"
                )
                return
        drill.pause(EVERY_SECONDS)
    drill.timeline.add(f"not all pods are Running after {course.max_wait:.0f} s")


def _hold(drill: Drill, course: Course, watch: Watch) -> None:
    """As long as was asked for; shorter only where somebody reverts the scale."""
    drill.timeline.add(f"holding for {course.hold:.0f} s")
    began = drill.timeline.seconds
    while True:
        found = watch.sample()
        if found is not None:
            course.add_held(found)
            if course.reverted is not None:
                drill.timeline.add(f"reverted to {format_count(found.wanted, 'replica')}")
                break
        left = course.hold - (drill.timeline.seconds - began)
        if left <= 0:
            break
        drill.pause(min(EVERY_SECONDS, left))
    course.held = drill.timeline.seconds - began
    drill.timeline.add("held", f"{course.held:.1f} s")


def _left_over(drill: Drill, before: Before) -> str:
    more = [claim for claim in claims(drill.api) if claim.name not in before.claims]
    if not more:
        return "no NodeClaim more than before"
    after = {
        pool["metadata"]["name"]: (pool["spec"].get("disruption") or {}).get("consolidateAfter", "not said")
        for pool in drill.api.list(NODE_POOL.path())
    }
    delays = ", ".join(f"{pool}: {after.get(pool, 'not said')}" for pool in sorted({claim.pool for claim in more}))
    count = format_count(len(more), "NodeClaim")
    return f"{count} more than before; Karpenter consolidates by itself (consolidateAfter {delays})"
