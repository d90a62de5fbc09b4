"""Subjects of the rules: resources as plain values, from wherever they come."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from policy.values import NO, UNKNOWN, Unknown, at, completed, items, may_be, may_hold, strict


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource's type, logical name, URN and properties: plain values, with a marker for what is not known.

    ``props``: as the cloud or the cluster has it, else as declared. ``declared``: what the program declares, by itself.
    """

    type: str
    name: str
    urn: str = ""
    props: Any = field(default_factory=dict)
    declared: Any = None

    @classmethod
    def registered(cls, kind: str, name: str, urn: str, *, outputs: Any, inputs: Any) -> "Resource":
        """The resource of an engine's registration.

        Args:
            kind: its type token.
            name: its logical name.
            urn: its URN.
            outputs: empty where a preview asked no provider: then they are unknown as a whole.
            inputs: None where they were not registered in this run.
        """
        return cls(type=kind, name=name, urn=urn, props=completed(outputs or UNKNOWN, inputs), declared=inputs)

    def at(self, *path: str | int) -> Any:
        """The value at a path: None where a step is absent, the marker where one is unknown."""
        return at(self.props, *path)

    def declared_at(self, *path: str | int) -> Any:
        """The value at a path of what the program declares."""
        return at(self.props if self.declared is None else self.declared, *path)

    def document(self, key: str) -> Any:
        """A document held as JSON text or as a map; the marker while it is unknown, None where it is no document."""
        value = self.at(key)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                return None
        return value if isinstance(value, Mapping | Unknown) else None


class Fault(NamedTuple):
    """A fault, which breaks a rule: the resource, or None for the stack as a whole, and what is wrong with it."""

    resource: Resource | None
    problem: str


Check = Callable[["Stack"], Iterator[Fault]]


@dataclass(frozen=True)
class Stack:
    """All resources of a stack, and the environment whose rules apply."""

    environment: str
    resources: tuple[Resource, ...]

    def of(self, *types: str) -> Iterator[Resource]:
        """Resources of these types."""
        return (r for r in self.resources if r.type in types)

    def has(self, *types: str) -> bool:
        """True where there is a resource of one of these types."""
        return any(True for _ in self.of(*types))

    def strict(self) -> "Stack":
        """The stack with every unknown value taken for one that no rule allows."""
        resources = (replace(r, props=strict(r.props), declared=strict(r.declared)) for r in self.resources)
        return replace(self, resources=tuple(resources))


def each(*types: str) -> Callable[[Callable[[Resource], Iterator[str]]], Check]:
    """Make a check of one resource into a check of every resource of these types."""

    def decorated(check: Callable[[Resource], Iterator[str]]) -> Check:
        def whole(stack: Stack) -> Iterator[Fault]:
            return (Fault(resource, problem) for resource in stack.of(*types) for problem in check(resource))

        return whole

    return decorated


def environment_of(resources: Iterable[Resource]) -> str:
    """The environment tag that the program puts on everything; prod, the strictest, where there is none."""
    for resource in resources:
        if resource.type == "pulumi:providers:aws":
            tag = at(resource.document("defaultTags"), "tags", "environment")
            if isinstance(tag, str):
                return tag
    return "prod"


def statements(document: Any, effect: str) -> list[dict[str, list[Any]]]:
    """A policy document's statements of one effect, every element as a list; an unknown one has unknown elements."""
    rows = []
    for statement in items(at(document, "Statement")):
        if isinstance(statement, Unknown):
            rows.append({key: [statement] for key in ("Action", "Resource", "Principal", "Condition")})
        elif isinstance(statement, Mapping) and statement.get("Effect") == effect:
            rows.append({key: items(value) for key, value in statement.items()})
    return rows


def denies_plain_http(document: Any, action: str) -> bool:
    """True where a policy denies an action to everybody who comes without TLS."""
    return any(
        may_hold(row.get("Action"), action)
        and (may_hold(row.get("Principal"), "*") or any(may_hold(at(p, "AWS"), "*") for p in row.get("Principal", [])))
        and any(may_hold(at(c, "Bool", "aws:SecureTransport"), *NO) for c in row.get("Condition", []))
        for row in statements(document, "Deny")
    )


def compared(row: Mapping[str, list[Any]], key: str) -> list[Any]:
    """Values that the conditions of a statement hold a key to."""
    return [
        value
        for condition in row.get("Condition", [])
        for operator in ("ArnEquals", "ArnLike", "StringEquals")
        for value in items(at(condition, operator, key))
    ]


def allows_beside(row: Mapping[str, list[Any]], action: str, service: str) -> Iterator[str]:
    """What a statement allows beside one action of one service."""
    for allowed in row.get("Action", []):
        if not may_be(allowed, action):
            yield f"allows {allowed}"
    for principal in row.get("Principal", []):
        if not may_hold(at(principal, "Service"), service):
            yield f"allows {principal}"
