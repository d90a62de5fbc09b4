"""Pulumi.yaml and Pulumi.<stack>.yaml, read as the engine would hand them to the program."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from otel_on_spot.plan import yaml_file
from otel_on_spot.plan.yaml_file import StackFileError

__all__ = ["StackConfig", "StackFileError", "full_key", "read", "stacks", "text"]

SECRET_PLACEHOLDER: Final = "secret-of-the-stack"
"""Stands for a ``secure:`` value, which only the stack's secrets provider can open."""
STACK_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""Source: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/tokens/stacks.go."""


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
    declared = yaml_file.mapping(root / "Pulumi.yaml", "It names the project: restore it from Git")
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
    config = yaml_file.mapping(path, SECTION_ADVICE).get("config")
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
