"""Which resources a call of AWS names, and which condition keys it carries; a call without an entry is refused by name.

The table is ``service_authorization.toml``: action -> type of resource -> condition keys, of every action that anybody
calls here. Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from otel_on_spot.iam.decisions import Request

FILE: Final = Path(__file__).with_name("service_authorization.toml")
GLOBAL_KEYS: Final = frozenset(
    {
        "aws:calledvia",
        "aws:currenttime",
        "aws:epochtime",
        "aws:federatedprovider",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalisawsservice",
        "aws:principalservicename",
        "aws:principaltype",
        "aws:requestedregion",
        "aws:securetransport",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:userid",
        "aws:username",
        "aws:useragent",
        "aws:viaawsservice",
    }
)
"""Keys that any call may carry, in small letters.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""


class UnlistedCallError(Exception):
    """A call that the table does not know as it was made: nobody may make it, and the table must be mended."""


@cache
def table() -> Mapping[str, Mapping[str, frozenset[str]]]:
    """Action -> type of resource, with ``*`` where every call names one -> condition keys; "" has the call's own."""
    told = tomllib.loads(FILE.read_text())
    return {
        f"{service}:{action}": {kind: frozenset(key.lower() for key in keys) for kind, keys in row.items()}
        for service, rows in told.items()
        for action, row in rows.items()
    }


def _family(key: str) -> str:
    """A key as the table has it: of one with a tag's name in it, what is before the name."""
    head, slash, _ = key.partition("/")
    return f"{head}{slash}".lower()


@cache
def _known(action: str, kind: str) -> frozenset[str]:
    row = table()[action]
    return row.get(kind, frozenset()) | row.get(f"{kind}*", frozenset()) | row.get("", frozenset())


def check(request: Request) -> None:
    """Refuse a call that the table does not know.

    Raises:
        UnlistedCallError: the action is not in it, or has no such resources or keys, or misses a resource.
    """
    row = table().get(request.action)
    if row is None:
        raise UnlistedCallError(
            f"{request.action}: no entry says which resources it names and which condition keys it carries, so nobody "
            f"may call it. Add it to {FILE.name}"
        )
    kinds = {resource.kind for resource in request.resources}
    missing = {kind[:-1] for kind in row if kind.endswith("*")} - kinds
    if missing:
        raise UnlistedCallError(f"{request.action}: the call must name a {', a '.join(sorted(missing))}")
    for resource in request.resources:
        if resource.kind and resource.kind not in row and f"{resource.kind}*" not in row:
            raise UnlistedCallError(f"{request.action}: names no {resource.kind} ({resource.arn})")
        known = _known(request.action, resource.kind)
        for key in (*request.keys, *resource.keys):
            family = _family(key)
            if family not in known and family not in GLOBAL_KEYS:
                raise UnlistedCallError(f"{request.action}: carries no condition key {key} for {resource.arn}")
