"""TLS front of the simulated STS (and of EC2, for aws-iam-authenticator), for clients whose AWS host name cannot be changed.

Run as ``python -m otel_on_spot.lab.aws.sts_front``. It adds what moto lacks: the access key of a presigned URL, GetCallerIdentity in JSON,
a refusal of keys that nobody has, and the checks of AssumeRoleWithWebIdentity. Signatures are not verified.
"""

import argparse
import http.client
import json
import re
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from otel_on_spot.lab.aws.endpoint import Endpoint
from otel_on_spot.lab.aws.token_review import Reviewer
from otel_on_spot.lab.aws.web_identity import WebIdentityRefused, check

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
"""What moto answers for a key that it never gave out."""


def hosts(region: str) -> tuple[str, ...]:
    """Host names that must lead to the front: STS of the region and the global one, and EC2, which the authenticator asks for a node's name."""
    return (f"sts.{region}.amazonaws.com", "sts.amazonaws.com", f"ec2.{region}.amazonaws.com")


def xml_error(code: str, message: str) -> bytes:
    """An error as STS writes it."""
    return (
        f'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>{message}</Message></Error><RequestId>lab</RequestId></ErrorResponse>"
    ).encode()


def caller_identity_json(answer: bytes) -> bytes:
    """moto's XML answer of GetCallerIdentity as the JSON that the authenticator asks for."""

    def field(name: str) -> str:
        found = re.search(f"<{name}>(.*?)</{name}>".encode(), answer)
        return found.group(1).decode() if found else ""

    result = {key: field(key) for key in ("Account", "Arn", "UserId")}
    told = {"GetCallerIdentityResult": result, "ResponseMetadata": {"RequestId": "lab"}}
    return json.dumps({"GetCallerIdentityResponse": told}).encode()


class Front(BaseHTTPRequestHandler):
    """Forwards to moto. ``aws`` and ``reviewer`` are set by ``serve``."""

    protocol_version = "HTTP/1.1"
    aws: Endpoint
    reviewer: Reviewer

    def do_GET(self) -> None:
        """Forward one request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = parse_qs(urlsplit(self.path).query)
        if "application/x-www-form-urlencoded" in (self.headers.get("Content-Type") or ""):
            asked |= parse_qs(body.decode())
        flat = {key: values[0] for key, values in asked.items()}
        if flat.get("Action") == "AssumeRoleWithWebIdentity":
            try:
                check(self.aws.client("iam"), self.reviewer, flat.get("RoleArn", ""), flat.get("WebIdentityToken", ""))
            except WebIdentityRefused as refused:
                self._send(refused.status, "text/xml", xml_error(refused.code, str(refused)))
                return
        status, kind, answer = self._forward(body, flat.get("X-Amz-Credential", ""))
        if b"GetCallerIdentityResult" in answer:
            if UNKNOWN_KEY in answer:
                text = "The security token included in the request is invalid."
                status, kind, answer = 403, "text/xml", xml_error("InvalidClientTokenId", text)
            elif "json" in (self.headers.get("Accept") or ""):
                kind, answer = "application/json", caller_identity_json(answer)
        self._send(status, kind, answer)

    do_POST = do_GET  # noqa: N815

    def _forward(self, body: bytes, credential: str) -> tuple[int, str, bytes]:
        headers = {key: value for key, value in self.headers.items() if key.lower() in FORWARDED}
        if credential and "Authorization" not in headers:
            headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"
        if "Authorization" not in headers:  # AssumeRoleWithWebIdentity is not signed; moto finds the service by this
            headers["Authorization"] = (
                f"AWS4-HMAC-SHA256 Credential=none/20260101/{self.aws.region}/sts/aws4_request, SignedHeaders=host, Signature=0"
            )
        moto = urlsplit(self.aws.url)
        connection = http.client.HTTPConnection(moto.hostname or "", moto.port, timeout=60)
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type") or "text/xml", answer.read()
        except OSError as problem:
            return 503, "text/xml", xml_error("ServiceUnavailable", f"the simulated AWS does not answer: {problem}")
        finally:
            connection.close()

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ARG002 (its signature)
        """A line a request, without the query: it holds a credential."""
        print(self.command, self.headers.get("Host"), urlsplit(self.path).path, *args[1:2], flush=True)


class Server(ThreadingHTTPServer):
    """Many connections at once; a client that hangs up is no event."""

    daemon_threads = True
    request_queue_size = 128


def server(address: tuple[str, int], certificate: Path, key: Path, aws: Endpoint, reviewer: Reviewer) -> Server:
    """The front, bound to its address and not yet serving."""
    made = Server(address, type("BoundFront", (Front,), {"aws": aws, "reviewer": reviewer}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    made.socket = context.wrap_socket(made.socket, server_side=True, do_handshake_on_connect=False)
    return made


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--moto", required=True, help="URL of the simulated AWS")
    parser.add_argument("--region", required=True)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="whose user may create TokenReviews")
    given = parser.parse_args()
    aws, reviewer = Endpoint(given.moto, given.region), Reviewer(given.kubeconfig)
    server((given.host, given.port), given.certificate, given.key, aws, reviewer).serve_forever()


if __name__ == "__main__":
    main()
