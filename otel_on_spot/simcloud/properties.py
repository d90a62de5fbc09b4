"""Properties as handlers see them, plain values and ``UNKNOWN``; and what counts as a change of them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from otel_on_spot.program.values import UNKNOWN

Properties = dict[str, Any]
Change = Literal["add", "delete", "update"]


DEFAULTS: Final = "__defaults"
"""Key under which a bridged provider lists the inputs that it filled in.

Source: pulumi-terraform-bridge, pkg/tfbridge/schema.go
"""


def declared(inputs: Mapping[str, Any]) -> Properties:
    """Inputs without what an engine keeps among them for itself."""
    return {key: value for key, value in inputs.items() if not key.startswith("__")}


def _document(value: Any) -> Any:
    """A JSON document in a string as its content, so that white space and key order are no change."""
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def _sorted(values: Sequence[Any]) -> list[Any]:
    return sorted(values, key=lambda value: json.dumps(value, sort_keys=True, default=str))


def same(actual: Any, wanted: Any) -> bool:
    """True where the cloud's value is the wanted one. Lists are sets, as nearly all of AWS's are."""
    actual, wanted = _document(actual), _document(wanted)
    if wanted is UNKNOWN:
        return False
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        return all(same(actual.get(key), value) for key, value in wanted.items() if value is not None)
    if isinstance(wanted, list | tuple) and isinstance(actual, list | tuple):
        if len(actual) != len(wanted):
            return False
        pairs = zip(_sorted(actual), _sorted(wanted), strict=True)
        in_order = all(same(a, w) for a, w in zip(actual, wanted, strict=True))
        return in_order or all(same(a, w) for a, w in pairs)
    if isinstance(wanted, bool) or isinstance(actual, bool):
        return str(wanted).lower() == str(actual).lower()
    if isinstance(wanted, int | float) and isinstance(actual, int | float):
        return actual == wanted
    if isinstance(wanted, int | float) or isinstance(actual, int | float):
        return str(actual) == str(wanted)
    return actual == wanted or (actual in (None, "", [], {}) and wanted in (None, "", [], {}))


def changes(
    state: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any], at: str = ""
) -> Iterator[tuple[str, Change]]:
    """(path, change) for each input that the cloud's state does not meet.

    Args:
        state: the resource as the cloud has it.
        old: the inputs it was made from.
        new: the inputs wanted now.
        at: path of these properties inside the resource, ending with a dot.
    """
    for key, wanted in new.items():
        if key == DEFAULTS or wanted is None:
            continue
        path, actual, before = f"{at}{key}", state.get(key), old.get(key)
        if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
            yield from changes(actual, before if isinstance(before, Mapping) else {}, wanted, f"{path}.")
        elif not same(actual, wanted):
            yield path, "add" if actual is None and before is None else "update"
    for key, before in old.items():
        if key != DEFAULTS and before not in (None, "", [], {}) and new.get(key) is None:
            yield f"{at}{key}", "delete"
