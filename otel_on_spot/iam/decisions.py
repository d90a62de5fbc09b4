"""Whether a caller may make a request, by every policy that has a say, in AWS's own order.

1. A Deny of any policy ends it.
2. The resource's own policy: it alone lets a service in. It lets in whoever it names in the resource's account: past
   the other policies where it names a user, a session or everybody, and held by a permissions boundary and session
   policies where it names a role. A role's trust policy and a key's policy must allow; that of anything else may.
3. The caller's identity policies, its permissions boundary and its session policies, all of them.

A caller of another account needs both: its own policies and the resource's.

Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from otel_on_spot.iam.conditions import Context, Facts
from otel_on_spot.iam.policies import Decision, Document, Principal, allows, as_named, granted, is_account

IDENTITY: Final = "identity-based policy"
BOUNDARY: Final = "permissions boundary"
SESSION: Final = "session policy"
RESOURCE: Final = "resource-based policy"
"""Kinds of policies, as AWS's messages call them.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Identity that makes a request.

    Attributes:
        arn: of the user, the role, or the session of a role; of an identity provider, for whoever shows its token; the
            name of a service that asks by itself.
        role: ARN of a session's role, its path with it; empty where the caller is no session of a role.
        identity: policies attached to the user or role, and inline.
        boundary: its permissions boundary; None where it has none. An empty one allows nothing.
        session: policies that the session was made with; None where it was made without.
        tags: of the user or role, those of the session over them.
    """

    arn: str
    role: str = ""
    identity: tuple[Document, ...] = ()
    boundary: Document = None
    session: tuple[Document, ...] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_service(self) -> bool:
        """True where an AWS service asks by itself."""
        return not self.arn.startswith("arn:")

    @property
    def is_federated(self) -> bool:
        """True where nobody of AWS asks, but the holder of an identity provider's token."""
        return ":oidc-provider/" in self.arn or ":saml-provider/" in self.arn

    @property
    def account(self) -> str:
        """The caller's account; empty of a service."""
        return "" if self.is_service else self.arn.split(":")[4]

    @property
    def principal(self) -> Principal:
        """The names by which a Principal element knows the caller, the narrowest first."""
        if self.is_service:
            return {"Service": self.arn}
        if self.is_federated:
            return {"Federated": self.arn}
        return {"AWS": (self.arn, self.role) if self.role else (self.arn,)}

    @property
    def keys(self) -> Context:
        """The condition keys that tell of the caller.

        Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
        """
        if self.is_service:
            return {"aws:PrincipalIsAWSService": True, "aws:PrincipalServiceName": self.arn}
        if self.is_federated:
            return {"aws:FederatedProvider": self.arn}
        kind, _, name = self.arn.split(":")[5].partition("/")
        told: dict[str, Any] = {
            "aws:PrincipalArn": self.role or self.arn,
            "aws:PrincipalAccount": self.account,
            "aws:PrincipalType": {"assumed-role": "AssumedRole", "user": "User", "root": "Account"}.get(kind, kind),
            "aws:PrincipalIsAWSService": False,
            **{f"aws:PrincipalTag/{key}": value for key, value in self.tags.items()},
        }
        if kind == "user":
            told["aws:username"] = name.rpartition("/")[2]
        return told


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource that a request names.

    Attributes:
        arn: its ARN; ``*`` where the action has no resources. A part of it that AWS makes up later is a ``*``.
        kind: its type in AWS's service authorization reference, such as ``launch-template``; empty of ``*``.
        keys: condition keys of this resource alone: its tags, and those that it is asked to get.
        policy: its own policy: a queue's, a key's, a role's trust policy; None where it has none.
        account: whose it is, where its ARN does not say, as a bucket's.
    """

    arn: str = "*"
    kind: str = ""
    keys: Context = field(default_factory=dict)
    policy: Document = None
    account: str = ""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A call of AWS: an action on every one of the resources that it names.

    Attributes:
        action: such as ``ec2:CreateVpc``.
        resources: which it names; the action must be allowed on each of them.
        keys: condition keys of the call itself.
    """

    action: str
    resources: tuple[Resource, ...] = (Resource(),)
    keys: Context = field(default_factory=dict)


FREE: Final = ("sts:GetCallerIdentity", "sts:GetSessionToken")
"""Nobody needs a permission for these, and none can be taken away.

Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
"""
TRUSTING: Final = ("sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML", "sts:TagSession")


def decide(request: Request, caller: Caller) -> Decision:
    """Decide if a caller may make a request: on every resource, or the first refusal.

    Raises:
        ValueError: a policy is no JSON.
    """
    if request.action in FREE:
        return Decision("allowed")
    decision = Decision("allowed")
    for resource in request.resources:
        facts = Facts({**caller.keys, **request.keys, **resource.keys})
        decision = replace(_decide(request.action, resource, caller, facts), resource=resource.arn)
        if not decision:
            return decision
    return decision


def _decide(action: str, resource: Resource, caller: Caller, facts: Facts) -> Decision:
    own = _own(action, resource.arn, caller, facts)
    there = _of_resource(action, resource, caller, facts)
    for decision in (*own.values(), there):
        if decision.outcome == "explicitly denied":
            return decision
    if caller.is_service or caller.is_federated:
        return there
    mine = next((decision for decision in own.values() if not decision), own[IDENTITY])
    if _is_elsewhere(resource, caller):
        return there if mine and not there else mine
    named = _named(action, resource, caller, facts) if there else set()
    if any(name != caller.role and not is_account(name) for name in named):
        return there
    if caller.role and caller.role in named:
        return next((own[kind] for kind in (BOUNDARY, SESSION) if kind in own and not own[kind]), there)
    if _must_allow(action, resource) and not there:
        return there
    return mine


def _own(action: str, arn: str, caller: Caller, facts: Facts) -> dict[str, Decision]:
    """What the caller's own policies decide: kind -> decision, of the kinds that it has."""
    kinds: dict[str, Iterable[Document]] = {IDENTITY: caller.identity}
    if caller.boundary is not None:
        kinds[BOUNDARY] = (caller.boundary,)
    if caller.session is not None:
        kinds[SESSION] = caller.session
    return {kind: replace(allows(told, action, arn, facts), policy=kind) for kind, told in kinds.items()}


def _of_resource(action: str, resource: Resource, caller: Caller, facts: Facts) -> Decision:
    return replace(allows(resource.policy, action, resource.arn, facts, caller.principal), policy=RESOURCE)


def _named(action: str, resource: Resource, caller: Caller, facts: Facts) -> set[str]:
    """The names by which the resource's policy lets the caller in."""
    found = set()
    for statement in granted(resource.policy, action, resource.arn, facts, caller.principal):
        told = statement.get("Principal", "*")
        for kind, wanted in told.items() if isinstance(told, Mapping) else [("AWS", told)]:
            for name in wanted if isinstance(wanted, list) else [wanted]:
                if as_named({kind: name}, caller.principal):
                    found.add(name)
    return found


def _must_allow(action: str, resource: Resource) -> bool:
    """Decide if the resource's own policy must allow: a role's trust policy, and a key's.

    Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_compare-resource-policies.html,
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html
    """
    return action in TRUSTING or (action.startswith("kms:") and resource.kind == "key")


def _is_elsewhere(resource: Resource, caller: Caller) -> bool:
    """Decide if the resource is another account's. What nobody owns, such as a public image, is not."""
    parts = resource.arn.split(":", 5)
    account = resource.account or (parts[4] if len(parts) == 6 else "")
    return account.isdigit() and account != caller.account
