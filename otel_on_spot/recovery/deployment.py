"""The state of a stack: what is pending in it, and the state with that decided."""

import json
from collections.abc import Mapping, Set
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

State = dict[str, Any]


@dataclass(frozen=True)
class Identity:
    """Name of a resource for its provider: its id, and outputs that a read needs beside the inputs."""

    id: str
    outputs: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Pending:
    """An operation that was begun and never heard of again."""

    operation: str
    resource: Mapping[str, Any]

    @property
    def urn(self) -> str:
        """The resource's URN."""
        return str(self.resource["urn"])

    @property
    def type(self) -> str:
        """The resource's type token."""
        return str(self.resource["type"])

    @property
    def name(self) -> str:
        """The resource's logical name."""
        return self.urn.rpartition("::")[2]

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Inputs that the program declared, as they were sent to the provider."""
        return self.resource.get("inputs") or {}


def pending(state: State) -> list[Pending]:
    """Operations that were begun and never heard of again, each URN once; a create goes before all else."""
    by_urn: dict[str, Pending] = {}
    for entry in state["deployment"].get("pending_operations") or []:
        operation = Pending(entry["type"], entry["resource"])
        if operation.urn not in by_urn or operation.operation == "creating":
            by_urn[operation.urn] = operation
    return list(by_urn.values())


def known_ids(state: State) -> set[str]:
    """Ids of everything that the state holds."""
    return {str(entry["id"]) for entry in state["deployment"].get("resources") or [] if entry.get("id")}


def provider_of(state: State, resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """The provider that a resource belongs to; empty where it is not in the state."""
    urn = str(resource.get("provider") or "").rpartition("::")[0]
    return next((entry for entry in state["deployment"].get("resources") or [] if entry["urn"] == urn), {})


def provider_inputs(state: State, resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """Configuration of the provider that a resource belongs to; empty where it is not in the state."""
    return provider_of(state, resource).get("inputs") or {}


def default_tags(configuration: Mapping[str, Any]) -> Mapping[str, str]:
    """Tags that an AWS provider gives to everything that it makes."""
    tags = configuration.get("defaultTags")
    decoded = json.loads(tags) if isinstance(tags, str) else tags or {}
    return decoded.get("tags") or {}


def decided(state: State, found: Mapping[str, Identity], left: Set[str]) -> State:
    """The state with its pending operations decided; the argument stays as it is.

    Args:
        state: of the stack.
        found: URN of a pending create -> identity under which it becomes a resource, with its parent, provider,
            dependencies and inputs as the program declared them. Its outputs are its inputs until a refresh reads them.
        left: URNs whose pending operations stay.

    An older resource of the same URN was being replaced: it is marked for deletion.
    """
    made = deepcopy(state)
    deployment = made["deployment"]
    operations = deployment.get("pending_operations") or []
    resources = deployment.setdefault("resources", [])
    for urn, identity in found.items():
        resource = deepcopy(next(entry["resource"] for entry in operations if entry["resource"]["urn"] == urn))
        for old in resources:
            if old["urn"] == urn and not old.get("delete"):
                old["delete"] = True
        resource["id"] = identity.id
        resource["outputs"] = {**deepcopy(resource.get("inputs") or {}), **(identity.outputs or {})}
        resource["outputs"].pop("__defaults", None)
        resources.append(resource)
    deployment["pending_operations"] = [entry for entry in operations if entry["resource"]["urn"] in left]
    return made
