"""What a rule sees: resources as plain values, wherever they come from."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource's type, logical name and properties. Values that are not known yet are absent or not plain."""

    type: str
    name: str
    props: Mapping[str, Any]

    def at(self, *path: str | int) -> Any:
        """The value at a path, or None where any step is missing or unknown."""
        value: Any = self.props
        for step in path:
            if isinstance(value, Mapping) and isinstance(step, str):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value

    def document(self, key: str) -> dict[str, Any] | None:
        """A policy document held as JSON text, or None while it is unknown."""
        text = self.props.get(key)
        return json.loads(text) if isinstance(text, str) else None


@dataclass(frozen=True)
class Stack:
    """All resources of a stack, and the environment whose rules apply."""

    environment: str
    resources: tuple[Resource, ...]

    def of(self, *types: str) -> Iterator[Resource]:
        """Resources of these types."""
        return (r for r in self.resources if r.type in types)

    def has(self, *types: str) -> bool:
        """Whether there is a resource of one of these types."""
        return any(True for _ in self.of(*types))


def environment_of(resources: Iterable[Resource]) -> str:
    """The environment tag that the program puts on everything; prod, the strictest, where there is none."""
    for resource in resources:
        tag = resource.at("defaultTags", "tags", "environment")
        if resource.type == "pulumi:providers:aws" and isinstance(tag, str):
            return tag
        if resource.type == "pulumi:providers:aws" and isinstance(resource.props.get("defaultTags"), str):
            return str(json.loads(resource.props["defaultTags"])["tags"]["environment"])
    return "prod"


def statements(document: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A document's statements, with actions and resources as lists."""
    found = []
    for statement in (document or {}).get("Statement", []):
        row = dict(statement)
        for key in ("Action", "Resource"):
            row[key] = [row[key]] if isinstance(row.get(key), str) else list(row.get(key) or [])
        found.append(row)
    return found
