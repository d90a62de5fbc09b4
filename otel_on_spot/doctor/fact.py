"""Facts out of API objects: a field of a fact names the path of its value, pydantic reads it."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import AliasPath, BeforeValidator, ConfigDict, Field, TypeAdapter, field_validator
from pydantic_core import PydanticUseDefault

T = TypeVar("T")


class Fact:
    """Base of the frozen dataclasses of facts.

    They are read from API objects by path, and from recorded facts by field name. A null counts as absent.
    """

    __pydantic_config__ = ConfigDict(validate_by_name=True, validate_by_alias=True, coerce_numbers_to_str=True)

    @field_validator("*", mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if value is None:
            raise PydanticUseDefault
        return value


def at(key: str, *path: str | int) -> Any:
    """Path of a field's value in the API object."""
    return Field(validation_alias=AliasPath(key, *path))


def computed(compute: Callable[[Any], Any], kind: type) -> BeforeValidator:
    """Field that is computed from a ``kind`` of value at its path; recorded values, also lists of texts, stay."""

    def validate(value: Any) -> Any:
        recorded = isinstance(value, list) and value and isinstance(value[0], str)
        return compute(value) if isinstance(value, kind) and not recorded else value

    return BeforeValidator(validate)


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(kind)


def parse(kind: type[T], thing: Mapping[str, Any]) -> T:
    """Fact out of an API object.

    Raises:
        pydantic.ValidationError: a value that the API always gives is missing, or has another type.
    """
    return _adapter(kind).validate_python(thing)


def parse_all(kind: type[T], things: Iterable[Mapping[str, Any]]) -> tuple[T, ...]:
    """Facts out of API objects.

    Raises:
        pydantic.ValidationError: a value that the API always gives is missing, or has another type.
    """
    return tuple(map(_adapter(kind).validate_python, things))
