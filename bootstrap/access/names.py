"""Names and tags of what this program makes: its own, none that a stack's role may touch."""

from typing import Final

OWN: Final = "otel-on-spot-bootstrap"
PATH: Final = f"/{OWN}/"
"""Path in IAM of every role and policy of this program: one pattern denies them all to whoever deploys."""
TAGS: Final = {"managed-by": OWN}
ISSUER: Final = "token.actions.githubusercontent.com"
"""Source: https://docs.github.com/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws"""
PROGRAM: Final = "otel-on-spot"
"""Name of the project that the roles deploy: its state lies under it. Source: ``name`` of ../Pulumi.yaml."""


def role(stack: str, purpose: str) -> str:
    """Name of a role: ``preview``, ``drift`` or ``up`` of a stack."""
    return f"{OWN}-{stack}-{purpose}"


def policy(stack: str, part: str) -> str:
    """Name of a managed policy of a stack's role."""
    return f"{OWN}-{stack}-{part}"


def secrets_alias(stack: str) -> str:
    """Alias of the key of a stack's secrets."""
    return f"alias/{OWN}-{stack}-secrets"
