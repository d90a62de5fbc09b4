"""Faults of nodes, of what answers, and of Spot's way: launches, width, the way back from On-Demand."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.lab.faults import CLUSTER, Faults
from tests.lab.faults_cluster import ON_SPOT, deployment, made
from tests.lab.running import Lab, condition, thing, until

FAULTS = Faults()

POOLS = ("spot", "data")


def a_spot_node(lab: Lab) -> str:
    """Name of a node of the Spot pool."""
    nodes = lab.get("nodes")
    return next(
        node["metadata"]["name"]
        for node in nodes
        if node["metadata"]["labels"].get("karpenter.sh/nodepool") == "spot"
        and not node["metadata"].get("deletionTimestamp")
    )


def joined(lab: Lab) -> None:
    """Wait for what is under way: judged as if it were much later, a joining node is invisible, an Application ill."""
    until("no node is joining", lambda: all(condition(claim, "Ready") == "True" for claim in lab.claims().values()), 60)
    until(
        "every Application is Healthy",
        lambda: all(
            each["status"]["health"]["status"] == "Healthy" for each in lab.get("applications", namespace="argocd")
        ),
        90,
    )


def with_condition(lab: Lab, kind: str, status: str) -> Iterator[None]:
    """A condition that the node monitoring agent would write, on a Spot node, since now."""
    joined(lab)
    node, now = a_spot_node(lab), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    seeded = {"type": kind, "status": status, "reason": "Seeded", "message": "", "lastTransitionTime": now}
    of_status(lab, node, {"conditions": [{**seeded, "lastHeartbeatTime": now}]})
    yield
    of_status(lab, node, {"conditions": [{"type": kind, "$patch": "delete"}]})


def of_status(lab: Lab, node: str, status: dict[str, Any]) -> None:
    """Change the status of a node, where it is still there."""
    change = json.dumps({"status": status})
    lab.kubectl("patch", "node", node, "--subresource=status", "--type=strategic", f"--patch={change}", check=False)


@FAULTS.named("node-conditions", "KernelReady=False for 11 min", later=timedelta(minutes=11, seconds=30))
def a_kernel_is_broken(lab: Lab) -> Iterator[None]:
    yield from with_condition(lab, "KernelReady", "False")


@FAULTS.named("repair-held", "StorageReady=False for 45 min", later=timedelta(minutes=45, seconds=30))
def a_broken_node_is_not_repaired(lab: Lab) -> Iterator[None]:
    yield from with_condition(lab, "StorageReady", "False")


@FAULTS.named("version-skew", "it is 4 minors older", seconds=90)
def a_kubelet_is_too_old(lab: Lab) -> Iterator[None]:
    node = a_spot_node(lab)
    before = lab.get("node", node)["status"]["nodeInfo"]["kubeletVersion"]
    major, minor = before.lstrip("v").split(".")[:2]
    of_status(lab, node, {"nodeInfo": {"kubeletVersion": f"v{major}.{int(minor) - 4}.0"}})
    yield
    of_status(lab, node, {"nodeInfo": {"kubeletVersion": before}})


@FAULTS.named("drift-age", "'s budget lets 0 go", seconds=90, later=timedelta(days=9))
def nodes_drift_and_no_budget_lets_them_go(lab: Lab) -> Iterator[None]:
    joined(lab)
    before = {pool: lab.get("nodepool", pool)["spec"]["disruption"].get("budgets") for pool in POOLS}
    tags = lab.get("ec2nodeclass", "default")["spec"]["tags"]
    for pool in POOLS:
        lab.patch("nodepool", pool, {"spec": {"disruption": {"budgets": [{"nodes": "0"}]}}})
    lab.patch("ec2nodeclass", "default", {"spec": {"tags": {**tags, "seeded": "drift"}}})
    yield
    lab.patch("ec2nodeclass", "default", {"spec": {"tags": {**tags, "seeded": None}}})
    until("nothing has drifted", lambda: not any(map(drifted, lab.claims().values())), 120)
    for pool, budgets in before.items():
        lab.patch("nodepool", pool, {"spec": {"disruption": {"budgets": budgets}}})


def drifted(claim: Any) -> bool:
    return condition(claim, "Drifted") == "True"


@FAULTS.named("webhooks", "Service default/nobody does not exist")
def a_webhook_lost_its_service(lab: Lab) -> Iterator[None]:
    rule = {"apiGroups": ["none.example"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothings"]}
    webhook = {
        "name": "seeded.none.example",
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"namespace": "default", "name": "nobody"}},
        "rules": [rule],
    }
    version, kind = "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"
    yield from made(lab, thing(version, kind, "seeded", webhooks=[webhook]))


@FAULTS.named("coredns", "one replica", seconds=90)
def coredns_has_one_replica(lab: Lab) -> Iterator[None]:
    """The lab runs none of its own; this one waits for a node that no pool brings."""
    one = deployment("coredns", nodeSelector={"node-role": "none"})
    one["metadata"]["namespace"] = "kube-system"
    one["spec"]["selector"]["matchLabels"] = one["spec"]["template"]["metadata"]["labels"] = {"k8s-app": "kube-dns"}
    yield from made(lab, one)


@FAULTS.named("probes-and-budgets", "behind Service bare, and no readiness probe", seconds=60)
def a_service_sends_to_pods_that_do_not_say_when_they_are_ready(lab: Lab) -> Iterator[None]:
    service = thing("v1", "Service", "bare", "default", spec={"selector": {"app": "bare"}, "ports": [{"port": 80}]})
    yield from made(lab, deployment("bare", nodeSelector=ON_SPOT), service)


@FAULTS.named("spot-diversity", "fewer than 15")
def a_spot_pool_is_narrowed_to_one_family(lab: Lab) -> Iterator[None]:
    before = lab.get("nodepool", "spot")["spec"]["template"]["spec"]["requirements"]
    family = {"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["m5"]}
    closed = lab.get("nodepool", "spot")["spec"]["disruption"].get("budgets")
    lab.patch("nodepool", "spot", {"spec": {"disruption": {"budgets": [{"nodes": "0"}]}}})  # drift moves nothing
    lab.patch("nodepool", "spot", with_requirements([*before, family]))
    yield
    lab.patch("nodepool", "spot", with_requirements(before))
    until("nothing has drifted", lambda: not any(map(drifted, lab.claims().values())), 120)
    lab.patch("nodepool", "spot", {"spec": {"disruption": {"budgets": closed}}})


def with_requirements(terms: list[dict[str, Any]]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"requirements": terms}}}}


@FAULTS.named("insights", "ERROR for Kubernetes 1.36: seeded")
def eks_finds_a_removed_api_in_use(lab: Lab) -> Iterator[None]:
    key = f"{CLUSTER}/a1b2"
    status = {"status": "ERROR", "reason": "seeded"}
    row = {"name": "Deprecated APIs", "category": "UPGRADE_READINESS", "kubernetesVersion": "1.36"}
    lab.tables().put("insights", key, {**row, "insightStatus": status})
    yield
    lab.tables().remove("insights", key)


@FAULTS.named("refused-launches", "1 pod without a node for more than 5 min", seconds=90, later=timedelta(minutes=6))
def spot_and_on_demand_run_dry(lab: Lab) -> Iterator[None]:
    with lab.short_of("spot", "on-demand"):
        yield from made(lab, large("dry"))


@FAULTS.named("fallback-stuck", "a Spot node was launched", seconds=60, later=timedelta(hours=2))
def fall_back_stays_when_spot_is_back(lab: Lab) -> Iterator[None]:
    """The budget of its pool lets nothing go. Types that were refused are not tried for three minutes: others are."""
    budgets = lab.get("nodepool", "on-demand")["spec"]["disruption"].get("budgets")
    lab.patch("nodepool", "on-demand", {"spec": {"disruption": {"budgets": [{"nodes": "0"}]}}})
    with lab.short_of("spot"):
        lab.put(large("fallen"))
        until("it runs on On-Demand", lambda: lab.runs("fallen"), 120)
    # On no node that is there, so that one is launched; smaller than the types that were refused.
    nodes = [node["metadata"]["name"] for node in lab.get("nodes")]
    lab.kubectl("cordon", *nodes)
    lab.wants_node("back", cpu="3500m")
    until("Spot is back", lambda: lab.runs("back"), 120)
    lab.kubectl("uncordon", *nodes)
    yield
    lab.no_longer_wants_node("fallen")
    lab.no_longer_wants_node("back")
    lab.patch("nodepool", "on-demand", {"spec": {"disruption": {"budgets": budgets}}})


def large(name: str) -> dict[str, Any]:
    """A Deployment of a pod that no node in use has room for, and that names no pool."""
    wanted = deployment(name, terminationGracePeriodSeconds=0)
    wanted["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "7", "memory": "1Gi"}}
    return wanted
