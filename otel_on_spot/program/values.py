"""Plain Python values out of the wire format, with a marker for everything that is not plain."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal

from google.protobuf import struct_pb2
from pulumi.runtime import rpc


class Unknown(Enum):
    """The type of ``UNKNOWN``, of which no copy is made."""

    UNKNOWN = "[unknown]"

    def __repr__(self) -> str:
        return self.value

    __str__ = __repr__


UNKNOWN: Final = Unknown.UNKNOWN
"""A value that only the cloud can give, before it is there."""


@dataclass(frozen=True)
class Secret:
    """A secret value. It never shows itself."""

    value: Any

    def __repr__(self) -> str:
        return "[secret]"


@dataclass(frozen=True)
class Reference:
    """A reference to another resource, by URN."""

    urn: str

    def __repr__(self) -> str:
        return f"[{self.urn}]"


@dataclass(frozen=True)
class Asset:
    """A file or a folder that goes with a resource: where it comes from (``path``, ``uri``, ``text``, ``assets``)."""

    kind: Literal["asset", "archive"]
    content: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"[{self.kind} {self.content.get('path') or self.content.get('uri') or 'inline'}]"


ASSETS: Final[Mapping[str, Literal["asset", "archive"]]] = {
    rpc._special_asset_sig: "asset",
    rpc._special_archive_sig: "archive",
}


def decoded(struct: struct_pb2.Struct) -> dict[str, Any]:
    """The properties of a request, as plain values and markers."""
    return {key: _decoded(value) for key, value in sorted(struct.fields.items())}


def _decoded(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        fields = value.struct_value.fields
        if rpc._special_sig_key not in fields:
            return decoded(value.struct_value)
        signature = fields[rpc._special_sig_key].string_value
        if signature == rpc._special_secret_sig:
            return Secret(_decoded(fields["value"]))
        if signature == rpc._special_resource_sig:
            return Reference(fields["urn"].string_value)
        if kind_of_asset := ASSETS.get(signature):
            content = {key: _decoded(inner) for key, inner in fields.items() if key != rpc._special_sig_key}
            return Asset(kind_of_asset, content)
        if signature == rpc._special_output_value_sig:
            inner = _decoded(fields["value"]) if "value" in fields else UNKNOWN
            return Secret(inner) if "secret" in fields and fields["secret"].bool_value else inner
        return decoded(value.struct_value)
    if kind == "list_value":
        return [_decoded(item) for item in value.list_value.values]
    if kind == "string_value":
        return UNKNOWN if value.string_value == rpc.UNKNOWN else value.string_value
    if kind == "number_value":
        number = float(value.number_value)
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    return None


def encoded(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Plain values and markers, back in the wire format."""
    struct = struct_pb2.Struct()
    for key, value in properties.items():
        struct.fields[key].CopyFrom(_encoded(value))
    return struct


def _encoded(value: Any) -> struct_pb2.Value:
    match value:
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case Unknown():
            return struct_pb2.Value(string_value=rpc.UNKNOWN)
        case Secret(inner):
            return _special(rpc._special_secret_sig, value=inner)
        case Reference(urn):
            return _special(rpc._special_resource_sig, urn=urn)
        case Asset(kind, content):
            return _special(next(sig for sig, name in ASSETS.items() if name == kind), **content)
        case bool():
            return struct_pb2.Value(bool_value=value)
        case int() | float():
            return struct_pb2.Value(number_value=value)
        case str():
            return struct_pb2.Value(string_value=value)
        case Mapping():
            return struct_pb2.Value(struct_value=encoded(value))
        case list() | tuple():
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_encoded(item) for item in value]))
    raise TypeError(f"{type(value).__name__} has no place in a resource's properties")


def _special(signature: str, **fields: Any) -> struct_pb2.Value:
    return struct_pb2.Value(struct_value=encoded({rpc._special_sig_key: signature} | fields))


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value with ``change`` applied to every marker and leaf."""
    if isinstance(value, Mapping):
        return {key: mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [mapped(inner, change) for inner in value]
    return change(value)


def masked(value: Any) -> Any:
    """The value as people and files may see it: secrets, unknowns, references and assets as their markers' text."""
    return mapped(value, lambda leaf: repr(leaf) if isinstance(leaf, (Secret, Unknown, Reference, Asset)) else leaf)


def revealed(value: Any) -> Any:
    """The value with secrets opened, for whoever must apply it. Never for output."""
    return mapped(value, lambda leaf: revealed(leaf.value) if isinstance(leaf, Secret) else leaf)


def secret_texts(value: Any) -> set[str]:
    """Every text that a value keeps secret."""
    found: set[str] = set()

    def collect(leaf: Any) -> None:
        if isinstance(leaf, Secret):
            mapped(revealed(leaf), lambda inner: found.add(inner) if isinstance(inner, str) and inner else None)

    mapped(value, collect)
    return found


def holds_unknown(value: Any) -> bool:
    """True where anything in the value is unknown."""
    if isinstance(value, Mapping):
        return any(map(holds_unknown, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(holds_unknown, value))
    return value is UNKNOWN or (isinstance(value, Secret) and holds_unknown(value.value))


def holds_secret(value: Any) -> bool:
    """True where anything in the value is secret."""
    if isinstance(value, Mapping):
        return any(map(holds_secret, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(holds_secret, value))
    return isinstance(value, Secret)


def references(value: Any) -> set[str]:
    """URNs of the resources that a value refers to."""
    found: set[str] = set()
    mapped(revealed(value), lambda leaf: found.add(leaf.urn) if isinstance(leaf, Reference) else None)
    return found
