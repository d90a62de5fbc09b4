"""Trust policies: which job of which repository may assume a role. No Pulumi here."""

from typing import Any, Final

from access import names
from access.settings import Repository

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
