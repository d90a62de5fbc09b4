"""The clusters' API endpoint: it only says that it is there, which the pulumi-eks component asks before it goes on."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from otel_on_spot.simcloud.cloud import Cloud


class ApiEndpoint:
    """HTTPS on the cloud's API port: ``/<cluster>/healthz`` answers 200 once the cluster is active."""

    def __init__(self, cloud: Cloud) -> None:
        """Listen.

        Raises:
            OSError: the port is in use.
        """

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/").partition("/")[0]
                row = cloud.tables.get("clusters", name)
                healthy = row is not None and row["status"] == "ACTIVE" and self.path.endswith("/healthz")
                self.send_response(200 if healthy else 404)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok" if healthy else b"no")

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", cloud.api_port), Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificate(cloud.directory))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


def _certificate(directory: Path) -> Path:
    """A self-signed certificate for loopback, made once."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    file = directory / "api.pem"
    if file.exists():
        return file
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "simulated cloud")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    file.chmod(0o600)
    return file
