"""Reads of EKS that moto 5.2.5 does not serve, answered from the cloud's tables: for anybody with an AWS client.

Add-ons, access entries and Pod Identity associations; of a cluster, its VPC, authentication mode and issuer.
Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_Operations.html
"""

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

READS = re.compile(
    r"^/clusters/(?P<cluster>[^/]+)(?:/(?P<kind>addons|access-entries|pod-identity-associations)(?:/(?P<name>.+))?)?$"
)
Body = dict[str, Any]


def issuer(region: str, cluster: str) -> str:
    """The OpenID Connect issuer that the cloud gives a cluster."""
    return f"https://oidc.eks.{region}.amazonaws.com/id/{hashlib.sha256(cluster.encode()).hexdigest()[:32].upper()}"


class EksAnswers:
    """WSGI middleware in front of moto. ``tables`` is the file of the cloud's tables, which another process writes."""

    def __init__(self, app: Callable[..., Iterable[bytes]], tables: Path) -> None:
        self.app = app
        self.tables = tables

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer what moto cannot, and leave the rest to it."""
        asked = READS.match(str(environ.get("PATH_INFO", "")))
        if asked is None or environ.get("REQUEST_METHOD") != "GET" or not self.tables.exists():
            return self.app(environ, start_response)
        cluster, kind, name = asked["cluster"], asked["kind"], asked["name"]
        if kind is None:
            return self._cluster(cluster, environ, start_response)
        if kind == "addons":
            body = self._addon(cluster, name) if name else self._addons(cluster)
        elif kind == "access-entries":
            body = self._entry(cluster, name) if name else self._entries(cluster)
        else:
            query = parse_qs(str(environ.get("QUERY_STRING", "")))
            body = self._association(cluster, name) if name else self._associations(cluster, query)
        if body is None:
            return _absent(start_response, f"No {kind}: {name} found in cluster: {cluster}")
        return _answer(start_response, "200 OK", body)

    def _rows(self, table: str, prefix: str) -> dict[str, dict[str, Any]]:
        database = sqlite3.connect(f"file:{self.tables}?mode=ro", uri=True)
        try:
            found = database.execute("select key, body from rows where kind = ? order by key", (table,)).fetchall()
        finally:
            database.close()
        return {key.removeprefix(prefix): json.loads(body) for key, body in found if key.startswith(prefix)}

    def _cluster(self, name: str, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """moto's answer, with what it leaves out."""
        told: list[Any] = []
        body = b"".join(self.app(environ, lambda status, headers, *_: told.extend((status, headers))))
        row = self._rows("clusters", "").get(name)
        if row is not None and told[0].startswith("200"):
            answer = json.loads(body)
            found = answer["cluster"]
            found["resourcesVpcConfig"]["vpcId"] = row["vpc"]
            found["accessConfig"] = row["inputs"].get("accessConfig") or {"authenticationMode": "CONFIG_MAP"}
            found["identity"] = {"oidc": {"issuer": issuer(row["region"], name)}}
            return _answer(start_response, "200 OK", answer)
        start_response(*told)
        return [body]

    def _addons(self, cluster: str) -> Body:
        return {"addons": sorted(self._rows("addons", f"{cluster}/"))}

    def _addon(self, cluster: str, name: str) -> Body | None:
        row = self._rows("addons", f"{cluster}/").get(name)
        if row is None:
            return None
        return {"addon": {"addonName": name, "clusterName": cluster, "status": row["status"], "tags": row["tags"]}}

    def _entries(self, cluster: str) -> Body:
        return {"accessEntries": sorted(self._rows("access-entries", f"{cluster}/"))}

    def _entry(self, cluster: str, principal: str) -> Body | None:
        row = self._rows("access-entries", f"{cluster}/").get(principal)
        if row is None:
            return None
        told = {"clusterName": cluster, "principalArn": principal, "type": row["type"], "tags": row.get("tags") or {}}
        return {"accessEntry": told | {key: row[key] for key in ("createdAt",) if key in row}}

    def _known(self, cluster: str) -> list[Body]:
        found = []
        for key, row in self._rows("pod-identities", f"{cluster}/").items():
            namespace, account = key.split("/", 1)
            who = {"clusterName": cluster, "namespace": namespace, "serviceAccount": account}
            found.append({**who, "associationId": row["id"], "roleArn": row["roleArn"]})
        return found

    def _associations(self, cluster: str, query: dict[str, list[str]]) -> Body:
        found = [
            {key: value for key, value in one.items() if key != "roleArn"}
            for one in self._known(cluster)
            if all(query.get(name, [one[name]]) == [one[name]] for name in ("namespace", "serviceAccount"))
        ]
        return {"associations": found}

    def _association(self, cluster: str, identity: str) -> Body | None:
        found = next((one for one in self._known(cluster) if one["associationId"] == identity), None)
        return None if found is None else {"association": found}


def _absent(start_response: Callable[..., Any], told: str) -> Iterable[bytes]:
    return _answer(start_response, "404 Not Found", {"message": told}, "ResourceNotFoundException")


def _answer(start_response: Callable[..., Any], status: str, body: Body, error: str = "") -> Iterable[bytes]:
    text = json.dumps(body).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(text)))]
    start_response(status, [*headers, *([("x-amzn-ErrorType", error)] if error else [])])
    return [text]
