"""What an encoded message of a refused call says, and which statement of the caller's role it missed, and why."""

import json
import re
from typing import Any, Final

from otel_on_spot.errors import ToolError
from otel_on_spot.iam import messages
from otel_on_spot.iam.decisions import Caller, Request, Resource, decide
from otel_on_spot.iam.policies import Decision
from otel_on_spot.iam.roles import caller_of_role

MESSAGE: Final = re.compile(r"""\s*["']?([A-Za-z0-9+/_=-]+)(\.\.\.)?""")
"""An encoded message, wherever a log's quotes or the next word end it; three dots where it was cut off."""
SEVERAL: Final = ("aws:tagkeys",)
"""Keys that may have several values."""


def encoded_part(text: str) -> str:
    """The encoded message in what a client or Karpenter's log printed; the whole text where it is nothing else.

    Raises:
        ToolError: there is none, or it was cut off, as Karpenter's conditions cut theirs.
    """
    _, told, rest = text.partition(messages.ENCODED.strip())
    if not told and len(text.split()) > 1:
        raise ToolError(
            f"no encoded message in the text: write what comes after {messages.ENCODED.strip()!r}, or the whole error"
        )
    found = MESSAGE.match(rest if told else text)
    if found is None or found.group(2):
        raise ToolError(
            "the encoded message is empty or cut off: take it from Karpenter's log "
            "(kubectl -n kube-system logs deploy/karpenter), a NodeClaim's condition has its beginning alone"
        )
    return found.group(1)


def explain(text: str, sts: Any, iam: Any) -> list[str]:
    """Lines that say who asked for what, and which statement came nearest.

    ``text``: an error with an encoded message in it, or the message alone. ``sts`` opens it
    (sts:DecodeAuthorizationMessage); in ``iam`` the policies of the caller's role are read.

    Raises:
        ToolError: there is no whole message in the text.
        ClientError: AWS does not open it, or the role is gone.
    """
    told = json.loads(sts.decode_authorization_message(EncodedMessage=encoded_part(text))["DecodedMessage"])
    context = told["context"]
    who, action, resource = context["principal"]["arn"], context["action"], context["resource"]
    lines = [f"{who}", f"asked for {action} on {resource}"]
    keys = {condition["key"]: _value(condition) for condition in context["conditions"]["items"]}
    if ":assumed-role/" not in who:
        return [*lines, "which is no role's session: its policies are not read"]
    caller = caller_of_role(iam, who.split("/")[1], who)
    decision = decide(Request(action=action, resources=(Resource(arn=resource, keys=keys),)), caller)
    return [*lines, *_why(decision, told, caller)]


def _value(item: dict[str, Any]) -> str | list[str]:
    values = [value["value"] for value in item["values"]["items"]]
    return values if item["key"].lower() in SEVERAL or len(values) != 1 else values[0]


def _why(decision: Decision, told: dict[str, Any], caller: Caller) -> list[str]:
    if decision:
        return [f"which {caller.role} may do now: its policies changed since, or another policy denied it"]
    sid = (decision.statement or {}).get("Sid", "a statement without a Sid")
    if decision.outcome == "explicitly denied" or told.get("explicitDeny"):
        return [f"and {sid} of its {decision.policy} denies it"]
    if decision.statement is not None:
        return [f"and {sid} of its {decision.policy} would allow it, but for {decision.unmet}"]
    return [f"and no statement of its {decision.policy} allows that action on that resource"]
