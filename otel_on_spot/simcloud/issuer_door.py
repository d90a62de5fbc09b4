"""The issuers of EKS clusters, for the pulumi-eks component with IRSA: a proxy on loopback behind which they are ours.

For the OIDC provider's thumbprint the component connects to ``oidc.eks.<region>.amazonaws.com`` and reads its certificate. Here
that host is us, with a certificate of the cloud's own authority; the component's process trusts it by ``NODE_EXTRA_CA_CERTS``.
Certificates are kept: the thumbprint is part of the stack's state.

Source: https://github.com/pulumi/pulumi-eks/blob/master/nodejs/eks/cluster/cert-thumprint.ts (getThumbprint)
"""

import datetime
import re
import socket
import socketserver
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ISSUER: Final = re.compile(r"oidc\.eks\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
SECONDS: Final = 10
"""Real seconds of silence after which a connection is closed."""


class IssuerDoor:
    """A proxy (``CONNECT`` only): issuers of EKS end here, all else is passed on as if there were no proxy."""

    def __init__(self, directory: Path) -> None:
        """Listen on a port of loopback. ``directory`` keeps the certificates of this door."""
        directory.mkdir(exist_ok=True)
        self._directory = directory
        self._name = _named("authority of the simulated cloud")
        self._key = _key(directory / "authority.key")
        self.authority = directory / "authority.pem"
        if not self.authority.exists():
            self.authority.write_bytes(self._signed(self._name, self._key, None))
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        door = self

        class Visitor(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(SECONDS)
                with suppress(OSError):
                    door._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Visitor)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)

    @property
    def url(self) -> str:
        """What ``HTTPS_PROXY`` takes."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def _serve(self, visitor: socket.socket) -> None:
        asked = b""
        while b"\r\n\r\n" not in asked and len(asked) < 65536:
            more = visitor.recv(4096)
            if not more:
                return
            asked += more
        method, _, rest = asked.decode("latin-1").partition(" ")
        host, _, port = rest.partition(" ")[0].rpartition(":")
        if method == "CONNECT" and ISSUER.fullmatch(host):
            visitor.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._be(host, visitor)
        elif method == "CONNECT" and port.isdigit():
            with socket.create_connection((host, int(port)), timeout=SECONDS) as server:
                visitor.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _join(visitor, server)
        else:
            visitor.sendall(b"HTTP/1.1 405 Only CONNECT\r\nContent-Length: 0\r\n\r\n")

    def _be(self, host: str, visitor: socket.socket) -> None:
        with self._context(host).wrap_socket(visitor, server_side=True) as issuer:
            issuer.recv(65536)
            issuer.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def _context(self, host: str) -> ssl.SSLContext:
        with self._lock:
            if host not in self._contexts:
                private, file = self._directory / f"{host}.key", self._directory / f"{host}.pem"
                key = _key(private)
                if not file.exists():
                    file.write_bytes(self._signed(_named(host), key, host) + self.authority.read_bytes())
                self._contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._contexts[host].load_cert_chain(file, private)
            return self._contexts[host]

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, host: str | None) -> bytes:
        """A certificate as PEM: of a host, or without one the authority's own."""
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _named(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


def _key(file: Path) -> ec.EllipticCurvePrivateKey:
    """The private key of a file; a new one where there is none."""
    if file.exists():
        kept = serialization.load_pem_private_key(file.read_bytes(), None)
        assert isinstance(kept, ec.EllipticCurvePrivateKey)
        return kept
    key = ec.generate_private_key(ec.SECP256R1())
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return key


def _join(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one side is done."""

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=carry, args=(other, one), daemon=True)
    back.start()
    carry(one, other)
    back.join(SECONDS)
