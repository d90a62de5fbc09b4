"""Pulumi.yaml and Pulumi.<stack>.yaml, read as the engine would hand them over: YAML 1.2 scalars, and no key twice."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.constructor import SafeConstructor

from otel_on_spot.errors import ToolError

SECRET_PLACEHOLDER: Final = "secret-of-the-stack"
"""Stands for a ``secure:`` value, which only the stack's secrets provider can open.

The program takes it for any secret: ``UNOPENED`` of ``infra.settings.models``, which a test compares.
It is not imported from there: which ``infra`` that is, is known once a project is selected.
"""
STACK_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""Source: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/tokens/stacks.go."""


class StackFileError(ToolError):
    """A file that cannot be read. The message says which file, what is wrong, and what to do."""


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """A project's name and a stack's configuration: full key (``project:key``) -> text, and which keys are secret."""

    project: str
    stack: str
    values: Mapping[str, str]
    secret_keys: tuple[str, ...]


def stacks(root: Path) -> list[str]:
    """Stacks that have a committed file."""
    return sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in root.glob("Pulumi.*.yaml"))


def read(root: Path, stack: str) -> StackConfig:
    """The configuration of a stack: its file's, and the project's own values and defaults where the file has none.

    Raises:
        StackFileError: no such stack, an empty file, or YAML that does not parse.
    """
    declared = _mapping(root / "Pulumi.yaml", "It names the project: restore it from Git")
    project = declared.get("name")
    if not isinstance(project, str) or not project:
        raise StackFileError("Pulumi.yaml: it has no name. Restore the line `name: otel-on-spot`")
    path = root / f"Pulumi.{stack}.yaml"
    if not STACK_NAME.fullmatch(stack) or not path.is_file():
        known = ", ".join(stacks(root)) or "none"
        do = (
            f"copy one to Pulumi.{stack}.yaml" if STACK_NAME.fullmatch(stack) else "give the name alone, without a path"
        )
        raise StackFileError(
            f"stack {stack!r}: there is no such stack file. Stacks with a file: {known}. Use one of them, or {do}"
        )
    config = _mapping(path, SECTION_ADVICE).get("config")
    if not isinstance(config, dict) or not config:
        raise StackFileError(f"{path.name}: no config: section with keys was found. {SECTION_ADVICE}")
    given = {full_key(project, key): value for key, value in _project_values(declared.get("config"))}
    given |= {full_key(project, key): value for key, value in config.items()}
    return StackConfig(
        project=project,
        stack=stack,
        values={key: text(_placeholders(value)) for key, value in given.items()},
        secret_keys=tuple(key for key, value in given.items() if _placeholders(value) != value),
    )


SECTION_ADVICE: Final = "Give it a config: section; Pulumi.dev.yaml is a good start"


def full_key(project: str, key: Any) -> str:
    """``region`` -> ``otel-on-spot:region``; a key with a namespace stays."""
    return str(key) if ":" in str(key) else f"{project}:{key}"


def _project_values(declared: Any) -> list[tuple[str, Any]]:
    """The project file's ``value`` or ``default`` of each key, or the plain value itself."""
    found = []
    for key, entry in declared.items() if isinstance(declared, dict) else ():
        if not isinstance(entry, dict):
            found.append((key, entry))
        elif entry.get("value", entry.get("default")) is not None:
            found.append((key, entry.get("value", entry.get("default"))))
    return found


def _placeholders(value: Any) -> Any:
    """The value with every ``{secure: ...}`` in it replaced, at any depth: one of them makes its whole key secret."""
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            return SECRET_PLACEHOLDER
        return {key: _placeholders(inner) for key, inner in value.items()}
    return [_placeholders(inner) for inner in value] if isinstance(value, list) else value


def text(value: Any) -> str:
    """A configuration value as the engine passes it: objects and lists as JSON, everything else as text."""
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


class _Rules(SafeConstructor):
    """Plain ``yes``, ``on``, ``1:30`` and ``2026-01-31`` are text, and a key given twice is an error.

    Source: https://github.com/go-yaml/yaml/tree/v3#compatibility
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 (PyYAML's signature)
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key_node.tag != MERGE and str(key) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is there twice", key_node.start_mark
                )
            seen.add(str(key))
        return super().construct_mapping(node, deep)


MERGE: Final = "tag:yaml.org,2002:merge"
_REPLACED: Final = {
    "tag:yaml.org,2002:bool": re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"),
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$"),
    "tag:yaml.org,2002:timestamp": None,
}


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """The scalars that are not text, by first character."""
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items():
        for tag, pattern in rules:
            kept = _REPLACED.get(tag, pattern)
            if kept is not None:
                found.setdefault(first, []).append((tag, kept))
    return found


class _Loader(_Rules, yaml.SafeLoader):
    """In Python, whose errors say more."""

    yaml_implicit_resolvers = _resolvers()


class _FastLoader(_Rules, yaml.CSafeLoader):
    """In C: a plan reads two files."""

    yaml_implicit_resolvers = _resolvers()


def _mapping(path: Path, advice: str) -> dict[str, Any]:
    """The map that a file holds.

    Args:
        path: the file.
        advice: what to do about a file that is missing or empty, as a sentence without its full stop.

    Raises:
        StackFileError: missing, unreadable, empty, no map, or not YAML (with line and column).
    """
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StackFileError(f"{path.name}: the file does not exist. {advice}") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise StackFileError(f"{path.name}: cannot be read ({problem}). Make it a readable UTF-8 text file") from None
    try:
        try:
            parsed = yaml.load(content, _FastLoader)  # noqa: S506 (a SafeLoader)
        except yaml.YAMLError:
            parsed = yaml.load(content, _Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise StackFileError(
            f"{path.name}: not YAML{where} ({problem.problem}). Mend that line; indentation is two spaces, no tabs"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise StackFileError(f"{path.name}: not YAML ({problem}). Restore it from Git or mend it") from None
    if not isinstance(parsed, dict):
        found = "empty" if parsed is None else f"a {type(parsed).__name__}, not a map"
        raise StackFileError(f"{path.name}: the file is {found}. {advice}")
    return parsed
