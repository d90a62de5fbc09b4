"""What whoever deploys must be allowed, and what the boundary of the roles that are made must not deny.

The calls are those of the AWS provider for each planned resource (``simcloud.aws.provider_calls``), from creation to
deletion, with their resources and condition keys. The evaluator knows the caller's policies and its boundary; what an
organisation's own policies deny, IAM's simulator tells where it may be asked.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.exceptions import ClientError

from otel_on_spot.aws_errors import error_code, is_not_found
from otel_on_spot.doctor.check import Judging, result_of
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.iam import allows, statements
from otel_on_spot.iam.decisions import Caller, Request, Resource, decide
from otel_on_spot.iam.policies import Decision
from otel_on_spot.iam.roles import caller_of_role, caller_of_user, managed_policy
from otel_on_spot.preflight.account import is_real
from otel_on_spot.preflight.situation import Situation
from otel_on_spot.program.recording import Registration
from otel_on_spot.program.values import revealed
from otel_on_spot.simcloud.authorization import as_called
from otel_on_spot.simcloud.aws.provider_calls import OPERATIONS, Asked
from otel_on_spot.simcloud.aws.registry import FUNCTIONS
from otel_on_spot.simcloud.handler import Site

if TYPE_CHECKING:
    from otel_on_spot.simcloud.cloud import Cloud

ROLE: Final = "aws:iam/role:Role"
POLICY: Final = "aws:iam/policy:Policy"
ASKED_AT_ONCE: Final = 50
"""Actions in one question to IAM's simulator."""
SHOWN: Final = 8
"""Actions that a finding names before it counts the rest; the remedy has them all."""


class UnknownCallerError(Exception):
    """Nobody whose policies could be read. The message says who asks."""


@dataclass(frozen=True)
class _Tables:
    """The clusters of a plan, as a simulated cloud keeps its own."""

    situation: Situation

    def get(self, _: str, name: str) -> dict[str, Any]:
        for cluster in self.situation.of_type("aws:eks/cluster:Cluster"):
            if cluster.inputs["name"] == name:
                return {"tags": self.situation.tags(cluster)}
        return {}


@dataclass(frozen=True)
class _PlannedCloud:
    """The part of a cloud that the provider's calls ask of it."""

    account: str
    tables: _Tables


@dataclass(frozen=True)
class _Planned:
    """What is known of the resources that a call names: they are as the plan makes them."""

    situation: Situation

    def _find(self, identity: str) -> Registration | None:
        for planned in self.situation.aws():
            arn = self.situation.here(str(planned.outputs.get("arn") or ""))
            if identity in (planned.id, arn):
                return planned
        return None

    def tags(self, service: str, identity: str, site: Site) -> Mapping[str, str]:  # noqa: ARG002
        """Tags of a resource; those of EKS's own group where the plan does not make it."""
        found = self._find(identity)
        if found is not None:
            return self.situation.tags(found)
        clusters = self.situation.of_type("aws:eks/cluster:Cluster")
        if identity.startswith("sg-") and clusters:
            return {f"kubernetes.io/cluster/{clusters[0].inputs['name']}": "owned"}
        return {}

    def role_arn(self, name: str, site: Site) -> str:
        """ARN of a role by its name."""
        for role in self.situation.of_type(ROLE):
            if role.inputs.get("name") == name:
                return str(self.situation.here(role.outputs["arn"]))
        return f"arn:{site.scope.partition}:iam::{site.scope.account}:role/{name}"

    def policy(self, service: str, identity: str, site: Site) -> str | None:
        """A key's or a queue's own policy, or the ARN of a role's boundary."""
        if service == "iam-boundary":
            for role in self.situation.of_type(ROLE):
                if role.inputs.get("name") == identity.rpartition("/")[2]:
                    return role.inputs.get("permissionsBoundary")
            return None
        found = self._find(identity)
        if found is None and service == "kms":
            return self._given_key_policy(identity, site)
        return None if found is None else self.situation.here(found.inputs.get("policy"))

    def _given_key_policy(self, arn: str, site: Site) -> str:
        """Policy of a key that the plan does not make; one that cannot be read is taken to let the account in."""
        try:
            return str(self.situation.client("kms").get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
        except ClientError:
            whoever = {"AWS": f"arn:{site.scope.partition}:iam::{site.scope.account}:root"}
            statement = {"Effect": "Allow", "Principal": whoever, "Action": "kms:*", "Resource": "*"}
            return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def has_service_linked_role(self, service: str, site: Site) -> bool:  # noqa: ARG002
        """True where the account has the role that is a service's own: that is asked."""
        path = f"/aws-service-role/{service}/"
        return bool(self.situation.client("iam").list_roles(PathPrefix=path)["Roles"])

    def vpc_of(self, subnet: str, site: Site) -> str:  # noqa: ARG002
        """Id of a subnet's VPC: of one that the plan does not make, the VPC that is there."""
        found = self._find(subnet)
        return self.situation.existing_vpc if found is None else str(found.inputs["vpcId"])


def requests(situation: Situation) -> Iterator[tuple[Request, str]]:
    """Every call of an update that makes the plan, of a refresh and of a deletion, with the operation's name."""
    cloud = cast("Cloud", _PlannedCloud(situation.identity.account, _Tables(situation)))
    site = Site(cloud, region=situation.region, default_tags=situation.default_tags)
    known = _Planned(situation)
    for planned in situation.aws():
        operations = OPERATIONS.get(planned.type)
        if operations is None:
            continue
        # A name that the provider makes up is among the outputs alone.
        inputs = {**situation.here(revealed(dict(planned.outputs))), **situation.wanted(planned)}
        made = {**inputs, "tagsAll": situation.tags(planned)}
        identity = situation.here(planned.id)
        for name, asked in (
            ("create", Asked(site=site, known=known, inputs=inputs)),
            ("read", Asked(site=site, known=known, identity=identity, state=made)),
            ("delete", Asked(site=site, known=known, identity=identity, state=made)),
        ):
            if name == "delete" and planned.retain_on_delete:
                continue
            for request in operations.of(name, asked):
                yield as_called(_here(situation, request), situation.region), f"{name} {planned.type}"
    for invoke in situation.recording.invokes:
        if invoke.token in FUNCTIONS:
            asked = Asked(site=site, known=known)
            for request in FUNCTIONS[invoke.token].calls(asked, situation.here(dict(invoke.arguments))):
                yield as_called(_here(situation, request), situation.region), f"invoke {invoke.token}"


def _here(situation: Situation, request: Request) -> Request:
    named = tuple(
        Resource(
            arn=situation.here(resource.arn),
            kind=resource.kind,
            keys=situation.here(dict(resource.keys)),
            policy=resource.policy,
            account=resource.account,
        )
        for resource in request.resources
    )
    return Request(action=request.action, resources=named, keys=situation.here(dict(request.keys)))


def caller(situation: Situation) -> Caller | None:
    """Identity that is judged; None for one that may do all: an account's root, and nobody's in a simulated cloud.

    Raises:
        UnknownCallerError: the one who asks is neither a user, nor a role, nor root.
    """
    iam, arn = situation.client("iam"), situation.identity.arn
    if situation.role:
        return caller_of_role(iam, situation.role.rpartition("/")[2])
    service, rest = arn.split(":")[2], arn.split(":", 5)[5]
    if rest == "root":
        return None
    kind, _, name = rest.partition("/")
    if kind == "assumed-role":
        return caller_of_role(iam, name.partition("/")[0], arn)
    if (service, kind) == ("iam", "user"):
        return caller_of_user(iam, name.rpartition("/")[2])
    if not is_real(situation):
        return None
    raise UnknownCallerError(f"{arn} is nobody whose policies can be read: name a role, --as ROLE")


@result_of
def deployer(situation: Situation) -> Judging:
    """Whoever deploys may make every call of the update, of a refresh and of the way back.

    Raises:
        botocore.exceptions.ClientError: AWS does not tell the policies; a role of ``--as`` that is gone is a finding.
    """
    asked = list(requests(situation))
    actions = {request.action for request, _ in asked}
    try:
        judged = caller(situation)
    except ClientError as problem:
        if situation.role and is_not_found(problem):
            yield Finding(
                subject=situation.role,
                seen=f"the account {situation.identity.account} has no such role",
                rule="the role whose permissions are judged is there: bootstrap makes one for each stack and job",
                remedy=("aws iam list-roles --query Roles[].RoleName", "see docs/operations.md, Bootstrap"),
            )
            return 0, "no role"
        raise
    if judged is None:
        return len(asked), f"{len(asked)} calls, and {situation.identity.arn} may make all of them"
    kept: dict[tuple[str, str, str], list[tuple[Request, Decision]]] = {}
    for request, _ in asked:
        decision = decide(request, judged)
        if not decision:
            told = json.dumps(decision.statement, sort_keys=True) if decision.statement else ""
            kept.setdefault((decision.outcome, decision.policy, told), []).append((request, decision))
    yield from (_denied(judged, denied) for denied in kept.values())
    shut, unasked = _shut_by_the_organization(situation, judged, actions) if is_real(situation) else ((), "")
    yield from shut
    left = sum(registration.type not in OPERATIONS for registration in situation.aws())
    note = f"; {format_count(left, 'resource')} of a type whose calls nobody has listed" if left else ""
    return len(asked), f"{len(asked)} calls, {len(actions)} actions as {judged.role or judged.arn}{note}{unasked}"


def _shut_by_the_organization(
    situation: Situation, judged: Caller, actions: Collection[str]
) -> tuple[tuple[Finding, ...], str]:
    """What service control policies deny as IAM's own simulator tells, and why it did not tell where it did not.

    It is asked without resources and condition keys, so a Deny that depends on them may be told though it never holds:
    a warning. Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    asked = sorted(actions)
    try:
        denied = [
            result["EvalActionName"]
            for first in range(0, len(asked), ASKED_AT_ONCE)
            for result in _simulated(situation, judged.role or judged.arn, asked[first : first + ASKED_AT_ONCE])
            if result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations") is False
        ]
    except ClientError as problem:
        return (), f"; the organization's policies are not known: iam:SimulatePrincipalPolicy, {error_code(problem)}"
    if not denied:
        return (), ""
    more = f" and {len(denied) - SHOWN} more" if len(denied) > SHOWN else ""
    finding = Finding(
        subject=denied[0],
        seen=f"{', '.join(denied[:SHOWN])}{more}: IAM's simulator says that a policy of the organization denies it",
        rule="no service control policy denies a call of `pulumi up`; one with conditions may be told here though it "
        "would not hold",
        remedy=(
            f"aws organizations list-policies-for-target --target-id {situation.identity.account} --filter "
            "SERVICE_CONTROL_POLICY",
            "or ask who runs the organization which policy it is",
        ),
        severity="warning",
    )
    return (finding,), ""


def _simulated(situation: Situation, principal: str, actions: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Results of IAM's simulator for a principal, page after page."""
    simulator = situation.client("iam").get_paginator("simulate_principal_policy")
    for page in simulator.paginate(PolicySourceArn=principal, ActionNames=[*actions]):
        yield from page["EvaluationResults"]


def _denied(judged: Caller, denied: list[tuple[Request, Decision]]) -> Finding:
    decision = denied[0][1]
    actions = list(dict.fromkeys(request.action for request, _ in denied))
    on = f" on {decision.resource}" if decision.resource not in ("", "*") else ""
    more = f" and {len(actions) - SHOWN} more" if len(actions) > SHOWN else ""
    names = ", ".join(actions[:SHOWN]) + more
    statement = decision.statement or {}
    sid = f"the statement {statement.get('Sid') or json.dumps(statement)}" if statement else ""
    if decision.outcome == "explicitly denied":
        why = f"{sid} of a {decision.policy} denies it"
    elif sid:
        why = f"{sid} of a {decision.policy} would allow it, but: {decision.unmet}"
    else:
        why = f"no statement of a {decision.policy} allows it"
    grant = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    where = judged.role or judged.arn
    remedy = (
        f"take the denial out of the {decision.policy} of {where}, or narrow it"
        if decision.outcome == "explicitly denied"
        else f"add to the {decision.policy} of {where}: {json.dumps(grant)}"
    )
    return Finding(
        subject=actions[0],
        seen=f"{names}{on}: {why.replace('a identity', 'an identity')}",
        rule="whoever deploys may make every call of `pulumi up`, of a refresh and of `pulumi destroy`: the first one "
        "that is refused ends an update halfway",
        remedy=(remedy,),
    )


@result_of
def boundaries(situation: Situation) -> Judging:
    """The permissions boundary of each role that the plan makes leaves it what its own policies allow.

    Raises:
        botocore.exceptions.ClientError: AWS refused for another reason than that the policy is not there.
    """
    iam = situation.client("iam")
    bounded = [role for role in situation.of_type(ROLE) if role.inputs.get("permissionsBoundary")]
    judged = 0
    held: dict[str, Any] = {}
    for arn in sorted({situation.here(role.inputs["permissionsBoundary"]) for role in bounded}):
        try:
            held[arn] = managed_policy(iam, arn)
        except ClientError as problem:
            if not is_not_found(problem):
                raise
            yield Finding(
                subject=arn,
                seen="there is no such policy",
                rule="the boundary of the roles is there before they are: IAM refuses each of them otherwise",
                remedy=("make it first: docs/operations.md, Bootstrap", f"aws iam get-policy --policy-arn {arn}"),
            )
    for role in bounded:
        arn = situation.here(role.inputs["permissionsBoundary"])
        if arn not in held:
            continue
        wanted = sorted(set(_granted(situation, role.inputs["name"])))
        judged += len(wanted)
        denied = {action: allows(held[arn], action) for action in wanted}
        refused = {action: decision for action, decision in denied.items() if not decision}
        if refused:
            yield _too_narrow(arn, role.inputs["name"], refused)
    told = f"{format_count(len(bounded), 'role')} with a boundary, {judged} actions" if bounded else "no role has one"
    return judged, told


def _too_narrow(arn: str, role: str, refused: Mapping[str, Decision]) -> Finding:
    told = [f"{action} ({_why_not(decision)})" for action, decision in refused.items()]
    more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return Finding(
        subject=role,
        seen=f"{arn} denies what its policies allow: {', '.join(told[:SHOWN])}{more}",
        rule="a role can do what its policies and its boundary both allow: the platform's roles use all that they have",
        remedy=(f"let the boundary allow {json.dumps(sorted(refused))}",),
    )


def _why_not(decision: Decision) -> str:
    statement = decision.statement or {}
    if decision.outcome == "explicitly denied":
        return f"the statement {statement.get('Sid') or json.dumps(statement)} denies it"
    return "no statement allows it"


def _granted(situation: Situation, role: str) -> Iterator[str]:
    """Actions, without a wild card, that the policies of a planned role allow."""
    own = {situation.here(policy.id): policy.inputs["policy"] for policy in situation.of_type(POLICY)}
    documents: list[Any] = [
        policy.inputs["policy"]
        for policy in situation.of_type("aws:iam/rolePolicy:RolePolicy")
        if policy.inputs["role"] == role
    ]
    for attachment in situation.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment"):
        if attachment.inputs["role"] == role:
            arn = situation.here(attachment.inputs["policyArn"])
            documents.append(own.get(arn) or managed_policy(situation.client("iam"), arn))
    for told in documents:
        for statement in statements(told):
            if statement.get("Effect") == "Allow":
                actions = statement.get("Action") or []
                yield from (
                    action for action in ([actions] if isinstance(actions, str) else actions) if "*" not in action
                )
