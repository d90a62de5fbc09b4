"""What the clouds would answer: computed outputs per type, so that nothing is None where AWS would give a value.

The SDK's own classes say which outputs a type always has; a table gives those whose shape matters. At preview the
engine knows only what it was given: computed outputs are unknown.
"""

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, get_args, get_origin

import pulumi
from pulumi.runtime import rpc

from otel_on_spot.plan.identities import arn, object_name, physical_name, short_hash
from otel_on_spot.program.recording import Registration
from otel_on_spot.program.resource_types import ProviderScope, is_release
from otel_on_spot.program.values import UNKNOWN, Secret, revealed

PARTLY_COMPUTED: Final = {"vpcConfig"}
"""Inputs that come back with more in them than was given."""


def outputs(registration: Registration, scope: ProviderScope, *, preview: bool) -> dict[str, Any]:
    """All outputs of a resource: its inputs, and what the cloud computes. None for a component."""
    if not registration.custom:
        return {}
    given = {key: value for key, value in registration.inputs.items() if value is not None}
    if registration.type.startswith("pulumi:providers:"):
        return given
    specific = _specific(registration, scope)
    required = required_outputs(registration.type)
    if preview:
        unknown = dict.fromkeys({*required, *specific} - given.keys(), UNKNOWN)
        partly = {
            key: merged(dict.fromkeys(revealed(specific[key]), UNKNOWN), given[key])
            for key in PARTLY_COMPUTED & given.keys() & specific.keys()
        }
        found = unknown | given | partly | _named(registration)
    else:
        generic = {key: _filled(kind, registration, scope, key) for key, kind in required.items() if key not in given}
        found = generic | given | specific | _named(registration)
    return found | {
        key: Secret(found[key])
        for key in registration.secret_outputs
        if key in found and found[key] is not UNKNOWN and not isinstance(found[key], Secret)
    }


def invoke(token: str, arguments: Mapping[str, Any], scope: ProviderScope) -> dict[str, Any] | None:
    """The answer to a provider function, or None where a plan has none."""
    region = scope.region
    known: dict[str, dict[str, Any]] = {
        "aws:index/getCallerIdentity:getCallerIdentity": {
            "accountId": scope.account,
            "arn": f"arn:{scope.partition}:iam::{scope.account}:role/plan",
            "userId": "plan",
            "id": scope.account,
        },
        "aws:index/getPartition:getPartition": {
            "partition": scope.partition,
            "dnsSuffix": scope.dns_suffix,
            "reverseDnsPrefix": ".".join(reversed(scope.dns_suffix.split("."))),
            "id": scope.partition,
        },
        "aws:index/getRegion:getRegion": {
            "name": region,
            "region": region,
            "id": region,
            "description": region,
            "endpoint": f"ec2.{region}.{scope.dns_suffix}",
        },
        # A plan has no cloud: nothing is there yet.
        "aws:ec2/getSecurityGroups:getSecurityGroups": {"ids": [], "arns": [], "vpcIds": [], "id": region},
        "aws:index/getAvailabilityZones:getAvailabilityZones": {
            "names": [f"{region}{suffix}" for suffix in "abc"],
            "zoneIds": [f"{region}-az{number}" for number in (1, 2, 3)],
            "groupNames": [region],
            "id": region,
        },
    }
    answer = known.get(token)
    return answer | dict(arguments) if answer is not None else None


@cache
def required_outputs(token: str) -> dict[str, Any]:
    """Outputs that the SDK's class of an AWS type always has: wire name -> Python type. Empty for any other type."""
    cls = sdk_class(token) if token.startswith("aws:") else None
    found: dict[str, Any] = {}
    for attribute in vars(cls).values() if cls else ():
        getter = getattr(attribute, "fget", None)
        wire_name = getattr(getter, "_pulumi_name", None)
        if wire_name is None:
            continue
        annotation = getter.__annotations__.get("return")
        if get_origin(annotation) is pulumi.Output:
            (kind,) = get_args(annotation)
            if type(None) not in get_args(kind):
                found[wire_name] = kind
    return found


def sdk_class(token: str) -> type | None:
    """The SDK's class of a type token, by the SDK's own register; only from what the program loaded already."""
    package, module, _ = token.split(":")
    registered = rpc.get_resource_module(package, module, "")
    facts = getattr(registered, "mod_info", None)
    if facts is None or facts["fqn"] not in sys.modules or token not in facts["classes"]:
        return None
    return getattr(sys.modules[facts["fqn"]], facts["classes"][token], None)


def _filled(kind: Any, registration: Registration, scope: ProviderScope, key: str) -> Any:
    origin = get_origin(kind) or kind
    if key == "arn":
        return arn(registration, scope, registration.id)
    if key == "region":
        return scope.region
    if key in ("name", "namePrefix"):
        return physical_name(registration)
    if origin is bool:
        return False
    if origin in (int, float):
        return 1
    if origin is str:
        return f"{registration.name}-{key}"
    return [] if isinstance(origin, type) and issubclass(origin, Sequence) else {}


def _named(registration: Registration) -> dict[str, Any]:
    """The name that the provider gives an object without one, known at preview too."""
    if is_release(registration.type):
        return {} if registration.inputs.get("name") else {"name": physical_name(registration)}
    metadata = registration.inputs.get("metadata")
    if registration.type.startswith("kubernetes:") and (metadata is None or isinstance(metadata, Mapping)):
        return {"metadata": {"name": object_name(registration)} | dict(metadata or {})}
    return {}


def _specific(registration: Registration, scope: ProviderScope) -> dict[str, Any]:
    """Computed outputs whose shape matters."""
    urn_hash = short_hash(registration.urn)
    identity = registration.id or urn_hash
    match registration.type:
        case "aws:sqs/queue:Queue":
            return {"url": identity}
        case "aws:kms/key:Key":
            return {"keyId": identity}
        case "aws:ec2/eip:Eip":
            return {"allocationId": identity, "publicIp": "192.0.2.1"}
        case "aws:ec2/vpc:Vpc":
            return {key: f"{kind}-{urn_hash}" for key, kind in VPC_DEFAULTS.items()}
        case "aws:eks/accessEntry:AccessEntry":
            return {} if registration.inputs.get("type") else {"type": "STANDARD"}
        case "aws:eks/nodeGroup:NodeGroup":
            return {"nodeGroupName": physical_name(registration, "nodeGroupName"), "status": "ACTIVE"}
        case "aws:eks/cluster:Cluster":
            return _cluster(registration, scope)
        case token if is_release(token):
            status = {"status": "deployed", "revision": 1, "name": physical_name(registration)}
            return {"status": status, "resourceNames": {}, "manifest": {}}
    return {}


VPC_DEFAULTS: Final = {
    "defaultNetworkAclId": "acl",
    "defaultRouteTableId": "rtb",
    "defaultSecurityGroupId": "sg",
    "dhcpOptionsId": "dopt",
    "mainRouteTableId": "rtb",
}
"""What every VPC comes with, and the prefix of its id."""


def _cluster(registration: Registration, scope: ProviderScope) -> dict[str, Any]:
    own = short_hash(registration.urn)
    issuer = f"https://oidc.eks.{scope.region}.{scope.dns_suffix}/id/{own.upper()}"
    authority = {"data": "cGxhbg=="}
    return {
        "endpoint": f"https://{own.upper()}.gr7.{scope.region}.eks.{scope.dns_suffix}",
        "certificateAuthority": authority,
        "certificateAuthorities": [authority],
        "identities": [{"oidcs": [{"issuer": issuer}]}],
        "status": "ACTIVE",
        "platformVersion": "eks.1",
        "vpcConfig": merged(
            registration.inputs.get("vpcConfig") or {}, {"clusterSecurityGroupId": f"sg-{own}", "vpcId": f"vpc-{own}"}
        ),
    }


def merged(one: Any, other: Any) -> Any:
    """Two maps as one, the second winning; secret if either is."""
    if isinstance(one, Secret) or isinstance(other, Secret):
        return Secret(merged(*(side.value if isinstance(side, Secret) else side for side in (one, other))))
    return dict(one) | dict(other)
