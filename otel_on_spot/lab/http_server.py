"""HTTP servers of the lab: a WSGI application on threads of werkzeug's server, with or without TLS."""

import ssl
from pathlib import Path
from typing import Any

from typing_extensions import override
from werkzeug import Request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server


class _Handler(WSGIRequestHandler):
    @override
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """A line a request, without the query: it may hold a credential."""
        print(self.command, self.headers.get("Host"), self.path.partition("?")[0], code, flush=True)

    @override
    def log(self, type: str, message: str, *args: Any) -> None:
        print(message % args, flush=True)


def server(address: tuple[str, int], application: Any, certificate: tuple[Path, Path] | None = None) -> BaseWSGIServer:
    """A server, bound to its address and not yet serving.

    A ConnectionError that the WSGI application raises closes the connection without an answer. ``certificate``: PEM
    files of the certificate and of its key, for TLS.

    Raises:
        OSError: the port is in use, or a file cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate is not None:
        context.load_cert_chain(*certificate)
    made = make_server(*address, application, threaded=True, request_handler=_Handler)
    if certificate is not None:  # by hand: a client that is slow at its handshake must not keep others waiting
        made.socket = context.wrap_socket(made.socket, server_side=True, do_handshake_on_connect=False)
        made.ssl_context = context
    return made


def query_and_form(request: Request) -> dict[str, str]:
    """Parameters of a request, of its query and of its form."""
    return {**request.args.to_dict(), **request.form.to_dict()}
