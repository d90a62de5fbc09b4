"""Faults of nodes, of what answers, and of Spot's way back: the line that names each, and what that line says."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from otel_on_spot.doctor.facts_kubernetes import ClaimEvent, Condition, Pod, PoolBudget, Service, Webhook
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


def gates(text: str, version: str = "1.14.1") -> Change:
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
REPAIR_BLOCKED = ClaimEvent(claim=SPOT_CLAIM.name, reason="NodeRepairBlocked", message="in its words")
DISRUPTION_BLOCKED = ClaimEvent(claim=SPOT_CLAIM.name, reason="DisruptionBlocked", message="pdb x")
NO_DISRUPTION = changed("node_pools", named("spot"), budgets=(PoolBudget(nodes="0"),))
NOT_KERNEL = of_node(condition("KernelReady", "False", 45, "soft lockup"))

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
        drifted(9, changed("node_pools", budgets=())),
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
            added("pods", CORE_DNS, replace(CORE_DNS, name="coredns-2", node=OTHER_SYSTEM_NODE.name)),
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
        added("pods", CORE_DNS, replace(CORE_DNS, name="coredns-2")),
        f"all 2 replicas are on node {SYSTEM_NODE.name}",
    ),
    "all of CoreDNS in one zone": (
        "coredns",
        all_of(
            added("nodes", replace(SYSTEM_NODE, name="third")),
            added("pods", CORE_DNS, replace(CORE_DNS, name="coredns-2", node="third")),
        ),
        "all 2 replicas are in zone",
    ),
    "one replica of CoreDNS": ("coredns", added("pods", CORE_DNS), "one replica"),
    "no CoreDNS": (
        "coredns",
        all_of(
            lambda facts: replace(facts, simulated=False),
            changed("addons", named("kube-proxy"), version="v1.35.0-eksbuild.2"),
        ),
        "no pod of it runs",
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
    "CoreDNS on two nodes": added("pods", CORE_DNS, replace(CORE_DNS, name="coredns-2", node=OTHER_SYSTEM_NODE.name)),
    "CoreDNS while a replica is placed": added("pods", CORE_DNS, replace(CORE_DNS, name="coredns-2", node="")),
    "a worker without readiness behind no Service": web(SPOT_NODE.name, unprobed=True),
    "another namespace's Service": all_of(
        web(SPOT_NODE.name, unprobed=True), added("services", replace(WEB_SERVICE, namespace="other"))
    ),
    "a Service without selector": all_of(
        web(SPOT_NODE.name, unprobed=True), added("services", replace(WEB_SERVICE, selector={}))
    ),
    "a readiness probe behind a Service": all_of(web(SPOT_NODE.name), added("services", WEB_SERVICE)),
}
