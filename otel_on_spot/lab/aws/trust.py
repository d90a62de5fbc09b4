"""Who may assume a role: trust policies, as far as the lab's doors to STS decide them."""

import fnmatch
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def document(trust: Any) -> dict[str, Any]:
    """A trust policy as a mapping; boto3 gives it as one, moto as JSON, IAM's own API as JSON in URL form."""
    if isinstance(trust, dict):
        return trust
    text = str(trust or "{}")
    return json.loads(unquote(text) if text.startswith("%") else text)


def _allows(statement: Mapping[str, Any], action: str) -> bool:
    return any(fnmatch.fnmatchcase(action.lower(), str(one).lower()) for one in _listed(statement.get("Action", [])))


def _met(conditions: Mapping[str, Any], facts: Mapping[str, str]) -> bool:
    """Whether every condition holds for these facts; an operator that is not known here does not hold."""
    for operator, wanted in conditions.items():
        for key, values in wanted.items():
            actual = facts.get(key)
            exact = operator == "StringEquals"
            if operator not in ("StringEquals", "StringLike") or actual is None:
                return False
            if not any(actual == one if exact else fnmatch.fnmatchcase(actual, one) for one in _listed(values)):
                return False
    return True


def trusts(trust: Any, kind: str, principal: str, action: str, facts: Mapping[str, str] | None = None) -> bool:
    """Whether a trust policy lets a principal do an action.

    Args:
        trust: the policy: mapping or JSON.
        kind: ``Service`` or ``Federated``.
        principal: such as ``ec2.amazonaws.com``, or an OIDC provider's ARN.
        action: such as ``sts:AssumeRole``.
        facts: condition keys and their values; a condition on any other key does not hold.
    """
    granted = False
    for statement in _listed(document(trust).get("Statement", [])):
        told = statement.get("Principal")
        named = told == "*" or (isinstance(told, dict) and principal in _listed(told.get(kind, [])))
        if not named or not _allows(statement, action) or not _met(statement.get("Condition") or {}, facts or {}):
            continue
        if statement["Effect"] == "Deny":
            return False
        granted = True
    return granted
