"""Read the stack's configuration and turn it into ``Settings``, or into one message with every problem."""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import pulumi
from pulumi.runtime import config as runtime_config
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from infra.settings import argocd_access, children, ingress, rules, tags  # noqa: F401 (each registers its rules)
from infra.settings.models import Settings
from infra.settings.problem import RULES, Problem, did_you_mean, message

SECRET_KEYS = frozenset(
    name for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation)
)
SECRETS: Final = tuple(sorted(Settings.model_fields[name].alias or name for name in SECRET_KEYS))
"""The same, as a stack file writes them."""


def load() -> Settings:
    """The running stack's settings.

    Raises:
        pulumi.RunError: something is wrong; the message names the stack file and lists every problem.
    """
    project, stack = pulumi.get_project(), pulumi.get_stack()
    prefix = f"{project}:"
    configured = runtime_config.CONFIG.get() or runtime_config.get_config_env()
    raw = {key.removeprefix(prefix): value for key, value in configured.items() if key.startswith(prefix)}
    # Judged alone: what else is wrong with such a value could only be told by showing it.
    if problems := list(_wrongly_kept(prefix, raw)):
        raise pulumi.RunError(message(f"Pulumi.{stack}.yaml", problems))
    settings, problems = parse(raw)
    if settings is None:
        raise pulumi.RunError(message(f"Pulumi.{stack}.yaml", problems))
    return settings


def _wrongly_kept(prefix: str, raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Settings given as secrets that the program would write down, and credentials given in plain text.

    That a value was encrypted the engine says, or who runs the program without one.
    """
    marked = runtime_config.get_config_secret_keys_env()
    for key in raw:
        secret = f"{prefix}{key}" in marked or runtime_config.is_config_secret(f"{prefix}{key}")
        if secret and key not in SECRETS:
            yield Problem(
                key,
                "[secret]",
                f"only {', '.join(SECRETS)} can be a secret: all else becomes names, tags and chart values, in "
                "plain text in the state and in the cloud",
                "take the secret out, or set the value without --secret; passwords belong in a store that the cluster "
                "reads",
            )
        elif key in SECRETS and not secret:
            yield Problem(
                key,
                "[secret], in plain text",
                "a credential is kept encrypted: in plain text it is in Git, and in every log of the command line",
                f"revoke it, since it was readable; then: pulumi config set --secret {key}, which asks for it or takes "
                "it from < FILE",
            )


def parse(raw: Mapping[str, Any]) -> tuple[Settings | None, list[Problem]]:
    """Settings from raw configuration values (objects as JSON text or already parsed), or every problem found.

    Returns:
        (settings, []) or (None, problems). Never raises for bad input.
    """
    fields = {(field.alias or name): (name, field) for name, field in Settings.model_fields.items()}
    problems = [_unknown(key, fields, "") for key in raw if key not in fields]
    valid: dict[str, Any] = {}
    for alias, (name, field) in fields.items():
        if alias not in raw:
            if field.is_required():
                problems.append(Problem(alias, "nothing", "it is required", _do(field)))
            else:
                valid[name] = field.get_default(call_default_factory=True)
            continue
        try:
            value = raw[alias] if name in SECRET_KEYS else _decoded(raw[alias], field)
            if nulls := list(_nulls(alias, value)):
                problems += nulls
                continue
            valid[name] = _adapter(name).validate_python(value)
        except ValidationError as error:
            problems += [_problem(alias, name, field, details) for details in error.errors(include_url=False)]
        except ValueError as error:
            problems.append(Problem(alias, _shown(raw[alias]), str(error), _do(field)))
    for rule, sections in RULES.items():
        if sections <= valid.keys():
            problems += rule(**{section: valid[section] for section in sections})
    return (None, problems) if problems else (Settings.model_construct(**valid), [])


VALUES_OF_A_CHILD: Final = re.compile(r"gitops\.applications\.[^.]+\.values\..+")
"""Where a null is Helm's: it takes away what is below."""


def _nulls(key: str, value: Any) -> Iterator[Problem]:
    """Keys with nothing behind them: most often a line that was meant to be finished."""
    if VALUES_OF_A_CHILD.fullmatch(key):
        return
    if value is None:
        yield Problem(key, "nothing behind the key", "a key has a value", "give it one, or remove the key")
    for part, below in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from _nulls(f"{key}[{part}]" if isinstance(part, int) else f"{key}.{part}", below)


@functools.cache
def _adapter(name: str) -> TypeAdapter[Any]:
    """Each section is checked by itself, so that one bad section does not hide what is wrong with another."""
    field = Settings.model_fields[name]
    kind: Any = field.annotation
    if field.metadata:
        kind = Annotated[kind, *field.metadata]
    return TypeAdapter(kind, config=None if _is_model(field) else {"strict": True})


def _is_model(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _decoded(value: Any, field: FieldInfo) -> Any:
    """Pulumi hands objects over as JSON text and everything else as text.

    Raises:
        ValueError: an object is wanted, and the text is no JSON.
    """
    wants_object = _is_model(field) or get_origin(field.annotation) is dict
    if wants_object and isinstance(value, str):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            raise ValueError("it is an object with keys, not plain text") from None
    return value


def _problem(alias: str, name: str, field: FieldInfo, details: Any) -> Problem:
    location = [part for part in details["loc"] if part != "[key]"]
    key = alias + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    if details["type"] == "extra_forbidden":
        parent = _model_at(field, location[:-1])
        known = {(f.alias or n): f for n, f in parent.model_fields.items()} if parent else {}
        return _unknown(str(location[-1]), known, key.rpartition(".")[0] + ".")
    if details["type"] == "missing":
        return Problem(key, "nothing", "it is required", _do(_field_at(field, location)))
    given = "[secret]" if name in SECRET_KEYS else _shown(details["input"])
    return Problem(key, given, details["msg"].removeprefix("Value error, "), _do(_field_at(field, location)))


def _unknown(key: str, known: Mapping[str, Any], prefix: str) -> Problem:
    advice = did_you_mean(key, known)
    return Problem(
        f"{prefix}{key}",
        "an unknown key",
        "only known keys are read, so that a misspelt one is never ignored",
        f"{advice}known keys: {', '.join(sorted(known)) or 'none'}",
    )


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)
    return (text if len(text) <= 120 else text[:117] + "...") or "an empty string"


def _do(field: FieldInfo | None) -> str:
    if field is None or not field.description:
        return "see the settings table in docs/settings.md"
    example = f"; for example {_shown(field.examples[0])}" if field.examples else ""
    return f"give this: {field.description}{example}"


def _field_at(field: FieldInfo, location: list[Any]) -> FieldInfo | None:
    """The deepest field on the path, for its description."""
    found: FieldInfo | None = field
    for depth in range(len(location)):
        model = _model_at(field, location[:depth])
        if model is not None and isinstance(location[depth], str):
            by_alias = {(f.alias or n): f for n, f in model.model_fields.items()}
            found = by_alias.get(location[depth], found)
    return found


def _model_at(field: FieldInfo, location: list[Any]) -> type[BaseModel] | None:
    """The model that the path below a field leads to, through dicts, tuples and optionals."""
    kind = model_within(field.annotation)
    for part in location:
        if kind is None:
            return None
        if isinstance(part, str):
            by_alias = {(f.alias or n): f for n, f in kind.model_fields.items()}
            if part in by_alias:
                kind = model_within(by_alias[part].annotation)
    return kind


def model_within(annotation: Any) -> type[BaseModel] | None:
    """The settings model that an annotation holds, if any: itself, or inside a dict, tuple or optional."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (dict, tuple, Union, UnionType):
        return next((m for m in map(model_within, get_args(annotation)) if m), None)
    return None
