"""A Kubernetes API server that answers lists and gets out of memory: paths, label selectors, pages, refusals."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]
PLURALS = {
    "Node": "nodes",
    "Pod": "pods",
    "Namespace": "namespaces",
    "Service": "services",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "ServiceAccount": "serviceaccounts",
    "PersistentVolume": "persistentvolumes",
    "Deployment": "deployments",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "CustomResourceDefinition": "customresourcedefinitions",
    "NodePool": "nodepools",
    "NodeClaim": "nodeclaims",
    "EC2NodeClass": "ec2nodeclasses",
    "Application": "applications",
    "AppProject": "appprojects",
}


class KubernetesFront:
    """An API server on loopback. ``refusing``: plurals that it answers with 403; ``unserved``: group/versions that it does not know."""

    def __init__(self) -> None:
        self.objects: list[Object] = []
        self.refusing: set[str] = set()
        self.unserved: set[str] = set()
        self.status = 200
        self.requests: list[str] = []
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                front.requests.append(self.path)
                status, answer = front.answer(self.path)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, target: str) -> tuple[int, Object]:
        split = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(split.query).items()}
        if self.status != 200:
            return self.status, {"kind": "Status", "code": self.status}
        if split.path == "/version":
            return 200, {"gitVersion": "v1.35.4"}
        parts = split.path.strip("/").split("/")
        group = parts[1] if parts[0] == "api" else f"{parts[1]}/{parts[2]}"
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        kinds = {plural: kind for kind, plural in PLURALS.items()}
        if group in self.unserved:
            return 404, {"kind": "Status", "code": 404}
        if not rest:
            served = {PLURALS[one["kind"]] for one in self.objects if one["apiVersion"] == group}
            return 200, {"resources": [{"name": plural} for plural in sorted(served)]}
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        if rest[0] in self.refusing:
            return 403, {"kind": "Status", "code": 403}
        found = list(self._selected(group, kinds[rest[0]], namespace, query.get("labelSelector", "")))
        if len(rest) == 2:
            one = next((thing for thing in found if thing["metadata"]["name"] == rest[1]), None)
            return (404, {"kind": "Status", "code": 404}) if one is None else (200, one)
        start, limit = int(query.get("continue", 0)), int(query.get("limit", 0)) or len(found)
        metadata = {"continue": str(start + limit)} if start + limit < len(found) else {}
        return 200, {"kind": "List", "metadata": metadata, "items": found[start : start + limit]}

    def _selected(self, group: str, kind: str, namespace: str, selector: str) -> Iterator[Object]:
        wanted = dict(one.split("=", 1) for one in selector.split(",") if one)
        for thing in self.objects:
            metadata = thing["metadata"]
            if (thing["apiVersion"], thing["kind"]) != (group, kind):
                continue
            if namespace and metadata.get("namespace") != namespace:
                continue
            if wanted.items() <= (metadata.get("labels") or {}).items():
                yield thing

    def one(self, kind: str, name: str) -> Object:
        """The object itself: change it, and the server answers so."""
        return next(one for one in self.objects if one["kind"] == kind and one["metadata"]["name"] == name)
