"""Faults of workloads, Applications and leftovers: the line that names each, and what that line says."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from otel_on_spot.doctor.facts_aws import Instance, Interface, LoadBalancer, Volume
from otel_on_spot.doctor.facts_kubernetes import (
    Budget,
    Condition,
    DrillLease,
    NodeClaim,
    PersistentVolume,
    Pod,
    Project,
    Service,
    SyncWindow,
    Terminating,
)
from tests.unit.doctor.changes import HEALTHY, Change, added, all_of, changed, given, named, one_of, without

NOW = HEALTHY.taken_at
LONG_AGO = NOW - timedelta(hours=3)
FORMER = {"kubernetes.io/cluster/former": "owned"}
OURS = {"kubernetes.io/cluster/otel-lab": "owned"}
SPOT_NODE = one_of("nodes", lambda one: one.labels.get("karpenter.sh/capacity-type") == "spot")
INSTANCE = Instance(
    id="i-0a",
    state="running",
    launched_at=LONG_AGO,
    private_dns="",
    profile_arn="",
    spot=True,
    tags={**FORMER, "karpenter.sh/nodepool": "spot"},
)
VOLUME = Volume(id="vol-0a", state="available", created_at=LONG_AGO, gib=8, tags=FORMER)
BALANCER = LoadBalancer(
    arn="arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/web/0a",
    tags={"elbv2.k8s.aws/cluster": "former", "service.k8s.aws/stack": "shop/web"},
)
HOME = one_of("clusters").vpc_id
CNI = {"cluster.k8s.amazonaws.com/name": "otel-lab", "node.k8s.amazonaws.com/createdAt": LONG_AGO.isoformat()}
INTERFACE = Interface(id="eni-0a", vpc_id="vpc-c", description="aws-K8S-i-0a", tags=CNI)
POD = Pod(namespace="default", name="web-1", node="", phase="Running", owner=("Deployment", "web"))
BUDGET = Budget(
    namespace="default",
    name="web",
    max_unavailable="0",
    min_available="",
    expected=2,
    healthy=2,
    desired=2,
    allowed=0,
    allowed_since=LONG_AGO,
)

TWIN = replace(SPOT_NODE, name="ip-10-40-16-99.eu-west-1.compute.internal")
"""Another node of the same type in the same zone."""
SYSTEM_NODE = one_of("nodes", lambda one: one.labels.get("node-role") == "system")
WEB = replace(POD, labels={"app": "web"}, ready=True)
ROOM_FOR_ONE = replace(
    BUDGET, max_unavailable="1", allowed=1, expected=4, healthy=4, desired=3, selector={"matchLabels": {"app": "web"}}
)
ROOM_FOR_ALL = replace(ROOM_FOR_ONE, name="all", max_unavailable="100%", allowed=4, desired=0)


def web(*nodes: str, **values: Any) -> Change:
    """Ready pods of one Deployment on nodes; where there are several, a budget that lets all go at once."""
    pods = (replace(WEB, name=f"web-{index}", node=node, **values) for index, node in enumerate(nodes))
    budgets = (ROOM_FOR_ALL,) if len(nodes) > 1 else ()
    return all_of(added("pods", *pods), added("budgets", *budgets))


def window(minutes_from_now: float, duration: str = "1h", description: str = "") -> SyncWindow:
    began = NOW + timedelta(minutes=minutes_from_now)
    return SyncWindow(
        kind="deny",
        schedule=f"{began.minute} {began.hour} {began.day} {began.month} *",
        duration=duration,
        zone="UTC",
        applications=("*",),
        description=description,
    )


def every(schedule: str, **values: Any) -> SyncWindow:
    """A window that comes back."""
    return replace(window(0), **{"schedule": schedule, **values})


def drilling(silent_seconds: float) -> DrillLease:
    return DrillLease(
        namespace="argocd",
        name="otel-on-spot-drill",
        drill="stress",
        holder="ada@here/7",
        why="before the sale",
        renewed_at=NOW - timedelta(seconds=silent_seconds),
        seconds=15,
    )


def held(one: SyncWindow) -> Change:
    return given("projects", Project(namespace="argocd", name="platform", windows=(one,)))


def terminating(kind: str, name: str, hours: float, finalizer: str) -> Terminating:
    since = NOW - timedelta(hours=hours)
    return Terminating(kind=kind, namespace="argocd", name=name, since=since, finalizers=(finalizer,))


def vanished(*, terminated: float | None, born: float = 175, registered: str = "True") -> Change:
    """A NodeClaim is ``born`` minutes old, its instance was terminated so many minutes ago; None: EC2 lists it not."""
    since = NOW - timedelta(minutes=born)
    kinds = {"Launched": "True", "Registered": registered}
    claim = NodeClaim(
        name="spot-x",
        pool="spot",
        instance_id="i-0b",
        node="",
        created_at=since,
        conditions=tuple(Condition(type=kind, status=status, since=since) for kind, status in kinds.items()),
    )
    gone = replace(INSTANCE, id="i-0b", state="terminated", launched_at=since, tags={**INSTANCE.tags, **OURS})
    if terminated is None:
        return added("node_claims", claim)
    at = NOW - timedelta(minutes=terminated)
    return all_of(added("node_claims", claim), added("instances", replace(gone, changed_at=at)))


def demo(**values: Any) -> Change:
    """The demo's Application is so."""
    return changed("applications", named("otel-demo"), **values)


def crowded(**budget: Any) -> Change:
    """Three of four pods on one Spot node, and a budget that lets one go at once."""
    return all_of(web(*3 * [SPOT_NODE.name], SYSTEM_NODE.name), added("budgets", replace(ROOM_FOR_ONE, **budget)))


def pod(**values: Any) -> Change:
    """A pod of a Deployment is there too."""
    return added("pods", replace(POD, **values))


OF_LIVING = {**CNI, "node.k8s.amazonaws.com/instance_id": SPOT_NODE.instance_id}
OUT_OF_SYNC = demo(sync="OutOfSync", out_of_sync=("Deployment/frontend",))
TRIES: dict[str, Any] = {"operation": "Running", "failed_tries": 2, "tried_revision": "0123abc"}
HUNG = added("terminating", terminating("Application", "otel-demo", 0.1, "resources-finalizer.argocd.argoproj.io"))

FAULTS: dict[str, tuple[str, Change, str]] = {
    "database on Spot": (
        "stateful-pods",
        changed("pods", lambda one: one.owner == ("StatefulSet", "opensearch"), node=SPOT_NODE.name),
        "StatefulSet opensearch keeps data and runs on Spot",
    ),
    "a claim on Spot": ("stateful-pods", pod(node=SPOT_NODE.name, claims=("data",)), "keeps data"),
    "selector off Spot": (
        "stateless-pods",
        pod(selector={"karpenter.sh/capacity-type": "on-demand"}),
        "nodeSelector karpenter.sh/capacity-type: on-demand",
    ),
    "pool off Spot": (
        "stateless-pods",
        pod(selector={"karpenter.sh/nodepool": "data"}),
        "nodeSelector karpenter.sh/nodepool: data",
    ),
    "affinity off Spot": (
        "stateless-pods",
        pod(
            required=(
                {"matchExpressions": [{"key": "karpenter.sh/capacity-type", "operator": "NotIn", "values": ["spot"]}]},
            )
        ),
        "required node affinity",
    ),
    "a budget that drains too slowly": (
        "two-minutes",
        crowded(),
        "3 steps x 40 s boot + 0 s preStop + 30 s grace = 150 s",
    ),
    "a budget of nearly all that drains too slowly": (
        "two-minutes",
        crowded(
            max_unavailable="",
            min_available="75%",
            selector={"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]},
        ),
        "3 ready pods on Spot node",
    ),
    "a pod that ends too slowly": (
        "two-minutes",
        web(SPOT_NODE.name, grace_seconds=60, pre_stop_seconds=30),
        "1 step x 40 s boot + 30 s preStop + 60 s grace = 130 s",
    ),
    "slow data on one Spot node, which two lines leave to the one of data": (
        "stateful-pods",
        web(SPOT_NODE.name, SPOT_NODE.name, grace_seconds=300, claims=("data",)),
        "keeps data and runs on Spot node",
    ),
    "all replicas on one Spot node": (
        "blast-radius",
        web(SPOT_NODE.name, SPOT_NODE.name),
        "all 2 ready pods on Spot node ip-",
    ),
    "all replicas on one Spot node, and one more that their Service does not lead to": (
        "blast-radius",
        all_of(
            web(SPOT_NODE.name, SPOT_NODE.name),
            added(
                "pods",
                replace(WEB, name="beside", node=SYSTEM_NODE.name, labels={"app": "api"}, owner=("Deployment", "api")),
            ),
            added("services", Service(namespace="default", name="web", type="ClusterIP", selector={"app": "web"})),
        ),
        "all 2 ready pods on Spot node ip-",
    ),
    "a pod off Spot that says it is of the front path, in another namespace": (
        "stateless-pods",
        pod(selector={"karpenter.sh/capacity-type": "on-demand"}, labels={"otel-on-spot/front-path": "on-demand"}),
        "nodeSelector karpenter.sh/capacity-type: on-demand",
    ),
    "all replicas on one type in one zone": (
        "blast-radius",
        all_of(added("nodes", TWIN), web(SPOT_NODE.name, TWIN.name)),
        "all 2 ready pods on Spot nodes of ",
    ),
    "budget of nothing": ("disruption-budgets", added("budgets", BUDGET), "never allows an eviction"),
    "budget that waits": (
        "disruption-budgets",
        added("budgets", replace(BUDGET, max_unavailable="1", desired=1, healthy=1)),
        "no eviction for 3 h",
    ),
    "no root": ("applications", without("applications", named("platform")), "no root Application"),
    "out of sync": ("applications", OUT_OF_SYNC, "OutOfSync (Deployment/frontend)"),
    "sync failed": ("applications", demo(operation="Failed", operation_message="hook failed"), "hook failed"),
    "a failed sync that tries what is no longer declared": (
        "applications",
        all_of(OUT_OF_SYNC, demo(**TRIES, wanted_revision="0456def")),
        "its sync has failed at 0123abc, and tries it again (2) where 0456def is declared",
    ),
    "degraded": ("applications", demo(health="Degraded", health_since=LONG_AGO), "health Degraded"),
    "missing, and nothing syncs": ("applications", demo(health="Missing", health_since=LONG_AGO), "health Missing"),
    "comparison fails for long": (
        "applications",
        demo(problems=("ComparisonError: no such path",), problems_since=LONG_AGO),
        "no such path",
    ),
    "comparison failed": ("applications", demo(problems=("ComparisonError: no such path",)), "no such path"),
    "suspended without an end": ("suspensions", demo(automated=False), "no lease ends that"),
    "lease past its end": (
        "suspensions",
        held(window(-30, "2h", f"stress until={(NOW - timedelta(minutes=10)).isoformat()}")),
        "its lease ended 10 min ago",
    ),
    "drill that died": (
        "suspensions",
        given("drill_leases", drilling(16)),
        "drill stress of ada@here/7 (before the sale) has said nothing for 16 s: it died",
    ),
    "out of sync while an allow window is open": (
        "applications",
        all_of(OUT_OF_SYNC, held(every("0 12 * * *", kind="allow", duration="2h"))),
        "OutOfSync (Deployment/frontend)",
    ),
    "out of sync beside a window of others": (
        "applications",
        all_of(OUT_OF_SYNC, held(every("0 12 * * *", duration="2h", applications=("other-*",)))),
        "OutOfSync (Deployment/frontend)",
    ),
    "a deny window that is always open": (
        "suspensions",
        held(every("* * * * *", duration="1h")),
        "deny window * * * * * for 1h, and nothing ends that",
    ),
    "an allow window that does not come": (
        "suspensions",
        held(every("0 0 29 2 *", kind="allow")),
        "nothing is synced for the next 31 days",
    ),
    "a window that Argo CD cannot read": (
        "suspensions",
        all_of(OUT_OF_SYNC, held(every("30 10 * * 1-7"))),
        "the day of the week runs from 0 to 6",
    ),
    "a window of a time zone that is none": (
        "suspensions",
        held(every("TZ=Europe/Bern 0 2 * * *")),
        "Europe/Bern is no time zone",
    ),
    "a window without a length": ("suspensions", held(every("30 10 * * 1", duration="1 hour")), "is no Go duration"),
    "window left behind": ("suspensions", held(window(-300)), "comes back every year"),
    "deletion without Karpenter's end": (
        "finalizers",
        added("terminating", terminating("NodeClaim", "spot-x", 2, "karpenter.sh/termination")),
        "Terminating for 2 h 0 min",
    ),
    "deletion without its project": (
        "finalizers",
        all_of(
            HUNG,
            added("applications", replace(one_of("applications"), name="lost", project="lost")),
            added("terminating", terminating("Application", "lost", 0.01, "resources-finalizer.argocd.argoproj.io")),
        ),
        "AppProject lost is gone",
    ),
    "instance of a former cluster": ("orphan-instances", added("instances", INSTANCE), "no EKS cluster former"),
    "instance without NodeClaim": (
        "orphan-instances",
        added("instances", replace(INSTANCE, tags={**INSTANCE.tags, **OURS, "eks:cluster-name": "otel-lab"})),
        "no NodeClaim knows it",
    ),
    "NodeClaim whose instance was terminated": ("orphan-claims", vanished(terminated=6), "2 h 55 min old"),
    "NodeClaim that never registered": ("orphan-claims", vanished(terminated=30, registered="Unknown"), "is not there"),
    "NodeClaim without instance": (
        "orphan-claims",
        added(
            "node_claims",
            NodeClaim(name="spot-x", pool="spot", instance_id="i-0b", node="", created_at=LONG_AGO, conditions=()),
        ),
        "i-0b is not there",
    ),
    "volume of a former cluster": ("orphan-volumes", added("volumes", VOLUME), "no EKS cluster former"),
    "volume without PersistentVolume": (
        "orphan-volumes",
        added("volumes", replace(VOLUME, tags=OURS)),
        "no PersistentVolume knows it",
    ),
    "volume that names no cluster": (
        "orphan-volumes",
        added("volumes", replace(VOLUME, tags={})),
        "no PersistentVolume knows it",
    ),
    "load balancer of a former cluster": (
        "orphan-load-balancers",
        added("load_balancers", BALANCER),
        "no EKS cluster former",
    ),
    "load balancer without Service": (
        "orphan-load-balancers",
        added("load_balancers", replace(BALANCER, tags={**BALANCER.tags, "elbv2.k8s.aws/cluster": "otel-lab"})),
        "Service shop/web is not there",
    ),
    "interface left over": ("orphan-interfaces", added("interfaces", INTERFACE), "attached to nothing"),
    "interface of a former cluster": (
        "orphan-interfaces",
        added("interfaces", Interface(id="eni-0b", vpc_id="vpc-d", description="Amazon EKS former", tags={})),
        "no EKS cluster former",
    ),
}
SOUND: dict[str, Change] = {
    "held by a lease": all_of(OUT_OF_SYNC, held(window(-5))),
    "a drill under way": given("drill_leases", drilling(14)),
    "a lease planned for later": held(window(30)),
    "a window of every night": held(every("0 2 * * *")),
    "held by a window of every day": all_of(OUT_OF_SYNC, held(every("0 12 * * *", duration="2h"))),
    "held by a window of every weekday, in its own time zone": all_of(
        OUT_OF_SYNC, held(every("30 13 * * mon-fri", zone="Europe/Berlin", duration="20m"))
    ),
    "held by a window whose schedule names the time zone": all_of(
        OUT_OF_SYNC, held(every("CRON_TZ=Europe/Berlin 30 13 * * mon-fri", duration="20m"))
    ),
    "held by a window of its namespace": all_of(
        OUT_OF_SYNC,
        changed("applications", destination_namespace="otel-demo"),
        held(every("0 12 * * *", duration="2h", applications=(), namespaces=("otel-*",))),
    ),
    "held between allow windows": all_of(OUT_OF_SYNC, held(every("0 3 * * *", kind="allow"))),
    "an allow window that is open": held(every("0 12 * * *", kind="allow", duration="2h")),
    "a failed sync that tries what is declared": all_of(OUT_OF_SYNC, demo(**TRIES, wanted_revision="0123abc")),
    "a first sync of what is no longer declared": all_of(
        OUT_OF_SYNC, demo(**(TRIES | {"failed_tries": 0}), wanted_revision="0456def")
    ),
    "syncing": all_of(OUT_OF_SYNC, demo(operation="Running")),
    "a deletion just now": HUNG,
    "another project's Application": added(
        "applications", replace(one_of("applications"), name="theirs", project="theirs", sync="OutOfSync")
    ),
    "replicas of which one is not on Spot": web(SPOT_NODE.name, SYSTEM_NODE.name),
    "replicas on one Spot node, and one of another workload behind their Service": all_of(
        web(SPOT_NODE.name, SPOT_NODE.name),
        added("pods", replace(WEB, name="beside", node=SYSTEM_NODE.name, owner=("Deployment", "web-on-demand"))),
        added("services", Service(namespace="default", name="web", type="ClusterIP", selector={"app": "web"})),
    ),
    "On-Demand replicas of the front path": added(
        "pods",
        replace(
            WEB,
            namespace="otel-demo",
            selector={"karpenter.sh/capacity-type": "on-demand"},
            labels={"otel-on-spot/front-path": "on-demand"},
        ),
    ),
    "replicas of which one is not ready": all_of(
        web(SPOT_NODE.name), added("pods", replace(WEB, name="web-new", node=SPOT_NODE.name, ready=False))
    ),
    "replicas in two zones": all_of(
        added("nodes", replace(TWIN, labels={**TWIN.labels, "topology.kubernetes.io/zone": "eu-west-1z"})),
        web(SPOT_NODE.name, TWIN.name),
    ),
    "slow databases, off Spot": web(SYSTEM_NODE.name, SYSTEM_NODE.name, grace_seconds=300),
    "pods of a budget that has room": crowded(max_unavailable="2"),
    "a budget of other pods": crowded(selector={"matchLabels": {"app": "other"}}),
    "a budget of another namespace": crowded(namespace="other"),
    "a pod that takes exactly two minutes": web(SPOT_NODE.name, grace_seconds=70, pre_stop_seconds=10),
    "a rollout": added("budgets", replace(BUDGET, max_unavailable="1", desired=1, healthy=1, allowed_since=NOW)),
    "a budget of no pod": added("budgets", replace(BUDGET, expected=0)),
    "a claim on On-Demand": all_of(pod(claims=("data",), selector={"karpenter.sh/capacity-type": "on-demand"})),
    "a volume just made": added("volumes", replace(VOLUME, created_at=NOW, tags=OURS)),
    "a volume in use": added("volumes", replace(VOLUME, state="in-use", tags=OURS)),
    "a volume with its PersistentVolume": all_of(
        added("volumes", replace(VOLUME, tags=OURS)),
        given("persistent_volumes", PersistentVolume(name="pv", volume_id="vol-0a")),
    ),
    "a load balancer that is nobody's": added("load_balancers", replace(BALANCER, tags={"team": "other"})),
    "an interface just made": added(
        "interfaces", replace(INTERFACE, tags={**CNI, "node.k8s.amazonaws.com/createdAt": NOW.isoformat()})
    ),
    "a NodeClaim whose instance went just now": vanished(terminated=0.1, born=2.5),
    "a NodeClaim whose instance went within Karpenter's round": vanished(terminated=4),
    "a NodeClaim that is launched just now": vanished(terminated=None, born=1, registered="Unknown"),
    "a NodeClaim whose instance went before it registered": vanished(terminated=8, born=14, registered="Unknown"),
    "a NodeClaim whose instance went nobody knows when": all_of(
        vanished(terminated=30), changed("instances", lambda one: one.id == "i-0b", changed_at=None)
    ),
    "a NodeClaim that is going": all_of(
        vanished(terminated=30), changed("node_claims", lambda one: one.name == "spot-x", deleted_at=NOW)
    ),
    "an instance of a former cluster that is terminated": added("instances", replace(INSTANCE, state="terminated")),
    "an interface that the CNI of a living node frees": added("interfaces", replace(INTERFACE, tags=OF_LIVING)),
    "an interface of a node that was terminated just now": all_of(
        added("instances", replace(INSTANCE, state="terminated", changed_at=NOW - timedelta(minutes=1))),
        added("interfaces", INTERFACE),
    ),
    "an interface of a load balancer that scales": all_of(
        added("load_balancers", replace(BALANCER, tags={"team": "other"})),
        added("interfaces", replace(INTERFACE, vpc_id=HOME, description="ELB net/web/0a", tags={})),
    ),
    "a database that leaves Spot": pod(node=SPOT_NODE.name, claims=("data",), deleted_at=NOW - timedelta(seconds=20)),
    "a pod of before a rollout": pod(selector={"karpenter.sh/capacity-type": "on-demand"}, deleted_at=NOW),
    "Missing while it is synced for the first time": demo(
        health="Missing",
        health_since=LONG_AGO,
        sync="OutOfSync",
        operation="Running",
    ),
    "Degraded while its autoscaler has no metrics yet": demo(
        health="Degraded", health_since=NOW - timedelta(seconds=40)
    ),
    "a comparison that failed while the repository server moved": demo(
        problems=("ComparisonError: connection refused",),
        problems_since=NOW - timedelta(minutes=1),
    ),
    "a drill that takes its window away": held(
        window(-30, "2h", f"stress until={(NOW - timedelta(seconds=30)).isoformat()}")
    ),
    "a deletion while Karpenter moves": all_of(
        added("terminating", terminating("NodeClaim", "spot-x", 0.01, "karpenter.sh/termination")),
        changed("controllers", available=0, available_since=NOW - timedelta(seconds=40)),
    ),
    "an instance of Karpenter's, just launched": added(
        "instances", replace(INSTANCE, launched_at=NOW, tags={**OURS, "karpenter.sh/nodepool": "spot"})
    ),
}
