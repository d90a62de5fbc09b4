"""Values of the committed examples that mean nothing on AWS and must be replaced before the first ``pulumi up``."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any, Final

from infra.settings.models import Settings
from infra.settings.problem import Problem

NETWORKS: Final = tuple(IPv4Network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15"))
"""Networks of documentation and of benchmarks, which nobody has.

Sources: https://www.rfc-editor.org/rfc/rfc5737, https://www.rfc-editor.org/rfc/rfc2544
"""
ACCOUNT: Final = re.compile(
    r"(?<!\d)(?:(\d)\1{11}|(\d)\2{3}(\d)\3{3}(\d)\4{3}|123456789012|012345678901|210987654321|098765432109)(?!\d)"
)
"""Accounts of AWS's documentation: 111122223333 and its kind, 123456789012, and one digit twelve times.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
"""
HOST: Final = re.compile(
    r"(?i)(?<![\w-])(?:[\w-]+\.)*(?:example\.(?:com|org|net|edu)|[\w-]+\.(?:example|invalid|test|localhost))(?![\w.-]*\w)"
)
"""Source: https://www.rfc-editor.org/rfc/rfc2606"""
WORD: Final = re.compile(
    r"(?i:\b(?:your|my)[-_](?:org|organi[sz]ation|company|team|user|name|repo|account|domain)\b)"
    r"|(?i:\b(?:change|replace)[-_]?me\b)|\b(?:TODO|FIXME|XXX+)\b|<[\w ./-]+>"
)
OWN_NAMES: Final = frozenset({"pools"})
"""Sections whose values AWS never sees: a label of example.com is as good as another."""


def documentation_account(account: str) -> bool:
    """True for an account that is nobody's: a plan and a simulated cloud have one, AWS does not."""
    return ACCOUNT.fullmatch(account) is not None


def placeholders(settings: Settings) -> list[Problem]:
    """Every setting that still has a value of the examples. The lab has none: its cloud is not AWS."""
    if settings.environment == "lab":
        return []
    found: list[Problem] = []
    for name, field in type(settings).model_fields.items():
        if name not in OWN_NAMES:
            found += _within(field.alias or name, getattr(settings, name))
    return found


def _within(key: str, value: Any) -> Iterator[Problem]:
    if hasattr(type(value), "model_fields"):
        for name, field in type(value).model_fields.items():
            yield from _within(f"{key}.{field.alias or name}", getattr(value, name))
    elif isinstance(value, dict):
        for part, below in value.items():
            yield from _within(f"{key}.{part}", below)
    elif isinstance(value, (list, tuple)):
        for index, below in enumerate(value):
            yield from _within(f"{key}[{index}]", below)
    elif isinstance(value, IPv4Network):
        if any(value.subnet_of(network) for network in NETWORKS):
            yield Problem(
                key, str(value), "this network is documentation's: nobody has it", "put your own network here"
            )
    elif isinstance(value, str):
        for pattern, rule, do in (
            (ACCOUNT, "this account is documentation's: nobody has it", "put your own account here"),
            (HOST, "this domain is documentation's: it leads nowhere", "put your own host here"),
            (WORD, "this is the example's placeholder", "put your own value here"),
        ):
            if match := pattern.search(value):
                yield Problem(key, value, f"{rule} ({match[0]})", do)
                break
