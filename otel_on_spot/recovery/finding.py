"""The search for a pending create: an id to ask its provider for, nothing, or a question for a person."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from otel_on_spot.aws_errors import is_not_found
from otel_on_spot.program.resource_types import ProviderScope, identity, resource_type
from otel_on_spot.recovery.deployment import Identity, Pending, State, known_ids, provider_inputs
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
        state: of the stack.
        log: gets a line when AWS is waited for.
    """

    def __init__(self, state: State, log: Callable[[str], None]) -> None:
        self.state = state
        self.log = log
        self.known = known_ids(state)

    def find(self, pending: Pending) -> Answer:
        """Look for a pending create. A component or a provider is in no cloud: the next update declares it again."""
        if not pending.resource.get("custom") or pending.type.startswith("pulumi:providers:"):
            return Answer()
        try:
            if pending.type.startswith("kubernetes:"):
                return Answer(Identity(identity(pending.type, pending.inputs)))
            if resource_type(pending.type).id or pending.type in FINDERS:
                return self._in_aws(pending)
        except KeyError as missing:
            return Answer(problem=f"its input {missing} is missing: {_by_hand(pending)}")
        return Answer(problem=f"no lookup is implemented for {pending.type}: {_by_hand(pending)}")

    def _in_aws(self, pending: Pending) -> Answer:
        configuration = provider_inputs(self.state, pending.resource)
        region = str(pending.inputs.get("region") or configuration.get("region") or "")
        clients = _clients(region, str(configuration.get("profile") or ""))
        try:
            if resource_type(pending.type).id:
                scope = ProviderScope(account=_account(clients), region=region)
                candidates = [Identity(identity(pending.type, pending.inputs, scope))]
            else:
                tags = {**_default_tags(configuration), **(pending.inputs.get("tags") or {})}
                found = FINDERS[pending.type](clients, pending.inputs, tags)
                candidates = [identity for identity in found if identity.id not in self.known]
            if len(candidates) > 1:
                ids = ", ".join(identity.id for identity in candidates)
                return Answer(
                    problem=f"{len(candidates)} of them fit ({ids}): delete what is too much, then recover again"
                )
            problem = settle(clients, pending.type, pending.inputs, candidates[0].id, self.log) if candidates else ""
        except ClientError as refused:
            if is_not_found(refused):
                return Answer()
            return Answer(problem=f"AWS refused the request: {refused}")
        except BotoCoreError as refused:
            return Answer(problem=f"AWS did not answer: {refused}")
        return Answer(problem=problem) if problem else Answer(candidates[0] if candidates else None)


def _by_hand(pending: Pending) -> str:
    return (
        f"look for it; if it is there, pulumi import {pending.type} {pending.name} ID after "
        "pulumi refresh --clear-pending-creates"
    )


def _default_tags(configuration: Mapping[str, Any]) -> Mapping[str, str]:
    tags = configuration.get("defaultTags")
    decoded = json.loads(tags) if isinstance(tags, str) else tags or {}
    return decoded.get("tags") or {}


@cache
def _clients(region: str, profile: str) -> Callable[[str], Any]:
    """Clients of a region; AWS_ENDPOINT_URL and credentials come from the environment, as for Pulumi's provider."""
    session = boto3.Session(region_name=region or None, profile_name=profile or None)
    return cache(session.client)


@cache
def _account(clients: Callable[[str], Any]) -> str:
    return str(clients("sts").get_caller_identity()["Account"])
