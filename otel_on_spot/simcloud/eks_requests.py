"""Requests to EKS as the provider sends them: what a resource declares, in the form of EKS's own API.

The same form is what the API answers with, so the answers are made from it too.
Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_Operations.html, and for which input is in which request
https://github.com/hashicorp/terraform-provider-aws/tree/main/internal/service/eks
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from otel_on_spot.simcloud.service_model import in_aws_form

Request = dict[str, Any]
LOG_TYPES: Final = ("api", "audit", "authenticator", "controllerManager", "scheduler")
OUR_OWN: Final = frozenset({"tags", "enabledClusterLogTypes", "region"})
"""Inputs of the provider that are no members of a request, or members of another form."""
NAMES: Final = {
    "vpcConfig": "resourcesVpcConfig",
    "nodeGroupName": "nodegroupName",
    "nodeRoleArn": "nodeRole",
    "subnetIds": "subnets",
    "userName": "username",
    "resolveConflictsOnCreate": "resolveConflicts",
}
"""The provider's name of a member -> EKS's."""


LEFT: Final = {
    "CreateNodegroup": ("forceUpdateVersion",),
    "CreateAddon": ("preserve", "resolveConflictsOnUpdate"),
    "UpdateAddon": ("preserve", "resolveConflictsOnCreate", "resolveConflictsOnUpdate"),
    "UpdateAccessEntry": ("type",),
}
"""Operation -> inputs of its resource that another operation takes."""


def request(operation: str, inputs: Mapping[str, Any], tags: Mapping[str, str] | None = None) -> Request:
    """The request of an operation: what a resource declares under EKS's names, with these tags."""
    left, asked = (*OUR_OWN, *LEFT.get(operation, ())), {}
    for key, value in inputs.items():
        member = NAMES.get(key, key)
        if value is not None and key not in left and not key.startswith("__"):
            asked[member] = in_aws_form("eks", f"{operation}Request", {member: value})[member]
    return asked if tags is None else {**asked, "tags": dict(tags)}


def create_cluster(inputs: Mapping[str, Any], tags: Mapping[str, str]) -> Request:
    """CreateCluster."""
    asked = request("CreateCluster", inputs, tags)
    if inputs.get("enabledClusterLogTypes"):
        asked["logging"] = {"clusterLogging": [{"types": list(inputs["enabledClusterLogTypes"]), "enabled": True}]}
    return asked


def logging(inputs: Mapping[str, Any]) -> Request:
    """The logging of a cluster as EKS answers: what is on, and what is off."""
    on = list(inputs.get("enabledClusterLogTypes") or [])
    off = [name for name in LOG_TYPES if name not in on]
    return {"clusterLogging": [{"types": types, "enabled": types is on} for types in (on, off) if types]}


def update_cluster(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Request]]:
    """(operation, request) for each part of a cluster that changes: EKS takes one at a time."""
    before, after = create_cluster(old, {}), create_cluster(new, {})
    if before.get("version") != after.get("version"):
        yield "UpdateClusterVersion", {"name": name, "version": after.get("version")}
    if logging(old) != logging(new):
        yield "UpdateClusterConfig", {"name": name, "logging": logging(new)}
    if after.get("encryptionConfig") and not before.get("encryptionConfig"):
        asked = {"clusterName": name, "encryptionConfig": after["encryptionConfig"]}
        yield "AssociateEncryptionConfig", asked
    for part in ("resourcesVpcConfig", "accessConfig", "upgradePolicy", "zonalShiftConfig", "deletionProtection"):
        if part in after and before.get(part) != after[part]:
            value = after[part]
            if part == "accessConfig":  # the creator's rights are decided once
                value = {key: inner for key, inner in value.items() if key == "authenticationMode"}
            yield "UpdateClusterConfig", {"name": name, part: value}


def update_nodegroup(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Request]]:
    """(operation, request) for what of a node group changes: its configuration, and what its nodes are started from."""
    before, after = request("CreateNodegroup", old), request("CreateNodegroup", new)
    who = {"clusterName": after["clusterName"], "nodegroupName": after["nodegroupName"]}
    config: Request = {
        part: after[part]
        for part in ("scalingConfig", "updateConfig", "nodeRepairConfig")
        if part in after and before.get(part) != after[part]
    }
    for part, add, remove in (
        ("labels", "addOrUpdateLabels", "removeLabels"),
        ("taints", "addOrUpdateTaints", "removeTaints"),
    ):
        had, wanted = before.get(part) or {}, after.get(part) or {}
        if had != wanted:
            config[part] = {add: wanted, remove: [key for key in had if key not in wanted]}
    if config:
        yield "UpdateNodegroupConfig", {**who, **config}
    launched = {
        part: after[part]
        for part in ("version", "releaseVersion", "launchTemplate")
        if part in after and before.get(part) != after[part]
    }
    if launched:
        force = {"force": bool(new["forceUpdateVersion"])} if "forceUpdateVersion" in new else {}
        yield "UpdateNodegroupVersion", {**who, **launched, **force}


def update_addon(inputs: Mapping[str, Any]) -> Request:
    """UpdateAddon."""
    conflicts = inputs.get("resolveConflictsOnUpdate")
    asked = request("UpdateAddon", inputs)
    return {**asked, "resolveConflicts": conflicts} if conflicts else asked
