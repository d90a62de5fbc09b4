"""Reads of EKS, answered from the cloud's tables: for anybody with an AWS client, scanners of strangers too.

moto 5.2.5 serves no add-ons, access entries or Pod Identity associations, and of clusters and node groups only some
of what they were made with. What a resource declares is in the answers as EKS writes it, with EKS's own defaults.
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

from otel_on_spot.kubernetes.names import NODE_USERNAME
from otel_on_spot.simcloud import eks_requests

MADE: Final = 1767225600.0
"""When everything in this cloud was made, in seconds since 1970: the start of 2026."""
NODE_GROUP_DEFAULTS: Final = {
    "amiType": "AL2023_x86_64_STANDARD",
    "capacityType": "ON_DEMAND",
    "diskSize": 20,
    "updateConfig": {"maxUnavailable": 1},
}
READS = re.compile(
    r"^/clusters/(?P<cluster>[^/]+)"
    r"(?:/(?P<kind>addons|access-entries|pod-identity-associations|node-groups)(?:/(?P<name>.+))?)?$"
)
INSIGHTS: Final = re.compile(r"^/clusters/(?P<cluster>[^/]+)/insights$")
"""ListInsights is a POST. Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_ListInsights.html"""
VERSIONS: Final = "/cluster-versions"
SUPPORTED_UNTIL: Final = {
    "1.31": ("2025-11-26", "2026-11-26"),
    "1.32": ("2026-03-23", "2027-03-23"),
    "1.33": ("2026-07-29", "2027-07-29"),
    "1.34": ("2026-12-02", "2027-12-02"),
    "1.35": ("2027-03-27", "2028-03-27"),
    "1.36": ("2027-08-02", "2028-08-02"),
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
        insights = INSIGHTS.match(request.path)
        if insights is not None and request.method == "POST" and self.tables.exists():
            return self._insights(insights["cluster"], request.get_json(silent=True) or {})(environ, start_response)
        asked = READS.match(request.path)
        if asked is None or request.method != "GET" or not self.tables.exists():
            return self.app(environ, start_response)
        cluster, kind, name = asked["cluster"], asked["kind"], asked["name"]
        if kind is None:
            return self._cluster(cluster, environ)(environ, start_response)
        if kind == "node-groups":
            if not name:
                return self.app(environ, start_response)
            return self._node_group(cluster, name, environ)(environ, start_response)
        if kind == "addons":
            body = self._addon(cluster, name) if name else {"addons": sorted(self._rows("addons", f"{cluster}/"))}
        elif kind == "access-entries":
            of_policies, _, rest = (name or "").rpartition("/")
            if rest == "access-policies":
                body = self._policies(cluster, of_policies)
            else:
                known = sorted(self._rows("access-entries", f"{cluster}/"))
                body = self._entry(cluster, name) if name else {"accessEntries": known}
        else:
            body = self._association(cluster, name) if name else self._associations(cluster, request.args)
        answer = _absent(f"No {kind}: {name} found in cluster: {cluster}") if body is None else _answer(body)
        return answer(environ, start_response)

    def _insights(self, cluster: str, asked: Body) -> Response:
        """Insights of the table of that name, for whoever puts a fault in; EKS finds nothing by itself here."""
        statuses = (asked.get("filter") or {}).get("statuses") or ()
        rows = self._rows("insights", f"{cluster}/").items()
        found: list[Body] = [{"id": name, **row} for name, row in rows]
        return _answer(
            {"insights": [row for row in found if not statuses or row["insightStatus"]["status"] in statuses]}
        )

    def _rows(self, table: str, prefix: str) -> dict[str, dict[str, Any]]:
        database = sqlite3.connect(f"file:{self.tables}?mode=ro", uri=True)
        try:
            found = database.execute("select key, body from rows where kind = ? order by key", (table,)).fetchall()
        finally:
            database.close()
        return {key.removeprefix(prefix): json.loads(body) for key, body in found if key.startswith(prefix)}

    def _cluster(self, name: str, environ: dict[str, Any]) -> Response:
        """Put what the cluster declares over moto's answer."""
        answer = Response.from_app(self.app, environ)
        row = self._rows("clusters", "").get(name)
        if row is None or answer.status_code != 200:
            return answer
        body = json.loads(answer.get_data())
        asked = eks_requests.create_cluster(row["inputs"], row.get("tags") or {})
        network = asked.pop("resourcesVpcConfig", {})
        access = {"authenticationMode": "CONFIG_MAP", **asked.pop("accessConfig", {})}
        made_up = ("bootstrapSelfManagedAddons", "kubernetesNetworkConfig")  # not told, and told by moto
        body["cluster"] |= {
            "deletionProtection": False,
            "upgradePolicy": {"supportType": "EXTENDED"},
            "zonalShiftConfig": {"enabled": False},
            "encryptionConfig": [],
            "health": {"issues": row.get("issues") or []},
            **{key: value for key, value in asked.items() if key not in made_up},
            **{key: row[key] for key in ("status", "endpoint") if row.get(key)},
            **({"certificateAuthority": {"data": row["authority"]}} if row.get("authority") else {}),
            "resourcesVpcConfig": _network(network, row),
            "accessConfig": access,
            "logging": eks_requests.logging(row["inputs"]),
            "identity": {"oidc": {"issuer": issuer(row["region"], name)}},
        }
        return _answer(body)

    def _node_group(self, cluster: str, name: str, environ: dict[str, Any]) -> Response:
        """Put what the node group declares over moto's answer."""
        answer = Response.from_app(self.app, environ)
        row = self._rows("node-groups", f"{cluster}/").get(name)
        if row is None or answer.status_code != 200:
            return answer
        body = json.loads(answer.get_data())
        asked = eks_requests.request("CreateNodegroup", row["inputs"], row["tags"])
        left = ("diskSize",) if "launchTemplate" in asked else ()  # the template decides it
        body["nodegroup"] = {
            **{key: value for key, value in {**body["nodegroup"], **NODE_GROUP_DEFAULTS}.items() if key not in left},
            **asked,
            "status": row["status"],
            "releaseVersion": row["release"],
            "version": ".".join(row["release"].split(".")[:2]),
            "health": {"issues": row.get("issues") or []},
        }
        return _answer(body)

    def _addon(self, cluster: str, name: str) -> Body | None:
        row = self._rows("addons", f"{cluster}/").get(name)
        if row is None:
            return None
        who = {"clusterName": cluster, "addonName": name}
        asked = eks_requests.request("CreateAddon", {**who, **(row.get("inputs") or {})}, row["tags"])
        told = {
            key: value for key, value in asked.items() if key not in ("resolveConflicts", "podIdentityAssociations")
        }
        arns = [known["associationArn"] for known in self._known(cluster) if known["by"] == f"addon/{name}"]
        return {
            "addon": {
                **told,
                "addonArn": self._arn(cluster, "addon", f"{cluster}/{name}/{_unique(cluster, name)}"),
                "status": row["status"],
                "health": {"issues": row.get("issues") or []},
                "createdAt": MADE,
                "modifiedAt": MADE,
                "publisher": "eks",
                "owner": "aws",
                **({"podIdentityAssociations": arns} if arns else {}),
            }
        }

    def _entry(self, cluster: str, principal: str) -> Body | None:
        row = self._rows("access-entries", f"{cluster}/").get(principal)
        if row is None:
            return None
        of_nodes = row["type"] == "EC2_LINUX"
        account, what = principal.split(":")[4:6] if principal.count(":") == 5 else ("", principal)
        kind, name = what.partition("/")[0], what.rpartition("/")[2]
        entry = {
            "clusterName": cluster,
            "principalArn": principal,
            "type": row["type"],
            "tags": row.get("tags") or {},
            "kubernetesGroups": row.get("groups") or (["system:nodes"] if of_nodes else []),
            "username": row.get("userName") or (NODE_USERNAME if of_nodes else principal),
            "accessEntryArn": self._arn(
                cluster, "access-entry", f"{cluster}/{kind}/{account}/{name.rpartition('/')[2]}"
            ),
            "createdAt": row.get("createdAt", MADE),
            "modifiedAt": row.get("createdAt", MADE),
        }
        return {"accessEntry": entry}

    def _policies(self, cluster: str, principal: str) -> Body | None:
        if self._entry(cluster, principal) is None:
            return None
        found = self._rows("access-policies", f"{cluster}/{principal}/")
        listed = [
            {"policyArn": arn, "accessScope": row["scope"], "associatedAt": MADE, "modifiedAt": MADE}
            for arn, row in found.items()
        ]
        return {"clusterName": cluster, "principalArn": principal, "associatedAccessPolicies": listed}

    def _known(self, cluster: str) -> list[Body]:
        found = []
        for key, row in self._rows("pod-identities", f"{cluster}/").items():
            namespace, account = key.split("/", 1)
            who = {"clusterName": cluster, "namespace": namespace, "serviceAccount": account}
            arn = self._arn(cluster, "podidentityassociation", f"{cluster}/{row['id']}")
            more = {"by": row.get("by", "user"), "tags": row.get("tags") or {}, "associationArn": arn}
            found.append({**who, **more, "associationId": row["id"], "roleArn": row["roleArn"]})
        return found

    def _associations(self, cluster: str, query: Mapping[str, str]) -> Body:
        shown = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId")
        found = [
            {key: association[key] for key in shown}
            for association in self._known(cluster)
            if all(query.get(name, association[name]) == association[name] for name in ("namespace", "serviceAccount"))
        ]
        return {"associations": found}

    def _association(self, cluster: str, identity: str) -> Body | None:
        found = next((known for known in self._known(cluster) if known["associationId"] == identity), None)
        if found is None:
            return None
        by, told = found["by"], {key: value for key, value in found.items() if key != "by"}
        if by.startswith("addon/"):
            name = by.removeprefix("addon/")
            told["ownerArn"] = self._arn(cluster, "addon", f"{cluster}/{name}/{_unique(cluster, name)}")
        return {"association": {**told, "createdAt": MADE, "modifiedAt": MADE}}

    def _arn(self, cluster: str, kind: str, rest: str) -> str:
        """ARN of something in a cluster."""
        row = self._rows("clusters", "").get(cluster) or {}
        return f"arn:aws:eks:{row.get('region', '')}:{row.get('account', '')}:{kind}/{rest}"


def _network(asked: Mapping[str, Any], row: Mapping[str, Any]) -> Body:
    """The network of a cluster as EKS answers: with its defaults, and what it made."""
    public = asked.get("endpointPublicAccess", True)
    return {
        "endpointPrivateAccess": False,
        "endpointPublicAccess": True,
        "subnetIds": [],
        "securityGroupIds": [],
        **asked,
        "publicAccessCidrs": asked.get("publicAccessCidrs") or (["0.0.0.0/0"] if public else []),
        "vpcId": row["vpc"],
        **({"clusterSecurityGroupId": row["group"]} if row.get("group") else {}),
    }


def _unique(cluster: str, name: str) -> str:
    return hashlib.sha256(f"{cluster}/{name}".encode()).hexdigest()[:12]


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
