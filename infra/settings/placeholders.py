"""Values of the committed examples that mean nothing on AWS and must be replaced before the first ``pulumi up``."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final

from infra.settings.models import Settings
from infra.settings.problem import Problem

NETWORKS: Final = tuple(IPv4Network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15"))
"""Networks of documentation and of benchmarks, which nobody has.

Sources: https://www.rfc-editor.org/rfc/rfc5737, https://www.rfc-editor.org/rfc/rfc2544
"""
NETWORKS_OF_IPV6: Final = tuple(IPv6Network(n) for n in ("2001:db8::/32", "3fff::/20", "2001:2::/48"))
"""Sources: https://www.rfc-editor.org/rfc/rfc3849, https://www.rfc-editor.org/rfc/rfc9637, RFC 5180 for benchmarks."""
ADDRESS: Final = re.compile(
    r"(?<![\w.:-])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?:/\d{1,3})?(?![\w.-]*\w)"
)
"""What may be an address or a network, in a text: a URL, or a list of hosts that a proxy is not asked for."""
ACCOUNT: Final = re.compile(
    r"(?<!\d)(?:(\d)\1{11}|(\d)\2{3}(\d)\3{3}(\d)\4{3}|(\d\d\d)\5{3}|(\d\d\d\d)\6{2}|112233445566|998877665544"
    r"|123456789012|012345678901|012345678910|123456789101|210987654321|098765432109|987654321098|987654321012)(?!\d)"
)
"""Accounts of AWS's documentation: 111122223333 and its kind, 123456789012, 123412341234, and one digit twelve times.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
"""
HOST: Final = re.compile(
    r"(?i)(?<![\w-])(?:[\w-]+\.)*(?:example\.(?:com|org|net|edu)|[\w-]+\.(?:example|invalid|test|localhost))(?![\w.-]*\w)"
)
"""Source: https://www.rfc-editor.org/rfc/rfc2606"""
WORD: Final = re.compile(
    r"(?i:\b(?:your|my)[-_](?:org|organi[sz]ation|company|team|user|name|repo|account|domain)\b)"
    r"|(?i:\b(?:change|replace)[-_]?(?:me|this|with[-_]\w+)\b|\bplace-?holder\b)|\b(?:TODO|FIXME|XXX+)\b|<[\w ./-]+>"
    r"|\$\{[\w.-]+\}|\{\{[^{}]*\}\}"
    r"|1234abcd-12ab-34cd-56ef-1234567890ab|0987dcba-09fe-87dc-65ba-ab0987654321"
)
"""Words that stand for one's own, templates that nobody filled in, and the KMS keys of AWS's documentation.

Source: https://docs.aws.amazon.com/kms/latest/developerguide/find-cmk-id-arn.html
"""
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
                return
        for match in ADDRESS.finditer(value):
            if _nobodys(match[0]):
                rule = f"this address is documentation's: nobody has it ({match[0]})"
                yield Problem(key, value, rule, "put your own address here")
                return


def _nobodys(text: str) -> bool:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return False
    if isinstance(network, IPv4Network):
        return any(network.subnet_of(other) for other in NETWORKS)
    return any(network.subnet_of(other) for other in NETWORKS_OF_IPV6)
