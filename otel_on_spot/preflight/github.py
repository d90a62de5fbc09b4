"""The repository whose jobs may deploy: whether GitHub has it, by ids and names of the bootstrap's file."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Final

from otel_on_spot.doctor.check import Judging, result_of
from otel_on_spot.findings import Finding
from otel_on_spot.preflight.account import is_real
from otel_on_spot.preflight.situation import Situation
from otel_on_spot.program import stack_file

API: Final = "https://api.github.com"
SECONDS: Final = 10

Fetch = Callable[[str], tuple[int, Any]]
"""A path of GitHub's API -> status and answer."""


def fetch(path: str) -> tuple[int, Any]:
    """Ask GitHub, with the token of ``gh`` where the environment has one: a private repository is not told without.

    Source: https://docs.github.com/rest/repos/repos (get a repository), by id: https://api.github.com/repositories/ID

    Raises:
        OSError: GitHub cannot be reached.
    """
    token = os.environ.get("GH_TOKEN") or os.environ.get("GITHUB_TOKEN")
    headers = {"Accept": "application/vnd.github+json", **({"Authorization": f"Bearer {token}"} if token else {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{API}{path}", headers=headers), timeout=SECONDS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, None


@result_of
def repository(situation: Situation, ask: Fetch = fetch) -> Judging:
    """The repository of the bootstrap's file is GitHub's, with the ids and names that the roles trust.

    Raises:
        OSError: GitHub cannot be reached, or does not answer.
    """
    config = stack_file.read(situation.root, situation.recording.stack)
    told = json.loads(config.values.get(f"{config.project}:repository") or "{}")
    if not told:
        return 0, "the stack trusts no repository"
    name = f"{told['owner']}/{told['name']}"
    if not is_real(situation):
        return 1, f"{name}; GitHub is not asked for a simulated cloud"
    status, found = ask(f"/repositories/{told['id']}")
    if status not in (200, 404):
        raise OSError(f"GitHub answered {status} for the repository {told['id']}")
    seen = f"GitHub has no repository {told['id']}, or does not show it to you" if found is None else ""
    if found is not None:
        here = {"full_name": name.lower(), "owner": told["ownerId"]}
        there = {"full_name": str(found["full_name"]).lower(), "owner": found["owner"]["id"]}
        if here != there:
            seen = f"the repository {told['id']} is {found['full_name']}, of the owner {found['owner']['id']}"
    if seen:
        yield Finding(
            subject=f"repository: {name}, id {told['id']}, ownerId {told['ownerId']}",
            seen=seen,
            rule="roles trust the jobs of one repository by its ids and names: with others, no job of yours gets in, "
            "and another's might",
            remedy=(
                f"gh api repos/{name} --jq '.owner.id, .id'",
                "a private repository: give a token that may read it, GH_TOKEN=$(gh auth token)",
            ),
        )
    return 1, name
