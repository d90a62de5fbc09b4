"""AWS goes on without the caller: what is still being made is waited for, so that an update finds it complete.

Source of the states: https://docs.aws.amazon.com/eks/latest/APIReference/API_Cluster.html, API_Nodegroup.html, API_Addon.html;
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NatGateway.html, API_VpcEndpoint.html
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

Clients = Callable[[str], Any]
Inputs = Mapping[str, Any]

POLL_SECONDS = 10.0
PATIENCE_SECONDS = 1800.0
"""A control plane takes about ten minutes, the slowest thing here."""
AT_WORK = ("creating", "pending", "updating")
FAILED = ("failed", "create_failed", "degraded")


def _cluster(clients: Clients, _: Inputs, identity: str) -> str:
    return clients("eks").describe_cluster(name=identity)["cluster"]["status"]


def _node_group(clients: Clients, inputs: Inputs, _: str) -> str:
    told = clients("eks").describe_nodegroup(clusterName=inputs["clusterName"], nodegroupName=inputs["nodeGroupName"])
    return told["nodegroup"]["status"]


def _addon(clients: Clients, inputs: Inputs, _: str) -> str:
    told = clients("eks").describe_addon(clusterName=inputs["clusterName"], addonName=inputs["addonName"])
    status = told["addon"]["status"]
    return "ACTIVE" if status == "DEGRADED" else status  # it may wait for the nodes that the next update makes


def _nat(clients: Clients, _: Inputs, identity: str) -> str:
    return clients("ec2").describe_nat_gateways(NatGatewayIds=[identity])["NatGateways"][0]["State"]


def _endpoint(clients: Clients, _: Inputs, identity: str) -> str:
    return clients("ec2").describe_vpc_endpoints(VpcEndpointIds=[identity])["VpcEndpoints"][0]["State"]


STATUS: Mapping[str, Callable[[Clients, Inputs, str], str]] = {
    "aws:ec2/natGateway:NatGateway": _nat,
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:eks/addon:Addon": _addon,
    "aws:eks/cluster:Cluster": _cluster,
    "aws:eks/nodeGroup:NodeGroup": _node_group,
}
"""Type -> its status as AWS tells it."""


def settle(
    clients: Clients,
    type_token: str,
    inputs: Inputs,
    identity: str,
    tell: Callable[[str], None],
    *,
    patience: float = PATIENCE_SECONDS,
    poll: float = POLL_SECONDS,
) -> str:
    """Wait until AWS has finished what it was told to make: the problem that is left, or nothing.

    Args:
        patience: real seconds until waiting is given up.
        poll: real seconds between two looks.

    Raises:
        botocore.exceptions.ClientError: it is not there, or AWS refuses the look.
    """
    look = STATUS.get(type_token)
    if look is None:
        return ""
    end, told = time.monotonic() + patience, False
    while True:
        status = str(look(clients, inputs, identity)).lower()
        if status in FAILED:
            return f"{identity} is there and {status.upper()}: delete it, then recover again"
        if status not in AT_WORK:
            return ""
        if time.monotonic() > end:
            return f"{identity} is still {status.upper()} after {patience:.0f} s: recover again when it is done"
        if not told:
            tell(f"waiting for {identity}, which is {status.upper()}")
            told = True
        time.sleep(poll)
