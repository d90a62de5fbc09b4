"""The watch over many warned nodes: a list of each kind a look, however many nodes there are."""

from collections.abc import Sequence

from otel_on_spot.doctor.collectors.kubernetes import pods
from otel_on_spot.drills.spot_interruption.candidates import Candidate
from otel_on_spot.drills.spot_interruption.watch import waiting
from otel_on_spot.drills.timeline import Timeline
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.kubernetes.names import NODE, NODE_CLAIM


class Watch:
    """Warned nodes. Seconds since the warnings were sent, by node.

    Args:
        api: the API server.
        timeline: of the drill.
        warned: the nodes.
        sent: when the first warning was sent, in seconds of the timeline.
    """

    def __init__(self, api: Api, timeline: Timeline, warned: Sequence[Candidate], sent: float) -> None:
        self._api, self._timeline, self._warned, self._sent = api, timeline, warned, sent
        self._workloads = sorted({workload for node in warned for workload in node.workloads})
        self.handled: dict[str, float] = {}
        self.drained: dict[str, float] = {}
        self.gone: dict[str, float] = {}
        self.whole: float | None = None
        self.waiting: tuple[str, ...] = ()
        self.left: tuple[str, ...] = ()

    def heard(self) -> bool:
        """True once every NodeClaim is being deleted."""
        claims = {claim["metadata"]["name"]: claim["metadata"] for claim in self._api.list(NODE_CLAIM.path())}
        now = self._timeline.seconds - self._sent
        for node in self._warned:
            metadata = claims.get(node.claim)
            if node.node not in self.handled and (metadata is None or metadata.get("deletionTimestamp")):
                self.handled[node.node] = now
            if node.node not in self.gone and metadata is None:
                self.gone[node.node] = now
        return self._all(self.handled, "handled", "NodeClaims deleted")

    def settled(self) -> bool:
        """True once all nodes are gone, and what ran there is Ready elsewhere."""
        self.heard()
        if len(self.drained) < len(self._warned):
            self._drain()
        if len(self.drained) == len(self._warned) and self.whole is None:
            self.waiting = tuple(waiting(self._api, self._workloads))
            if not self.waiting:
                moment = self._timeline.add("whole", f"{len(self._workloads)} workloads")
                self.whole = moment.seconds - self._sent
        return self.whole is not None and self._all(self.gone, "gone", "nodes are gone")

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
        now = self._timeline.seconds - self._sent
        for node in self._warned:
            if node.node in self.drained:
                continue
            mine = running.get(node.node, []) if there.get(node.node) == node.instance else []
            if mine:
                left += mine
            else:
                self.drained[node.node] = now
        self.left = tuple(left)
        self._all(self.drained, "drained", "nodes are empty")

    def _all(self, at: dict[str, float], name: str, what: str) -> bool:
        if len(at) < len(self._warned):
            return False
        if self._timeline.at(name) is None:
            self._timeline.add(name, f"all {len(self._warned)} {what}")
        return True
