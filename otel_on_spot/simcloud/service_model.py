"""Requests held against AWS's own model of each service, which botocore carries: what it refuses, this cloud refuses.

botocore itself looks at types, required members and the smallest numbers before it sends. Patterns, enums, lengths and
the greatest numbers are left to the service, and moto looks at few of them. Here every constraint of the model is held.
Source of the constraints: https://smithy.io/2.0/spec/constraint-traits.html; of the words:
https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html, and for EC2
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html.
"""

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final

from botocore.loaders import create_loader
from botocore.model import OperationModel, ServiceModel, Shape

from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.policy_documents import policy_refusal
from otel_on_spot.simcloud.tag_rules import tag_refusal

TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "character": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float, Decimal),
    "double": (int, float, Decimal),
    "boolean": (bool,),
    "blob": (bytes, bytearray, str),
    "timestamp": (str, int, float, datetime),
    "list": (list, tuple),
    "map": (dict,),
    "structure": (dict,),
}
NUMBERS: Final = frozenset({"integer", "long", "float", "double"})


@dataclass(frozen=True)
class Violation:
    """One constraint that a request does not meet.

    Attributes:
        kind: type, missing, unknown, enum, pattern, length, range, or union.
        at: the member, as AWS writes it: ``tags.1.member.key``.
        value: what was given; None of a member that is missing.
        rule: the constraint in AWS's words.
    """

    kind: str
    at: str
    value: Any
    rule: str

    @property
    def sentence(self) -> str:
        """AWS's sentence."""
        if self.kind == "unknown":
            return f"Unknown parameter '{self.at}': {self.rule}"
        shown = "null" if self.value is None else f"'{_shown(self.value)}'"
        return f"Value {shown} at '{self.at}' failed to satisfy constraint: {self.rule}"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


@dataclass
class Constraints:
    """Everything that a shape asks for, read from the model once."""

    type_name: str
    is_document: bool = False
    is_union: bool = False
    members: dict[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    element: str = ""
    key: str = ""
    enum: tuple[str, ...] = ()
    pattern: str = ""
    smallest: float | None = None
    greatest: float | None = None


class ModelOfService:
    """The constraints of one service's shapes. Threads may share one."""

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._known: dict[str, Constraints] = {}

    def violations(self, shape: str, value: Any, at: str = "") -> Iterator[Violation]:
        """Every constraint of a shape, and of what is in it, that a value does not meet."""
        asked = self._known.get(shape) or self._known.setdefault(shape, _constraints(self._model.shape_for(shape)))
        kind = asked.type_name
        if asked.is_document:
            return
        if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind in NUMBERS):
            yield Violation("type", at, value, f"Member must be of type {kind}")
        elif kind == "structure":
            yield from self._structure(asked, value, at)
        elif kind == "list":
            yield from _sized(asked, value, len(value), at)
            for number, item in enumerate(value, 1):
                yield from self.violations(asked.element, item, f"{at}.{number}.member")
        elif kind == "map":
            yield from _sized(asked, value, len(value), at)
            for key, item in value.items():
                yield from self.violations(asked.key, key, f"{at}.{key}.key")
                yield from self.violations(asked.element, item, f"{at}.{key}.member")
        elif kind in NUMBERS:
            yield from _ranged(asked, value, at)
        elif kind in ("string", "character", "blob"):
            yield from _sized(asked, value, len(value), at)
            yield from _spelt(asked, value, at)

    def _structure(self, asked: Constraints, value: Mapping[str, Any], at: str) -> Iterator[Violation]:
        above = f"{at}." if at else ""
        for name in asked.required:
            if value.get(name) is None:
                yield Violation("missing", above + _lower(name), None, "Member must not be null")
        if asked.is_union and len(value) != 1:
            yield Violation("union", at, dict(value), f"Exactly one of {', '.join(asked.members)} must be set")
        for name, inner in value.items():
            if name not in asked.members:
                yield Violation("unknown", above + name, inner, f"must be one of: {', '.join(sorted(asked.members))}")
            elif inner is None:
                if name not in asked.required:
                    yield Violation("type", above + _lower(name), None, "Member must not be null")
            else:
                yield from self.violations(asked.members[name], inner, above + _lower(name))


def _constraints(shape: Shape) -> Constraints:
    told, kind = shape.metadata, shape.type_name
    least, most = told.get("min"), told.get("max")
    found = Constraints(
        kind,
        is_document=bool(getattr(shape, "is_document_type", False)),
        is_union=bool(getattr(shape, "is_tagged_union", False)),
        enum=tuple(told.get("enum") or ()),
        pattern=told.get("pattern") or "",
        smallest=None if least is None else float(least),
        greatest=None if most is None else float(most),
    )
    if kind == "structure":
        found.members = {name: member.name for name, member in shape.members.items()}  # ty: ignore[missing-attribute]
        found.required = tuple(told.get("required") or ())
    elif kind == "list":
        found.element = shape.member.name  # ty: ignore[missing-attribute]
    elif kind == "map":
        found.key, found.element = shape.key.name, shape.value.name  # ty: ignore[missing-attribute]
    return found


def _lower(name: str) -> str:
    """A member's name as the services' front ends write it in their errors."""
    return name[:1].lower() + name[1:]


def _sized(asked: Constraints, value: Any, size: int, at: str) -> Iterator[Violation]:
    if asked.smallest is not None and size < asked.smallest:
        rule = f"Member must have length greater than or equal to {asked.smallest:.0f}"
        yield Violation("length", at, value, rule)
    if asked.greatest is not None and size > asked.greatest:
        rule = f"Member must have length less than or equal to {asked.greatest:.0f}"
        yield Violation("length", at, value, rule)


def _ranged(asked: Constraints, value: float, at: str) -> Iterator[Violation]:
    if asked.smallest is not None and value < asked.smallest:
        yield Violation("range", at, value, f"Member must have value greater than or equal to {asked.smallest:g}")
    if asked.greatest is not None and value > asked.greatest:
        yield Violation("range", at, value, f"Member must have value less than or equal to {asked.greatest:g}")


def _spelt(asked: Constraints, value: Any, at: str) -> Iterator[Violation]:
    if not isinstance(value, str):
        return
    if asked.enum and value not in asked.enum:
        yield Violation("enum", at, value, f"Member must satisfy enum value set: [{', '.join(asked.enum)}]")
    if asked.pattern and not matches(asked.pattern, value):
        yield Violation("pattern", at, value, f"Member must satisfy regular expression pattern: {asked.pattern}")


def matches(pattern: str, value: str) -> bool:
    """Decide if a value meets a pattern of a model: all of it, as Java's ``matches`` does in AWS's front ends."""
    if "\\p{" in pattern and not value.isascii():
        value = "".join(char if char.isascii() else STAND_INS[unicodedata.category(char)] for char in value)
    return compiled(pattern).fullmatch(value) is not None


CATEGORIES: Final = (
    *("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"),
    *("Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"),
)
"""Source: https://www.unicode.org/reports/tr44/#General_Category_Values"""
STAND_INS: Final = {category: chr(0xE000 + number) for number, category in enumerate(CATEGORIES)}
"""For each category of Unicode one character of private use that stands for all beyond ASCII."""


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    r"""A pattern in Java's or ECMAScript's spelling, as Python takes it.

    Python knows no ``\p{L}``, and takes no hyphen between a class such as ``\w`` and another character. ``\w``, ``\d``
    and ``\s`` are ASCII in Java. Flags in the middle
    hold to the end of their group there; here they need one of theirs.

    Raises:
        re.error: the pattern uses something else that Python does not know.
    """
    text = re.sub(r"\\p\{([LMNPSZC][a-z]?)\}", lambda found: _category(found[1]), pattern)
    text = re.sub(r"(\\[wds])-(?=[^\]])", r"\1\\-", text)
    return re.compile(_flags_in_groups(text), re.ASCII)


def _flags_in_groups(pattern: str) -> str:
    """The pattern with each ``(?i)`` behind its beginning as a group ``(?i:...)`` up to the end of the group around."""
    written: list[str] = []
    opened = [0]
    """Number of groups of flags that end with each open group, the outermost first."""
    within_brackets = False
    for token in re.findall(r"\\.|\(\?[a-z]+\)|.", pattern, re.DOTALL):
        if not within_brackets and written and re.fullmatch(r"\(\?[a-z]+\)", token):
            written.append(f"{token[:-1]}:")
            opened[-1] += 1
            continue
        if not within_brackets and token == "(":
            opened.append(0)
        elif not within_brackets and token == ")" and len(opened) > 1:
            written.append(")" * opened.pop())
        elif token in "[]":
            within_brackets = token == "["
        written.append(token)
    return "".join(written) + ")" * opened[0]


def _category(name: str) -> str:
    """The characters of a category, as they are written between brackets: ASCII's, and the stand-ins for all others.

    ``name``: such as ``Zs``, or ``Z`` for all of its kind.
    """
    ascii_ones = [chr(code) for code in range(128) if unicodedata.category(chr(code)).startswith(name)]
    others = [stand_in for category, stand_in in STAND_INS.items() if category.startswith(name)]
    return "".join(map(re.escape, [*ascii_ones, *others]))


@cache
def model_of(service: str) -> ServiceModel:
    """The model of a service, as botocore carries it: read without a session, whose profile may not be there."""
    return ServiceModel(create_loader().load_service_model(service, "service-2"), service_name=service)


@cache
def services() -> frozenset[str]:
    """The names of the services that botocore has a client of."""
    return frozenset(create_loader().list_available_services("service-2"))


_known: Final[dict[str, ModelOfService]] = {}
"""Constraints by service, read from the first model that a client brings: none is loaded twice."""


def violations(operation: OperationModel, request: Mapping[str, Any]) -> list[Violation]:
    """Everything that AWS's model refuses in a request."""
    shape = operation.input_shape
    if shape is None:
        return [Violation("unknown", name, value, "the operation takes none") for name, value in request.items()]
    model = operation.service_model
    held = _known.get(model.service_name) or _known.setdefault(model.service_name, ModelOfService(model))
    return list(held.violations(shape.name, request))


def refusal(operation: OperationModel, found: list[Violation]) -> ApiError:
    """The error in which the service tells what it found."""
    first, protocol = found[0], operation.service_model.metadata.get("protocol")
    if protocol == "ec2":
        name = first.at[:1].upper() + first.at[1:]
        if first.kind == "missing":
            return ApiError("MissingParameter", f"The request must contain the parameter {name}")
        if first.kind == "unknown":
            return ApiError("UnknownParameter", f"The parameter {name} is not recognized; it {first.rule}")
        told = f"Value ({_shown(first.value)}) for parameter {name} is invalid. {first.rule}"
        return ApiError("InvalidParameterValue", told)
    declared = {shape.name for shape in operation.error_shapes}
    usual = "ValidationError" if protocol == "query" else "ValidationException"
    code = next((name for name in (usual, "InvalidParameterException") if name in declared), usual)
    errors = f"{len(found)} validation error{'s' * (len(found) > 1)} detected: "
    return ApiError(code, errors + "; ".join(violation.sentence for violation in found))


class Requests:
    """The requests of one cloud's handlers: each is held against its model before it leaves, and counted.

    Attributes:
        held: how often each ``service.Operation`` was held against the model.
        sent: how often each left for moto.
    """

    def __init__(self) -> None:
        self.held: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self._lock = threading.Lock()

    def watch(self, client: Any) -> None:
        """Hold every request of a boto3 client, after botocore has filled in what it fills in."""
        client.meta.events.register_last("before-parameter-build", self._before_parameter_build)
        client.meta.events.register_last("before-call", self._before_call)

    def hold(self, operation: OperationModel, request: Mapping[str, Any]) -> None:
        """Refuse a request that AWS's model, or what AWS says of tags and policies, refuses.

        Raises:
            ApiError: in the service's own words.
        """  # noqa: DOC501 (refusal makes the ApiError)
        found = violations(operation, request)
        if found:
            raise refusal(operation, found)
        if problem := tag_refusal(operation, request) or policy_refusal(operation, request):
            raise problem
        self._count(self.held, operation)

    def hold_named(self, service: str, operation: str, request: Mapping[str, Any]) -> None:
        """Hold a request that moto does not serve, and that a table keeps. Raises as ``hold`` does."""
        self.hold(model_of(service).operation_model(operation), request)

    def _before_parameter_build(self, *, params: Mapping[str, Any], model: OperationModel, **_: Any) -> None:
        self.hold(model, params)

    def _before_call(self, *, model: OperationModel, **_: Any) -> None:
        self._count(self.sent, model)

    def _count(self, counter: "Counter[str]", operation: OperationModel) -> None:
        with self._lock:
            counter[f"{operation.service_model.service_name}.{operation.name}"] += 1


def in_aws_form(service: str, shape: str, value: Any, names: Mapping[str, str] | None = None) -> Any:
    """A value of the provider in the form of a shape of AWS's API.

    Members are named alike but for capitals; a block of which there is at most one is no list in the provider; numbers
    and flags may travel as text. What has no member keeps its name, so that the model refuses it by that name.

    Args:
        service: such as ``eks``.
        shape: name of the shape.
        value: as the provider has it.
        names: the provider's name -> the member's, where they differ by more than capitals.
    """
    return _in_form(model_of(service).shape_for(shape), value, names or {})


def in_provider_form(value: Any) -> Any:
    """An answer of AWS as the provider has it: ``KMSMasterKeyID`` is ``kmsMasterKeyId``. Not for maps of free keys."""
    if isinstance(value, Mapping):
        return {_as_words(name): in_provider_form(inner) for name, inner in value.items()}
    return [in_provider_form(item) for item in value] if isinstance(value, list) else value


def _as_words(name: str) -> str:
    words = re.sub(r"[A-Z]+(?=[A-Z][a-z]|$)", lambda found: found[0].capitalize(), name)
    return _lower(words)


def _in_form(shape: Shape, value: Any, names: Mapping[str, str]) -> Any:
    kind = shape.type_name
    if kind == "structure" and isinstance(value, Mapping):
        members = shape.members  # ty: ignore[missing-attribute]
        found = {}
        for key, inner in value.items():
            if inner is None:
                continue
            name = _member(members, names.get(key, key))
            found[name] = _in_form(members[name], inner, names) if name in members else inner
        return found
    if kind == "list":
        items = value if isinstance(value, list | tuple) else [value]
        return [_in_form(shape.member, item, names) for item in items]  # ty: ignore[missing-attribute]
    if kind == "map" and isinstance(value, Mapping):
        inner_shape = shape.value  # ty: ignore[missing-attribute]
        return {key: _in_form(inner_shape, inner, names) for key, inner in value.items()}
    return _scalar(kind, value)


def _member(members: Mapping[str, Any], key: str) -> str:
    return next((name for name in members if name.lower() == key.lower()), key)


def _scalar(kind: str, value: Any) -> Any:
    if kind == "boolean" and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if kind in ("integer", "long") and isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value):
        return int(value)
    if kind in ("integer", "long") and isinstance(value, float) and value.is_integer():
        return int(value)
    return value
