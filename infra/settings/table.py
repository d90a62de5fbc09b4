"""Every key of a stack file, from the model itself."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from infra.settings.loader import model_within
from infra.settings.models import Settings


def rows(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """(key, default, meaning) for each key, depth first.

    ``<name>`` and ``[]`` stand for the user's own keys and items.
    """
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        yield key, _default(field), field.description or ""
        inner = model_within(field.annotation)
        if inner is not None:
            text = str(field.annotation)
            yield from rows(
                inner, f"{key}.<name>." if text.startswith("dict") else f"{key}[]." if "tuple" in text else f"{key}."
            )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or isinstance(value, BaseModel):
        return ""
    return json.dumps(_plain(value)) if not isinstance(value, str) else value


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True, exclude_defaults=True)
    return [_plain(item) for item in value] if isinstance(value, (tuple, list)) else value
