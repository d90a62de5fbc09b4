"""Which edges count, and which module each step of every stack would be in."""

from collections import Counter

import pytest

from bench.engine.chain import longest, serial
from bench.engine.edges import CLOUD, COMPONENT, DECLARED, PROVIDER, VALUE, Edges, edges, kind_of, necessary
from bench.engine.layout import ORDER, module_of, modules
from otel_on_spot.program.recording import Recording
from tests.unit.conftest import recorded

STACKS = ("dev", "staging", "prod")


def made(recording: Recording) -> list[str]:
    return [resource.urn for resource in recording if resource.custom and not resource.type.startswith("pulumi:")]


def why(recording: Recording, found: Edges, later: str, earlier: str) -> tuple[str, str] | None:
    """Why ``later`` waits for ``earlier``, each given as ``Kind:name``; None where it does not directly."""
    by_name = {f"{kind_of(resource)}:{resource.name}": resource.urn for resource in recording if resource.urn in found}
    return found[by_name[later]].get(by_name[earlier])


@pytest.fixture(scope="module")
def dev() -> Recording:
    return recorded("dev")


@pytest.fixture(scope="module")
def found(dev: Recording) -> Edges:
    return edges(dev, made(dev))


@pytest.mark.parametrize(
    ("later", "earlier", "kind"),
    [
        ("Subnet:network-private-a", "Vpc:network-vpc", VALUE),
        ("Namespace:argocd-namespace", "Cluster:cluster-eks-eksCluster", PROVIDER),
        ("Release:karpenter-controller", "Release:karpenter-crd", DECLARED),
        ("Addon:cluster-before-nodes-vpc-cni", "ConfigMap:cluster-eks-nodeAccess", COMPONENT),
        ("ConfigMap:cluster-eks-nodeAccess", "Subnet:network-private-a", COMPONENT),
        ("Release:argocd-release", "NodeGroup:cluster-system-nodes-group", CLOUD),
        ("Addon:cluster-after-nodes-coredns", "NodeGroup:cluster-system-nodes-group", DECLARED),
    ],
)
def test_an_edge_says_what_carries_it(dev, found, later, earlier, kind):
    reason = why(dev, found, later, earlier)
    assert reason is not None
    assert reason[0] == kind


@pytest.mark.parametrize("later", ["karpenter-crd", "cluster-after-nodes-eks-node-monitoring-agent"])
def test_what_has_no_pods_or_only_those_of_nodes_has_no_edge_from_the_cloud(dev, found, later):
    assert CLOUD not in {kind for kind, _ in found[{resource.name: resource.urn for resource in dev}[later]].values()}


def test_a_necessary_edge_is_a_value_or_has_a_rule_of_the_cloud(dev, found):
    needed = necessary(found)
    urns = {resource.name: resource.urn for resource in dev if resource.urn in found}
    assert urns["cluster-eks-eksCluster"] in needed[urns["cluster-before-nodes-vpc-cni"]]
    assert urns["cluster-eks-nodeAccess"] not in needed[urns["cluster-before-nodes-vpc-cni"]]
    assert urns["cluster-before-nodes-vpc-cni"] in needed[urns["cluster-system-nodes-group"]]
    # For the teardown: nothing refuses a node class before CoreDNS.
    assert urns["cluster-after-nodes-coredns"] in found[urns["capacity-node-class"]]
    assert urns["cluster-after-nodes-coredns"] not in needed[urns["capacity-node-class"]]


@pytest.mark.parametrize(
    ("later", "earlier", "is_needed"),
    [
        ("NodeGroup:cluster-system-nodes-group", "Addon:cluster-before-nodes-vpc-cni", True),
        ("NodeGroup:cluster-system-nodes-group", "Addon:cluster-before-nodes-eks-pod-identity-agent", False),
        ("Addon:cluster-after-nodes-coredns", "NodeGroup:cluster-system-nodes-group", True),
        ("Addon:cluster-after-nodes-eks-node-monitoring-agent", "NodeGroup:cluster-system-nodes-group", False),
        ("Application:platform-root", "Release:argocd-release", True),
        ("Application:platform-root", "Release:karpenter-controller", False),
        ("AppProject:platform-project", "Release:karpenter-controller", False),
        ("EC2NodeClass:capacity-node-class", "Release:karpenter-crd", True),
        ("EC2NodeClass:capacity-node-class", "Release:karpenter-controller", False),
        ("NodePool:capacity-spot", "Release:karpenter-crd", True),
        ("Cluster:cluster-eks-eksCluster", "Role:cluster-service-role", True),
        ("Cluster:cluster-eks-eksCluster", "Role:karpenter-node-role", False),
    ],
)
def test_a_rule_is_of_the_things_that_it_is_about_and_no_others_of_their_kind(dev, found, later, earlier, is_needed):
    urns = {f"{kind_of(resource)}:{resource.name}": resource.urn for resource in dev if resource.urn in found}
    assert (urns[earlier] in necessary(found)[urns[later]]) is is_needed


@pytest.mark.parametrize("stack", STACKS)
def test_the_control_plane_needs_subnets_and_its_role_and_nothing_that_takes_long(stack):
    recording = recorded(stack)
    found = edges(recording, made(recording))
    (cluster,) = (resource.urn for resource in recording.of_type("aws:eks/cluster:Cluster"))
    before, left = set(), set(found[cluster])
    while left:
        urn = left.pop()
        before.add(urn)
        left |= set(found[urn]) - before
    kinds = {kind_of(recording.by_urn[urn]) for urn in before}
    assert {"Vpc", "Subnet", "Role", "RolePolicyAttachment", "Key", "LogGroup", "SecurityGroup"} == kinds


@pytest.mark.parametrize("stack", STACKS)
def test_every_step_has_a_module(stack):
    recording = recorded(stack)
    counted = Counter(module.name for module in modules(recording, made(recording)) for _ in module.steps)
    assert set(counted) == set(ORDER)
    assert sum(counted.values()) == len(made(recording))


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("network-private-a", "network"),
        ("interruption-queue", "cluster"),
        ("cluster-eks-eksCluster", "cluster"),
        ("cluster-system-nodes-group", "node group"),
        ("cluster-before-nodes-vpc-cni", "add-ons"),
        ("karpenter-controller-association", "add-ons"),
        ("argocd-release", "charts"),
        ("capacity-spot", "apps"),
        ("platform-root", "apps"),
    ],
)
def test_a_step_stands_where_the_layout_says(dev, name, module):
    of_name = [resource for resource in dev if resource.name == name and resource.custom]
    assert {module_of(dev, resource) for resource in of_name} == {module}


def test_a_component_without_a_rule_is_refused(dev):
    with pytest.raises(ValueError, match="none of its components has a module"):
        module_of(dev, next(resource for resource in dev if resource.type == "pulumi:providers:aws"))


def test_the_wait_stands_before_the_node_group_only(dev):
    assert {module.name: module.wait for module in modules(dev, made(dev)) if module.wait} == {"node group": 30}
    assert not any(module.wait for module in modules(dev, made(dev), wait=False))


def test_no_chain_of_the_program_takes_longer_than_its_modules(dev, found):
    seconds = dict.fromkeys(found, 1.0)
    needed = necessary(found)
    assert longest(seconds, needed).seconds < serial(seconds, needed, modules(dev, seconds, wait=False))[-1].end
