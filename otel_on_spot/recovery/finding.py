"""The search for a pending create: an id to ask its provider for, nothing, or a question for a person."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from otel_on_spot.aws_errors import is_not_found
from otel_on_spot.program.resource_types import ProviderScope, identity, resource_type
from otel_on_spot.recovery.deployment import Identity, Pending, State, default_tags, known_ids, provider_inputs
from otel_on_spot.recovery.lookups import FINDERS
from otel_on_spot.recovery.ownership import foreign, stack_of
from otel_on_spot.recovery.settling import settle


@dataclass(frozen=True)
class Answer:
    """``identity`` to ask for, or ``problem`` for a person; neither: it is not there."""

    identity: Identity | None = None
    problem: str = ""


class Searcher:
    """Looks things up in the accounts and regions of the stack's own providers.

    ``log`` gets a line when AWS is waited for.
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
                return self._in_cluster(pending)
            if resource_type(pending.type).id or pending.type in FINDERS:
                return self._in_aws(pending)
        except KeyError as missing:
            return Answer(problem=f"its input {missing} is missing: {_by_hand(pending)}")
        return Answer(problem=f"no lookup is implemented for {pending.type}: {_by_hand(pending)}")

    def _in_cluster(self, pending: Pending) -> Answer:
        """What is in this stack's cluster is its own: the program applies it by name, whoever made it first."""
        region, _, cluster = str(
            provider_inputs(self.state, pending.resource).get("clusterIdentifier") or ""
        ).rpartition("/")
        if region and cluster not in self.known:
            return Answer(problem=f"its provider leads to cluster {cluster}, which this stack's state does not hold")
        return Answer(Identity(identity(pending.type, pending.inputs)))

    def _in_aws(self, pending: Pending) -> Answer:
        configuration = provider_inputs(self.state, pending.resource)
        region = str(pending.inputs.get("region") or configuration.get("region") or "")
        clients = _clients(region, str(configuration.get("profile") or ""))
        try:
            scope = ProviderScope(account=_account(clients), region=region)
            if resource_type(pending.type).id:
                candidates = [Identity(identity(pending.type, pending.inputs, scope))]
            else:
                tags = {**default_tags(configuration), **(pending.inputs.get("tags") or {})}
                found = FINDERS[pending.type](clients, pending.inputs, tags)
                candidates = [identity for identity in found if identity.id not in self.known]
            if len(candidates) > 1:
                ids = ", ".join(identity.id for identity in candidates)
                return Answer(
                    problem=f"{len(candidates)} of them fit ({ids}): delete what is too much, then recover again"
                )
            if not candidates:
                return Answer()
            stack = stack_of(self.state, pending.resource, scope)
            if whose := foreign(clients, pending.type, pending.inputs, candidates[0].id, stack):
                return Answer(problem=f"{whose}. Nothing of it was taken in. {_NOT_OURS}")
            problem = settle(clients, pending.type, pending.inputs, candidates[0].id, self.log)
        except ClientError as refused:
            if is_not_found(refused):
                return Answer()
            return Answer(problem=f"AWS refused the request: {refused}")
        except BotoCoreError as refused:
            return Answer(problem=f"AWS did not answer: {refused}")
        return Answer(problem=problem) if problem else Answer(candidates[0])


_NOT_OURS = (
    "Give this stack another cluster name (otel-on-spot:cluster.name), destroy the other one first, or, where it is "
    "this stack's and lost its tags, put them back; then recover again"
)


def _by_hand(pending: Pending) -> str:
    return (
        f"look for it; if it is there, pulumi import {pending.type} {pending.name} ID after "
        "pulumi refresh --clear-pending-creates"
    )


@cache
def _clients(region: str, profile: str) -> Callable[[str], Any]:
    """Clients of a region; AWS_ENDPOINT_URL and credentials come from the environment, as for Pulumi's provider."""
    session = boto3.Session(region_name=region or None, profile_name=profile or None)
    return cache(session.client)


@cache
def _account(clients: Callable[[str], Any]) -> str:
    return str(clients("sts").get_caller_identity()["Account"])
