"""Which job of which repository may assume a role, and what to set in GitHub, as commands to paste. No Pulumi here."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

from access import names
from access.settings import Repository, Settings

ENVIRONMENTS: Final = {"preview": "{stack}-pull-request", "drift": "{stack}-read", "up": "{stack}"}
"""Role -> the GitHub environment whose jobs assume it, as the workflows name them."""


def environment(stack: str, purpose: str) -> str:
    """The GitHub environment of a stack's role."""
    return ENVIRONMENTS[purpose].format(stack=stack)


def subject(repository: Repository, environment_name: str) -> str:
    """The subject of a job's token in an environment.

    With ids, so that nobody who takes over a name that was given up is let in.
    Source: https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
    """
    if repository.subject == "former":
        return f"repo:{repository.owner}/{repository.name}:environment:{environment_name}"
    owner = f"{repository.owner}@{repository.owner_id}"
    return f"repo:{owner}/{repository.name}@{repository.id}:environment:{environment_name}"


def trust(provider_arn: str, repository: Repository, environment_name: str) -> dict[str, Any]:
    """Trust policy: jobs of the repository that passed the rules of one environment, and nobody else."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider_arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{names.ISSUER}:aud": "sts.amazonaws.com",
                        f"{names.ISSUER}:sub": subject(repository, environment_name),
                    }
                },
            }
        ],
    }


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
