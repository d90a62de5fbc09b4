"""Why a step of ``up`` waits for another: the program's edges, and those that the cloud has of its own."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from otel_on_spot.plan.tree import short_type
from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.simcloud.aws.eks_addons import NEED_NODES
from otel_on_spot.simcloud.kubernetes.helm import WITHOUT_PODS, chart_name
from otel_on_spot.simcloud.kubernetes_kinds import CHART_KINDS

VALUE, PROVIDER, DECLARED, COMPONENT, CLOUD = "value", "provider", "declared", "component", "cloud"
Why = tuple[str, str]
"""(kind of edge, what carries it; of a declared one, the cloud's rule behind it, empty where there is none)."""
Edges = Mapping[str, Mapping[str, Why]]
"""URN -> URNs that it waits for directly -> why. Only resources that are made in the cloud."""

RULES: Final = {
    ("NodeGroup", "Addon"): "without network plugin and kube-proxy no node becomes Ready (NodeCreationFailure)",
    ("NodeGroup", "RolePolicyAttachment"): "without its role's policies no node joins (NodeCreationFailure)",
    ("NodeGroup", "Route"): "a node that reaches neither EKS nor a registry never joins (NodeCreationFailure)",
    ("NodeGroup", "RouteTableAssociation"): "a route is its subnet's by its association",
    ("Release", "Namespace"): "the namespace is named in plain text and must be there",
    ("Release", "Release"): "the controller panics without its CRDs",
    ("Release", "PodIdentityAssociation"): "the controller's pods get credentials when they start, or never",
    ("Release", "Addon"): "the agent hands out the controller's credentials",
    ("Release", "RolePolicyAttachment"): "the controller exits where its calls are refused",
    ("NodePool", "EC2NodeClass"): "its nodes are of this class",
    ("AppProject", "Release"): "its kind is one of the release's CRDs",
    ("Application", "Release"): "its kind is one of the release's CRDs",
    ("Application", "AppProject"): "an Application of an unknown project is refused",
    ("NatGateway", "Route"): "it becomes available only in a subnet with a way to the Internet",
    ("Addon", "RolePolicyAttachment"): "its pods get their role's policies when they start",
    ("Addon", "NodeGroup"): "DEGRADED until there is a node for its pods",
    ("EventTarget", "QueuePolicy"): "events before the policy are lost",
    ("Cluster", "LogGroup"): "EKS would make one that never expires",
    ("Cluster", "Subnet"): "value of the component's subnet ids",
    ("Cluster", "Key"): "value of the component's encryption key",
    ("Cluster", "SecurityGroup"): "value of the component's security group",
    ("Cluster", "Role"): "EKS refuses a role that is not there",
    ("Cluster", "RolePolicyAttachment"): "EKS refuses a role that may not run a cluster",
    ("InstanceProfile", "RolePolicyAttachment"): "a node that starts with it must be able to join",
}
"""Kinds (later, earlier) whose declared edge is one that AWS or Kubernetes has too, and what happens without it."""

ONLY: Final = {
    ("NodeGroup", "Addon"): lambda _, earlier: earlier.inputs.get("addonName") in ("vpc-cni", "kube-proxy"),
    ("Addon", "NodeGroup"): lambda later, _: later.inputs.get("addonName") in NEED_NODES,
    ("Cluster", "Role"): lambda _, earlier: '"eks.amazonaws.com"' in str(earlier.inputs.get("assumeRolePolicy")),
    ("AppProject", "Release"): lambda later, earlier: brings(earlier, later),
    ("Application", "Release"): lambda later, earlier: brings(earlier, later),
}
"""Rules that are not of every pair of such kinds, and whether they are of (later, earlier)."""


def edges(recording: Recording, made: Iterable[str]) -> dict[str, dict[str, Why]]:
    """Every edge between resources that are made; providers and components between two of them carry it on.

    ``made``: URNs of what takes time in the cloud.
    """
    steps = set(made)
    found = {urn: dict(_of(recording, recording.by_urn[urn], steps)) for urn in sorted(steps)}
    groups = [urn for urn in steps if recording.by_urn[urn].type == "aws:eks/nodeGroup:NodeGroup"]
    clusters = {urn for urn in steps if recording.by_urn[urn].type == "aws:eks/cluster:Cluster"}
    for urn in steps:
        if recording.by_urn[urn].type.startswith("kubernetes:"):
            # The kubeconfig is an output of the component, but of all that it makes only the cluster is in it.
            found[urn] |= dict.fromkeys(clusters & found[urn].keys(), (PROVIDER, "its API"))
            for release in steps:
                if brings(recording.by_urn[release], recording.by_urn[urn]):
                    found[urn].setdefault(release, (CLOUD, "its kind is one of the release's CRDs"))
        if waits_for_nodes(recording.by_urn[urn]):
            found[urn] = dict.fromkeys(groups, (CLOUD, "its pods wait for a node")) | found[urn]
    return found


def brings(release: Registration, thing: Registration) -> bool:
    """True where the CRD of an object's kind comes with a release."""
    if not release.type.endswith(":Release"):
        return False
    api_version, _, kind = thing.type.partition(":")[2].rpartition(":")
    return (api_version, kind) in CHART_KINDS.get(chart_name(dict(release.inputs)), ())


def rule_of(later: Registration, earlier: Registration) -> str:
    """The cloud's failure without this edge; empty where there is none."""
    kinds = (kind_of(later), kind_of(earlier))
    return RULES.get(kinds, "") if ONLY.get(kinds, lambda *_: True)(later, earlier) else ""


def waits_for_nodes(registration: Registration) -> bool:
    """True where its creation ends only when pods of it run: the cloud's own edge, whatever the program declares."""
    if registration.type.endswith(":Release"):
        return chart_name(dict(registration.inputs)) not in WITHOUT_PODS
    return registration.type == "aws:eks/addon:Addon" and registration.inputs.get("addonName") in NEED_NODES


def necessary(found: Edges) -> dict[str, set[str]]:
    """The needs that remain without what only a component, or a declaration that no rule asks for, holds back."""
    return {
        later: {
            earlier
            for earlier, (kind, what) in below.items()
            if kind in (VALUE, PROVIDER, CLOUD) or (kind == DECLARED and what)
        }
        for later, below in found.items()
    }


def kind_of(registration: Registration) -> str:
    """``Vpc`` of ``aws:ec2/vpc:Vpc``."""
    return short_type(registration.type).rpartition(":")[2]


def _of(recording: Recording, registration: Registration, steps: set[str]) -> Iterator[tuple[str, Why]]:
    strongest = {VALUE: 0, PROVIDER: 1, DECLARED: 2, COMPONENT: 3}
    best: dict[str, Why] = {}
    for urn in sorted(recording.direct_dependencies(registration)):
        why = _why(registration, urn, recording)
        carried = {urn: why} if urn in steps else _through(recording, recording.by_urn[urn], why, steps)
        for earlier, reason in carried.items():
            if earlier not in best or strongest[reason[0]] < strongest[best[earlier][0]]:
                best[earlier] = reason
    yield from best.items()


def _through(recording: Recording, between: Registration, why: Why, steps: set[str]) -> dict[str, Why]:
    """Resources that a provider or a component waits for, on behalf of what waits for it."""
    inner = dict(_of(recording, between, steps))
    if why[0] != PROVIDER:
        return dict.fromkeys(inner, (COMPONENT, between.name))
    return {urn: why if kind == VALUE else (kind, what) for urn, (kind, what) in inner.items()}


def _why(registration: Registration, urn: str, recording: Recording) -> Why:
    if urn == registration.provider.rpartition("::")[0]:
        return PROVIDER, recording.by_urn[urn].name
    carriers = sorted(name for name, urns in registration.property_dependencies.items() if urn in urns)
    if carriers:
        return VALUE, carriers[0]
    if urn in registration.dependencies:
        rule = rule_of(registration, recording.by_urn[urn])
        # A remote component hands its own needs to all that it makes: only those with a rule are the resource's own.
        return (
            (COMPONENT, recording.by_urn[registration.parent].name)
            if registration.inside_component and not rule
            else (DECLARED, rule)
        )
    return COMPONENT, recording.by_urn[registration.parent].name if registration.parent in recording.by_urn else ""
