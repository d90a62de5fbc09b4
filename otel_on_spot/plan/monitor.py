"""The mock monitor that keeps every registration, and answers as the clouds would."""

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

from google.protobuf import empty_pb2
from pulumi.runtime import mocks
from pulumi.runtime.proto import resource_pb2

from otel_on_spot.errors import ToolError
from otel_on_spot.plan import answers, eks_component
from otel_on_spot.plan.identities import identifier
from otel_on_spot.program import urns
from otel_on_spot.program.recording import Invoke, Recording, Registration, of_request
from otel_on_spot.program.resource_types import ProviderScope
from otel_on_spot.program.urns import STACK_TYPE
from otel_on_spot.program.values import decoded, encoded, revealed

GET_RESOURCE: Final = "pulumi:pulumi:getResource"


class PlanError(ToolError):
    """The program did something that the engine would refuse, or that a plan cannot answer."""


class _NoMocks(mocks.Mocks):
    """The monitor answers by itself."""

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(args.token)

    def new_resource(self, args: mocks.MockResourceArgs) -> Any:
        raise AssertionError(args.name)


class RecordingMonitor(mocks.MockMonitor):
    """Records; each request is one entry, in the order of arrival."""

    def __init__(self, project: str, stack: str, *, preview: bool, region: str = "", root: Path | None = None) -> None:
        """``region`` is the default AWS provider's; source positions are shown relative to ``root``."""
        super().__init__(_NoMocks())
        self.project, self.stack, self.preview, self.root = project, stack, preview, root
        self.default = ProviderScope(region=region) if region else ProviderScope()
        self.registrations: dict[str, Registration] = {}
        self.invokes: list[Invoke] = []
        self.messages: list[str] = []
        self.problems: list[str] = []
        self._lock = threading.RLock()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """The URN as the engine makes it; the SDK's own mocks drop all but the nearest parent type."""
        return urns.urn(self.stack, self.project, parent, type_, name)

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (the wire's name)
        """Keep the request and answer with the outputs that the cloud would give."""
        urn = self.make_urn(request.parent, request.type, request.name)
        parent = self.registrations.get(request.parent)
        former = urns.former(request, self.stack, self.project, parent.aliases if parent else ())
        registration = of_request(request, urn, former, self.root)
        scope = self._scope(registration.provider or registration.providers.get("aws", ""))
        registration = replace(registration, id=identifier(registration, scope, preview=self.preview))
        self._keep(registration)
        if request.type == STACK_TYPE:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        if registration.remote:
            outputs = self._expand(registration, scope)
        else:
            outputs = answers.outputs(registration, scope, preview=self.preview)
        with self._lock:
            self.registrations[urn] = registration = replace(registration, outputs=outputs)
        return resource_pb2.RegisterResourceResponse(urn=urn, id=registration.id, object=encoded(outputs))

    def _keep(self, registration: Registration) -> None:
        with self._lock:
            if registration.urn in self.registrations:
                self._refuse(
                    f"duplicate resource URN {registration.urn}: two resources of one type and parent share the name "
                    f"{registration.name!r}; give one another name"
                )
            self.registrations[registration.urn] = registration

    def _refuse(self, problem: str) -> NoReturn:
        self.problems.append(problem)
        raise PlanError(problem)

    def _expand(self, component: Registration, scope: ProviderScope) -> dict[str, Any]:
        if component.type != eks_component.TYPE:
            self._refuse(
                f"{component.type} {component.name!r}: a plan cannot look into this remote component; "
                "teach plan/ its children first"
            )
        try:
            children, outputs = eks_component.expand(
                component, self.make_urn, self.registrations.__getitem__, scope, preview=self.preview
            )
        except eks_component.ArgumentError as problem:
            self._refuse(f"{component.type} {component.name!r}: {problem}")
        for child in children:
            self._keep(child)
        return outputs

    def Invoke(self, request: Any) -> Any:  # noqa: N802
        """Answer what the program may ask; refuse everything else, because a plan must not guess."""
        arguments = decoded(request.args)
        if request.tok == GET_RESOURCE:
            known = self.registrations[str(arguments["urn"])]
            return _answered({"urn": known.urn, "id": known.id, "state": dict(known.outputs)})
        answer = answers.invoke(request.tok, arguments, self._scope(request.provider))
        if answer is None:
            self._refuse(
                f"invoke {request.tok}: a plan has no answer for it. Use a setting or an output instead of asking AWS"
            )
        self.invokes.append(Invoke(token=request.tok, arguments=arguments))
        return _answered(answer)

    def _scope(self, provider: str) -> ProviderScope:
        """The region and account that a provider is bound to, as far as it says."""
        registration = self.registrations.get(provider.rpartition("::")[0])
        given = revealed(registration.inputs) if registration else {}
        allowed = given.get("allowedAccountIds")
        if isinstance(allowed, str):  # a provider's lists and maps travel as JSON text
            allowed = json.loads(allowed)
        scope = self.default
        if isinstance(given.get("region"), str):
            scope = replace(scope, region=given["region"])
        return replace(scope, account=str(allowed[0])) if allowed and isinstance(allowed[0], str) else scope

    def ReadResource(self, request: Any) -> Any:  # noqa: N802
        """Refuse: the program imports nothing."""
        self._refuse(
            f"{request.type} {request.name!r}: a plan cannot read what exists in the cloud. Take its properties from "
            "settings instead of .get()"
        )

    def Call(self, request: Any) -> Any:  # noqa: N802
        """Refuse: the program calls no component's methods."""
        self._refuse(f"call {request.tok}: a plan has no answer for it. Use the component's outputs instead")

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        """Keep a component's registered outputs; those of the stack are its exports."""
        with self._lock:
            self.registrations[request.urn] = replace(
                self.registrations[request.urn], registered_outputs=decoded(request.outputs)
            )
        return empty_pb2.Empty()

    def recording(self) -> Recording:
        """What was recorded, frozen."""
        stack = next((r for r in self.registrations.values() if r.type == STACK_TYPE), None)
        return Recording(
            project=self.project,
            stack=self.stack,
            preview=self.preview,
            registrations=tuple(self.registrations.values()),
            exports=dict(stack.registered_outputs or {}) if stack else {},
            invokes=tuple(self.invokes),
            messages=tuple(self.messages),
        )


def _answered(properties: dict[str, Any]) -> resource_pb2.ResourceInvokeResponse:
    response = resource_pb2.ResourceInvokeResponse()
    getattr(response, "return").CopyFrom(encoded(properties))
    return response
