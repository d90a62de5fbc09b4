"""Principals that AWS refuses in a policy or an access entry: services and roles that do not exist. moto takes any.

Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html,
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_policies.html (Invalid principal in policy),
https://docs.aws.amazon.com/kms/latest/APIReference/API_PutKeyPolicy.html (MalformedPolicyDocumentException) and
https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html (which principals an entry takes).
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from botocore.exceptions import ClientError

from otel_on_spot.iam import document
from otel_on_spot.simcloud.handler import Site
from otel_on_spot.simcloud.service_model import services

ENTITY: Final = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>[0-9]{12}):(?P<kind>role|user)/(?P<name>.+)")
ACCOUNT: Final = re.compile(r"(arn:aws[a-z-]*:iam::)?[0-9]{12}(:root)?")
ASSUMED: Final = re.compile(r"arn:aws[a-z-]*:sts::[0-9]{12}:(assumed-role|federated-user)/.+")
SERVICE: Final = re.compile(r"(?P<name>[a-z0-9-]+(\.[a-z0-9-]+)*)\.amazonaws\.com(\.cn)?")
SERVICES: Final = frozenset(
    {
        *("eks-fargate", "eks-fargate-pods", "eks-nodegroup", "pods.eks", "spot", "spotfleet", "transitgateway"),
        *("vpc-flow-logs", "delivery.logs", "export.rds", "monitoring", "edgelambda", "replicator.lambda"),
        *("ecs-tasks", "tasks.apprunner", "build.apprunner", "ops.apigateway", "ssm-incidents", "ec2fleet"),
    }
)
"""Services that assume roles under another name than that of a client of botocore's."""


@cache
def _services() -> frozenset[str]:
    return frozenset({*services(), *SERVICES, "elasticloadbalancing"})


def is_service(name: str, region: str) -> bool:
    """Decide if a service principal exists, such as ``ec2.amazonaws.com`` or, in its region, ``logs.eu-west-1.…``."""
    found = SERVICE.fullmatch(name)
    return found is not None and found["name"].removesuffix(f".{region}") in _services()


def unknown(site: Site, policy: Any) -> list[str]:
    """The principals of a policy that AWS does not find: ``"SERVICE":"nothing.amazonaws.com"``.

    Of what is no policy there are none: the request is refused for that.
    """
    return [f'"{kind.upper()}":"{name}"' for kind, name in _principals(policy) if not _exists(site, kind, name)]


def _principals(policy: Any) -> Iterator[tuple[str, str]]:
    try:
        statements = document(policy).get("Statement") or []
    except ValueError:
        return
    for statement in statements if isinstance(statements, list) else [statements]:
        for element in ("Principal", "NotPrincipal"):
            told = statement.get(element) or {}
            for kind, names in (told if isinstance(told, dict) else {}).items():
                yield from ((kind, name) for name in ([names] if isinstance(names, str) else names))


def _exists(site: Site, kind: str, name: str) -> bool:
    if kind == "Service":
        return is_service(name, site.region)
    if kind != "AWS" or name == "*" or ACCOUNT.fullmatch(name) or ASSUMED.fullmatch(name):
        return kind in ("AWS", "Federated", "CanonicalUser")
    found = ENTITY.fullmatch(name)
    return found is not None and (found["account"] != site.cloud.account or bool(entity(site, name)))


def entity(site: Site, arn: str) -> dict[str, Any]:
    """The role or user of this account with this ARN, path included; nothing where there is none."""
    found = ENTITY.fullmatch(arn)
    if found is None:
        return {}
    iam, name = site.client("iam"), found["name"].rpartition("/")[2]
    try:
        made = iam.get_role(RoleName=name)["Role"] if found["kind"] == "role" else iam.get_user(UserName=name)["User"]
    except ClientError:
        return {}
    return made if made["Arn"] == arn else {}


def why_no_entry(site: Site, arn: str) -> str:
    """The reason for which an access entry takes no such principal; empty where it does."""
    found = ENTITY.fullmatch(arn)
    if found is None:
        return f"invalid principal {arn}: it is the ARN of an IAM role or user"
    if found["kind"] == "role" and found["name"].startswith("aws-service-role/"):
        return f"{arn} is a service-linked role"
    if found["account"] == site.cloud.account and not entity(site, arn):
        return f"invalid principal {arn}"
    return ""
