"""The lab's Git server: smart HTTP over TLS, read only, by git's own ``http-backend``. Run as ``python -m otel_on_spot.lab.gitops.server``."""

import argparse
import os
import re
import shutil
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

SERVICE: Final = "git-upload-pack"
PATHS: Final = re.compile(r"/(?P<repository>[A-Za-z0-9._-]+\.git)/(?P<rest>info/refs|git-upload-pack|HEAD)")
"""What reading takes. Source: https://git-scm.com/docs/http-protocol"""
LONGEST_REQUEST: Final = 64 * 1024 * 1024


class Server(ThreadingHTTPServer):
    """Serves the bare repositories of a folder.

    Args:
        folder: holds ``<name>.git`` folders.
        address: host and port.
        certificate: PEM file of the certificate, and that of its key.

    Raises:
        OSError: the port is in use, or a file cannot be read.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, folder: Path, address: tuple[str, int], certificate: tuple[Path, Path]) -> None:
        self.folder = folder
        super().__init__(address, Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)


class Handler(BaseHTTPRequestHandler):
    """One request, answered by ``git http-backend`` as a CGI program."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    @property
    def folder(self) -> Path:
        """Where the repositories are."""
        assert isinstance(self.server, Server)
        return self.server.folder

    def do_GET(self) -> None:
        """The list of refs; ``/healthz`` answers ``ok``."""
        if self.path == "/healthz":
            self._answer(200, b"ok")
            return
        found = PATHS.fullmatch(urlsplit(self.path).path)
        service = parse_qs(urlsplit(self.path).query).get("service", [SERVICE])
        if found is None or found["rest"] == SERVICE:
            self._answer(404, b"not here: this server has <repository>.git, for fetching over smart HTTP\n")
        elif service != [SERVICE]:
            self._answer(403, b"read only: push to your own repository, and the lab serves its next commit\n")
        else:
            self._backend(found, b"")

    def do_POST(self) -> None:
        """The negotiation of a fetch."""
        found = PATHS.fullmatch(urlsplit(self.path).path)
        try:
            body = self._body()
        except ValueError as problem:
            self.close_connection = True
            self._answer(413, f"{problem}\n".encode())
            return
        if found is None or found["rest"] != SERVICE:
            self._answer(403, b"read only: only fetches are served\n")
        else:
            self._backend(found, body)

    def _body(self) -> bytes:
        """The request's body, in one piece or in chunks.

        Raises:
            ValueError: it is longer than any negotiation.
        """
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            length = int(self.headers.get("Content-Length") or 0)
            if length > LONGEST_REQUEST:
                raise ValueError(f"a request of {length} bytes; at most {LONGEST_REQUEST} are taken")
            return self.rfile.read(length)
        parts, total = [], 0
        while size := int(self.rfile.readline().split(b";")[0], 16):
            total += size
            if total > LONGEST_REQUEST:
                raise ValueError(f"a request of more than {LONGEST_REQUEST} bytes")
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _backend(self, found: re.Match[str], body: bytes) -> None:
        """Run the CGI program. Source: https://git-scm.com/docs/git-http-backend"""
        variables = {
            "PATH": os.environ.get("PATH", ""),
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "http.receivepack",
            "GIT_CONFIG_VALUE_0": "false",
            "GIT_CONFIG_KEY_1": "safe.directory",
            "GIT_CONFIG_VALUE_1": "*",
            "HOME": str(self.folder),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": f"/{found['repository']}/{found['rest']}",
            "QUERY_STRING": urlsplit(self.path).query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": self.client_address[0],
            "SERVER_PROTOCOL": self.request_version,
        }
        command = ["git", "http-backend"]
        done = subprocess.run(command, input=body, capture_output=True, env=variables, timeout=self.timeout)
        head, separator, content = done.stdout.partition(b"\r\n\r\n")
        if done.returncode or not separator:
            self._answer(500, done.stderr or b"git http-backend failed\n")
            return
        headers = [line.partition(": ") for line in head.decode("latin-1").split("\r\n")]
        status = next((value.split()[0] for name, _, value in headers if name.lower() == "status"), "200")
        self.send_response(int(status))
        for name, _, value in headers:
            if name.lower() not in ("status", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> int:
    """Serve until a signal ends the process."""
    parser = argparse.ArgumentParser(prog="python -m otel_on_spot.lab.gitops.server", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="holds <name>.git")
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    if shutil.which("git") is None:
        print("git: not on PATH; install Git 2.30 or newer", file=sys.stderr)
        return 2
    try:
        server = Server(given.folder, (given.host, given.port), (given.certificate, given.key))
    except OSError as problem:
        print(f"cannot serve {given.folder} on {given.host}:{given.port}: {problem}", file=sys.stderr)
        return 1
    print(f"serving {given.folder} on https://{given.host}:{given.port}", flush=True)
    server.serve_forever(poll_interval=0.5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
