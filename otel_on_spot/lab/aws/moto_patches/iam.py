"""Two gaps of moto's IAM.

ListInstanceProfiles takes no notice of PathPrefix. Karpenter deletes profiles under its own path that no node class
uses; without this it deletes the program's too.

And moto lets everybody do everything, or with its own switch looks at every policy with Resource ``*`` and no context.

Here a session of a role may do an action where a policy of the role allows that action and none denies it.

Decided: the action, of policies that are attached or inline, of the permissions boundary, of policies that AWS manages.
Not decided: resources and conditions. An Allow counts wherever it is scoped to; a Deny counts where it is for every
resource and has no condition. Callers that are no session of a role (the lab itself) may do everything.
"""

from collections.abc import Iterator
from typing import Any

from otel_on_spot.iam import allows

FREE = ("sts:GetCallerIdentity",)
"""Allowed to everybody. Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html"""
PREFIXES = {"eventbridge": "events", "cloudwatch logs": "logs"}
"""IAM's name of a service where moto's is another."""


def _document(policy: Any) -> Any:
    return next(version.document for version in policy.versions if version.version_id == policy.default_version_id)


def documents_of(role: Any) -> Iterator[Any]:
    """Policy documents of one of moto's roles, inline and attached."""
    yield from role.policies.values()
    yield from (_document(policy) for policy in role.managed_policies.values())


def refused(account: str, access_key: str, action: str) -> str:
    """Reason why the holder of an access key may not do an action; empty where it may."""
    from moto.iam.models import iam_backends
    from moto.sts.models import sts_backends

    session = sts_backends[account]["aws"].get_assumed_role_from_access_key(access_key)
    if session is None or action in FREE:
        return ""
    who = f"User: {session.arn}"
    backend, name = iam_backends[account]["aws"], session.role_arn.rpartition("/")[2]
    role = next((role for role in backend.get_roles() if role.name == name), None)
    if role is None:
        return f"{who} is not authorized to perform: {action} because its role is gone"
    boundary = backend.managed_policies.get(role.permissions_boundary_arn) if role.permissions_boundary_arn else None
    if not allows(documents_of(role), action):
        return (
            f"{who} is not authorized to perform: {action} because no identity-based policy allows the {action} action"
        )
    if boundary is not None and not allows([_document(boundary)], action):
        return (
            f"{who} is not authorized to perform: {action} because no permissions boundary allows the {action} action"
        )
    return ""


def action_of(response: Any) -> str:
    """IAM's name of the action that a request asks for."""
    name = response._get_action()
    return f"{PREFIXES.get(response.service_name, response.service_name)}:{name[0] if isinstance(name, list) else name}"


def refusal(response: Any, action: str) -> Any:
    """The exception that tells a caller that it may not; None where it may."""
    from moto.core.exceptions import ServiceException

    why = refused(response.get_current_account(), response.get_access_key(), action)
    if not why:
        return None
    service = response.service_name
    code = {"ec2": "UnauthorizedOperation", "iam": "AccessDenied", "sts": "AccessDenied"}.get(
        service, "AccessDeniedException"
    )
    text = f"You are not authorized to perform this operation. {why}" if service == "ec2" else why
    # moto finds an error's form by the module of its class.
    kind = type("NotAuthorized", (ServiceException,), {"__module__": type(response).__module__})
    return kind(code, text)


def install() -> None:
    """Close both gaps."""
    _list_by_path()
    _ask_before_every_action()


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
        problem = refusal(self, action_of(self))
        if problem is None:
            return inner(self)
        status, headers, body = self.serialized(ActionResult(problem))
        headers["status"] = str(max(status, 403))
        headers, body = self._enrich_response(headers, body)
        return 403, headers, body

    BaseResponse.call_action = call_action
