"""Pulumi.yaml and Pulumi.<stack>.yaml, read as the engine would hand them to the program."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

SECRET_PLACEHOLDER: Final = "secret-of-the-stack"
"""Stands for a ``secure:`` value, which only the stack's secrets provider can open."""


class StackFileError(Exception):
    """The stack file cannot be read. The message says which file, what is wrong, and what to do."""


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
    """The configuration of a stack.

    Raises:
        StackFileError: no such stack, an empty file, or YAML that does not parse.
    """
    project = str(_mapping(root / "Pulumi.yaml", "it names the project: restore it from Git")["name"])
    path = root / f"Pulumi.{stack}.yaml"
    known = ", ".join(stacks(root)) or "none"
    if not path.exists():
        raise StackFileError(
            f"stack {stack!r}: there is no {path.name}. Stacks with a file: {known}. Use one of them, or copy one to {path.name}"
        )
    config = _mapping(path, "give it a config: section; Pulumi.dev.yaml is a good start").get("config")
    if not isinstance(config, dict) or not config:
        raise StackFileError(
            f"{path.name}: no config: section with keys was found. Give it one; Pulumi.dev.yaml is a good start"
        )
    values: dict[str, str] = {}
    secret_keys: list[str] = []
    for key, value in config.items():
        full_key = key if ":" in str(key) else f"{project}:{key}"
        if isinstance(value, dict) and set(value) == {"secure"}:
            secret_keys.append(full_key)
            values[full_key] = SECRET_PLACEHOLDER
        else:
            values[full_key] = text(value)
    return StackConfig(project=project, stack=stack, values=values, secret_keys=tuple(secret_keys))


def text(value: Any) -> str:
    """A configuration value as the engine passes it: objects and lists as JSON, everything else as text."""
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _mapping(path: Path, advice: str) -> dict[str, Any]:
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StackFileError(f"{path.name}: the file does not exist. {advice[0].upper()}{advice[1:]}") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise StackFileError(f"{path.name}: cannot be read ({problem}). Make it a readable UTF-8 text file") from None
    try:
        parsed = yaml.safe_load(content)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise StackFileError(
            f"{path.name}: not YAML{where} ({problem.problem}). Mend that line; indentation is two spaces, no tabs"
        ) from None
    except yaml.YAMLError as problem:
        raise StackFileError(f"{path.name}: not YAML ({problem}). Restore it from Git or mend it") from None
    if not isinstance(parsed, dict):
        found = "empty" if parsed is None else f"a {type(parsed).__name__}, not a map"
        raise StackFileError(f"{path.name}: the file is {found}. {advice[0].upper()}{advice[1:]}")
    return parsed
