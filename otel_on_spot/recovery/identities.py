"""Ids that follow from the inputs: nothing has to be looked up, the provider's own read says whether the thing is there.

Source of the AWS ids: the resources' ``d.SetId`` in https://github.com/hashicorp/terraform-provider-aws/tree/main/internal/service
(``RouteCreateID``, ``TargetCreateResourceID``, ``AddonCreateResourceID`` and so on). Kubernetes ids are ``namespace/name``,
of a kind without a namespace ``name``: https://github.com/pulumi/pulumi-kubernetes (``fqName``).
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.names import StackNames

Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Account:
    """Where AWS ids point to."""

    id: str
    region: str

    @property
    def partition(self) -> str:
        """``aws``, or a partition of its own."""
        return StackNames(cluster="", region=self.region).partition

    @property
    def domain(self) -> str:
        """Domain of the partition's endpoints."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"


def _route(inputs: Inputs, _: Account) -> str:
    destination = inputs.get("destinationCidrBlock") or inputs["destinationIpv6CidrBlock"]
    return f"r-{inputs['routeTableId']}{zlib.crc32(str(destination).encode())}"


def _rule(inputs: Inputs, _: Account) -> str:
    bus = inputs.get("eventBusName") or "default"
    return str(inputs["name"]) if bus == "default" else f"{bus}/{inputs['name']}"


def _target(inputs: Inputs, _: Account) -> str:
    bus = inputs.get("eventBusName") or "default"
    name = f"{inputs['rule']}-{inputs['targetId']}"
    return name if bus == "default" else f"{bus}-{name}"


def _policy(inputs: Inputs, account: Account) -> str:
    return f"arn:{account.partition}:iam::{account.id}:policy{inputs.get('path') or '/'}{inputs['name']}"


def _queue(inputs: Inputs, account: Account) -> str:
    return f"https://sqs.{account.region}.{account.domain}/{account.id}/{inputs['name']}"


def _oidc(inputs: Inputs, account: Account) -> str:
    issuer = str(inputs["url"]).removeprefix("https://")
    return f"arn:{account.partition}:iam::{account.id}:oidc-provider/{issuer}"


def _named(key: str) -> Callable[[Inputs, Account], str]:
    return lambda inputs, _: str(inputs[key])


def _joined(separator: str, *keys: str) -> Callable[[Inputs, Account], str]:
    return lambda inputs, _: separator.join(str(inputs[key]) for key in keys)


COMPUTED: Mapping[str, Callable[[Inputs, Account], str]] = {
    "aws:cloudwatch/eventRule:EventRule": _rule,
    "aws:cloudwatch/eventTarget:EventTarget": _target,
    "aws:cloudwatch/logGroup:LogGroup": _named("name"),
    "aws:ec2/route:Route": _route,
    "aws:ec2/tag:Tag": _joined(",", "resourceId", "key"),
    "aws:eks/accessEntry:AccessEntry": _joined(":", "clusterName", "principalArn"),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": _joined("#", "clusterName", "principalArn", "policyArn"),
    "aws:eks/addon:Addon": _joined(":", "clusterName", "addonName"),
    "aws:eks/cluster:Cluster": _named("name"),
    "aws:eks/nodeGroup:NodeGroup": _joined(":", "clusterName", "nodeGroupName"),
    "aws:iam/instanceProfile:InstanceProfile": _named("name"),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": _oidc,
    "aws:iam/policy:Policy": _policy,
    "aws:iam/role:Role": _named("name"),
    "aws:iam/rolePolicy:RolePolicy": _joined(":", "role", "name"),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _joined("/", "role", "policyArn"),
    "aws:kms/alias:Alias": _named("name"),
    "aws:sqs/queue:Queue": _queue,
    "aws:sqs/queuePolicy:QueuePolicy": _named("queueUrl"),
}
"""Type -> its id, from its inputs."""


def kubernetes_id(type_token: str, inputs: Inputs) -> str:
    """Id of a Kubernetes object or a Helm release."""
    if type_token.startswith("kubernetes:helm.sh/"):
        return f"{inputs.get('namespace') or 'default'}/{inputs['name']}"
    metadata = inputs["metadata"]
    return "/".join(str(metadata[key]) for key in ("namespace", "name") if metadata.get(key))
