"""Who calls the simulated cloud: every call of the AWS and the Kubernetes provider is decided as a role of the account.

``judged`` is the way in, for the recorded graph as for the provider's protocol; what was asked and decided is kept.
"""

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from typing_extensions import override

from otel_on_spot.iam import actions, messages
from otel_on_spot.iam.decisions import Caller, Request, Resource, decide
from otel_on_spot.iam.policies import Decision
from otel_on_spot.iam.roles import caller_of_role
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.aws import principals
from otel_on_spot.simcloud.aws.provider_calls import OPERATIONS, Asked, kind_of
from otel_on_spot.simcloud.aws.registry import FUNCTIONS
from otel_on_spot.simcloud.cloud import Cloud, Judge
from otel_on_spot.simcloud.handler import Site, tags_of
from otel_on_spot.simcloud.kubernetes import access
from otel_on_spot.simcloud.properties import Properties

GLOBAL_REGION = "us-east-1"
"""Region of the only endpoint of a global service.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html (aws:RequestedRegion)
"""
GLOBAL_SERVICES = ("budgets", "iam", "route53")
ROLE = "aws:iam/role:Role"
UNASKED = "unasked"
WITH_POLICIES = ("aws:kms/", "aws:sqs/")
"""Beginnings of the types whose own policy is asked for."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call, and what became of it. ``operation`` is such as ``create aws:ec2/vpc:Vpc otel-dev-vpc``."""

    request: Request
    decision: Decision
    operation: str


def as_called(request: Request, region: str) -> Request:
    """The request with the condition keys that every call of a client in a region carries."""
    service = request.action.partition(":")[0]
    where = GLOBAL_REGION if service in GLOBAL_SERVICES else region
    everywhere = {"aws:RequestedRegion": where, "aws:SecureTransport": True, "aws:ViaAWSService": False}
    ec2 = {"ec2:Region": region} if service == "ec2" else {}
    return Request(action=request.action, resources=request.resources, keys={**everywhere, **ec2, **request.keys})


class RoleError(ValueError):
    """There is no such role to call as."""


def role_caller(cloud: Cloud, role: str, region: str = GLOBAL_REGION) -> Caller:
    """The session of a role of the account, with every policy that it has now.

    Args:
        cloud: whose account it is.
        role: its name or ARN.
        region: of the client that asks; IAM has but one.

    Raises:
        RoleError: the account has no such role.
    """
    iam, name = cloud.client("iam", region), role.rpartition("/")[2]
    try:
        caller = caller_of_role(iam, name)
    except ClientError:
        known = ", ".join(sorted(role["RoleName"] for role in iam.list_roles()["Roles"])) or "none"
        raise RoleError(
            f"{role}: the simulated account has no such role. It must be there before anything calls as it; there are: "
            f"{known}"
        ) from None
    if role.startswith("arn:") and role != caller.role:
        raise RoleError(f"{role}: the account's role of that name is {caller.role}")
    return caller


class Authorization(Judge):
    """Decides the providers' calls, and keeps them; threads may share one.

    Args:
        cloud: whose calls they are.
        caller: who makes them; None allows everything, and keeps what was asked.
        log: a file for the calls, one JSON object a line; None writes none.
    """

    def __init__(self, cloud: Cloud, caller: Caller | None = None, log: Path | None = None) -> None:
        self.cloud = cloud
        self.caller = caller
        self.calls: list[Call] = []
        self.log = log
        self._tags: dict[str, Mapping[str, str]] = {}
        self._roles: dict[str, tuple[str, str | None]] = {}
        self._policies: dict[tuple[str, str], str | None] = {}
        self._unique_id: str | None = None
        self._lock = threading.Lock()

    @property
    def denied(self) -> list[Call]:
        """The calls that were refused."""
        return [call for call in self.calls if not call.decision]

    @property
    def actions(self) -> frozenset[str]:
        """Every action that was asked for."""
        return frozenset(call.request.action for call in self.calls)

    def summary(self) -> str:
        """Numbers of calls made and refused, and each refused action with its resource."""
        refused = sorted({f"{call.request.action} on {call.decision.resource}" for call in self.denied})
        told = f" Refused: {'; '.join(refused)}." if refused else ""
        return f"{len(self.calls)} calls as {self.arn or 'nobody'}, {len(self.denied)} refused.{told}"

    @property
    @override
    def arn(self) -> str:
        return self.caller.arn if self.caller else ""

    @property
    @override
    def principal(self) -> str:
        return (self.caller.role or self.caller.arn) if self.caller else ""

    @override
    def operation(
        self, name: str, token: str, logical: str, site: Site, identity: str, state: Properties, inputs: Properties
    ) -> None:
        if token.startswith("kubernetes:"):
            self._in_cluster(name, token, logical, site, identity, inputs)
            return
        if token not in OPERATIONS:
            raise ApiError(
                "NotJudged",
                f"{token}: nobody has said which calls its provider makes, so no role may make them. Add it to "
                "simcloud/aws/provider_calls.py",
            )
        asked = Asked(site=site, known=self, identity=identity, state=state, inputs=inputs)
        for request in OPERATIONS[token].of(name, asked):
            self.decide(request, f"{name} {token} {logical}", site.region)
        if name != "read" and token == ROLE:
            self._roles.pop(identity, None)
        elif name != "read" and token.startswith(WITH_POLICIES):
            self._policies.clear()

    @override
    def function(self, token: str, site: Site, arguments: Properties) -> None:
        if token not in FUNCTIONS:
            raise ApiError("NotJudged", f"{token}: nobody has said which calls it makes. Add it to FUNCTIONS")
        for request in FUNCTIONS[token].calls(Asked(site=site, known=self), arguments):
            self.decide(request, f"invoke {token}", site.region)

    def decide(self, request: Request, operation: str, region: str) -> None:
        """Decide one call, and keep it.

        Raises:
            ApiError: it is refused, or the table of actions does not know it.
        """
        try:
            actions.check(request)
        except actions.UnlistedCallError as problem:
            raise ApiError("NotJudged", str(problem)) from None
        asked = as_called(request, region)
        decision = Decision("allowed") if self.caller is None else decide(asked, self.caller)
        self._keep(Call(request=asked, decision=decision, operation=operation))
        if not decision and self.caller:
            raise ApiError(*messages.refusal(asked, self.caller, decision))

    def _keep(self, call: Call) -> None:
        with self._lock:
            self.calls.append(call)
            if self.log:
                with self.log.open("a") as file:
                    file.write(json.dumps(as_line(call)) + "\n")

    def _in_cluster(self, name: str, token: str, logical: str, site: Site, identity: str, inputs: Properties) -> None:
        """Decide the requests to a cluster's API; one that does not answer says so itself.

        Raises:
            ApiError: one is refused, or the cluster knows no such caller.
        """
        row = self.cloud.tables.get("clusters", site.cluster)
        if row is None or row["status"] != "ACTIVE":
            return
        user = access.user_of(site, self.caller, self._id_of_caller(site)) if self.caller else None
        for asked in access.requests(site, name, token, identity, inputs):
            decision = Decision("allowed") if self.caller is None else access.decide(site, user, asked)
            about = "/".join(filter(None, (asked.qualified, asked.namespace, asked.name)))
            request = Request(action=f"kubernetes:{asked.verb}", resources=(Resource(arn=about),))
            self._keep(
                Call(request=request, decision=replace(decision, resource=about), operation=f"{name} {token} {logical}")
            )
            if not decision:
                raise ApiError(*access.refusal(user, asked))

    def _id_of_caller(self, site: Site) -> str:
        if self._unique_id is None:
            found = principals.entity(site, self.principal)
            self._unique_id = str(found.get("RoleId") or found.get("UserId") or "")
        return self._unique_id

    @override
    def remember(self, identity: str, outputs: Properties) -> None:
        if "tagsAll" in outputs:
            held = dict(outputs["tagsAll"] or {})
            for name in {identity, str(outputs.get("arn") or identity)}:
                self._tags[name] = held
        if ":role/" in str(outputs.get("arn")):
            self._roles[identity] = (outputs["arn"], outputs.get("permissionsBoundary"))

    # What calls name beside their own resource

    def tags(self, service: str, identity: str, site: Site) -> Mapping[str, str]:
        """Tags of a resource, by its id, name or ARN."""
        if identity not in self._tags:
            try:
                self._tags[identity] = _looked_up(service, identity, site)
            except ClientError:
                return {}
        return self._tags[identity]

    def role_arn(self, name: str, site: Site) -> str:
        """ARN of a role by its name: its path is in it. Of one that is not there, as if it had none."""
        return self._role(name, site)[0]

    def _role(self, name: str, site: Site) -> tuple[str, str | None]:
        """(ARN, boundary) of a role by its name, asked for once until an operation on it changes it."""
        if name not in self._roles:
            try:
                role = site.client("iam").get_role(RoleName=name)["Role"]
            except ClientError:
                return f"arn:{site.scope.partition}:iam::{site.scope.account}:role/{name}", None
            boundary = (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
            self._roles[name] = (role["Arn"], boundary)
        return self._roles[name]

    def policy(self, service: str, identity: str, site: Site) -> str | None:
        """A key's or a queue's own policy, or the ARN of a role's boundary; None where there is none."""
        if service == "iam-boundary":
            return self._role(identity.rpartition("/")[2], site)[1]
        key = (service, identity)
        told = self._policies.get(key, UNASKED)
        if told == UNASKED:
            try:
                told = _own_policy(service, identity, site)
            except ClientError:
                return None
            self._policies[key] = told
        return told

    def has_service_linked_role(self, service: str, site: Site) -> bool:
        """True where the account has the role that is a service's own."""
        path = f"/aws-service-role/{service}/"
        return bool(site.client("iam").list_roles(PathPrefix=path)["Roles"])

    def vpc_of(self, subnet: str, site: Site) -> str:
        """Id of a subnet's VPC; empty where there is no such subnet."""
        try:
            return str(site.client("ec2").describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"])
        except ClientError:
            return ""


def _own_policy(service: str, identity: str, site: Site) -> str | None:
    if service == "kms":
        return site.client("kms").get_key_policy(KeyId=identity, PolicyName="default")["Policy"]
    sqs = site.client("sqs")
    url = sqs.get_queue_url(QueueName=identity.rpartition("/")[2])["QueueUrl"]
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"]).get("Attributes", {}).get("Policy") or None


def _looked_up(service: str, identity: str, site: Site) -> Mapping[str, str]:
    client = site.client(service)
    if service == "ec2":
        kind_of(identity)
        found = client.describe_tags(Filters=[{"Name": "resource-id", "Values": [identity]}])["Tags"]
        return tags_of(found)
    if service == "iam":
        return tags_of(client.get_role(RoleName=identity.rpartition("/")[2])["Role"].get("Tags"))
    if service == "kms":
        return {tag["TagKey"]: tag["TagValue"] for tag in client.list_resource_tags(KeyId=identity)["Tags"]}
    if service == "sns":
        return tags_of(client.list_tags_for_resource(ResourceArn=identity)["Tags"])
    url = client.get_queue_url(QueueName=identity.rpartition("/")[2])["QueueUrl"]
    return client.list_queue_tags(QueueUrl=url).get("Tags", {})


def as_line(call: Call) -> dict[str, Any]:
    """A call as the log has it."""
    return {
        "operation": call.operation,
        "action": call.request.action,
        "keys": dict(call.request.keys),
        "resources": [{"arn": resource.arn, "keys": dict(resource.keys)} for resource in call.request.resources],
        "decision": {key: value for key, value in asdict(call.decision).items() if value},
    }


@contextmanager
def judged(cloud: Cloud, role: str | None = None, log: Path | None = None) -> Generator[Authorization]:
    """Decide every call of both providers within as a role of the account; the caller before is back afterwards.

    Args:
        cloud: whose calls they are.
        role: its name or ARN, which the account must have; its policies are those of now. None allows everything, and
            keeps what was asked.
        log: a file for the calls, one JSON object a line.

    Raises:
        RoleError: the account has no such role.
    """
    before = cloud.authorization
    cloud.authorization = Authorization(cloud, role_caller(cloud, role) if role else None, log)
    try:
        yield cloud.authorization
    finally:
        cloud.authorization = before
