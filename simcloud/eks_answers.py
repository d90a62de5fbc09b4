"""Reads of EKS that moto 5.2.5 does not serve, answered from the cloud's tables: for anybody with an AWS client.

Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribeAddon.html, API_ListPodIdentityAssociations.html
"""

import json
import re
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

ADDON = re.compile(r"^/clusters/([^/]+)/addons/([^/]+)$")
ASSOCIATIONS = re.compile(r"^/clusters/([^/]+)/pod-identity-associations$")


class EksAnswers:
    """WSGI middleware in front of moto. ``tables`` is the file of the cloud's tables, which another process writes."""

    def __init__(self, app: Callable[..., Iterable[bytes]], tables: Path) -> None:
        self.app = app
        self.tables = tables

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer what moto cannot, and leave the rest to it."""
        path = str(environ.get("PATH_INFO", ""))
        if environ.get("REQUEST_METHOD") == "GET" and self.tables.exists():
            addon, associations = ADDON.match(path), ASSOCIATIONS.match(path)
            if addon:
                return self._addon(*addon.groups(), start_response)
            if associations:
                query = parse_qs(str(environ.get("QUERY_STRING", "")))
                return self._associations(associations.group(1), query, start_response)
        return self.app(environ, start_response)

    def _rows(self, table: str, prefix: str) -> dict[str, dict[str, Any]]:
        database = sqlite3.connect(f"file:{self.tables}?mode=ro", uri=True)
        try:
            found = database.execute("select key, body from rows where kind = ? order by key", (table,)).fetchall()
        finally:
            database.close()
        return {key: json.loads(body) for key, body in found if key.startswith(prefix)}

    def _addon(self, cluster: str, name: str, start_response: Callable[..., Any]) -> Iterable[bytes]:
        row = self._rows("addons", f"{cluster}/{name}").get(f"{cluster}/{name}")
        if row is None:
            told = {"message": f"No addon: {name} found in cluster: {cluster}"}
            return _answer(start_response, "404 Not Found", told, "ResourceNotFoundException")
        return _answer(
            start_response,
            "200 OK",
            {"addon": {"addonName": name, "clusterName": cluster, "status": row["status"], "tags": row["tags"]}},
        )

    def _associations(
        self, cluster: str, query: dict[str, list[str]], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        found = []
        for key, row in self._rows("pod-identities", f"{cluster}/").items():
            _, namespace, account = key.split("/", 2)
            asked = {"namespace": namespace, "serviceAccount": account}
            if all(query.get(name, [value]) == [value] for name, value in asked.items()):
                found.append({"clusterName": cluster, **asked, "associationId": row["id"]})
        return _answer(start_response, "200 OK", {"associations": found})


def _answer(start_response: Callable[..., Any], status: str, body: dict[str, Any], error: str = "") -> Iterable[bytes]:
    headers = [("Content-Type", "application/json")]
    start_response(status, [*headers, *([("x-amzn-ErrorType", error)] if error else [])])
    return [json.dumps(body).encode()]
