"""The lab's Git server.

Smart HTTP over TLS, read only, by git's own ``http-backend``. Run as ``python -m otel_on_spot.lab.gitops.server``.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from werkzeug import Request, Response
from werkzeug.serving import BaseWSGIServer

from otel_on_spot.lab import http_server, options

SERVICE: Final = "git-upload-pack"
PATHS: Final = re.compile(r"/(?P<repository>[A-Za-z0-9._-]+\.git)/(?P<rest>info/refs|git-upload-pack|HEAD)")
"""Paths that reading takes. Source: https://git-scm.com/docs/http-protocol"""
LONGEST_REQUEST: Final = 64 * 1024 * 1024
TIMEOUT_SECONDS: Final = 60


def server(folder: Path, address: tuple[str, int], certificate: tuple[Path, Path]) -> BaseWSGIServer:
    """The server of a folder's bare repositories, bound to its address and not yet serving.

    ``folder`` holds ``<name>.git`` folders. ``certificate``: PEM file of the certificate, and that of its key.

    Raises:
        OSError: the port is in use, or a file cannot be read.
    """

    @Request.application
    def application(request: Request) -> Response:
        return _answer(request, folder)

    return http_server.server(address, application, certificate)


def _answer(request: Request, folder: Path) -> Response:
    found = PATHS.fullmatch(request.path)
    request.max_content_length = LONGEST_REQUEST
    if request.path == "/healthz":
        return Response("ok")
    if request.method == "POST":
        body = request.get_data()
        if found is None or found["rest"] != SERVICE:
            return Response("read only: only fetches are served\n", 403)
        return _backend(request, folder, found, body)
    if found is None or found["rest"] == SERVICE:
        return Response("not here: this server has <repository>.git, for fetching over smart HTTP\n", 404)
    if request.args.getlist("service") not in ([], [SERVICE]):
        return Response("read only: push to your own repository, and the lab serves its next commit\n", 403)
    return _backend(request, folder, found, b"")


def _backend(request: Request, folder: Path, found: re.Match[str], body: bytes) -> Response:
    """Run git as a CGI program.

    Source: https://git-scm.com/docs/git-http-backend
    """
    variables = {
        "PATH": os.environ.get("PATH", ""),
        "GIT_PROJECT_ROOT": str(folder),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        **_git_config({"http.receivepack": "false", "safe.directory": "*", "core.bigFileThreshold": "1m"}),
        "HOME": str(folder),
        "REQUEST_METHOD": request.method,
        "PATH_INFO": f"/{found['repository']}/{found['rest']}",
        "QUERY_STRING": request.query_string.decode(),
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "REMOTE_ADDR": request.remote_addr or "",
        "SERVER_PROTOCOL": request.environ["SERVER_PROTOCOL"],
    }
    command = ["git", "http-backend"]
    done = subprocess.run(command, input=body, capture_output=True, env=variables, timeout=TIMEOUT_SECONDS)
    head, separator, content = done.stdout.partition(b"\r\n\r\n")
    if done.returncode or not separator:
        return Response(done.stderr or "git http-backend failed\n", 500)
    headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n"))
    return Response(content, headers.pop("Status", "200 OK"), headers)


def _git_config(settings: dict[str, str]) -> dict[str, str]:
    """Variables that configure git. No delta of a big file is searched: that costs minutes on a busy machine."""
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found


def main() -> None:
    """Serve until killed."""
    given = options.given("folder", "host", "port", "certificate", "key")
    server(given.folder, (given.host, given.port), (given.certificate, given.key)).serve_forever()


if __name__ == "__main__":
    main()
