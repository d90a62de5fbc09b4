"""Whose a thing is that a pending create finds: this stack's where it carries the stack's tags, and nobody's else.

A create that ended with "already exists" is pending in the state like one that was cut off, and the thing of that name
then belongs to somebody: another stack, another region's in the case of IAM, EKS itself, or a person. What has no tags
is judged by what it is a part of. IAM's names are the account's: there the program's own tag ``otel-on-spot/stack``
tells two stacks of one cluster name apart, and where both are older than that tag, the time does, for nothing of a
stack is older than the stack's own provider.

Tags are sent with each create (``TagSpecifications``, ``Tags``): a create that was cut off has left them.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html,
https://docs.aws.amazon.com/eks/latest/userguide/eks-using-tags.html,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from otel_on_spot.iam import tags_of
from otel_on_spot.program.resource_types import ProviderScope, fields, resource_type
from otel_on_spot.recovery.deployment import State, default_tags, provider_of

Inputs = Mapping[str, Any]
Clients = Callable[[str], Any]
CLOCKS: Final = timedelta(minutes=5)
"""Clocks of this machine and of AWS may differ by so much."""


@dataclass(frozen=True, kw_only=True)
class Live:
    """A thing as AWS tells it: its tags, and when it was made where AWS says."""

    tags: Mapping[str, str]
    made_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What is this stack's own.

    ``tags``: those that its provider gives to everything; ``held``: (type, id) of what its state holds; ``told``: the
    outputs in its state, as text; ``since``: when its provider was made, None where the state does not say.
    """

    tags: Mapping[str, str]
    held: Collection[tuple[str, str]]
    told: str
    since: datetime | None
    scope: ProviderScope


def stack_of(state: State, resource: Mapping[str, Any], scope: ProviderScope) -> Stack:
    """What is the own of the stack whose state this is, seen from a pending resource of it."""
    provider = provider_of(state, resource)
    resources = state["deployment"].get("resources") or []
    since = provider.get("created")
    return Stack(
        tags=default_tags(provider.get("inputs") or {}),
        held={(str(entry["type"]), str(entry["id"])) for entry in resources if entry.get("id")},
        told=json.dumps([entry.get("outputs") for entry in resources]),
        since=datetime.fromisoformat(since) if since else None,
        scope=scope,
    )


Reader = Callable[[Clients, Inputs, str, ProviderScope], Live]
"""(clients, inputs, id, scope) -> the thing. Raises ClientError where it is not there."""


def _live(row: Mapping[str, Any], made_at: str = "CreateDate") -> Live:
    return Live(tags=tags_of(row.get("Tags")), made_at=row.get(made_at))


def _role(clients: Clients, _: Inputs, identity: str, __: ProviderScope) -> Live:
    return _live(clients("iam").get_role(RoleName=identity.rpartition("/")[2])["Role"])


def _instance_profile(clients: Clients, _: Inputs, identity: str, __: ProviderScope) -> Live:
    return _live(clients("iam").get_instance_profile(InstanceProfileName=identity)["InstanceProfile"])


def _policy(clients: Clients, _: Inputs, identity: str, __: ProviderScope) -> Live:
    return _live(clients("iam").get_policy(PolicyArn=identity)["Policy"])


def _issuer(clients: Clients, _: Inputs, identity: str, __: ProviderScope) -> Live:
    return _live(clients("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=identity))


def _rule(clients: Clients, inputs: Inputs, identity: str, _: ProviderScope) -> Live:
    events, bus = clients("events"), inputs.get("eventBusName") or "default"
    arn = events.describe_rule(Name=identity.rpartition("/")[2], EventBusName=bus)["Arn"]
    return _live(events.list_tags_for_resource(ResourceARN=arn))


def _queue(clients: Clients, _: Inputs, identity: str, __: ProviderScope) -> Live:
    sqs = clients("sqs")
    url = sqs.get_queue_url(QueueName=identity.rpartition("/")[2])["QueueUrl"]
    return Live(tags=sqs.list_queue_tags(QueueUrl=url).get("Tags") or {})


def _log_group(clients: Clients, inputs: Inputs, _: str, scope: ProviderScope) -> Live:
    arn = resource_type("aws:cloudwatch/logGroup:LogGroup").arn.format_map(fields(inputs, scope))
    return Live(tags=clients("logs").list_tags_for_resource(resourceArn=arn).get("tags") or {})


def _key(clients: Clients, _: Inputs, identity: str, __: ProviderScope) -> Live:
    listed = clients("kms").list_resource_tags(KeyId=identity)["Tags"]
    return Live(tags={tag["TagKey"]: tag["TagValue"] for tag in listed})


def _of_ec2(clients: Clients, _: Inputs, identity: str, __: ProviderScope) -> Live:
    return _live(clients("ec2").describe_tags(Filters=[{"Name": "resource-id", "Values": [identity]}]))


def _of_eks(call: str, answer: str, **arguments: str) -> Reader:
    """Reader of something of EKS. ``arguments``: argument of the call -> the input with its value, empty for the id."""

    def read(clients: Clients, inputs: Inputs, identity: str, _: ProviderScope) -> Live:
        asked = {name: inputs[key] if key else identity for name, key in arguments.items()}
        found = getattr(clients("eks"), call)(**asked)[answer]
        return Live(tags=found.get("tags") or {})

    return read


READERS: Final[Mapping[str, Reader]] = {
    "aws:cloudwatch/eventRule:EventRule": _rule,
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:ec2/launchTemplate:LaunchTemplate": _of_ec2,
    "aws:ec2/routeTable:RouteTable": _of_ec2,
    "aws:ec2/securityGroup:SecurityGroup": _of_ec2,
    "aws:eks/accessEntry:AccessEntry": _of_eks(
        "describe_access_entry", "accessEntry", clusterName="clusterName", principalArn="principalArn"
    ),
    "aws:eks/addon:Addon": _of_eks("describe_addon", "addon", clusterName="clusterName", addonName="addonName"),
    "aws:eks/cluster:Cluster": _of_eks("describe_cluster", "cluster", name=""),
    "aws:eks/nodeGroup:NodeGroup": _of_eks(
        "describe_nodegroup", "nodegroup", clusterName="clusterName", nodegroupName="nodeGroupName"
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": _of_eks(
        "describe_pod_identity_association", "association", clusterName="clusterName", associationId=""
    ),
    "aws:iam/instanceProfile:InstanceProfile": _instance_profile,
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": _issuer,
    "aws:iam/policy:Policy": _policy,
    "aws:iam/role:Role": _role,
    "aws:iam/serviceLinkedRole:ServiceLinkedRole": _role,
    "aws:kms/key:Key": _key,
    "aws:sqs/queue:Queue": _queue,
}
"""Type -> how its tags are read. The finders of the other types with an id of AWS's look at the tags themselves."""


def _target_key(clients: Clients, _: Inputs, identity: str) -> str:
    return str(clients("kms").describe_key(KeyId=identity)["KeyMetadata"]["KeyId"])


WHOLES: Final[Mapping[str, tuple[str, Callable[[Clients, Inputs, str], str]]]] = {
    "aws:cloudwatch/eventTarget:EventTarget": (
        "aws:cloudwatch/eventRule:EventRule",
        lambda _, inputs, __: inputs["rule"],
    ),
    "aws:ec2/route:Route": ("aws:ec2/routeTable:RouteTable", lambda _, inputs, __: inputs["routeTableId"]),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": (
        "aws:ec2/routeTable:RouteTable",
        lambda _, inputs, __: inputs["routeTableId"],
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": (
        "aws:eks/accessEntry:AccessEntry",
        lambda _, inputs, __: f"{inputs['clusterName']}:{inputs['principalArn']}",
    ),
    "aws:iam/rolePolicy:RolePolicy": ("aws:iam/role:Role", lambda _, inputs, __: inputs["role"]),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ("aws:iam/role:Role", lambda _, inputs, __: inputs["role"]),
    "aws:kms/alias:Alias": ("aws:kms/key:Key", _target_key),
    "aws:sqs/queuePolicy:QueuePolicy": ("aws:sqs/queue:Queue", lambda _, inputs, __: inputs["queueUrl"]),
}
"""Type without tags -> the type of what it is a part of, and how that one's id is found."""


def foreign(clients: Clients, token: str, inputs: Inputs, identity: str, stack: Stack) -> str:
    """Owner of a found thing, where it is not this stack's; empty where it is.

    Args:
        clients: service -> its boto3 client.
        token: type of the thing.
        inputs: what the pending create asked for.
        identity: its id.
        stack: what is this stack's own.

    Raises:
        botocore.exceptions.ClientError: it is not there, or AWS refuses the look.
    """
    if not stack.tags:
        return f"{identity} may be anybody's: the stack's provider gives no tags that would tell"
    if token == "aws:ec2/tag:Tag":
        return _foreign_tag(clients, inputs, stack)
    if token in WHOLES:
        whole, find = WHOLES[token]
        found = find(clients, inputs, identity)
        if (whole, found) in stack.held:
            return ""
        why = _difference(READERS[whole](clients, inputs, found, stack.scope), stack.tags, stack, whole)
        return f"{identity} belongs to {found}, and that is another's: {why}" if why else ""
    if token not in READERS:
        return ""
    asked = {**stack.tags, **(inputs.get("tags") or {})}
    why = _difference(READERS[token](clients, inputs, identity, stack.scope), asked, stack, token)
    return f"{identity} is there and is another's: {why}" if why else ""


def _difference(live: Live, asked: Mapping[str, str], stack: Stack, token: str) -> str:
    """Difference between a thing and one that this stack would have made; empty where there is none."""
    wrong = {key: value for key, value in asked.items() if live.tags.get(key) != value}
    if wrong:
        carries = ", ".join(f"{key}={live.tags[key]}" for key in wrong if key in live.tags)
        carries = carries or ("no tag of this stack" if live.tags else "no tag at all")
        return f"it carries {carries}; this stack's has {', '.join(f'{key}={value}' for key, value in wrong.items())}"
    older = live.made_at is not None and stack.since is not None and live.made_at < stack.since - CLOCKS
    if resource_type(token).is_global and older:
        return (
            f"it was made {live.made_at:%Y-%m-%d %H:%M}, before this stack's first resource "
            f"({stack.since:%Y-%m-%d %H:%M}): by a stack of the same cluster name, in another region or destroyed"
        )
    return ""


def _foreign_tag(clients: Clients, inputs: Inputs, stack: Stack) -> str:
    """Owner of a single tag: this stack's on a thing that its outputs name (EKS's own security group), as asked for."""
    resource, key = inputs["resourceId"], inputs["key"]
    filters = [{"Name": "resource-id", "Values": [resource]}, {"Name": "key", "Values": [key]}]
    values = [tag["Value"] for tag in clients("ec2").describe_tags(Filters=filters)["Tags"]]
    if values and f'"{resource}"' not in stack.told:
        return f"{resource} is another's: nothing in this stack's state names it"
    if values and values != [inputs["value"]]:
        return f"tag {key} of {resource} is another's: it is {values[0]}, this stack's would be {inputs['value']}"
    return ""
