"""The AWS provider's place in the engine."""

import json
from typing import Any

from pulumi.runtime.proto import provider_pb2
from typing_extensions import override

from otel_on_spot.program.resource_types import resource_type
from otel_on_spot.program.values import UNKNOWN, encoded
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.aws import registry
from otel_on_spot.simcloud.handler import Difference, Handler, Site, judged
from otel_on_spot.simcloud.properties import Properties
from otel_on_spot.simcloud.provider.servicer import Servicer, decoded


def opened(value: Any) -> Any:
    """A configuration value: what is not a string travels as JSON."""
    if isinstance(value, str) and value[:1] in "[{":
        return json.loads(value)
    return value


class Aws(Servicer):
    """``aws``: handlers over moto."""

    @override
    def handler(self, token: str, configuration: Properties) -> Handler:
        return registry.handler(token)

    @override
    def site(self, configuration: Properties) -> Site:
        tags = (opened(configuration.get("defaultTags")) or {}).get("tags") or {}
        region = configuration.get("region")
        if not isinstance(region, str):
            raise ApiError("MissingRegion", "the AWS provider has no region; declare it with region=")
        return Site(self.cloud, region=region, default_tags=tags)

    @override
    def refuse_configuration(self, configuration: Properties) -> None:
        allowed = opened(configuration.get("allowedAccountIds"))
        if allowed and allowed is not UNKNOWN and self.cloud.account not in allowed:
            raise ApiError(
                "AccountNotAllowed", f"AWS account ID not allowed: {self.cloud.account} (allowed: {', '.join(allowed)})"
            )

    @override
    def configuration_difference(self, old: Properties, new: Properties) -> Difference:
        found = super().configuration_difference(old, new)
        return judged(
            resource_type("pulumi:providers:aws"), {path: change for path, (change, _) in found.paths.items()}, old, new
        )

    @override
    def Invoke(self, request: Any, context: Any) -> Any:
        """Answer a function."""
        answer = self._guard(context, lambda: registry.invoke(self._site(context), request.tok, decoded(request.args)))
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(encoded(answer))
        return response
