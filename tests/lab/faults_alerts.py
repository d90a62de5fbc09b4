"""Faults that are put into a running lab side by side, each with the alert that must fire of it."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Timer
from typing import Any

from tests.lab import faults_access, faults_cloud, faults_cluster, faults_nodes
from tests.lab.faults import seeding
from tests.lab.faults_cluster import made
from tests.lab.faults_nodes import large
from tests.lab.running import Lab, condition, until
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
    (found,) = (fault for fault in table if fault.name == name)
    return found.seed


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
    lab.wants_node("unheard")
    node = until("a node runs", lambda: lab.runs("unheard"), 60)
    claim = until("its NodeClaim", lambda: lab.claim_of_node(node))["metadata"]["name"]
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
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "held", "namespace": "default"},
        "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "held"}}},
    }
    lab.wants_node("held")
    node = until("a node runs", lambda: lab.runs("held"), 60)
    claim = until("its NodeClaim", lambda: lab.claim_of_node(node))["metadata"]["name"]
    held = made(lab, budget)
    next(held)
    lab.kubectl("delete", "nodeclaim", claim, "--wait=false")
    yield
    next(held, None)
    lab.no_longer_wants_node("held")


@seeding
def a_node_class_without_an_image(lab: Lab) -> Iterator[None]:
    """One more, that no pool names."""
    own = lab.get("ec2nodeclass", "default")
    spec = {**own["spec"], "amiSelectorTerms": [{"id": "ami-00000000000000000"}], "amiFamily": "AL2023"}
    stray = {"apiVersion": own["apiVersion"], "kind": "EC2NodeClass", "metadata": {"name": "stray"}, "spec": spec}
    yield from made(lab, stray)


@seeding
def spot_is_short(lab: Lab) -> Iterator[None]:
    """A pod that names no pool falls back to On-Demand. Its node goes with it: it has room for what comes next."""
    lab.ask("capacity", shortages=[{"capacity_type": "spot"}])
    lab.kubectl("apply", "--filename=-", text=json.dumps(large("dry")))
    yield
    until("it runs On-Demand", lambda: lab.runs("dry"), 120)
    lab.ask("capacity", shortages=[])
    lab.no_longer_wants_node("dry")


@seeding
def the_quota_of_on_demand_is_used_up(lab: Lab) -> Iterator[None]:
    """A pod that may run nowhere else waits."""
    lab.ask("capacity", shortages=[{"capacity_type": "on-demand", "code": "VcpuLimitExceeded"}])
    wanted: dict[str, Any] = json.loads(json.dumps(large("refused")))
    wanted["spec"]["template"]["spec"]["nodeSelector"] = {"karpenter.sh/capacity-type": "on-demand"}
    yield from made(lab, wanted)
    lab.ask("capacity", shortages=[])


@seeding
def a_workload_is_deleted_while_syncs_are_off(lab: Lab) -> Iterator[None]:
    """Lesson 4: nothing brings it back."""
    with of_doctor("an application is suspended without an end")(lab):
        lab.kubectl("delete", "deployment", "quote", "--namespace=otel-demo")
        yield
    until("it is back", lambda: faults_cluster.healthy(lab), 90)


@seeding
def a_policy_refuses_what_argo_cd_writes(lab: Lab) -> Iterator[None]:
    """Of one Deployment, which is scaled by hand: Argo CD tries to take that back."""
    group, name = "admissionregistration.k8s.io", "refuses-argo-cd"
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}
    condition = "object.metadata.name == 'quote' && request.userInfo.username.contains('argocd')"
    policy = {
        "apiVersion": f"{group}/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": f"!({condition})", "message": "seeded"}],
        },
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    placed = made(lab, policy, binding)
    next(placed)

    def refuses() -> bool:
        who = "--as=system:serviceaccount:argocd:argocd-application-controller"
        probe = ("annotate", "deployment", "quote", "--namespace=otel-demo", "--dry-run=server", "--overwrite", "x=y")
        return "annotated" not in lab.kubectl(*probe, who, check=False)

    until("the policy holds", refuses, 30)
    lab.kubectl("scale", "deployment/quote", "--namespace=otel-demo", "--replicas=2")
    yield
    next(placed, None)
    lab.kubectl("scale", "deployment/quote", "--namespace=otel-demo", "--replicas=1")
    until("the Application is synced", lambda: faults_cluster.healthy(lab), 120)


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
            name="an Application's automatic sync is off, and a workload of it is deleted",
            fires={"SuspensionOutlivesLease": {"name": "otel-demo"}, "ApplicationUnhealthy": {"name": "otel-demo"}},
            seed=a_workload_is_deleted_while_syncs_are_off,
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
}
"""Faults that do not disturb each other, by round."""
