"""Two gaps of moto's IAM.

ListInstanceProfiles takes no notice of PathPrefix. Karpenter deletes profiles under its own path that no node class
uses; without this it deletes the program's too.

And moto lets everybody do everything, or with its own switch looks at every policy with Resource ``*`` and no context.

Here every call of a session of a role is decided, with the resources that it names and the condition keys that it
carries: by the role's policies, attached and inline, its permissions boundary, the session's policy, and a queue's own.
A call that the table of actions does not know is refused by name. Callers that are no session of a role (the lab
itself) may do everything. A refusal has the service's own code, and EC2's its encoded message, which
sts:DecodeAuthorizationMessage opens.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

from otel_on_spot.iam import actions, messages
from otel_on_spot.iam.decisions import Caller, Request, decide
from otel_on_spot.iam.policies import Decision
from otel_on_spot.lab.aws.moto_patches import requests

KEPT: Final[deque[dict[str, Any]]] = deque(maxlen=5000)
"""The last calls of roles' sessions that were decided, as ``/lab/calls`` tells them."""


def _document(policy: Any) -> Any:
    return next(version.document for version in policy.versions if version.version_id == policy.default_version_id)


def documents_of(role: Any) -> Iterator[Any]:
    """Policy documents of one of moto's roles, inline and attached."""
    yield from role.policies.values()
    yield from (_document(policy) for policy in role.managed_policies.values())


def caller_of(account: str, access_key: str) -> Caller | None:
    """The session of a role that has an access key, with every policy that it has now; None of anybody else.

    A session whose role is gone has no policies.
    """
    from moto.sts.models import sts_backends

    session = sts_backends[account]["aws"].get_assumed_role_from_access_key(access_key)
    if session is None:
        return None
    backend, name = requests.iam(account), session.role_arn.rpartition("/")[2]
    role = next((role for role in backend.get_roles() if role.name == name), None)
    if role is None:
        return Caller(arn=session.arn, role=session.role_arn)
    boundary = backend.managed_policies.get(role.permissions_boundary_arn) if role.permissions_boundary_arn else None
    return Caller(
        arn=session.arn,
        role=role.arn,
        identity=tuple(documents_of(role)),
        boundary=_document(boundary) if boundary is not None else None,
        session=(session.policy,) if session.policy else None,
        tags=requests.tag_map(role.tags),
    )


def refused(account: str, access_key: str, asked: Iterable[Request]) -> tuple[str, str] | None:
    """(code, message) of the first call that the holder of an access key may not make; None where it may make all.

    The first of them is the operation's own, whose service writes the refusal.
    """
    caller = caller_of(account, access_key)
    if caller is None:
        return None
    operation = ""
    for request in asked:
        operation = operation or request.action
        try:
            actions.check(request)
        except actions.UnlistedCallError as problem:
            KEPT.append({"caller": caller.arn, "action": request.action, "outcome": "not judged", "why": str(problem)})
            return messages.code(request.action), f"User: {caller.arn} may not be judged: {problem}"
        decision = decide(request, caller)
        KEPT.append(_kept(request, caller, decision))
        if not decision:
            return messages.refusal(request, caller, decision, asked=operation)
    return None


def _kept(request: Request, caller: Caller, decision: Decision) -> dict[str, Any]:
    return {
        "caller": caller.arn,
        "action": request.action,
        "keys": request.keys,
        "resources": [
            {"arn": resource.arn, "kind": resource.kind, "keys": resource.keys} for resource in request.resources
        ],
        "outcome": decision.outcome,
        "why": decision.unmet,
    }


def _refusal(response: Any) -> Any:
    """The exception that tells a caller that it may not; None where it may."""
    from moto.core.exceptions import ServiceException

    why = refused(response.get_current_account(), response.get_access_key(), requests.calls_of(response))
    if why is None:
        return None
    # moto finds an error's form by the module of its class.
    kind = type("NotAuthorized", (ServiceException,), {"__module__": type(response).__module__})
    return kind(*why)


def install() -> None:
    """Close both gaps."""
    _list_by_path()
    _ask_before_every_action()
    _decode()


def _list_by_path() -> None:
    """List the profiles under the path alone.

    Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListInstanceProfiles.html
    """
    from moto.core.responses import ActionResult
    from moto.iam.responses import IamResponse

    def list_instance_profiles(self: Any) -> Any:
        prefix = self._get_param("PathPrefix") or "/"
        found = [profile for profile in self.backend.get_instance_profiles() if profile.path.startswith(prefix)]
        return ActionResult({"InstanceProfiles": found})

    IamResponse.list_instance_profiles = list_instance_profiles


def _ask_before_every_action() -> None:
    from moto.core.responses import ActionResult, BaseResponse

    inner = BaseResponse.call_action

    def call_action(self: Any) -> Any:
        problem = _refusal(self)
        if problem is None:
            return inner(self)
        status, headers, body = self.serialized(ActionResult(problem))
        headers["status"] = str(max(status, 403))
        headers, body = self._enrich_response(headers, body)
        return 403, headers, body

    BaseResponse.call_action = call_action


def _decode() -> None:
    """Open EC2's encoded messages.

    Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html
    """
    from moto.core.exceptions import ServiceException
    from moto.core.responses import ActionResult
    from moto.sts.responses import TokenResponse

    def decode_authorization_message(self: Any) -> Any:
        try:
            told = messages.decoded(self._get_param("EncodedMessage") or "")
        except ValueError as problem:
            kind = type("Invalid", (ServiceException,), {"__module__": TokenResponse.__module__})
            raise kind("InvalidAuthorizationMessageException", str(problem)) from None
        return ActionResult({"DecodedMessage": json.dumps(told)})

    setattr(TokenResponse, "decode_authorization_message", decode_authorization_message)  # noqa: B010
