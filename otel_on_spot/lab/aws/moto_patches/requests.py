"""The calls that IAM decides for one request at moto: actions, the resources that they name, their condition keys.

A request is one call of its own action and, where it makes something or passes a role, calls of others: EC2 asks for
ec2:CreateTags, ec2:RunInstances and iam:PassRole beside ec2:CreateFleet.

Sources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-fleet-prerequisites.html,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from otel_on_spot.iam.decisions import Request, Resource
from otel_on_spot.lab.aws.moto_patches.reservations import target
from otel_on_spot.simcloud.aws.provider_calls import call, kind_of, requested, tagged, with_keys

PREFIXES: Final = {"eventbridge": "events", "cloudwatch logs": "logs"}
"""IAM's name of a service where moto's is another."""
ACTIONS: Final = {
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
"""Operation -> the action that decides it, where that has another name."""
LAUNCHED: Final = ("instance", "volume", "network-interface")
"""What a launch makes."""
GLOBAL_REGION: Final = "us-east-1"


class Received:
    """One request that moto has received and not answered.

    ``response``: moto's own object of it.
    """

    def __init__(self, response: Any) -> None:
        self.response = response
        self.account = response.get_current_account()
        self.region = response.region

    def given(self, name: str, otherwise: Any = None) -> Any:
        """A parameter."""
        found = self.response._get_param(name)
        return otherwise if found is None else found

    @property
    def action(self) -> str:
        """IAM's name of the action that is asked for."""
        name = self.response._get_action()
        service = self.response.service_name
        operation = f"{PREFIXES.get(service, service)}:{name[0] if isinstance(name, list) else name}"
        return ACTIONS.get(operation, operation)

    @property
    def keys(self) -> dict[str, Any]:
        """Condition keys of the call itself."""
        service = self.action.partition(":")[0]
        where = GLOBAL_REGION if service == "iam" else self.region
        ec2 = {"ec2:Region": self.region} if service == "ec2" else {}
        return {"aws:RequestedRegion": where, "aws:SecureTransport": True, "aws:ViaAWSService": False, **ec2}

    # Resources

    def arn(self, service: str, rest: str, region: str | None = None, account: str | None = None) -> str:
        """An ARN of the partition ``aws``.

        Args:
            service: its part of the ARN, such as ``ec2``.
            rest: what follows the account, such as ``instance/i-0f0e0d0c1a2b3c4d5``.
            region: None takes the request's; empty of a global service.
            account: None takes the caller's; empty where AWS names none.
        """
        where, whose = self.region if region is None else region, self.account if account is None else account
        return f"arn:aws:{service}:{where}:{whose}:{rest}"

    def ec2(self, identity: str) -> Resource:
        """Something of EC2 that is there, with its tags."""
        from moto.ec2.models import ec2_backends

        kind = "image" if identity.startswith("ami-") else kind_of(identity)
        held = ec2_backends[self.account][self.region].tags.get(identity, {})
        keys = {**tagged(held), **{f"ec2:ResourceTag/{key}": value for key, value in held.items()}}
        account = "" if kind == "image" else None
        return Resource(arn=self.arn("ec2", f"{kind}/{identity}", account=account), kind=kind, keys=keys)

    def fresh(self, kind: str, tags: Mapping[str, str]) -> Resource:
        """Something of EC2 that the call makes, with the tags that it asks for."""
        return Resource(arn=self.arn("ec2", f"{kind}/*"), kind=kind, keys=requested(tags))

    def any(self, kind: str) -> Resource:
        """Something of EC2 that the request leaves to the account's defaults: it has no id yet."""
        account = "" if kind == "image" else None
        return Resource(arn=self.arn("ec2", f"{kind}/*", account=account), kind=kind)

    def profile(self, name: str) -> Resource:
        """An instance profile, there or not."""
        found = self._profile(name)
        path, held = (found.path, tag_map(found.tags)) if found else (self.given("Path", "/"), {})
        return Resource(
            arn=self.arn("iam", f"instance-profile{path}{name}", region=""), kind="instance-profile", keys=tagged(held)
        )

    def _profile(self, name: str) -> Any:
        found = iam(self.account).get_instance_profiles()
        return next((profile for profile in found if name in (profile.name, profile.arn)), None)

    def pass_role(self, role: Any) -> Request:
        """PassRole of one of moto's roles to EC2."""
        about = Resource(arn=role.arn, kind="role", keys=tagged(tag_map(role.tags)))
        return call("iam:PassRole", about, **{"iam:PassedToService": "ec2.amazonaws.com"})

    def pass_profile(self, told: Mapping[str, Any] | None) -> Iterator[Request]:
        """PassRole of the role in an instance profile that a launch names; one that is not there holds none."""
        name = (told or {}).get("Arn") or (told or {}).get("Name")
        profile = self._profile(name) if name else None
        for role in profile.roles if profile else ():
            yield self.pass_role(role)

    def queue(self) -> Resource:
        """The queue that the request names, with its own policy."""
        from moto.sqs.models import sqs_backends

        name = self.given("QueueName") or str(self.given("QueueUrl", "")).rpartition("/")[2]
        found = sqs_backends[self.account][self.region].queues.get(name)
        held, policy = (found.tags, found.policy) if found else ({}, None)
        return Resource(arn=self.arn("sqs", name), kind="queue", keys=tagged(held), policy=policy or None)


def iam(account: str) -> Any:
    """The IAM that moto has of an account."""
    from moto.iam.models import iam_backends

    return iam_backends[account]["aws"]


def tag_map(tags: Any) -> dict[str, str]:
    """Tags of moto as a mapping, in whichever form it keeps them."""
    if isinstance(tags, Mapping):
        return {key: told["Value"] if isinstance(told, Mapping) else told for key, told in tags.items()}
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def specified(specifications: Iterable[Mapping[str, Any]] | None) -> dict[str, dict[str, str]]:
    """TagSpecifications: type -> tags."""
    found: dict[str, dict[str, str]] = {}
    for told in specifications or ():
        found.setdefault(told["ResourceType"], {}).update(tag_map(told.get("Tags")))
    return found


def tag_new(received: Received, tags: Mapping[str, Mapping[str, str]], action: str) -> Iterator[Request]:
    """CreateTags of what a call makes with tags."""
    for kind, told in tags.items():
        if told:
            yield call("ec2:CreateTags", received.fresh(kind, told), **{"ec2:CreateAction": action})


# EC2


def _template(received: Received, told: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """(id, data of the version) of a launch template; nothing of one that is not there, as in a dry run."""
    from moto.ec2.exceptions import EC2ClientError
    from moto.ec2.models import ec2_backends

    backend = ec2_backends[received.account][received.region]
    try:
        if told.get("LaunchTemplateId"):
            template = backend.get_launch_template(template_id=told["LaunchTemplateId"])
        else:
            template = backend.get_launch_template_by_name(name=told.get("LaunchTemplateName", ""))
    except EC2ClientError:
        return "", {}
    return template.id, template.get_version(told.get("Version") or template.default_version_number).data


def groups_of(template: Mapping[str, Any]) -> list[str]:
    """Security groups of a launch template's data, of its own and of its interfaces, each once."""
    found = list(template.get("SecurityGroupIds") or [])
    for interface in template.get("NetworkInterfaces") or []:
        found += interface.get("Groups") or []
    return list(dict.fromkeys(found))


def _subnets(received: Received, named: Iterable[str]) -> list[Resource]:
    """The subnets that are there: those of a dry run are made up."""
    from moto.ec2.models import ec2_backends

    known = {subnet for zone in ec2_backends[received.account][received.region].subnets.values() for subnet in zone}
    return [received.ec2(subnet) for subnet in dict.fromkeys(named) if subnet in known]


def _create_fleet(received: Received) -> Iterator[Request]:
    """CreateFleet, and for each template that is there a launch; Karpenter's dry run names one that is not."""
    asked = specified(received.given("TagSpecifications"))
    templates, subnets, images, launches = [], [], [], []
    for config in received.given("LaunchTemplateConfigs", ()):
        identity, data = _template(received, config.get("LaunchTemplateSpecification") or {})
        overrides = config.get("Overrides") or ()
        there = _subnets(received, [override["SubnetId"] for override in overrides if override.get("SubnetId")])
        named = [override["ImageId"] for override in overrides if override.get("ImageId")] or [data.get("ImageId")]
        image = [received.ec2(name) for name in dict.fromkeys(named) if name]
        templates += [received.ec2(identity)] if identity else []
        subnets, images = [*subnets, *there], [*images, *image]
        launches += [(identity, data, there, image)]
    made = [received.fresh(kind, asked.get(kind, {})) for kind in ("fleet", "instance", "volume")]
    yield call("ec2:CreateFleet", *made, *templates, *subnets, *images)
    yield from tag_new(received, asked, "CreateFleet")
    for identity, data, there, image in launches:
        if identity:
            yield from _launch(received, data, asked, [*there, *image, received.ec2(identity)])


def _launch(
    received: Received, data: Mapping[str, Any], asked: Mapping[str, Mapping[str, str]], there: list[Resource]
) -> Iterator[Request]:
    """RunInstances and what it needs.

    ``data``: a launch template's data, or the request's own parameters. ``asked``: type -> tags that the request asks
    for.
    """
    told = specified(data.get("TagSpecifications"))
    own = {kind: tags for kind, tags in told.items() if kind in (*LAUNCHED, "spot-instances-request")}
    groups = [received.ec2(group) for group in groups_of(data)]
    reserved = [received.ec2(identity) for identity in [target(data)] if identity]
    named = {resource.kind for resource in (*there, *groups)}
    default = [received.any(kind) for kind in ("security-group", "subnet", "image") if kind not in named]
    made = [received.fresh(kind, {**own, **asked}.get(kind, {})) for kind in LAUNCHED]
    yield call("ec2:RunInstances", *made, *there, *groups, *default, *reserved)
    yield from tag_new(received, own, "RunInstances")
    yield from received.pass_profile(data.get("IamInstanceProfile"))


def _run_instances(received: Received) -> Iterator[Request]:
    names = (
        "TagSpecifications",
        "SecurityGroupIds",
        "NetworkInterfaces",
        "IamInstanceProfile",
    )
    data = {name: received.given(name) for name in names}
    subnets = [
        received.given("SubnetId"),
        *(interface.get("SubnetId") for interface in data["NetworkInterfaces"] or ()),
    ]
    there = _subnets(received, [subnet for subnet in subnets if subnet])
    if received.given("ImageId"):
        there.append(received.ec2(received.given("ImageId")))
    told = received.given("LaunchTemplate")
    if told:
        identity, template = _template(received, told)
        there += [received.ec2(identity)] if identity else []
        data = {**template, **{name: value for name, value in data.items() if value}}
    yield from _launch(received, data, {}, there)


def _create_template(received: Received) -> Iterator[Request]:
    tags = specified(received.given("TagSpecifications"))
    yield call("ec2:CreateLaunchTemplate", received.fresh("launch-template", tags.get("launch-template", {})))
    yield from tag_new(received, tags, "CreateLaunchTemplate")


def _delete_template(received: Received) -> Iterator[Request]:
    told = {name: received.given(name) for name in ("LaunchTemplateId", "LaunchTemplateName")}
    identity, _ = _template(received, told)
    about = received.ec2(identity) if identity else received.fresh("launch-template", {})
    yield call("ec2:DeleteLaunchTemplate", about)


def _tag(received: Received) -> Iterator[Request]:
    tags = tag_map(received.given("Tags"))
    about = [with_keys(received.ec2(identity), requested(tags)) for identity in received.given("ResourceId", ())]
    about += [with_keys(received.ec2(identity), requested(tags)) for identity in received.given("Resources", ())]
    yield call("ec2:CreateTags", *about)


def _terminate(received: Received) -> Iterator[Request]:
    identities = received.given("InstanceIds", ()) or received.given("InstanceId", ())
    yield call("ec2:TerminateInstances", *map(received.ec2, identities))


# IAM, and the rest


def _profile(action: str) -> Callable[[Received], Iterator[Request]]:
    def asked(received: Received) -> Iterator[Request]:
        about = received.profile(received.given("InstanceProfileName", ""))
        tags = tag_map(received.given("Tags"))
        yield call(f"iam:{action}", with_keys(about, requested(tags)))
        if action == "CreateInstanceProfile" and tags:
            yield call("iam:TagInstanceProfile", with_keys(about, requested(tags)))
        if action == "AddRoleToInstanceProfile":
            name = received.given("RoleName")
            for role in iam(received.account).get_roles():
                if role.name == name:
                    yield received.pass_role(role)

    return asked


def _queue(received: Received) -> Iterator[Request]:
    yield call(received.action, received.queue())


def _cluster(received: Received) -> Iterator[Request]:
    from moto.eks.models import eks_backends

    name = received.given("name", "")
    found = eks_backends[received.account][received.region].clusters.get(name)
    held = (found.tags or {}) if found else {}
    yield call(
        "eks:DescribeCluster", Resource(arn=received.arn("eks", f"cluster/{name}"), kind="cluster", keys=tagged(held))
    )


def _parameters(received: Received) -> Iterator[Request]:
    """A public parameter's ARN has no account.

    Source: https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters.html
    """
    about = []
    for name in received.given("Names") or [received.given("Name", "")]:
        account = "" if name.startswith("/aws/") else None
        arn = received.arn("ssm", f"parameter/{name.lstrip('/')}", account=account)
        about.append(Resource(arn=arn, kind="parameter"))
    yield call(received.action, *about)


CALLS: Final[Mapping[str, Callable[[Received], Iterable[Request]]]] = {
    "ec2:CreateFleet": _create_fleet,
    "ec2:RunInstances": _run_instances,
    "ec2:CreateLaunchTemplate": _create_template,
    "ec2:DeleteLaunchTemplate": _delete_template,
    "ec2:CreateTags": _tag,
    "ec2:TerminateInstances": _terminate,
    **{
        f"iam:{action}": _profile(action)
        for action in (
            "CreateInstanceProfile",
            "TagInstanceProfile",
            "AddRoleToInstanceProfile",
            "RemoveRoleFromInstanceProfile",
            "DeleteInstanceProfile",
            "GetInstanceProfile",
        )
    },
    **{f"sqs:{action}": _queue for action in ("SendMessage", "ReceiveMessage", "DeleteMessage", "GetQueueUrl")},
    "sqs:GetQueueAttributes": _queue,
    "eks:DescribeCluster": _cluster,
    "ssm:GetParameter": _parameters,
    "ssm:GetParameters": _parameters,
}
"""Action -> the calls of a request for it; of an action that names no resource, there is its own call alone."""


def calls_of(response: Any) -> Iterator[Request]:
    """The calls that IAM decides for a request at moto, in order.

    ``response``: moto's own object of the request.
    """
    received = Received(response)
    asked = CALLS[received.action](received) if received.action in CALLS else [Request(action=received.action)]
    for request in asked:
        yield Request(
            action=request.action, resources=request.resources, keys={**_keys(received, request), **request.keys}
        )


def _keys(received: Received, request: Request) -> dict[str, Any]:
    keys = received.keys
    if not request.action.startswith("ec2:"):
        keys.pop("ec2:Region", None)
    if request.action.startswith("iam:"):
        keys["aws:RequestedRegion"] = GLOBAL_REGION
    return keys
