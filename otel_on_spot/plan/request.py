"""A registration request off the wire, whole, as a ``Registration``."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pulumi.runtime import rpc

from otel_on_spot.plan.recording import Registration
from otel_on_spot.plan.values import Secret, Unknown, decoded


def of_request(request: Any, urn: str, aliases: tuple[str, ...], root: Path | None = None) -> Registration:
    """The request as it came; its id and outputs are the monitor's to give.

    What the SDK declares secret among the outputs is secret among the inputs too: the state keeps both.
    """
    timeouts = {kind: getattr(request.customTimeouts, kind) for kind in ("create", "update", "delete")}
    secret_outputs = tuple(request.additionalSecretOutputs)
    inputs = decoded(request.object)
    for key in inputs.keys() & set(secret_outputs):
        if not isinstance(inputs[key], (Secret, Unknown)):
            inputs[key] = Secret(inputs[key])
    return Registration(
        urn=urn,
        id="",
        type=request.type,
        name=request.name,
        custom=request.custom,
        remote=request.remote,
        parent=request.parent,
        inputs=inputs,
        dependencies=tuple(sorted(set(request.dependencies))),
        property_dependencies={
            key: tuple(sorted(set(value.urns))) for key, value in sorted(request.propertyDependencies.items())
        },
        provider=request.provider.replace(rpc.UNKNOWN, repr(Unknown())),
        providers={
            key: value.replace(rpc.UNKNOWN, repr(Unknown())) for key, value in sorted(request.providers.items())
        },
        aliases=aliases,
        protect=request.protect,
        deleted_with=request.deletedWith,
        replace_with=tuple(sorted(request.replace_with)),
        retain_on_delete=request.retainOnDelete,
        delete_before_replace=request.deleteBeforeReplace,
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        secret_outputs=secret_outputs,
        import_id=request.importId,
        plugin_version=request.version,
        custom_timeouts={kind: value for kind, value in timeouts.items() if value},
        source_position=_source_position(request, root),
    )


def _source_position(request: Any, root: Path | None) -> str:
    """``infra/network.py:41``: the nearest line of the program itself. No machine's paths."""
    for frame in request.stackTrace.frames:
        path = Path(unquote(urlsplit(frame.pc.uri).path))
        if frame.pc.uri and "site-packages" not in path.parts:
            shown = path.relative_to(root) if root and path.is_relative_to(root) else path.name
            return f"{shown}:{frame.pc.line}"
    return ""
