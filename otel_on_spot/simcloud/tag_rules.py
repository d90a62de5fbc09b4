"""Rules of tags that AWS keeps and its models do not tell: reserved keys, how many, duplicates, lengths.

Sources: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html (aws:, 50, lengths),
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions,
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html (keys ignore case) and
https://docs.aws.amazon.com/eks/latest/userguide/eks-using-tags.html (aws: in values too).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.model import OperationModel

from otel_on_spot.simcloud.api_errors import ApiError

AT_MOST: Final = 50
KEY_LENGTH: Final = 128
VALUE_LENGTH: Final = 256
MEMBERS: Final = frozenset({"Tags", "tags"})


@dataclass(frozen=True)
class Codes:
    """The codes in which a service refuses tags."""

    invalid: str = "InvalidParameterException"
    too_many: str = ""


CODES: Final[dict[str, Codes]] = {
    "ec2": Codes("InvalidParameterValue", "TagLimitExceeded"),
    "iam": Codes("InvalidInput", "LimitExceeded"),
    "kms": Codes("TagException", "LimitExceededException"),
    "sqs": Codes("InvalidParameterValue"),
    "events": Codes("ValidationException"),
    "cloudwatch": Codes("ValidationError"),
    "sns": Codes("InvalidParameter", "TagLimitExceeded"),
    "budgets": Codes("InvalidParameterException", "ServiceQuotaExceededException"),
    "fis": Codes("ValidationException", "ServiceQuotaExceededException"),
}


def tag_refusal(operation: OperationModel, request: Mapping[str, Any]) -> ApiError | None:
    """The error in which a service refuses the tags of a request; None where it takes them, or there are none."""
    service = operation.service_model.service_name
    codes = CODES.get(service, Codes())
    for tags in _tags_in(request):
        if len(tags) > AT_MOST:
            said = f"{len(tags)} tags: the maximum number of tags of a resource is {AT_MOST}"
            return ApiError(codes.too_many or codes.invalid, said)
        if problem := next(_problems(service, tags), ""):
            return ApiError(codes.invalid, problem)
    return None


def _tags_in(value: Any) -> Iterator[list[tuple[str, str]]]:
    """Each set of tags in a request, as pairs."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _tags_in(item)
    if not isinstance(value, Mapping):
        return
    for name, inner in value.items():
        if name in MEMBERS and isinstance(inner, Mapping):
            yield list(inner.items())
        elif name in MEMBERS and isinstance(inner, list | tuple):
            yield [_pair(tag) for tag in inner if isinstance(tag, Mapping)]
        else:
            yield from _tags_in(inner)


def _pair(tag: Mapping[str, str]) -> tuple[str, str]:
    return tag.get("Key", tag.get("TagKey", "")), tag.get("Value", tag.get("TagValue", ""))


def _problems(service: str, tags: list[tuple[str, str]]) -> Iterator[str]:
    seen: set[str] = set()
    for key, value in tags:
        if key.casefold().startswith("aws:"):
            yield f"Tag key '{key}': keys that begin with aws: are reserved for AWS"
        if service == "eks" and value.casefold().startswith("aws:"):
            yield f"Tag value '{value}' of {key}: EKS takes no value that begins with aws:"
        if not 1 <= len(key) <= KEY_LENGTH:
            yield f"Tag key '{key[:40]}' has {len(key)} characters: 1 to {KEY_LENGTH} are allowed"
        if len(value) > VALUE_LENGTH:
            yield f"The value of tag '{key}' has {len(value)} characters: at most {VALUE_LENGTH} are allowed"
        same = key.casefold() if service == "iam" else key
        if same in seen:
            ignoring = ". Please note that Tag keys are case insensitive" if service == "iam" else ""
            yield f"Duplicate tag keys found: '{key}'{ignoring}."
        seen.add(same)
