"""Faults that are put into a running lab side by side, each with the alert that must fire of it."""

import json
import shlex
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event, Thread, Timer
from typing import Any

from otel_on_spot.doctor.checks.gitops import sync
from otel_on_spot.doctor.fact import parse
from otel_on_spot.doctor.facts_kubernetes import Application
from otel_on_spot.lab.aws import events
from otel_on_spot.lab.control_plane import NODE_LABEL
from tests.lab import faults_access, faults_cloud, faults_cluster, faults_nodes
from tests.lab.faults import REGION, Faults, seeding
from tests.lab.faults_cloud import hung
from tests.lab.faults_cluster import deployment, made, no_eviction
from tests.lab.faults_nodes import large
from tests.lab.running import Lab, condition, thing, until
from tests.lab.watching import HOURLY

Seeding = Callable[[Lab], AbstractContextManager[None]]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault of the lab.

    ``fires``: alerts that it must fire, each with labels of it. ``also``: alerts that rightly follow from it.
    """

    name: str
    fires: dict[str, dict[str, str]]
    seed: Seeding
    also: frozenset[str] = field(default_factory=frozenset)


def of_doctor(name: str) -> Seeding:
    """A fault that the doctor is proven with, by its name."""
    table = (*faults_access.FAULTS, *faults_cloud.FAULTS, *faults_cluster.FAULTS, *faults_nodes.FAULTS)
    return Faults(table).one(name).seed


def with_a_node(lab: Lab, name: str) -> tuple[str, str]:
    """Names of the node that a pod runs on, and of its NodeClaim."""
    lab.wants_node(name)
    node = until("a node runs", lambda: lab.runs(name), 60)
    return node, until("its NodeClaim", lambda: lab.claim_of_node(node))["metadata"]["name"]


@seeding
def a_node_that_may_not_join(lab: Lab) -> Iterator[None]:
    with of_doctor("the role is missing from aws auth")(lab):
        lab.wants_node("invisible")
        yield
        lab.no_longer_wants_node("invisible")
        # Once it may join, it would stay for a while: a node with room, where the next fault wants none.
        claims = [name for name, claim in lab.claims().items() if condition(claim, "Registered") != "True"]
        lab.kubectl("delete", "nodeclaim", "--ignore-not-found", "--wait=false", *claims)


@seeding
def a_node_ends_unheard(lab: Lab) -> Iterator[None]:
    """The rule of state changes is off; a node ends when what was heard before is more than the window ago."""
    _node, claim = with_a_node(lab, "unheard")
    rules = lab.aws("events", "list_rules")["Rules"]
    (rule,) = (rule["Name"] for rule in rules if "State-change" in rule["EventPattern"])
    lab.aws("events", "disable_rule", Name=rule)
    end = Timer(3600 / HOURLY, lab.kubectl, ("delete", "nodeclaim", claim, "--ignore-not-found", "--wait=false"))
    end.start()
    yield
    end.cancel()
    end.join()
    lab.aws("events", "enable_rule", Name=rule)
    lab.no_longer_wants_node("unheard")


@seeding
def a_node_that_may_not_end(lab: Lab) -> Iterator[None]:
    """A budget of its pod allows no eviction."""
    _node, claim = with_a_node(lab, "held")
    with lab.there(no_eviction("held")):
        lab.kubectl("delete", "nodeclaim", claim, "--wait=false")
        yield
    lab.no_longer_wants_node("held")


@seeding
def a_node_class_without_an_image(lab: Lab) -> Iterator[None]:
    """One more, that no pool names."""
    own = lab.get("ec2nodeclass", "default")
    spec = {**own["spec"], "amiSelectorTerms": [{"id": "ami-00000000000000000"}], "amiFamily": "AL2023"}
    yield from made(lab, thing(own["apiVersion"], "EC2NodeClass", "stray", spec=spec))


@seeding
def spot_is_short(lab: Lab) -> Iterator[None]:
    """A pod that names no pool falls back to On-Demand. Its node goes with it: it has room for what comes next."""
    with lab.short_of("spot"):
        lab.put(large("dry"))
        yield
        until("it runs On-Demand", lambda: lab.runs("dry"), 120)
    lab.no_longer_wants_node("dry")


@seeding
def the_quota_of_on_demand_is_used_up(lab: Lab) -> Iterator[None]:
    """A pod that may run nowhere else waits."""
    wanted: dict[str, Any] = json.loads(json.dumps(large("refused")))
    wanted["spec"]["template"]["spec"]["nodeSelector"] = {"karpenter.sh/capacity-type": "on-demand"}
    with lab.short_of("on-demand", code="VcpuLimitExceeded"):
        yield from made(lab, wanted)


@seeding
def a_workload_never_becomes_ready_while_syncs_are_off(lab: Lab) -> Iterator[None]:
    """Lesson 4: nothing puts it back. A deleted one leaves the Application Healthy, and OutOfSync, since Argo CD 3.4.

    Source: ``setApplicationHealth`` of Argo CD, controller/health.go.
    """

    def runs_on(system: str | None, seconds: int) -> None:
        template = {"spec": {"nodeSelector": {"kubernetes.io/os": system}}}
        spec = {"progressDeadlineSeconds": seconds, "template": template}
        lab.patch("deployment", "quote", {"spec": spec}, "otel-demo")

    with of_doctor("an application is suspended without an end")(lab):
        runs_on("none", 5)
        yield
        runs_on(None, 600)
    until("it is back", lambda: faults_cluster.healthy(lab), 90)


@contextmanager
def refused(lab: Lab, user: str, deployment: str) -> Generator[None]:
    """A policy refuses what a service account (``namespace:name``) changes in a Deployment of the demo."""
    version, name = "admissionregistration.k8s.io/v1", f"refuses-{user.partition(':')[2]}"
    account = f"system:serviceaccount:{user}"
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}
    condition = f"object.metadata.name == '{deployment}' && request.userInfo.username == '{account}'"
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": f"!({condition})", "message": "seeded"}],
    }
    policy = thing(version, "ValidatingAdmissionPolicy", name, spec=spec)
    bound = {"policyName": name, "validationActions": ["Deny"]}
    binding = thing(version, "ValidatingAdmissionPolicyBinding", name, spec=bound)

    def refuses() -> bool:
        probe = ("annotate", "deployment", deployment, "--namespace=otel-demo", "--dry-run=server", "--overwrite")
        return "annotated" not in lab.kubectl(*probe, "x=y", f"--as={account}", check=False)

    with lab.there(policy, binding):
        until("the policy holds", refuses, 30)
        yield


@seeding
def a_policy_refuses_what_argo_cd_writes(lab: Lab) -> Iterator[None]:
    """Of one Deployment, which is scaled by hand: Argo CD tries to take that back."""
    with refused(lab, "argocd:argocd-application-controller", "quote"):
        lab.kubectl("scale", "deployment/quote", "--namespace=otel-demo", "--replicas=2")
        yield
    lab.kubectl("scale", "deployment/quote", "--namespace=otel-demo", "--replicas=1")
    until("the Application is synced", lambda: faults_cluster.healthy(lab), 120)


def synced_by_hand(lab: Lab) -> None:
    """A full sync of the demo, as the doctor advises one: no other is under way, which Argo CD would go on with."""
    until("no sync is under way", lambda: "operation" not in lab.application("otel-demo"), 120)
    lab.inside(*shlex.split(sync(parse(Application, lab.application("otel-demo")))))


@seeding
def the_guard_of_databases_may_not_place_them(lab: Lab) -> Iterator[None]:
    """Lesson 2: a policy refuses what its hook patches, and a sync runs the hook."""
    with refused(lab, "otel-demo:stateful-placement", "postgresql"):
        until("nothing of the demo is to be healed", lambda: faults_cluster.healthy(lab), 120)
        synced_by_hand(lab)
        yield

    def over() -> bool:
        """No sync is under way; the last one went well, or one more is asked for."""
        found = lab.application("otel-demo")
        phase = (found["status"].get("operationState") or {}).get("phase")
        if phase in ("Failed", "Error") and "operation" not in found:
            synced_by_hand(lab)
        return phase == "Succeeded" and "operation" not in found

    until("its hook succeeds", over, 180)


@seeding
def a_kubelet_stops(lab: Lab) -> Iterator[None]:
    """KWOK plays a node's kubelet as long as the node has its label."""
    node, _claim = with_a_node(lab, "broken")
    label, _, value = NODE_LABEL.partition("=")
    lab.kubectl("label", "node", node, f"{label}-")
    yield
    lab.kubectl("label", "node", node, f"{label}={value}", check=False)
    lab.no_longer_wants_node("broken")
    lab.kubectl("delete", "node", node, "--ignore-not-found", "--wait=false")


@seeding
def a_pod_of_the_demo_stays_on_the_fallback(lab: Lab) -> Iterator[None]:
    """Spot has capacity; the pod's own nodeSelector holds it."""
    kept = deployment("kept", nodeSelector={"karpenter.sh/nodepool": "on-demand"}, terminationGracePeriodSeconds=0)
    kept["metadata"]["namespace"] = "otel-demo"
    yield from made(lab, kept)
    on_demand = "--selector=karpenter.sh/nodepool=on-demand"
    lab.kubectl("delete", "nodeclaims", on_demand, "--ignore-not-found", "--timeout=90s")


@contextmanager
def again_and_again(action: Callable[[], None], every: float) -> Generator[None]:
    """Do something every so many seconds, beside."""
    ended = Event()

    def run() -> None:
        while not ended.wait(every):
            action()

    running = Thread(target=run)
    running.start()
    try:
        yield
    finally:
        ended.set()
        running.join()


@seeding
def karpenter_stands_still(lab: Lab) -> Iterator[None]:
    with hung(lab, "karpenter"):
        yield


@seeding
def argo_cds_controller_stands_still(lab: Lab) -> Iterator[None]:
    with hung(lab, "argocd-application-controller"):
        yield
    until("every Application is compared again", lambda: faults_cluster.healthy(lab), 120)


@seeding
def the_repo_server_is_slow(lab: Lab) -> Iterator[None]:
    """It stands still for twelve seconds of fifteen, and every Application asks it for its manifests anew."""

    def slow() -> None:
        with hung(lab, "argocd-repo-server"):
            refresh = "argocd.argoproj.io/refresh=hard"
            lab.kubectl("annotate", "application.argoproj.io", "--all", "--namespace=argocd", "--overwrite", refresh)
            time.sleep(12)

    with again_and_again(slow, every=3):
        yield
    until("every Application is compared again", lambda: faults_cluster.healthy(lab), 120)


@seeding
def events_arrive_late(lab: Lab) -> Iterator[None]:
    """Warnings about an instance that is not there arrive a minute after their time."""

    def late() -> None:
        then = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        lab.ask("event", event={**events.spot_interruption(REGION, "i-0123456789abcdef0"), "time": then})

    with again_and_again(late, every=1):
        yield


BUDGET_USED_UP = frozenset({"DisruptionBlocked"})
"""A node that is not ready counts against its pool's budget; in that alert's rule a minute is a day."""
SUSPENDED = frozenset({"ApplicationOutOfSync", "SuspensionOutlivesLease"})
ROUNDS: dict[str, tuple[Fault, ...]] = {
    "what is set up wrong": (
        Fault(
            name="the rule of state changes is disabled, and a node ends",
            fires={"InterruptionPathDead": {}},
            seed=a_node_ends_unheard,
        ),
        Fault(
            name="a node may not end, by its pod's budget",
            fires={"TerminationStuck": {"karpenter_sh_nodepool": "spot"}},
            seed=a_node_that_may_not_end,
        ),
        Fault(
            name="the node role is missing from `aws-auth`, and a node is launched",
            fires={"NodeNeverJoins": {"karpenter_sh_nodepool": "spot"}, "PodsUnbound": {"namespace": "default"}},
            seed=a_node_that_may_not_join,
        ),
        Fault(
            name="a pool is at its limit",
            fires={"PoolNearLimit": {"nodepool": "data", "resource_type": "cpu"}},
            seed=of_doctor("a pool is at its limit"),
        ),
        Fault(
            name="an EC2NodeClass names an image that there is not",
            fires={"NodeClassNotReady": {"name": "stray"}},
            seed=a_node_class_without_an_image,
        ),
        Fault(
            name="an Application's automatic sync is off, and a workload of it never becomes ready",
            fires={"SuspensionOutlivesLease": {"name": "otel-demo"}, "ApplicationUnhealthy": {"name": "otel-demo"}},
            seed=a_workload_never_becomes_ready_while_syncs_are_off,
            also=frozenset({"ApplicationOutOfSync"}),
        ),
        Fault(
            name="an Application declares what another one owns",
            fires={"ApplicationOutOfSync": {"name": "stray"}, "SyncFailed": {"name": "stray"}},
            seed=of_doctor("an application stays out of sync"),
            also=SUSPENDED,
        ),
    ),
    "spot is short": (
        Fault(name="Spot has no capacity, and a pod is new", fires={"SpotRunsDry": {}}, seed=spot_is_short),
        Fault(
            name="a policy refuses what Argo CD writes",
            fires={"WritesRefused": {"code": "422"}},
            seed=a_policy_refuses_what_argo_cd_writes,
            also=frozenset({"ApplicationOutOfSync", "SyncFailed"}),
        ),
    ),
    "on demand is refused": (
        Fault(
            name="the quota of On-Demand is used up, and a pod wants it",
            fires={
                "LaunchFailures": {"reason": "VCPULimitExceeded", "capacity_type": "on-demand"},
                "PodsUnbound": {"namespace": "default"},
            },
            seed=the_quota_of_on_demand_is_used_up,
        ),
        Fault(
            name="a database is moved to Spot while syncs are held",
            fires={"DatabaseOnSpot": {"name": "opensearch-0"}},
            seed=of_doctor("a database is moved to spot while syncs are held"),
            also=SUSPENDED | {"ApplicationUnhealthy"},
        ),
    ),
    "what is held back": (
        Fault(
            name="nodes have drifted, and the budgets of their pools let none go",
            fires={"DriftHeld": {"karpenter_sh_nodepool": "spot"}, "DisruptionBlocked": {"nodepool": "spot"}},
            seed=of_doctor("nodes drift and no budget lets them go"),
        ),
        Fault(
            name="a node's kubelet stops",
            fires={"RepairHeld": {"karpenter_sh_nodepool": "spot"}},
            seed=a_kubelet_stops,
            also=BUDGET_USED_UP,
        ),
        Fault(
            name="a stateless pod of the demo asks for On-Demand",
            fires={"FallbackStuck": {"nodepool": "on-demand"}},
            seed=a_pod_of_the_demo_stays_on_the_fallback,
        ),
        Fault(
            name="a policy refuses what the hook that places databases patches",
            fires={"PlacementGuardFails": {"namespace": "otel-demo"}},
            seed=the_guard_of_databases_may_not_place_them,
        ),
    ),
    "what stands still": (
        Fault(name="Karpenter stands still", fires={"KarpenterDown": {}}, seed=karpenter_stands_still),
        Fault(
            name="Argo CD's repo server stands still for 12 s of 15",
            fires={"ReconcileSlow": {}},
            seed=the_repo_server_is_slow,
        ),
    ),
    "what is late": (
        Fault(
            name="Argo CD's application controller stands still",
            fires={"ArgoCdDown": {}},
            seed=argo_cds_controller_stands_still,
            also=frozenset({"ReconcileSlow"}),
        ),
        Fault(
            name="events arrive a minute after their time",
            fires={"InterruptionSlow": {}},
            seed=events_arrive_late,
        ),
    ),
}
"""Faults that do not disturb each other, by round."""
