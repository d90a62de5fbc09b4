"""Kubernetes objects as a provider handles them."""

import base64
import secrets
from dataclasses import replace
from typing import Any

from typing_extensions import override

from otel_on_spot.program.resource_types import is_mutable, resource_type
from otel_on_spot.program.values import UNKNOWN
from otel_on_spot.simcloud.api_errors import NotFoundError, TimedOutError
from otel_on_spot.simcloud.handler import Call, Difference, Handler, Seconds, Site, judged, value_at
from otel_on_spot.simcloud.kubernetes.controllers import reconcile, why_stuck
from otel_on_spot.simcloud.kubernetes_kinds import CLUSTER_SCOPED
from otel_on_spot.simcloud.properties import Properties, changes

MANAGER = "pulumi-kubernetes"
FORCE = "pulumi.com/patchForce"
DRAIN = {"NodePool": 90.0, "EC2NodeClass": 5.0, "Application": 120.0, "Namespace": 15.0}
"""Cloud seconds of a deletion, by kind. Estimates: a node drains and terminates in about a minute and a half."""


class KubernetesObject(Handler):
    """Any kind. ``token`` is ``kubernetes:<group>/<version>:<kind>``."""

    seconds = Seconds(1, 1, 1)
    timeouts = Seconds(600, 600, 600)

    def __init__(self, token: str, configuration: Properties | None = None) -> None:
        """``configuration``: of the provider.

        A patch (``NamespacePatch``) changes or makes the object, and leaves it when it goes.
        Source: https://github.com/pulumi/pulumi-kubernetes/blob/v4.34.2/provider/pkg/await/await.go
        """
        kind = token.rpartition(":")[2]
        self.kind = kind.removesuffix("Patch")
        self.is_patch = kind != self.kind
        self.token = token  # ty: ignore[invalid-attribute-access]
        self.configuration = configuration or {}
        self.seconds = Seconds(1, 1, DRAIN.get(self.kind, 1.0))  # ty: ignore[invalid-attribute-access]

    @override
    def check(
        self, name: str, old: Properties, new: Properties, seed: bytes
    ) -> tuple[Properties, list[tuple[str, str]]]:
        checked = dict(new)
        metadata = dict(checked.get("metadata") or {})
        if not metadata.get("name"):
            kept = ((old.get("metadata") or {}).get("annotations") or {}).get("pulumi.com/autonamed")
            metadata["name"] = old["metadata"]["name"] if kept else f"{name}-{secrets.token_hex(4)}"
            metadata["annotations"] = {**(metadata.get("annotations") or {}), "pulumi.com/autonamed": "true"}
        if self.kind not in CLUSTER_SCOPED and not metadata.get("namespace"):
            metadata["namespace"] = "default"
        checked["metadata"] = metadata
        return checked, []

    @override
    def difference(self, state: Properties, old: Properties, new: Properties, site: Site) -> Difference:
        facts = resource_type(self.token, mutable=is_mutable(self.token, self.configuration, old))
        difference = judged(facts, dict(changes(state, old, new)), state, new)
        stays = value_at(state, "metadata.name") == value_at(new, "metadata.name")
        return replace(difference, delete_before_replace=stays and bool(difference.replaces))

    @override
    def preview(self, state: Properties, new: Properties, site: Site) -> Properties:
        if not state:
            metadata = {**(new.get("metadata") or {}), "uid": UNKNOWN, "resourceVersion": UNKNOWN}
            return {**new, "metadata": metadata}
        return {**state, **new, "metadata": {**state.get("metadata", {}), **(new.get("metadata") or {})}}

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        api = call.site.cloud.kubernetes(call.site.cluster)
        api.require_reachable()
        made = api.apply(self._wire(inputs), MANAGER, force=self._forced(inputs))
        metadata = made["metadata"]
        identity = metadata["name"] if self.kind in CLUSTER_SCOPED else f"{metadata['namespace']}/{metadata['name']}"
        return identity, {**made, **({"stringData": inputs["stringData"]} if inputs.get("stringData") else {})}

    @staticmethod
    def _forced(inputs: Properties) -> bool:
        return str(((inputs.get("metadata") or {}).get("annotations") or {}).get(FORCE)).lower() == "true"

    def _wire(self, inputs: Properties) -> dict[str, Any]:
        """The object as the API takes it: a Secret's ``stringData`` becomes ``data``."""
        thing = {key: value for key, value in inputs.items() if not key.startswith("__") and value is not None}
        if self.kind == "Secret" and thing.get("stringData"):
            encoded = {
                key: base64.b64encode(str(value).encode()).decode() for key, value in thing.pop("stringData").items()
            }
            thing["data"] = {**(thing.get("data") or {}), **encoded}
        return thing

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        if call.site.cloud.kubernetes(call.site.cluster).counts_as_gone():
            return None
        there = self._there(call, state, identity)
        if there is None:
            return None
        seen = dict(there)
        if state.get("stringData"):
            data = there.get("data") or {}
            seen["stringData"] = {
                key: base64.b64decode(data[key]).decode() for key in state["stringData"] if key in data
            }
        return seen

    def _there(self, call: Call, state: Properties, identity: str) -> dict[str, Any] | None:
        namespace, _, name = identity.rpartition("/")
        version = state.get("apiVersion") or self.token.split(":")[1].replace("core/", "")
        return call.site.cloud.kubernetes(call.site.cluster).get(version, self.kind, name, namespace)

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        return self.create(call, new)[1]

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        site = call.site
        api = site.cloud.kubernetes(site.cluster)
        if api.counts_as_gone() or self.is_patch:
            return
        there = self._there(call, state, identity)
        if there is None:
            raise NotFoundError("NotFound", f"{self.kind} {identity} not found")
        api.delete(there)

        def gone() -> bool:
            reconcile(site)
            return self._there(call, state, identity) is None

        if gone():
            return
        what = f"deletion of {self.kind} {identity}"
        try:
            call.until(gone, f"{what}: {why_stuck(site, there)}")
        except TimedOutError as problem:
            if not api.serves_itself:
                raise
            raise TimedOutError(f"{what}: {why_stuck(site, there)}: not so within {call.timeout:.0f} s") from problem
