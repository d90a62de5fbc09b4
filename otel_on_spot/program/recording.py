"""The immutable graph of what a program registered, and the questions that people ask of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pulumi.runtime import rpc

from otel_on_spot.program.values import UNKNOWN, Secret, decoded


class RegistrationError(Exception):
    """The program asked for something that the engine would refuse, or that nothing here can answer."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """One resource, whole, as it was registered.

    ``inputs`` and ``outputs`` are plain values with the markers of ``program.values``. ``dependencies`` holds the URNs
    of every edge, ``property_dependencies`` those that a value carries, by property. ``provider`` is ``urn::id``.
    ``aliases`` are URNs, those inherited from the parent's aliases included. ``custom_timeouts`` are Go durations.
    ``inside_component``: made by a remote component, not by the program. ``registered_outputs`` is None until a
    component registers its outputs.
    """

    urn: str
    id: str
    type: str
    name: str
    custom: bool
    remote: bool = False
    parent: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    provider: str = ""
    providers: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    protect: bool = False
    deleted_with: str = ""
    replace_with: tuple[str, ...] = ()
    retain_on_delete: bool = False
    delete_before_replace: bool = False
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    secret_outputs: tuple[str, ...] = ()
    import_id: str = ""
    plugin_version: str = ""
    custom_timeouts: Mapping[str, str] = field(default_factory=dict)
    source_position: str = ""
    inside_component: bool = False
    registered_outputs: Mapping[str, Any] | None = None


def of_request(request: Any, urn: str, aliases: tuple[str, ...], root: Path | None = None) -> Registration:
    """The request as it came; its id and outputs are the monitor's to give.

    What the SDK declares secret among the outputs is secret among the inputs too: the state keeps both.

    Args:
        request: a RegisterResourceRequest of the engine's protocol.
        urn: the resource's.
        aliases: its former URNs.
        root: the program's folder, by which the source position is shortened; None where there is none.
    """
    timeouts = {kind: getattr(request.customTimeouts, kind) for kind in ("create", "update", "delete")}
    secret_outputs = tuple(request.additionalSecretOutputs)
    inputs = decoded(request.object)
    for key in inputs.keys() & set(secret_outputs):
        if inputs[key] is not UNKNOWN and not isinstance(inputs[key], Secret):
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
        provider=request.provider.replace(rpc.UNKNOWN, repr(UNKNOWN)),
        providers={key: value.replace(rpc.UNKNOWN, repr(UNKNOWN)) for key, value in sorted(request.providers.items())},
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


@dataclass(frozen=True, kw_only=True)
class Invoke:
    """A call of a provider function."""

    token: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """The graph of one run: registrations in the order of their arrival, exports, invokes and log messages."""

    project: str
    stack: str
    preview: bool
    registrations: tuple[Registration, ...]
    exports: Mapping[str, Any]
    invokes: tuple[Invoke, ...] = ()
    messages: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Registration]:
        return iter(self.registrations)

    @cached_property
    def by_urn(self) -> dict[str, Registration]:
        """Registrations by URN."""
        return {registration.urn: registration for registration in self.registrations}

    def of_type(self, token: str) -> tuple[Registration, ...]:
        """All registrations of a type token."""
        return tuple(r for r in self.registrations if r.type == token)

    def named(self, token: str, name: str) -> Registration:
        """The one registration of this type and logical name.

        Raises:
            KeyError: there is none; the message lists what there is of the type.
        """
        for registration in self.of_type(token):
            if registration.name == name:
                return registration
        raise KeyError(
            f"no {token} named {name}; there are: {', '.join(r.name for r in self.of_type(token)) or 'none'}"
        )

    @cached_property
    def _children(self) -> dict[str, list[Registration]]:
        children: dict[str, list[Registration]] = {}
        for registration in self.registrations:
            children.setdefault(registration.parent, []).append(registration)
        return children

    def children(self, urn: str) -> tuple[Registration, ...]:
        """Direct children of a resource."""
        return tuple(self._children.get(urn, ()))

    def descendants(self, urn: str) -> Iterator[Registration]:
        """All resources below a resource."""
        for child in self.children(urn):
            yield child
            yield from self.descendants(child.urn)

    @cached_property
    def _position(self) -> dict[str, int]:
        return {registration.urn: index for index, registration in enumerate(self.registrations)}

    def direct_dependencies(self, registration: Registration) -> set[str]:
        """URNs that must be there before this resource is made, and outlive it.

        As the engine sees it: declared and value edges, the provider, a parent that is made in the cloud, and for an
        edge to a component everything below it that was registered earlier. A parent component is nothing by itself:
        what it waits for, its children wait for.
        Source: https://github.com/pulumi/pulumi/blob/master/pkg/resource/graph/dependency_graph.go (DependenciesOf)
        """
        edges = {*registration.dependencies, *registration.replace_with}
        edges |= {urn for urns in registration.property_dependencies.values() for urn in urns}
        edges |= {registration.provider.rpartition("::")[0], registration.deleted_with}
        here = self._position[registration.urn]
        for urn in tuple(edges):
            target = self.by_urn.get(urn)
            if target is not None and not target.custom:
                edges |= {below.urn for below in self.descendants(urn) if self._position[below.urn] < here}
        parent = self.by_urn.get(registration.parent)
        if parent is not None:
            edges |= {parent.urn} if parent.custom else self.direct_dependencies(parent)
        edges.discard(registration.urn)
        return edges & self.by_urn.keys()

    @cached_property
    def _reach(self) -> dict[str, frozenset[str]]:
        reach: dict[str, frozenset[str]] = {}
        for registration in self.registrations:  # arrival respects every edge: an earlier one is complete
            direct = self.direct_dependencies(registration)
            reach[registration.urn] = frozenset(direct).union(*(reach.get(urn, ()) for urn in direct))
        return reach

    def all_dependencies(self, registration: Registration) -> frozenset[str]:
        """URNs that the resource depends on, directly or not."""
        return self._reach[registration.urn]

    def reaches(self, later: Registration, earlier: Registration) -> bool:
        """True where ``later`` is made after ``earlier`` and deleted before it."""
        return earlier.urn in self.all_dependencies(later)
