"""The resource monitor that a program registers with: keeps every registration, and lets ``Answers`` complete it."""

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, NoReturn, Protocol

from google.protobuf import empty_pb2
from pulumi.runtime import mocks
from pulumi.runtime.proto import resource_pb2

from otel_on_spot.program import eks_cluster, urns
from otel_on_spot.program.recording import Invoke, Recording, Registration, RegistrationError, of_request
from otel_on_spot.program.resource_types import ProviderScope
from otel_on_spot.program.urns import STACK_TYPE
from otel_on_spot.program.values import decoded, encoded

GET_RESOURCE: Final = "pulumi:pulumi:getResource"


class Answers(Protocol):
    """Answers of providers and their clouds."""

    refusals: ClassVar[tuple[type[Exception], ...]]
    """Exceptions with which they refuse; any other is a defect."""

    def scope(self, provider: Registration | None) -> ProviderScope:
        """Account and region of an AWS provider; of the default one where there is none."""

    def made(self, registration: Registration, registrations: Mapping[str, Registration]) -> Registration:
        """A resource's registration with its id and outputs.

        Args:
            registration: the resource, or the provider, to make.
            registrations: URN -> registration, of all that were made before.
        """

    def invoked(self, token: str, arguments: Mapping[str, Any], provider: Registration | None) -> Mapping[str, Any]:
        """The result of a provider function."""


class Monitor(mocks.MockMonitor):
    """Records one run of a program.

    ``problems`` says what was refused. ``messages`` is what the program logged.

    Args:
        project: its name.
        stack: its name.
        answers: completes registrations.
        preview: what only the cloud can tell is unknown.
        root: source positions are shown relative to this folder.
    """

    def __init__(
        self, project: str, stack: str, answers: Answers, *, preview: bool = False, root: Path | None = None
    ) -> None:
        super().__init__(mocks=None)  # ty: ignore[invalid-argument-type]
        self.project, self.stack, self.answers, self.preview, self.root = project, stack, answers, preview, root
        self.registrations: dict[str, Registration] = {}
        self.invokes: list[Invoke] = []
        self.messages: list[str] = []
        self.problems: list[str] = []
        self._lock = threading.RLock()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (the wire's name)
        """Keep the request, and answer with id and outputs."""
        urn = urns.urn(self.stack, self.project, request.parent, request.type, request.name)
        parent = self.registrations.get(request.parent)
        former = urns.former(request, self.stack, self.project, parent.aliases if parent else ())
        with self._noting(f"{request.type} {request.name}"):
            registration = self._made(of_request(request, urn, former, self.root))
        return resource_pb2.RegisterResourceResponse(urn=urn, id=registration.id, object=encoded(registration.outputs))

    @contextmanager
    def _noting(self, what: str) -> Generator[None]:
        try:
            yield
        except (RegistrationError, *self.answers.refusals) as refusal:
            with self._lock:
                self.problems.append(f"{what}: {refusal}")
            raise

    def _made(self, registration: Registration) -> Registration:
        if registration.urn in self.registrations:
            raise RegistrationError(
                f"duplicate resource URN {registration.urn}: two resources of one type and parent share the name; "
                "give one another name"
            )
        if registration.remote:
            self._keep(registration)
            registration = replace(registration, outputs=self._expanded(registration))
        elif registration.custom:
            registration = self.answers.made(registration, self.registrations)
        self._keep(registration)
        return registration

    def _keep(self, registration: Registration) -> None:
        with self._lock:
            self.registrations[registration.urn] = registration

    def _expanded(self, component: Registration) -> dict[str, Any]:
        if component.type != eks_cluster.TYPE:
            raise RegistrationError("a plan cannot look into this remote component; teach program/ its children first")
        maker = eks_cluster.RegistrationMaker(
            component,
            self.registrations,
            self._made,
            partition=self.answers.scope(self._provider(component.providers.get("aws", ""))).partition,
            urn_of=partial(urns.urn, self.stack, self.project),
        )
        return eks_cluster.expand(component.name, component.inputs, maker)

    def _provider(self, reference: str) -> Registration | None:
        return self.registrations.get(urns.of_provider(reference))

    def Invoke(self, request: Any) -> Any:  # noqa: N802
        """Answer what the program asks of a provider."""
        arguments = decoded(request.args)
        if request.tok == GET_RESOURCE:
            known = self.registrations[str(arguments["urn"])]
            return _response({"urn": known.urn, "id": known.id, "state": dict(known.outputs)})
        with self._noting(f"invoke {request.tok}"):
            answer = self.answers.invoked(request.tok, arguments, self._provider(request.provider))
        with self._lock:
            self.invokes.append(Invoke(token=request.tok, arguments=arguments))
        return _response(answer)

    def ReadResource(self, request: Any) -> Any:  # noqa: N802
        """Refuse: the program imports nothing."""
        self._refuse(
            f"{request.type} {request.name}",
            "what exists in the cloud cannot be read here. Take its properties from settings instead of .get()",
        )

    def Call(self, request: Any) -> Any:  # noqa: N802
        """Refuse: the program calls no component's methods."""
        self._refuse(f"call {request.tok}", "it cannot be answered here. Use the component's outputs instead")

    def _refuse(self, what: str, why: str) -> NoReturn:
        with self._noting(what):
            raise RegistrationError(why)

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        """Keep a component's registered outputs; those of the stack are its exports."""
        with self._lock:
            self.registrations[request.urn] = replace(
                self.registrations[request.urn], registered_outputs=decoded(request.outputs)
            )
        return empty_pb2.Empty()

    def recording(self) -> Recording:
        """The graph recorded so far."""
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


def _response(properties: Mapping[str, Any]) -> resource_pb2.ResourceInvokeResponse:
    response = resource_pb2.ResourceInvokeResponse()
    getattr(response, "return").CopyFrom(encoded(properties))
    return response
