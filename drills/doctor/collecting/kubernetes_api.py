"""Lists of the Kubernetes API as plain JSON: from the server's cache, in pages, without building the client's models."""

import json
import threading
from collections.abc import Iterator
from typing import Any, Final

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException

from drills.doctor.collecting.gathering import Unreachable, reason

PAGE: Final = 500
SECONDS: Final = (5, 20)
"""Time to connect, and to answer."""
METADATA_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
"""Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches"""
Object = dict[str, Any]


class Api:
    """Reads of one API server. Counts its requests, so that what the doctor costs can be told."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._counting = threading.Lock()
        self.requests = 0

    def get(self, path: str, accept: str = "application/json", **query: str) -> Object | None:
        """The object at a path, or None where there is none.

        Raises:
            ApiException: the server refused.
        """
        with self._counting:
            self.requests += 1
        method, url, headers, body, post, *_ = self._client.param_serialize(
            method="GET",
            resource_path=path,
            query_params=list(query.items()),
            header_params={"Accept": accept},
            auth_settings=["BearerToken"],
        )
        answer = self._client.call_api(method, url, headers, body, post, _request_timeout=SECONDS)
        body_read = answer.read()
        if answer.status == 404:
            return None
        if not 200 <= answer.status <= 299:
            raise ApiException(status=answer.status, reason=answer.reason)
        return json.loads(body_read)

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
            Unreachable: nobody answers, or it does not know who asks.
        """
        try:
            version = self.get("/version")
        except Exception as problem:
            raise Unreachable(f"the Kubernetes API at {self._client.configuration.host}: {reason(problem)}") from None
        return (version or {}).get("gitVersion", "")
