"""Faults of nodes, of what answers, and of Spot's way back: the line that names each, and what that line says."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from otel_on_spot.doctor.facts_aws import HealthIssue, Insight
from otel_on_spot.doctor.facts_kubernetes import ClaimEvent, Condition, NodeClaim, Pod, PoolBudget, Service, Webhook
from tests.unit.doctor.changes import Change, added, all_of, changed, declares, given, named, of_kinds, one_of
from tests.unit.doctor.workload_faults import NOW, SPOT_NODE, SYSTEM_NODE, TWIN, WEB, web

SPOT_CLAIM = one_of("node_claims", lambda one: one.node == SPOT_NODE.name)


def minutes_ago(minutes: float) -> Any:
    return NOW - timedelta(minutes=minutes)


def is_spot_node(one: Any) -> bool:
    return one.name == SPOT_NODE.name


def is_spot_claim(one: Any) -> bool:
    return one.name == SPOT_CLAIM.name


def condition(kind: str, status: str, minutes: float, message: str = "") -> Condition:
    return Condition(type=kind, status=status, reason="Told", message=message, since=minutes_ago(minutes))


def of_node(*conditions: Condition, name: str = SPOT_NODE.name) -> Change:
    """A node has these conditions too, in place of those of the same type."""

    def replaced(listed: tuple[Condition, ...]) -> tuple[Condition, ...]:
        kinds = {one.type for one in conditions}
        return (*(one for one in listed if one.type not in kinds), *conditions)

    return changed("nodes", named(name), conditions=replaced)


def drifted(days: float, *changes: Change) -> Change:
    since = Condition(type="Drifted", status="True", reason="AMIDrift", since=NOW - timedelta(days=days))
    return all_of(changed("node_claims", is_spot_claim, conditions=(since,)), *changes)


def gates(text: str, version: str = "1.14.3") -> Change:
    def with_gates(environment: Any) -> dict[str, str]:
        return {**environment, "FEATURE_GATES": text}

    return all_of(
        changed("controllers", environment=with_gates, version_label=version), declares(karpenter_version=version)
    )


WEBHOOK = Webhook(
    configuration="policies", name="check.policies", namespace="policy", service="webhook", endpoints=0, changed_at=None
)
CORE_DNS = Pod(
    namespace="kube-system",
    name="coredns-1",
    node=SYSTEM_NODE.name,
    phase="Running",
    owner=("Deployment", "coredns"),
    labels={"k8s-app": "kube-dns"},
    ready=True,
)
OTHER_SYSTEM_NODE = one_of(
    "nodes", lambda one: one.labels.get("node-role") == "system" and one.name != SYSTEM_NODE.name
)
WEB_SERVICE = Service(namespace="default", name="web", type="ClusterIP", selector={"app": "web"})
DISRUPTION_BLOCKED = ClaimEvent(claim=SPOT_CLAIM.name, reason="DisruptionBlocked", message="pdb x")
WAS_JOINING = replace(DISRUPTION_BLOCKED, message="Nodeclaim does not have an associated node")
NO_DISRUPTION = changed("node_pools", named("spot"), budgets=(PoolBudget(nodes="0"),))
NOT_KERNEL = of_node(condition("KernelReady", "False", 45, "soft lockup"))
HOUR = 60


def core_dns(*more: str) -> Change:
    """CoreDNS has a replica on the system node, and one on each of these."""
    others = (replace(CORE_DNS, name=f"coredns-{number}", node=node) for number, node in enumerate(more, start=2))
    return added("pods", CORE_DNS, *others)


def claim_of(kind: str, name: str, node: str, minutes: float) -> NodeClaim:
    """A NodeClaim of a capacity type, launched so many minutes ago."""
    at = minutes_ago(minutes)
    return NodeClaim(
        name=name,
        pool=name.rpartition("-")[0],
        node=node,
        created_at=at,
        labels={"karpenter.sh/capacity-type": kind},
        conditions=(Condition(type="Launched", status="True", since=at),),
    )


ON_DEMAND_NODE = replace(SPOT_NODE, name="fallen", instance_id="", labels={"karpenter.sh/capacity-type": "on-demand"})


def fallen_back(minutes: float, returned: float | None = None, **pod: Any) -> Change:
    """A pod that may run on Spot is on On-Demand for so long; a Spot node was launched since, so long ago."""
    claims = [claim_of("on-demand", "on-demand-a", "fallen", minutes)]
    if returned is not None:
        claims.append(claim_of("spot", "spot-b", "", returned))
    values = {"labels": {"app": "web"}, "ready": True, "node": "fallen", **pod}
    return all_of(
        changed("node_claims", is_spot_claim, created_at=NOW - timedelta(days=2)),
        added("nodes", ON_DEMAND_NODE),
        added("node_claims", *claims),
        added("pods", replace(WEB, **values)),
    )


def refused(*minutes: float, error: str = "InsufficientInstanceCapacity", pool: str = "spot") -> Change:
    """EC2 refused a NodeClaim so many minutes ago."""
    told = f"with fleet error(s), {error}: no m5.large in the Availability Zone you requested (eu-west-1a)"
    events = (
        ClaimEvent(claim=f"{pool}-{number}", reason="InsufficientCapacityError", message=told, at=minutes_ago(ago))
        for number, ago in enumerate(minutes)
    )
    return given("claim_events", *events)


def pending(minutes: float) -> Change:
    return added("pods", replace(WEB, phase="Pending", ready=False, node="", created_at=minutes_ago(minutes)))


def not_launched(minutes: float) -> Change:
    failed = Condition(type="Launched", status="Unknown", reason="LaunchFailed", message="UnauthorizedOperation: no")
    claim = replace(claim_of("spot", "spot-f", "", minutes), conditions=(failed,))
    return added("node_claims", claim)


POOL_NODE = one_of("instances", lambda one: one.spot)


def ended(
    reason: str, minutes: float | None, *events: ClaimEvent, sent: float | None = None, claim: str = "spot-g"
) -> Change:
    """An instance of a pool ended so many minutes ago; None: EC2 does not say when."""
    at = None if minutes is None else minutes_ago(minutes)
    tags = {**POOL_NODE.tags, "karpenter.sh/nodeclaim": claim}
    gone = replace(POOL_NODE, id="i-gone", state="terminated", changed_at=at, reason_code=reason, tags=tags)
    return all_of(added("instances", gone), given("claim_events", *events), changed("queues", sent=sent))


BACK = "Server.SpotInstanceTermination"
BY_KARPENTER = "Client.UserInitiatedShutdown"
INTERRUPTED = ClaimEvent(claim="spot-g", reason="SpotInterrupted", message="Spot interruption warning was triggered")


def wide(*terms: dict[str, Any], zones: tuple[str, ...] = ("eu-west-1a", "eu-west-1b"), **labels: str) -> Change:
    """The Spot pool's requirements, and the zones of the subnets."""
    spot = {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]}
    left = list(zones)

    def zone(subnet: Any) -> Any:
        ours = "karpenter.sh/discovery" in subnet.tags
        return replace(subnet, zone=left.pop(0) if ours and len(left) > 1 else left[0])

    return all_of(
        changed("node_pools", named("spot"), requirements=(spot, *terms), labels=labels),
        lambda facts: replace(facts, subnets=tuple(map(zone, facts.subnets or ()))),
    )


def only(key: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}


INSIGHT = Insight(
    id="a1",
    name="Deprecated APIs removed in Kubernetes v1.36",
    category="UPGRADE_READINESS",
    minor="1.36",
    status="ERROR",
    reason="Deprecated API usage detected",
)

FAULTS: dict[str, tuple[str, Change, str]] = {
    "a broken kernel": (
        "node-conditions",
        of_node(condition("KernelReady", "False", 12, "soft lockup")),
        "KernelReady=False for 12 min: Told soft lockup",
    ),
    "a kubelet that says nothing": ("node-conditions", of_node(condition("Ready", "Unknown", 11)), "Ready=Unknown"),
    "a full disk": ("node-conditions", of_node(condition("DiskPressure", "True", 20)), "DiskPressure=True for 20 min"),
    "a broken node of a node group": (
        "node-conditions",
        of_node(condition("NetworkingReady", "False", 90), name=SYSTEM_NODE.name),
        "NetworkingReady=False for 90 min",
    ),
    "a broken node, and repair is off": (
        "node-conditions",
        all_of(NOT_KERNEL, gates("NodeRepair=false")),
        "KernelReady=False for 45 min",
    ),
    "repair that does not come": ("repair-held", NOT_KERNEL, "not replaced: nothing that is seen holds it"),
    "too many unhealthy nodes": (
        "repair-held",
        all_of(added("nodes", TWIN), NOT_KERNEL, of_node(condition("KernelReady", "False", 3), name=TWIN.name)),
        "2 of 2 nodes of pool spot are unhealthy",
    ),
    "a budget that holds repair": (
        "repair-held",
        all_of(
            gates("NodeRepair=true", "1.15.0"),
            of_kinds(chart_versions={"kube-system/karpenter-crd": "1.15.0"}),
            NOT_KERNEL,
            changed("node_pools", named("spot"), budgets=(PoolBudget(nodes="0", reasons=("Unhealthy",)),)),
        ),
        "pool spot's budget lets 0 go",
    ),
    "Karpenter says why it repairs nothing": (
        "repair-held",
        all_of(
            NOT_KERNEL,
            given(
                "claim_events", ClaimEvent(claim=SPOT_CLAIM.name, reason="NodeRepairBlocked", message="in its words")
            ),
        ),
        "not replaced: in its words",
    ),
    "drift that nothing holds": (
        "drift-age",
        drifted(9, changed("node_pools", budgets=()), given("claim_events", WAS_JOINING)),
        "nothing that is seen holds it",
    ),
    "drift that a budget holds": ("drift-age", drifted(9, NO_DISRUPTION), "pool spot's budget lets 0 go"),
    "drift that a pod holds": (
        "drift-age",
        drifted(9, changed("pods", lambda one: one.name.startswith("ad-"), protected=True)),
        "karpenter.sh/do-not-disrupt on otel-demo/ad-",
    ),
    "drift that a node holds": (
        "drift-age",
        drifted(9, changed("nodes", is_spot_node, protected=True)),
        "the node has karpenter.sh/do-not-disrupt",
    ),
    "drift that Karpenter says is blocked": (
        "drift-age",
        drifted(9, given("claim_events", DISRUPTION_BLOCKED)),
        "DisruptionBlocked: pdb x",
    ),
    "a kubelet newer than the control plane": (
        "version-skew",
        changed("nodes", is_spot_node, kubelet="v1.36.0-eks-1"),
        "kubelet v1.36.0-eks-1, control plane 1.35: it is newer",
    ),
    "a kubelet as old as it may be": (
        "version-skew",
        changed("nodes", is_spot_node, kubelet="v1.32.9"),
        "3 minors older",
    ),
    "a kubelet that is too old": (
        "version-skew",
        changed("nodes", is_spot_node, kubelet="v1.31.9"),
        "4 minors older: this is not supported",
    ),
    "an old kube-proxy": (
        "version-skew",
        all_of(
            lambda facts: replace(facts, simulated=False),
            core_dns(OTHER_SYSTEM_NODE.name),
            changed("addons", named("kube-proxy"), version="v1.31.2-eksbuild.4"),
        ),
        "add-on v1.31.2-eksbuild.4, control plane 1.35",
    ),
    "a webhook whose Service is gone": (
        "webhooks",
        added("webhooks", replace(WEBHOOK, endpoints=None)),
        "Service policy/webhook does not exist",
    ),
    "a webhook that nobody answers": (
        "webhooks",
        added("webhooks", replace(WEBHOOK, changed_at=minutes_ago(6))),
        "has no ready endpoint for 6 min",
    ),
    "a webhook that nobody ever answered": ("webhooks", added("webhooks", WEBHOOK), "has no ready endpoint"),
    "all of CoreDNS on one node": (
        "coredns",
        core_dns(SYSTEM_NODE.name),
        f"all 2 replicas are on node {SYSTEM_NODE.name}",
    ),
    "all of CoreDNS in one zone": (
        "coredns",
        all_of(
            added("nodes", replace(SYSTEM_NODE, name="third")),
            core_dns("third"),
        ),
        "all 2 replicas are in zone",
    ),
    "one replica of CoreDNS": ("coredns", core_dns(), "one replica"),
    "no CoreDNS": (
        "coredns",
        all_of(
            lambda facts: replace(facts, simulated=False),
            changed("addons", named("kube-proxy"), version="v1.35.0-eksbuild.2"),
        ),
        "no pod of it runs",
    ),
    "fall-back that stays though Spot is back": (
        "fallback-stuck",
        fallen_back(3 * HOUR, 40),
        "1 pod that may run on Spot is on On-Demand for 3 h 0 min; a Spot node was launched 40 min ago",
    ),
    "fall-back of a day": ("fallback-stuck", fallen_back(25 * HOUR), "no Spot node was launched since"),
    "fall-back that a pod holds": (
        "fallback-stuck",
        fallen_back(3 * HOUR, 40, protected=True),
        "karpenter.sh/do-not-disrupt on default/web-1",
    ),
    "fall-back of a pool that never consolidates": (
        "fallback-stuck",
        all_of(fallen_back(3 * HOUR, 40), changed("node_pools", named("on-demand"), consolidate_after="Never")),
        "pool on-demand consolidates never",
    ),
    "a drought": (
        "refused-launches",
        all_of(refused(40, 3), pending(6)),
        "1 pod without a node for more than 5 min; within the hour EC2 refused 2 of pool spot (spot): "
        "InsufficientInstanceCapacity in eu-west-1a",
    ),
    "the quota of Spot": (
        "refused-launches",
        refused(50, error="MaxSpotInstanceCountExceeded"),
        "EC2 refused 1 NodeClaim at the quota of Spot vCPUs within the hour",
    ),
    "a launch that fails": ("refused-launches", not_launched(4), "not launched for 4 min: LaunchFailed: Unauthorized"),
    "a Spot instance that was taken back unheard": (
        "interruption-arrivals",
        ended(BACK, None),
        "EC2 took 1 Spot instance back (i-gone), and Karpenter heard nothing",
    ),
    "a Spot instance that was taken back unheard, at a known time": (
        "interruption-arrivals",
        ended(BACK, 20, sent=7.0),
        "EC2 took 1 Spot instance back",
    ),
    "a queue to which nothing is sent": (
        "interruption-arrivals",
        ended(BY_KARPENTER, 30, sent=0.0),
        "1 instance ended within the hour, and no message was sent to the queue",
    ),
    "a Spot pool of one family": (
        "spot-diversity",
        wide(only("karpenter.k8s.aws/instance-family", "m5"), only("karpenter.k8s.aws/instance-size", "large")),
        "1 type of 1 family: fewer than 15",
    ),
    "a Spot pool of one type by label": (
        "spot-diversity",
        wide(**{"node.kubernetes.io/instance-type": "m5.large"}),
        "1 type of 1 family",
    ),
    "a Spot pool in one zone": ("spot-diversity", wide(zones=("eu-west-1a",)), "1 zone (eu-west-1a)"),
    "a Spot pool that names one zone": (
        "spot-diversity",
        wide(only("topology.kubernetes.io/zone", "eu-west-1b")),
        "1 zone (eu-west-1b)",
    ),
    "an insight": ("insights", given("insights", INSIGHT), "ERROR for Kubernetes 1.36: Deprecated API usage detected"),
    "a node group that is degraded": (
        "node-groups",
        changed("node_groups", status="DEGRADED", issues=(HealthIssue(code="NodeCreationFailure", message="no"),)),
        "status DEGRADED: NodeCreationFailure: no",
    ),
    "a node group with an issue": (
        "node-groups",
        changed("node_groups", issues=(HealthIssue(code="Ec2SubnetNotFound", message="gone"),)),
        "Ec2SubnetNotFound: gone",
    ),
    "a Service without readiness": (
        "probes-and-budgets",
        all_of(web(SPOT_NODE.name, unprobed=True), added("services", WEB_SERVICE)),
        "behind Service web, and no readiness probe",
    ),
    "replicas without a budget": (
        "probes-and-budgets",
        all_of(
            added("nodes", replace(TWIN, labels={**TWIN.labels, "topology.kubernetes.io/zone": "eu-west-1z"})),
            added("pods", replace(WEB, node=SPOT_NODE.name), replace(WEB, name="web-2", node=TWIN.name)),
        ),
        "2 replicas, and no PodDisruptionBudget selects them",
    ),
}
SOUND: dict[str, Change] = {
    "fall-back of an hour ago, and Spot just came back": fallen_back(2 * HOUR, 10),
    "fall-back just now": fallen_back(20, 10),
    "fall-back while Spot is short": fallen_back(5 * HOUR),
    "a floor that is kept on On-Demand": all_of(
        fallen_back(3 * HOUR, 40, claims=("data",), selector={"karpenter.sh/nodepool": "on-demand"})
    ),
    "fall-back of a cluster without a Spot pool": all_of(
        fallen_back(3 * HOUR, 40), changed("node_pools", named("spot"), capacity_types=("on-demand",))
    ),
    "fall-back of a cluster whose Spot pool is for others": all_of(
        fallen_back(3 * HOUR, 40), changed("node_pools", named("spot"), tainted=True)
    ),
    "a round of refusals, and everything runs": refused(30, 3),
    "a drought that is over": all_of(refused(40), pending(6)),
    "a pod that waits for its launch": all_of(refused(1), pending(1)),
    "a launch under way": not_launched(1),
    "a Spot instance that was taken back and heard of": ended(BACK, None, INTERRUPTED),
    "a Spot instance of which the event is forgotten": ended(BACK, None, sent=12.0),
    "a Spot instance that was taken back long ago": ended(BACK, 55),
    "a node that Karpenter ended, and CloudWatch says nothing": ended(BY_KARPENTER, 30),
    "a node that ended just now": ended(BY_KARPENTER, 5, sent=0.0),
    "a wide Spot pool": wide(only("karpenter.k8s.aws/instance-category", "c", "m", "r")),
    "an insight that EKS does not know": given("insights", replace(INSIGHT, status="UNKNOWN")),
    "a node group that is updated": changed("node_groups", status="UPDATING"),
    "a node that joins": of_node(condition("Ready", "False", 2)),
    "pressure that an eviction relieves": of_node(condition("MemoryPressure", "True", 4)),
    "a broken node that goes": all_of(NOT_KERNEL, changed("node_claims", is_spot_claim, deleted_at=NOW)),
    "a broken node that is deleted": all_of(NOT_KERNEL, changed("nodes", is_spot_node, deleted_at=NOW)),
    "a condition that nobody knows": of_node(condition("Odd", "False", 600)),
    "drift of this week": drifted(7),
    "drift that goes": drifted(9, changed("node_claims", is_spot_claim, deleted_at=NOW)),
    "kubelets of before an upgrade": changed("nodes", is_spot_node, kubelet="v1.34.9"),
    "a kubelet of no known version": changed("nodes", is_spot_node, kubelet="fake"),
    "a webhook whose pod moves": added("webhooks", replace(WEBHOOK, changed_at=minutes_ago(1))),
    "a webhook that answers": added("webhooks", replace(WEBHOOK, endpoints=1)),
    "CoreDNS on two nodes": core_dns(OTHER_SYSTEM_NODE.name),
    "CoreDNS while a replica is placed": core_dns(""),
    "a worker without readiness behind no Service": web(SPOT_NODE.name, unprobed=True),
    "another namespace's Service": all_of(
        web(SPOT_NODE.name, unprobed=True), added("services", replace(WEB_SERVICE, namespace="other"))
    ),
    "a Service without selector": all_of(
        web(SPOT_NODE.name, unprobed=True), added("services", replace(WEB_SERVICE, selector={}))
    ),
    "a readiness probe behind a Service": all_of(web(SPOT_NODE.name), added("services", WEB_SERVICE)),
}
