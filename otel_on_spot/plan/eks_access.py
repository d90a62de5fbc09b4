"""Who pulumi-eks lets into the cluster: the ``aws-auth`` ConfigMap and the access entries.

Source: https://github.com/pulumi/pulumi-eks/blob/master/nodejs/eks/cluster/authenticationMode.ts (version 4)
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

from otel_on_spot.kubernetes.names import NODE_GROUPS, NODE_USERNAME
from otel_on_spot.plan.values import UNKNOWN, holds_unknown

WITH_CONFIG_MAP: Final = (None, "CONFIG_MAP", "API_AND_CONFIG_MAP")
WITH_ENTRIES: Final = ("API", "API_AND_CONFIG_MAP")
ENTRY_FIELDS: Final = ("clusterName", "principalArn", "type", "kubernetesGroups", "userName", "tags")


def problem(given: Mapping[str, Any]) -> str | None:
    """What the component refuses about these arguments, or None."""
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


def instance_role_arns(given: Mapping[str, Any]) -> list[Any]:
    """ARNs of the roles that the component maps for nodes by itself: given, or its own."""
    if given.get("instanceRoles"):
        return [role["arn"] for role in given["instanceRoles"]]
    if given.get("instanceRole"):
        return [given["instanceRole"]["arn"]]
    return ["${instance-role.arn}"] if given.get("createInstanceRole") else []


def aws_auth(given: Mapping[str, Any]) -> dict[str, Any]:
    """The ConfigMap. ``mapRoles`` and ``mapUsers`` are YAML text, unknown while an ARN in them is."""
    roles = [("rolearn", row.get("roleArn"), row) for row in given.get("roleMappings") or []]
    nodes = {"username": NODE_USERNAME, "groups": list(NODE_GROUPS)}
    roles += [("rolearn", arn, nodes) for arn in instance_role_arns(given)]
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
    return UNKNOWN if holds_unknown(shown) else yaml.safe_dump(shown, sort_keys=False)


def entries(given: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Access entries by name: the component's own for its default instance role, then those given."""
    own: dict[str, Mapping[str, Any]] = {}
    if not given.get("instanceRoles") and (given.get("instanceRole") or given.get("createInstanceRole")):
        own["defaultNodeGroupInstanceRole"] = {"principalArn": instance_role_arns(given)[0], "type": "EC2_LINUX"}
    return own | dict(given.get("accessEntries") or {})
