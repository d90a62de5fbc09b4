"""Made-up identities that look like AWS's own: ids, ARNs, URLs, and physical names, the same in every run."""

import hashlib
from collections.abc import Mapping
from typing import Any

from otel_on_spot.program.recording import Registration
from otel_on_spot.program.resource_types import ProviderScope, fields, is_release, resource_type
from otel_on_spot.program.values import revealed


def short_hash(urn: str) -> str:
    """Seventeen hexadecimal digits that belong to a URN: the same in every run."""
    return hashlib.sha256(urn.encode()).hexdigest()[:17]


def physical_name(registration: Registration, key: str = "name") -> str:
    """The name given under ``key``, or the one that Pulumi's auto-naming would make: seven random digits behind.

    A secret name counts as not given: an id or an ARN would tell it.
    """
    given = registration.inputs.get(key)
    return given if isinstance(given, str) else f"{registration.name}-{short_hash(registration.urn)[:7]}"


def object_name(registration: Registration) -> str:
    """The name of a Kubernetes object: the one given, or the one that Pulumi's auto-naming would make."""
    metadata = revealed(registration.inputs.get("metadata"))
    given = metadata.get("name") if isinstance(metadata, Mapping) else None
    return given if isinstance(given, str) else physical_name(registration)


def identifier(registration: Registration, scope: ProviderScope, *, preview: bool) -> str:
    """The physical id; none at preview."""
    if preview:
        return ""
    if registration.import_id:
        return registration.import_id
    if registration.type.startswith("kubernetes:"):
        return _object_id(registration)
    facts, own = resource_type(registration.type), short_hash(registration.urn)
    if facts.id_prefix == "arn":
        return arn(registration, scope, "")
    if facts.id_prefix:
        return f"{facts.id_prefix}-{own}"
    try:
        return facts.id.format_map(_fields(registration, scope)) or own
    except KeyError:  # an input that is secret: an id would tell it
        return own


def _object_id(registration: Registration) -> str:
    inputs = revealed(registration.inputs)
    within = inputs if is_release(registration.type) else inputs.get("metadata") or {}
    namespace = within.get("namespace")
    name = physical_name(registration) if is_release(registration.type) else object_name(registration)
    return f"{namespace}/{name}" if isinstance(namespace, str) else name


def arn(registration: Registration, scope: ProviderScope, identity: str) -> str:
    """The resource's ARN by the table, or a plausible one for a type that the table lacks."""
    service = registration.type.split(":")[1].split("/")[0]
    pattern = resource_type(registration.type).arn or f"arn:{{partition}}:{service}:{{region}}:{{account}}:{{name}}"
    known = _fields(registration, scope) | {"id": identity, "hash": short_hash(registration.urn)}
    return pattern.format_map(_Named(known))


class _Named(dict[str, Any]):
    """Unknowns by their names: a secret stays one."""

    def __missing__(self, key: str) -> str:
        return key


def _fields(registration: Registration, scope: ProviderScope) -> dict[str, Any]:
    made_up = {key: physical_name(registration, key) for key in ("name", "nodeGroupName", "targetId")}
    return fields(registration.inputs, scope) | made_up
