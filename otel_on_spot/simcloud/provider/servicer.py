"""Pulumi's provider protocol, as far as it is the same for every provider of the simulated cloud."""

import threading
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2
from typing_extensions import override

from otel_on_spot.program import urns, values
from otel_on_spot.simcloud.api_errors import ApiError, UnfinishedError
from otel_on_spot.simcloud.arguments import refuse_unknown
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.handler import Attempt, Difference, Handler, Site
from otel_on_spot.simcloud.operations import Subject
from otel_on_spot.simcloud.properties import DEFAULTS, Properties

KINDS = {
    ("add", False): provider_pb2.PropertyDiff.ADD,
    ("add", True): provider_pb2.PropertyDiff.ADD_REPLACE,
    ("delete", False): provider_pb2.PropertyDiff.DELETE,
    ("delete", True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    ("update", False): provider_pb2.PropertyDiff.UPDATE,
    ("update", True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """One provider. The engine opens one connection for each provider resource: each has its own configuration."""

    def __init__(self, cloud: Cloud, version: str) -> None:
        self.cloud = cloud
        self.version = version
        self._configurations: dict[str, Properties] = {}
        self._cancelled = threading.Event()

    # What a provider adds

    def handler(self, token: str, configuration: Properties) -> Handler:
        """The handler of a type."""
        raise NotImplementedError

    def site(self, configuration: Properties) -> Site:
        """Region or cluster that this configuration works in."""
        raise NotImplementedError

    def refuse_configuration(self, configuration: Properties) -> None:
        """Raise an ApiError where the provider does not start with this configuration."""

    def configuration_difference(self, old: Properties, new: Properties) -> Difference:
        """Effect of a change of configuration on the provider's resources."""
        return Difference(
            {key: ("update", False) for key in {*old, *new} if old.get(key) != new.get(key) and key != "version"}
        )

    def secret_outputs(self, token: str) -> frozenset[str]:  # noqa: ARG002 (for subclasses)
        """Top-level outputs that are secret whatever the inputs were."""
        return frozenset()

    # The protocol

    @override
    def Handshake(self, request: Any, context: Any) -> Any:
        """Say what this provider understands. Secrets stay the engine's: it marks every output whose input was one."""
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=False, accept_resources=False, accept_outputs=False
        )

    @override
    def Attach(self, request: Any, context: Any) -> Any:
        """Nothing to do: no engine service is used."""
        return empty_pb2.Empty()

    @override
    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """The version of the provider that this one stands for."""
        return plugin_pb2.PluginInfo(version=self.version)

    @override
    def GetSchema(self, request: Any, context: Any) -> Any:
        """No schema: nobody generates code from it."""
        return provider_pb2.GetSchemaResponse(schema="{}")

    @override
    def CheckConfig(self, request: Any, context: Any) -> Any:
        """Take the configuration as it is, but for what the simulated cloud does not know."""
        refused = refuse_unknown(urns.type_of(request.urn), decoded(request.news))
        told = [provider_pb2.CheckFailure(property=key, reason=reason) for key, reason in refused]
        return provider_pb2.CheckResponse(inputs=request.news, failures=told)

    @override
    def DiffConfig(self, request: Any, context: Any) -> Any:
        """Say what a change of configuration means."""
        old = decoded(
            request.old_inputs if request.HasField("old_inputs") and request.old_inputs.fields else request.olds
        )
        return self._diff(self.configuration_difference(old, decoded(request.news)))

    @override
    def Configure(self, request: Any, context: Any) -> Any:
        """Keep the configuration of this connection."""
        configuration = decoded(request.args)
        self._guard(context, lambda: self.refuse_configuration(configuration))
        self._configurations[context.peer()] = configuration
        return provider_pb2.ConfigureResponse(
            acceptSecrets=False, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    @override
    def Check(self, request: Any, context: Any) -> Any:
        """Fill in defaults and names."""
        handler = self._guard(context, lambda: self._handler(request.urn, context))
        inputs, failures = handler.check(
            urns.name(request.urn), decoded(request.olds), decoded(request.news), request.randomSeed
        )
        told = [provider_pb2.CheckFailure(property=key, reason=reason) for key, reason in failures]
        return provider_pb2.CheckResponse(inputs=values.encoded(inputs), failures=told)

    @override
    def Diff(self, request: Any, context: Any) -> Any:
        """Compare the state with the inputs wanted."""
        handler = self._guard(context, lambda: self._handler(request.urn, context))
        old = decoded(request.old_inputs)
        difference = handler.difference(decoded(request.olds), old, decoded(request.news), self._site(context))
        return self._diff(difference)

    @override
    def Create(self, request: Any, context: Any) -> Any:
        """Create, or say what would be known of it."""
        handler = self._guard(context, lambda: self._handler(request.urn, context))
        inputs, secret = decoded(request.properties), self.secret_outputs(urns.type_of(request.urn))
        site = self._site(context)
        if request.preview:
            return provider_pb2.CreateResponse(properties=encoded(handler.preview({}, inputs, site), secret))
        identity, outputs = self._guard(
            context,
            lambda: handler.do_create(self._attempt(request, context, request.timeout), inputs),
            secret,
        )
        return provider_pb2.CreateResponse(id=identity, properties=encoded(outputs, secret))

    @override
    def Read(self, request: Any, context: Any) -> Any:
        """The resource as the cloud has it; no id where it is gone."""
        handler = self._guard(context, lambda: self._handler(request.urn, context))
        state, inputs, secret = (
            decoded(request.properties),
            decoded(request.inputs),
            self.secret_outputs(urns.type_of(request.urn)),
        )
        found = self._guard(context, lambda: handler.do_read(self._attempt(request, context), request.id, state))
        if found is None:
            return provider_pb2.ReadResponse()
        seen = {key: found.get(key, value) if key != DEFAULTS else value for key, value in inputs.items()}
        return provider_pb2.ReadResponse(
            id=request.id, properties=encoded(found, secret), inputs=encoded(_as_asked(inputs, seen), secret)
        )

    @override
    def Update(self, request: Any, context: Any) -> Any:
        """Change in place, or say what would be known afterwards."""
        handler = self._guard(context, lambda: self._handler(request.urn, context))
        state, new, secret = (
            decoded(request.olds),
            decoded(request.news),
            self.secret_outputs(urns.type_of(request.urn)),
        )
        site = self._site(context)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=encoded(handler.preview(state, new, site), secret))
        old, attempt = decoded(request.old_inputs), self._attempt(request, context, request.timeout)
        outputs = self._guard(
            context,
            lambda: handler.do_update(attempt, request.id, state, old, new),
            secret,
        )
        return provider_pb2.UpdateResponse(properties=encoded(outputs, secret))

    @override
    def Delete(self, request: Any, context: Any) -> Any:
        """Delete."""
        handler = self._guard(context, lambda: self._handler(request.urn, context))
        state, attempt = decoded(request.properties), self._attempt(request, context, request.timeout)
        self._guard(context, lambda: handler.do_delete(attempt, request.id, state))
        return empty_pb2.Empty()

    @override
    def Cancel(self, request: Any, context: Any) -> Any:
        """Stop waiting for the cloud, in every operation of this run."""
        self._cancelled.set()
        self._cancelled = threading.Event()
        return empty_pb2.Empty()

    # Inside

    def _handler(self, urn: str, context: Any) -> Handler:
        return self.handler(urns.type_of(urn), self._configurations.get(context.peer(), {}))

    def _site(self, context: Any) -> Site:
        return self.site(self._configurations.get(context.peer(), {}))

    def _attempt(self, request: Any, context: Any, timeout: float = 0) -> Attempt:
        subject = Subject(urns.type_of(request.urn), urns.name(request.urn), request.urn)
        return Attempt(self._site(context), subject, timeout, self._cancelled)

    @staticmethod
    def _diff(difference: Difference) -> Any:
        detailed = {
            path: provider_pb2.PropertyDiff(kind=KINDS[change, replace], inputDiff=False)
            for path, (change, replace) in difference.paths.items()
        }
        changed = provider_pb2.DiffResponse.DIFF_SOME if detailed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=changed,
            replaces=difference.replaces,
            diffs=sorted({path.split(".")[0] for path in detailed}),
            detailedDiff=detailed,
            hasDetailedDiff=True,
            deleteBeforeReplace=difference.delete_before_replace,
        )

    @staticmethod
    def _guard(context: Any, act: Callable[[], Any], secret: frozenset[str] = frozenset()) -> Any:
        """Do it, and tell the engine of a refusal in its own words."""
        try:
            return act()
        except UnfinishedError as unfinished:
            status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(unfinished))
            detail = provider_pb2.ErrorResourceInitFailed(
                id=unfinished.identity, properties=encoded(unfinished.outputs, secret), reasons=[str(unfinished)]
            )
            status.details.add().Pack(detail)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.UNKNOWN, str(unfinished))
        except ApiError as refusal:
            context.abort(grpc.StatusCode.UNKNOWN, str(refusal))


def decoded(struct: struct_pb2.Struct) -> Properties:
    """A request's properties as handlers take them: secrets open."""
    return values.revealed(values.decoded(struct))


def encoded(properties: Properties, secret: frozenset[str]) -> struct_pb2.Struct:
    """Properties as the engine takes them; the top-level keys in ``secret`` travel as secrets."""
    return values.encoded(
        {
            key: values.Secret(value) if key in secret and value is not None else value
            for key, value in properties.items()
        }
    )


def _as_asked(asked: Any, seen: Any) -> Any:
    """The cloud's values in the shape of the inputs: nothing that the cloud added by itself."""
    if isinstance(asked, dict) and isinstance(seen, dict):
        return {
            key: _as_asked(value, seen.get(key)) if key in seen else None
            for key, value in asked.items()
            if key in seen or value is None
        }
    return seen
