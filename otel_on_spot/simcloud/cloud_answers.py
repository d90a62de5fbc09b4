"""The simulated cloud's answers to a program: the handlers make what it registers, or change it where it is there."""

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import durationpy

from otel_on_spot.program import urns
from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.program.resource_types import ProviderScope
from otel_on_spot.program.values import Secret, holds_secret, revealed
from otel_on_spot.simcloud.api_errors import ApiError, UnfinishedError
from otel_on_spot.simcloud.arguments import refuse_unknown
from otel_on_spot.simcloud.aws import registry
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.handler import Attempt, Handler, Site
from otel_on_spot.simcloud.operations import Subject
from otel_on_spot.simcloud.properties import DEFAULTS, Properties
from otel_on_spot.simcloud.provider.aws import Aws
from otel_on_spot.simcloud.provider.kubernetes import Kubernetes

PROVIDER = "pulumi:providers:"


def is_made(registration: Registration) -> bool:
    """True where the cloud made something for it: not a component, not a provider, and not refused."""
    return registration.custom and bool(registration.id) and not registration.type.startswith(PROVIDER)


def subject(registration: Registration) -> Subject:
    """Subject of an operation on it."""
    return Subject(registration.type, registration.name, registration.urn)


def timeout_seconds(registration: Registration, operation: str) -> float:
    """The custom timeout of "create", "update" or "delete" in seconds; 0 where there is none."""
    duration = registration.custom_timeouts.get(operation)
    return durationpy.from_str(duration).total_seconds() if duration else 0.0


def plain(properties: Mapping[str, Any]) -> Properties:
    """Properties as handlers take them: secrets open, nothing that was not given."""
    return {key: value for key, value in revealed(properties).items() if value is not None}


class Providers:
    """Handler and site of a registration, by the provider that it was registered with."""

    def __init__(self, cloud: Cloud) -> None:
        self._servicers = {"aws": Aws(cloud, ""), "kubernetes": Kubernetes(cloud, "")}

    def of(self, registration: Registration, registrations: Mapping[str, Registration]) -> tuple[Handler, Site]:
        """Handler and site.

        Raises:
            ApiError: no provider of the simulated cloud makes such a thing.
        """
        package = registration.type.partition(":")[0]
        if package not in self._servicers:
            raise ApiError(
                "NotSimulated", f"{registration.type}: the simulated cloud has no provider named {package!r}"
            )
        provider = registrations.get(urns.of_provider(registration.provider))
        configuration = plain(provider.inputs) if provider else {}
        return self._servicers[package].handler(registration.type, configuration), self.site(package, provider)

    def site(self, package: str, provider: Registration | None) -> Site:
        """Region, or cluster, of a provider."""
        return self._servicers[package].site(plain(provider.inputs) if provider else {})


class FromCloud:
    """Answers of a simulated cloud.

    Args:
        cloud: makes the resources.
        previous: what an earlier run made in it; what it holds is read from the cloud first, and changed in place.
    """

    refusals: ClassVar[tuple[type[Exception], ...]] = (ApiError, UnfinishedError)

    def __init__(self, cloud: Cloud, previous: Recording | None = None) -> None:
        self.cloud, self.providers = cloud, Providers(cloud)
        self._previous = previous.by_urn if previous else {}

    def scope(self, provider: Registration | None) -> ProviderScope:
        """The cloud's account, and the provider's region."""
        return ProviderScope(account=self.cloud.account, region=self.providers.site("aws", provider).region)

    def made(self, registration: Registration, registrations: Mapping[str, Registration]) -> Registration:
        """The registration with the id and the outputs that the cloud gave it.

        Raises:
            ApiError: the cloud, or its provider, refuses.
            UnfinishedError: it was made, and did not become ready.
        """
        if registration.type.startswith(PROVIDER):
            _refuse(refuse_unknown(registration.type, plain(registration.inputs)))
            identity = str(uuid.uuid5(uuid.NAMESPACE_URL, registration.urn))
            return replace(registration, id=identity, outputs=registration.inputs)
        handler, site = self.providers.of(registration, registrations)
        before = self._previous.get(registration.urn)
        if before is not None:
            kept = ignoring(registration.ignore_changes, dict(before.inputs), dict(registration.inputs))
            registration = replace(registration, inputs=kept)
        identity, outputs = self._applied(registration, before, handler, site)
        hidden = {key for key, value in registration.inputs.items() if holds_secret(value)}
        hidden |= {*registration.secret_outputs}
        hidden |= {"data", "stringData"} if registration.type == "kubernetes:core/v1:Secret" else set()
        shown = {key: Secret(value) if key in hidden else value for key, value in outputs.items() if key != DEFAULTS}
        return replace(registration, id=identity, outputs=shown)

    def invoked(self, token: str, arguments: Mapping[str, Any], provider: Registration | None) -> Mapping[str, Any]:
        """The result of a function of the AWS provider.

        Raises:
            ApiError: the simulated cloud does not know the function.
        """
        return registry.invoke(self.providers.site("aws", provider), token, arguments)

    def _applied(
        self, registration: Registration, before: Registration | None, handler: Handler, site: Site
    ) -> tuple[str, Properties]:
        """Id and outputs of the resource as it is wanted: changed in place where it is there, made where it is not.

        Raises:
            ApiError: the change replaces the resource, or the cloud refuses it.
        """
        inputs = _checked(registration, plain(before.outputs) if before else {}, handler)
        making, changing = (
            Attempt(site, subject(registration), timeout_seconds(registration, operation))
            for operation in ("create", "update")
        )
        state = handler.do_read(making, before.id, plain(before.outputs)) if before and before.id else None
        if before is None or state is None:
            return handler.do_create(making, inputs)
        old = _checked(before, plain(before.outputs), handler)
        new = ignoring(registration.ignore_changes, old, inputs)
        difference = handler.difference(state, old, new, site)
        if difference.replaces:
            # The real engine plans what must go with the old one; this does not.
            raise ApiError(
                "Replacement",
                f"{', '.join(difference.replaces)} cannot change in place, and replacing a resource needs the real "
                "engine: put the pulumi CLI on PATH, or destroy and apply anew",
            )
        if difference.paths:
            state = handler.do_update(changing, before.id, state, old, new)
        return before.id, state


def _checked(registration: Registration, state: Properties, handler: Handler) -> Properties:
    """Inputs as the provider completes them: the same seed makes up the same names."""
    seed = hashlib.sha256(registration.urn.encode()).digest()
    inputs, failures = handler.check(registration.name, state, plain(registration.inputs), seed)
    _refuse(failures)
    return inputs


def _refuse(failures: list[tuple[str, str]]) -> None:
    if failures:
        raise ApiError("CheckFailed", "; ".join(f"{key}: {reason}" for key, reason in failures))


def ignoring(paths: Iterable[str], old: Properties, new: Properties) -> Properties:
    """The new inputs, with the old value (or none) under each path of ``ignoreChanges``."""
    inputs = dict(new)
    for path in paths:
        key, _, rest = path.partition(".")
        if not rest:
            inputs.pop(key, None)
            inputs |= {key: old[key]} if key in old else {}
        elif isinstance(inputs.get(key), Mapping):
            before = old.get(key)
            inputs[key] = ignoring([rest], dict(before) if isinstance(before, Mapping) else {}, dict(inputs[key]))
    return inputs
