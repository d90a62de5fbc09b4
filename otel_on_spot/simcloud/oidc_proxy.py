"""The issuers of EKS clusters, for the pulumi-eks component with IRSA: a proxy on loopback behind which they are ours.

For the OIDC provider's thumbprint the component connects to ``oidc.eks.<region>.amazonaws.com`` and reads its
certificate. Here that host is us, with a certificate of the cloud's own authority; the component's process trusts it by
``NODE_EXTRA_CA_CERTS``. Certificates are kept: the thumbprint is part of the stack's state.

Source: https://github.com/pulumi/pulumi-eks/blob/master/nodejs/eks/cluster/cert-thumprint.ts (getThumbprint)
"""

import re
import socket
import socketserver
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

import trustme

from otel_on_spot.files import write_atomically
from otel_on_spot.simcloud.api_endpoint import LoopbackServer

ISSUER: Final = re.compile(r"oidc\.eks\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
SECONDS: Final = 10
"""Real seconds of silence after which a connection is closed."""


class OidcProxy(LoopbackServer):
    """A proxy (``CONNECT`` only): issuers of EKS end here, all else is passed on as if there were no proxy."""

    def __init__(self, directory: Path) -> None:
        """Listen on a port of loopback. ``directory`` keeps the certificates."""
        directory.mkdir(exist_ok=True)
        self._directory = directory
        self.authority = directory / "authority.pem"
        self._authority = _authority(self.authority, directory / "authority.key")
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(SECONDS)
                with suppress(OSError):
                    proxy._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        """The value for ``HTTPS_PROXY``."""
        super().__init__(server)

    def _serve(self, client: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request and len(request) < 65536:
            more = client.recv(4096)
            if not more:
                return
            request += more
        method, _, rest = request.decode("latin-1").partition(" ")
        host, _, port = rest.partition(" ")[0].rpartition(":")
        if method == "CONNECT" and ISSUER.fullmatch(host):
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._serve_tls(host, client)
        elif method == "CONNECT" and port.isdigit():
            with socket.create_connection((host, int(port)), timeout=SECONDS) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _join(client, server)
        else:
            client.sendall(b"HTTP/1.1 405 Only CONNECT\r\nContent-Length: 0\r\n\r\n")

    def _serve_tls(self, host: str, client: socket.socket) -> None:
        with self._context(host).wrap_socket(client, server_side=True) as issuer:
            issuer.recv(65536)
            issuer.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def _context(self, host: str) -> ssl.SSLContext:
        with self._lock:
            if host not in self._contexts:
                file = self._directory / f"issuer-{host}.pem"
                if not file.exists():
                    leaf = self._authority.issue_cert(host).private_key_and_cert_chain_pem.bytes()
                    write_atomically(file, leaf + self.authority.read_bytes())
                self._contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._contexts[host].load_cert_chain(file)
            return self._contexts[host]


def _authority(certificate: Path, key: Path) -> trustme.CA:
    """The authority of these files; a new one where there is none."""
    if certificate.exists() and key.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    authority = trustme.CA(organization_name="authority of the simulated cloud")
    write_atomically(key, authority.private_key_pem.bytes())
    write_atomically(certificate, authority.cert_pem.bytes())
    return authority


def _join(client: socket.socket, server: socket.socket) -> None:
    """Carry bytes both ways until one side is done."""

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=carry, args=(server, client), daemon=True)
    back.start()
    carry(client, server)
    back.join(SECONDS)
