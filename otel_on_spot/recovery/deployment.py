"""The state of a stack: what is pending in it, and the state with that decided."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

State = dict[str, Any]


@dataclass(frozen=True)
class Identity:
    """What names a resource to its provider: its id, and outputs that a read needs beside the inputs."""

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
        """What the program asked for, as it was sent to the provider."""
        return self.resource.get("inputs") or {}


def pending(state: State) -> list[Pending]:
    """Operations that were begun and never heard of again, each URN once; a create goes before all else."""
    found: dict[str, Pending] = {}
    for one in state["deployment"].get("pending_operations") or []:
        told = Pending(one["type"], one["resource"])
        if told.urn not in found or told.operation == "creating":
            found[told.urn] = told
    return list(found.values())


def known_ids(state: State) -> set[str]:
    """Ids of everything that the state holds."""
    return {str(one["id"]) for one in state["deployment"].get("resources") or [] if one.get("id")}


def provider_inputs(state: State, resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """Configuration of the provider that a resource belongs to; empty where it is not in the state."""
    urn = str(resource.get("provider") or "").rpartition("::")[0]
    for one in state["deployment"].get("resources") or []:
        if one["urn"] == urn:
            return one.get("inputs") or {}
    return {}


def decided(state: State, taken: Mapping[str, Identity], left: set[str]) -> State:
    """The state with its pending operations decided; the argument stays as it is.

    Args:
        taken: URN of a pending create -> identity under which it becomes a resource, with its parent, provider,
            dependencies and inputs as the program declared them. Its outputs are its inputs until a refresh reads them.
        left: URNs whose pending operations stay.

    An older resource of the same URN is one that was being replaced: it is marked for deletion.
    """
    made = deepcopy(state)
    deployment = made["deployment"]
    operations = deployment.get("pending_operations") or []
    resources = deployment.setdefault("resources", [])
    for urn, identity in taken.items():
        resource = deepcopy(next(one["resource"] for one in operations if one["resource"]["urn"] == urn))
        for old in resources:
            if old["urn"] == urn and not old.get("delete"):
                old["delete"] = True
        resource["id"] = identity.id
        resource["outputs"] = {**deepcopy(resource.get("inputs") or {}), **(identity.outputs or {})}
        resource["outputs"].pop("__defaults", None)
        resources.append(resource)
    deployment["pending_operations"] = [one for one in operations if one["resource"]["urn"] in left]
    return made
