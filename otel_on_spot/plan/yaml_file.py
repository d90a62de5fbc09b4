"""A YAML file read as the engine's own reader would: YAML 1.2 scalars, and no key twice."""

import re
from pathlib import Path
from typing import Any, Final

import yaml

from otel_on_spot.errors import ToolError


class StackFileError(ToolError):
    """A file that cannot be read. The message says which file, what is wrong, and what to do."""


class _Loader(yaml.SafeLoader):
    """Plain ``yes``, ``on``, ``1:30`` and ``2026-01-31`` are text, and a key given twice is an error.

    Source: https://github.com/go-yaml/yaml/tree/v3#compatibility
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
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


_Loader.yaml_implicit_resolvers = _resolvers()


def mapping(path: Path, advice: str) -> dict[str, Any]:
    """The map that a file holds.

    Args:
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
        parsed = yaml.load(content, _Loader)
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
