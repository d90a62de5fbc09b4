"""TLS front of the simulated STS, and of EC2 for aws-iam-authenticator.

It is for clients whose AWS host name cannot be changed.

Run as ``python -m otel_on_spot.lab.aws.sts_front``. It adds what moto lacks: the access key of a presigned URL,
GetCallerIdentity in JSON, a refusal of keys that nobody has, and the checks of AssumeRoleWithWebIdentity. Signatures
are not verified.
"""

import http.client
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

from werkzeug import Request, Response
from werkzeug.serving import BaseWSGIServer

from otel_on_spot.lab import http_server, options
from otel_on_spot.lab.aws.endpoint import Endpoint
from otel_on_spot.lab.aws.token_review import Reviewer
from otel_on_spot.lab.aws.web_identity import WebIdentityRefusedError, check

FORWARDED = (
    "content-type",
    "authorization",
    "x-amz-security-token",
    "x-amz-date",
    "x-amz-target",
    "accept",
    "user-agent",
)
UNKNOWN_KEY = b":user/moto</Arn>"
"""Part of moto's answer for a key that it never gave out."""


def xml_error(code: str, message: str) -> bytes:
    """An error as STS writes it."""
    return (
        f'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>{message}</Message></Error><RequestId>lab</RequestId></ErrorResponse>"
    ).encode()


def caller_identity_json(answer: bytes) -> bytes:
    """The XML answer of GetCallerIdentity by moto as the JSON that the authenticator asks for."""

    def field(name: str) -> str:
        found = re.search(f"<{name}>(.*?)</{name}>".encode(), answer)
        return found.group(1).decode() if found else ""

    result = {key: field(key) for key in ("Account", "Arn", "UserId")}
    told = {"GetCallerIdentityResult": result, "ResponseMetadata": {"RequestId": "lab"}}
    return json.dumps({"GetCallerIdentityResponse": told}).encode()


def server(address: tuple[str, int], certificate: Path, key: Path, aws: Endpoint, reviewer: Reviewer) -> BaseWSGIServer:
    """The front, bound to its address and not yet serving.

    Args:
        address: host and port.
        certificate: PEM file that it serves TLS with.
        key: PEM file of its key.
        aws: moto, which answers what is passed on.
        reviewer: asks the API server whose a web identity token is.
    """

    @Request.application
    def application(request: Request) -> Response:
        return _answer(request, aws, reviewer)

    return http_server.server(address, application, (certificate, key))


def _answer(request: Request, aws: Endpoint, reviewer: Reviewer) -> Response:
    body = request.get_data(parse_form_data=False)
    asked = http_server.query_and_form(request)
    if asked.get("Action") == "AssumeRoleWithWebIdentity":
        try:
            check(aws.client("iam"), reviewer, asked.get("RoleArn", ""), asked.get("WebIdentityToken", ""))
        except WebIdentityRefusedError as refused:
            return Response(xml_error(refused.code, str(refused)), refused.status, mimetype="text/xml")
    status, kind, answer = _forward(request, aws, body, asked.get("X-Amz-Credential", ""))
    if b"GetCallerIdentityResult" in answer:
        if UNKNOWN_KEY in answer:
            text = "The security token included in the request is invalid."
            status, kind, answer = 403, "text/xml", xml_error("InvalidClientTokenId", text)
        elif "json" in request.headers.get("Accept", ""):
            kind, answer = "application/json", caller_identity_json(answer)
    return Response(answer, status, content_type=kind)


def _forward(request: Request, aws: Endpoint, body: bytes, credential: str) -> tuple[int, str, bytes]:
    headers = {key: value for key, value in request.headers.items() if key.lower() in FORWARDED}
    if "Authorization" not in headers:  # AssumeRoleWithWebIdentity is not signed; moto finds the service by this
        scope = credential or f"none/20260101/{aws.region}/sts/aws4_request"
        headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    moto = urlsplit(aws.url)
    connection = http.client.HTTPConnection(moto.hostname or "", moto.port, timeout=60)
    try:
        connection.request(request.method, request.full_path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type") or "text/xml", answer.read()
    except OSError as problem:
        return 503, "text/xml", xml_error("ServiceUnavailable", f"the simulated AWS does not answer: {problem}")
    finally:
        connection.close()


def main() -> None:
    """Serve until killed."""
    given = options.given("host", "port", "certificate", "key", "moto", "region", "kubeconfig")
    aws, reviewer = Endpoint(given.moto, given.region), Reviewer(given.kubeconfig)
    server((given.host, given.port), given.certificate, given.key, aws, reviewer).serve_forever()


if __name__ == "__main__":
    main()
