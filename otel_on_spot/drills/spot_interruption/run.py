"""Warns a Spot node, and watches what becomes of it, its pods and the front path."""

from collections.abc import Sequence
from datetime import UTC, datetime

from otel_on_spot.doctor.collectors.kubernetes import SharedLists, pods
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.drills import diagnosis
from otel_on_spot.drills.drill import Drill
from otel_on_spot.drills.front_path import FrontProbe, require_served
from otel_on_spot.drills.spot_interruption import experiment
from otel_on_spot.drills.spot_interruption.candidates import Candidate, choose, judge_nodes
from otel_on_spot.drills.spot_interruption.verdicts import CHECKS, REPLACING, Interruption, verdicts
from otel_on_spot.drills.spot_interruption.warning import FIS, Channel, channel, send
from otel_on_spot.drills.spot_interruption.watch import Watch
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.names import NODE, NODE_CLAIM
from otel_on_spot.report import Report
from otel_on_spot.spot_arithmetic import WARNING_SECONDS
from otel_on_spot.target import Target


def choose_node(target: Target, api: Api, node: str | None, *, allow_stateful: bool, fis: bool) -> Candidate:
    """Choose the node to interrupt.

    Args:
        target: the platform.
        api: its API server.
        node: name of the wanted one; None takes the best candidate.
        allow_stateful: take a node of a pool for databases too.
        fis: AWS FIS sends the warning, by the stack's experiment template.

    Raises:
        DrillRefusedError: none may be, the front path is away already, or there is no experiment to start.
    """
    if fis:
        experiment.require(target)
    chosen = choose(judge_nodes(collect_facts(target, api), allow_stateful=allow_stateful), node)
    require_served(target, api)
    return chosen


def collect_facts(target: Target, api: Api) -> Facts:
    """What candidates are judged by: nodes, pods, NodeClaims."""
    lists = SharedLists(api)
    return Facts(
        taken_at=datetime.now(UTC),
        declared=target.declared,
        nodes=lists.parsed(NODE),
        pods=pods(api),
        node_claims=lists.parsed(NODE_CLAIM),
        terminating=lists.terminating(),
    )


def warn(drill: Drill, by: Channel, instances: Sequence[str]) -> str:
    """Send warnings, one to each instance; the experiment's id, where one sends them.

    Raises:
        DrillRefusedError: they could not be sent.
    """
    if by is FIS:
        return experiment.start(drill.target, drill.lease.record_undo, instances)
    send(drill.target, by, instances)
    return ""


def run(drill: Drill, chosen: Candidate, *, fis: bool, timeout: float, gap: float | None) -> Report:
    """Warn the node and watch.

    Args:
        drill: under way.
        chosen: the node.
        fis: by an experiment of AWS FIS, where this is AWS.
        timeout: seconds from the warning until all is over.
        gap: how long the front path may be away, in seconds; None judges by what the stack promises.

    Raises:
        DrillRefusedError: the warning could not be sent.
        LeaseHeldError: somebody took the lease over.
        ApiException: the server refused.
    """
    api, timeline = drill.api, drill.timeline
    before = {claim["metadata"]["name"] for claim in api.list(NODE_CLAIM.path())}
    by = channel(drill.target, fis=fis)
    timeline.add("chosen", f"{chosen.node}, {chosen.instance}: {chosen.pods} pods, {chosen.front} of the front path")
    with FrontProbe(drill, gap) as probed:
        started = warn(drill, by, [chosen.instance])
        timeline.add("warned", f"{by.description} {started}".rstrip())
        watch = Watch(api, timeline, chosen, before)
        if drill.wait_until(watch.heard, min(timeout, WARNING_SECONDS)):
            drill.wait_until(watch.settled, timeout)
        else:
            why = experiment.failure(drill.target, started) if started else ""
            timeline.add("stopped", why or "Karpenter did nothing: asking the doctor")
    seen = Interruption(
        node=chosen.node,
        instance=chosen.instance,
        timeout=timeout,
        at=dict(watch.at),
        replacement=watch.replacement,
        waiting=watch.waiting,
        left=watch.left,
        front=probed.front,
    )
    return _report(drill, seen, by)


def _report(drill: Drill, seen: Interruption, by: Channel) -> Report:
    judged = diagnosis.explained(drill.target, verdicts(seen), REPLACING if seen.heard else CHECKS)
    measures = {"warning": by.description, "front path": seen.front.text}
    return drill.report(judged, measures)
