"""Warns a Spot node, and watches what becomes of it, its pods and the front path."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from otel_on_spot.doctor.collectors.kubernetes import SharedLists, pods
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.drills import diagnosis
from otel_on_spot.drills.drill import Drill, DrillRefused
from otel_on_spot.drills.following import follow
from otel_on_spot.drills.kubernetes_api import Api
from otel_on_spot.drills.spot_interruption import experiment, probe
from otel_on_spot.drills.spot_interruption.candidates import Candidate, candidates, choose
from otel_on_spot.drills.spot_interruption.probe import Probe
from otel_on_spot.drills.spot_interruption.verdicts import LINES, NOTICE_SECONDS, REPLACING, Interruption, verdicts
from otel_on_spot.drills.spot_interruption.warning import FIS, Way, send, way
from otel_on_spot.drills.spot_interruption.watched import Watch
from otel_on_spot.kubernetes.names import NODE, NODE_CLAIM
from otel_on_spot.report import Report, Verdict
from otel_on_spot.target import Target

ENDPOINTS: Final = "Service {namespace}/{service}'s ready endpoints (no containers run in a lab)"
HTTP: Final = "Service {namespace}/{service} by HTTP through the API server's proxy"


def plan(target: Target, api: Api, node: str | None, *, allow_stateful: bool, fis: bool) -> Candidate:
    """The node that would be interrupted.

    Raises:
        DrillRefused: none may be, the front path is away already, or there is no experiment to start.
    """
    if fis:
        experiment.require(target)
    lists = SharedLists(api)
    facts = Facts(
        taken_at=datetime.now(UTC),
        declared=target.declared,
        nodes=lists.facts(NODE),
        pods=pods(api),
        node_claims=lists.facts(NODE_CLAIM),
        terminating=lists.terminating(),
    )
    chosen = choose(candidates(facts, allow_stateful=allow_stateful), node)
    look, told = front_path(target, api)
    if not look():
        raise DrillRefused(
            f"{told}: nothing is served, before any drill. A drill shows what an interruption does to a platform that is well: "
            f"see otel-on-spot doctor --stack {target.declared.stack}"
        )
    return chosen


def front_path(target: Target, api: Api) -> tuple[Callable[[], bool], str]:
    """How to look at the front path, and its name."""
    namespace = target.declared.stateful_namespace
    if target.simulated:
        return lambda: probe.ready_endpoints(api, namespace), ENDPOINTS.format(
            namespace=namespace, service=probe.SERVICE
        )
    return lambda: probe.through_the_proxy(api, namespace), HTTP.format(namespace=namespace, service=probe.SERVICE)


def rehearse(drill: Drill, chosen: Candidate, *, fis: bool, patience: float, gap: float) -> Report:
    """Warn the node and watch.

    Args:
        fis: by an experiment of AWS FIS, where this is AWS.
        patience: seconds from the warning until all is over.
        gap: how long the front path may be away, in seconds.

    Raises:
        DrillRefused: the warning could not be sent.
        LeaseHeld: somebody took the lease over.
        ApiException: the server refused.
    """
    api, timeline = drill.api, drill.timeline
    look, told = front_path(drill.target, api)
    before = {one["metadata"]["name"] for one in api.list(NODE_CLAIM.path())}
    by = way(drill.target, fis=fis)
    timeline.add("chosen", f"{chosen.node}, {chosen.instance}: {chosen.pods} pods, {chosen.front} of the front path")
    with Probe(look) as probed:
        started = ""
        if by is FIS:
            started = experiment.start(drill.target, drill.hold.will, chosen.instance)
        else:
            send(drill.target, by, chosen.instance)
        timeline.add("warned", f"{by.told} {started}".rstrip())
        watch = Watch(api, timeline, chosen, before)
        if follow(drill, watch.heard, min(patience, NOTICE_SECONDS)):
            follow(drill, watch.settled, patience)
        else:
            why = experiment.failure(drill.target, started) if started else ""
            timeline.add("stopped", why or "Karpenter did nothing: asking the doctor")
        front = probed.seen
    seen = Interruption(
        node=chosen.node,
        instance=chosen.instance,
        patience=patience,
        at=dict(watch.at),
        replacement=watch.replacement,
        waiting=watch.waiting,
        left=watch.left,
        front=front,
        probe=told,
        longest_gap_allowed=gap,
        namespace=drill.declared.stateful_namespace,
    )
    return _report(drill, seen, by)


def _report(drill: Drill, seen: Interruption, by: Way) -> Report:
    lines = verdicts(seen)
    causes: tuple[Verdict, ...] = ()
    if any(one.status == "found" and one.id != "front-path" for one in lines):
        wanted = REPLACING if seen.heard else LINES
        causes = diagnosis.causes(diagnosis.look(drill.target), wanted)
    measures = {
        "warning": by.told,
        "front path": f"{seen.front.ratio:.2%} of {seen.front.looks} looks served, longest gap {seen.front.longest_gap:.1f} s: {seen.probe}",
    }
    return drill.report((*lines, *causes), measures)
