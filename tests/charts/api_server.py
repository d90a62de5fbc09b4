"""A Kubernetes API server in memory, small enough to hold still: it answers kubectl and records what kubectl asked.

It serves Deployments and StatefulSets of one namespace, all rolled out. Patches are recorded and not applied.
"""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

RESOURCES = {"deployments": "Deployment", "statefulsets": "StatefulSet"}
NAMESPACE = "otel-demo"
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


@dataclass(frozen=True)
class Request:
    """One request as an authorizer sees it; `name` comes from the path or from a metadata.name field selector."""

    verb: str
    resource: str
    name: str | None
    query: str
    body: str


def rolled_out(workload: dict[str, Any]) -> dict[str, Any]:
    """The workload as it looks once every replica is updated and available."""
    replicas = workload["spec"].get("replicas", 1)
    known = {"namespace": NAMESPACE, "generation": 1, "resourceVersion": "1", "uid": workload["metadata"]["name"]}
    metadata = workload["metadata"] | known
    status = {
        "observedGeneration": 1,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
        "currentRevision": "1",
        "updateRevision": "1",
    }
    return workload | {"metadata": metadata, "status": status}


class ApiServer:
    """Serves `workloads` on a loopback port; `requests` is what was asked of them, in order."""

    def __init__(self, workloads: list[dict[str, Any]]) -> None:
        self.objects = {(w["kind"], w["metadata"]["name"]): rolled_out(w) for w in workloads}
        self.requests: list[Request] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> "ApiServer":
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer("get")

            def do_PATCH(self) -> None:
                self._answer("patch")

            def log_message(self, format: str, *args: object) -> None:
                """Quiet: the test reads `requests`."""

            def _answer(self, verb: str) -> None:
                url = urlsplit(self.path)
                parts = url.path.strip("/").split("/")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                if "namespaces" not in parts:
                    self._send(discovery(url.path))
                    return
                resource = parts[5]
                name = parts[6] if len(parts) > 6 else None
                query = parse_qs(url.query)
                if name is None:
                    verb = "watch" if query.get("watch") == ["true"] else "list"
                    selected = query.get("fieldSelector", [""])[0].removeprefix("metadata.name=")
                    name = selected or None
                api.requests.append(Request(verb, resource, name, url.query, body))
                found = api.objects.get((RESOURCES[resource], name or ""))
                if verb == "list":
                    self._send(listing(RESOURCES[resource], [found] if found else []))
                elif verb == "watch":
                    self._send(None)
                elif found:
                    self._send(found)
                else:
                    self._send(not_found(resource, name or ""), status=404)

            def _send(self, payload: dict[str, Any] | None, status: int = 200) -> None:
                data = json.dumps(payload).encode() if payload else b""
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        return Handler


def listing(kind: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": f"{kind}List", "metadata": {"resourceVersion": "1"}, "items": items}


def not_found(resource: str, name: str) -> dict[str, Any]:
    message = f'{resource}.apps "{name}" not found'
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "message": message,
        "reason": "NotFound",
        "code": 404,
    }


def discovery(path: str) -> dict[str, Any]:
    """What kubectl reads before its first request, for the one group that is served."""
    version = {"groupVersion": "apps/v1", "version": "v1"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        group = {"name": "apps", "versions": [version], "preferredVersion": version}
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]}
    resources = [
        {"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": VERBS}
        for name, kind in RESOURCES.items()
    ]
    group_version = path.removeprefix("/apis/").removeprefix("/api/")
    served = resources if group_version == "apps/v1" else []
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": served}
