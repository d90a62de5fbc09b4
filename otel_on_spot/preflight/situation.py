"""A stack's plan, and the account that it would be made in; what every check looks at."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from otel_on_spot.program import urns
from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.program.resource_types import EXISTING_NETWORK, ProviderScope
from otel_on_spot.program.values import revealed

PROVIDER: Final = "pulumi:providers:aws"
PLANNED_ACCOUNT: Final = ProviderScope().account
"""The account that a plan makes up: what it says of an account means the real one."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Identity that asks, as STS tells it. ``user_id`` is of AWS's form; a simulated cloud's is not."""

    account: str
    arn: str
    user_id: str


@dataclass(frozen=True, kw_only=True)
class Situation:
    """The plan and the account.

    Attributes:
        recording: the stack's plan.
        root: the project's folder.
        client: makes, or has, the client of an AWS service in the stack's region.
        identity: who asks.
        role: name of the role whose permissions are judged; empty judges those of who asks.
        backend: URL of the state's backend, as far as it is known.
        home: clients of other regions: service, region -> client.
    """

    recording: Recording
    root: Path
    client: Callable[[str], Any]
    identity: Identity
    role: str = ""
    backend: str = ""
    elsewhere: Callable[[str, str], Any] = field(repr=False)

    @cached_property
    def _provider(self) -> Mapping[str, Any]:
        found = self.recording.of_type(PROVIDER)
        return revealed(dict(found[0].inputs)) if found else {}

    @property
    def region(self) -> str:
        """Region of the stack."""
        return region_of(self.recording)

    @property
    def existing_vpc(self) -> str:
        """Id of the VPC that the stack is given; empty where it makes one."""
        return next((str(given.inputs["vpcId"]) for given in self.of_type(EXISTING_NETWORK)), "")

    @property
    def default_tags(self) -> Mapping[str, str]:
        """Tags that the provider puts on everything."""
        return (json.loads(self._provider.get("defaultTags") or "{}")).get("tags") or {}

    @property
    def allowed_accounts(self) -> list[str]:
        """The accounts that the stack may be made in; empty where its file does not say."""
        return json.loads(self._provider.get("allowedAccountIds") or "[]")

    def wanted(self, registration: Registration) -> Mapping[str, Any]:
        """The inputs of a resource, in the real account."""
        return self.here(revealed(dict(registration.inputs)))

    def tags(self, registration: Registration) -> dict[str, str]:
        """Every tag that a resource is to have."""
        return {**self.default_tags, **(registration.inputs.get("tags") or {})}

    def aws(self) -> list[Registration]:
        """What the AWS provider would make."""
        return [
            registration
            for registration in self.recording
            if registration.custom and registration.type.startswith("aws:")
        ]

    def of_type(self, token: str) -> tuple[Registration, ...]:
        """The planned resources of a type."""
        return self.recording.of_type(token)

    def by_id(self, identity: str) -> Registration | None:
        """The planned resource that has an id."""
        return self._ids.get(identity)

    @cached_property
    def _ids(self) -> dict[str, Registration]:
        return {
            registration.id: registration
            for registration in self.aws()
            if registration.id and registration.type != "aws:ec2/tag:Tag"
        }

    def here(self, value: Any) -> Any:
        """A planned value, with the real account in place of the made-up one."""
        if isinstance(value, str):
            return value.replace(PLANNED_ACCOUNT, self.identity.account)
        if isinstance(value, Mapping):
            return {key: self.here(inner) for key, inner in value.items()}
        return [self.here(inner) for inner in value] if isinstance(value, list | tuple) else value

    def command(self, words: str) -> str:
        """A command of the AWS CLI in the stack's region."""
        return f"aws {words} --region {self.region}"

    def owns(self, tags: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
        """Decide if something that is there is this stack's own: it has every tag that the plan gives it."""
        return bool(wanted) and all(tags.get(key) == value for key, value in wanted.items())


def region_of(recording: Recording) -> str:
    """Region of a plan's AWS provider."""
    for provider in recording.of_type(PROVIDER):
        if provider.inputs.get("region"):
            return str(provider.inputs["region"])
    return ProviderScope().region


def provider_of(recording: Recording, registration: Registration) -> Registration | None:
    """The provider that a resource was registered with."""
    return recording.by_urn.get(urns.of_provider(registration.provider))
