"""The whole program's graph: who depends on whom, who belongs to whom, what is promised and what is known."""

import gc
import importlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, get_origin

import pulumi
import pytest

from otel_on_spot import project
from otel_on_spot.plan.record import PlanError, record, record_program
from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.program.urns import STACK_TYPE
from otel_on_spot.program.values import holds_unknown, revealed

OURS = "otel-on-spot:index:"
MODULES = {
    "Network": "infra.network",
    "FlowLogs": "infra.network",
    "Cluster": "infra.cluster",
    "SystemNodes": "infra.system_nodes",
    "Addons": "infra.addons",
    "KarpenterNodeRole": "infra.karpenter.node_role",
    "InterruptionQueue": "infra.karpenter.interruption",
    "ControllerRole": "infra.karpenter.controller_role",
    "KarpenterController": "infra.karpenter.controller",
    "Capacity": "infra.karpenter.capacity",
    "ArgoCd": "infra.argocd",
    "AppOfApps": "infra.app_of_apps",
    "LoadBalancerRole": "infra.load_balancers",
    "WaysIn": "infra.ingress",
}
RELEASE = "kubernetes:helm.sh/v3:Release"
EKS = "eks:index:Cluster"
APPLICATION = "kubernetes:argoproj.io/v1alpha1:Application"
PROJECT = "kubernetes:argoproj.io/v1alpha1:AppProject"
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
ADDON = "aws:eks/addon:Addon"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


def one(plan: Recording, token: str, name: str = "") -> Registration:
    found = [r for r in plan.of_type(token) if name in r.name]

    assert len(found) == 1, f"{token} {name}: {[r.name for r in found]}"
    return found[0]


def camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def test_two_resources_of_one_name_are_refused_as_the_engine_refuses_them() -> None:
    class Twice(pulumi.ComponentResource):
        def __init__(self, name: str) -> None:
            super().__init__("t:index:Twice", name)
            self.register_outputs({})

    with pytest.raises(PlanError, match="duplicate resource URN"):
        record_program(lambda: (Twice("a"), Twice("a")))


def test_every_resource_hangs_below_a_component_but_the_provider_itself(plan: Recording) -> None:
    stack = one(plan, STACK_TYPE)
    loose = [r.name for r in plan.children(stack.urn) if r.custom]

    assert loose == ["aws"]


def test_every_component_registers_exactly_the_outputs_that_its_class_declares(plan: Recording) -> None:
    components = [r for r in plan if r.type.startswith(OURS)]

    assert {r.type.removeprefix(OURS) for r in components} <= MODULES.keys()
    for component in components:
        kind = component.type.removeprefix(OURS)
        annotations = vars(getattr(importlib.import_module(MODULES[kind]), kind))["__annotations__"]
        declared = {camel(name) for name, hint in annotations.items() if get_origin(hint) is pulumi.Output}

        assert declared == set(component.registered_outputs or {}), component.name


def test_every_aws_resource_is_made_by_the_one_aws_provider(plan: Recording) -> None:
    (provider,) = plan.of_type("pulumi:providers:aws")
    strays = [r.name for r in plan if r.type.startswith("aws:") and r.provider.rpartition("::")[0] != provider.urn]

    assert strays == []


def test_every_kubernetes_object_of_the_program_is_made_by_the_one_kubernetes_provider(plan: Recording) -> None:
    provider = one(plan, "pulumi:providers:kubernetes", "cluster-kubernetes")
    strays = [
        r.name
        for r in plan
        if r.type.startswith("kubernetes:")
        and not r.inside_component
        and r.provider.rpartition("::")[0] != provider.urn
    ]

    assert strays == []


def test_a_change_of_the_cluster_does_not_preview_as_a_replacement_of_the_kubernetes_provider(
    first_preview: Recording,
) -> None:
    provider = one(first_preview, "pulumi:providers:kubernetes", "cluster-kubernetes")

    assert isinstance(provider.inputs["clusterIdentifier"], str)


def test_no_unknown_reaches_a_releases_values_version_or_name(first_preview: Recording) -> None:
    """One unknown in chart values previews as the deletion of everything (pulumi-kubernetes #3699)."""
    for release in first_preview.of_type(RELEASE):
        assert not holds_unknown(
            revealed({key: release.inputs.get(key) for key in ("values", "version", "name", "chart")})
        ), release.name


def test_between_pod_identity_and_irsa_the_role_trusts_both_and_the_association_is_nobodys() -> None:
    plan = record("dev", config_overrides={"karpenter": {"version": "1.14.3", "identity": "both"}})
    controller = one(plan, RELEASE, "karpenter-controller")
    association = one(plan, "aws:eks/podIdentityAssociation:PodIdentityAssociation")
    trust = one(plan, "aws:iam/role:Role", "karpenter-controller-role").inputs["assumeRolePolicy"]

    assert "pods.eks.amazonaws.com" in trust
    assert "sts:AssumeRoleWithWebIdentity" in trust
    assert association.inputs["serviceAccount"] != controller.inputs["values"]["serviceAccount"]["name"]
    assert "eks.amazonaws.com/role-arn" in controller.inputs["values"]["serviceAccount"]["annotations"]
    assert plan.reaches(controller, association)
    assert plan.reaches(one(plan, "aws:ec2/tag:Tag", "karpenter-identity"), controller)


@pytest.mark.parametrize("preview", [False, True])
def test_with_irsa_the_chart_names_the_role_that_trusts_it_before_it_is_made(preview: bool) -> None:
    karpenter = {"version": "1.14.3", "identity": "irsa"}
    plan = record("dev", config_overrides={"karpenter": karpenter}, preview=preview)
    controller = one(plan, RELEASE, "karpenter-controller")
    role = one(plan, "aws:iam/role:Role", "karpenter-controller-role")

    written = controller.inputs["values"]["serviceAccount"]["annotations"]["eks.amazonaws.com/role-arn"]
    assert written.endswith(f":role/{role.inputs['name']}")
    assert plan.reaches(controller, role)
    if not preview:
        assert written == role.outputs["arn"]
        assert "sts:AssumeRoleWithWebIdentity" in role.inputs["assumeRolePolicy"]
    assert not plan.of_type("aws:eks/podIdentityAssociation:PodIdentityAssociation")
    assert plan.of_type("aws:iam/openIdConnectProvider:OpenIdConnectProvider")


def test_an_output_in_an_f_string_raises_instead_of_shipping_its_warning_text() -> None:
    def program() -> None:
        pulumi.export("broken", f"{pulumi.Output.from_input('x')}")

    with pytest.raises(Exception, match=r"__str__"):
        record_program(program)


def test_whatever_has_a_name_in_iam_says_whose_it_is_and_its_roles_are_looked_up_first(plan: Recording) -> None:
    named = [
        resource
        for token in ("aws:iam/role:Role", "aws:iam/policy:Policy", "aws:iam/instanceProfile:InstanceProfile")
        for resource in plan.of_type(token)
        if resource.inputs.get("name")
    ]
    owner = f"{plan.exports['region']}/{plan.stack}"
    looked_up = next(i for i in plan.invokes if i.token == "aws:iam/getRoles:getRoles").arguments["nameRegex"]

    assert len(named) > 8
    assert [r.name for r in named if (r.inputs.get("tags") or {}).get("otel-on-spot/stack") != owner] == []
    roles = [r.inputs["name"] for r in named if r.type == "aws:iam/role:Role"]
    assert [role for role in roles if not re.fullmatch(looked_up, role)] == []


def test_the_program_asks_aws_only_who_it_is_what_lives_and_which_images_and_zones_there_are(plan: Recording) -> None:
    assert {invoke.token for invoke in plan.invokes} == {
        "aws:index/getCallerIdentity:getCallerIdentity",
        "aws:index/getAvailabilityZones:getAvailabilityZones",
        "aws:iam/getRoles:getRoles",
        "aws:eks/getClusters:getClusters",
        "aws:ssm/getParametersByPath:getParametersByPath",
        "aws:ec2/getSecurityGroups:getSecurityGroups",
    }


def names_known_without_the_control_plane(plan: Recording) -> Iterator[Registration]:
    for token in (
        "aws:sqs/queue:Queue",
        "aws:sqs/queuePolicy:QueuePolicy",
        "aws:cloudwatch/eventRule:EventRule",
        "aws:cloudwatch/eventTarget:EventTarget",
        "aws:iam/role:Role",
        "aws:iam/policy:Policy",
        "aws:iam/instanceProfile:InstanceProfile",
        "aws:ec2/natGateway:NatGateway",
        "aws:kms/key:Key",
        "aws:ec2/launchTemplate:LaunchTemplate",
    ):
        yield from (r for r in plan.of_type(token) if not r.inside_component)


def test_whatever_can_be_named_does_not_wait_for_the_control_plane(plan: Recording) -> None:
    cluster = one(plan, EKS)
    waiting = [r.name for r in names_known_without_the_control_plane(plan) if plan.reaches(r, cluster)]

    assert waiting == []


def test_the_control_plane_does_not_wait_for_nat_or_the_queue(plan: Recording) -> None:
    cluster = one(plan, EKS)
    hidden = [
        *plan.of_type("aws:ec2/natGateway:NatGateway"),
        *plan.of_type("aws:sqs/queue:Queue"),
        *plan.of_type("aws:ec2/vpcEndpoint:VpcEndpoint"),
    ]

    assert [r.name for r in hidden if plan.reaches(cluster, r)] == []


def test_endpoints_outlive_the_nodes_that_talk_to_aws_through_them(plan: Recording) -> None:
    endpoints = plan.of_type("aws:ec2/vpcEndpoint:VpcEndpoint")
    users = [one(plan, NODE_GROUP), *plan.of_type(NODE_POOL), one(plan, APPLICATION)]

    assert endpoints
    assert [(user.name, e.name) for user in users for e in endpoints if not plan.reaches(user, e)] == []


def test_charts_are_applied_while_the_node_group_comes_up(plan: Recording) -> None:
    group = one(plan, NODE_GROUP)

    assert [r.name for r in plan.of_type(RELEASE) if plan.reaches(r, group)] == []


def test_a_release_waits_longer_than_the_node_group_takes(plan: Recording) -> None:
    minutes_of_a_slow_node_group = 15

    assert all(r.inputs["timeout"] > minutes_of_a_slow_node_group * 60 for r in plan.of_type(RELEASE))


def test_nodes_come_after_their_network_plugin_and_their_way_out_and_their_policies(plan: Recording) -> None:
    group = one(plan, NODE_GROUP)
    needed = [
        *(
            one(plan, ADDON, name)
            for name in ("before-nodes-vpc-cni", "before-nodes-kube-proxy", "before-nodes-eks-pod-identity-agent")
        ),
        *(r for r in plan.of_type("aws:ec2/route:Route") if "nat" in r.name),
        *(
            r
            for r in plan.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
            if r.name.startswith("cluster-system-nodes")
        ),
    ]

    assert len(needed) >= 8
    assert [r.name for r in needed if not plan.reaches(group, r)] == []


def test_what_runs_on_nodes_comes_after_them(plan: Recording) -> None:
    group = one(plan, NODE_GROUP)
    late = [r for r in plan.of_type(ADDON) if "after-nodes" in r.name]

    assert {r.inputs["addonName"] for r in late} == {
        "coredns",
        "aws-ebs-csi-driver",
        "eks-node-monitoring-agent",
        "metrics-server",
    } | ({"snapshot-controller"} if plan.stack != "dev" else set())
    assert all(plan.reaches(r, group) for r in late)
    assert not any(plan.reaches(group, r) for r in late)


def test_the_controllers_identity_is_there_before_its_pod(plan: Recording) -> None:
    controller = one(plan, RELEASE, "karpenter-controller")
    needed = [
        one(plan, "aws:eks/podIdentityAssociation:PodIdentityAssociation"),
        one(plan, ADDON, "eks-pod-identity-agent"),
        one(plan, RELEASE, "karpenter-crd"),
        *(
            r
            for r in plan.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
            if r.name.startswith("karpenter-controller")
        ),
        one(plan, "aws:sqs/queue:Queue"),
    ]

    assert len(needed) == 9
    assert [r.name for r in needed if not plan.reaches(controller, r)] == []


def test_a_node_class_waits_for_the_access_record_of_its_role(plan: Recording) -> None:
    node_class = one(plan, NODE_CLASS)
    records = [r for r in plan.of_type(CONFIG_MAP) if r.inputs["metadata"]["name"] == "aws-auth"]
    records += [r for r in plan.of_type("aws:eks/accessEntry:AccessEntry") if "karpenter" in r.name]

    assert records
    assert all(plan.reaches(node_class, r) for r in records)


def test_pools_and_root_depend_on_releases_nodes_dns_and_the_discovery_tag(plan: Recording) -> None:
    needed = [
        one(plan, RELEASE, "karpenter-controller"),
        one(plan, NODE_GROUP),
        one(plan, ADDON, "coredns"),
        one(plan, ADDON, "ebs-csi-driver"),
        one(plan, "aws:ec2/tag:Tag", "discovery"),
        *plan.of_type("aws:cloudwatch/eventTarget:EventTarget"),
    ]
    root = one(plan, APPLICATION)

    for later in (*plan.of_type(NODE_POOL), root):
        assert [r.name for r in needed if not plan.reaches(later, r)] == [], later.name
    assert plan.reaches(root, one(plan, RELEASE, "argocd"))


def test_teardown_is_root_then_pools_then_their_class_then_karpenter_then_argocd_then_nodes_then_cluster(
    plan: Recording,
) -> None:
    root, project = one(plan, APPLICATION), one(plan, PROJECT)
    pools, node_class = plan.of_type(NODE_POOL), one(plan, NODE_CLASS)
    controller, crds = one(plan, RELEASE, "karpenter-controller"), one(plan, RELEASE, "karpenter-crd")
    cluster, vpc = one(plan, EKS), one(plan, "aws:ec2/vpc:Vpc")
    steps = [
        (root, project),
        *((root, pool) for pool in pools),
        *((pool, node_class) for pool in pools),
        (node_class, controller),
        (controller, crds),
        (crds, cluster),
        (root, one(plan, RELEASE, "argocd")),
        (one(plan, RELEASE, "argocd"), cluster),
        (one(plan, NODE_GROUP), cluster),
        *((pool, one(plan, NODE_GROUP)) for pool in pools),
        (cluster, vpc),
    ]

    assert [(a.name, b.name) for a, b in steps if not plan.reaches(a, b)] == []


def test_load_balancers_lose_their_subnets_and_their_way_out_only_after_the_root_is_gone(plan: Recording) -> None:
    root = one(plan, APPLICATION)
    public = [
        *(r for r in plan.of_type("aws:ec2/subnet:Subnet") if "public" in r.name),
        *(r for r in plan.of_type("aws:ec2/routeTableAssociation:RouteTableAssociation") if "public" in r.name),
        one(plan, "aws:ec2/route:Route", "public-internet"),
        one(plan, "aws:ec2/internetGateway:InternetGateway"),
    ]

    assert len(public) >= 6
    assert [r.name for r in public if not plan.reaches(root, r)] == []


def test_the_control_plane_waits_for_its_key_its_log_group_and_the_runners_way_in(plan: Recording) -> None:
    control_plane = one(plan, "aws:eks/cluster:Cluster")
    needed = [
        one(plan, "aws:kms/key:Key"),
        one(plan, "aws:cloudwatch/logGroup:LogGroup", "cluster-logs"),
        one(plan, "aws:ec2/securityGroup:SecurityGroup", "api-access"),
    ]

    assert [r.name for r in needed if not plan.reaches(control_plane, r)] == []


def test_the_controllers_permissions_outlive_the_nodes_that_it_must_drain(plan: Recording) -> None:
    kept = [
        one(plan, "aws:eks/podIdentityAssociation:PodIdentityAssociation"),
        *(
            r
            for r in plan.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
            if r.name.startswith("karpenter-")
        ),
    ]

    assert all(plan.reaches(pool, r) for pool in plan.of_type(NODE_POOL) for r in kept)


def test_a_drain_and_a_cascade_may_take_their_time(plan: Recording) -> None:
    drained = [*plan.of_type(NODE_POOL), *plan.of_type(NODE_CLASS), *plan.of_type(APPLICATION)]

    assert all(r.custom_timeouts.get("delete") for r in drained)


def test_in_prod_pulumi_refuses_the_whole_teardown_until_it_is_unprotected(prod: Recording, dev: Recording) -> None:
    subnets = {f"network-{kind}-{zone}" for kind in ("public", "private") for zone in "abc"}

    assert {r.name for r in prod if r.protect} == {"network-vpc", "cluster-secrets", "platform-root", *subnets}
    assert [r.name for r in dev if r.protect] == []


def test_every_output_that_aws_always_gives_is_there(plan: Recording) -> None:
    from otel_on_spot.plan.answers import required_outputs

    missing = [
        (r.name, key) for r in plan if r.custom for key in required_outputs(r.type) if r.outputs.get(key) is None
    ]

    assert missing == []


def test_exports_are_what_people_and_tools_need(plan: Recording) -> None:
    assert set(plan.exports) == {
        "clusterName", "region", "kubeconfigCommand", "clusterEndpoint", "vpcId", "interruptionQueue",
        "nodeRoleArn", "controllerRoleArn", "nodePools", "rootApplication",
    }  # fmt: skip
    assert all(plan.exports.values())


def test_preview_and_up_declare_the_same_resources(plan: Recording) -> None:
    preview = record(plan.stack, preview=True)

    assert {r.urn for r in preview} == {r.urn for r in plan}


def test_each_resource_says_which_line_of_the_program_declares_it(dev: Recording) -> None:
    declared = {r.name: r.source_position for r in dev if not r.inside_component and r.type != STACK_TYPE}
    assert [name for name, at in declared.items() if not at.startswith(("infra/", "__main__.py:"))] == []
    for token, words in (("aws:ec2/vpc:Vpc", "ec2.Vpc("), (f"{OURS}Network", "Network(")):
        file, _, line = one(dev, token).source_position.partition(":")
        assert words in (project.root() / file).read_text().splitlines()[int(line) - 1], (token, file, line)


def test_the_plan_is_the_same_in_every_run(dev: Recording) -> None:
    from otel_on_spot.plan.manifests import as_document

    def stable(recording: Recording) -> str:
        return json.dumps(as_document(recording), sort_keys=True)

    assert stable(record("dev")) == stable(dev)


@pytest.mark.parametrize("key", ["region", "cluster"])
def test_a_mistake_in_the_stack_file_ends_before_the_first_resource(key: str) -> None:
    from otel_on_spot.program.runner import ProgramError

    wrong: dict[str, Any] = {"region": "Ireland", "cluster": {"name": "x" * 80}}
    with pytest.raises(ProgramError, match=rf"Pulumi.dev.yaml: \d+ problems?, nothing was created\n(.|\n)*{key}"):
        record("dev", config_overrides={key: wrong[key]})


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("ends", [lambda: None, lambda: {}["absent"]], ids=["well", "with a defect"])
def test_no_garbage_is_looked_for_while_a_program_runs_and_as_before_afterwards(
    ends: Callable[[], Any], enabled: bool
) -> None:
    seen: list[bool] = []
    (gc.enable if enabled else gc.disable)()
    try:
        with suppress(KeyError):
            record_program(lambda: (seen.append(gc.isenabled()), ends()))
        assert (seen, gc.isenabled()) == ([False], enabled)
    finally:
        gc.enable()
