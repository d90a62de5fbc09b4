"""What each alert must and must not fire on: series by the minute, and which alerts fire when.

Series are in promtool's notation: ``1x30`` is one for half an hour, ``_x20`` nothing yet, ``0+60x10`` one minute more
each minute. Every case begins with a healthy platform; ``series`` adds to it, and takes the place of what has the same
labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

START: Final = "2026-06-01T00:00:00Z"
START_SECONDS: Final = 1780272000
HOUR: Final = 60
KARPENTER: Final = 'job="karpenter", instance="10.0.0.1:8080"'
RESTARTED: Final = 'job="karpenter", instance="10.0.0.2:8080"'
ARGOCD: Final = 'job="argocd-application-controller", instance="10.0.0.3:8082"'
CONTROLLER_TOO: Final = 'job="argocd-application-controller", instance="10.0.0.4:8082"'

LAUNCHES: Final = "karpenter_cloudprovider_instance_launch_failures_total"
ERRORS: Final = "karpenter_cloudprovider_errors_total"
TERMINATED: Final = f'karpenter_nodeclaims_terminated_total{{nodepool="spot", capacity_type="spot", {KARPENTER}}}'
RECEIVED: Final = "karpenter_interruption_received_messages_total"
SYNCS: Final = "argocd_app_sync_total"
WRITES: Final = "argocd_kubectl_requests_total"


@dataclass(frozen=True)
class Case:
    """``fires``: minute -> the alerts that fire then, beside the heartbeat; all others are silent.

    ``without``: series of the healthy platform that are not there at all.
    """

    name: str
    series: Mapping[str, str]
    fires: Mapping[int, frozenset[str]]
    without: frozenset[str] = frozenset()
    start: str = START
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def slow(self) -> bool:
        """Whether it takes hours: then rules are evaluated every ten minutes."""
        return max(self.fires) > 2 * HOUR


def _labelled(metric: str, *labels: str) -> str:
    return f"{metric}{{{', '.join(labels)}}}"


def _told(labels: Mapping[str, str]) -> list[str]:
    return [f'{label}="{value}"' for label, value in labels.items()]


def started(of: str) -> str:
    """The series by which a target says when it was started."""
    return _labelled("process_start_time_seconds", of)


def up(job: str) -> str:
    """The series by which Prometheus says that it reaches a target."""
    return _labelled("up", job)


def app(**changed: str) -> str:
    """``argocd_app_info`` of the demo."""
    labels = {
        "namespace": "argocd", "name": "otel-demo", "project": "platform", "autosync_enabled": "true",
        "sync_status": "Synced", "health_status": "Healthy", "operation": "",
    } | changed  # fmt: skip
    return _labelled("argocd_app_info", *_told(labels), ARGOCD)


def pod(name: str, owner: str, **changed: str) -> str:
    """``karpenter_pods_state`` of a pod of the demo."""
    group = "batch" if owner.startswith("jobs/") else "apps"
    path = f"{group}/v1/namespaces/{changed.get('namespace', 'otel-demo')}"
    labels = {
        "namespace": "otel-demo", "name": name, "owner": f"/apis/{path}/{owner}",
        "node": "n1", "nodepool": "spot", "capacity_type": "spot", "phase": "Running",
    } | changed  # fmt: skip
    return _labelled("karpenter_pods_state", *_told(labels), KARPENTER)


def claim(kind: str, status: str, name: str = "spot-x") -> str:
    """How long a NodeClaim has had a condition."""
    condition = f'type="{kind}", status="{status}", reason="{kind}"'
    return _labelled(
        "operator_nodeclaim_status_condition_current_status_seconds",
        f'karpenter_sh_nodepool="spot", name="{name}", {condition}',
        KARPENTER,
    )


def ending(name: str, of: str = KARPENTER) -> str:
    """How long a NodeClaim has been ending."""
    return _labelled(
        "operator_nodeclaim_termination_current_time_seconds", f'name="{name}", karpenter_sh_nodepool="spot"', of
    )


def node(name: str, status: str, pool: str = "spot", kind: str = "Ready", of: str = KARPENTER) -> str:
    """How long a node has had a condition."""
    condition = f'type="{kind}", status="{status}", reason="Kubelet{kind}"'
    return _labelled(
        "operator_node_status_condition_current_status_seconds",
        f'karpenter_sh_nodepool="{pool}", name="{name}", {condition}',
        of,
    )


def node_class(status: str, kind: str = "Ready", of: str = KARPENTER) -> str:
    """Whether the EC2NodeClass has a condition."""
    return _labelled(NODE_CLASS, f'name="default", type="{kind}", status="{status}", reason="{kind}"', of)


def cluster(version: str) -> str:
    """``argocd_cluster_info`` of the cluster."""
    return _labelled("argocd_cluster_info", f'k8s_version="{version}", name="in-cluster"', ARGOCD)


def launch(capacity_type: str, reason: str, of: str = KARPENTER) -> str:
    """Launches that EC2 refused."""
    return _labelled(LAUNCHES, f'capacity_type="{capacity_type}", reason="{reason}", zone="a", zone_id="z"', of)


def create(error: str, of: str = KARPENTER) -> str:
    """NodeClaims that Karpenter could not launch at all."""
    return _labelled(ERRORS, f'controller="nodeclaim.lifecycle", method="Create", provider="aws", error="{error}"', of)


def received(kind: str, of: str = KARPENTER) -> str:
    """Messages that Karpenter took from the queue."""
    return _labelled(RECEIVED, f'message_type="{kind}"', of)


def pool(metric: str, resource: str = "cpu", of: str = KARPENTER, name: str = "spot") -> str:
    """Usage or limit of a pool."""
    return _labelled(f"karpenter_nodepools_{metric}", f'nodepool="{name}", resource_type="{resource}"', of)


def allowed(reason: str = "Drifted", of: str = KARPENTER, name: str = "spot") -> str:
    """Nodes that the budgets of a pool let go."""
    return _labelled("karpenter_nodepools_allowed_disruptions", f'nodepool="{name}", reason="{reason}"', of)


def eligible(reason: str = "drifted", of: str = KARPENTER) -> str:
    """Nodes that wait for a budget."""
    return _labelled("karpenter_voluntary_disruption_eligible_nodes", f'reason="{reason}"', of)


def synced(phase: str, **changed: str) -> str:
    """Syncs of the demo's Application that ended."""
    labels = {"name": "otel-demo", "namespace": "argocd", "phase": phase, "dry_run": "false"} | changed
    return _labelled(SYNCS, *_told(labels), ARGOCD)


def waited(seconds: Mapping[str, str], of: str = KARPENTER) -> dict[str, str]:
    """Buckets of the time that messages wait. ``seconds``: bound -> values."""
    metric = "karpenter_interruption_message_queue_duration_seconds_bucket"
    return {_labelled(metric, f'le="{bound}"', of): values for bound, values in seconds.items()}


def compared(seconds: Mapping[str, str], server: str = "s") -> dict[str, str]:
    """Buckets of the time that a comparison with Git takes. ``seconds``: bound -> values."""
    labels = f'dest_server="{server}", namespace="argocd"'
    return {
        _labelled("argocd_app_reconcile_bucket", f'le="{bound}"', labels, ARGOCD): values
        for bound, values in seconds.items()
    }


ALLOWED: Final = allowed()
ELIGIBLE: Final = eligible()
NODE_CLASS: Final = "operator_ec2nodeclass_status_condition_count"
STARTED: Final = started(KARPENTER)
HEALTHY: Final = {
    up(KARPENTER): "1",
    up(ARGOCD): "1",
    STARTED: str(START_SECONDS - 86400),
    app(): "1",
    app(name="platform"): "1",
    cluster("1.35"): "1",
    pod("kafka-7d9f-x", "replicasets/kafka-7d9f", nodepool="data", capacity_type="on-demand"): "1",
    pod("opensearch-0", "statefulsets/opensearch", nodepool="data", capacity_type="on-demand"): "1",
    pod("frontend-5f-a", "replicasets/frontend-5f"): "1",
    pod("kafka-exporter-5f-a", "replicasets/kafka-exporter-5f"): "1",
    pod("stateful-placement-x", "jobs/stateful-placement-postsync", phase="Succeeded"): "1",
    claim("Registered", "True"): "5000",
    node("n1", "True"): "100000",
    node("system", "True", pool=""): "100000",
    pool("usage"): "10",
    pool("limit"): "100",
    pool("usage", "nodes"): "3",
    ALLOWED: "1",
    ELIGIBLE: "1",
    node_class("True"): "1",
    node_class("Unknown", "CapacityReservationsReady"): "1",
    # What an alert's condition is not about.
    claim("Drifted", "False"): "100000",
    claim("Consolidatable", "True"): "100000",
    claim("Consolidatable", "False", "spot-y"): "100000",
    node("n1", "False", kind="MemoryPressure"): "100000",
    pod(
        "coredns-5f-a", "replicasets/coredns-5f", namespace="kube-system", capacity_type="on-demand", nodepool="x"
    ): "1",
    pod("ad-5f-a", "replicasets/ad-5f", capacity_type="on-demand", nodepool=""): "1",
    pod("seed-a", "jobs/seed", capacity_type="on-demand", nodepool="on-demand", phase="Succeeded"): "1",
    pod("kafka-7d9f-old", "replicasets/kafka-7d9f", phase="Succeeded"): "1",
    pod("guard-a", "jobs/pod-lifecycle", namespace="other", phase="Failed"): "1",
    pod("guard-b", "jobs/pod-lifecycle", phase="Running"): "1",
}
"""Series of a platform on which nothing is wrong; each holds for the whole case."""


def _alerts(*names: str) -> frozenset[str]:
    return frozenset(names)


SILENT: Final = _alerts()


@dataclass(frozen=True)
class Counter:
    """A counter that a record adds up over a window, from its birth.

    Attributes:
        metric: that is counted.
        minutes: of the window.
        by: labels that the record keeps.
        apart: a label that it adds up over, with two of its values.
        counts: label -> further values that count, each as a row of its own or added up, as ``by`` says.
        never: labels of series that do not count.
    """

    metric: str
    minutes: int
    by: Mapping[str, str]
    apart: tuple[str, str, str]
    counts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    never: tuple[Mapping[str, str], ...] = ()

    def series(self, of: str, changed: Mapping[str, str] | None = None) -> str:
        """A series of one target."""
        label, value, _ = self.apart
        first = {key: values[0] for key, values in self.counts.items()}
        return _labelled(self.metric, *_told({**self.by, label: value, **first, **(changed or {})}), of)

    def row(self, changed: Mapping[str, str] | None = None) -> str:
        """Labels of the record's row that such a series adds to."""
        return _labelled("", *_told({**self.by, **{k: v for k, v in (changed or {}).items() if k in self.by}}))


_LAUNCHES_BY: Final = {"capacity_type": "spot", "reason": "LaunchFailed"}
COUNTERS: Final[Mapping[str, Counter]] = {
    "platform:launch_failures:15m": Counter(LAUNCHES, 15, _LAUNCHES_BY, ("zone", "a", "b")),
    "platform:launch_failures:1h": Counter(LAUNCHES, 60, _LAUNCHES_BY, ("zone", "a", "b")),
    "platform:create_errors:15m": Counter(
        ERRORS, 15, {"error": "E"}, ("provider", "aws", "b"), {"method": ("Create",)}, ({"method": "Delete"},)
    ),
    "platform:nodeclaims_terminated:1h": Counter(
        "karpenter_nodeclaims_terminated_total", 60, {}, ("nodepool", "a", "b"),
        {"capacity_type": ("spot", "on-demand")}, ({"capacity_type": ""},),
    ),
    "platform:interruption_messages:1h": Counter(RECEIVED, 60, {}, ("message_type", "no_op", "spot_interrupted")),
    "platform:failed_syncs:15m": Counter(
        SYNCS, 15, {"namespace": "argocd", "name": "a"}, ("dry_run", "false", "b"), {"phase": ("Failed", "Error")},
        ({"phase": "Succeeded"}, {"phase": "Running"}),
    ),
    "platform:refused_writes:15m": Counter(
        WRITES, 15, {"code": "403", "method": "PATCH"}, ("host", "a", "b"),
        {"code": ("403", "422", "500"), "method": ("PATCH", "POST", "PUT", "DELETE")},
        ({"code": "404"}, {"code": "409"}, {"method": "GET"}),
    ),
}  # fmt: skip
"""Every record of a counter; a test compares."""

CASES: Final = (
    Case("healthy: all alerts are silent", {}, {0: SILENT, 45: SILENT}),
    Case(
        "no series at all: only the absences are told",
        {},
        {4: SILENT, 6: _alerts("KarpenterDown", "ArgoCdDown")},
        frozenset(HEALTHY),
    ),
    Case(
        "healthy for a day: nodes end, and the queue tells of it",
        {TERMINATED: "0+1x1600", received("instance_terminated"): "0+2x1600", received("no_op"): "0+4x1600"},
        {HOUR: SILENT, 12 * HOUR: SILENT, 26 * HOUR: SILENT},
    ),
    # Lesson 1.
    Case(
        "a claim is not registered after five minutes",
        {claim("Registered", "Unknown"): "0+60x30"},
        {5: SILENT, 6: _alerts("NodeNeverJoins"), 14: _alerts("NodeNeverJoins")},
    ),
    Case(
        "a claim that was given up and made anew keeps it firing",
        {
            claim("Registered", "Unknown"): "0+60x14 stale",
            claim("Registered", "Unknown", "spot-y"): "_x15 0+60x4 stale",
        },
        {14: _alerts("NodeNeverJoins"), 18: _alerts("NodeNeverJoins"), 30: SILENT},
    ),
    Case(
        "a claim registers within five minutes",
        {
            claim("Registered", "Unknown", "spot-z"): "0+60x4 stale",
            claim("Registered", "True", "spot-z"): "_x5 0+60x20",
        },
        {6: SILENT, 20: SILENT},
    ),
    # Launches.
    Case(
        "a first refused launch is the birth of its counter",
        {launch("on-demand", "Unauthorized"): "_x20 1x30"},
        {24: SILENT, 26: _alerts("LaunchFailures"), 45: SILENT},
    ),
    Case(
        "a refused launch from before Prometheus is old news",
        {launch("on-demand", "Unauthorized"): "7x60"},
        {6: SILENT, 16: SILENT, 40: SILENT},
    ),
    Case(
        "a launch refused by a Karpenter that has just started",
        {
            up(RESTARTED): "_x20 1x30",
            started(RESTARTED): f"_x20 {START_SECONDS + 1190}x30",
            launch("on-demand", "VCPULimitExceeded", RESTARTED): "_x20 2x30",
        },
        {26: _alerts("LaunchFailures"), 45: SILENT},
    ),
    Case(
        "a counter that begins anew in a restarted container counts from there",
        {launch("on-demand", "Unauthorized"): "9x20 1x30"},
        {19: SILENT, 28: _alerts("LaunchFailures"), 45: SILENT},
    ),
    Case(
        "a call that EC2 refuses as a whole",
        {create(""): "2x20 3x30"},
        {19: SILENT, 28: _alerts("LaunchFailures"), 45: SILENT},
    ),
    Case(
        "no Spot in any type and zone",
        {launch("spot", "LaunchFailed"): "_x20 40x30", create("InsufficientCapacityError"): "_x20 1x30"},
        {21: SILENT, 23: _alerts("SpotRunsDry"), 45: SILENT},
    ),
    Case(
        "the quota of Spot is used up",
        {
            launch("spot", "LaunchFailed"): "5x90",
            launch("spot", "SpotQuotaExceeded"): "_x20 1x30",
            create("InsufficientCapacityError"): "_x20 1x30",
        },
        {23: _alerts("SpotRunsDry"), 30: _alerts("SpotRunsDry"), 45: SILENT},
    ),
    Case(
        "some Spot types are dry, and the launch works with others",
        {launch("spot", "LaunchFailed"): "_x20 40x30"},
        {23: SILENT, 30: SILENT},
    ),
    Case(
        "On-Demand runs dry, which is no drought of Spot",
        {launch("on-demand", "LaunchFailed"): "_x20 4x30", create("InsufficientCapacityError"): "_x20 1x30"},
        {25: SILENT},
    ),
    # The way back to Spot.
    Case(
        "stateless pods stay on On-Demand while Spot is to be had",
        {
            pod("cart-6f-a", "replicasets/cart-6f", nodepool="on-demand", capacity_type="on-demand"): "1x600",
            pod("ad-6f-a", "replicasets/ad-6f", nodepool="on-demand", capacity_type="on-demand"): "1x600",
        },
        {5 * HOUR: SILENT, 6 * HOUR + 20: _alerts("FallbackStuck")},
    ),
    Case(
        "pods that are meant to be On-Demand are there: the front path's floor, databases, and a pod of each node",
        {
            pod(f"{name}-a", owner, nodepool="on-demand", capacity_type="on-demand"): "1x600"
            for name, owner in {
                "frontend-on-demand-5f": "replicasets/frontend-on-demand-5f",
                "kafka-7d9f": "replicasets/kafka-7d9f",
                "astronomy-db-7d9f": "replicasets/astronomy-db-7d9f",
                "postgresql-7d9f": "replicasets/postgresql-7d9f",
                "prometheus-7d9f": "replicasets/prometheus-7d9f",
                "valkey-cart-7d9f": "replicasets/valkey-cart-7d9f",
                "opensearch-1": "statefulsets/opensearch",
                "otel-collector-agent": "daemonsets/otel-collector-agent",
            }.items()
        }
        | {
            # Evicted a while ago, and left there.
            pod("cart-6f-a", "replicasets/cart-6f", nodepool="on-demand", capacity_type="on-demand", phase="Failed"): (
                "1x600"
            )
        },
        {6 * HOUR + 20: SILENT},
    ),
    Case(
        "stateless pods stay on On-Demand, and each hour one launch on Spot is refused",
        {
            pod("cart-6f-a", "replicasets/cart-6f", nodepool="on-demand", capacity_type="on-demand"): "1x600",
            **{
                launch("spot", "LaunchFailed").replace('zone="a"', f'zone="{hour}"'): f"_x{60 * hour} 1x600"
                for hour in range(1, 9)
            },
        },
        {8 * HOUR + 20: SILENT},
    ),
    Case(
        "stateless pods stay on On-Demand, and Spot is still dry",
        {
            pod("cart-6f-a", "replicasets/cart-6f", nodepool="on-demand", capacity_type="on-demand"): "1x600",
            launch("spot", "LaunchFailed"): "1x54 2x59 3x59 4x59 5x59 6x59 7x59 8x59 9x59",
            launch("spot", "SpotQuotaExceeded"): "5x600",
        },
        {7 * HOUR: SILENT},
    ),
    # Pods and pools.
    Case(
        "a pod finds no node",
        {_labelled("karpenter_pods_unbound_time_seconds", 'name="p", namespace="otel-demo"', KARPENTER): "0+60x30"},
        {10: SILENT, 11: _alerts("PodsUnbound")},
    ),
    Case(
        "pods come and go, and each waits for less than five minutes",
        {_labelled("karpenter_pods_unbound_time_seconds", 'name="p", namespace="otel-demo"', KARPENTER): "290x30"},
        {20: SILENT},
    ),
    Case(
        "a pod finds its node in time",
        {
            _labelled(
                "karpenter_pods_unbound_time_seconds", 'name="p", namespace="otel-demo"', KARPENTER
            ): "0+60x6 stale"
        },
        {8: SILENT, 20: SILENT},
    ),
    Case("a pool is nearly full", {pool("usage"): "86x30"}, {14: SILENT, 16: _alerts("PoolNearLimit")}),
    Case("a pool is full up to its alert's edge", {pool("usage"): "85x30"}, {20: SILENT}),
    Case(
        "a pool has a limit of zero, or none",
        {pool("limit"): "0x30", pool("usage", "memory"): "9e12x30", pool("usage"): "0x30"},
        {20: SILENT},
    ),
    Case(
        "a node does not end",
        {ending("spot-x"): "0+60x40"},
        {21: SILENT, 22: _alerts("TerminationStuck")},
    ),
    Case(
        "a node is unready, and repair does not come",
        {node("n2", "Unknown"): "0+60x60"},
        {46: SILENT, 47: _alerts("RepairHeld")},
    ),
    Case(
        "a system node is unready, which Karpenter does not repair",
        {node("system", "False", pool=""): "0+60x60"},
        {55: SILENT},
    ),
    Case(
        "a node has been drifted for more than a day",
        {claim("Drifted", "True"): "86340+60x30"},
        {6: SILENT, 8: _alerts("DriftHeld")},
    ),
    Case(
        "a budget has allowed nothing for a day",
        {ALLOWED: "0x1600", pool("usage", "nodes"): "1x1600"},
        {23 * HOUR: SILENT, 24 * HOUR + 20: _alerts("DisruptionBlocked")},
    ),
    Case(
        "a budget allowed nothing when a node had drifted, and none is drifted now",
        {ALLOWED: "0x1600", ELIGIBLE: "1x60 0x1540"},
        {24 * HOUR + 20: SILENT, 26 * HOUR: SILENT},
    ),
    Case(
        "a budget allows nothing in working hours",
        {ALLOWED: "1x60 0x660 1x780 0x660"},
        {11 * HOUR: SILENT, 26 * HOUR: SILENT},
    ),
    Case(
        "a budget of a pool without nodes allows nothing",
        {ALLOWED: "0x1600", pool("usage", "nodes"): "0x1600"},
        {25 * HOUR: SILENT},
    ),
    Case(
        "a node class is not ready",
        {node_class("False"): "1x30"},
        {4: SILENT, 6: _alerts("NodeClassNotReady")},
    ),
    # Lesson 2.
    Case(
        "a database runs on Spot",
        {pod("kafka-9-a", "replicasets/kafka-9"): "1x30"},
        {1: SILENT, 3: _alerts("DatabaseOnSpot")},
    ),
    Case(
        "a database of a StatefulSet runs on Spot",
        {pod("opensearch-1", "statefulsets/opensearch"): "1x30"},
        {3: _alerts("DatabaseOnSpot")},
    ),
    Case(
        "a database's pod on Spot is over",
        {pod("kafka-9-a", "replicasets/kafka-9", phase="Failed"): "1x30"},
        {5: SILENT},
    ),
    Case(
        "the guard has failed",
        {
            pod("stateful-placement-x", "jobs/stateful-placement-postsync", phase="Succeeded"): "1x5 stale",
            pod("stateful-placement-y", "jobs/stateful-placement-postsync", phase="Failed"): "_x6 1x30",
        },
        {10: SILENT, 12: _alerts("PlacementGuardFails")},
    ),
    Case(
        "the guard fails once and tries again",
        {pod("stateful-placement-y", "jobs/stateful-placement-postsync", phase="Failed"): "1x30"},
        {10: SILENT},
    ),
    Case(
        "the guard fails with every retry of the sync, each of which makes its Job anew",
        {
            pod("stateful-placement-x", "jobs/stateful-placement-postsync", phase="Succeeded"): "1x5 stale",
            pod("stateful-placement-a", "jobs/stateful-placement-postsync", phase="Failed"): "_x6 1 1 stale",
            pod("stateful-placement-b", "jobs/stateful-placement-postsync", phase="Running"): "_x8 1 stale",
            pod("stateful-placement-c", "jobs/stateful-placement-postsync", phase="Failed"): "_x10 1 1 stale",
        },
        {10: SILENT, 13: _alerts("PlacementGuardFails"), 18: _alerts("PlacementGuardFails"), 25: SILENT},
    ),
    Case(
        "the guard has succeeded since, and Karpenter, who tells of its pods, is not reached",
        {
            up(KARPENTER): "1x5 0x30",
            pod("stateful-placement-x", "jobs/stateful-placement-postsync", phase="Succeeded"): "stale",
            pod("stateful-placement-y", "jobs/stateful-placement-postsync", phase="Failed"): "1x4 stale",
            pod("stateful-placement-z", "jobs/stateful-placement-postsync", phase="Succeeded"): "_x5 1 stale",
        },
        {13: _alerts("KarpenterDown")},
    ),
    # Lesson 3.
    Case(
        "nodes end, and a queue that never delivered has no series",
        {TERMINATED: "_x70 1x50"},
        {84: SILENT, 86: _alerts("InterruptionPathDead")},
    ),
    Case(
        "nodes end, and the queue delivers as before",
        {TERMINATED: "_x70 1x50", received("instance_terminated"): "5x70 7x50"},
        {90: SILENT},
    ),
    Case(
        "nodes end, and the first message is the birth of its counter",
        {TERMINATED: "_x70 1x50", received("instance_terminated"): "_x71 1x50"},
        {90: SILENT, 110: SILENT},
    ),
    Case(
        "nodes ended, and the queue fell silent",
        {TERMINATED: "0+1x240", received("instance_terminated"): "0+1x100 100x200"},
        {2 * HOUR + 30: SILENT, 3 * HOUR + 20: _alerts("InterruptionPathDead")},
    ),
    Case(
        "claims end that a drought gave no instance",
        {'karpenter_nodeclaims_terminated_total{nodepool="spot", capacity_type="", ' + KARPENTER + "}": "_x70 4x50"},
        {90: SILENT},
    ),
    Case("nodes ended before Prometheus began", {TERMINATED: "9x100"}, {30: SILENT, 90: SILENT}),
    Case(
        "Karpenter's leader changes between the end of a node and its message",
        {
            TERMINATED: "_x70 1x2 stale",
            up(RESTARTED): "1x120",
            started(RESTARTED): "0x120",
            received("instance_terminated", RESTARTED): "_x73 1x40",
        },
        {90: SILENT, 110: SILENT},
    ),
    Case(
        "messages wait for most of a minute",
        waited({"30": "0x30", "60": "0+10x30", "600": "0+10x30", "+Inf": "0+10x30"}),
        {1: SILENT, 2: _alerts("InterruptionSlow"), 8: _alerts("InterruptionSlow")},
    ),
    Case(
        "messages wait for a second, or none come",
        waited(dict.fromkeys(("1", "60", "600", "+Inf"), "0+10x10 100x20")),
        {8: SILENT, 25: SILENT},
    ),
    Case(
        "nodes are launched, and their events have no time for Karpenter",
        waited({"1.0": "0+1x30", "600.0": "0+1x30", "+Inf": "0+10x30"}),
        {1: SILENT, 8: SILENT, 25: SILENT},
    ),
    Case(
        "one message of a thousand waits, and a hundred have no time for Karpenter",
        waited({"1": "0+999x30", "30": "0+999x30", "60": "0+1000x30", "600": "0+1000x30", "+Inf": "0+1100x30"}),
        {1: SILENT, 8: SILENT, 25: SILENT},
    ),
    Case("Karpenter is not reached", {up(KARPENTER): "1x10 0x30"}, {14: SILENT, 17: _alerts("KarpenterDown")}),
    Case("one of two Karpenters is not reached", {up(RESTARTED): "0x30"}, {20: SILENT}),
    # Lesson 4.
    Case(
        "automatic sync is off for longer than any lease",
        {app(): "stale", app(autosync_enabled="false"): "1x200"},
        {110: SILENT, 2 * HOUR + 20: _alerts("SuspensionOutlivesLease")},
    ),
    Case(
        "automatic sync is off for longer than any lease, and the Application's health comes and goes",
        {
            app(): "stale",
            app(autosync_enabled="false"): "1x49 stale " + "_x49 1x49 stale " * 2,
            app(autosync_enabled="false", health_status="Progressing"): "_x50 1x49 stale _x49 1x49 stale",
        },
        {110: SILENT, 2 * HOUR + 20: _alerts("SuspensionOutlivesLease")},
    ),
    Case(
        "a deny window outlives its lease: nothing tries to sync",
        {
            app(): "stale",
            app(sync_status="OutOfSync"): "1x200",
            synced("Succeeded"): "5x200",
            # Others are tried again and again.
            synced("Failed", name="platform"): "0+1x200",
            synced("Failed", namespace="other"): "0+1x200",
        },
        {
            10: SILENT,
            30: _alerts("ApplicationOutOfSync"),
            2 * HOUR + 20: _alerts("ApplicationOutOfSync", "SuspensionOutlivesLease"),
        },
    ),
    Case(
        "an Application out of sync is tried again and again",
        {
            app(): "stale",
            app(sync_status="OutOfSync"): "1x200",
            # Once in 50 minutes.
            synced("Succeeded"): "1x24 2x49 3x49 4x49 5x49",
            synced("Failed"): "5x200",
        },
        {2 * HOUR + 30: _alerts("ApplicationOutOfSync")},
    ),
    Case(
        "a drill suspends for an hour",
        {app(): "stale", app(autosync_enabled="false"): "1x60 stale"},
        {150: SILENT},
    ),
    Case(
        "an Application differs from Git for a moment",
        {app(): "stale", app(sync_status="OutOfSync"): "1x10 stale"},
        {12: SILENT, 20: SILENT},
    ),
    Case(
        "an Application is degraded",
        {app(): "stale", app(health_status="Degraded"): "1x30"},
        {14: SILENT, 16: _alerts("ApplicationUnhealthy")},
    ),
    Case(
        "an Application is progressing, which is no fault",
        {app(): "stale", app(health_status="Progressing"): "1x60"},
        {50: SILENT},
    ),
    Case(
        "a first failed sync is the birth of its counter",
        {
            app(): "1x19 stale",
            app(sync_status="OutOfSync"): "_x20 1x30",
            synced("Failed"): "_x20 1x30",
        },
        {24: SILENT, 26: _alerts("SyncFailed")},
    ),
    Case(
        "a sync failed and the next one did not",
        {synced("Failed"): "_x20 1x30"},
        {26: SILENT},
    ),
    Case(
        "Argo CD takes long to compare",
        compared({"8": "0x40", "16": "0+5x40", "+Inf": "0+9x40"}),
        {9: SILENT, 13: _alerts("ReconcileSlow")},
    ),
    Case(
        "Argo CD takes long to compare, and its container starts anew",
        compared({"8": "0x40", **dict.fromkeys(("16", "+Inf"), "0+9x15 0+9x24")}),
        {20: _alerts("ReconcileSlow"), 28: _alerts("ReconcileSlow")},
    ),
    Case(
        "Argo CD compares in a second, or does not for a while",
        compared(dict.fromkeys(("1", "8", "+Inf"), "0+9x20 180x20")),
        {15: SILENT, 38: SILENT},
    ),
    Case(
        "a webhook denies what Argo CD writes",
        {_labelled(WRITES, 'code="403", method="PATCH", host="h"', ARGOCD): "_x20 1x30"},
        {24: SILENT, 26: _alerts("WritesRefused")},
    ),
    Case(
        "a webhook does not answer",
        {_labelled(WRITES, 'code="500", method="POST", host="h"', ARGOCD): "4x20 4+1x30"},
        {19: SILENT, 30: _alerts("WritesRefused")},
    ),
    Case(
        "conflicts and missing objects are no refusal",
        {
            _labelled(WRITES, 'code="409", method="PATCH", host="h"', ARGOCD): "0+1x40",
            _labelled(WRITES, 'code="404", method="GET", host="h"', ARGOCD): "0+1x40",
            _labelled(WRITES, 'code="403", method="GET", host="h"', ARGOCD): "0+1x40",
        },
        {30: SILENT},
    ),
    Case("Argo CD is not reached", {up(ARGOCD): "1x10 0x30"}, {14: SILENT, 17: _alerts("ArgoCdDown")}),
    Case(
        "standard support ends in a month",
        {cluster("1.35"): "stale", cluster("v1.34.2-eks-1"): "1x90"},
        {50: SILENT, 63: _alerts("ExtendedSupportNear")},
        start="2026-11-02T00:00:00Z",
    ),
    Case(
        "standard support has ended",
        {cluster("1.35"): "stale", cluster("1.33"): "1x90"},
        {63: _alerts("ExtendedSupportNear")},
        start="2026-11-02T00:00:00Z",
    ),
    Case(
        "the end of a minor's support is not known", {cluster("1.35"): "stale", cluster("1.99"): "1x90"}, {63: SILENT}
    ),
    # How much, for how long, of whom: what an alert's expression turns on.
    Case(
        "two claims, each of which registers in time",
        {claim("Registered", "Unknown", name): "200x30" for name in ("spot-a", "spot-b")},
        {20: SILENT},
    ),
    Case(
        "one of two claims does not register",
        {claim("Registered", "Unknown"): "0+60x30", claim("Registered", "Unknown", "spot-b"): "10x30"},
        {6: _alerts("NodeNeverJoins")},
    ),
    Case(
        "one call is refused as a whole, the first",
        {create("NodeClassNotReadyError"): "_x20 1x30", launch("spot", "LaunchFailed"): "_x20 5x30"},
        {23: SILENT, 26: _alerts("LaunchFailures"), 45: SILENT},
    ),
    Case(
        "a launch on Spot is refused for another reason, while a claim finds no capacity",
        {launch("spot", "Unauthorized"): "_x20 1x30", create("InsufficientCapacityError"): "_x20 1x30"},
        {23: SILENT, 26: _alerts("LaunchFailures")},
    ),
    Case(
        "Spot was dry a while ago, and now a claim of On-Demand finds no capacity",
        {launch("spot", "LaunchFailed"): "5x90", create("InsufficientCapacityError"): "_x40 1x30"},
        {45: SILENT},
    ),
    Case(
        "a claim found no capacity a while ago, and now a type is dry",
        {create("InsufficientCapacityError"): "5x90", launch("spot", "LaunchFailed"): "_x40 5x30"},
        {45: SILENT},
    ),
    Case(
        "stateless pods stay on On-Demand; Spot was dry before, and On-Demand is refused",
        {
            pod("cart-6f-a", "replicasets/cart-6f", nodepool="on-demand", capacity_type="on-demand"): "1x600",
            launch("spot", "LaunchFailed"): "5x600",
            launch("on-demand", "Unauthorized"): "0+1x600",
        },
        {7 * HOUR: _alerts("FallbackStuck", "LaunchFailures")},
    ),
    Case(
        "a pool of one node is full",
        {pool("usage", "nodes"): "1x30", pool("limit", "nodes"): "1x30"},
        {16: _alerts("PoolNearLimit")},
    ),
    Case("a pool is emptied by a limit of zero", {pool("usage"): "3x30", pool("limit"): "0x30"}, {20: SILENT}),
    Case(
        "a node class was not ready before",
        {node_class("False"): "0x30"},
        {10: SILENT},
    ),
    Case(
        "two nodes drift, neither for a day",
        {claim("Drifted", "True", name): "50000x30" for name in ("spot-a", "spot-b")},
        {20: SILENT},
    ),
    Case(
        "one of two nodes has been drifted for more than a day",
        {claim("Drifted", "True"): "100000x30", claim("Drifted", "True", "spot-b"): "10x30"},
        {6: _alerts("DriftHeld")},
    ),
    Case(
        "a budget of one pool allows nothing, and another pool has the nodes",
        {allowed(name="data"): "0x1600", pool("usage", "nodes", name="data"): "0x1600"},
        {25 * HOUR: SILENT},
    ),
    Case(
        "a budget allows nothing for a reason that no node waits for",
        {allowed("Empty"): "0x1600"},
        {25 * HOUR: SILENT},
    ),
    Case(
        "a budget has allowed nothing for a day, in which nodes wait for it now and then",
        {ALLOWED: "0x1600", ELIGIBLE: "1x60 " + "0x240 1x60 " * 5},
        {24 * HOUR + 20: _alerts("DisruptionBlocked")},
    ),
    Case(
        "a budget has allowed nothing for a day, and for seven hours no node has waited for it",
        {ALLOWED: "0x1600", ELIGIBLE: "1x1000 0x600"},
        {24 * HOUR + 20: SILENT},
    ),
    # Both replicas of Karpenter are scraped, and the one that led before may still tell what it knew.
    Case(
        "two replicas tell of what is half as much as it may be",
        {
            pool("usage"): "50x30",
            pool("usage", of=RESTARTED): "50x30",
            pool("limit", of=RESTARTED): "100x30",
            **dict.fromkeys((ending("spot-x"), ending("spot-x", RESTARTED)), "700x30"),
            **dict.fromkeys((node("n2", "False"), node("n2", "False", of=RESTARTED)), "1500x30"),
        },
        {20: SILENT},
    ),
    Case(
        "two replicas tell of what is too much",
        {
            pool("usage"): "90x30",
            pool("usage", of=RESTARTED): "90x30",
            pool("limit", of=RESTARTED): "100x30",
            **dict.fromkeys((node_class("False"), node_class("False", of=RESTARTED)), "1x30"),
            **dict.fromkeys(
                (
                    pod("kafka-9-a", "replicasets/kafka-9"),
                    pod("kafka-9-a", "replicasets/kafka-9").replace(KARPENTER, RESTARTED),
                ),
                "1x30",
            ),
        },
        {16: _alerts("PoolNearLimit", "NodeClassNotReady", "DatabaseOnSpot")},
    ),
    Case(
        "of two replicas one tells what was",
        {
            pool("usage"): "90x50",
            pool("usage", of=RESTARTED): "10x50",
            ending("spot-x"): "1300x50",
            ending("spot-x", RESTARTED): "10x50",
            node("n2", "False"): "2800x50",
            node("n2", "False", of=RESTARTED): "10x50",
            node_class("False"): "1x50",
            node_class("False", of=RESTARTED): "0x50",
        },
        {20: _alerts("PoolNearLimit", "TerminationStuck", "RepairHeld", "NodeClassNotReady")},
    ),
    Case(
        "a limit was smaller before",
        {pool("usage"): "80x30", pool("limit", of=RESTARTED): "50x30"},
        {20: SILENT},
    ),
    Case(
        "two replicas tell of a budget, one of them what was",
        {
            ALLOWED: "0x1600",
            allowed(of=RESTARTED): "0x1600",
            pool("usage", "nodes", RESTARTED): "0x1600",
            eligible(of=RESTARTED): "0x1600",
        },
        {24 * HOUR + 20: _alerts("DisruptionBlocked")},
    ),
    Case(
        "a budget allows nothing, by what was",
        {allowed(of=RESTARTED): "0x1600"},
        {24 * HOUR + 20: SILENT},
    ),
    *(
        Case(
            f"{name} runs on Spot",
            {pod(f"{name}-9-a", f"replicasets/{name}-9"): "1x30"},
            {1: SILENT, 3: _alerts("DatabaseOnSpot")},
        )
        for name in ("astronomy-db", "postgresql", "prometheus", "valkey-cart")
    ),
    *(
        Case(
            f"the hook {name} fails",
            {
                pod("stateful-placement-x", "jobs/stateful-placement-postsync", phase="Succeeded"): "stale",
                pod("seed-b", "jobs/seed", phase="Succeeded"): "1x30",
                pod(f"{name}-a", f"jobs/{name}", phase="Failed"): "1x30",
            },
            {4: SILENT, 6: _alerts("PlacementGuardFails")},
        )
        for name in ("pod-lifecycle", "stateful-placement-sync", "stateful-placement-postsync")
    ),
    Case(
        "three messages of a hundred wait",
        waited({"1": "0+97x30", "30": "0+97x30", "60": "0+100x30", "600": "0+100x30", "+Inf": "0+100x30"}),
        {5: _alerts("InterruptionSlow")},
    ),
    Case(
        "messages wait for a little less than half a minute",
        waited({"28": "0x30", "29": "0+10x30", "60": "0+10x30", "600": "0+10x30", "+Inf": "0+10x30"}),
        {8: SILENT},
    ),
    Case(
        "messages wait for a little more than half a minute",
        waited({"30": "0x30", "31": "0x30", "32": "0+10x30", "60": "0+10x30", "600": "0+10x30", "+Inf": "0+10x30"}),
        {8: _alerts("InterruptionSlow")},
    ),
    Case(
        "messages wait, and Karpenter's container starts anew",
        waited({"30": "0x40", **dict.fromkeys(("60", "600", "+Inf"), "0+10x15 0+10x24")}),
        {18: _alerts("InterruptionSlow"), 25: _alerts("InterruptionSlow")},
    ),
    Case(
        "messages that waited are five minutes ago",
        waited({"30": "0x40", **dict.fromkeys(("60", "600", "+Inf"), "0x10 10x30")}),
        {14: _alerts("InterruptionSlow"), 18: SILENT},
    ),
    Case(
        "the first messages since Karpenter's start had waited, and the next ones do not",
        waited({**dict.fromkeys(("1", "30"), "0x10 2x30"), **dict.fromkeys(("60", "600", "+Inf"), "8x10 10x30")}),
        {12: SILENT, 13: SILENT, 14: SILENT},
    ),
    Case(
        "one replica hears a thousand messages, another one that waited",
        {
            **waited(dict.fromkeys(("1", "30", "60", "600", "+Inf"), "0+1000x30")),
            **waited({"1": "0x30", "30": "0x30", **dict.fromkeys(("60", "600", "+Inf"), "0+1x30")}, RESTARTED),
        },
        {8: SILENT},
    ),
    Case(
        "both replicas hear a thousand messages, and one of all of them waited",
        {
            **waited(dict.fromkeys(("1", "30", "60", "600", "+Inf"), "0+1000x30")),
            **waited(
                {"1": "0+1000x30", "30": "0+1000x30", **dict.fromkeys(("60", "600", "+Inf"), "0+1001x30")}, RESTARTED
            ),
        },
        {8: SILENT},
    ),
    Case(
        "both replicas heard late since their start, and hear promptly since",
        {
            series: values
            for of in (KARPENTER, RESTARTED)
            for series, values in waited(
                {**dict.fromkeys(("1", "30"), "0x10 2x30"), **dict.fromkeys(("60", "600", "+Inf"), "8x10 10x30")}, of
            ).items()
        },
        {12: SILENT, 13: SILENT, 14: SILENT},
    ),
    Case(
        "a thousand messages come at once, and one of them waited",
        waited({**dict.fromkeys(("1", "30"), "0x10 999x30"), **dict.fromkeys(("60", "600", "+Inf"), "0x10 1000x30")}),
        {12: SILENT, 13: SILENT, 14: SILENT, 15: SILENT},
    ),
    Case(
        "many messages came ten minutes ago, and now a thousand each minute, of which one waits",
        waited(
            {
                **dict.fromkeys(("1", "30"), "0x9 20000x5 20999+999x30"),
                **dict.fromkeys(("60", "600", "+Inf"), "0x9 20000x5 21000+1000x30"),
            }
        ),
        {18: SILENT, 20: SILENT, 24: SILENT},
    ),
    Case(
        "of a thousand messages twenty-five are nearly late and five are",
        waited({"10": "0+970x30", "30": "0+995x30", **dict.fromkeys(("60", "600", "+Inf"), "0+1000x30")}),
        {8: SILENT},
    ),
    Case(
        "of two replicas one hears late",
        {
            **waited(dict.fromkeys(("1", "30", "60", "600", "+Inf"), "0+10x30")),
            **waited({"1": "0x30", "30": "0x30", **dict.fromkeys(("60", "600", "+Inf"), "0+10x30")}, RESTARTED),
        },
        {8: _alerts("InterruptionSlow")},
    ),
    Case(
        "a sync runs for hours",
        {app(): "stale", app(sync_status="OutOfSync", operation="Sync"): "1x200"},
        {2 * HOUR + 30: _alerts("ApplicationOutOfSync")},
    ),
    Case(
        "the last try to sync is an hour ago and two",
        {app(): "stale", app(sync_status="OutOfSync"): "1x300", synced("Failed"): "0x10 1x290"},
        {
            170: _alerts("ApplicationOutOfSync"),
            210: _alerts("ApplicationOutOfSync", "SuspensionOutlivesLease"),
        },
    ),
    Case(
        "an Application differs from Git, as two controllers tell",
        {
            app(): "stale",
            app(sync_status="OutOfSync"): "1x30",
            app(sync_status="OutOfSync").replace(ARGOCD, CONTROLLER_TOO): "1x30",
        },
        {14: SILENT, 16: _alerts("ApplicationOutOfSync")},
    ),
    Case(
        "an Application is degraded, as two controllers tell",
        {
            app(): "stale",
            app(health_status="Degraded"): "1x30",
            app(health_status="Degraded").replace(ARGOCD, CONTROLLER_TOO): "1x30",
        },
        {16: _alerts("ApplicationUnhealthy")},
    ),
    *(
        Case(
            f"an Application is {status}",
            {app(): "stale", app(health_status=status): "1x30"},
            {14: SILENT, 16: _alerts("ApplicationUnhealthy")},
        )
        for status in ("Missing", "Unknown")
    ),
    Case(
        "a sync failed long ago, and the Application differs for another reason",
        {app(): "stale", app(sync_status="OutOfSync"): "1x30", synced("Failed"): "5x30"},
        {12: SILENT},
    ),
    Case(
        "a sync of one Application failed and is over, and others differ from Git",
        {
            synced("Failed"): "_x20 1x30",
            app(name="platform"): "1x19 stale",
            app(name="platform", sync_status="OutOfSync"): "_x20 1x30",
            app(namespace="other", sync_status="OutOfSync"): "_x20 1x30",
        },
        {27: SILENT},
    ),
    Case(
        "Argo CD takes long for one comparison of ten",
        compared({"1": "0+9x40", "8": "0+9x40", "16": "0+10x40", "+Inf": "0+10x40"}),
        {13: _alerts("ReconcileSlow")},
    ),
    Case(
        "Argo CD compares in a little less than eight seconds",
        compared({"7": "0x40", "7.9": "0+9x40", "16": "0+9x40", "+Inf": "0+9x40"}),
        {30: SILENT},
    ),
    Case(
        "Argo CD compares in a little more than eight seconds",
        compared({"8": "0x40", "9": "0+9x40", "16": "0+9x40", "+Inf": "0+9x40"}),
        {13: _alerts("ReconcileSlow")},
    ),
    Case(
        "Argo CD took long to compare for a while",
        compared({"8": "0x60", **dict.fromkeys(("16", "+Inf"), "0x9 9+9x5 54x45")}),
        {23: _alerts("ReconcileSlow"), 29: SILENT},
    ),
    Case(
        "a thousand comparisons are fast and those with one server are not",
        {
            **compared(dict.fromkeys(("1", "8", "16", "+Inf"), "0+1000x40")),
            **compared({"1": "0x40", "8": "0x40", **dict.fromkeys(("16", "+Inf"), "0+9x40")}, "other"),
        },
        {30: SILENT},
    ),
    Case(
        "comparisons with one of two servers take long",
        {
            **compared(dict.fromkeys(("1", "8", "16", "+Inf"), "0+9x40")),
            **compared({"1": "0x40", "8": "0x40", **dict.fromkeys(("16", "+Inf"), "0+9x40")}, "other"),
        },
        {13: _alerts("ReconcileSlow")},
    ),
    Case(
        "standard support ends in 62 days",
        {cluster("1.35"): "stale", cluster("1.34"): "1x90"},
        {63: SILENT},
        start="2026-10-01T00:00:00Z",
    ),
    Case(
        "standard support of two clusters ends in 58 days",
        {cluster("1.35"): "stale", cluster("1.34"): "1x90", cluster("1.34").replace("in-cluster", "other"): "1x90"},
        {63: _alerts("ExtendedSupportNear")},
        start="2026-10-05T00:00:00Z",
    ),
)


@dataclass(frozen=True)
class Said:
    """What people are told by an alert that fires in a case: its labels beside the severity, and its summary."""

    alert: str
    case: str
    minute: int
    summary: str
    labels: Mapping[str, str] = field(default_factory=dict)


_DEMO: Final = {"namespace": "argocd", "name": "otel-demo"}
SAID: Final = (
    Said(
        "NodeNeverJoins", "a claim is not registered after five minutes", 6,
        "A node of pool spot has not joined for 6m 0s", {"karpenter_sh_nodepool": "spot"},
    ),
    Said(
        "LaunchFailures", "a first refused launch is the birth of its counter", 26,
        "EC2 or Karpenter refuses launches: Unauthorized (on-demand)",
        {"capacity_type": "on-demand", "reason": "Unauthorized"},
    ),
    Said(
        "LaunchFailures", "a call that EC2 refuses as a whole", 28,
        "EC2 or Karpenter refuses launches: CreateFailed", {"reason": "CreateFailed"},
    ),
    Said(
        "LaunchFailures", "one call is refused as a whole, the first", 26,
        "EC2 or Karpenter refuses launches: CreateFailedNodeClassNotReadyError",
        {"reason": "CreateFailedNodeClassNotReadyError", "error": "NodeClassNotReadyError"},
    ),
    Said(
        "SpotRunsDry", "no Spot in any type and zone", 23,
        "A launch found no Spot capacity in any type and zone that its pool allows",
    ),
    Said(
        "FallbackStuck", "stateless pods stay on On-Demand while Spot is to be had", 6 * HOUR + 20,
        "2 stateless pods stay on On-Demand pool on-demand, and Spot is not dry", {"nodepool": "on-demand"},
    ),
    Said(
        "PodsUnbound", "a pod finds no node", 11,
        "1 pods of namespace otel-demo have found no node for more than 5 minutes", {"namespace": "otel-demo"},
    ),
    Said(
        "PoolNearLimit", "a pool is nearly full", 16,
        "Pool spot uses 86% of its limit of cpu", {"nodepool": "spot", "resource_type": "cpu"},
    ),
    Said(
        "TerminationStuck", "a node does not end", 22,
        "Node of NodeClaim spot-x has been ending for 22m 0s", {"karpenter_sh_nodepool": "spot", "name": "spot-x"},
    ),
    Said(
        "RepairHeld", "a node is unready, and repair does not come", 47,
        "Node n2 has been unready for 47m 0s, and nothing replaces it",
        {"karpenter_sh_nodepool": "spot", "name": "n2"},
    ),
    Said(
        "DriftHeld", "a node has been drifted for more than a day", 8,
        "A node of pool spot has been drifted for 1d 0h 7m 0s", {"karpenter_sh_nodepool": "spot"},
    ),
    Said(
        "DisruptionBlocked", "a budget has allowed nothing for a day", 24 * HOUR + 20,
        "The budgets of pool spot have allowed no disruption (Drifted) for a day",
        {"nodepool": "spot", "reason": "Drifted"},
    ),
    Said(
        "NodeClassNotReady", "a node class is not ready", 6, "EC2NodeClass default is not ready", {"name": "default"}
    ),
    Said(
        "DatabaseOnSpot", "a database runs on Spot", 3, "kafka-9-a keeps data and runs on Spot node n1",
        {"namespace": "otel-demo", "name": "kafka-9-a", "node": "n1"},
    ),
    Said(
        "PlacementGuardFails", "the hook pod-lifecycle fails", 6,
        "The hook /apis/batch/v1/namespaces/otel-demo/jobs/pod-lifecycle fails, and no try of it has succeeded since",
        {"namespace": "otel-demo", "owner": "/apis/batch/v1/namespaces/otel-demo/jobs/pod-lifecycle"},
    ),
    Said(
        "InterruptionPathDead", "nodes end, and a queue that never delivered has no series", 86,
        "1 nodes ended in the last hour, and Karpenter heard nothing of it",
    ),
    Said(
        "InterruptionSlow", "messages wait for most of a minute", 8,
        "Interruption messages wait 59.7s in the queue before Karpenter handles them",
    ),
    Said("KarpenterDown", "Karpenter is not reached", 17, "Prometheus reaches no Karpenter"),
    Said(
        "SuspensionOutlivesLease", "automatic sync is off for longer than any lease", 2 * HOUR + 20,
        "Application otel-demo has not been synced by itself for 2 hours", _DEMO,
    ),
    Said(
        "ApplicationOutOfSync", "an Application differs from Git, as two controllers tell", 16,
        "Application otel-demo differs from Git", _DEMO,
    ),
    Said(
        "ApplicationUnhealthy", "an Application is degraded, as two controllers tell", 16,
        "Application otel-demo is not healthy", _DEMO,
    ),
    Said(
        "SyncFailed", "a first failed sync is the birth of its counter", 26,
        "Syncs of Application otel-demo fail", _DEMO,
    ),
    Said(
        "ReconcileSlow", "Argo CD takes long to compare", 13,
        "Argo CD takes 16s or more to compare an Application with Git",
    ),
    Said(
        "WritesRefused", "a webhook denies what Argo CD writes", 26,
        "The API server refuses what Argo CD writes (PATCH, 403)", {"code": "403", "method": "PATCH"},
    ),
    Said(
        "ArgoCdDown", "Argo CD is not reached", 17, "Prometheus reaches no Argo CD application controller"
    ),
    Said(
        "ExtendedSupportNear", "standard support ends in a month", 63,
        "Standard support of Kubernetes 1.34 ends in 29d 22h 57m 0s", {"minor": "1.34"},
    ),
    Said("Watchdog", "healthy: all alerts are silent", 45, "Prometheus evaluates the platform's rules"),
)  # fmt: skip
"""Of every alert; a test compares."""
