"""The Kubernetes API as plain JSON: lists from the server's cache, in pages, and the few writes that drills make.

Without the client's models: they cost seconds for thousands of pods, and lose fields that they do not know.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.client.rest import RESTResponse

from otel_on_spot.failures import UnreachableError, reason

PAGE: Final = 500
SECONDS: Final = (5, 20)
"""Time to connect, and to answer."""
METADATA_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
"""Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches"""
MANAGER: Final = "otel-on-spot-drill"
"""Field manager of everything that a drill writes."""
Object = dict[str, Any]


class Api:
    """One API server. Counts its requests, so that what a command costs can be told; threads may share it."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._counting = threading.Lock()
        self.requests = 0

    def get(self, path: str, accept: str = "application/json", **query: str) -> Object | None:
        """The object at a path, or None where there is none.

        Raises:
            ApiException: the server refused.
        """
        return self._ask("GET", path, None, {"Accept": accept}, query)

    def create(self, path: str, thing: Object) -> Object:
        """Make an object under the path of its kind.

        Raises:
            ApiException: the server refused; status 409 where it is there already.
        """
        return self._there(self._ask("POST", path, thing, {}, {"fieldManager": MANAGER}), path)

    def replace(self, path: str, thing: Object) -> Object:
        """Write an object anew. With its ``resourceVersion`` it is refused with status 409 where somebody was faster.

        Raises:
            ApiException: the server refused.
        """
        return self._there(self._ask("PUT", path, thing, {}, {"fieldManager": MANAGER}), path)

    def merge(self, path: str, patch: Object) -> Object:
        """Merge fields into an object. A ``resourceVersion`` among them makes it conditional, as in ``replace``.

        Raises:
            ApiException: the server refused; status 404 where there is no such object.
        """
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._there(self._ask("PATCH", path, patch, headers, {"fieldManager": MANAGER}), path)

    def delete(self, path: str, **query: str) -> bool:
        """Delete an object; whether it was there.

        Raises:
            ApiException: the server refused.
        """
        return self._ask("DELETE", path, None, {}, query) is not None

    def status(self, path: str) -> int:
        """HTTP status of an answer whose body nobody reads, as of a Service behind the server's proxy.

        Raises:
            urllib3.exceptions.HTTPError: nobody answered.
        """
        return self._send("GET", path, None, {"Accept": "*/*"}, {}).status

    def _there(self, answer: Object | None, path: str) -> Object:
        if answer is None:
            raise ApiException(status=404, reason=f"Not Found: {path}")
        return answer

    def _ask(
        self, verb: str, path: str, thing: Object | None, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Object | None:
        answer = self._send(verb, path, thing, headers, query)
        told = answer.data or b""
        if answer.status == 404:
            return None
        if not 200 <= answer.status <= 299:
            raise ApiException(status=answer.status, reason=_refusal(told) or answer.reason)
        return json.loads(told)

    def _send(
        self, verb: str, path: str, thing: Object | None, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> RESTResponse:
        """The answer, read."""
        with self._counting:
            self.requests += 1
        method, url, sent, body, post, *_ = self._client.param_serialize(
            method=verb,
            resource_path=path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", "Content-Type": "application/json", **headers},
            body=thing,
            auth_settings=["BearerToken"],
        )
        answer = self._client.call_api(method, url, sent, body, post, _request_timeout=SECONDS)
        answer.read()
        return answer

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
        except Exception as problem:
            raise UnreachableError(
                f"the Kubernetes API at {self._client.configuration.host}: {reason(problem)}"
            ) from None
        return (version or {}).get("gitVersion", "")


def _refusal(told: bytes) -> str:
    """The server's own words. Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/"""
    try:
        return str(json.loads(told).get("message", ""))
    except (ValueError, AttributeError):
        return ""
