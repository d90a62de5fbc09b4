"""References between the children of the pulumi-eks component, as ``program.eks_children`` writes them: ``${key.output}``."""

import re
from collections.abc import Callable, Mapping
from typing import Any

REFERENCE = re.compile(r"\$\{([\w-]+(?:\.\w+)?)\}")


def named(value: Any) -> set[str]:
    """Keys of the siblings that a value refers to."""
    if isinstance(value, Mapping):
        return {key for pair in value.items() for part in pair for key in named(part)}
    if isinstance(value, list | tuple):
        return {key for part in value for key in named(part)}
    return {found.partition(".")[0] for found in REFERENCE.findall(value)} if isinstance(value, str) else set()


def put(value: Any, fact: Callable[[str], Any]) -> Any:
    """The value with what its references stand for."""
    if isinstance(value, Mapping):
        return {put(key, fact): put(inner, fact) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [put(inner, fact) for inner in value]
    if not isinstance(value, str):
        return value
    whole = REFERENCE.fullmatch(value)
    return fact(whole.group(1)) if whole else REFERENCE.sub(lambda found: str(fact(found.group(1))), value)
