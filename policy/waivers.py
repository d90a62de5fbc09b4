"""Rules that an environment does not keep, each with the reason. Prod has none."""

from typing import Final

WAIVERS: Final[dict[str, dict[str, str]]] = {
    "dev": {
        "endpoint-private": "developers reach the API from listed networks; it is never open to the world",
        "flow-logs": "costs more than it tells in an environment without customers",
        "all-control-plane-logs": "audit and authenticator answer who did what; the rest is for prod",
        "ami-pinned": "dev is where a new AMI is met first",
        "argocd-admin-disabled": "the local admin is a convenience; dev holds nothing to protect",
        "deletion-protected": "dev is torn down often",
        "git-revision-pinned": "dev follows main",
    },
    "staging": {
        "endpoint-private": "reached from listed networks, until CI has a runner in the VPC",
        "all-control-plane-logs": "three of five types, for cost",
        "deletion-protected": "staging is rebuilt to rehearse upgrades",
        "git-revision-pinned": "staging follows main, so that prod's tag has been seen running",
    },
    "lab": {
        "endpoint-private": "the API is on this machine; nothing else reaches it",
        "flow-logs": "there is no packet of a VPC to log",
        "all-control-plane-logs": "the API server's log is a file of the lab",
        "ami-pinned": "no AMI boots: nodes are processes",
        "argocd-admin-disabled": "the local admin is a convenience; the lab holds nothing to protect",
        "deletion-protected": "the lab is made and ended at will",
        "git-revision-pinned": "the lab follows the working tree",
    },
}
"""Environment -> rule -> reason. A waiver for a rule that the environment keeps is refused by a test."""


def waived(environment: str, rule: str) -> str | None:
    """The reason why the environment does not keep the rule, or None."""
    return WAIVERS.get(environment, {}).get(rule)
