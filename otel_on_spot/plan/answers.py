"""Answers that the clouds would give: computed outputs per type, so that nothing is None where AWS would give a value.

The SDK's own classes say which outputs a type always has; a table gives those whose shape matters. At preview the
engine knows only what it was given: computed outputs are unknown.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar, Final, get_args, get_origin

import pulumi
from pulumi.runtime import rpc

from otel_on_spot.kubernetes.names import INTERNAL_BALANCER_ROLE, PUBLIC_BALANCER_ROLE
from otel_on_spot.program import urns
from otel_on_spot.program.recording import Registration, RegistrationError
from otel_on_spot.program.resource_types import ProviderScope, fields, is_release, resource_type
from otel_on_spot.program.values import UNKNOWN, Secret, revealed


def short_hash(urn: str) -> str:
    """Seventeen hexadecimal digits that belong to a URN: the same in every run."""
    return hashlib.sha256(urn.encode()).hexdigest()[:17]


def physical_name(registration: Registration, key: str = "name") -> str:
    """The name given under ``key``, or the one that Pulumi's auto-naming would make: seven random digits behind.

    A secret name counts as not given: an id or an ARN would tell it.
    """
    given = registration.inputs.get(key)
    return given if isinstance(given, str) else f"{registration.name}-{short_hash(registration.urn)[:7]}"


def object_name(registration: Registration) -> str:
    """The name of a Kubernetes object: the one given, or the one that Pulumi's auto-naming would make."""
    metadata = revealed(registration.inputs.get("metadata"))
    given = metadata.get("name") if isinstance(metadata, Mapping) else None
    return given if isinstance(given, str) else physical_name(registration)


def identifier(registration: Registration, scope: ProviderScope, *, preview: bool) -> str:
    """The physical id; none at preview."""
    if preview:
        return ""
    if registration.import_id:
        return registration.import_id
    if registration.type.startswith("kubernetes:"):
        return _object_id(registration)
    facts, own = resource_type(registration.type), short_hash(registration.urn)
    if facts.id_prefix == "arn":
        return arn(registration, scope, "")
    if facts.id_prefix:
        return f"{facts.id_prefix}-{own}"
    try:
        return facts.id.format_map(_fields(registration, scope)) or own
    except KeyError:  # an input that is secret: an id would tell it
        return own


def _object_id(registration: Registration) -> str:
    inputs = revealed(registration.inputs)
    within = inputs if is_release(registration.type) else inputs.get("metadata") or {}
    namespace = within.get("namespace")
    name = physical_name(registration) if is_release(registration.type) else object_name(registration)
    return f"{namespace}/{name}" if isinstance(namespace, str) else name


def arn(registration: Registration, scope: ProviderScope, identity: str) -> str:
    """The resource's ARN by the table, or a plausible one for a type that the table lacks."""
    service = registration.type.split(":")[1].split("/")[0]
    pattern = resource_type(registration.type).arn or f"arn:{{partition}}:{service}:{{region}}:{{account}}:{{name}}"
    known = _fields(registration, scope) | {"id": identity, "hash": short_hash(registration.urn)}
    return pattern.format_map(_Named(known))


class _Named(dict[str, Any]):
    """Unknowns by their names: a secret stays one."""

    def __missing__(self, key: str) -> str:
        return key


def _fields(registration: Registration, scope: ProviderScope) -> dict[str, Any]:
    made_up = {key: physical_name(registration, key) for key in ("name", "nodeGroupName", "targetId")}
    return fields(registration.inputs, scope) | made_up


PRIVATE_TABLE, PUBLIC_TABLE = "rtb-private", "rtb-public"
TARGETS: Final = (
    *("carrierGatewayId", "coreNetworkArn", "destinationPrefixListId", "egressOnlyGatewayId", "gatewayId"),
    *("instanceId", "ipv6CidrBlock", "localGatewayId", "natGatewayId", "networkInterfaceId", "odbNetworkArn"),
    *("transitGatewayId", "vpcEndpointId", "vpcPeeringConnectionId"),
)
"""What a route of the provider's function says beside its range; empty where it is not so."""


@dataclass
class AssumedVpc:
    """Answers about ``network.existing``: as its settings say, and with everything that the stack needs of it.

    Ids lie in the zones in the order in which both are given; of tags, each zone has one subnet.
    """

    network: Mapping[str, Any] = field(default_factory=dict)
    _zones: dict[str, str] = field(default_factory=dict)
    _public: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, config: Mapping[str, str], project: str) -> "AssumedVpc":
        """The one that a stack's configuration names; what is wrong in it is the settings' to refuse."""
        try:
            network = json.loads(config.get(f"{project}:network") or "{}")
        except ValueError:
            network = {}
        return cls(network if isinstance(network, dict) else {})

    def invoked(self, token: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """The result of a function of the provider; None where it is about something else."""
        filters = {told["name"]: told["values"] for told in arguments.get("filters") or ()}
        match token.rpartition(":")[2]:
            case "getVpcs":
                return {"ids": filters["vpc-id"], "id": "vpcs"}
            case "getVpc":
                return {
                    "cidrBlock": "10.0.0.0/16",
                    "cidrBlockAssociations": [],
                    "enableDnsSupport": True,
                    "enableDnsHostnames": True,
                    "mainRouteTableId": PRIVATE_TABLE,
                    "dhcpOptionsId": "dopt-plan",
                    "ownerId": ProviderScope().account,
                }
            case "getVpcDhcpOptions":
                return {"domainNameServers": ["AmazonProvidedDNS"]}
            case "getSubnets":
                return {"ids": self._subnets(filters), "id": "subnets"}
            case "getSubnet":
                subnet = arguments["id"]
                role = PUBLIC_BALANCER_ROLE if subnet in self._public else INTERNAL_BALANCER_ROLE
                return {
                    "vpcId": self._existing.get("vpcId"),
                    "availabilityZone": self._zones[subnet],
                    "cidrBlock": "10.0.0.0/20",
                    "availableIpAddressCount": 4091,
                    "tags": {role: "1"},
                }
            case "getVpcEndpoint":
                return {"id": "vpce-plan"}
            case "getRouteTables":
                public = not self._public.isdisjoint(filters["association.subnet-id"])
                return {"ids": [PUBLIC_TABLE if public else PRIVATE_TABLE], "id": "tables"}
            case "getRouteTable":
                return self._table(arguments["routeTableId"])
        return None

    @property
    def _existing(self) -> Mapping[str, Any]:
        return self.network.get("existing") or {}

    def _subnets(self, filters: Mapping[str, list[str]]) -> list[str]:
        given, zones = filters.get("subnet-id"), list(self.network["zones"])
        tags = {name.removeprefix("tag:"): values[0] for name, values in filters.items() if name.startswith("tag:")}
        public = bool(given or tags) and (given, tags) == (
            self._existing.get("publicSubnetIds"),
            self._existing.get("publicSubnetTags") or {},
        )
        ids = given or [f"subnet-{short_hash(f'{zone} {sorted(tags.items())}')}" for zone in zones]
        self._zones |= {subnet: zones[place % len(zones)] for place, subnet in enumerate(ids)}
        self._public |= set(ids) if public else set()
        return ids

    def _table(self, identity: str) -> dict[str, Any]:
        public = identity == PUBLIC_TABLE
        target = {"gatewayId": "igw-plan"} if public else {"natGatewayId": "nat-plan"}
        return {
            "associations": [
                {"subnetId": subnet, "main": False} for subnet in self._zones if (subnet in self._public) is public
            ],
            "routes": [dict.fromkeys(TARGETS, "") | {"cidrBlock": "0.0.0.0/0"} | target],
        }


CLUSTER: Final = "aws:eks/cluster:Cluster"
ARN_IS_READ: Final = {CLUSTER, "aws:iam/role:Role", "aws:iam/openIdConnectProvider:OpenIdConnectProvider"}
"""Types whose ARN the pulumi-eks component reads, whether or not the program loaded their SDK classes."""
PARTLY_COMPUTED: Final = {"vpcConfig"}
"""Inputs that come back with more in them than was given."""
ZONE_LETTERS: Final = "abcdef"
"""Letters of the zones that a region has in a plan: as many as the largest one's."""


class MadeUp:
    """Answers of a plan: ids and outputs that look like the clouds' own, the same in every run.

    Args:
        default: account and region where no provider says them.
        preview: leave what only the cloud can tell unknown.
        vpc: the VPC that the settings say is there.
    """

    refusals: ClassVar[tuple[type[Exception], ...]] = ()

    def __init__(self, default: ProviderScope, *, preview: bool, vpc: AssumedVpc | None = None) -> None:
        self.default, self.preview, self.vpc = default, preview, vpc or AssumedVpc()

    def scope(self, provider: Registration | None) -> ProviderScope:
        """Account and region that a provider is bound to, as far as it says."""
        inputs = revealed(provider.inputs) if provider else {}
        allowed = inputs.get("allowedAccountIds")
        if isinstance(allowed, str):  # a provider's lists and maps travel as JSON text
            allowed = json.loads(allowed)
        scope = self.default
        if isinstance(inputs.get("region"), str):
            scope = replace(scope, region=inputs["region"])
        return replace(scope, account=allowed[0]) if allowed and isinstance(allowed[0], str) else scope

    def made(self, registration: Registration, registrations: Mapping[str, Registration]) -> Registration:
        """The registration with an id and outputs."""
        scope = self.scope(registrations.get(urns.of_provider(registration.provider)))
        registration = replace(registration, id=identifier(registration, scope, preview=self.preview))
        known = outputs(registration, scope, preview=self.preview)
        component = registrations.get(registration.parent)
        if registration.type == CLUSTER and component and component.inputs.get("vpcId") is not None:
            # A cluster knows its VPC through its subnets; its component was given it.
            known["vpcConfig"] = merged(known["vpcConfig"], {"vpcId": component.inputs["vpcId"]})
        return replace(registration, outputs=known)

    def invoked(self, token: str, arguments: Mapping[str, Any], provider: Registration | None) -> Mapping[str, Any]:
        """The result of a provider function.

        Raises:
            RegistrationError: there is none, because a plan must not guess.
        """
        answer = _invoked(token, self.scope(provider)) or self.vpc.invoked(token, arguments)
        if answer is None:
            raise RegistrationError("a plan has no answer for it. Use a setting or an output instead of asking AWS")
        return answer | dict(arguments)


def outputs(registration: Registration, scope: ProviderScope, *, preview: bool) -> dict[str, Any]:
    """All outputs of a resource: its inputs, and what the cloud computes."""
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


def _invoked(token: str, scope: ProviderScope) -> dict[str, Any] | None:
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
        # A plan has no cloud: nothing is there yet, and AWS has every image that is asked for.
        "aws:eks/getClusters:getClusters": {"names": [], "id": region},
        "aws:ssm/getParametersByPath:getParametersByPath": {
            "names": ["image_id"],
            "arns": [],
            "types": ["String"],
            "values": ["ami-plan"],
            "id": region,
        },
        "aws:ec2/getSecurityGroups:getSecurityGroups": {"ids": [], "arns": [], "vpcIds": [], "id": region},
        "aws:iam/getRoles:getRoles": {"arns": [], "names": [], "id": region},
        "aws:index/getAvailabilityZones:getAvailabilityZones": {
            "names": [f"{region}{suffix}" for suffix in ZONE_LETTERS],
            "zoneIds": [f"{region}-az{number}" for number, _ in enumerate(ZONE_LETTERS, 1)],
            "groupNames": [region],
            "id": region,
        },
    }
    return known.get(token)


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
    own_arn = {"arn": arn(registration, scope, registration.id)} if registration.type in ARN_IS_READ else {}
    return own_arn | _shaped(registration, scope)


def _shaped(registration: Registration, scope: ProviderScope) -> dict[str, Any]:
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
        case token if token == CLUSTER:
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
"""Objects that every VPC comes with, and the prefixes of their ids."""


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
