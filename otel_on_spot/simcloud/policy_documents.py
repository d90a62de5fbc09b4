"""Policy documents that AWS refuses by their grammar, of whatever service they are of. moto reads some of them.

Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html, and for what a kind of policy
must and must not have: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_policies.html,
https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html,
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-using-identity-based-policies.html,
https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from botocore.model import OperationModel

from otel_on_spot.iam.conditions import NEGATED, OPERATORS, listed
from otel_on_spot.simcloud.api_errors import ApiError

VERSIONS: Final = ("2012-10-17", "2008-10-17")
ELEMENTS: Final = frozenset({"Version", "Id", "Statement"})
STATEMENT: Final = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
ACTION: Final = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
SID: Final = re.compile(r"[0-9A-Za-z]*")
OF_TRUST: Final = frozenset(
    f"sts:{name}".lower()
    for name in (
        *("AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"),
        *("TagSession", "SetSourceIdentity", "SetContext"),
    )
)
"""What a role's trust policy may be about."""
OF_A_QUEUE: Final = frozenset(
    f"sqs:{name}".lower()
    for name in (
        *("AddPermission", "CancelMessageMoveTask", "ChangeMessageVisibility", "CreateQueue", "DeleteMessage"),
        *("DeleteQueue", "GetQueueAttributes", "GetQueueUrl", "ListDeadLetterSourceQueues", "ListMessageMoveTasks"),
        *("ListQueueTags", "ListQueues", "PurgeQueue", "ReceiveMessage", "RemovePermission", "SendMessage"),
        *("SetQueueAttributes", "StartMessageMoveTask", "TagQueue", "UntagQueue"),
    )
)
"""Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html"""


@dataclass(frozen=True)
class Kind:
    """What policies of a kind have.

    Attributes:
        code: of the refusal.
        opening: of its sentence, where the service has one of its own.
        principal: whether a statement says whom it is about; it must, or must not.
        resource: whether it says what it is about; it must, or must not.
        service: prefix of its actions; empty for any.
    """

    code: str
    opening: str = ""
    principal: bool = True
    resource: bool = True
    service: str = ""


TRUST: Final = Kind("MalformedPolicyDocument", resource=False, service="sts")
GRANT: Final = Kind("MalformedPolicyDocument", principal=False)
KEY: Final = Kind("MalformedPolicyDocumentException")
QUEUE: Final = Kind("InvalidAttributeValue", "Invalid value for the parameter Policy: ", service="sqs")
TOPIC: Final = Kind("InvalidParameter", "Invalid parameter: Policy Error: ", service="sns")
BUCKET: Final = Kind("MalformedPolicy", service="s3")
ENDPOINT: Final = Kind("InvalidPolicyDocument", "The policy document is invalid: ")
KINDS: Final[Mapping[tuple[str, str], tuple[str, Kind]]] = {
    ("iam", "CreateRole"): ("AssumeRolePolicyDocument", TRUST),
    ("iam", "UpdateAssumeRolePolicy"): ("PolicyDocument", TRUST),
    ("iam", "CreatePolicy"): ("PolicyDocument", GRANT),
    ("iam", "CreatePolicyVersion"): ("PolicyDocument", GRANT),
    ("iam", "PutRolePolicy"): ("PolicyDocument", GRANT),
    ("kms", "CreateKey"): ("Policy", KEY),
    ("kms", "PutKeyPolicy"): ("Policy", KEY),
    ("sqs", "CreateQueue"): ("Attributes.Policy", QUEUE),
    ("sqs", "SetQueueAttributes"): ("Attributes.Policy", QUEUE),
    ("sns", "CreateTopic"): ("Attributes.Policy", TOPIC),
    ("sns", "SetTopicAttributes"): ("AttributeValue", TOPIC),
    ("s3", "PutBucketPolicy"): ("Policy", BUCKET),
    ("ec2", "CreateVpcEndpoint"): ("PolicyDocument", ENDPOINT),
    ("ec2", "ModifyVpcEndpoint"): ("PolicyDocument", ENDPOINT),
}
"""(service, operation) -> the member that is a policy, and its kind."""


def policy_refusal(operation: OperationModel, request: Mapping[str, Any]) -> ApiError | None:
    """The error in which a service refuses the policy of a request; None where it takes it, or there is none."""
    found = KINDS.get((operation.service_model.service_name, operation.name))
    if found is None:
        return None
    if request.get("AttributeName", "Policy") != "Policy":
        return None
    value: Any = request
    for member in found[0].split("."):
        value = value.get(member) if isinstance(value, Mapping) else None
    if not isinstance(value, str) or not value:
        return None
    problem = next(problems(value, found[1]), "")
    return ApiError(found[1].code, found[1].opening + problem) if problem else None


def problems(text: str, kind: Kind) -> Iterator[str]:
    """What AWS refuses of a policy, in IAM's words."""
    try:
        document = json.loads(text)
    except ValueError:
        yield "This policy contains invalid Json"
        return
    if not isinstance(document, Mapping) or not document.keys() <= ELEMENTS or not document.get("Statement"):
        yield "Syntax errors in policy: it has a Statement, and beside it Version and Id"
        return
    if document.get("Version", VERSIONS[0]) not in VERSIONS:
        yield f"The policy must contain a valid version string: {' or '.join(VERSIONS)}"
    statements = listed(document["Statement"])
    for statement in statements:
        if not isinstance(statement, Mapping):
            yield "Syntax errors in policy: a statement is an object"
            return
        yield from _of_statement(statement, kind)
    sids = [statement["Sid"] for statement in statements if statement.get("Sid")]
    if len(set(sids)) < len(sids):
        yield "Statement IDs (SID) in a single policy must be unique."


def _of_statement(statement: Mapping[str, Any], kind: Kind) -> Iterator[str]:
    if unknown := sorted(statement.keys() - STATEMENT):
        yield f"Syntax errors in policy: no statement has {', '.join(unknown)}"
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield f"Syntax errors in policy: an effect is Allow or Deny, not {statement.get('Effect')}"
    for element in ("Principal", "Action", "Resource"):
        if {element, f"Not{element}"} <= statement.keys():
            yield f"Syntax errors in policy: a statement has {element} or Not{element}"
    if kind.principal != bool({"Principal", "NotPrincipal"} & statement.keys()):
        yield (
            "Missing required field Principal" if kind.principal else "Policy document should not specify a principal."
        )
    if kind.resource != bool({"Resource", "NotResource"} & statement.keys()):
        yield "Policy statement must contain resources." if kind.resource else "Has prohibited field Resource"
    if kind in (TRUST, GRANT) and not SID.fullmatch(str(statement.get("Sid") or "")):
        yield (
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
            "[0-9A-Za-z]*"
        )
    yield from _of_actions(listed(statement.get("Action") or statement.get("NotAction") or []), kind)
    yield from _of_conditions(statement.get("Condition") or {})


def _of_actions(actions: list[Any], kind: Kind) -> Iterator[str]:
    if not actions:
        yield "Policy statement must contain actions."
    for action in actions:
        if not isinstance(action, str) or not ACTION.fullmatch(action):
            yield "Actions/Conditions must be prefixed by a vendor, e.g., iam, sdb, ec2, etc."
        elif kind is TRUST and not any(fnmatchcase(name, action.lower()) for name in OF_TRUST):
            yield "AssumeRole policy may only specify STS AssumeRole actions."
        elif kind is QUEUE and action != "*" and not any(fnmatchcase(name, action.lower()) for name in OF_A_QUEUE):
            yield f"SQS has no action {action}"
        elif kind.service and action != "*" and action.partition(":")[0].lower() != kind.service:
            yield f"Policy statement action out of service scope: {action}"


def _of_conditions(conditions: Any) -> Iterator[str]:
    if not isinstance(conditions, Mapping) or not all(isinstance(keys, Mapping) for keys in conditions.values()):
        yield "Syntax errors in policy: a condition is operator, key and values"
        return
    for operator, keys in conditions.items():
        quantifier, _, plain = operator.rpartition(":")
        exists = plain.removesuffix("IfExists")
        known = exists in OPERATORS or exists in NEGATED or plain == "Null"
        if not known or quantifier not in ("", "ForAllValues", "ForAnyValue"):
            yield f"Invalid Condition type : {operator}."
        if any(":" not in key for key in keys):
            yield "Actions/Conditions must be prefixed by a vendor, e.g., iam, sdb, ec2, etc."
