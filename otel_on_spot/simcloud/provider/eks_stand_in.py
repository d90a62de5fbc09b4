"""A stand-in for the pulumi-eks component provider: it registers the same children with the engine.

The children are those of ``program.eks_cluster``, so that plan and engine see one cluster; a test compares them with
the real provider's wherever its plugin is there. Run as a module, it prints its port.
"""

import asyncio
import json
import signal
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import pulumi
from google.protobuf import empty_pb2
from grpc import aio  # ty: ignore[possibly-missing-import]
from pulumi.provider.provider import ConstructResult, Provider
from pulumi.provider.server import ProviderServicer
from pulumi.runtime import rpc
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc
from typing_extensions import override

from otel_on_spot.program import eks_cluster
from otel_on_spot.program.eks_children import Child

READ = ("arn", "name", "endpoint", "certificateAuthority", "identities", "vpcConfig")
"""Outputs of children that other children, or the program, read."""


class ChildResource(pulumi.CustomResource):
    """A child of any type, with its properties under their names on the wire."""

    def __init__(self, token: str, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__(token, name, {**dict.fromkeys(READ), **inputs}, opts)


class ArgumentModule(rpc.ResourceModule):
    """Makes the resources among the component's arguments, without the AWS SDK: the engine tells their outputs."""

    @override
    def version(self) -> None:
        return None

    @override
    def construct(self, name: str, typ: str, urn: str) -> pulumi.Resource:
        """Resource of a reference."""
        return ChildResource(typ, name, {}, pulumi.ResourceOptions(urn=urn))


for module in ("ec2/securityGroup", "iam/role"):
    rpc.register_resource_module("aws", module, ArgumentModule())


class ResourceMaker:
    """Children as resources of the real engine; their outputs, and those among the arguments, are Outputs."""

    partition = "aws"
    aws_provider = None

    def __init__(self, component: pulumi.Resource) -> None:
        self.component = component

    def opened(self, value: Any) -> Any:
        """A resource as a map of its id and ARN, an unknown as an Output."""
        if isinstance(value, pulumi.output.Unknown):
            return pulumi.Output.from_input(value)
        return {"id": value.id, "arn": value.arn} if isinstance(value, ChildResource) else value

    def is_plain(self, leaf: Any) -> bool:
        """True where it is no Output."""
        return not isinstance(leaf, pulumi.Output)

    def make(
        self,
        child: Child,
        inputs: dict[str, Any],
        siblings: Mapping[str, set[str]],  # noqa: ARG002 (the Outputs among the inputs carry these edges)
        made: Mapping[str, Any],
    ) -> pulumi.Resource:
        """Register a child.

        Args:
            child: from the list of children.
            inputs: its inputs, references replaced.
            siblings: input -> keys of the siblings that it refers to; not needed here.
            made: key -> resource, for those made before.
        """
        after = [made[key] for key in child.after if isinstance(made[key], pulumi.CustomResource)]
        opts = pulumi.ResourceOptions(parent=made.get(child.below, self.component), depends_on=after)
        if child.ignore_changes:
            opts.ignore_changes = list(child.ignore_changes)
        if not child.custom:
            return pulumi.ComponentResource(child.type, child.name, None, opts)
        if child.type.startswith("pulumi:providers:"):
            # What is not a string travels as JSON in a provider's configuration.
            inputs = {key: json.dumps(value) if isinstance(value, bool) else value for key, value in inputs.items()}
            return pulumi.ProviderResource(child.type.rpartition(":")[2], child.name, inputs, opts)
        if child.type.startswith("kubernetes:"):
            opts.provider = made["kubernetes"]
        return ChildResource(child.type, child.name, inputs, opts)

    def output(self, made: Any, name: str) -> pulumi.Output[Any]:
        """An output of a child."""
        return getattr(made, name)

    def reference(self, made: Any) -> Any:
        """The child itself: it travels as a reference."""
        return made

    def combined(self, function: Callable[..., Any], *values: Any) -> pulumi.Output[Any]:
        """The result as an Output."""
        return pulumi.Output.all(*values).apply(lambda known: function(*known))


class EksStandIn(Provider):
    """``eks:index:Cluster``, and no other component."""

    def __init__(self) -> None:
        super().__init__(version("pulumi-eks"))

    @override
    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: Mapping[str, Any],
        options: pulumi.ResourceOptions | None = None,
    ) -> ConstructResult:
        """Register the cluster's children, and hand back what the real provider does.

        Raises:
            ValueError: it is another component than ``eks:index:Cluster``.
        """
        if resource_type != eks_cluster.TYPE:
            raise ValueError(f"{resource_type}: the stand-in for pulumi-eks makes {eks_cluster.TYPE} only")
        component = pulumi.ComponentResource(resource_type, name, None, options)
        outputs = eks_cluster.expand(name, inputs, ResourceMaker(component))
        component.register_outputs(outputs)
        return ConstructResult(component.urn, outputs)


class StandInServicer(ProviderServicer):
    """The SDK's servicer for components, and what an attached provider is asked beside."""

    @override
    async def Handshake(self, request: Any, context: Any) -> Any:
        """Learn where the engine is."""
        self.engine_address = request.engine_address
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True, accept_outputs=True)

    @override
    async def Attach(self, request: Any, context: Any) -> Any:
        """Learn where the engine is."""
        self.engine_address = request.address
        return empty_pb2.Empty()

    @override
    async def CheckConfig(self, request: Any, context: Any) -> Any:
        """Take the configuration as it is."""
        return provider_pb2.CheckResponse(inputs=request.news)

    @override
    async def DiffConfig(self, request: Any, context: Any) -> Any:
        """No configuration matters."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)


async def _serve() -> None:
    server = aio.server(options=_GRPC_CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(StandInServicer(EksStandIn(), [], ""), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(grace=1)


if __name__ == "__main__":
    asyncio.run(_serve())
