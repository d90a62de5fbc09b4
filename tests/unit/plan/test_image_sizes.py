"""Sizes of images, asked of a stand-in registry on loopback: what it says is added up, and what it refuses is told."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from otel_on_spot.plan.image_sizes import INDEXES, MANIFESTS, Registries, Sizes, architectures, sizes, told
from tests.unit.conftest import recorded

SHARED = ("sha256:base", 1000)


def manifest(*layers: tuple[str, int]) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFESTS[0],
        "config": {"digest": f"sha256:config-of-{layers[-1][0]}", "size": 7},
        "layers": [{"digest": digest, "size": size} for digest, size in layers],
    }


def index(**digests: str) -> dict[str, Any]:
    listed = [
        {"digest": digest, "platform": {"architecture": architecture, "os": "linux"}}
        for architecture, digest in digests.items()
    ]
    attestation = {"digest": "sha256:none", "platform": {"architecture": "unknown", "os": "unknown"}}
    return {"schemaVersion": 2, "mediaType": INDEXES[0], "manifests": [attestation, *listed]}


ANSWERS: dict[str, dict[str, Any]] = {
    "/v2/demo/manifests/both": index(amd64="sha256:amd", arm64="sha256:arm"),
    "/v2/demo/manifests/sha256:amd": manifest(SHARED, ("sha256:a", 10)),
    "/v2/demo/manifests/sha256:arm": manifest(SHARED, ("sha256:b", 20)),
    "/v2/demo/manifests/intel": index(amd64="sha256:amd"),
    "/v2/demo/manifests/plain": manifest(SHARED, ("sha256:c", 30)),
    "/v2/demo/manifests/sha256:pinned": manifest(SHARED, ("sha256:d", 40)),
    "/v2/guarded/manifests/1": manifest(SHARED, ("sha256:e", 50)),
    "/v2/demo/manifests/old": {"schemaVersion": 1, "fsLayers": [{"blobSum": "sha256:a"}]},
    "/v2/demo/manifests/text": {},
}


class Registry(BaseHTTPRequestHandler):
    """Answers from a table; some repositories want a token, are tired, slow, or of nobody's business."""

    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        here = f"http://{self.headers['Host']}"
        if self.path.startswith("/token?"):
            self.say(200, {"token": "for-everybody"})
        elif "/guarded/" in self.path and self.headers["Authorization"] != "Bearer for-everybody":
            challenge = f'Bearer realm="{here}/token",service="stub",scope="repository:guarded:pull"'
            self.say(401, {}, **{"WWW-Authenticate": challenge})
        elif "/elsewhere/" in self.path:
            self.say(401, {}, **{"WWW-Authenticate": 'Bearer realm="http://registry.invalid/token"'})
        elif "/private/" in self.path:
            self.say(401, {}, **{"WWW-Authenticate": 'Basic realm="ecr"'})
        elif "/tired/" in self.path:
            self.say(429, {}, **{"Retry-After": "60"})
        elif "/broken/" in self.path:
            self.say(500, {})
        elif "/slow/" in self.path:
            time.sleep(0.4)
        elif self.path.endswith("/text"):
            self.say(200, None)
        elif self.path in ANSWERS and set(MANIFESTS) | set(INDEXES) <= set(self.headers["Accept"].split(", ")):
            self.say(200, ANSWERS[self.path])
        else:
            self.say(404, {})

    def say(self, status: int, body: dict[str, Any] | None, **headers: str) -> None:
        content = b"<html>" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def asked(registry: str, *names: str, architecture: str = "amd64") -> Sizes:
    return sizes([f"{registry}/{name}" for name in names], architecture, Registries(0.1))


def test_an_image_is_its_layers_on_the_pools_architecture(registry: str) -> None:
    amd, arm = (asked(registry, "demo:both", architecture=one) for one in ("amd64", "arm64"))

    assert amd.of(f"{registry}/demo:both") == 1000 + 10 + 7
    assert arm.of(f"{registry}/demo:both") == 1000 + 20 + 7
    assert amd.why == arm.why == {}


def test_a_layer_that_images_share_is_pulled_once(registry: str) -> None:
    found = asked(registry, "demo:both", "demo:plain", "demo@sha256:pinned")

    assert len(found.layers) == 3
    assert found.total == 1000 + 10 + 30 + 40 + 3 * 7


def test_a_registry_that_wants_a_token_gives_one_to_everybody(registry: str) -> None:
    Registry.asked.clear()
    found = asked(registry, "guarded:1", "guarded:1")

    assert found.of(f"{registry}/guarded:1") == 1000 + 50 + 7
    assert [path.partition("?")[0] for path in Registry.asked].count("/token") == 1
    assert "scope=repository%3Aguarded%3Apull" in next(path for path in Registry.asked if "/token" in path)


@pytest.mark.parametrize(
    ("name", "architecture", "why"),
    [
        ("demo:intel", "arm64", "not built for arm64"),
        ("demo:old", "amd64", "schema 1, which has no sizes"),
        ("demo:gone", "amd64", "has no such image (404)"),
        ("demo:text", "amd64", "something else than JSON"),
        ("private/x:1", "amd64", "asks for credentials (401)"),
        ("elsewhere/x:1", "amd64", "sends to http://registry.invalid/token for a token"),
        ("tired/x:1", "amd64", "was asked too often (429), again in 60 s"),
        ("broken/x:1", "amd64", "refuses (500)"),
        ("slow/x:1", "amd64", "does not answer: timed out"),
    ],
)
def test_what_has_no_size_is_told_why_and_stops_nothing(registry: str, name: str, architecture: str, why: str) -> None:
    found = asked(registry, name, "demo:plain", architecture=architecture)

    assert why in found.why[f"{registry}/{name}"]
    assert found.of(f"{registry}/{name}") is None
    assert (f"{registry}/demo:plain" in found.layers) is ("slow" not in name), (
        "a silent registry is not waited for again"
    )
    assert told(None, "x") == "size not known: x"
    assert told(3 * 2**20, None) == "3.0 MiB"


def test_a_registry_out_of_reach_is_told(registry: str) -> None:
    found = sizes(["127.0.0.1:1/a:1", "127.0.0.1:1/b:1"], "amd64")

    assert len(found.why) == 2
    assert all("127.0.0.1:1 does not answer" in why for why in found.why.values())
    assert found.total == 0


def test_the_architectures_are_those_of_the_pools() -> None:
    assert architectures(recorded("dev")) == ("amd64",)
