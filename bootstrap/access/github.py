"""What to set in GitHub and in the stack files, as commands to paste. No Pulumi here."""

import json
import shlex
from collections.abc import Iterator, Mapping

from access import names
from access.settings import Settings
from access.trust import ENVIRONMENTS, environment


def commands(settings: Settings, role_arns: Mapping[str, str]) -> list[str]:
    """``gh`` and ``pulumi`` commands, in order.

    Args:
        settings: the account's.
        role_arns: GitHub environment -> ARN of the role that its jobs assume.
    """
    return list(_commands(settings, role_arns))


def _commands(settings: Settings, role_arns: Mapping[str, str]) -> Iterator[str]:
    repository = f"{settings.repository.owner}/{settings.repository.name}"
    variables = {
        "STACKS": json.dumps(list(settings.stacks)),
        "AWS_REGION": settings.region,
        "PULUMI_BACKEND_URL": backend(settings),
    }
    for name, value in variables.items():
        yield shlex.join(["gh", "variable", "set", name, "--repo", repository, "--body", value])
    for stack, told in settings.stacks.items():
        for purpose in ENVIRONMENTS:
            where = environment(stack, purpose)
            yield shlex.join(["gh", "api", "--method", "PUT", f"repos/{repository}/environments/{where}"])
            values = {"AWS_ROLE_ARN": role_arns[where]}
            if purpose == "up":
                values["AWS_ROLE_DURATION_SECONDS"] = str(told.session_hours * 3600)
            for name, value in values.items():
                yield shlex.join(["gh", "variable", "set", name, "--repo", repository, "--env", where, "--body", value])


def backend(settings: Settings) -> str:
    """URL of the state: ``pulumi login``."""
    return f"s3://{settings.state.bucket}?region={settings.region}"


def secrets_provider(settings: Settings, stack: str) -> str:
    """What ``pulumi stack init --secrets-provider`` takes."""
    return f"awskms://{names.secrets_alias(stack)}?region={settings.region}"
