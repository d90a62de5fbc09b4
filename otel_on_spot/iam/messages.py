"""What AWS tells a caller that it refuses: the code, the sentence, and EC2's encoded message.

Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html,
https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html
"""

import base64
import json
import zlib
from typing import Any, Final

from otel_on_spot.iam.conditions import listed
from otel_on_spot.iam.decisions import IDENTITY, Caller, Request
from otel_on_spot.iam.policies import Decision

CODES: Final = {"ec2": "UnauthorizedOperation", "iam": "AccessDenied", "sts": "AccessDenied"}
"""Service -> its code for a refusal; of the others it is AccessDeniedException."""
ENCODED: Final = "Encoded authorization failure message: "


def code(action: str) -> str:
    """The code with which a service refuses an action."""
    return CODES.get(action.partition(":")[0], "AccessDeniedException")


def sentence(request: Request, caller: Caller, decision: Decision) -> str:
    """The sentence that says who may not do what, and which kind of policy decided."""
    kind = decision.policy or IDENTITY
    on = f" on resource: {decision.resource}" if decision.resource not in ("", "*") else ""
    article = "an" if kind[0] in "aeiou" else "a"
    why = (
        f"with an explicit deny in {article} {kind}"
        if decision.outcome == "explicitly denied"
        else f"because no {kind} allows the {request.action} action"
    )
    return f"User: {caller.arn} is not authorized to perform: {request.action}{on} {why}"


def refusal(request: Request, caller: Caller, decision: Decision, *, asked: str = "") -> tuple[str, str]:
    """(code, message) of a refusal, as the service that was asked writes it: EC2 with the encoded message.

    Args:
        request: the call that is refused.
        caller: who made it.
        decision: that refuses it.
        asked: the action that was asked for, where the refused one belongs to it: EC2 writes of a role that may not be
            passed to an instance, and encodes that too.
    """
    text, action = sentence(request, caller, decision), asked or request.action
    if action.startswith("ec2:"):
        told = encoded(request, caller, decision)
        text = f"You are not authorized to perform this operation. {text}. {ENCODED}{told}"
    return code(action), text


def encoded(request: Request, caller: Caller, decision: Decision) -> str:
    """EC2's encoded message: what was asked, with every condition key, and the Deny that decided.

    AWS's own is encrypted; the simulated one is packed, so that nobody reads it but sts:DecodeAuthorizationMessage.
    """
    resource = next((named for named in request.resources if named.arn == decision.resource), request.resources[0])
    keys = {**caller.keys, **request.keys, **resource.keys}
    denied = decision.outcome == "explicitly denied"
    told = {
        "allowed": False,
        "explicitDeny": denied,
        "matchedStatements": {"items": [dict(decision.statement)] if denied and decision.statement else []},
        "failures": {"items": []},
        "context": {
            "principal": {"id": caller.arn.rpartition("/")[2], "name": caller.role or caller.arn, "arn": caller.arn},
            "action": request.action,
            "resource": resource.arn,
            "conditions": {
                "items": [
                    {"key": key, "values": {"items": [{"value": _text(item)} for item in listed(value)]}}
                    for key, value in sorted(keys.items())
                ]
            },
        },
    }
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(told).encode())).decode()


def decoded(message: str) -> dict[str, Any]:
    """What an encoded message says.

    Raises:
        ValueError: it is none.
    """
    try:
        return json.loads(zlib.decompress(base64.urlsafe_b64decode(message)))
    except (zlib.error, ValueError) as problem:
        raise ValueError(f"Message is not valid: {problem}") from None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
