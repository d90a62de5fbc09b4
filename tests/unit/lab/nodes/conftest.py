"""A Kubernetes API that answers as told, and remembers what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.kubernetes import client
from otel_on_spot.lab import certificates

Answer = Callable[[str, str, Any], tuple[int, Any]]


@dataclass
class Api:
    """``answer`` gets (method, path, body). ``asked`` has (method, path, body, token) of every request."""

    server: str
    authority: Path
    asked: list[tuple[str, str, Any, str]] = field(default_factory=list)
    answer: Answer = lambda _method, _path, _body: (200, {})

    @property
    def client(self) -> client.Api:
        return client.Api.of(self.server, self.authority)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    import ssl

    authority = certificates.Authority(tmp_path)
    crt, key = authority.issue("api", "api", ("127.0.0.1",))
    made = Api("", authority.ca_file)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            path = self.path.partition("?")[0]
            made.asked.append((self.command, path, body, token))
            status, told = made.answer(self.command, path, body)
            text = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made.server = f"https://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def instance(identity: str = "i-1", state: str = "running", **more: Any) -> dict[str, Any]:
    """A row of the lab's own route."""
    return {
        "id": identity,
        "state": state,
        "type": "c7i.large",
        "zone": "eu-west-1b",
        "privateIp": "10.10.16.4",
        "privateDnsName": f"{identity}.eu-west-1.compute.internal",
        "lifecycle": "spot",
        "launched": 0.0,
        "imageId": "ami-1",
        "profile": "arn:aws:iam::123456789012:instance-profile/p",
        "tags": {},
        "userData": "",
        "vcpus": 2,
        "memoryMib": 4096,
        "architecture": "x86_64",
        "interfaces": 3,
        "addresses": 10,
        **more,
    }
