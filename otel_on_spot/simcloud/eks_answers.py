"""Reads of EKS that moto 5.2.5 does not serve, answered from the cloud's tables: for anybody with an AWS client.

Add-ons, access entries and Pod Identity associations; of a cluster, its VPC, authentication mode, issuer, health and
upgrade policy; the ends of support of Kubernetes' minors. ``issues`` in a row of a cluster or an add-on are its health.
Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_Operations.html
"""

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from werkzeug.wrappers import Request, Response

READS = re.compile(
    r"^/clusters/(?P<cluster>[^/]+)(?:/(?P<kind>addons|access-entries|pod-identity-associations)(?:/(?P<name>.+))?)?$"
)
VERSIONS: Final = "/cluster-versions"
SUPPORTED_UNTIL: Final = {
    "1.31": ("2025-11-26", "2026-11-26"),
    "1.32": ("2026-03-23", "2027-03-23"),
    "1.33": ("2026-07-29", "2027-07-29"),
    "1.34": ("2026-12-02", "2027-12-02"),
    "1.35": ("2027-03-27", "2028-03-27"),
}
"""Minor -> ends of its standard and of its extended support; of a newer one the cloud tells none, as a new one's.

Source: https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html#kubernetes-release-calendar
"""
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
        request = Request(environ)
        if request.path == VERSIONS and request.method == "GET":
            return _answer(_versions(request.args.getlist("clusterVersions")))(environ, start_response)
        asked = READS.match(request.path)
        if asked is None or request.method != "GET" or not self.tables.exists():
            return self.app(environ, start_response)
        cluster, kind, name = asked["cluster"], asked["kind"], asked["name"]
        if kind is None:
            return self._cluster(cluster, environ)(environ, start_response)
        if kind == "addons":
            body = self._addon(cluster, name) if name else self._addons(cluster)
        elif kind == "access-entries":
            body = self._entry(cluster, name) if name else self._entries(cluster)
        else:
            body = self._association(cluster, name) if name else self._associations(cluster, request.args)
        answer = _absent(f"No {kind}: {name} found in cluster: {cluster}") if body is None else _answer(body)
        return answer(environ, start_response)

    def _rows(self, table: str, prefix: str) -> dict[str, dict[str, Any]]:
        database = sqlite3.connect(f"file:{self.tables}?mode=ro", uri=True)
        try:
            found = database.execute("select key, body from rows where kind = ? order by key", (table,)).fetchall()
        finally:
            database.close()
        return {key.removeprefix(prefix): json.loads(body) for key, body in found if key.startswith(prefix)}

    def _cluster(self, name: str, environ: dict[str, Any]) -> Response:
        """Add to moto's answer what it leaves out."""
        answer = Response.from_app(self.app, environ)
        row = self._rows("clusters", "").get(name)
        if row is None or answer.status_code != 200:
            return answer
        body = json.loads(answer.get_data())
        cluster = body["cluster"]
        cluster["resourcesVpcConfig"]["vpcId"] = row["vpc"]
        cluster["accessConfig"] = row["inputs"].get("accessConfig") or {"authenticationMode": "CONFIG_MAP"}
        cluster["identity"] = {"oidc": {"issuer": issuer(row["region"], name)}}
        cluster["health"] = {"issues": row.get("issues") or []}
        cluster["upgradePolicy"] = row["inputs"].get("upgradePolicy") or {"supportType": "EXTENDED"}
        return _answer(body)

    def _addons(self, cluster: str) -> Body:
        return {"addons": sorted(self._rows("addons", f"{cluster}/"))}

    def _addon(self, cluster: str, name: str) -> Body | None:
        row = self._rows("addons", f"{cluster}/").get(name)
        if row is None:
            return None
        addon = {"addonName": name, "clusterName": cluster, "status": row["status"], "tags": row["tags"]}
        version = (row.get("inputs") or {}).get("addonVersion") or ""
        return {"addon": {**addon, "addonVersion": version, "health": {"issues": row.get("issues") or []}}}

    def _entries(self, cluster: str) -> Body:
        return {"accessEntries": sorted(self._rows("access-entries", f"{cluster}/"))}

    def _entry(self, cluster: str, principal: str) -> Body | None:
        row = self._rows("access-entries", f"{cluster}/").get(principal)
        if row is None:
            return None
        entry = {"clusterName": cluster, "principalArn": principal, "type": row["type"], "tags": row.get("tags") or {}}
        return {"accessEntry": entry | {key: row[key] for key in ("createdAt",) if key in row}}

    def _known(self, cluster: str) -> list[Body]:
        found = []
        for key, row in self._rows("pod-identities", f"{cluster}/").items():
            namespace, account = key.split("/", 1)
            who = {"clusterName": cluster, "namespace": namespace, "serviceAccount": account}
            told = {"associationId": row["id"], "roleArn": row["roleArn"], "tags": row.get("tags") or {}}
            found.append({**who, **told})
        return found

    def _associations(self, cluster: str, query: Mapping[str, str]) -> Body:
        found = [
            {key: value for key, value in association.items() if key not in ("roleArn", "tags")}
            for association in self._known(cluster)
            if all(query.get(name, association[name]) == association[name] for name in ("namespace", "serviceAccount"))
        ]
        return {"associations": found}

    def _association(self, cluster: str, identity: str) -> Body | None:
        found = next((known for known in self._known(cluster) if known["associationId"] == identity), None)
        return None if found is None else {"association": found}


def _versions(asked: list[str]) -> Body:
    found = [
        {
            "clusterVersion": minor,
            "endOfStandardSupportDate": _epoch(ends[0]),
            "endOfExtendedSupportDate": _epoch(ends[1]),
        }
        for minor, ends in SUPPORTED_UNTIL.items()
        if not asked or minor in asked
    ]
    return {"clusterVersions": found}


def _epoch(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def _absent(text: str) -> Response:
    return _answer({"message": text}, 404, {"x-amzn-ErrorType": "ResourceNotFoundException"})


def _answer(body: Body, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status, headers, content_type="application/json")
