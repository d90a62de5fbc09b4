"""What the clouds would answer: computed outputs per type, so that nothing is None where AWS would give a value.

The SDK's own classes say which outputs a type always has; a table gives those whose shape matters. At preview the
engine knows only what it was given: computed outputs are unknown.
"""

import hashlib
import importlib
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, get_args, get_origin

import pulumi

from plan.recording import Registration
from plan.values import UNKNOWN, revealed

ACCOUNT: Final = "111122223333"
"""The account of AWS's own documentation examples."""
REGION: Final = "eu-west-1"

IDS: Final = {
    "aws:ec2/vpc:Vpc": "vpc",
    "aws:ec2/subnet:Subnet": "subnet",
    "aws:ec2/internetGateway:InternetGateway": "igw",
    "aws:ec2/natGateway:NatGateway": "nat",
    "aws:ec2/routeTable:RouteTable": "rtb",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "rtbassoc",
    "aws:ec2/eip:Eip": "eipalloc",
    "aws:ec2/securityGroup:SecurityGroup": "sg",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "sg",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "vpce",
    "aws:ec2/flowLog:FlowLog": "fl",
    "aws:ec2/launchTemplate:LaunchTemplate": "lt",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "sgr",
}
"""Prefix of an EC2 id."""

ARNS: Final = {
    "aws:iam/role:Role": "arn:aws:iam::{account}:role/{name}",
    "aws:iam/policy:Policy": "arn:aws:iam::{account}:policy/{name}",
    "aws:iam/instanceProfile:InstanceProfile": "arn:aws:iam::{account}:instance-profile/{name}",
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": "arn:aws:iam::{account}:oidc-provider/{url}",
    "aws:iam/serviceLinkedRole:ServiceLinkedRole": "arn:aws:iam::{account}:role/aws-service-role/{awsServiceName}/AWSServiceRole",
    "aws:sqs/queue:Queue": "arn:aws:sqs:{region}:{account}:{name}",
    "aws:cloudwatch/eventRule:EventRule": "arn:aws:events:{region}:{account}:rule/{name}",
    "aws:cloudwatch/logGroup:LogGroup": "arn:aws:logs:{region}:{account}:log-group:{name}",
    "aws:kms/key:Key": "arn:aws:kms:{region}:{account}:key/{id}",
    "aws:kms/alias:Alias": "arn:aws:kms:{region}:{account}:{name}",
    "aws:eks/cluster:Cluster": "arn:aws:eks:{region}:{account}:cluster/{name}",
    "aws:eks/nodeGroup:NodeGroup": "arn:aws:eks:{region}:{account}:nodegroup/{clusterName}/{nodeGroupName}/{hash}",
    "aws:eks/addon:Addon": "arn:aws:eks:{region}:{account}:addon/{clusterName}/{addonName}/{hash}",
    "aws:eks/accessEntry:AccessEntry": "arn:aws:eks:{region}:{account}:access-entry/{clusterName}/role/{account}/{hash}",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": "arn:aws:eks:{region}:{account}:podidentityassociation/{clusterName}/a-{hash}",
    "aws:ec2/vpc:Vpc": "arn:aws:ec2:{region}:{account}:vpc/{id}",
    "aws:ec2/subnet:Subnet": "arn:aws:ec2:{region}:{account}:subnet/{id}",
    "aws:ec2/securityGroup:SecurityGroup": "arn:aws:ec2:{region}:{account}:security-group/{id}",
    "aws:ec2/launchTemplate:LaunchTemplate": "arn:aws:ec2:{region}:{account}:launch-template/{id}",
}

NAMED_BY_ID: Final = {
    "aws:iam/role:Role",
    "aws:iam/instanceProfile:InstanceProfile",
    "aws:cloudwatch/eventRule:EventRule",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:kms/alias:Alias",
    "aws:eks/cluster:Cluster",
}
"""Types whose id is their physical name."""


PARTLY_COMPUTED: Final = {"vpcConfig"}
"""Inputs that come back with more in them than was given."""


def short_hash(urn: str) -> str:
    """Seventeen hexadecimal digits that belong to a URN: the same in every run."""
    return hashlib.sha256(urn.encode()).hexdigest()[:17]


def physical_name(registration: Registration) -> str:
    """The name given, or the one that Pulumi's auto-naming would make."""
    given = revealed(registration.inputs.get("name"))
    return given if isinstance(given, str) else f"{registration.name}-{short_hash(registration.urn)[:7]}"


def identifier(registration: Registration, preview: bool) -> str:
    """The physical id; none at preview, and none for a component."""
    if not registration.custom or preview:
        return ""
    if registration.type in NAMED_BY_ID:
        return physical_name(registration)
    if prefix := IDS.get(registration.type):
        return f"{prefix}-{short_hash(registration.urn)}"
    if registration.type.startswith("kubernetes:"):
        metadata = revealed(registration.inputs.get("metadata") or {})
        name, namespace = metadata.get("name", registration.name), metadata.get("namespace")
        return f"{namespace}/{name}" if namespace else str(name)
    if registration.type == "aws:iam/policy:Policy":
        return _arn(registration, ARNS[registration.type], "")
    if registration.type == "aws:sqs/queue:Queue":
        return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{physical_name(registration)}"
    return short_hash(registration.urn)


def outputs(registration: Registration, *, preview: bool) -> dict[str, Any]:
    """All outputs of a resource: its inputs, and what the cloud computes."""
    if not registration.custom:
        return {}
    given = {key: value for key, value in registration.inputs.items() if value is not None}
    if registration.type.startswith("pulumi:providers:"):
        return given
    required = required_outputs(registration.type)
    specific = _specific(registration)
    if preview:
        unknown = dict.fromkeys({*required, *specific} - given.keys(), UNKNOWN)
        partly = {
            key: dict.fromkeys(specific[key], UNKNOWN) | given[key]
            for key in PARTLY_COMPUTED & given.keys() & specific.keys()
        }
        return unknown | given | partly
    generic = {key: _filled(kind, registration, key) for key, kind in required.items() if key not in given}
    return generic | given | specific


def invoke(token: str, arguments: Mapping[str, Any], *, region: str) -> dict[str, Any] | None:
    """The answer to a provider function, or None where a plan has none."""
    known: dict[str, dict[str, Any]] = {
        "aws:index/getCallerIdentity:getCallerIdentity": {
            "accountId": ACCOUNT,
            "arn": f"arn:aws:iam::{ACCOUNT}:role/plan",
            "userId": "plan",
            "id": ACCOUNT,
        },
        "aws:index/getPartition:getPartition": {
            "partition": "aws",
            "dnsSuffix": "amazonaws.com",
            "reverseDnsPrefix": "com.amazonaws",
            "id": "aws",
        },
        "aws:index/getRegion:getRegion": {
            "name": region,
            "region": region,
            "id": region,
            "description": region,
            "endpoint": f"ec2.{region}.amazonaws.com",
        },
        "aws:index/getAvailabilityZones:getAvailabilityZones": {
            "names": [f"{region}{suffix}" for suffix in "abc"],
            "zoneIds": [],
            "id": region,
        },
    }
    answer = known.get(token)
    return answer | dict(arguments) if answer is not None else None


@cache
def required_outputs(token: str) -> dict[str, Any]:
    """Outputs that the SDK's class always has: wire name -> Python type. Empty for a class that is not loaded."""
    cls = _resource_class(token)
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


def _resource_class(token: str) -> type | None:
    """The SDK's class of an AWS type token; only modules that the program loaded, so that a plan loads nothing more."""
    match = re.fullmatch(r"aws:(\w+)/(\w+):(\w+)", token)
    if not match:
        return None
    module, file, name = match.groups()
    path = f"pulumi_aws.{module}.{re.sub(r'(?<=[a-z0-9])([A-Z])', lambda m: '_' + m[1].lower(), file)}"
    if f"pulumi_aws.{module}" not in sys.modules:
        return None
    return getattr(importlib.import_module(path), name, None)


def _filled(kind: Any, registration: Registration, key: str) -> Any:
    origin = get_origin(kind) or kind
    if key == "arn":
        return f"arn:aws:{registration.type.split(':')[1].split('/')[0]}:{REGION}:{ACCOUNT}:{registration.name}"
    if key == "region":
        return REGION
    if key in ("name", "namePrefix"):
        return physical_name(registration)
    if origin is bool:
        return False
    if origin in (int, float):
        return 1
    if origin is str:
        return f"{registration.name}-{key}"
    return [] if isinstance(origin, type) and issubclass(origin, Sequence) else {}


def _arn(registration: Registration, pattern: str, identity: str) -> str:
    inputs = {key: value for key, value in revealed(dict(registration.inputs)).items() if isinstance(value, str)}
    facts = {"account": ACCOUNT, "region": REGION, "id": identity, "hash": short_hash(registration.urn)}
    facts |= {
        "nodeGroupName": f"{registration.name}-{facts['hash'][:7]}",
        "clusterName": "cluster",
        "url": "oidc",
    } | inputs
    return pattern.format_map(facts | {"name": physical_name(registration), "account": ACCOUNT, "region": REGION})


def _specific(registration: Registration) -> dict[str, Any]:
    """Computed outputs whose shape matters."""
    identity = registration.id or short_hash(registration.urn)
    found: dict[str, Any] = {}
    if pattern := ARNS.get(registration.type):
        found["arn"] = _arn(registration, pattern, identity)
    match registration.type:
        case "aws:sqs/queue:Queue":
            found["url"] = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{physical_name(registration)}"
        case "aws:kms/key:Key":
            found["keyId"] = identity
        case "aws:ec2/eip:Eip":
            found |= {"allocationId": identity, "publicIp": "192.0.2.1"}
        case "aws:ec2/launchTemplate:LaunchTemplate":
            found |= {"latestVersion": 1, "defaultVersion": 1}
        case "aws:eks/nodeGroup:NodeGroup":
            found |= {"nodeGroupName": f"{registration.name}-{short_hash(registration.urn)[:7]}", "status": "ACTIVE"}
        case "aws:eks/cluster:Cluster":
            found |= {
                "endpoint": f"https://{short_hash(registration.urn).upper()}.gr7.{REGION}.eks.amazonaws.com",
                "certificateAuthority": {"data": "cGxhbg=="},
                "certificateAuthorities": [{"data": "cGxhbg=="}],
                "identities": [
                    {
                        "oidcs": [
                            {
                                "issuer": f"https://oidc.eks.{REGION}.amazonaws.com/id/{short_hash(registration.urn).upper()}"
                            }
                        ]
                    }
                ],
                "status": "ACTIVE",
                "platformVersion": "eks.1",
            }
            vpc = revealed(dict(registration.inputs)).get("vpcConfig", {})
            found["vpcConfig"] = dict(vpc) | {
                "clusterSecurityGroupId": f"sg-{short_hash(registration.urn)}",
                "vpcId": "vpc",
            }
        case "kubernetes:helm.sh/v3:Release":
            found |= {
                "status": {"status": "deployed", "revision": 1, "name": revealed(registration.inputs.get("name"))},
                "resourceNames": {},
                "manifest": {},
            }
    return found
