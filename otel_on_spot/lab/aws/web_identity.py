"""AssumeRoleWithWebIdentity: the checks that STS makes of a service account's token, and moto does not (IRSA).

Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

import base64
import binascii
import json
from typing import Any

from botocore.exceptions import ClientError

from otel_on_spot.iam import allows
from otel_on_spot.lab.aws.token_review import Reviewer, TokenRefusedError

AUDIENCE = "sts.amazonaws.com"
ACTION = "sts:AssumeRoleWithWebIdentity"


class WebIdentityRefusedError(Exception):
    """STS refuses. ``code`` and ``status`` are STS's own."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def claims(token: str) -> dict[str, Any]:
    """The claims of a JWT, not verified.

    Raises:
        ValueError: it is not a JWT.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("it has not three parts")
    try:
        return json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, UnicodeDecodeError) as problem:
        raise ValueError(str(problem)) from None


def check(iam: Any, reviewer: Reviewer, role_arn: str, token: str) -> None:
    """Let a token of the cluster through that the role's trust policy names: issuer, audience and subject.

    Args:
        iam: a boto3 client.
        reviewer: asks the cluster whose token it is.
        role_arn: the role that is to be assumed.
        token: the service account's token.

    Raises:
        WebIdentityRefusedError: the token is not one, is of nobody, or the role does not trust it.
    """
    try:
        issuer = str(claims(token)["iss"]).removeprefix("https://")
        account = reviewer.review(token, AUDIENCE)
    except (ValueError, KeyError) as problem:
        raise WebIdentityRefusedError(
            "InvalidIdentityToken", 400, f"The ID Token provided is not a valid JWT. ({problem})"
        ) from None
    except TokenRefusedError as refused:
        raise WebIdentityRefusedError(
            "InvalidIdentityToken", 400, f"Incorrect token audience, or no token of the cluster: {refused}"
        ) from None
    except OSError as problem:
        raise WebIdentityRefusedError(
            "IDPCommunicationError", 400, f"Couldn't retrieve verification key: {problem}"
        ) from None
    known = {provider["Arn"] for provider in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]}
    provider = next((arn for arn in known if arn.partition("oidc-provider/")[2] == issuer), "")
    if not provider:
        raise WebIdentityRefusedError(
            "InvalidIdentityToken", 400, f"No OpenIDConnect provider found in your account for https://{issuer}"
        )
    try:
        trust = iam.get_role(RoleName=role_arn.rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
    except ClientError:
        trust = {}
    facts = {f"{issuer}:aud": AUDIENCE, f"{issuer}:sub": account.subject}
    if not allows(trust, ACTION, context=facts, principal={"Federated": provider}):
        raise WebIdentityRefusedError("AccessDenied", 403, f"Not authorized to perform {ACTION}")
