"""Children of the pulumi-eks component, in order, for the arguments that it is given.

The component is remote: mocks see one resource, the engine sees what its provider makes. This mirrors version 4 of it.
Source: https://github.com/pulumi/pulumi-eks/blob/master/nodejs/eks/cluster/cluster.ts (createCore, createCluster),
authenticationMode.ts, servicerole.ts and nodes/securitygroup.ts beside it
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from otel_on_spot.kubernetes.names import NODE_GROUPS, NODE_USERNAME
from otel_on_spot.program.recording import RegistrationError

ROLE, ATTACHMENT = "aws:iam/role:Role", "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
GROUP, GROUP_RULE = "aws:ec2/securityGroup:SecurityGroup", "aws:ec2/securityGroupRule:SecurityGroupRule"
NODE_POLICIES: Final = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly")
WITH_CONFIG_MAP: Final = (None, "CONFIG_MAP", "API_AND_CONFIG_MAP")
WITH_ENTRIES: Final = ("API", "API_AND_CONFIG_MAP")
ENTRY_FIELDS: Final = ("clusterName", "principalArn", "type", "kubernetesGroups", "userName", "tags")
ENDPOINT_ARGUMENTS: Final = ("endpointPrivateAccess", "endpointPublicAccess", "publicAccessCidrs")
NOT_MIRRORED: Final = ("autoMode", "creationRoleProvider", "fargate", "nodeGroupOptions", "storageClasses")


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
    made: list[Child] = []
    if not given.get("serviceRole"):
        made += _service_role(name, given)
    if not given.get("skipDefaultSecurityGroups"):
        made += _cluster_security_group(name, given) if not given.get("clusterSecurityGroup") else []
    made.append(_cluster(name, given, tuple(c.key for c in made if c.key.startswith("role") and c.custom)))
    if not given.get("skipDefaultSecurityGroups"):
        made += _node_security_group(name, given)
    if given.get("createInstanceRole"):
        made += _instance_role(name, given)
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
    asked = [key for key in NOT_MIRRORED if given.get(key)]
    asked += [] if given.get("skipDefaultNodeGroup") else ["skipDefaultNodeGroup (must be true)"]
    asked += [] if given.get("useDefaultVpcCni") else ["useDefaultVpcCni (must be true)"]
    asked += (
        []
        if (given.get("kubeProxyAddonOptions") or {}).get("enabled") is False
        else ["kubeProxyAddonOptions.enabled (must be false)"]
    )
    coredns = given.get("corednsAddonOptions") or {}
    asked += ["corednsAddonOptions"] if coredns.get("enabled") or coredns.get("configurationValues") else []
    if asked:
        raise ArgumentError(
            f"the plan does not mirror {', '.join(asked)}: leave it out, or teach program/eks_children.py"
        )
    if given.get("subnetIds") and (given.get("publicSubnetIds") or given.get("privateSubnetIds")):
        raise ArgumentError("subnetIds and publicSubnetIds or privateSubnetIds exclude each other: choose one way")
    if given.get("publicAccessCidrs") and given.get("endpointPublicAccess") is False:
        raise ArgumentError("publicAccessCidrs needs endpointPublicAccess: leave the list out, or open the endpoint")
    if problem := _access_problem(given):
        raise ArgumentError(problem)


def _role_with_policies(
    key: str, name: str, service: str, policies: tuple[str, ...], inputs: Mapping[str, Any]
) -> Iterator[Child]:
    actions = ["sts:AssumeRole", "sts:TagSession"] if service == "eks.amazonaws.com" else ["sts:AssumeRole"]
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Action": actions, "Effect": "Allow", "Principal": {"Service": [service]}}],
    }
    yield Child(key=f"{key}-component", type="eks:index:ServiceRole", name=name, inputs={}, custom=False)
    role = _set({"assumeRolePolicy": json.dumps(trust, separators=(",", ":"))} | dict(inputs))
    yield Child(key=key, type=ROLE, name=f"{name}-role", below=f"{key}-component", inputs=role)
    for policy in policies:
        # The name holds a hash of the policy's ARN in the aws partition, whatever the partition.
        digest = hashlib.sha1(f"arn:aws:iam::aws:policy/{policy}".encode(), usedforsecurity=False).hexdigest()[:8]
        yield Child(
            key=f"{key}-{policy}",
            type=ATTACHMENT,
            name=f"{name}-{digest}",
            below=f"{key}-component",
            inputs={"role": f"${{{key}.name}}", "policyArn": f"arn:${{partition}}:iam::aws:policy/{policy}"},
        )


def _service_role(name: str, given: Mapping[str, Any]) -> Iterator[Child]:
    inputs = {"description": "Allows EKS to manage clusters on your behalf.", "tags": given.get("tags")}
    yield from _role_with_policies("role", f"{name}-eksRole", "eks.amazonaws.com", ("AmazonEKSClusterPolicy",), inputs)


def _instance_role(name: str, given: Mapping[str, Any]) -> Iterator[Child]:
    inputs = {"tags": given.get("tags")}
    yield from _role_with_policies("instance-role", f"{name}-instanceRole", "ec2.amazonaws.com", NODE_POLICIES, inputs)
    profile = {"role": "${instance-role.name}"}
    yield Child(
        key="instance-profile",
        type="aws:iam/instanceProfile:InstanceProfile",
        name=f"{name}-instanceProfile",
        inputs=profile,
    )


def _cluster(name: str, given: Mapping[str, Any], after: tuple[str, ...]) -> Child:
    group = given.get("clusterSecurityGroup")
    groups = [group["id"]] if group else None if given.get("skipDefaultSecurityGroups") else ["${cluster-group.id}"]
    mode, key_arn = given.get("authenticationMode"), given.get("encryptionConfigKeyArn")
    address = {
        "serviceIpv4Cidr": given.get("kubernetesServiceIpAddressRange"),
        "ipFamily": given.get("ipFamily", "ipv4"),
    }
    address_given = given.get("kubernetesServiceIpAddressRange") or given.get("ipFamily")
    inputs = {
        "name": given.get("name"),
        "version": given.get("version"),
        "roleArn": given["serviceRole"]["arn"] if given.get("serviceRole") else "${role.arn}",
        "bootstrapSelfManagedAddons": given.get("bootstrapSelfManagedAddons", True),
        "vpcConfig": _set(
            {
                "securityGroupIds": groups,
                "subnetIds": subnet_ids(given),
                **{key: given.get(key) for key in ENDPOINT_ARGUMENTS},
            }
        ),
        "enabledClusterLogTypes": given.get("enabledClusterLogTypes"),
        "accessConfig": {"authenticationMode": mode, "bootstrapClusterCreatorAdminPermissions": True} if mode else None,
        "encryptionConfig": {"provider": {"keyArn": key_arn}, "resources": ["secrets"]} if key_arn else None,
        "kubernetesNetworkConfig": _set(address) if address_given else None,
        "upgradePolicy": given.get("upgradePolicy"),
        "deletionProtection": given.get("deletionProtection"),
        "tags": {"Name": f"{name}-eksCluster"} | (given.get("clusterTags") or {}) | (given.get("tags") or {}),
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


def subnet_ids(given: Mapping[str, Any]) -> Any:
    """The control plane's subnets: the list given, or the public before the private ones. Unknown where one list is."""
    if given.get("subnetIds"):
        return given["subnetIds"]
    public, private = given.get("publicSubnetIds") or [], given.get("privateSubnetIds") or []
    return [*public, *private] if isinstance(public, list) and isinstance(private, list) else public or private


def _cluster_security_group(name: str, given: Mapping[str, Any]) -> Iterator[Child]:
    tags = (
        {"Name": f"{name}-eksClusterSecurityGroup"}
        | (given.get("clusterSecurityGroupTags") or {})
        | (given.get("tags") or {})
    )
    group = {"vpcId": given.get("vpcId"), "revokeRulesOnDelete": True, "tags": tags}
    yield Child(key="cluster-group", type=GROUP, name=f"{name}-eksClusterSecurityGroup", inputs=group)
    yield _rule(name, "eksClusterInternetEgressRule", "egress", ALL, "${cluster-group.id}", cidrBlocks=["0.0.0.0/0"])


ALL: Final = ("-1", 0, 0)


def _rule(name: str, suffix: str, direction: str, ports: tuple[str, int, int], group: str, **peer: Any) -> Child:
    protocol, from_port, to_port = ports
    inputs = {
        "type": direction,
        "protocol": protocol,
        "fromPort": from_port,
        "toPort": to_port,
        "securityGroupId": group,
    }
    return Child(
        key=suffix, type=GROUP_RULE, name=f"{name}-{suffix}", inputs=inputs | {"description": RULES[suffix]} | peer
    )


RULES: Final = {
    "eksClusterInternetEgressRule": "Allow internet access.",
    "eksNodeIngressRule": "Allow nodes to communicate with each other",
    "eksNodeClusterIngressRule": "Allow worker Kubelets and pods to receive communication from the "
    "cluster control plane",
    "eksExtApiServerClusterIngressRule": "Allow pods running extension API servers on port 443 to receive "
    "communication from "
    "cluster control plane",
    "eksNodeInternetEgressRule": "Allow internet access.",
    "eksClusterIngressRule": "Allow pods to communicate with the cluster API Server",
}


def _node_security_group(name: str, given: Mapping[str, Any]) -> Iterator[Child]:
    tags = {"Name": f"{name}-nodeSecurityGroup", "kubernetes.io/cluster/${cluster.name}": "owned"}
    tags |= (given.get("nodeSecurityGroupTags") or {}) | (given.get("tags") or {})
    yield Child(
        key="node-group",
        type=GROUP,
        name=f"{name}-nodeSecurityGroup",
        after=("cluster",),
        inputs={"vpcId": given.get("vpcId"), "revokeRulesOnDelete": True, "tags": tags},
    )
    cluster = given["clusterSecurityGroup"]["id"] if given.get("clusterSecurityGroup") else "${cluster-group.id}"
    nodes = "${node-group.id}"
    yield _rule(name, "eksNodeIngressRule", "ingress", ALL, nodes, self=True)
    yield _rule(
        name, "eksNodeClusterIngressRule", "ingress", ("tcp", 1025, 65535), nodes, sourceSecurityGroupId=cluster
    )
    yield _rule(
        name, "eksExtApiServerClusterIngressRule", "ingress", ("tcp", 443, 443), nodes, sourceSecurityGroupId=cluster
    )
    yield _rule(name, "eksNodeInternetEgressRule", "egress", ALL, nodes, cidrBlocks=["0.0.0.0/0"])
    yield _rule(name, "eksClusterIngressRule", "ingress", ("tcp", 443, 443), cluster, sourceSecurityGroupId=nodes)


def _access_problem(given: Mapping[str, Any]) -> str | None:
    """Reason for which the component refuses these arguments, or None."""
    mode = given.get("authenticationMode")
    if mode not in {*WITH_CONFIG_MAP, *WITH_ENTRIES}:
        return f"authenticationMode {mode!r}: it is CONFIG_MAP, API_AND_CONFIG_MAP or API"
    if mode not in WITH_CONFIG_MAP:
        for key in ("roleMappings", "userMappings", "instanceRoles"):
            if given.get(key):
                return f"{key} with authenticationMode {mode}: there is no aws-auth to hold it; use API_AND_CONFIG_MAP"
    if mode not in WITH_ENTRIES and given.get("accessEntries"):
        return f"accessEntries with authenticationMode {mode}: entries need API or API_AND_CONFIG_MAP"
    return None


def _instance_role_arns(given: Mapping[str, Any]) -> list[Any]:
    """ARNs of the roles that the component maps for nodes by itself: given, or its own."""
    if given.get("instanceRoles"):
        return [role["arn"] for role in given["instanceRoles"]]
    if given.get("instanceRole"):
        return [given["instanceRole"]["arn"]]
    return ["${instance-role.arn}"] if given.get("createInstanceRole") else []


def _aws_auth(given: Mapping[str, Any]) -> dict[str, Any]:
    """The ConfigMap. ``mapRoles`` and ``mapUsers`` are YAML text."""
    roles = [("rolearn", row.get("roleArn"), row) for row in given.get("roleMappings") or []]
    nodes = {"username": NODE_USERNAME, "groups": list(NODE_GROUPS)}
    roles += [("rolearn", arn, nodes) for arn in _instance_role_arns(given)]
    data = {"mapRoles": _mapping(roles)}
    if given.get("userMappings"):
        data["mapUsers"] = _mapping(("userarn", row.get("userArn"), row) for row in given["userMappings"])
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "immutable": False,
        "metadata": {
            "name": "aws-auth",
            "namespace": "kube-system",
            "annotations": {"pulumi.com/patchForce": "true"},
        },
        "data": data,
    }


def _mapping(rows: Iterable[tuple[str, Any, Mapping[str, Any]]]) -> Any:
    shown = [{key: arn, "username": row["username"], "groups": row["groups"]} for key, arn, row in rows]
    return yaml.safe_dump(shown, sort_keys=False)


def _entries(given: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Access entries by name: the component's own for its default instance role, then those given."""
    own: dict[str, Mapping[str, Any]] = {}
    if not given.get("instanceRoles") and (given.get("instanceRole") or given.get("createInstanceRole")):
        own["defaultNodeGroupInstanceRole"] = {"principalArn": _instance_role_arns(given)[0], "type": "EC2_LINUX"}
    return own | dict(given.get("accessEntries") or {})


def _access_entries(name: str, given: Mapping[str, Any]) -> Iterator[Child]:
    for key, entry in _entries(given).items():
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
