"""The page."""

from typing import Any


def page(kept: dict[str, list[dict[str, Any]]], *, cores: int) -> str:
    """The page."""
    return str({key: len(rows) for key, rows in kept.items()}) + str(cores)
