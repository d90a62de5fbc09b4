"""Tests of single parts use the lab's tools where they are built, and a Kubernetes API that answers as told."""

import json
import os
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request, Response
from werkzeug.serving import BaseWSGIServer

from otel_on_spot.kubernetes import client
from otel_on_spot.lab import certificates, http_server
from otel_on_spot.lab.toolchain.build import is_whole, place
from otel_on_spot.lab.toolchain.golang import Go, UnusableError
from otel_on_spot.lab.toolchain.modules import MODULES
from otel_on_spot.simcloud.tables import Tables


@pytest.fixture(scope="session", autouse=True)
def tools_on_path() -> Iterator[None]:
    try:
        go = Go.find()
    except UnusableError:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES:
            if is_whole(module, place(module, go)):
                patch.setenv("PATH", str(place(module, go)), prepend=os.pathsep)
        yield


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[Tables]:
    made = Tables(tmp_path / "tables.sqlite")
    yield made
    made.close()


@contextmanager
def serving(server: BaseWSGIServer) -> Generator[int]:
    """A server of the lab, for as long as this lasts: its port."""
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server.port
    server.shutdown()
    server.server_close()


Answer = Callable[[str, str, Any], tuple[int, Any]]


@dataclass
class ApiServer:
    """A Kubernetes API server that remembers what it was asked.

    ``answer`` gets (method, path, body). ``asked`` has (method, path, body, token) of every request, ``queries`` what
    follows its path.
    """

    server: str
    authority: Path
    asked: list[tuple[str, str, Any, str]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    answer: Answer = lambda _method, _path, _body: (200, {})

    @property
    def client(self) -> client.Api:
        return client.Api.of(self.server, self.authority)


@pytest.fixture
def api_server(tmp_path: Path) -> Iterator[ApiServer]:
    authority = certificates.Authority(tmp_path)

    @Request.application
    def application(request: Request) -> Response:
        body = json.loads(request.get_data() or "null")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        made.queries.append(request.query_string.decode())
        made.asked.append((request.method, request.path, body, token))
        status, told = made.answer(request.method, request.path, body)
        return Response(json.dumps(told), status)

    pair = authority.issue("api", "api", ("127.0.0.1",))
    with serving(http_server.server(("127.0.0.1", 0), application, pair)) as port:
        made = ApiServer(f"https://127.0.0.1:{port}", authority.ca_file)
        yield made
