"""The recording monitor with the simulated cloud's answers."""

import hashlib
import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pulumi.runtime.proto import resource_pb2
from typing_extensions import override

from otel_on_spot.plan.monitor import GET_RESOURCE, RecordingMonitor
from otel_on_spot.program import eks_children
from otel_on_spot.program.recording import Invoke, Recording, Registration
from otel_on_spot.program.urns import STACK_TYPE
from otel_on_spot.program.values import Reference, Secret, decoded, encoded, revealed
from otel_on_spot.simcloud.aws import registry
from otel_on_spot.simcloud.changing import changed, ignoring, refreshed
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.handler import Handler, Site
from otel_on_spot.simcloud.operations import Subject
from otel_on_spot.simcloud.properties import DEFAULTS, Properties
from otel_on_spot.simcloud.provider.aws import Aws
from otel_on_spot.simcloud.provider.kubeconfig import THUMBPRINT, kubeconfig
from otel_on_spot.simcloud.provider.kubernetes import Kubernetes
from otel_on_spot.simcloud.provider.references import named, put
from otel_on_spot.simcloud.refusal import Refusal, Unfinished

PROVIDER = "pulumi:providers:"
SOURCES = {"kubeconfig": "cluster"}
"""Facts that are not a sibling's own, and the sibling that they come from."""


def is_made(registration: Registration) -> bool:
    """Whether the cloud made something for it: not a component, not a provider, and not refused."""
    return registration.custom and bool(registration.id) and not registration.type.startswith(PROVIDER)


def subject(registration: Registration) -> Subject:
    """What an operation on it is about."""
    return Subject(registration.type, registration.name, registration.urn)


class Makers:
    """Handler and site of a registration, by the provider that it was registered with."""

    def __init__(self, cloud: Cloud, registrations: Mapping[str, Registration]) -> None:
        self._servicers = {"aws": Aws(cloud, ""), "kubernetes": Kubernetes(cloud, "")}
        self._registrations = registrations

    def of(self, registration: Registration) -> tuple[Handler, Site]:
        """Handler and site.

        Raises:
            Refusal: no provider of the simulated cloud makes such a thing.
        """
        package = registration.type.partition(":")[0]
        if package not in self._servicers:
            raise Refusal("NotSimulated", f"{registration.type}: the simulated cloud has no provider named {package!r}")
        provider = self._registrations.get(registration.provider.rpartition("::")[0])
        configuration = self.plain(provider.inputs) if provider else {}
        servicer = self._servicers[package]
        return servicer.handler(registration.type, configuration), servicer.site(configuration)

    @staticmethod
    def plain(properties: Mapping[str, Any]) -> Properties:
        """Properties as handlers take them: secrets open, nothing that was not given."""
        return {key: value for key, value in revealed(dict(properties)).items() if value is not None}


class LiveMonitor(RecordingMonitor):
    """Makes what is registered, and records it."""

    def __init__(self, project: str, stack: str, cloud: Cloud, previous: Recording | None = None) -> None:
        super().__init__(project, stack, preview=False)
        self.cloud = cloud
        self.previous = previous.by_urn if previous else {}
        self.makers = Makers(cloud, self.registrations)

    @override
    def RegisterResource(self, request: Any) -> Any:
        """Make it in the cloud and answer with what came of it."""
        urn = self.urn(request.parent, request.type, request.name)
        registration = _of_request(request, urn)
        try:
            registration = self._made(registration)
        except (Refusal, Unfinished) as refusal:
            with self._lock:
                self.problems.append(f"{registration.type} {registration.name}: {refusal}")
            raise
        if registration.type == STACK_TYPE:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        return resource_pb2.RegisterResourceResponse(
            urn=urn, id=registration.id, object=encoded(dict(registration.outputs))
        )

    def urn(self, parent: str, token: str, name: str) -> str:
        """The URN as the engine makes it: the parent's whole qualified type, but not the stack's."""
        above = parent.split("::", 3)[2] if parent else STACK_TYPE
        kind = token if above == STACK_TYPE else f"{above}${token}"
        return f"urn:pulumi:{self.stack}::{self.project}::{kind}::{name}"

    @override
    def Invoke(self, request: Any) -> Any:
        """Ask the cloud."""
        arguments = decoded(request.args)
        if request.tok == GET_RESOURCE:
            known = self.registrations[str(arguments["urn"])]
            return _answer({"urn": known.urn, "id": known.id, "state": dict(known.outputs)})
        provider = self.registrations[request.provider.rpartition("::")[0]]
        site = self.makers._servicers["aws"].site(self.makers.plain(provider.inputs))
        self.invokes.append(Invoke(token=request.tok, arguments=arguments))
        return _answer(registry.invoke(site, request.tok, arguments))

    def _made(self, registration: Registration) -> Registration:
        if registration.custom and not registration.type.startswith(PROVIDER):
            registration = self._create(registration)
        elif registration.custom:
            registration = replace(
                registration, id=str(uuid.uuid5(uuid.NAMESPACE_URL, registration.urn)), outputs=registration.inputs
            )
        elif registration.remote:
            self._remember(registration)
            registration = replace(registration, outputs=self._children(registration))
        self._remember(registration)
        return registration

    def _remember(self, registration: Registration) -> None:
        with self._lock:
            self.registrations[registration.urn] = registration

    def _create(self, registration: Registration) -> Registration:
        from otel_on_spot.simcloud.graph import seconds

        handler, site = self.makers.of(registration)
        seed = hashlib.sha256(registration.urn.encode()).digest()
        given = self.makers.plain(registration.inputs)
        known = self.previous.get(registration.urn)
        inputs, failures = handler.check(
            registration.name, self.makers.plain(known.outputs) if known else {}, given, seed
        )
        if failures:
            raise Refusal("CheckFailed", "; ".join(f"{key}: {reason}" for key, reason in failures))
        there = self._there(handler, site, known) if known is not None and known.id else None
        if known is not None and there is not None:
            identity, old = known.id, self._asked_before(handler, known, seed)
            wanted = ignoring(registration.ignore_changes, old, inputs)
            timeout = seconds(registration.custom_timeouts.get("update", ""))
            outputs = changed(handler, site, subject(registration), identity, there, old, wanted, timeout)
        else:
            timeout = seconds(registration.custom_timeouts.get("create", ""))
            identity, outputs = handler.do_create(site, subject(registration), inputs, timeout, threading.Event())
        hidden = {key for key, value in registration.inputs.items() if _holds_secret(value)}
        hidden |= {"data", "stringData"} if registration.type == "kubernetes:core/v1:Secret" else set()
        told = {key: Secret(value) if key in hidden else value for key, value in outputs.items() if key != DEFAULTS}
        return replace(registration, id=identity, outputs=told)

    def _there(self, handler: Handler, site: Site, before: Registration) -> Properties | None:
        return refreshed(handler, site, subject(before), before.id, self.makers.plain(before.outputs))

    def _asked_before(self, handler: Handler, before: Registration, seed: bytes) -> Properties:
        """The checked inputs that the resource was made from: the same seed makes up the same names."""
        given = self.makers.plain(before.inputs)
        return handler.check(before.name, self.makers.plain(before.outputs), given, seed)[0]

    def _children(self, component: Registration) -> dict[str, Any]:
        """The pulumi-eks component's children, one after the other, and its outputs."""
        given = {key: self._opened(value) for key, value in revealed(dict(component.inputs)).items()}
        waits = {urn for urns in component.property_dependencies.values() for urn in urns} | {*component.dependencies}
        waits |= {value.urn for value in component.inputs.values() if isinstance(value, Reference)}
        made: dict[str, Registration] = {}
        for child in eks_children.children(component.name, given):
            parent = made[child.below].urn if child.below else component.urn
            provider = component.providers.get("aws", "") if child.type.startswith("aws:") else ""
            if child.type.startswith("kubernetes:"):
                provider = f"{made['kubernetes'].urn}::{made['kubernetes'].id}"
            siblings = {SOURCES.get(key, key) for key in named(child.inputs)} | set(child.after)
            made[child.key] = self._made(
                Registration(
                    urn=self.urn(parent, child.type, child.name),
                    id="",
                    type=child.type,
                    name=child.name,
                    custom=child.custom,
                    parent=parent,
                    provider=provider,
                    inputs=put(child.inputs, lambda reference: _fact(reference, made)),
                    dependencies=tuple(sorted({*waits, *(made[key].urn for key in siblings if key in made)})),
                    inside_component=True,
                )
            )
        return _outputs(given, made, component.inputs.get("clusterSecurityGroup"))

    def _opened(self, value: Any) -> Any:
        """A resource among the arguments, as a map of its outputs."""
        if not isinstance(value, Reference):
            return value
        known = self.registrations[value.urn]
        return {**known.outputs, "id": known.id}


def _answer(properties: Properties) -> Any:
    response = resource_pb2.ResourceInvokeResponse()
    getattr(response, "return").CopyFrom(encoded(properties))
    return response


def _of_request(request: Any, urn: str) -> Registration:
    """A registration request, as far as the cloud and a destroy need it."""
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
            key: tuple(sorted(set(value.urns))) for key, value in request.propertyDependencies.items()
        },
        provider=request.provider,
        providers=dict(request.providers),
        protect=request.protect,
        deleted_with=request.deletedWith,
        retain_on_delete=request.retainOnDelete,
        ignore_changes=tuple(request.ignoreChanges),
        custom_timeouts={kind: getattr(request.customTimeouts, kind) for kind in ("create", "update", "delete")},
    )


def _holds_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_secret(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_secret(inner) for inner in value)
    return isinstance(value, Secret)


def _fact(reference: str, made: Mapping[str, Registration]) -> Any:
    """What ``${reference}`` stands for."""
    if reference == "partition":
        return "aws"
    if reference == "kubeconfig.json":
        return _kubeconfig(made["cluster"])
    key, _, output = reference.partition(".")
    if output == "thumbprint":
        return THUMBPRINT
    if output == "issuer":
        return made[key].outputs["identities"][0]["oidcs"][0]["issuer"]
    return made[key].id if output == "id" else made[key].outputs[output]


def _kubeconfig(cluster: Registration) -> str:
    outputs = cluster.outputs
    return kubeconfig(outputs["name"], outputs["endpoint"], outputs["certificateAuthority"]["data"], outputs["arn"])


def _outputs(given: Mapping[str, Any], made: Mapping[str, Registration], group: Any) -> dict[str, Any]:
    cluster, written = made["cluster"].outputs, _kubeconfig(made["cluster"])
    issuer = cluster["identities"][0]["oidcs"][0]["issuer"]
    return {
        "eksCluster": Reference(made["cluster"].urn),
        "kubeconfig": json.loads(written),
        "kubeconfigJson": written,
        "clusterSecurityGroup": group,
        "clusterSecurityGroupId": (given.get("clusterSecurityGroup") or {}).get("id")
        or cluster["vpcConfig"]["clusterSecurityGroupId"],
        "nodeSecurityGroupId": cluster["vpcConfig"]["clusterSecurityGroupId"],
        "oidcProviderArn": made["oidc"].outputs["arn"] if "oidc" in made else "",
        "oidcProviderUrl": issuer,
        "oidcIssuer": issuer.removeprefix("https://"),
        "instanceRoles": [],
        "autoModeNodeRoleName": "",
        "core": {
            "cluster": Reference(made["cluster"].urn),
            "endpoint": cluster["endpoint"],
            "vpcId": given.get("vpcId"),
        },
    }
