"""A stand-in for the pulumi-eks component provider: it registers the same children with the engine.

The children are those of ``plan.eks_component``, so that plan and engine see one cluster; a test compares them with the
real provider's wherever its plugin is there. Run as ``python -m otel_on_spot.simcloud.provider.eks_stand_in``; it prints its port.
"""

import asyncio
import json
import signal
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import grpc
import pulumi
from google.protobuf import empty_pb2
from pulumi.provider.provider import ConstructResult, Provider
from pulumi.provider.server import ProviderServicer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc
from typing_extensions import override

from otel_on_spot.plan.eks_component import TYPE
from otel_on_spot.program import eks_children
from otel_on_spot.simcloud.provider.kubeconfig import THUMBPRINT, kubeconfig
from otel_on_spot.simcloud.provider.placeholders import Placeholders

READ = ("arn", "name", "endpoint", "certificateAuthority", "identities", "vpcConfig")
"""Outputs of children that other children, or the program, read."""


class Child(pulumi.CustomResource):
    """A child of any type, with its properties under their names on the wire."""

    def __init__(self, token: str, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__(token, name, {**dict.fromkeys(READ), **inputs}, opts)


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
        """Register the cluster's children, and hand back what the real provider does."""
        if resource_type != TYPE:
            raise ValueError(f"{resource_type}: the stand-in for pulumi-eks makes {TYPE} only")
        component = pulumi.ComponentResource(resource_type, name, None, options)
        given = dict(inputs)
        values = Placeholders(given)
        made: dict[str, Any] = {}
        for child in eks_children.children(name, values.plain):
            made[child.key] = _register(child, component, made, values)
        outputs = _outputs(given, made)
        component.register_outputs(outputs)
        return ConstructResult(component.urn, outputs)


def _register(
    child: eks_children.Child, component: pulumi.Resource, made: Mapping[str, Any], values: Placeholders
) -> pulumi.Resource:
    parent = made[child.below] if child.below else component
    after = [made[key] for key in child.after if isinstance(made[key], pulumi.CustomResource)]
    opts = pulumi.ResourceOptions(parent=parent, depends_on=after)
    if child.ignore_changes:
        opts.ignore_changes = list(child.ignore_changes)
    if not child.custom:
        return pulumi.ComponentResource(child.type, child.name, None, opts)
    inputs = values.filled(child.inputs, lambda reference: _sibling(reference, made))
    if child.type.startswith("pulumi:providers:"):
        # What is not a string travels as JSON in a provider's configuration.
        inputs = {key: json.dumps(value) if isinstance(value, bool) else value for key, value in inputs.items()}
        return pulumi.ProviderResource("kubernetes", child.name, inputs, opts)
    if child.type.startswith("kubernetes:"):
        opts.provider = made["kubernetes"]
    return Child(child.type, child.name, inputs, opts)


def _sibling(reference: str, made: Mapping[str, Any]) -> pulumi.Input[Any]:
    """What ``${reference}`` stands for."""
    if reference == "partition":
        return "aws"
    if reference == "kubeconfig.json":
        return _kubeconfig(made["cluster"])
    key, _, output = reference.partition(".")
    if output == "thumbprint":
        return THUMBPRINT
    if output == "issuer":
        return made[key].identities.apply(lambda identities: identities[0]["oidcs"][0]["issuer"])
    return getattr(made[key], output)


def _kubeconfig(cluster: Any) -> pulumi.Output[str]:
    known = pulumi.Output.all(cluster.name, cluster.endpoint, cluster.certificateAuthority, cluster.arn)
    return known.apply(lambda facts: kubeconfig(facts[0], facts[1], facts[2]["data"], facts[3]))


def _outputs(given: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    cluster, group = made["cluster"], given.get("clusterSecurityGroup")
    written = _kubeconfig(cluster)
    issuer = cluster.identities.apply(lambda identities: identities[0]["oidcs"][0]["issuer"])
    own_group = cluster.vpcConfig.apply(lambda network: network["clusterSecurityGroupId"])
    return {
        "eksCluster": cluster,
        "kubeconfig": written.apply(json.loads),
        "kubeconfigJson": written,
        "clusterSecurityGroup": group,
        "clusterSecurityGroupId": own_group,
        "nodeSecurityGroupId": own_group,
        "instanceRoles": [],
        "clusterIngressRuleId": "",
        "defaultNodeGroupAsgName": "",
        "fargateProfileId": "",
        "fargateProfileStatus": "",
        "autoModeNodeRoleName": "",
        "oidcProviderArn": made["oidc"].arn if "oidc" in made else "",
        "oidcProviderUrl": issuer,
        "oidcIssuer": issuer.apply(lambda url: url.removeprefix("https://")),
        "core": {"cluster": cluster, "endpoint": cluster.endpoint, "vpcId": given.get("vpcId")},
    }


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
    async def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """The version that this stands for."""
        return plugin_pb2.PluginInfo(version=version("pulumi-eks"))

    @override
    async def CheckConfig(self, request: Any, context: Any) -> Any:
        """Take the configuration as it is."""
        return provider_pb2.CheckResponse(inputs=request.news)

    @override
    async def DiffConfig(self, request: Any, context: Any) -> Any:
        """No configuration matters."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    @override
    async def Cancel(self, request: Any, context: Any) -> Any:
        """Nothing to cancel."""
        return empty_pb2.Empty()


async def _serve() -> None:
    server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
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
