"""The children that the pulumi-eks component makes, for the arguments that this program gives it.

The component is remote: mocks see one resource, the engine sees what its provider makes. This mirrors that.
Source: https://github.com/pulumi/pulumi-eks/blob/master/nodejs/eks/cluster/cluster.ts and authenticationMode.ts (v4)
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import yaml

from plan import answers
from plan.recording import Registration
from plan.values import UNKNOWN, Reference, holds_unknown, revealed

TYPE: Final = "eks:index:Cluster"
UNSUPPORTED: Final = (
    "fargate",
    "autoMode",
    "instanceRole",
    "instanceRoles",
    "nodeGroupOptions",
    "creationRoleProvider",
    "storageClasses",
    "userMappings",
)
MakeUrn = Callable[[str, str, str], str]


@dataclass(frozen=True, kw_only=True)
class Child:
    """A child to be: its type, logical name, inputs, the keys of the siblings it waits for, and its parent sibling."""

    key: str
    type: str
    name: str
    inputs: Mapping[str, Any]
    after: tuple[str, ...] = ()
    below: str | None = None
    custom: bool = True


def children(name: str, given: Mapping[str, Any]) -> list[Child]:
    """Children in an order that respects their edges, for the component's logical name and arguments.

    References between siblings stand as ``${key.property}``.

    Raises:
        NotImplementedError: an argument that this program does not use, and this mirror does not know.
    """
    used = [key for key in UNSUPPORTED if given.get(key)]
    if used or not given.get("skipDefaultNodeGroup") or not given.get("useDefaultVpcCni"):
        raise NotImplementedError(
            f"pulumi-eks arguments that the plan does not mirror: {', '.join(used) or 'default node group or CNI'}"
        )
    assume = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
            }
        ],
    }
    made = [
        Child(key="service-role", type="eks:index:ServiceRole", name=f"{name}-eksRole", inputs={}, custom=False),
        Child(
            key="role",
            type="aws:iam/role:Role",
            name=f"{name}-eksRole-role",
            below="service-role",
            inputs={
                "description": "Allows EKS to manage clusters on your behalf.",
                "assumeRolePolicy": json.dumps(assume),
            },
        ),
        Child(
            key="role-policy",
            type="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            name=f"{name}-eksRole-4b490823",
            below="service-role",
            inputs={"role": "${role.name}", "policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"},
            after=("role",),
        ),
        Child(
            key="cluster",
            type="aws:eks/cluster:Cluster",
            name=f"{name}-eksCluster",
            inputs=_cluster_inputs(name, given),
            after=("role", "role-policy"),
        ),
        Child(
            key="kubernetes",
            type="pulumi:providers:kubernetes",
            name=f"{name}-eks-k8s",
            after=("cluster",),
            inputs={"kubeconfig": "${kubeconfig}", "enableConfigMapMutable": given.get("enableConfigMapMutable")},
        ),
    ]
    if given.get("authenticationMode") != "API":
        made.append(
            Child(
                key="aws-auth",
                type="kubernetes:core/v1:ConfigMap",
                name=f"{name}-nodeAccess",
                after=("cluster", "kubernetes"),
                inputs={
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "immutable": False,
                    "data": aws_auth_data(given.get("roleMappings") or []),
                    "metadata": {
                        "name": "aws-auth",
                        "namespace": "kube-system",
                        "annotations": {"pulumi.com/patchForce": "true"},
                    },
                },
            )
        )
    if given.get("authenticationMode") in ("API", "API_AND_CONFIG_MAP"):
        made += _access_entries(name, given.get("accessEntries") or {})
    if given.get("createOidcProvider"):
        made.append(
            Child(
                key="oidc",
                type="aws:iam/openIdConnectProvider:OpenIdConnectProvider",
                name=f"{name}-oidcProvider",
                after=("cluster",),
                inputs={
                    "clientIdLists": ["sts.amazonaws.com"],
                    "url": "${cluster.issuer}",
                    "thumbprintLists": ["${thumbprint}"],
                },
            )
        )
    return made


def aws_auth_data(role_mappings: list[Mapping[str, Any]]) -> Any:
    """The ConfigMap's data: ``mapRoles`` as YAML text, unknown while a role's ARN is."""
    if holds_unknown(role_mappings):
        return UNKNOWN
    rows = [{"rolearn": m["roleArn"], "username": m["username"], "groups": list(m["groups"])} for m in role_mappings]
    return {"mapRoles": yaml.safe_dump(rows, sort_keys=False)}


def _cluster_inputs(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    tags = {"Name": f"{name}-eksCluster"} | dict(given.get("clusterTags") or {}) | dict(given.get("tags") or {})
    group = given.get("clusterSecurityGroup")
    inputs: dict[str, Any] = {
        "name": given.get("name"),
        "version": given.get("version"),
        "roleArn": "${role.arn}",
        "bootstrapSelfManagedAddons": given.get("bootstrapSelfManagedAddons", True),
        "vpcConfig": {
            "securityGroupIds": [group] if group else None,
            "subnetIds": given.get("subnetIds")
            or [*(given.get("publicSubnetIds") or []), *_list(given.get("privateSubnetIds"))],
            "endpointPrivateAccess": given.get("endpointPrivateAccess"),
            "endpointPublicAccess": given.get("endpointPublicAccess"),
            "publicAccessCidrs": given.get("publicAccessCidrs"),
        },
        "enabledClusterLogTypes": given.get("enabledClusterLogTypes"),
        "accessConfig": {
            "authenticationMode": given["authenticationMode"],
            "bootstrapClusterCreatorAdminPermissions": True,
        }
        if given.get("authenticationMode")
        else None,
        "encryptionConfig": {"provider": {"keyArn": given["encryptionConfigKeyArn"]}, "resources": ["secrets"]}
        if given.get("encryptionConfigKeyArn")
        else None,
        "upgradePolicy": given.get("upgradePolicy"),
        "deletionProtection": given.get("deletionProtection"),
        "tags": tags,
    }
    inputs["vpcConfig"] = {key: value for key, value in inputs["vpcConfig"].items() if value is not None}
    return {key: value for key, value in inputs.items() if value is not None}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _access_entries(name: str, entries: Mapping[str, Mapping[str, Any]]) -> list[Child]:
    made: list[Child] = []
    for key, entry in entries.items():
        row = {
            "principalArn": entry.get("principalArn"),
            "type": entry.get("type", "STANDARD"),
            "kubernetesGroups": entry.get("kubernetesGroups"),
            "userName": entry.get("username"),
        }
        made.append(
            Child(
                key=f"entry-{key}",
                type="aws:eks/accessEntry:AccessEntry",
                name=f"{name}-{key}",
                after=("cluster",),
                inputs={"clusterName": "${cluster.name}"} | {k: v for k, v in row.items() if v is not None},
            )
        )
        for policy_key, policy in (entry.get("accessPolicies") or {}).items():
            made.append(
                Child(
                    key=f"policy-{key}-{policy_key}",
                    type="aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
                    name=f"{name}-{key}-{policy_key}",
                    after=("cluster", f"entry-{key}"),
                    inputs={
                        "clusterName": "${cluster.name}",
                        "principalArn": entry.get("principalArn"),
                        "policyArn": policy.get("policyArn"),
                        "accessScope": policy.get("accessScope"),
                    },
                )
            )
    return made


def expand(component: Registration, make_urn: MakeUrn, *, preview: bool) -> tuple[list[Registration], dict[str, Any]]:
    """The component's children as registrations, and its own outputs."""
    given = revealed(dict(component.inputs))
    given["clusterSecurityGroup"] = _referenced_id(component)
    planned = children(component.name, given)
    made: dict[str, Registration] = {}
    facts: dict[str, Any] = {}
    for child in planned:
        parent = made[child.below].urn if child.below else component.urn
        urn = make_urn(parent, child.type, child.name)
        provider = component.providers.get("aws", "") if child.type.startswith("aws:") else ""
        if child.type.startswith("kubernetes:"):
            provider = f"{made['kubernetes'].urn}::{made['kubernetes'].id or 'unknown'}"
        registration = Registration(
            urn=urn,
            id="",
            type=child.type,
            name=child.name,
            custom=child.custom,
            parent=parent,
            provider=provider,
            protect=component.protect,
            inputs=_filled(dict(child.inputs), facts, preview),
            # The engine makes a child only when the component's own inputs are there.
            dependencies=tuple(
                sorted({*component.dependencies, *_value_edges(component), *(made[key].urn for key in child.after)})
            ),
            ignore_changes=("accessConfig.bootstrapClusterCreatorAdminPermissions", "bootstrapSelfManagedAddons")
            if child.key == "cluster"
            else (),
            inside_component=True,
        )
        registration = replace(registration, id=answers.identifier(registration, preview))
        registration = replace(registration, outputs=answers.outputs(registration, preview=preview))
        made[child.key] = registration
        facts |= {f"{child.key}.{key}": value for key, value in registration.outputs.items()}
        if child.key == "cluster":
            facts |= _cluster_facts(registration, preview)
    return list(made.values()), _component_outputs(component, made, facts, preview)


def _value_edges(component: Registration) -> set[str]:
    return {urn for urns in component.property_dependencies.values() for urn in urns}


def _referenced_id(component: Registration) -> Any:
    group = component.inputs.get("clusterSecurityGroup")
    if not isinstance(group, Reference):
        return None
    return f"sg-{answers.short_hash(group.urn)}"


def _filled(inputs: Any, facts: Mapping[str, Any], preview: bool) -> Any:
    if isinstance(inputs, dict):
        return {key: _filled(value, facts, preview) for key, value in inputs.items()}
    if isinstance(inputs, list):
        return [_filled(value, facts, preview) for value in inputs]
    if isinstance(inputs, str) and inputs.startswith("${") and inputs.endswith("}"):
        return facts.get(inputs[2:-1], UNKNOWN if preview else inputs)
    return inputs


def _cluster_facts(cluster: Registration, preview: bool) -> dict[str, Any]:
    if preview:
        return {"kubeconfig": UNKNOWN, "cluster.issuer": UNKNOWN, "thumbprint": UNKNOWN}
    name = cluster.outputs["name"]
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "aws",
        "preferences": {},
        "clusters": [
            {
                "name": "kubernetes",
                "cluster": {
                    "server": cluster.outputs["endpoint"],
                    "certificate-authority-data": cluster.outputs["certificateAuthority"]["data"],
                },
            }
        ],
        "contexts": [{"name": "aws", "context": {"cluster": "kubernetes", "user": "aws"}}],
        "users": [
            {
                "name": "aws",
                "user": {
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1beta1",
                        "command": "aws",
                        "args": [
                            "--region",
                            answers.REGION,
                            "eks",
                            "get-token",
                            "--cluster-name",
                            name,
                            "--output",
                            "json",
                        ],
                    }
                },
            }
        ],
    }
    return {
        "kubeconfig": json.dumps(kubeconfig),
        "cluster.issuer": cluster.outputs["identities"][0]["oidcs"][0]["issuer"],
        "thumbprint": "0" * 40,
    }


def _component_outputs(
    component: Registration, made: Mapping[str, Registration], facts: Mapping[str, Any], preview: bool
) -> dict[str, Any]:
    kubeconfig = facts["kubeconfig"]
    oidc = made.get("oidc")
    group = component.inputs.get("clusterSecurityGroup")
    issuer = facts["cluster.issuer"]
    found: dict[str, Any] = {
        "eksCluster": Reference(made["cluster"].urn),
        "kubeconfigJson": kubeconfig,
        "kubeconfig": UNKNOWN if preview else json.loads(kubeconfig),
        "clusterSecurityGroupId": facts.get("cluster.vpcConfig", {}).get("clusterSecurityGroupId", UNKNOWN)
        if group is None
        else _referenced_id(component),
        "nodeSecurityGroupId": UNKNOWN if preview else made["cluster"].outputs["vpcConfig"]["clusterSecurityGroupId"],
        "oidcProviderArn": (oidc.outputs["arn"] if oidc else ""),
        "oidcProviderUrl": (issuer if oidc else ""),
        "oidcIssuer": UNKNOWN if preview else issuer.removeprefix("https://"),
        "instanceRoles": [],
        "defaultNodeGroupAsgName": "",
        "clusterIngressRuleId": "",
        "fargateProfileId": "",
        "fargateProfileStatus": "",
        "autoModeNodeRoleName": "",
        "core": {
            "cluster": Reference(made["cluster"].urn),
            "endpoint": made["cluster"].outputs.get("endpoint"),
            "vpcId": component.inputs.get("vpcId"),
        },
    }
    if group is not None:
        found["clusterSecurityGroup"] = group
    return found
