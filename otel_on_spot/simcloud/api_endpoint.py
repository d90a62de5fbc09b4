"""The clusters' API endpoint: it only says that it is there, which the pulumi-eks component asks before it goes on."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseServer

import trustme

from otel_on_spot.files import write_atomically
from otel_on_spot.simcloud.cloud import Cloud


class LoopbackServer:
    """A server of this process, in a thread of its own."""

    def __init__(self, server: BaseServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class ApiEndpoint(LoopbackServer):
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

        server = ThreadingHTTPServer(("127.0.0.1", cloud.api_port), Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificate(cloud.directory))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        super().__init__(server)


def _certificate(directory: Path) -> Path:
    """A certificate for loopback, made once."""
    file = directory / "api.pem"
    if not file.exists():
        write_atomically(file, trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes())
    return file
