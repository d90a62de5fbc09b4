"""Warns many Spot nodes at once, and watches what becomes of the front path."""

from collections.abc import Sequence
from contextlib import ExitStack

from otel_on_spot.doctor.collectors.kubernetes import pods
from otel_on_spot.drills import diagnosis
from otel_on_spot.drills.drill import Drill
from otel_on_spot.drills.front_path import FrontProbe, Probe, ready_endpoints, require_served
from otel_on_spot.drills.spot_interruption.candidates import Candidate
from otel_on_spot.drills.spot_interruption.run import collect_facts, waiting, warn
from otel_on_spot.drills.spot_interruption.warning import (
    channel,
    experiment_failure,
    require_experiment,
)
from otel_on_spot.drills.spot_storm.verdicts import Seen, Storm, checks, choose_nodes, measures, verdicts
from otel_on_spot.drills.timeline import Timeline
from otel_on_spot.findings import format_count
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.names import NODE, NODE_CLAIM
from otel_on_spot.report import Report
from otel_on_spot.spot_arithmetic import WARNING_SECONDS
from otel_on_spot.target import Target

FRONT_LINES = ("front-path", "answering")


class Watch:
    """Warned nodes. Seconds since the warnings were sent, by node.

    Args:
        api: the API server.
        timeline: of the drill.
        warned: the nodes.
        seen: takes what is seen of them.
    """

    def __init__(self, api: Api, timeline: Timeline, warned: Sequence[Candidate], seen: Seen) -> None:
        self._api, self._timeline, self._warned, self._seen = api, timeline, warned, seen
        self._began = timeline.seconds
        self._workloads = sorted({workload for node in warned for workload in node.workloads})

    def heard(self) -> bool:
        """True once every NodeClaim is being deleted."""
        claims = {claim["metadata"]["name"]: claim["metadata"] for claim in self._api.list(NODE_CLAIM.path())}
        now = self._timeline.seconds - self._began
        for node in self._warned:
            metadata = claims.get(node.claim)
            if node.node not in self._seen.handled and (metadata is None or metadata.get("deletionTimestamp")):
                self._seen.handled[node.node] = now
            if node.node not in self._seen.gone and metadata is None:
                self._seen.gone[node.node] = now
        return self._all(self._seen.handled, "handled", "NodeClaims deleted")

    def settled(self) -> bool:
        """True once all nodes are gone, and what ran there is Ready elsewhere."""
        self.heard()
        if len(self._seen.drained) < len(self._warned):
            self._drain()
        if len(self._seen.drained) == len(self._warned) and self._seen.whole is None:
            self._seen.waiting = tuple(waiting(self._api, self._workloads))
            if not self._seen.waiting:
                moment = self._timeline.add("whole", f"{len(self._workloads)} workloads")
                self._seen.whole = moment.seconds - self._began
        return self._seen.whole is not None and self._all(self._seen.gone, "gone", "nodes are gone")

    def _drain(self) -> None:
        """A node of another instance may have a warned one's name by now: its pods are none of the warned one."""
        there = {
            node["metadata"]["name"]: node["spec"].get("providerID", "").rpartition("/")[2]
            for node in self._api.list(NODE.path())
        }
        running: dict[str, list[str]] = {}
        for pod in pods(self._api):
            if pod.node and pod.owner[0] not in ("DaemonSet", "Node"):
                running.setdefault(pod.node, []).append(f"{pod.namespace}/{pod.name}")
        left: list[str] = []
        now = self._timeline.seconds - self._began
        for node in self._warned:
            if node.node in self._seen.drained:
                continue
            mine = running.get(node.node, []) if there.get(node.node) == node.instance else []
            if mine:
                left += mine
            else:
                self._seen.drained[node.node] = now
        self._seen.left = tuple(left)
        self._all(self._seen.drained, "drained", "nodes are empty")

    def _all(self, at: dict[str, float], name: str, what: str) -> bool:
        if len(at) < len(self._warned):
            return False
        if self._timeline.at(name) is None:
            self._timeline.add(name, f"all {len(self._warned)} {what}")
        return True


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
        require_experiment(target)
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
        seen = Seen(storm=storm, warned=[node.node for node in chosen], timeout=timeout)
        watch = Watch(api, timeline, chosen, seen)
        began = timeline.seconds
        started = warn(drill, by, [node.instance for node in chosen])
        seen.sent = timeline.seconds - began
        timeline.add("warned", f"{by.description} {started}".rstrip())
        drill.wait_until(watch.heard, min(timeout, WARNING_SECONDS))
        if seen.handled:
            drill.wait_until(watch.settled, timeout)
        else:
            why = experiment_failure(target, started) if started else ""
            timeline.add("stopped", why or "Karpenter did nothing: asking the doctor")
    seen.front, seen.endpoints = probed.front, counted.samples
    judged = diagnosis.explained(target, verdicts(seen), checks(seen), apart_from=FRONT_LINES)
    return drill.report(judged, measures(seen, by.description))
