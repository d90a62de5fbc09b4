"""Warns many Spot nodes at once, and watches what becomes of the front path."""

from collections.abc import Sequence
from contextlib import ExitStack

from otel_on_spot.drills import diagnosis
from otel_on_spot.drills.drill import Drill
from otel_on_spot.drills.front_path import FrontProbe, Probe, ready_endpoints, require_served
from otel_on_spot.drills.spot_interruption import experiment
from otel_on_spot.drills.spot_interruption.candidates import Candidate
from otel_on_spot.drills.spot_interruption.run import collect_facts, warn
from otel_on_spot.drills.spot_interruption.warning import Channel, channel
from otel_on_spot.drills.spot_storm.course import Seen, Storm, choose_nodes
from otel_on_spot.drills.spot_storm.verdicts import checks, measures, verdicts
from otel_on_spot.drills.spot_storm.watch import Watch
from otel_on_spot.findings import format_count
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.report import Report
from otel_on_spot.spot_arithmetic import WARNING_SECONDS
from otel_on_spot.target import Target

FRONT_LINES = ("front-path", "answering")


def nodes_of(target: Target, api: Api, storm: Storm, *, allow_stateful: bool, fis: bool) -> list[Candidate]:
    """Choose the nodes to warn.

    Args:
        target: the platform.
        api: its API server.
        storm: which Spot nodes are meant: of a zone, of an instance type, all, or half of them.
        allow_stateful: take nodes of a pool for databases too.
        fis: AWS FIS sends the warnings, by the stack's experiment template.

    Raises:
        DrillRefusedError: there are none, one must not be interrupted, the front path is away already, or there is no
            experiment to start.
    """
    if fis:
        experiment.require(target)
    chosen = choose_nodes(collect_facts(target, api), storm, allow_stateful=allow_stateful)
    require_served(target, api)
    return chosen


def run(
    drill: Drill, storm: Storm, chosen: Sequence[Candidate], *, fis: bool, timeout: float, gap: float | None
) -> Report:
    """Warn the nodes and watch.

    Args:
        drill: under way.
        storm: which nodes these are.
        chosen: the nodes.
        fis: by an experiment of AWS FIS, where this is AWS.
        timeout: seconds from the warnings until all is whole.
        gap: how long the front path may be away, in seconds; None judges by what the stack promises.

    Raises:
        DrillRefusedError: the warnings could not be sent.
        LeaseHeldError: somebody took the lease over.
        ApiException: the server refused.
    """
    api, timeline, target = drill.api, drill.timeline, drill.target
    by = channel(target, fis=fis)
    pods, front = sum(node.pods for node in chosen), sum(node.front for node in chosen)
    nodes = format_count(len(chosen), "node")
    timeline.add("chosen", f"{nodes}, {storm.text}: {pods} pods, {front} of the front path")
    with ExitStack() as looking:
        probed = looking.enter_context(FrontProbe(drill, gap))
        # Where containers run, HTTP says whether it is served; endpoints say how many would serve.
        counted = (
            probed
            if target.simulated
            else looking.enter_context(Probe(lambda: ready_endpoints(api, drill.declared.stateful_namespace)))
        )
        began = timeline.seconds
        started = warn(drill, by, [node.instance for node in chosen])
        sent = timeline.seconds - began
        timeline.add("warned", f"{by.description} {started}".rstrip())
        watch = Watch(api, timeline, chosen, began)
        drill.wait_until(watch.heard, min(timeout, WARNING_SECONDS))
        if watch.handled:
            drill.wait_until(watch.settled, timeout)
        else:
            why = experiment.failure(target, started) if started else ""
            timeline.add("stopped", why or "Karpenter did nothing: asking the doctor")
    seen = Seen(
        storm=storm,
        warned=[node.node for node in chosen],
        timeout=timeout,
        sent=sent,
        handled=dict(watch.handled),
        drained=dict(watch.drained),
        whole=watch.whole,
        waiting=watch.waiting,
        left=watch.left,
        front=probed.front,
        endpoints=counted.samples,
    )
    return _report(drill, seen, by)


def _report(drill: Drill, seen: Seen, by: Channel) -> Report:
    judged = diagnosis.explained(drill.target, verdicts(seen), checks(seen), apart_from=FRONT_LINES)
    return drill.report(judged, measures(seen, by.description))
