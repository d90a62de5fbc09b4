"""What nodes pull: sizes of images, asked from their registries by the distribution API.

Sources: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests,
https://distribution.github.io/distribution/spec/auth/token/,
https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md
"""

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from infra.images import DOCKER_HUB
from otel_on_spot.errors import ToolError
from otel_on_spot.program.recording import Recording

INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
LOOPBACK: Final = ("127.0.0.1", "localhost")
"""Hosts that are asked without TLS, as container runtimes do."""
LARGEST_ANSWER_BYTES: Final = 4 * 2**20
"""What registries take as the largest manifest."""
TIMEOUT_SECONDS: Final = 10.0


class UnknownSizeError(ToolError):
    """Why an image has no size, in a few words."""


@dataclass(frozen=True)
class Sizes:
    """Of one architecture. ``layers``: image -> digest -> bytes, as pulled; ``why``: image -> why it has none."""

    architecture: str
    layers: Mapping[str, Mapping[str, int]]
    why: Mapping[str, str]

    def of(self, image: str) -> int | None:
        """Bytes of one image; None where nobody said."""
        return sum(self.layers[image].values()) if image in self.layers else None

    @property
    def total(self) -> int:
        """Bytes of all images that have a size, a layer that several share counted once."""
        return sum({digest: size for layers in self.layers.values() for digest, size in layers.items()}.values())


def architectures(recording: Recording) -> tuple[str, ...]:
    """CPU architectures of the pools in a recorded stack."""
    requirements = [
        requirement
        for r in recording
        if r.inputs.get("kind") == "NodePool"
        for requirement in r.inputs["spec"]["template"]["spec"]["requirements"]
    ]
    found = {
        value
        for requirement in requirements
        if requirement["key"] == "kubernetes.io/arch"
        for value in requirement["values"]
    }
    return tuple(sorted(found or {"amd64"}))


def sizes(images: Iterable[str], architecture: str, registries: "Registries | None" = None) -> Sizes:
    """The sizes of images; one that nobody tells is said why, and stops nothing.

    Args:
        images: with their registries and tags.
        architecture: as Kubernetes calls it.
        registries: who is asked; left out: the registries themselves.
    """
    asked = registries or Registries()
    layers, why = {}, {}
    for image in images:
        try:
            layers[image] = asked.layers(image, architecture)
        except UnknownSizeError as unknown:
            why[image] = str(unknown)
    return Sizes(architecture, layers, why)


class Registries:
    """Registries, asked without credentials. One that does not answer is not waited for again."""

    def __init__(self, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout_seconds
        self._silent: dict[str, str] = {}
        self._tokens: dict[str, str] = {}

    def layers(self, image: str, architecture: str) -> dict[str, int]:
        """Digest -> bytes of each layer, and of the configuration.

        Raises:
            UnknownSizeError: nobody says.
        """
        host, _, rest = image.partition("/")
        repository, at, digest = rest.partition("@")
        repository, _, tag = repository.rpartition(":") if ":" in repository else (repository, "", "latest")
        manifest = self._manifest(host, repository, digest if at else tag)
        if "manifests" in manifest:
            chosen = [
                row["digest"]
                for row in manifest["manifests"]
                if (row.get("platform") or {}).get("architecture") == architecture
                and (row.get("platform") or {}).get("os", "linux") == "linux"
            ]
            if not chosen:
                raise UnknownSizeError(f"not built for {architecture}")
            manifest = self._manifest(host, repository, chosen[0])
        if manifest.get("schemaVersion") != 2 or "layers" not in manifest:
            raise UnknownSizeError("its manifest is of schema 1, which has no sizes")
        parts = [*manifest["layers"], *([manifest["config"]] if "config" in manifest else [])]
        return {part["digest"]: int(part["size"]) for part in parts}

    def _manifest(self, host: str, repository: str, reference: str) -> dict[str, Any]:
        server = "registry-1.docker.io" if host == DOCKER_HUB else host
        scheme = "http" if server.partition(":")[0] in LOOPBACK else "https"
        url = f"{scheme}://{server}/v2/{repository}/manifests/{reference}"
        accepted = {"Accept": ", ".join((*INDEXES, *MANIFESTS))}
        scope = f"{server}/{repository}"
        try:
            return self._read(url, accepted | self._bearer(scope))
        except urllib.error.HTTPError as refused:
            challenge = refused.headers.get("WWW-Authenticate") or ""
            if refused.code != http.client.UNAUTHORIZED or not challenge.lower().startswith("bearer "):
                raise UnknownSizeError(_refusal(server, refused)) from refused
        self._tokens[scope] = self._token(server, challenge)
        try:
            return self._read(url, accepted | self._bearer(scope))
        except urllib.error.HTTPError as refused:
            raise UnknownSizeError(_refusal(server, refused)) from refused

    def _bearer(self, scope: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens[scope]}"} if scope in self._tokens else {}

    def _token(self, server: str, challenge: str) -> str:
        """A token for everybody, from where the registry says.

        Raises:
            UnknownSizeError: there is none to be had.
        """
        told = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = urlsplit(told.get("realm", ""))
        if realm.scheme != "https" and realm.hostname not in LOOPBACK:
            raise UnknownSizeError(f"{server} sends to {told.get('realm') or 'nowhere'} for a token")
        query = urlencode({key: told[key] for key in ("service", "scope") if key in told})
        try:
            answer = self._read(f"{told['realm']}?{query}", {})
        except urllib.error.HTTPError as refused:
            raise UnknownSizeError(_refusal(realm.netloc, refused)) from refused
        return str(answer.get("token") or answer.get("access_token") or "")

    def _read(self, url: str, headers: Mapping[str, str]) -> dict[str, Any]:
        server = urlsplit(url).netloc
        if server in self._silent:
            raise UnknownSizeError(self._silent[server])
        # Only https, and http on loopback: `_manifest` and `_token` see to it.
        request = urllib.request.Request(url, headers={"User-Agent": "otel-on-spot", **headers})
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as response:
                answer = json.loads(response.read(LARGEST_ANSWER_BYTES))
        except urllib.error.HTTPError:
            raise
        except (OSError, http.client.HTTPException) as silent:
            cause = getattr(silent, "reason", silent)
            self._silent[server] = f"{server} does not answer: {cause or type(cause).__name__}"
            raise UnknownSizeError(self._silent[server]) from silent
        except ValueError as unread:
            raise UnknownSizeError(f"{server} answers with something else than JSON") from unread
        if not isinstance(answer, dict):
            raise UnknownSizeError(f"{server} answers with something else than a manifest")
        return answer


def _refusal(server: str, refused: urllib.error.HTTPError) -> str:
    words = {
        http.client.UNAUTHORIZED: "asks for credentials",
        http.client.FORBIDDEN: "lets nobody in without credentials",
        http.client.NOT_FOUND: "has no such image",
        http.client.TOO_MANY_REQUESTS: "was asked too often",
    }
    again = refused.headers.get("Retry-After")
    later = f", again in {again} s" if again and again.isdigit() else ""
    return f"{server} {words.get(refused.code, 'refuses')} ({refused.code}){later}"


def told(size: int | None, why: str | None) -> str:
    """A size in words, or why there is none."""
    return f"{size / 2**20:.1f} MiB" if size is not None else f"size not known: {why}"
