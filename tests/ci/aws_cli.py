"""Commands of the AWS CLI against botocore's models, out of which the CLI itself is made: nothing is sent."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import UnknownServiceError

CUSTOM = {"eks update-kubeconfig": {"--name", "--region", "--alias"}, "eks get-token": {"--cluster-name", "--region"}}
"""Commands of the CLI's own, with their options."""
RENAMED = {("eks", "--version"): "--kubernetes-version"}
"""Options whose name is taken. Source: https://github.com/aws/aws-cli/blob/v2/awscli/customizations/argrename.py"""
GLOBAL = {
    "--region",
    "--query",
    "--output",
    "--profile",
    "--no-cli-pager",
    "--no-paginate",
    "--max-items",
    "--page-size",
}


@cache
def _session() -> Any:
    return botocore.session.get_session()


@cache
def _operations(service: str) -> dict[str, str]:
    """Command -> operation. Raises UnknownServiceError."""
    model = _session().get_service_model(service)
    return {xform_name(name, "-"): name for name in model.operation_names}


@cache
def _options(service: str, operation: str) -> frozenset[str]:
    shape = _session().get_service_model(service).operation_model(operation).input_shape
    named = (f"--{xform_name(member, '-')}" for member in (shape.members if shape else ()))
    return frozenset(RENAMED.get((service, option), option) for option in named)


def refused(words: Sequence[str]) -> str:
    """Why the AWS CLI would not take these words after ``aws``; empty where it would.

    Options are compared by name, values are not looked at.
    """
    if len(words) < 2:
        return "no service and command"
    service, command, *rest = words
    own = CUSTOM.get(f"{service} {command}")
    given = [word.partition("=")[0] for word in rest if re.match(r"--[a-z]", word)]
    if own is not None:
        return ", ".join(option for option in given if option not in own | GLOBAL)
    try:
        operations = _operations(service)
    except UnknownServiceError:
        return f"no service {service}"
    if command == "wait":
        return _refused_to_wait(service, rest)
    if command not in operations:
        return f"no command {command} of {service}"
    known = _options(service, operations[command]) | GLOBAL
    unknown = [option for option in given if option not in known and option.replace("--no-", "--", 1) not in known]
    return f"{command} has no {', '.join(unknown)}" if unknown else ""


def _refused_to_wait(service: str, rest: Sequence[str]) -> str:
    waiters = {xform_name(name, "-") for name in _session().get_waiter_model(service).waiter_names}
    return "" if rest and rest[0] in waiters else f"no waiter {' '.join(rest[:1])} of {service}"
