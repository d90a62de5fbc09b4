"""The Kubernetes API as plain JSON: objects, lists from the server's cache in pages, watches, and server-side apply.

Without the official client's models: they cost seconds for thousands of pods, and lose fields that they do not know.
Its ``ApiClient`` sends the requests, so that the credentials of every kubeconfig work.
"""

import builtins
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.client.rest import RESTResponse

from otel_on_spot.failures import UnreachableError, reason
from otel_on_spot.kubernetes import kubeconfig
from otel_on_spot.kubernetes.names import Kind

PAGE: Final = 500
SECONDS: Final = (5, 20)
"""Time to connect, and to answer."""
CONNECTIONS: Final = 64
METADATA_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
"""Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches"""
MANAGER: Final = "otel-on-spot-drill"
"""Field manager of everything that a drill writes."""
JSON: Final = {"Content-Type": "application/json"}
MERGE: Final = {"Content-Type": "application/merge-patch+json"}
APPLY: Final = {"Content-Type": "application/apply-patch+yaml"}
Object = dict[str, Any]


class Api:
    """One API server. Counts its requests, so that the cost of a command is known; threads may share it.

    ``token``: bearer token that takes the place of the client's own credentials. ``seconds``: time to connect, and to
    answer.
    """

    def __init__(self, client: ApiClient, token: str = "", seconds: tuple[float, float] = SECONDS) -> None:
        self._client = client
        self._token = token
        self._seconds = seconds
        self._counting = threading.Lock()
        self._kinds: dict[str, list[tuple[Kind, bool]]] = {}
        self.requests = 0

    @classmethod
    def of(cls, server: str, ca: Path | str, token: str = "", seconds: tuple[float, float] = SECONDS) -> "Api":
        """The API server at a URL.

        Args:
            server: its URL; no proxy is used.
            ca: certificate authority: a file, or its PEM text.
            token: bearer token.
            seconds: time to connect, and to answer.
        """
        configuration = Configuration(host=server, retries=False, connection_pool_maxsize=CONNECTIONS)
        configuration.proxy = None
        if isinstance(ca, Path):
            configuration.ssl_ca_cert = str(ca)
        else:
            configuration.ca_cert_data = ca
        return cls(ApiClient(configuration), token, seconds)

    @classmethod
    def from_kubeconfig(cls, file: Path, seconds: tuple[float, float] = SECONDS) -> "Api":
        """The API server and the user of a kubeconfig with a token, see ``kubeconfig.read``.

        Raises:
            ValueError: the file is something else.
        """
        config = kubeconfig.read(file)
        return cls.of(config.server, config.authority, config.token, seconds)

    def as_user(self, token: str) -> "Api":
        """The same server and connections, as the user of another token."""
        return Api(self._client, token, self._seconds)

    @property
    def server(self) -> str:
        """URL of the server."""
        return str(self._client.configuration.host)

    def get(self, path: str, accept: str = "application/json", **query: str) -> Object | None:
        """The object at a path, or None where there is none.

        Raises:
            ApiException: the server refused.
        """
        try:
            return self._ask("GET", path, None, {"Accept": accept}, query)
        except ApiException as refused:
            if refused.status != 404:
                raise
            return None

    def create(self, path: str, thing: Object) -> Object:
        """Make an object under the path of its kind.

        Raises:
            ApiException: the server refused; status 409 where it is there already.
        """
        return self._ask("POST", path, thing, JSON, {"fieldManager": MANAGER})

    def replace(self, path: str, thing: Object) -> Object:
        """Write an object anew. With its ``resourceVersion`` it is refused with status 409 where somebody was faster.

        Raises:
            ApiException: the server refused.
        """
        return self._ask("PUT", path, thing, JSON, {"fieldManager": MANAGER})

    def merge(self, path: str, patch: Object) -> Object:
        """Merge fields into an object. A ``resourceVersion`` among them makes it conditional, as in ``replace``.

        Raises:
            ApiException: the server refused; status 404 where there is no such object.
        """
        return self._ask("PATCH", path, patch, MERGE, {"fieldManager": MANAGER})

    def apply(self, path: str, thing: Object, manager: str, *, force: bool = False) -> Object:
        """Make or change an object by server-side apply.

        Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/

        Args:
            path: of the object.
            thing: the fields that the manager declares.
            manager: owner of these fields.
            force: take fields over that another manager owns.

        Raises:
            ApiException: the server refused; status 409 where another manager owns a field.
        """
        return self._ask(
            "PATCH", path, json.dumps(thing), APPLY, {"fieldManager": manager, "force": str(force).lower()}
        )

    def delete(self, path: str, options: Object | None = None, **query: str) -> bool:
        """Delete an object; False where there was none.

        ``options``: DeleteOptions.

        Raises:
            ApiException: the server refused.
        """
        try:
            self._ask("DELETE", path, options, JSON, query)
        except ApiException as refused:
            if refused.status != 404:
                raise
            return False
        return True

    def status(self, path: str) -> int:
        """HTTP status of an answer whose body nobody reads, as of a Service behind the server's proxy.

        Raises:
            urllib3.exceptions.HTTPError: nobody answered.
        """
        return self._read("GET", path, None, {"Accept": "*/*"}, {}).status

    def watch(self, path: str, seconds: int, **query: str) -> Iterator[Object]:
        """Events of a watch, until the server ends it.

        The server ends the watch after ``seconds``. ``query``: ``resourceVersion``, ``labelSelector`` and the like.

        Raises:
            ApiException: the server refused.
            urllib3.exceptions.HTTPError: the stream broke.
        """  # noqa: DOC501 (_refused makes the ApiException)
        query = {**query, "watch": "true", "timeoutSeconds": str(seconds)}
        answer = self._send("GET", path, None, {}, query, (self._seconds[0], seconds + 10)).response
        if answer.status != 200:
            raise _refused(answer.status, answer.reason, answer.read())
        rest = b""
        for chunk in answer.stream(65536, decode_content=True):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (json.loads(line) for line in lines if line)
        answer.release_conn()

    def kind(self, version: str, kind: str) -> Kind | None:
        """The kind as the server serves it, or None where it does not.

        A kind that is found once is not asked for again.

        Raises:
            ApiException: the server refused.
        """
        for again in (False, True):
            found = next((entry for entry, _ in self._served(version, again=again) if entry.kind == kind), None)
            if found is not None:
                return found
        return None

    def kinds(self) -> builtins.list[Kind]:
        """Every kind that can be listed, in the preferred version of its group.

        Raises:
            ApiException: the server refused.
        """
        groups = (self.get("/apis") or {}).get("groups") or []
        versions = ["v1", *(group["preferredVersion"]["groupVersion"] for group in groups)]
        return [kind for version in versions for kind, listed in self._served(version, again=True) if listed]

    def _served(self, version: str, *, again: bool) -> builtins.list[tuple[Kind, bool]]:
        """Kinds of a group's version, and whether they can be listed."""
        if again or version not in self._kinds:
            found = self.get(f"/apis/{version}" if "/" in version else f"/api/{version}") or {}
            self._kinds[version] = [
                (Kind(version, row["kind"], row["name"], bool(row["namespaced"])), "list" in (row.get("verbs") or []))
                for row in found.get("resources") or []
                if "/" not in row["name"]
            ]
        return self._kinds[version]

    def _ask(
        self, verb: str, path: str, body: Object | str | None, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Object:
        answer = self._read(verb, path, body, headers, query)
        if not 200 <= answer.status <= 299:
            raise _refused(answer.status, answer.reason, answer.data)
        return json.loads(answer.data or b"")

    def _read(
        self, verb: str, path: str, body: Object | str | None, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> RESTResponse:
        answer = self._send(verb, path, body, headers, query, self._seconds)
        answer.read()
        return answer

    def _send(
        self,
        verb: str,
        path: str,
        body: Object | str | None,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        seconds: tuple[float, float],
    ) -> RESTResponse:
        with self._counting:
            self.requests += 1
        method, url, sent, content, post, *_ = self._client.param_serialize(
            method=verb,
            resource_path=path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", **JSON, **headers},
            body=body,
            auth_settings=[] if self._token else ["BearerToken"],
        )
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        return self._client.call_api(method, url, sent, content, post, _request_timeout=seconds)

    def list(self, path: str, accept: str = "application/json", **query: str) -> Iterator[Object]:
        """Every object of a kind; nothing where the API server does not serve the kind.

        ``resourceVersion=0`` lets the server answer from its cache, as controllers ask.
        Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list
        """
        page = self.get(path, accept, limit=str(PAGE), resourceVersion="0", **query)
        while page is not None:
            yield from page.get("items") or []
            left = (page.get("metadata") or {}).get("continue")
            page = self.get(path, accept, limit=str(PAGE), **{"continue": left}, **query) if left else None

    def require(self) -> str:
        """Version of the server.

        Raises:
            UnreachableError: nobody answers, or it does not know who asks.
        """
        try:
            version = self.get("/version")
        except Exception as problem:  # noqa: BLE001 (whatever the transport raises, nobody answers)
            raise UnreachableError(f"the Kubernetes API at {self.server}: {reason(problem)}") from None
        return (version or {}).get("gitVersion", "")


def _refused(status: int, why: str | None, body: bytes | None) -> ApiException:
    """A refusal in the server's own words.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
    """
    text = (body or b"").decode(errors="replace")
    try:
        message = str(json.loads(text).get("message", ""))
    except (ValueError, AttributeError):
        message = ""
    refused = ApiException(status=status, reason=message or why)
    refused.body = text
    return refused
