"""What the program registered: the immutable graph, and the questions that people ask of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

STACK_TYPE = "pulumi:pulumi:Stack"


@dataclass(frozen=True, kw_only=True)
class Registration:
    """One resource, whole, as it was registered.

    ``inputs`` and ``outputs`` are plain values with the markers of ``plan.values``. ``dependencies`` holds the URNs of
    every edge, ``property_dependencies`` those that a value carries, by property. ``provider`` is ``urn::id``.
    ``custom_timeouts`` are Go durations. ``inside_component``: made by a remote component, not by the program.
    ``registered_outputs`` is None until a component registers its outputs.
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
    retain_on_delete: bool = False
    delete_before_replace: bool = False
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    custom_timeouts: Mapping[str, str] = field(default_factory=dict)
    source_position: str = ""
    inside_component: bool = False
    registered_outputs: Mapping[str, Any] | None = None


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

    def direct_dependencies(self, registration: Registration) -> set[str]:
        """URNs that must be there before this resource is made, and outlive it.

        As the engine sees it: declared and value edges, its provider, and for an edge to a component everything below it.
        A parent component is no edge, but a parent inside a remote component is made first.
        """
        edges = set(registration.dependencies) | {
            urn for urns in registration.property_dependencies.values() for urn in urns
        }
        if registration.provider:
            edges.add(registration.provider.rpartition("::")[0])
        if registration.deleted_with:
            edges.add(registration.deleted_with)
        for urn in tuple(edges):
            target = self.by_urn.get(urn)
            if target is not None and not target.custom:
                edges |= {below.urn for below in self.descendants(urn)}
        edges.discard(registration.urn)
        return edges & self.by_urn.keys()

    @cached_property
    def _reach(self) -> dict[str, frozenset[str]]:
        reach: dict[str, frozenset[str]] = {}

        def visit(urn: str) -> frozenset[str]:
            if urn not in reach:
                reach[urn] = frozenset()  # a cycle would be the engine's error, not ours
                direct = self.direct_dependencies(self.by_urn[urn])
                reach[urn] = frozenset(direct).union(*(visit(below) for below in direct))
            return reach[urn]

        for registration in self.registrations:
            visit(registration.urn)
        return reach

    def all_dependencies(self, registration: Registration) -> frozenset[str]:
        """URNs that the resource depends on, directly or not."""
        return self._reach[registration.urn]

    def reaches(self, later: Registration, earlier: Registration) -> bool:
        """Whether ``later`` is made after ``earlier`` and deleted before it."""
        return earlier.urn in self.all_dependencies(later)
