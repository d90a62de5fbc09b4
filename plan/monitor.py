"""The mock monitor that keeps every registration whole, and answers as the clouds would."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from google.protobuf import empty_pb2
from pulumi.runtime import mocks
from pulumi.runtime.proto import resource_pb2

from plan import answers, eks_component
from plan.recording import STACK_TYPE, Invoke, Recording, Registration
from plan.values import decoded, encoded, revealed

GET_RESOURCE: Final = "pulumi:pulumi:getResource"


class PlanError(Exception):
    """The program did something that the engine would refuse, or that a plan cannot answer."""


class _NoMocks(mocks.Mocks):
    """The monitor answers by itself."""

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(args.token)

    def new_resource(self, args: mocks.MockResourceArgs) -> Any:
        raise AssertionError(args.name)


class RecordingMonitor(mocks.MockMonitor):
    """Records; each request is one entry, in the order of arrival."""

    def __init__(self, project: str, stack: str, *, preview: bool) -> None:
        super().__init__(_NoMocks())
        self.project, self.stack, self.preview = project, stack, preview
        self.registrations: dict[str, Registration] = {}
        self.invokes: list[Invoke] = []
        self.messages: list[str] = []
        self.problems: list[str] = []
        self._lock = threading.RLock()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """The URN as the engine makes it: the parent's whole qualified type, but not the stack's.

        Source: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/urn/urn.go
        """
        qualified = parent.split("::")[2] if parent else STACK_TYPE
        kind = type_ if qualified == STACK_TYPE else f"{qualified}${type_}"
        return f"urn:pulumi:{self.stack}::{self.project}::{kind}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (the wire's name)
        """Keep the request and answer with the outputs that the cloud would give."""
        urn = self.make_urn(request.parent, request.type, request.name)
        registration = _registration(request, urn)
        with self._lock:
            if urn in self.registrations:
                problem = f"duplicate resource URN {urn}: two resources of one type and parent share the name {request.name!r}; give one another name"
                self.problems.append(problem)
                raise PlanError(problem)
            registration = replace(registration, id=answers.identifier(registration, self.preview))
            self.registrations[urn] = registration
        if request.type == STACK_TYPE:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        if registration.remote:
            outputs = self._expand(registration)
        else:
            outputs = answers.outputs(registration, preview=self.preview)
        with self._lock:
            self.registrations[urn] = registration = replace(registration, outputs=outputs)
            self.resources[urn] = mocks.MockMonitor.ResourceRegistration(urn, registration.id, dict(outputs))
        return resource_pb2.RegisterResourceResponse(urn=urn, id=registration.id, object=encoded(dict(outputs)))

    def _expand(self, component: Registration) -> Mapping[str, Any]:
        if component.type != eks_component.TYPE:
            problem = f"{component.type} {component.name!r}: a plan cannot look into this remote component; teach plan/ its children first"
            self.problems.append(problem)
            raise PlanError(problem)
        children, outputs = eks_component.expand(component, self.make_urn, preview=self.preview)
        with self._lock:
            for child in children:
                self.registrations[child.urn] = child
                self.resources[child.urn] = mocks.MockMonitor.ResourceRegistration(
                    child.urn, child.id, dict(child.outputs)
                )
        return outputs

    def Invoke(self, request: Any) -> Any:  # noqa: N802
        """Answer what the program may ask; refuse everything else, because a plan must not guess."""
        arguments = decoded(request.args)
        if request.tok == GET_RESOURCE:
            known = self.resources[str(arguments["urn"])]
            return _answered({"urn": known.urn, "id": known.id, "state": known.state})
        answer = answers.invoke(request.tok, arguments, region=self._region(request.provider))
        if answer is None:
            problem = (
                f"invoke {request.tok}: a plan has no answer for it. Use a setting or an output instead of asking AWS"
            )
            self.problems.append(problem)
            raise PlanError(problem)
        self.invokes.append(Invoke(token=request.tok, arguments=arguments))
        return _answered(answer)

    def _region(self, provider: str) -> str:
        registration = self.registrations.get(provider.rpartition("::")[0])
        region = revealed(registration.inputs.get("region")) if registration else None
        return region if isinstance(region, str) else answers.REGION

    def ReadResource(self, request: Any) -> Any:  # noqa: N802
        """Refuse: the program imports nothing."""
        problem = f"{request.type} {request.name!r}: a plan cannot read what exists in the cloud"
        self.problems.append(problem)
        raise PlanError(problem)

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


def _registration(request: Any, urn: str) -> Registration:
    timeouts = {kind: getattr(request.customTimeouts, kind) for kind in ("create", "update", "delete")}
    aliases = [alias.urn or alias.spec.name for alias in request.aliases] + list(request.aliasURNs)
    return Registration(
        urn=urn,
        id="",
        type=request.type,
        name=request.name,
        custom=request.custom,
        remote=request.remote,
        parent=request.parent,
        inputs=decoded(request.object),
        dependencies=tuple(sorted(set(request.dependencies))),
        property_dependencies={
            key: tuple(sorted(set(value.urns))) for key, value in sorted(request.propertyDependencies.items())
        },
        provider=request.provider,
        providers=dict(request.providers),
        aliases=tuple(aliases),
        protect=request.protect,
        deleted_with=request.deletedWith,
        retain_on_delete=request.retainOnDelete,
        delete_before_replace=request.deleteBeforeReplace,
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        custom_timeouts={kind: value for kind, value in timeouts.items() if value},
        source_position=f"{request.sourcePosition.uri.rpartition('/')[2]}:{request.sourcePosition.line}"
        if request.sourcePosition.uri
        else "",
    )
