"""Children of the pulumi-eks component, in order, for the arguments that it is given.

The component is remote: mocks see one resource, the engine sees what its provider makes. This mirrors version 4 of it,
for the arguments that this program has ever given: the others are refused.
Source: https://github.com/pulumi/pulumi-eks/blob/master/nodejs/eks/cluster/cluster.ts (createCore, createCluster),
authenticationMode.ts and servicerole.ts beside it
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from otel_on_spot.program.recording import RegistrationError

WITH_CONFIG_MAP: Final = (None, "CONFIG_MAP", "API_AND_CONFIG_MAP")
WITH_ENTRIES: Final = ("API", "API_AND_CONFIG_MAP")
ENTRY_FIELDS: Final = ("clusterName", "principalArn", "type", "kubernetesGroups", "userName", "tags")
ENDPOINT_ARGUMENTS: Final = ("endpointPrivateAccess", "endpointPublicAccess", "publicAccessCidrs")
WITHOUT: Final = ("skipDefaultNodeGroup", "skipDefaultSecurityGroups", "useDefaultVpcCni")
"""Arguments that leave out what the component would make beside: each must be true."""
MIRRORED: Final = frozenset({
    *WITHOUT, *ENDPOINT_ARGUMENTS, "accessEntries", "authenticationMode", "bootstrapSelfManagedAddons",
    "clusterSecurityGroup", "clusterTags", "corednsAddonOptions", "createOidcProvider", "deletionProtection",
    "enableConfigMapMutable", "enabledClusterLogTypes", "encryptionConfigKeyArn", "kubeProxyAddonOptions", "name",
    "privateSubnetIds", "roleMappings", "serviceRole", "upgradePolicy", "version", "vpcId",
})  # fmt: skip


class ArgumentError(RegistrationError):
    """An argument that the component refuses, or that this mirror does not know."""


@dataclass(frozen=True, kw_only=True)
class Child:
    """A child to be: type, logical name, inputs, the siblings that it waits for, and the sibling that it hangs below.

    In ``inputs``, ``${key.output}`` stands for an output of the sibling with that key, and ``${partition}`` for AWS's.
    """

    key: str
    type: str
    name: str
    inputs: Mapping[str, Any]
    after: tuple[str, ...] = ()
    below: str = ""
    custom: bool = True
    ignore_changes: tuple[str, ...] = ()


def children(name: str, given: Mapping[str, Any]) -> list[Child]:
    """Children in an order that respects their edges.

    Args:
        name: the component's logical name.
        given: its arguments, plain; a resource (role, security group) as a map of its outputs.

    Raises:
        ArgumentError: the component would refuse the arguments, or this mirror does not know one of them.
    """
    _check(given)
    made = [] if given.get("serviceRole") else list(_service_role(name))
    made.append(_cluster(name, given, tuple(child.key for child in made if child.custom)))
    kubernetes = {"kubeconfig": "${cluster.kubeconfig}", "enableConfigMapMutable": given.get("enableConfigMapMutable")}
    made.append(
        Child(key="kubernetes", type="pulumi:providers:kubernetes", name=f"{name}-eks-k8s", inputs=_set(kubernetes))
    )
    if given.get("authenticationMode") in WITH_CONFIG_MAP:
        config_map = _aws_auth(given)
        made.append(
            Child(key="aws-auth", type="kubernetes:core/v1:ConfigMap", name=f"{name}-nodeAccess", inputs=config_map)
        )
    if given.get("authenticationMode") in WITH_ENTRIES:
        made += _access_entries(name, given)
    if given.get("createOidcProvider"):
        oidc = {
            "clientIdLists": ["sts.amazonaws.com"],
            "url": "${cluster.issuer}",
            "thumbprintLists": ["${cluster.thumbprint}"],
        }
        made.append(
            Child(
                key="oidc",
                type="aws:iam/openIdConnectProvider:OpenIdConnectProvider",
                name=f"{name}-oidcProvider",
                inputs=oidc,
            )
        )
    return made


def _check(given: Mapping[str, Any]) -> None:
    asked = sorted(key for key, value in given.items() if value is not None and key not in MIRRORED)
    asked += [f"{key} (must be true)" for key in WITHOUT if not given.get(key)]
    if (given.get("kubeProxyAddonOptions") or {}).get("enabled") is not False:
        asked.append("kubeProxyAddonOptions.enabled (must be false)")
    coredns = given.get("corednsAddonOptions") or {}
    asked += ["corednsAddonOptions"] if coredns.get("enabled") or coredns.get("configurationValues") else []
    if asked:
        raise ArgumentError(
            f"the plan does not mirror {', '.join(asked)}: leave it out, or teach program/eks_children.py"
        )
    if given.get("publicAccessCidrs") and given.get("endpointPublicAccess") is False:
        raise ArgumentError("publicAccessCidrs needs endpointPublicAccess: leave the list out, or open the endpoint")
    if problem := _access_problem(given):
        raise ArgumentError(problem)


def _service_role(name: str) -> Iterator[Child]:
    """The role that EKS assumes, as the component made it for this program until it made its own."""
    actions, policy = ["sts:AssumeRole", "sts:TagSession"], "AmazonEKSClusterPolicy"
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Action": actions, "Effect": "Allow", "Principal": {"Service": ["eks.amazonaws.com"]}}],
    }
    role = {
        "assumeRolePolicy": json.dumps(trust, separators=(",", ":")),
        "description": "Allows EKS to manage clusters on your behalf.",
    }
    yield Child(key="role-component", type="eks:index:ServiceRole", name=f"{name}-eksRole", inputs={}, custom=False)
    yield Child(key="role", type="aws:iam/role:Role", name=f"{name}-eksRole-role", below="role-component", inputs=role)
    # The name holds a hash of the policy's ARN in the aws partition, whatever the partition.
    digest = hashlib.sha1(f"arn:aws:iam::aws:policy/{policy}".encode(), usedforsecurity=False).hexdigest()[:8]
    yield Child(
        key="role-policy",
        type="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        name=f"{name}-eksRole-{digest}",
        below="role-component",
        inputs={"role": "${role.name}", "policyArn": f"arn:${{partition}}:iam::aws:policy/{policy}"},
    )


def _cluster(name: str, given: Mapping[str, Any], after: tuple[str, ...]) -> Child:
    group = given.get("clusterSecurityGroup")
    mode, key_arn = given.get("authenticationMode"), given.get("encryptionConfigKeyArn")
    inputs = {
        "name": given.get("name"),
        "version": given.get("version"),
        "roleArn": given["serviceRole"]["arn"] if given.get("serviceRole") else "${role.arn}",
        "bootstrapSelfManagedAddons": given.get("bootstrapSelfManagedAddons", True),
        "vpcConfig": _set(
            {
                "securityGroupIds": [group["id"]] if group else None,
                "subnetIds": given.get("privateSubnetIds"),
                **{key: given.get(key) for key in ENDPOINT_ARGUMENTS},
            }
        ),
        "enabledClusterLogTypes": given.get("enabledClusterLogTypes"),
        "accessConfig": {"authenticationMode": mode, "bootstrapClusterCreatorAdminPermissions": True} if mode else None,
        "encryptionConfig": {"provider": {"keyArn": key_arn}, "resources": ["secrets"]} if key_arn else None,
        "upgradePolicy": given.get("upgradePolicy"),
        "deletionProtection": given.get("deletionProtection"),
        "tags": {"Name": f"{name}-eksCluster"} | (given.get("clusterTags") or {}),
    }  # fmt: skip
    ignored = ("accessConfig.bootstrapClusterCreatorAdminPermissions", "bootstrapSelfManagedAddons")
    return Child(
        key="cluster",
        type="aws:eks/cluster:Cluster",
        name=f"{name}-eksCluster",
        inputs=_set(inputs),
        after=after,
        ignore_changes=ignored,
    )


def _access_problem(given: Mapping[str, Any]) -> str | None:
    """Reason for which the component refuses these arguments, or None."""
    mode = given.get("authenticationMode")
    if mode not in {*WITH_CONFIG_MAP, *WITH_ENTRIES}:
        return f"authenticationMode {mode!r}: it is CONFIG_MAP, API_AND_CONFIG_MAP or API"
    if mode not in WITH_CONFIG_MAP and given.get("roleMappings"):
        return f"roleMappings with authenticationMode {mode}: there is no aws-auth to hold it; use API_AND_CONFIG_MAP"
    if mode not in WITH_ENTRIES and given.get("accessEntries"):
        return f"accessEntries with authenticationMode {mode}: entries need API or API_AND_CONFIG_MAP"
    return None


def _aws_auth(given: Mapping[str, Any]) -> dict[str, Any]:
    """The ConfigMap. ``mapRoles`` is YAML text."""
    roles = [
        {"rolearn": row.get("roleArn"), "username": row["username"], "groups": row["groups"]}
        for row in given.get("roleMappings") or []
    ]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "immutable": False,
        "metadata": {
            "name": "aws-auth",
            "namespace": "kube-system",
            "annotations": {"pulumi.com/patchForce": "true"},
        },
        "data": {"mapRoles": yaml.safe_dump(roles, sort_keys=False)},
    }


def _access_entries(name: str, given: Mapping[str, Any]) -> Iterator[Child]:
    for key, entry in (given.get("accessEntries") or {}).items():
        inputs = {**entry, "clusterName": "${cluster.name}", "userName": entry.get("username")}
        row = {field: inputs.get(field) for field in ENTRY_FIELDS}
        yield Child(
            key=f"entry-{key}",
            type="aws:eks/accessEntry:AccessEntry",
            name=f"{name}-{key}",
            inputs=_set(row),
            after=("cluster",),
        )
        for association, policy in (entry.get("accessPolicies") or {}).items():
            yield Child(
                key=f"entry-{key}-{association}",
                type="aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
                name=f"{name}-{key}-{association}",
                below=f"entry-{key}",
                after=(f"entry-{key}",),
                inputs=_set({field: policy.get(field) for field in ("accessScope", "policyArn")})
                | {"principalArn": entry.get("principalArn"), "clusterName": "${cluster.name}"},
            )


def _set(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in inputs.items() if value is not None}
