"""A Kubernetes API server in memory: paths, selectors, pages, refusals; versioned writes, and ``scale``."""

import copy
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes.client import ApiClient, Configuration

from otel_on_spot.kubernetes import names
from otel_on_spot.kubernetes.names import Kind

Object = dict[str, Any]
PLURALS = {kind.kind: kind.plural for kind in vars(names).values() if isinstance(kind, Kind)}
Answer = tuple[int, Object]
CONFLICT: Answer = (409, {"kind": "Status", "code": 409, "message": "the object has been modified"})


class KubernetesFront:
    """An API server on loopback. ``refusing``: plurals answered with 403; ``unserved``: unknown group/versions."""

    def __init__(self) -> None:
        self.objects: list[Object] = []
        self.refusing: set[str] = set()
        self.unserved: set[str] = set()
        self.status = 200
        self.requests: list[str] = []
        self.writes: list[tuple[str, str, Object]] = []
        self.meddle: Callable[[str, str, Object], Answer | None] = lambda *_: None
        """Called with (verb, path, body) before a write: an answer in place of the server's. Status 0 hangs up."""
        self._writing = threading.Lock()
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                front.requests.append(self.path)
                self._tell(*front.answer(self.path))

            def _write(self) -> None:
                front.requests.append(self.path)
                given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self._tell(*front.write(self.command, urlsplit(self.path).path, json.loads(given or b"{}")))

            def __getattr__(self, name: str) -> Any:
                if name in ("do_POST", "do_PUT", "do_PATCH", "do_DELETE"):
                    return self._write
                raise AttributeError(name)

            def _tell(self, status: int, answer: Object) -> None:
                if status == 0:
                    self.close_connection = True
                    return
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

    def add(self, kind: Kind, name: str, *, metadata: Object | None = None, **fields: Any) -> Object:
        """Put an object there, in the demo's namespace where its kind is in one."""
        where = {"namespace": "otel-demo"} if kind.namespaced else {}
        about = {"name": name, "uid": f"uid-{name}", "resourceVersion": "1", **where, **(metadata or {})}
        thing = {"apiVersion": kind.version, "kind": kind.kind, "metadata": about, **fields}
        self.objects.append(thing)
        return thing

    @property
    def client(self) -> ApiClient:
        """A client of this server."""
        return ApiClient(Configuration(host=self.url, retries=False))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, target: str) -> tuple[int, Object]:
        split = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(split.query).items()}
        if self.status != 200:
            return self.status, {"kind": "Status", "code": self.status}
        if split.path == "/version":
            return 200, {"gitVersion": "v1.36.3"}
        parts = split.path.strip("/").split("/")
        group = parts[1] if parts[0] == "api" else f"{parts[1]}/{parts[2]}"
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        kinds = {plural: kind for kind, plural in PLURALS.items()}
        if group in self.unserved:
            return 404, {"kind": "Status", "code": 404}
        if not rest:
            served = {PLURALS[thing["kind"]] for thing in self.objects if thing["apiVersion"] == group}
            return 200, {"resources": [{"name": plural} for plural in sorted(served)]}
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        if rest[0] in self.refusing:
            return 403, {"kind": "Status", "code": 403}
        found = list(self._selected(group, kinds[rest[0]], namespace, query.get("labelSelector", "")))
        if len(rest) == 3 and found:
            return 200, _scale(next(thing for thing in found if thing["metadata"]["name"] == rest[1]))
        if len(rest) == 2:
            named = next((thing for thing in found if thing["metadata"]["name"] == rest[1]), None)
            return (404, {"kind": "Status", "code": 404}) if named is None else (200, named)
        start, limit = int(query.get("continue", 0)), int(query.get("limit", 0)) or len(found)
        metadata = {"continue": str(start + limit)} if start + limit < len(found) else {}
        return 200, {"kind": "List", "metadata": metadata, "items": found[start : start + limit]}

    def _selected(self, group: str, kind: str, namespace: str, selector: str) -> Iterator[Object]:
        wanted = dict(term.split("=", 1) for term in selector.split(",") if "=" in term)
        key, _, listed = selector.partition(" in ")
        allowed = listed.strip("()").split(",") if listed else []
        for thing in self.objects:
            metadata = thing["metadata"]
            if (thing["apiVersion"], thing["kind"]) != (group, kind):
                continue
            if namespace and metadata.get("namespace") != namespace:
                continue
            labels = metadata.get("labels") or {}
            if wanted.items() <= labels.items() and (not allowed or labels.get(key) in allowed):
                yield thing

    def write(self, verb: str, path: str, body: Object) -> Answer:
        """What a write does; every write is kept in ``writes`` as it came."""
        meddled = self.meddle(verb, path, body)
        if meddled is not None:
            return meddled
        with self._writing:
            self.writes.append((verb, path, copy.deepcopy(body)))
            return self._written(verb, path, body)

    def _written(self, verb: str, path: str, body: Object) -> Answer:
        if verb == "POST":
            there = self.answer(f"{path}/{body['metadata']['name']}")[0] == 200
            if there:
                return CONFLICT
            self.objects.append(self._versioned(copy.deepcopy(body)))
            return 201, self.objects[-1]
        where = path.removesuffix("/scale").removesuffix("/status")
        status, thing = self.answer(where)
        if status != 200:
            return status, thing
        if verb == "DELETE":
            self.objects.remove(thing)
            return 200, {"kind": "Status", "status": "Success"}
        asked = body.get("metadata", {}).get("resourceVersion")
        if asked is not None and asked != thing["metadata"].get("resourceVersion", "0"):
            return CONFLICT
        if verb == "PUT":
            thing.clear()
            thing.update(copy.deepcopy(body))
        else:
            _merge(thing, {key: value for key, value in body.items() if key != "resourceVersion"})
        self._versioned(thing)
        return 200, _scale(thing) if path.endswith("/scale") else thing

    def _versioned(self, thing: Object) -> Object:
        self._version = getattr(self, "_version", 0) + 1
        thing["metadata"]["resourceVersion"] = str(self._version)
        return thing

    def find(self, kind: str, name: str) -> Object:
        """The object itself: change it, and the server answers so."""
        return next(thing for thing in self.objects if thing["kind"] == kind and thing["metadata"]["name"] == name)


def _scale(thing: Object) -> Object:
    """The subresource of a workload."""
    return {"kind": "Scale", "metadata": thing["metadata"], "spec": {"replicas": thing["spec"].get("replicas", 1)}}


def _merge(thing: Object, patch: Object) -> None:
    """RFC 7386."""
    for key, value in patch.items():
        if value is None:
            thing.pop(key, None)
        elif isinstance(value, dict) and isinstance(thing.get(key), dict):
            _merge(thing[key], value)
        else:
            thing[key] = copy.deepcopy(value)
