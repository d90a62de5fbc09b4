"""The calls of AWS that its provider makes for each operation on a resource: actions, resources and condition keys.

The simulated cloud's handlers do what AWS does in the end, not call by call; who deploys needs the permission of each
call. They are those of the provider's own source, in its order: ``resource<Type>Create``, ``Read``, ``Update`` and
``Delete`` in https://github.com/hashicorp/terraform-provider-aws/tree/main/internal/service, which pulumi-aws bridges.
What a call needs beside its own action, such as ec2:CreateTags for tags at creation, is AWS's reference:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final, Protocol

from otel_on_spot.iam.decisions import Request, Resource
from otel_on_spot.simcloud.handler import Site, all_tags
from otel_on_spot.simcloud.properties import Properties

EKS: Final = "eks.amazonaws.com"
NODE_GROUPS: Final = "eks-nodegroup.amazonaws.com"
PODS: Final = "pods.eks.amazonaws.com"


class Known(Protocol):
    """What the cloud knows of the resources that a call names, beside the one that it is about."""

    def tags(self, service: str, identity: str, site: Site) -> Mapping[str, str]:
        """Tags of a resource, by its id, name or ARN."""

    def role_arn(self, name: str, site: Site) -> str:
        """ARN of a role by its name: its path is in it."""

    def policy(self, service: str, identity: str, site: Site) -> str | None:
        """A key's or a queue's own policy."""

    def has_service_linked_role(self, service: str, site: Site) -> bool:
        """True where the account has the role that is a service's own."""

    def vpc_of(self, subnet: str, site: Site) -> str:
        """Id of a subnet's VPC; empty where there is no such subnet."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One operation that the engine asks the provider for.

    Attributes:
        site: the provider's region and default tags.
        known: what the cloud knows.
        identity: the resource's id; empty before it has one.
        state: its outputs; empty before it has any.
        inputs: those that are wanted; empty of a read and a deletion.
    """

    site: Site
    known: Known
    identity: str = ""
    state: Properties = field(default_factory=dict)
    inputs: Properties = field(default_factory=dict)

    @property
    def wanted(self) -> Properties:
        """The inputs where there are some, else the outputs: names are in both."""
        return self.inputs or self.state

    @property
    def tags(self) -> dict[str, str]:
        """The tags that the resource is to have."""
        return all_tags(self.site, self.inputs)

    @property
    def held(self) -> Mapping[str, str]:
        """The tags that it has."""
        return self.state.get("tagsAll") or {}

    @property
    def done(self) -> "Asked":
        """The same, of a resource that is as it was wanted: with the new tags."""
        return replace(self, state={**self.state, **self.inputs, "tagsAll": self.tags})

    def arn(self, service: str, rest: str, *, region: str | None = None) -> str:
        """An ARN of the provider's account and region."""
        scope = self.site.scope
        where = scope.region if region is None else region
        return f"arn:{scope.partition}:{service}:{where}:{scope.account}:{rest}"

    # Resources

    def fresh(self, kind: str, *, tagged: bool = True) -> Resource:
        """Something of EC2 that the call makes: its id is not known yet, and it gets the tags."""
        return Resource(arn=self.arn("ec2", f"{kind}/*"), kind=kind, keys=requested(self.tags) if tagged else {})

    def own(self, kind: str) -> Resource:
        """The resource itself, of EC2."""
        return self.ec2(kind, self.identity, self.held)

    def ec2(self, kind: str, identity: str, tags: Mapping[str, str] | None = None) -> Resource:
        """Another resource of EC2."""
        held = self.known.tags("ec2", identity, self.site) if tags is None else tags
        keys = {**tagged(held), **{f"ec2:ResourceTag/{key}": value for key, value in held.items()}}
        return Resource(arn=self.arn("ec2", f"{kind}/{identity}"), kind=kind, keys=keys)

    def eks(self, kind: str, rest: str, tags: Mapping[str, str]) -> Resource:
        """Something of EKS."""
        return Resource(arn=self.arn("eks", f"{kind}/{rest}"), kind=kind, keys=tagged(tags))

    def cluster(self) -> Resource:
        """The cluster that the resource is part of."""
        return self.cluster_named(self.wanted["clusterName"])

    def cluster_named(self, name: str) -> Resource:
        """A cluster of the region, by its name."""
        row = self.site.cloud.tables.get("clusters", name) or {}
        return self.eks("cluster", name, row.get("tags") or {})

    def iam(self, kind: str, rest: str, tags: Mapping[str, str] | None = None) -> Resource:
        """Something of IAM, by its path and name."""
        return Resource(arn=self.arn("iam", f"{kind}{rest}", region=""), kind=kind, keys=tagged(tags or {}))

    def role(self, name: str) -> Resource:
        """A role of the account, by its name or ARN."""
        arn = name if name.startswith("arn:") else self.known.role_arn(name, self.site)
        return Resource(arn=arn, kind="role", keys=tagged(self.known.tags("iam", arn, self.site)))

    # Calls

    def tag_at_creation(self, kind: str, action: str) -> Iterator[Request]:
        """CreateTags, which EC2 asks for where something is made with tags.

        Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
        """
        if self.tags:
            yield call("ec2:CreateTags", self.fresh(kind), **{"ec2:CreateAction": action})

    def retag_by(self, tag: str, resource: Resource) -> Iterator[Request]:
        """The provider's update of tags, by the action that sets them: what is gone, then what is new."""
        gone = sorted(set(self.held) - set(self.tags))
        fresh = {key: value for key, value in self.tags.items() if self.held.get(key) != value}
        if gone:
            untag = "ec2:DeleteTags" if tag == "ec2:CreateTags" else tag.replace(":Tag", ":Untag")
            yield call(untag, with_keys(resource, {"aws:TagKeys": gone}))
        if fresh:
            yield call(tag, with_keys(resource, requested(fresh)))

    def pass_role(self, role: str, service: str) -> Request:
        """PassRole of a role to the service that will use it."""
        return call("iam:PassRole", self.role(role), **{"iam:PassedToService": service})

    def service_linked_role(self, service: str, name: str) -> Iterator[Request]:
        """The service's own role, which its first call in an account makes as the caller."""
        if not self.known.has_service_linked_role(service, self.site):
            role = self.iam("role", f"/aws-service-role/{service}/{name}")
            yield call("iam:CreateServiceLinkedRole", role, **{"iam:AWSServiceName": service})


def call(action: str, *resources: Resource, **keys: Any) -> Request:
    """A call of an action on resources, or on ``*`` where it has none."""
    return Request(action=action, resources=resources or (Resource(),), keys=keys)


def calls(*actions: str) -> Iterator[Request]:
    """Calls that name no resource."""
    return map(call, actions)


def requested(tags: Mapping[str, str]) -> dict[str, Any]:
    """Condition keys of the tags that a call asks for."""
    if not tags:
        return {}
    return {"aws:TagKeys": sorted(tags), **{f"aws:RequestTag/{key}": value for key, value in tags.items()}}


def tagged(tags: Mapping[str, str]) -> dict[str, Any]:
    """Condition keys of the tags that a resource has."""
    return {f"aws:ResourceTag/{key}": value for key, value in tags.items()}


def with_keys(resource: Resource, keys: Mapping[str, Any]) -> Resource:
    """The resource with more condition keys."""
    return Resource(arn=resource.arn, kind=resource.kind, keys={**resource.keys, **keys}, policy=resource.policy)


Calls = Callable[[Asked], Iterable[Request]]


@dataclass(frozen=True, kw_only=True)
class Operations:
    """The calls of one resource type. A creation and an update end with those of a read, as the provider's do."""

    create: Calls
    read: Calls
    delete: Calls
    update: Calls = lambda _: ()

    def of(self, operation: str, asked: Asked) -> Iterator[Request]:
        """The calls of an operation, in order."""
        yield from getattr(self, operation)(asked)
        if operation in ("create", "update"):
            yield from self.read(asked.done)


# What many operations are made of

Of = Callable[[Asked], Resource]
"""A resource that a call names."""


def _on(of: Of, *actions: str) -> Calls:
    """Calls on one resource."""
    return lambda asked: (call(action, of(asked)) for action in actions)


def _call(action: str, *of: Of, keys: "Callable[[Asked], Mapping[str, Any]]" = lambda _: {}) -> Calls:
    """One call on several resources, with condition keys."""
    return lambda asked: [call(action, *(named(asked) for named in of), **keys(asked))]


def _only(*actions: str) -> Calls:
    """Calls that name no resource."""
    return lambda _: calls(*actions)


def _in_turn(*parts: Calls) -> Calls:
    """The calls of each part, one part after the other."""
    return lambda asked: chain.from_iterable(part(asked) for part in parts)


def _new(action: str, of: Of, tag: str) -> Calls:
    """A creation with tags, and the service's TagResource, which it asks for where there are some."""
    return _in_turn(_put(action, of), _tag_new(tag, of))


def _tag_new(action: str, of: Of) -> Calls:
    return lambda asked: [call(action, with_keys(of(asked), requested(asked.tags)))] if asked.tags else ()


def _retag(tag: str, of: Of) -> Calls:
    """The update of tags of any service but EC2, by its action that sets them."""
    return lambda asked: asked.retag_by(tag, of(asked))


def _put(action: str, of: Of) -> Calls:
    """A call with the tags as condition keys."""
    return _call(action, of, keys=lambda asked: requested(asked.tags))


def _pass_role(service: str, key: str = "roleArn") -> Calls:
    return lambda asked: [asked.pass_role(asked.inputs[key], service)]


def _where_changed(key: str, *then: Calls) -> Calls:
    """Calls of an update that gives an input another value."""
    return lambda asked: _in_turn(*then)(asked) if asked.state.get(key) != asked.inputs.get(key) else ()


def _resource(service: str, kind: str, rest: str, *, region: str | None = None) -> Of:
    """The resource itself, of any service but EC2.

    Args:
        service: as its ARN has it.
        kind: its type in IAM's table.
        rest: of its ARN, over its inputs and its ``id``.
        region: as its ARN has it, where that is not the provider's.
    """

    def of(asked: Asked) -> Resource:
        named = rest.format_map({**asked.wanted, "id": asked.identity or "*"})
        return Resource(arn=asked.arn(service, named, region=region), kind=kind, keys=tagged(asked.held))

    return of


# EC2's network


def _itself(kind: str) -> Of:
    return lambda asked: asked.own(kind)


def _made(kind: str) -> Of:
    """What a creation has just made, with the tags that it got."""
    return lambda asked: asked.ec2(kind, "*", asked.tags)


def _named(kind: str, key: str) -> Of:
    """What an input names by its id."""
    return lambda asked: asked.ec2(kind, asked.wanted[key])


def _make(kind: str, create: str, *within: Of) -> Calls:
    """The creation of something of EC2 with its tags, within others."""

    def made(asked: Asked) -> Iterator[Request]:
        yield call(f"ec2:{create}", asked.fresh(kind), *(named(asked) for named in within))
        yield from asked.tag_at_creation(kind, create)

    return made


def _retag_ec2(kind: str) -> Calls:
    return lambda asked: asked.retag_by("ec2:CreateTags", asked.own(kind))


def _vpc_read(asked: Asked) -> Iterator[Request]:
    yield from calls("ec2:DescribeVpcs")
    yield call("ec2:DescribeVpcAttribute", asked.own("vpc") if asked.identity else _made("vpc")(asked))
    yield from calls("ec2:DescribeNetworkAcls", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups")


_VPC: Final = _named("vpc", "vpcId")
_SUBNET: Final = _named("subnet", "subnetId")
_TABLE: Final = _named("route-table", "routeTableId")
_GATEWAY: Final = _itself("internet-gateway")


def _gateway_create(asked: Asked) -> Iterator[Request]:
    yield from _make("internet-gateway", "CreateInternetGateway")(asked)
    if asked.inputs.get("vpcId"):
        yield call("ec2:AttachInternetGateway", _made("internet-gateway")(asked), _VPC(asked))


def _gateway_update(asked: Asked) -> Iterator[Request]:
    before, after = asked.state.get("vpcId"), asked.inputs.get("vpcId")
    if before != after:
        if before:
            yield call("ec2:DetachInternetGateway", _GATEWAY(asked), asked.ec2("vpc", before))
        if after:
            yield call("ec2:AttachInternetGateway", _GATEWAY(asked), asked.ec2("vpc", after))
    yield from _retag_ec2("internet-gateway")(asked)


def _gateway_delete(asked: Asked) -> Iterator[Request]:
    if asked.state.get("vpcId"):
        yield call("ec2:DetachInternetGateway", _GATEWAY(asked), asked.ec2("vpc", asked.state["vpcId"]))
    yield call("ec2:DeleteInternetGateway", _GATEWAY(asked))


def _subnet_update(asked: Asked) -> Iterator[Request]:
    if bool(asked.state.get("mapPublicIpOnLaunch")) != bool(asked.inputs.get("mapPublicIpOnLaunch")):
        yield call("ec2:ModifySubnetAttribute", asked.own("subnet"))
    yield from _retag_ec2("subnet")(asked)


RULES: Final = (("ingress", "Ingress"), ("egress", "Egress"))


def _authorize(asked: Asked, group: Resource) -> Iterator[Request]:
    for rules, direction in RULES:
        if asked.inputs.get(rules):
            yield call(f"ec2:AuthorizeSecurityGroup{direction}", group)


def _group_update(asked: Asked) -> Iterator[Request]:
    group = asked.own("security-group")
    for rules, direction in RULES:
        before, after = asked.state.get(rules) or [], asked.inputs.get(rules) or []
        if before != after:
            if before:
                yield call(f"ec2:RevokeSecurityGroup{direction}", group)
            if after:
                yield call(f"ec2:AuthorizeSecurityGroup{direction}", group)
    yield from _retag_ec2("security-group")(asked)


def _default_group(asked: Asked) -> Iterator[Request]:
    group = asked.own("security-group") if asked.identity else asked.ec2("security-group", "*", {})
    yield from calls("ec2:DescribeSecurityGroups")
    if asked.tags and asked.tags != asked.held:
        yield call("ec2:CreateTags", with_keys(group, requested(asked.tags)))
    group = asked.done.own("security-group") if asked.identity else _made("security-group")(asked)
    yield call("ec2:RevokeSecurityGroupIngress", group)
    yield call("ec2:RevokeSecurityGroupEgress", group)
    yield from _authorize(asked, group)


ID_PREFIXES: Final = {
    "vpc-": "vpc",
    "subnet-": "subnet",
    "sg-": "security-group",
    "rtb-": "route-table",
    "igw-": "internet-gateway",
    "nat-": "natgateway",
    "eipalloc-": "elastic-ip",
    "vpce-": "vpc-endpoint",
    "lt-": "launch-template",
    "fl-": "vpc-flow-log",
    "eni-": "network-interface",
    "i-": "instance",
    "cr-": "capacity-reservation",
    "vol-": "volume",
}
"""Prefix of an id -> the type that it is an id of."""


def kind_of(identity: str) -> str:
    """The type of something of EC2, by its id.

    Raises:
        ValueError: no type has ids of that form.
    """
    for prefix, kind in ID_PREFIXES.items():
        if identity.startswith(prefix):
            return kind
    raise ValueError(f"{identity}: no id that IAM's table knows. Add its prefix to ID_PREFIXES")


def _tag(action: str) -> Calls:
    def tagged_one(asked: Asked) -> Resource:
        return asked.ec2(kind_of(asked.wanted["resourceId"]), asked.wanted["resourceId"])

    def keys(asked: Asked) -> dict[str, Any]:
        key = asked.wanted["key"]
        return requested({key: asked.inputs["value"]}) if asked.inputs else {"aws:TagKeys": [key]}

    return lambda asked: [call(action, with_keys(tagged_one(asked), keys(asked)))]


ENDPOINT_PARTS: Final = (
    ("routeTableIds", "route-table"),
    ("subnetIds", "subnet"),
    ("securityGroupIds", "security-group"),
)


def _endpoint_create(asked: Asked) -> Iterator[Request]:
    parts = [asked.ec2(kind, named) for key, kind in ENDPOINT_PARTS for named in asked.inputs.get(key) or ()]
    yield call("ec2:CreateVpcEndpoint", asked.fresh("vpc-endpoint"), _VPC(asked), *parts)
    yield from asked.tag_at_creation("vpc-endpoint", "CreateVpcEndpoint")
    if asked.inputs.get("privateDnsEnabled"):
        zone = Resource(arn="arn:aws:route53:::hostedzone/*", kind="hostedzone")
        yield call("route53:AssociateVPCWithHostedZone", zone)


def _endpoint_update(asked: Asked) -> Iterator[Request]:
    named = []
    for key, kind in ENDPOINT_PARTS:
        changed = set(asked.state.get(key) or ()) ^ set(asked.inputs.get(key) or ())
        named += [asked.ec2(kind, identity) for identity in sorted(changed)]
    if named:
        yield call("ec2:ModifyVpcEndpoint", asked.own("vpc-endpoint"), *named)
    yield from _retag_ec2("vpc-endpoint")(asked)


def _template_update(asked: Asked) -> Iterator[Request]:
    yield call("ec2:CreateLaunchTemplateVersion", asked.own("launch-template"))
    if asked.inputs.get("updateDefaultVersion"):
        yield call("ec2:ModifyLaunchTemplate", asked.own("launch-template"))
    yield from _retag_ec2("launch-template")(asked)


# EKS


_cluster: Final = _resource("eks", "cluster", "cluster/{name}")


def _cluster_create(asked: Asked) -> Iterator[Request]:
    """Source: https://docs.aws.amazon.com/eks/latest/userguide/create-cluster.html (prerequisites), enable-kms.html."""
    inputs = asked.inputs
    access, network = inputs.get("accessConfig") or {}, inputs["vpcConfig"]
    keys: dict[str, Any] = requested(asked.tags)
    told = {
        "eks:authenticationMode": access.get("authenticationMode"),
        "eks:bootstrapClusterCreatorAdminPermissions": access.get("bootstrapClusterCreatorAdminPermissions"),
        "eks:bootstrapSelfManagedAddons": inputs.get("bootstrapSelfManagedAddons"),
        "eks:kubernetesVersion": inputs.get("version"),
        "eks:endpointPublicAccess": network.get("endpointPublicAccess"),
        "eks:endpointPrivateAccess": network.get("endpointPrivateAccess"),
        "eks:deletionProtection": inputs.get("deletionProtection"),
    }
    keys |= {key: value for key, value in told.items() if value is not None}
    yield call("eks:CreateCluster", **keys)
    yield from _tag_new("eks:TagResource", _cluster)(asked)
    yield asked.pass_role(inputs["roleArn"], EKS)
    yield from asked.service_linked_role(EKS, "AWSServiceRoleForAmazonEKS")
    yield from calls("ec2:DescribeSubnets", "ec2:DescribeVpcs", "ec2:DescribeSecurityGroups")
    encryption = inputs.get("encryptionConfig")
    if encryption:
        key = _key(asked, encryption["provider"]["keyArn"])
        yield call("kms:DescribeKey", key)
        # "The condition kms:GrantIsForAWSResource is not supported for the CreateCluster action" (enable-kms.html).
        yield call("kms:CreateGrant", key)


def _cluster_update(asked: Asked) -> Iterator[Request]:
    before, after, itself = asked.state, asked.inputs, _cluster(asked)
    if after.get("version") and before.get("version") != after.get("version"):
        yield call("eks:UpdateClusterVersion", itself)
    if any(before.get(key) != after.get(key) for key in after if key not in ("version", "tags")):
        yield call("eks:UpdateClusterConfig", itself)
        if after.get("vpcConfig") != before.get("vpcConfig"):
            yield from calls("ec2:DescribeSubnets", "ec2:DescribeVpcs", "ec2:DescribeSecurityGroups")
    yield call("eks:DescribeUpdate", itself)
    yield from asked.retag_by("eks:TagResource", itself)


def _make_in_cluster(action: str, of: Of) -> Calls:
    """The creation of something of a cluster with its tags."""
    return _in_turn(_put(action, Asked.cluster), _tag_new("eks:TagResource", of))


def _lend_role(service: str, key: str = "roleArn") -> Calls:
    """A role that a service of EKS is given: it is read, then passed."""
    return _in_turn(lambda asked: [call("iam:GetRole", asked.role(asked.inputs[key]))], _pass_role(service, key))


_node_group: Final = _resource("eks", "nodegroup", "nodegroup/{clusterName}/{nodeGroupName}/*")


def _node_group_create(asked: Asked) -> Iterator[Request]:
    """With a launch template EKS tries the launch as the caller.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html, and "You are not authorized to
    launch instances with this launch template" in https://github.com/aws-samples/terraform-eks-code/issues/13
    """
    yield from _make_in_cluster("eks:CreateNodegroup", _node_group)(asked)
    yield from _lend_role(EKS, "nodeRoleArn")(asked)
    yield from asked.service_linked_role(NODE_GROUPS, "AWSServiceRoleForAmazonEKSNodegroup")
    yield from calls("ec2:DescribeSubnets")
    yield from _trial_launch(asked)


def _trial_launch(asked: Asked) -> Iterator[Request]:
    template = asked.inputs.get("launchTemplate")
    if not template:
        return
    yield from calls("ec2:DescribeLaunchTemplateVersions")
    made = ("instance", "volume", "network-interface")
    there = [
        asked.ec2("launch-template", template["id"]),
        *(_in_its_vpc(asked, subnet) for subnet in asked.inputs.get("subnetIds") or ()),
        Resource(arn=f"arn:{asked.site.scope.partition}:ec2:{asked.site.region}::image/*", kind="image"),
        Resource(arn=asked.arn("ec2", "security-group/*"), kind="security-group"),
    ]
    # The tags are the template's own, which the trial does not show to the deployer's policy alone.
    yield call("ec2:RunInstances", *(asked.fresh(kind, tagged=False) for kind in made), *there)
    for kind in ("instance", "volume"):
        yield call("ec2:CreateTags", asked.fresh(kind, tagged=False), **{"ec2:CreateAction": "RunInstances"})


def _in_its_vpc(asked: Asked, subnet: str) -> Resource:
    vpc = asked.known.vpc_of(subnet, asked.site)
    return with_keys(asked.ec2("subnet", subnet), {"ec2:Vpc": asked.arn("ec2", f"vpc/{vpc}")} if vpc else {})


def _node_group_update(asked: Asked) -> Iterator[Request]:
    before, after, itself = asked.state, asked.inputs, _node_group(asked)
    versions = ("version", "releaseVersion", "launchTemplate")
    if any(after.get(key) is not None and before.get(key) != after.get(key) for key in versions):
        yield call("eks:UpdateNodegroupVersion", itself)
        if before.get("launchTemplate") != after.get("launchTemplate"):
            yield from _trial_launch(asked)
    if any(before.get(key) != after.get(key) for key in ("scalingConfig", "labels", "taints", "updateConfig")):
        yield call("eks:UpdateNodegroupConfig", itself)
    yield call("eks:DescribeUpdate", asked.cluster(), itself)
    yield from asked.retag_by("eks:TagResource", itself)


_addon: Final = _resource("eks", "addon", "addon/{clusterName}/{addonName}/*")


def _pass_to_pods(asked: Asked) -> Iterator[Request]:
    """Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-association.html, add-ons-iam.html."""
    for told in asked.inputs.get("podIdentityAssociations") or ():
        yield call("eks:CreatePodIdentityAssociation", asked.cluster())
        yield call("iam:GetRole", asked.role(told["roleArn"]))
        yield asked.pass_role(told["roleArn"], PODS)


_association_of_pods: Final = _resource("eks", "podidentityassociation", "podidentityassociation/{clusterName}/{id}")


def _entry(asked: Asked) -> Resource:
    """Source of its form: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelastickubernetesservice.html."""
    principal = asked.wanted["principalArn"].split(":")
    kind, _, name = principal[5].partition("/")
    rest = f"{asked.wanted['clusterName']}/{kind}/{principal[4]}/{name.rpartition('/')[2]}/*"
    return asked.eks("access-entry", rest, asked.held)


def _entry_create(asked: Asked) -> Iterator[Request]:
    inputs = asked.inputs
    keys: dict[str, Any] = {
        "eks:principalArn": inputs["principalArn"],
        "eks:accessEntryType": inputs.get("type") or "STANDARD",
        **({"eks:kubernetesGroups": inputs["kubernetesGroups"]} if inputs.get("kubernetesGroups") else {}),
        **({"eks:username": inputs["userName"]} if inputs.get("userName") else {}),
    }
    yield call("eks:CreateAccessEntry", asked.cluster(), **keys, **requested(asked.tags))
    yield from _tag_new("eks:TagResource", _entry)(asked)


def _entry_update(asked: Asked) -> Iterator[Request]:
    # EKS gives groups by itself to an entry of a node's type: what nobody asks for is no change.
    wanted = asked.inputs.get("kubernetesGroups")
    if wanted is not None and wanted != (asked.state.get("kubernetesGroups") or []):
        yield call("eks:UpdateAccessEntry", _entry(asked))
    yield from asked.retag_by("eks:TagResource", _entry(asked))


def _access_policy(action: str) -> Calls:
    def made(asked: Asked) -> Iterator[Request]:
        keys: dict[str, Any] = {}
        if action != "eks:ListAssociatedAccessPolicies":
            keys["eks:policyArn"] = asked.wanted["policyArn"]
        if action == "eks:AssociateAccessPolicy":
            scope = asked.inputs.get("accessScope") or {}
            keys["eks:accessScope"] = scope.get("type", "cluster")
            keys |= {"eks:namespaces": scope["namespaces"]} if scope.get("namespaces") else {}
        yield call(action, _entry(asked), **keys)

    return made


# Events, queues, experiments


_rule: Final = _resource("events", "rule-on-default-event-bus", "rule/{name}")
_rule_of: Final = _resource("events", "rule-on-default-event-bus", "rule/{rule}")


def _rule_put(asked: Asked) -> Iterator[Request]:
    yield from _put("events:PutRule", _rule)(asked)
    if asked.tags != asked.held:
        yield from asked.retag_by("events:TagResource", _rule(asked))


_target_put: Final = _call("events:PutTargets", _rule_of, keys=lambda asked: {"events:TargetArn": asked.inputs["arn"]})


def _queue(asked: Asked, url: str = "") -> Resource:
    name = url.rpartition("/")[2] or asked.wanted["name"]
    held = asked.held if not url else asked.known.tags("sqs", url, asked.site)
    policy = asked.known.policy("sqs", url or asked.identity, asked.site) if url or asked.identity else None
    return Resource(arn=asked.arn("sqs", name), kind="queue", keys=tagged(held), policy=policy)


def _queue_of(asked: Asked) -> Resource:
    return _queue(asked, asked.wanted["queueUrl"])


# Alarms, topics, budgets


_alarm: Final = _resource("cloudwatch", "alarm", "alarm:{name}")


def _alarm_put(asked: Asked) -> Iterator[Request]:
    actions = sorted({*(asked.inputs.get("alarmActions") or []), *(asked.inputs.get("okActions") or [])})
    keys = requested(asked.tags) | ({"cloudwatch:AlarmActions": actions} if actions else {})
    yield call("cloudwatch:PutMetricAlarm", _alarm(asked), **keys)


def _topic(asked: Asked, arn: str = "") -> Resource:
    """A topic by its ARN; the one itself without."""
    held = asked.known.tags("sns", arn, asked.site) if arn else asked.held
    return Resource(arn=arn or asked.arn("sns", asked.wanted["name"]), kind="topic", keys=tagged(held))


def _subscribe(asked: Asked) -> Iterator[Request]:
    topic = _topic(asked, asked.inputs["topic"])
    keys = {"sns:Endpoint": asked.inputs["endpoint"], "sns:Protocol": asked.inputs["protocol"]}
    yield call("sns:Subscribe", topic, **keys)


_budget: Final = _resource("budgets", "budget", "budget/{name}", region="")
_experiment: Final = _resource("fis", "experiment-template", "experiment-template/{id}")


def _experiment_actions(asked: Asked) -> list[Resource]:
    found = {action["actionId"] for action in asked.inputs["actions"]}
    return [Resource(arn=asked.arn("fis", f"action/{action}"), kind="action") for action in sorted(found)]


def _experiment_put(action: str, *, tagged: bool = False) -> Calls:
    def put(asked: Asked) -> Iterator[Request]:
        keys = requested(asked.tags) if tagged else {}
        yield call(action, _experiment(asked), *_experiment_actions(asked), **keys)

    return put


# Keys and logs


def _key(asked: Asked, identity: str = "") -> Resource:
    """A key, by its id or ARN; the one itself without."""
    arn = identity or asked.state.get("arn") or asked.arn("kms", f"key/{asked.identity or '*'}")
    arn = arn if arn.startswith("arn:") else asked.arn("kms", f"key/{arn}")
    known = asked.identity or identity
    held = asked.known.tags("kms", arn, asked.site) if identity else asked.held
    policy = asked.known.policy("kms", arn, asked.site) if known else _default_key_policy(asked)
    return Resource(arn=arn, kind="key", keys=tagged(held), policy=policy)


def _default_key_policy(asked: Asked) -> Any:
    """The policy that a new key gets; KMS's own where none is given lets the account's policies decide."""
    scope = asked.site.scope
    root = {"AWS": f"arn:{scope.partition}:iam::{scope.account}:root"}
    default = {"Statement": [{"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}]}
    return asked.inputs.get("policy") or default


def _key_create(asked: Asked) -> Iterator[Request]:
    keys = {"kms:KeySpec": "SYMMETRIC_DEFAULT", "kms:KeyUsage": "ENCRYPT_DECRYPT", "kms:MultiRegion": False}
    bypass = bool(asked.inputs.get("bypassPolicyLockoutSafetyCheck"))
    keys |= {"kms:BypassPolicyLockoutSafetyCheck": bypass, **requested(asked.tags)}
    yield call("kms:CreateKey", **keys)
    yield from _tag_new("kms:TagResource", _key)(asked)
    if asked.inputs.get("enableKeyRotation"):
        yield call("kms:EnableKeyRotation", _key(asked.done))


def _key_update(asked: Asked) -> Iterator[Request]:
    before, after, itself = asked.state, asked.inputs, _key(asked)
    if (before.get("description") or "") != (after.get("description") or ""):
        yield call("kms:UpdateKeyDescription", itself)
    if bool(before.get("enableKeyRotation")) != bool(after.get("enableKeyRotation")):
        yield call(f"kms:{'Enable' if after.get('enableKeyRotation') else 'Disable'}KeyRotation", itself)
    if after.get("policy") and before.get("policy") != after.get("policy"):
        yield call("kms:PutKeyPolicy", itself)
    yield from asked.retag_by("kms:TagResource", itself)


def _alias(action: str) -> Calls:
    alias = _resource("kms", "alias", "{name}")
    return _call(f"kms:{action}", alias, lambda asked: _key(asked, asked.wanted["targetKeyId"]))


_group_of_logs: Final = _resource("logs", "log-group", "log-group:{name}")


def _logs_create(asked: Asked) -> Iterator[Request]:
    yield from _new("logs:CreateLogGroup", _group_of_logs, "logs:TagResource")(asked)
    if asked.inputs.get("retentionInDays"):
        yield call("logs:PutRetentionPolicy", _group_of_logs(asked.done))


def _logs_update(asked: Asked) -> Iterator[Request]:
    before, after = asked.state.get("retentionInDays") or 0, asked.inputs.get("retentionInDays") or 0
    if before != after:
        yield call(f"logs:{'Put' if after else 'Delete'}RetentionPolicy", _group_of_logs(asked))
    had, key = asked.state.get("kmsKeyId") or "", asked.inputs.get("kmsKeyId") or ""
    if had != key:
        yield call(f"logs:{'Associate' if key else 'Disassociate'}KmsKey", _group_of_logs(asked))
    yield from asked.retag_by("logs:TagResource", _group_of_logs(asked))


# IAM


def _of_iam(kind: str) -> Of:
    """Something of IAM itself, by its path and name."""
    return lambda asked: asked.iam(kind, f"{asked.wanted.get('path') or '/'}{asked.wanted['name']}", asked.held)


_ROLE: Final = _of_iam("role")
_POLICY: Final = _of_iam("policy")
_PROFILE: Final = _of_iam("instance-profile")


def _of_role(asked: Asked) -> Resource:
    """The role that something is a part of."""
    return asked.role(asked.wanted["role"])


def _role_create(asked: Asked) -> Iterator[Request]:
    boundary = asked.inputs.get("permissionsBoundary")
    keys = {"iam:PermissionsBoundary": boundary} if boundary else {}
    yield call("iam:CreateRole", _ROLE(asked), **keys, **requested(asked.tags))
    yield from _tag_new("iam:TagRole", _ROLE)(asked)


def _role_update(asked: Asked) -> Iterator[Request]:
    before, after, itself = asked.state, asked.inputs, _ROLE(asked)
    if before.get("assumeRolePolicy") != after.get("assumeRolePolicy"):
        yield call("iam:UpdateAssumeRolePolicy", itself)
    if (before.get("description") or "") != (after.get("description") or ""):
        yield call("iam:UpdateRoleDescription", itself)
    if before.get("maxSessionDuration") not in (None, after.get("maxSessionDuration")):
        yield call("iam:UpdateRole", itself)
    had, boundary = before.get("permissionsBoundary"), after.get("permissionsBoundary")
    if had != boundary and boundary:
        yield call("iam:PutRolePermissionsBoundary", itself, **{"iam:PermissionsBoundary": boundary})
    elif had != boundary:
        yield call("iam:DeleteRolePermissionsBoundary", itself, **{"iam:PermissionsBoundary": had})
    yield from asked.retag_by("iam:TagRole", itself)


def _boundary(asked: Asked) -> dict[str, Any]:
    boundary = asked.known.policy("iam-boundary", asked.wanted["role"], asked.site)
    return {"iam:PermissionsBoundary": boundary} if boundary else {}


def _attachment(action: str) -> Calls:
    return _call(action, _of_role, keys=lambda asked: {"iam:PolicyARN": asked.wanted["policyArn"], **_boundary(asked)})


def _into_profile(asked: Asked) -> Iterator[Request]:
    if asked.inputs.get("role"):
        yield call("iam:AddRoleToInstanceProfile", _PROFILE(asked))
        yield asked.pass_role(asked.inputs["role"], "ec2.amazonaws.com")


def _out_of_profile(asked: Asked) -> Iterator[Request]:
    if asked.state.get("role"):
        yield call("iam:RemoveRoleFromInstanceProfile", _PROFILE(asked))


def _profile_create(asked: Asked) -> Iterator[Request]:
    yield from _new("iam:CreateInstanceProfile", _PROFILE, "iam:TagInstanceProfile")(asked)
    yield from _into_profile(asked.done)


def _profile_read(asked: Asked) -> Iterator[Request]:
    yield call("iam:GetInstanceProfile", _PROFILE(asked))
    if asked.wanted.get("role"):
        yield call("iam:GetRole", _of_role(asked))


def _linked_role(*actions: str) -> Calls:
    def made(asked: Asked) -> Iterator[Request]:
        service = asked.wanted["awsServiceName"]
        name = asked.identity.rpartition("/")[2] or "*"
        role = asked.iam("role", f"/aws-service-role/{service}/{name}")
        for action in actions:
            keys = {"iam:AWSServiceName": service} if action == "CreateServiceLinkedRole" else {}
            yield call(f"iam:{action}", role, **keys)

    return made


def _issuer(asked: Asked) -> Resource:
    host = (asked.inputs.get("url") or asked.state.get("url") or "").removeprefix("https://")
    arn = asked.identity or asked.arn("iam", f"oidc-provider/{host}", region="")
    return Resource(arn=arn, kind="oidc-provider", keys=tagged(asked.held))


# Buckets


def _bucket(asked: Asked) -> Resource:
    arn = f"arn:{asked.site.scope.partition}:s3:::{asked.wanted['bucket']}"
    return Resource(arn=arn, kind="bucket", keys=tagged(asked.held), account=asked.site.scope.account)


def _bucket_create(asked: Asked) -> Iterator[Request]:
    yield call("s3:CreateBucket", _bucket(asked))
    if asked.tags:
        yield call("s3:PutBucketTagging", _bucket(asked))


def _set_on_bucket(what: str, remove: str = "") -> Operations:
    return _set_on(_bucket, f"s3:Put{what}", f"s3:Get{what}", remove)


def _of_ec2(kind: str, noun: str, *within: Of, **others: Calls) -> Operations:
    """Something of EC2 that has tags: made within others, described, tagged anew and deleted, all by its noun.

    Args:
        kind: its type in IAM's table.
        noun: its name in EC2's operations, such as ``RouteTable`` of CreateRouteTable.
        within: what its creation names.
        others: operation -> its calls, where they are not these.
    """
    of_it: dict[str, Calls] = {
        "create": _make(kind, f"Create{noun}", *within),
        "read": _only(f"ec2:Describe{noun}s"),
        "update": _retag_ec2(kind),
        "delete": _on(_itself(kind), f"ec2:Delete{noun}"),
    }
    return Operations(**of_it | others)


def _set_on(of: Of, put: str, get: str, remove: str = "") -> Operations:
    """Something that is put on another resource by one permission, and removed by it where none is its own."""
    return Operations(create=_on(of, put), read=_on(of, get), update=_on(of, put), delete=_on(of, remove or put))


OPERATIONS: Final[Mapping[str, Operations]] = {
    "aws:ec2/vpc:Vpc": _of_ec2(
        "vpc",
        "Vpc",
        create=_in_turn(_make("vpc", "CreateVpc"), _on(_made("vpc"), "ec2:ModifyVpcAttribute")),
        read=_vpc_read,
        update=_in_turn(_on(_itself("vpc"), "ec2:ModifyVpcAttribute"), _retag_ec2("vpc")),
    ),
    "aws:ec2/internetGateway:InternetGateway": _of_ec2(
        "internet-gateway",
        "InternetGateway",
        create=_gateway_create,
        update=_gateway_update,
        delete=_gateway_delete,
    ),
    "aws:ec2/subnet:Subnet": _of_ec2(
        "subnet",
        "Subnet",
        create=_in_turn(_make("subnet", "CreateSubnet", _VPC), _on(_made("subnet"), "ec2:ModifySubnetAttribute")),
        update=_subnet_update,
        delete=_in_turn(_only("ec2:DescribeNetworkInterfaces"), _on(_itself("subnet"), "ec2:DeleteSubnet")),
    ),
    "aws:ec2/routeTable:RouteTable": _of_ec2("route-table", "RouteTable", _VPC),
    "aws:ec2/route:Route": Operations(
        create=_on(_TABLE, "ec2:CreateRoute"),
        read=_only("ec2:DescribeRouteTables"),
        update=_on(_TABLE, "ec2:ReplaceRoute"),
        delete=_on(_TABLE, "ec2:DeleteRoute"),
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Operations(
        create=_call("ec2:AssociateRouteTable", _TABLE, _SUBNET),
        read=_only("ec2:DescribeRouteTables"),
        update=_call("ec2:ReplaceRouteTableAssociation", _TABLE, _SUBNET),
        delete=_call("ec2:DisassociateRouteTable", _TABLE, _SUBNET),
    ),
    "aws:ec2/eip:Eip": Operations(
        create=_make("elastic-ip", "AllocateAddress"),
        read=_only("ec2:DescribeAddresses", "ec2:DescribeAddressesAttribute"),
        update=_retag_ec2("elastic-ip"),
        delete=_on(_itself("elastic-ip"), "ec2:ReleaseAddress"),
    ),
    "aws:ec2/natGateway:NatGateway": _of_ec2("natgateway", "NatGateway", _SUBNET, _named("elastic-ip", "allocationId")),
    "aws:ec2/securityGroup:SecurityGroup": _of_ec2(
        "security-group",
        "SecurityGroup",
        create=_in_turn(
            _make("security-group", "CreateSecurityGroup", _VPC),
            _on(_made("security-group"), "ec2:RevokeSecurityGroupEgress"),
            lambda asked: _authorize(asked, _made("security-group")(asked)),
        ),
        update=_group_update,
        delete=_in_turn(
            _only("ec2:DescribeNetworkInterfaces"), _on(_itself("security-group"), "ec2:DeleteSecurityGroup")
        ),
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _of_ec2(
        "security-group", "SecurityGroup", create=_default_group, update=_default_group, delete=_only()
    ),
    "aws:ec2/tag:Tag": Operations(
        create=_tag("ec2:CreateTags"),
        read=_only("ec2:DescribeTags"),
        update=_tag("ec2:CreateTags"),
        delete=_tag("ec2:DeleteTags"),
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _of_ec2(
        "vpc-endpoint",
        "VpcEndpoint",
        create=_endpoint_create,
        read=_only("ec2:DescribeVpcEndpoints", "ec2:DescribePrefixLists"),
        update=_endpoint_update,
        delete=_on(_itself("vpc-endpoint"), "ec2:DeleteVpcEndpoints"),
    ),
    "aws:ec2/flowLog:FlowLog": _of_ec2(
        "vpc-flow-log",
        "FlowLog",
        # Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
        create=_in_turn(
            _make("vpc-flow-log", "CreateFlowLogs", _VPC),
            _pass_role("vpc-flow-logs.amazonaws.com", "iamRoleArn"),
            _only("logs:CreateLogDelivery"),
        ),
        delete=_in_turn(_on(_itself("vpc-flow-log"), "ec2:DeleteFlowLogs"), _only("logs:DeleteLogDelivery")),
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": _of_ec2(
        "launch-template",
        "LaunchTemplate",
        read=_only("ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions"),
        update=_template_update,
    ),
    "aws:eks/cluster:Cluster": Operations(
        create=_cluster_create,
        read=_on(_cluster, "eks:DescribeCluster"),
        update=_cluster_update,
        delete=_on(_cluster, "eks:DeleteCluster"),
    ),
    "aws:eks/nodeGroup:NodeGroup": Operations(
        create=_node_group_create,
        read=_on(_node_group, "eks:DescribeNodegroup"),
        update=_node_group_update,
        delete=_on(_node_group, "eks:DeleteNodegroup"),
    ),
    "aws:eks/addon:Addon": Operations(
        create=_in_turn(_make_in_cluster("eks:CreateAddon", _addon), _pass_to_pods),
        read=_on(_addon, "eks:DescribeAddon"),
        update=_in_turn(
            _on(_addon, "eks:UpdateAddon"),
            _call("eks:DescribeUpdate", Asked.cluster, _addon),
            _pass_to_pods,
            _retag("eks:TagResource", _addon),
        ),
        delete=_on(_addon, "eks:DeleteAddon"),
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": Operations(
        create=_in_turn(_make_in_cluster("eks:CreatePodIdentityAssociation", _association_of_pods), _lend_role(PODS)),
        read=_on(_association_of_pods, "eks:DescribePodIdentityAssociation"),
        update=_in_turn(
            _where_changed("roleArn", _on(_association_of_pods, "eks:UpdatePodIdentityAssociation"), _lend_role(PODS)),
            _retag("eks:TagResource", _association_of_pods),
        ),
        delete=_on(_association_of_pods, "eks:DeletePodIdentityAssociation"),
    ),
    "aws:eks/accessEntry:AccessEntry": Operations(
        create=_entry_create,
        read=_on(_entry, "eks:DescribeAccessEntry"),
        update=_entry_update,
        delete=_on(_entry, "eks:DeleteAccessEntry"),
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": Operations(
        create=_access_policy("eks:AssociateAccessPolicy"),
        read=_access_policy("eks:ListAssociatedAccessPolicies"),
        delete=_access_policy("eks:DisassociateAccessPolicy"),
    ),
    "aws:cloudwatch/eventRule:EventRule": Operations(
        create=_rule_put,
        read=_on(_rule, "events:DescribeRule", "events:ListTagsForResource"),
        update=_rule_put,
        delete=_on(_rule, "events:DeleteRule"),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Operations(
        create=_target_put,
        read=_on(_rule_of, "events:ListTargetsByRule"),
        update=_target_put,
        delete=_on(_rule_of, "events:RemoveTargets"),
    ),
    "aws:sqs/queue:Queue": Operations(
        create=_new("sqs:CreateQueue", _queue, "sqs:TagQueue"),
        read=_on(_queue, "sqs:GetQueueAttributes", "sqs:ListQueueTags"),
        update=_in_turn(_on(_queue, "sqs:SetQueueAttributes"), _retag("sqs:TagQueue", _queue)),
        delete=_on(_queue, "sqs:DeleteQueue"),
    ),
    "aws:sqs/queuePolicy:QueuePolicy": _set_on(_queue_of, "sqs:SetQueueAttributes", "sqs:GetQueueAttributes"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Operations(
        create=_in_turn(
            _on(_alarm, "cloudwatch:DescribeAlarms"), _alarm_put, _tag_new("cloudwatch:TagResource", _alarm)
        ),
        read=_on(_alarm, "cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource"),
        update=_in_turn(_alarm_put, _retag("cloudwatch:TagResource", _alarm)),
        delete=_on(_alarm, "cloudwatch:DeleteAlarms"),
    ),
    "aws:sns/topic:Topic": Operations(
        create=_in_turn(_new("sns:CreateTopic", _topic, "sns:TagResource"), _on(_topic, "sns:SetTopicAttributes")),
        read=_on(_topic, "sns:GetTopicAttributes", "sns:ListTagsForResource"),
        update=_in_turn(_on(_topic, "sns:SetTopicAttributes"), _retag("sns:TagResource", _topic)),
        delete=_on(_topic, "sns:DeleteTopic"),
    ),
    "aws:sns/topicSubscription:TopicSubscription": Operations(
        create=_subscribe,
        read=_only("sns:GetSubscriptionAttributes"),
        delete=_only("sns:Unsubscribe", "sns:GetSubscriptionAttributes"),
    ),
    "aws:budgets/budget:Budget": Operations(
        create=_in_turn(_on(_budget, "budgets:ModifyBudget"), _tag_new("budgets:TagResource", _budget)),
        read=_on(_budget, "budgets:ViewBudget", "budgets:ListTagsForResource"),
        update=_in_turn(_on(_budget, "budgets:ModifyBudget"), _retag("budgets:TagResource", _budget)),
        delete=_on(_budget, "budgets:ModifyBudget"),
    ),
    "aws:fis/experimentTemplate:ExperimentTemplate": Operations(
        create=_in_turn(
            _experiment_put("fis:CreateExperimentTemplate", tagged=True),
            _tag_new("fis:TagResource", _experiment),
            _pass_role("fis.amazonaws.com"),
        ),
        read=_on(_experiment, "fis:GetExperimentTemplate"),
        update=_in_turn(
            _experiment_put("fis:UpdateExperimentTemplate"),
            _pass_role("fis.amazonaws.com"),
            _retag("fis:TagResource", _experiment),
        ),
        delete=_on(_experiment, "fis:DeleteExperimentTemplate"),
    ),
    "aws:kms/key:Key": Operations(
        create=_key_create,
        read=_on(_key, "kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"),
        update=_key_update,
        delete=_on(_key, "kms:ScheduleKeyDeletion", "kms:DescribeKey"),
    ),
    "aws:kms/alias:Alias": Operations(
        create=_alias("CreateAlias"),
        read=_only("kms:ListAliases"),
        update=_alias("UpdateAlias"),
        delete=_alias("DeleteAlias"),
    ),
    "aws:cloudwatch/logGroup:LogGroup": Operations(
        create=_logs_create,
        read=_in_turn(_only("logs:DescribeLogGroups"), _on(_group_of_logs, "logs:ListTagsForResource")),
        update=_logs_update,
        delete=_on(_group_of_logs, "logs:DeleteLogGroup"),
    ),
    "aws:iam/role:Role": Operations(
        create=_role_create,
        read=_on(_ROLE, "iam:GetRole", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies"),
        update=_role_update,
        delete=_on(_ROLE, "iam:ListInstanceProfilesForRole", "iam:DeleteRole"),
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Operations(
        create=_attachment("iam:AttachRolePolicy"),
        read=_on(_of_role, "iam:ListAttachedRolePolicies"),
        delete=_attachment("iam:DetachRolePolicy"),
    ),
    "aws:iam/rolePolicy:RolePolicy": Operations(
        create=_call("iam:PutRolePolicy", _of_role, keys=_boundary),
        read=_on(_of_role, "iam:GetRolePolicy"),
        update=_call("iam:PutRolePolicy", _of_role, keys=_boundary),
        delete=_call("iam:DeleteRolePolicy", _of_role, keys=_boundary),
    ),
    "aws:iam/policy:Policy": Operations(
        create=_new("iam:CreatePolicy", _POLICY, "iam:TagPolicy"),
        read=_on(_POLICY, "iam:GetPolicy", "iam:GetPolicyVersion"),
        update=_in_turn(
            _where_changed(
                "policy",
                _on(_POLICY, "iam:ListPolicyVersions", "iam:DeletePolicyVersion", "iam:CreatePolicyVersion"),
            ),
            _retag("iam:TagPolicy", _POLICY),
        ),
        delete=_on(_POLICY, "iam:ListPolicyVersions", "iam:DeletePolicyVersion", "iam:DeletePolicy"),
    ),
    "aws:iam/instanceProfile:InstanceProfile": Operations(
        create=_profile_create,
        read=_profile_read,
        update=_in_turn(
            _where_changed("role", _out_of_profile, _into_profile), _retag("iam:TagInstanceProfile", _PROFILE)
        ),
        delete=_in_turn(_out_of_profile, _on(_PROFILE, "iam:DeleteInstanceProfile")),
    ),
    "aws:iam/serviceLinkedRole:ServiceLinkedRole": Operations(
        create=_linked_role("CreateServiceLinkedRole"),
        read=_linked_role("GetRole"),
        update=_linked_role("UpdateRole"),
        delete=_linked_role("DeleteServiceLinkedRole", "GetServiceLinkedRoleDeletionStatus"),
    ),
    "aws:s3/bucket:Bucket": Operations(
        create=_bucket_create,
        read=_on(_bucket, "s3:ListBucket", "s3:GetBucketTagging", "s3:GetBucketLocation"),
        update=_on(_bucket, "s3:PutBucketTagging"),
        delete=_on(_bucket, "s3:DeleteBucket"),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _set_on_bucket("LifecycleConfiguration"),
    "aws:s3/bucketPolicy:BucketPolicy": _set_on_bucket("BucketPolicy", "s3:DeleteBucketPolicy"),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _set_on_bucket("BucketPublicAccessBlock"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _set_on_bucket(
        "EncryptionConfiguration"
    ),
    "aws:s3/bucketVersioning:BucketVersioning": _set_on_bucket("BucketVersioning"),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": Operations(
        create=_new("iam:CreateOpenIDConnectProvider", _issuer, "iam:TagOpenIDConnectProvider"),
        read=_on(_issuer, "iam:GetOpenIDConnectProvider"),
        update=_in_turn(
            _where_changed("thumbprintLists", _on(_issuer, "iam:UpdateOpenIDConnectProviderThumbprint")),
            _retag("iam:TagOpenIDConnectProvider", _issuer),
        ),
        delete=_on(_issuer, "iam:DeleteOpenIDConnectProvider"),
    ),
}
"""Type -> its calls."""

Asks = Callable[[Asked, Mapping[str, Any]], Iterable[Request]]
"""The calls of a function of the provider, with its arguments."""


def asks(*actions: str) -> Asks:
    """Calls that name no resource."""
    return lambda _asked, _arguments: calls(*actions)


def asks_for_vpc(asked: Asked, arguments: Mapping[str, Any]) -> Iterator[Request]:
    """Calls of the function that describes a VPC."""
    yield from calls("ec2:DescribeVpcs", "ec2:DescribeRouteTables")
    yield call("ec2:DescribeVpcAttribute", asked.ec2("vpc", arguments["id"]))


def asks_for_parameters(asked: Asked, arguments: Mapping[str, Any]) -> Iterator[Request]:
    """The parameters under a path; the ARN of a public one has no account.

    Source: https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters.html
    """
    path, scope = arguments["path"], asked.site.scope
    account = "" if path.startswith("/aws/") else scope.account
    arn = f"arn:{scope.partition}:ssm:{scope.region}:{account}:parameter/{path.strip('/')}"
    yield call("ssm:GetParametersByPath", Resource(arn=arn, kind="parameter"))
