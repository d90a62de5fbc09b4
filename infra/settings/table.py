"""Every key of a stack file, from the model itself: as a table, and as a JSON schema for editors."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from infra.settings.loader import SECRET_KEYS, model_within
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


def json_schema(project: str = "otel-on-spot") -> dict[str, Any]:
    """JSON schema of a stack file: keys with and without the project's name, other namespaces left alone.

    What takes more than one key to judge is the rules', and not in it.
    """
    model = _for_editors(Settings.model_json_schema(by_alias=True))
    definitions = model.pop("$defs")
    properties = model["properties"]
    for name in SECRET_KEYS:
        key = Settings.model_fields[name].alias or name
        properties[key] = {
            "description": properties[key]["description"],
            "type": "object",
            "properties": {"secure": {"type": "string"}},
            "required": ["secure"],
            "additionalProperties": False,
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Pulumi.<stack>.yaml of this project",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": {
                    key: schema for name, schema in properties.items() for key in (f"{project}:{name}", name)
                },
                "patternProperties": {rf"^(?!{project}:)[^:]+:": {}},
                "additionalProperties": False,
                "allOf": [
                    {"anyOf": [{"required": [f"{project}:{key}"]}, {"required": [key]}]} for key in model["required"]
                ],
            }
        },
        "required": ["config"],
        "$defs": definitions,
    }


def _for_editors(schema: Any) -> Any:
    """The schema without titles that repeat the key, and with a list's least length where editors look for it."""
    if isinstance(schema, list):
        return [_for_editors(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {"minLength": "minItems", "maxLength": "maxItems"} if schema.get("type") == "array" else {}
    return {
        renamed.get(key, key): _for_editors(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }


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
