"""Access to a cluster: access entries, policies on them, and who is in today. moto 5.2.5 has none of it."""

import re
import time
from typing import Any, Final

import yaml
from typing_extensions import override

from otel_on_spot.kubernetes.names import CONFIG_MAP, NODE_GROUPS, NODE_USERNAME
from otel_on_spot.simcloud import eks_requests
from otel_on_spot.simcloud.api_errors import INVALID, ApiError, refuse
from otel_on_spot.simcloud.aws import principals
from otel_on_spot.simcloud.aws.eks_cluster import active_cluster, refuse_without_entries
from otel_on_spot.simcloud.handler import Call, Handler, Seconds, Site, all_tags, own_tags
from otel_on_spot.simcloud.properties import Properties

TYPES: Final = (*("STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX"),)
"""Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateAccessEntry.html"""
RESERVED_USERS: Final = ("system:", "eks:", "aws:", "amazon:", "iam:")
"""Source: https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html"""
POLICIES: Final = frozenset(
    f"AmazonEKS{name}Policy"
    for name in (
        *("Admin", "ClusterAdmin", "AdminView", "Edit", "View", "SecretReader", "AutoNode", "BlockStorage"),
        *("BlockStorageCluster", "Compute", "ComputeCluster", "LoadBalancing", "LoadBalancingCluster", "Networking"),
        *("NetworkingCluster", "Hybrid", "ClusterInsights"),
    )
)
"""Source: https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html"""
NODE_TYPES = ("EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX")


def _role_id(site: Site, arn: str) -> str:
    """Unique id of a role or user of this account; of another account's, nothing is known.

    Raises:
        ApiError: an access entry takes no such principal.
    """
    if why := principals.why_no_entry(site, arn):
        raise ApiError(INVALID, f"The specified principalArn is invalid: {why}")
    made = principals.entity(site, arn)
    return str(made.get("RoleId") or made.get("UserId") or "")


def remember_entry(site: Site, cluster: str, principal: str, kind: str, by: str, **more: Any) -> None:
    """Write an access entry; one that is there stays as it is.

    Args:
        site: the cluster's account and region.
        cluster: its name.
        principal: ARN of a role or user.
        kind: type of the entry, such as ``STANDARD`` or ``EC2_LINUX``.
        by: who made it: ``user``, or ``eks`` for what EKS makes by itself.
        more: further columns of the row, such as groups and tags.

    Raises:
        ApiError: an access entry takes no such principal.
    """
    key = f"{cluster}/{principal}"
    if site.cloud.tables.get("access-entries", key) is None:
        row = {"type": kind, "by": by, "roleId": _role_id(site, principal), "createdAt": time.time(), **more}
        site.cloud.tables.put("access-entries", key, row)


def forget_entry(site: Site, cluster: str, principal: str, by: str) -> None:
    """Remove an access entry.

    Args:
        site: the cluster's account and region.
        cluster: its name.
        principal: ARN of a role or user.
        by: who made it, ``user`` or ``eks``; another's entry stays.
    """
    row = site.cloud.tables.get("access-entries", f"{cluster}/{principal}")
    if row and row["by"] == by:
        site.cloud.tables.remove("access-entries", f"{cluster}/{principal}")


def _mapped(site: Site, cluster: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The ConfigMap ``aws-auth``, where there is one, and the rows of its ``mapRoles``."""
    found = site.cloud.kubernetes(cluster).get(*CONFIG_MAP.identity, "aws-auth", "kube-system")
    return found, yaml.safe_load(((found or {}).get("data") or {}).get("mapRoles") or "[]") or []


def map_node_role(site: Site, cluster: str, role_arn: str) -> None:
    """Append the role of a managed node group to ``aws-auth``, as EKS does; a row that is there stays as it is.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/auth-configmap.html
    """
    if not _has_config_map(site, cluster):
        return
    found, rows = _mapped(site, cluster)
    arn = without_path(role_arn)
    if all(row["rolearn"] != arn for row in rows):
        _write_rows(
            site, cluster, found, [*rows, {"groups": [*NODE_GROUPS], "rolearn": arn, "username": NODE_USERNAME}]
        )


def unmap_node_role(site: Site, cluster: str, role_arn: str) -> None:
    """Take the role of the last managed node group that used it out of ``aws-auth``, as EKS does, whoever wrote it.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/delete-managed-node-group.html
    """
    found, rows = _mapped(site, cluster)
    kept = [row for row in rows if row["rolearn"] != without_path(role_arn)]
    if found is not None and len(kept) < len(rows):
        _write_rows(site, cluster, found, kept)


def _has_config_map(site: Site, cluster: str) -> bool:
    access = active_cluster(site, cluster)["inputs"].get("accessConfig") or {}
    return access.get("authenticationMode") != "API"


def _write_rows(site: Site, cluster: str, found: dict[str, Any] | None, rows: list[dict[str, Any]]) -> None:
    api, data = site.cloud.kubernetes(cluster), {"mapRoles": yaml.safe_dump(rows)}
    if found is None:
        metadata = {"name": "aws-auth", "namespace": "kube-system"}
        api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}, manager="eks")
    else:
        api.replace({**found, "data": {**(found.get("data") or {}), **data}})


def without_path(role_arn: str) -> str:
    """The role's ARN as ``aws-auth`` takes it. Source: https://docs.aws.amazon.com/eks/latest/userguide/auth-configmap.html"""
    account, _, path = role_arn.partition(":role/")
    return f"{account}:role/{path.rpartition('/')[2]}"


def admitted_by(site: Site, cluster: str, role_arn: str) -> set[str]:
    """The ways in which the cluster admits nodes of this role: ``access-entry``, ``aws-auth``, both, or none.

    An entry of another type than a node's admits no node, nor does one made for an earlier role of the same name.
    """
    ways = set()
    entry = site.cloud.tables.get("access-entries", f"{cluster}/{role_arn}")
    if entry and entry["type"] == "EC2_LINUX" and entry["roleId"] == _role_id(site, role_arn):
        ways.add("access-entry")
    for mapping in _mapped(site, cluster)[1]:
        if mapping["rolearn"] == without_path(role_arn) and set(NODE_GROUPS) <= set(mapping.get("groups") or []):
            ways.add("aws-auth")
    return ways


def _entry(site: Site, inputs: Properties) -> dict[str, Any]:
    cluster, principal = inputs["clusterName"], inputs["principalArn"]
    missing = f"The specified principalArn could not be found: {principal}"
    return site.row("access-entries", f"{cluster}/{principal}", missing)


def _refuse_names(inputs: Properties) -> None:
    """Refuse groups and a user that Kubernetes and AWS keep to themselves.

    Sources: https://github.com/terraform-aws-modules/terraform-aws-eks/issues/2968 (groups),
    https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html (users, and what stands in them)
    """
    reserved = [group for group in inputs.get("kubernetesGroups") or () if group.startswith("system:")]
    user = inputs.get("userName") or ""
    unknown = set(re.findall(r"\{\{(.*?)\}\}", user)) - {"AccountID", "SessionName", "SessionNameRaw"}
    refuse(
        (reserved, f"The kubernetes group name {', '.join(reserved)} is invalid, it cannot start with system:"),
        (
            user.startswith(RESERVED_USERS) or unknown,
            f"The username {user} is invalid: it starts with none of {', '.join(RESERVED_USERS)}, and has of templates "
            "{{AccountID}} and {{SessionName}} alone",
        ),
    )


class AccessEntry(Handler):
    """A principal that the cluster knows."""

    token = "aws:eks/accessEntry:AccessEntry"
    taggable = True
    seconds = Seconds(1, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        site, cluster, principal = call.site, inputs["clusterName"], inputs["principalArn"]
        refuse_without_entries(active_cluster(site, cluster))
        site.hold("eks", "CreateAccessEntry", eks_requests.request("CreateAccessEntry", inputs, all_tags(site, inputs)))
        refuse((inputs["type"] not in TYPES, f"The type {inputs['type']} is none of {', '.join(TYPES)}"))
        _refuse_names(inputs)
        there = site.cloud.tables.get("access-entries", f"{cluster}/{principal}")
        told = "The specified access entry resource is already in use on this cluster."
        refuse((there, told), code="ResourceInUseException")
        more = {
            "groups": inputs.get("kubernetesGroups") or [],
            "userName": inputs.get("userName") or "",
            "tags": all_tags(site, inputs),
        }
        told = f"kubernetesGroups and username cannot be set for access entries of type {inputs['type']}"
        refuse((inputs["type"] in NODE_TYPES and (more["groups"] or more["userName"]), told))
        remember_entry(site, cluster, principal, inputs["type"], "user", **more)
        return self.identity(site, inputs), {
            "accessEntryArn": self.arn(site, "", inputs, principal.rpartition("/")[2]),
            "createdAt": "2026-01-01T00:00:00Z",
            "modifiedAt": "2026-01-01T00:00:00Z",
            "userName": more["userName"] or (NODE_USERNAME if inputs["type"] == "EC2_LINUX" else principal),
            "kubernetesGroups": more["groups"] or (["system:nodes"] if inputs["type"] == "EC2_LINUX" else []),
        }

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        row = call.site.cloud.tables.get("access-entries", f"{state['clusterName']}/{state['principalArn']}")
        return None if row is None else {"type": row["type"], **own_tags(call.site, state, row.get("tags") or {})}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        key = f"{new['clusterName']}/{new['principalArn']}"
        row = _entry(call.site, new)
        _refuse_names(new)
        groups = new.get("kubernetesGroups") or []
        asked = eks_requests.request("UpdateAccessEntry", {**new, "kubernetesGroups": groups})
        call.site.hold("eks", "UpdateAccessEntry", asked)
        told = {"groups": groups, "userName": new.get("userName") or row.get("userName") or ""}
        call.site.cloud.tables.put("access-entries", key, {**row, **told, "tags": all_tags(call.site, new)})

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        cluster, principal = state["clusterName"], state["principalArn"]
        call.site.cloud.tables.remove("access-entries", f"{cluster}/{principal}")
        for key in call.site.cloud.tables.all("access-policies", f"{cluster}/{principal}/"):
            call.site.cloud.tables.remove("access-policies", key)


class AccessPolicyAssociation(Handler):
    """A policy of EKS's own on an access entry."""

    token = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
    seconds = Seconds(1, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        call.site.hold("eks", "AssociateAccessPolicy", eks_requests.request("AssociateAccessPolicy", inputs))
        refuse_without_entries(active_cluster(call.site, inputs["clusterName"]))
        home = f"arn:{call.site.scope.partition}:eks::aws:cluster-access-policy/"
        policy, scope = inputs["policyArn"], inputs["accessScope"]
        told = f"An access scope of type {scope['type']}: one of type namespace names some, one of type cluster none"
        refuse(
            (policy.removeprefix(home) not in POLICIES, f"The policyArn {policy} is none of EKS's: {home}..."),
            ((scope["type"] == "namespace") != bool(scope.get("namespaces")), told),
        )
        tables, entry = call.site.cloud.tables, f"{inputs['clusterName']}/{inputs['principalArn']}"
        row = _entry(call.site, inputs)
        told = f"The access entry is of type {row['type']}, which takes no access policies"
        refuse((row["type"] in NODE_TYPES, told), code="InvalidRequestException")
        tables.put("access-policies", f"{entry}/{inputs['policyArn']}", {"scope": inputs["accessScope"]})
        return self.identity(call.site, inputs), dict.fromkeys(("associatedAt", "modifiedAt"), "2026-01-01T00:00:00Z")

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        key = f"{state['clusterName']}/{state['principalArn']}/{state['policyArn']}"
        row = call.site.cloud.tables.get("access-policies", key)
        return None if row is None else {"accessScope": row["scope"]}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.cloud.tables.remove(
            "access-policies", f"{state['clusterName']}/{state['principalArn']}/{state['policyArn']}"
        )
