"""AWS goes on without the caller: what is still being made is waited for, so that an update finds it complete.

The status is read here in place of boto3's waiters, which know no VPC endpoint and take a degraded add-on for failed.

Source of the states: https://docs.aws.amazon.com/eks/latest/APIReference/API_Cluster.html, API_Nodegroup.html,
API_Addon.html; https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NatGateway.html, API_VpcEndpoint.html
"""

from collections.abc import Callable, Mapping
from typing import Any

from otel_on_spot.waiting import wait_until

Clients = Callable[[str], Any]
Inputs = Mapping[str, Any]

POLL_SECONDS = 10.0
TIMEOUT_SECONDS = 1800.0
"""A control plane takes about ten minutes, the slowest thing here."""
IN_PROGRESS = ("CREATING", "PENDING", "UPDATING")
FAILED = ("FAILED", "CREATE_FAILED", "DEGRADED")


def _cluster(clients: Clients, _: Inputs, identity: str) -> str:
    return clients("eks").describe_cluster(name=identity)["cluster"]["status"]


def _node_group(clients: Clients, inputs: Inputs, _: str) -> str:
    names = {"clusterName": inputs["clusterName"], "nodegroupName": inputs["nodeGroupName"]}
    return clients("eks").describe_nodegroup(**names)["nodegroup"]["status"]


def _addon(clients: Clients, inputs: Inputs, _: str) -> str:
    names = {"clusterName": inputs["clusterName"], "addonName": inputs["addonName"]}
    status = clients("eks").describe_addon(**names)["addon"]["status"]
    return "ACTIVE" if status == "DEGRADED" else status  # it may wait for the nodes that the next update makes


def _nat_gateway(clients: Clients, _: Inputs, identity: str) -> str:
    return clients("ec2").describe_nat_gateways(NatGatewayIds=[identity])["NatGateways"][0]["State"]


def _endpoint(clients: Clients, _: Inputs, identity: str) -> str:
    return clients("ec2").describe_vpc_endpoints(VpcEndpointIds=[identity])["VpcEndpoints"][0]["State"]


STATUS: Mapping[str, Callable[[Clients, Inputs, str], str]] = {
    "aws:ec2/natGateway:NatGateway": _nat_gateway,
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:eks/addon:Addon": _addon,
    "aws:eks/cluster:Cluster": _cluster,
    "aws:eks/nodeGroup:NodeGroup": _node_group,
}
"""Type -> its status as AWS gives it."""


def settle(
    clients: Clients,
    type_token: str,
    inputs: Inputs,
    identity: str,
    log: Callable[[str], None],
    *,
    every: float = POLL_SECONDS,
) -> str:
    """Wait until AWS has finished what it began to make.

    Args:
        clients: service -> its boto3 client.
        type_token: of the resource.
        inputs: of the resource.
        identity: its id.
        log: gets a line where there is something to wait for.
        every: seconds between two looks.

    Returns:
        The problem that is left, or nothing.

    Raises:
        botocore.exceptions.ClientError: it is not there, or AWS refuses the look.
    """
    read = STATUS.get(type_token)
    if read is None:
        return ""

    def status() -> str:
        return read(clients, inputs, identity).upper()

    def finished() -> str:
        return "" if (now := status()) in IN_PROGRESS else now

    last = status()
    if last in IN_PROGRESS:
        log(f"waiting for {identity}, which is {last}")
        last = wait_until(finished, TIMEOUT_SECONDS, every)
        if not last:
            return f"{identity} is still being made after {TIMEOUT_SECONDS:.0f} s: recover again when it is done"
    return f"{identity} is there and {last}: delete it, then recover again" if last in FAILED else ""
