"""Between the wire's structs and plain values.

Source: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/plugin/rpc.go (signatures and the unknown's sentinel)
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import struct_pb2
from pulumi.runtime.rpc import UNKNOWN as UNKNOWN_SENTINEL
from pulumi.runtime.rpc import _special_output_value_sig, _special_sig_key
from pulumi.runtime.rpc import _special_secret_sig as _secret_sig

from otel_on_spot.simcloud.properties import UNKNOWN, Properties


def decoded(struct: struct_pb2.Struct) -> Properties:
    """A struct as plain values: secrets are opened, whole floats are ints, unknowns are ``UNKNOWN``."""
    return {key: _plain(value) for key, value in struct.fields.items()}


def _plain(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        fields = value.struct_value.fields
        signature = fields[_special_sig_key].string_value if _special_sig_key in fields else ""
        if signature in (_secret_sig, _special_output_value_sig):
            return _plain(fields["value"]) if "value" in fields else UNKNOWN
        return {key: _plain(inner) for key, inner in fields.items()}
    if kind == "list_value":
        return [_plain(inner) for inner in value.list_value.values]
    if kind == "string_value":
        return UNKNOWN if value.string_value == UNKNOWN_SENTINEL else value.string_value
    if kind == "number_value":
        return _number(value.number_value)
    return value.bool_value if kind == "bool_value" else None


def _number(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def encoded(properties: Mapping[str, Any], secret: frozenset[str] = frozenset()) -> struct_pb2.Struct:
    """Plain values as a struct; the top-level keys in ``secret`` travel as secrets."""
    struct = struct_pb2.Struct()
    for key, value in properties.items():
        plain = _wire(value)
        if key in secret and value is not None:
            plain = {_special_sig_key: _secret_sig, "value": plain}
        struct.update({key: plain})
    return struct


def _wire(value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN_SENTINEL
    if isinstance(value, Mapping):
        return {key: _wire(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_wire(inner) for inner in value]
    return value
