"""What became of each pending create: the id to ask its provider for, nothing, or a question that only a person can answer."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from otel_on_spot.aws_errors import is_not_found
from otel_on_spot.recovery.deployment import Identity, Pending, State, known_ids, provider_inputs
from otel_on_spot.recovery.engine import RecoveryError
from otel_on_spot.recovery.identities import COMPUTED, Account, kubernetes_id
from otel_on_spot.recovery.lookups import FINDERS
from otel_on_spot.recovery.settling import settle


@dataclass(frozen=True)
class Answer:
    """``identity`` to ask for, or ``problem`` for a person; neither: it is not there."""

    identity: Identity | None = None
    problem: str = ""


class Searcher:
    """Looks things up in the accounts and regions of the stack's own providers.

    Args:
        tell: called with a line when AWS is waited for.
    """

    def __init__(self, state: State, tell: Callable[[str], None]) -> None:
        self.state = state
        self.tell = tell
        self.known = known_ids(state)

    def find(self, one: Pending) -> Answer:
        """What became of a pending create. A component or a provider is in no cloud: the next update declares it again."""
        if not one.resource.get("custom") or one.type.startswith("pulumi:providers:"):
            return Answer()
        try:
            if one.type.startswith("kubernetes:"):
                return Answer(Identity(kubernetes_id(one.type, one.inputs)))
            if one.type in COMPUTED or one.type in FINDERS:
                return self._in_aws(one)
        except KeyError as missing:
            return Answer(problem=f"its input {missing} is missing: {_by_hand(one)}")
        return Answer(problem=f"nobody wrote down how to find a {one.type}: {_by_hand(one)}")

    def _in_aws(self, one: Pending) -> Answer:
        from botocore.exceptions import BotoCoreError, ClientError

        configuration = provider_inputs(self.state, one.resource)
        region = str(one.inputs.get("region") or configuration.get("region") or "")
        clients = _clients(region, str(configuration.get("profile") or ""))
        try:
            if one.type in COMPUTED:
                account = Account(_account(clients), region)
                candidates = [Identity(COMPUTED[one.type](one.inputs, account))]
            else:
                tags = {**_default_tags(configuration), **(one.inputs.get("tags") or {})}
                found = FINDERS[one.type](clients, one.inputs, tags)
                candidates = [each for each in found if each.id not in self.known]
            if len(candidates) > 1:
                ids = ", ".join(each.id for each in candidates)
                return Answer(
                    problem=f"{len(candidates)} of them fit ({ids}): delete what is too much, then recover again"
                )
            problem = settle(clients, one.type, one.inputs, candidates[0].id, self.tell) if candidates else ""
        except ClientError as refused:
            if is_not_found(refused):
                return Answer()
            return Answer(problem=f"AWS refuses the look: {refused}")
        except BotoCoreError as refused:
            return Answer(problem=f"AWS cannot be asked: {refused}")
        return Answer(problem=problem) if problem else Answer(candidates[0] if candidates else None)


def _by_hand(one: Pending) -> str:
    return (
        f"look for it; if it is there, pulumi import {one.type} {one.name} ID after "
        "pulumi refresh --clear-pending-creates"
    )


def _default_tags(configuration: Mapping[str, Any]) -> Mapping[str, str]:
    told = configuration.get("defaultTags")
    opened = json.loads(told) if isinstance(told, str) else told or {}
    return opened.get("tags") or {}


@cache
def _clients(region: str, profile: str) -> Callable[[str], Any]:
    """Clients of one region; AWS_ENDPOINT_URL and credentials are taken from the environment, as Pulumi's provider does.

    Raises:
        RecoveryError: boto3 is not installed.
    """
    try:
        import boto3
    except ModuleNotFoundError:
        raise RecoveryError(
            "boto3 is not installed: recover asks AWS with it. Run it from the virtual environment of `make test`"
        ) from None
    session = boto3.Session(region_name=region or None, profile_name=profile or None)
    return cache(session.client)


@cache
def _account(clients: Callable[[str], Any]) -> str:
    return str(clients("sts").get_caller_identity()["Account"])
