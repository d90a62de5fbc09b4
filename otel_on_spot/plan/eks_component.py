"""The pulumi-eks component as the engine would record it: its children as registrations, and its own outputs."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from otel_on_spot.kubernetes.kubeconfig import eks_kubeconfig
from otel_on_spot.plan import answers
from otel_on_spot.plan.identities import identifier
from otel_on_spot.program.eks_children import ArgumentError, Child, children, subnet_ids
from otel_on_spot.program.recording import Registration
from otel_on_spot.program.resource_types import ProviderScope
from otel_on_spot.program.values import UNKNOWN, Reference, mapped, references, revealed, secret_texts, veiled

__all__ = ["TYPE", "ArgumentError", "expand"]

TYPE: Final = "eks:index:Cluster"
MakeUrn = Callable[[str, str, str], str]
Lookup = Callable[[str], Registration]
SIBLING: Final = re.compile(r"\$\{([\w-]+)(?:\.(\w+))?\}")


def expand(
    component: Registration, make_urn: MakeUrn, lookup: Lookup, scope: ProviderScope, *, preview: bool
) -> tuple[list[Registration], dict[str, Any]]:
    """The component's children as registrations, in the order of their creation, and its own outputs.

    Args:
        make_urn: parent URN, type, name -> URN.
        lookup: the registration behind a URN, for resources among the component's arguments.

    Raises:
        ArgumentError: the component would refuse the arguments, or the mirror does not know one of them.
    """
    given = mapped(revealed(component.inputs), lambda leaf: _opened(leaf, lookup, preview))
    hidden = secret_texts(component.inputs)
    made: dict[str, Registration] = {}
    facts: dict[str, Any] = {"partition": scope.partition}
    for child in children(component.name, given):
        made[child.key] = registration = _registered(
            child, component, made, facts, hidden, make_urn, scope, preview=preview
        )
        if child.key == "cluster":
            made[child.key] = registration = _in_vpc(registration, given, hidden)
        facts |= {f"{child.key}.{key}": value for key, value in registration.outputs.items()}
        facts[f"{child.key}.id"] = registration.id or UNKNOWN
        if child.key == "cluster":
            facts |= _after_cluster(registration, scope, given.get("providerCredentialOpts") or {}, preview=preview)
    outputs = _outputs(component, given, made, facts)
    return list(made.values()), {key: veiled(value, hidden) for key, value in outputs.items()}


def _opened(leaf: Any, lookup: Lookup, preview: bool) -> Any:
    """A resource among the arguments, as a map of its outputs."""
    if not isinstance(leaf, Reference):
        return leaf
    target = lookup(leaf.urn)
    return dict(target.outputs) | {"id": UNKNOWN if preview else target.id, "urn": leaf.urn}


def _registered(
    child: Child,
    component: Registration,
    made: Mapping[str, Registration],
    facts: Mapping[str, Any],
    hidden: set[str],
    make_urn: MakeUrn,
    scope: ProviderScope,
    *,
    preview: bool,
) -> Registration:
    siblings: dict[str, tuple[str, ...]] = {}
    for key, value in child.inputs.items():
        named = {SOURCES.get(name, name) for name in _siblings(value)}
        siblings[key] = tuple(sorted(made[name].urn for name in named if name in made))
    parent = made[child.below].urn if child.below else component.urn
    # A resource among the arguments is no dependency of the component; its provider reads it, and its children wait for it.
    edges = {*component.dependencies, *(urn for urns in component.property_dependencies.values() for urn in urns)}
    edges |= references(component.inputs)
    edges |= {urn for urns in siblings.values() for urn in urns} | {made[key].urn for key in child.after}
    provider = component.providers.get("aws", "") if child.type.startswith("aws:") else ""
    if child.type.startswith("kubernetes:"):
        provider = f"{made['kubernetes'].urn}::{made['kubernetes'].id or UNKNOWN!r}"
    registration = Registration(
        urn=make_urn(parent, child.type, child.name),
        id="",
        type=child.type,
        name=child.name,
        custom=child.custom,
        parent=parent,
        provider=provider,
        protect=component.protect,
        inputs={key: veiled(_filled(value, facts), hidden) for key, value in child.inputs.items()},
        dependencies=tuple(sorted(edges)) if child.custom else (),
        property_dependencies=siblings,
        ignore_changes=child.ignore_changes,
        inside_component=True,
    )
    registration = replace(registration, id=identifier(registration, scope, preview=preview))
    return replace(registration, outputs=answers.outputs(registration, scope, preview=preview))


SOURCES: Final = {"kubeconfig": "cluster"}
"""Facts that are not a sibling's own outputs, and the sibling that they come from."""


def _siblings(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        return {name for pair in value.items() for part in pair for name in _siblings(part)}
    if isinstance(value, list):
        return {name for part in value for name in _siblings(part)}
    return {name for name, field in SIBLING.findall(value) if field} if isinstance(value, str) else set()


def _filled(value: Any, facts: Mapping[str, Any]) -> Any:
    """The value with every ``${key.property}`` replaced; unknown where a part of the text is."""
    if isinstance(value, Mapping):
        return {
            _filled(key, facts) if isinstance(key, str) else key: _filled(inner, facts) for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_filled(inner, facts) for inner in value]
    if not isinstance(value, str) or not SIBLING.search(value):
        return value
    parts = {match.group(0): facts.get(match.group(0)[2:-1], match.group(0)) for match in SIBLING.finditer(value)}
    if value in parts:
        return parts[value]
    if any(part is UNKNOWN for part in parts.values()):
        return UNKNOWN
    return SIBLING.sub(lambda match: str(parts[match.group(0)]), value)


def _in_vpc(cluster: Registration, given: Mapping[str, Any], hidden: set[str]) -> Registration:
    """The cluster knows its VPC through its subnets; the component was told."""
    config = answers.merged(cluster.outputs["vpcConfig"], {"vpcId": veiled(given.get("vpcId", UNKNOWN), hidden)})
    return replace(cluster, outputs=dict(cluster.outputs) | {"vpcConfig": config})


def _after_cluster(
    cluster: Registration, scope: ProviderScope, credentials: Mapping[str, Any], *, preview: bool
) -> dict[str, Any]:
    if preview:
        return dict.fromkeys(
            ("kubeconfig.plain", "kubeconfig.json", "kubeconfig.text", "cluster.issuer", "cluster.thumbprint"), UNKNOWN
        )
    plain = _kubeconfig(cluster, scope, credentials, profile=False)
    return {
        "kubeconfig.plain": plain,
        "kubeconfig.text": json.dumps(plain),
        "kubeconfig.json": json.dumps(_kubeconfig(cluster, scope, credentials, profile=True)),
        "cluster.issuer": cluster.outputs["identities"][0]["oidcs"][0]["issuer"],
        "cluster.thumbprint": "0" * 40,
    }


def _kubeconfig(
    cluster: Registration, scope: ProviderScope, credentials: Mapping[str, Any], *, profile: bool
) -> dict[str, Any]:
    outputs = cluster.outputs
    return eks_kubeconfig(
        revealed(outputs["name"]),
        outputs["endpoint"],
        outputs["certificateAuthority"]["data"],
        scope.region,
        role=credentials.get("roleArn"),
        profile=credentials.get("profileName") if profile else None,
    )


def _outputs(
    component: Registration, given: Mapping[str, Any], made: Mapping[str, Registration], facts: Mapping[str, Any]
) -> dict[str, Any]:
    def reference(key: str, argument: str = "") -> Reference | None:
        given_one = component.inputs.get(argument)
        return given_one if isinstance(given_one, Reference) else Reference(made[key].urn) if key in made else None

    group = given.get("clusterSecurityGroup")
    eks_made = revealed(facts["cluster.vpcConfig"])["clusterSecurityGroupId"]
    issuer = facts["cluster.issuer"]
    instance_role = reference("instance-role", "instanceRole")
    instance_roles = component.inputs.get("instanceRoles") or ([instance_role] if instance_role else [])
    found = {
        "awsProvider": Reference(component.providers["aws"].rpartition("::")[0])
        if "aws" in component.providers
        else None,
        "eksCluster": reference("cluster"),
        "kubeconfig": facts["kubeconfig.plain"],
        "kubeconfigJson": facts["kubeconfig.text"],
        "clusterSecurityGroup": reference("cluster-group", "clusterSecurityGroup"),
        "clusterSecurityGroupId": group["id"] if group else facts.get("cluster-group.id", eks_made),
        "nodeSecurityGroup": reference("node-group"),
        "nodeSecurityGroupId": facts.get("node-group.id", eks_made),
        "eksClusterIngressRule": reference("eksClusterIngressRule"),
        "clusterIngressRuleId": facts.get("eksClusterIngressRule.securityGroupRuleId", ""),
        "instanceRoles": instance_roles,
        "defaultNodeGroupAsgName": "",
        "fargateProfileId": "",
        "fargateProfileStatus": "",
        "autoModeNodeRoleName": "",
        "oidcProviderArn": facts.get("oidc.arn", ""),
        "oidcProviderUrl": issuer,
        "oidcIssuer": issuer.removeprefix("https://") if isinstance(issuer, str) else issuer,
    }
    core = {
        "cluster": reference("cluster"),
        "clusterIamRole": reference("role", "serviceRole"),
        "endpoint": facts.get("cluster.endpoint", UNKNOWN),
        "vpcId": given.get("vpcId"),
        "subnetIds": subnet_ids(given),
        "provider": reference("kubernetes"),
        "nodeGroupOptions": {"version": given.get("version")},
        "storageClasses": {},
        "eksNodeAccess": reference("aws-auth"),
        "oidcProvider": reference("oidc"),
        "encryptionConfig": made["cluster"].inputs.get("encryptionConfig"),
        "accessEntries": list((given.get("accessEntries") or {}).values()),
    }
    core |= {key: given.get(key) for key in ("publicSubnetIds", "privateSubnetIds", "tags", "nodeSecurityGroupTags")}
    core |= {key: found[key] for key in ("awsProvider", "clusterSecurityGroup", "instanceRoles", "kubeconfig")}
    return {key: value for key, value in found.items() if value is not None} | {
        "core": {key: value for key, value in core.items() if value is not None}
    }
