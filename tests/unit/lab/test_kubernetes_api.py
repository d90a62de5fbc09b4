"""The lab's API server in the place of the pretended one.

Its answers become the cloud's, and nobody pretends beside it.
"""

import json
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from otel_on_spot.kubernetes import kubeconfig
from otel_on_spot.lab import certificates
from otel_on_spot.lab.kubernetes_api import KubernetesApi
from otel_on_spot.simcloud.api_errors import ApiError, NotFoundError
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.handler import Site
from otel_on_spot.simcloud.kubernetes.controllers import reconcile, why_stuck

MAP: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "namespace": "default"},
    "data": {"a": "1"},
}
VERBS = ["get", "list", "patch", "delete"]
RESOURCES = {
    "kind": "APIResourceList",
    "groupVersion": "v1",
    "resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True, "verbs": VERBS, "singularName": ""}],
}


class Recording(ThreadingHTTPServer):
    """An API server that serves ConfigMaps, writes down requests and answers writes as told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.requests: list[tuple[str, str, Any]] = []
        self.answers: dict[str, tuple[int, Any]] = {}


class Answer(BaseHTTPRequestHandler):
    server: Recording  # ty: ignore[incompatible-mutable-override]

    def reply(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0].rstrip("/")
        known: dict[str, Any] = {
            "/version": {
                "major": "1",
                "minor": "35",
                "gitVersion": "v1.36.3",
                "gitCommit": "",
                "gitTreeState": "",
                "buildDate": "",
                "goVersion": "",
                "compiler": "",
                "platform": "",
            },
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "groups": []},
            "/api/v1": RESOURCES,
        }
        if path in known and self.command == "GET":
            status, content = 200, known[path]
        else:
            self.server.requests.append((self.command, self.path, json.loads(body) if body else None))
            missing = {"kind": "Status", "reason": "NotFound", "message": f"{path} not found", "code": 404}
            status, content = self.server.answers.get(self.command, (404, missing))
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PATCH = do_DELETE = reply  # noqa: N815 (the names that http.server calls)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Generator[Recording]:
    made = Recording()
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def api(server: Recording, tmp_path: Path) -> Generator[KubernetesApi]:
    authority = certificates.Authority(tmp_path).ca_file
    url = f"http://127.0.0.1:{server.server_address[1]}"
    file = kubeconfig.write(tmp_path / "kubeconfig", kubeconfig.kubeconfig(url, authority, "u", {"token": "t"}))
    cloud = Cloud(tmp_path / "cloud", kubernetes=lambda cloud, name: KubernetesApi(cloud, name, kubeconfig=file))
    cloud.tables.put("clusters", "c", {"status": "ACTIVE", "region": "eu-west-1", "inputs": {"vpcConfig": {}}})
    made = cloud.kubernetes("c")
    assert isinstance(made, KubernetesApi)
    yield made
    cloud.close()


def status(code: int, reason: str, message: str, **details: Any) -> tuple[int, dict[str, Any]]:
    return code, {"kind": "Status", "reason": reason, "message": message, "code": code, "details": details}


def test_apply_is_server_side_with_its_manager_and_force(api: KubernetesApi, server: Recording) -> None:
    server.answers["PATCH"] = (200, {**MAP, "metadata": {**MAP["metadata"], "uid": "u", "managedFields": [{}]}})

    made = api.apply(MAP, "pulumi-kubernetes", force=True)

    verb, path, body = server.requests[-1]
    assert (verb, path.partition("?")[0]) == ("PATCH", "/api/v1/namespaces/default/configmaps/settings")
    assert "fieldManager=pulumi-kubernetes" in path
    assert "force=true" in path
    assert body == MAP
    assert made["metadata"]["uid"] == "u"
    assert "managedFields" not in made["metadata"]


def test_a_conflict_names_managers_and_fields(api: KubernetesApi, server: Recording) -> None:
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "helm"', "field": ".data.a"}
    server.answers["PATCH"] = status(409, "Conflict", "Apply failed", causes=[cause])

    with pytest.raises(
        ApiError, match=r'ConfigMap settings: Apply failed with 1 conflict.*data\.a \(conflict with "helm"\)'
    ) as told:
        api.apply(MAP, "somebody")

    assert told.value.code == "Conflict"


@pytest.mark.parametrize(("code", "reason"), [(403, "Forbidden"), (422, "Invalid")])
def test_what_the_api_server_refuses_is_refused_in_its_words(
    api: KubernetesApi, server: Recording, code: int, reason: str
) -> None:
    server.answers["PATCH"] = status(code, reason, "because of a rule")

    with pytest.raises(ApiError, match="because of a rule") as told:
        api.apply(MAP, "somebody")

    assert told.value.code == reason


def test_a_kind_that_is_not_served_is_no_match(api: KubernetesApi) -> None:
    pool = {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "spot"}}

    assert not api.knows("karpenter.sh/v1", "NodePool")
    assert api.get("karpenter.sh/v1", "NodePool", "spot") is None
    with pytest.raises(ApiError, match="its CRD is not installed") as told:
        api.apply(pool, "somebody")
    assert told.value.code == "NoMatch"


def test_a_missing_namespace_is_refused_and_not_taken_for_gone(api: KubernetesApi, server: Recording) -> None:
    server.answers["PATCH"] = status(404, "NotFound", 'namespaces "default" not found')

    with pytest.raises(ApiError, match="namespaces") as told:
        api.apply(MAP, "somebody")

    assert not isinstance(told.value, NotFoundError)


def test_a_deletion_is_foreground_and_of_what_is_gone_gone(api: KubernetesApi, server: Recording) -> None:
    with pytest.raises(NotFoundError):
        api.delete(MAP)

    verb, _, body = server.requests[-1]
    assert (verb, body["propagationPolicy"]) == ("DELETE", "Foreground")


def test_an_object_that_is_not_there_is_none(api: KubernetesApi) -> None:
    assert api.get("v1", "ConfigMap", "settings", "default") is None
    assert api.collect(MAP)


def test_nobody_pretends_beside_real_controllers(api: KubernetesApi, server: Recording) -> None:
    before = list(server.requests)

    reconcile(Site(cast("Cloud", api.cloud), cluster="c"))

    assert server.requests == before


def test_why_an_object_is_stuck_is_told_by_its_conditions_and_finalizers(api: KubernetesApi, server: Recording) -> None:
    conditions = [
        {"type": "Drained", "status": "False", "message": "a pod has a budget"},
        {"type": "Ready", "status": "True", "message": "fine"},
    ]
    metadata = {**MAP["metadata"], "finalizers": ["karpenter.sh/termination"]}
    server.answers["GET"] = (200, {**MAP, "metadata": metadata, "status": {"conditions": conditions}})

    why = why_stuck(Site(cast("Cloud", api.cloud), cluster="c"), MAP)

    assert "Drained: a pod has a budget" in why
    assert "karpenter.sh/termination" in why
    assert "fine" not in why


def test_a_server_that_is_away_for_long_is_unreachable(
    api: KubernetesApi, server: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.require_reachable()
    monkeypatch.setattr("otel_on_spot.lab.kubernetes_api.GRACE_SECONDS", 0.1)
    server.shutdown()
    server.server_close()

    with pytest.raises(ApiError, match="cluster is unreachable"):
        api.require_reachable()


def test_a_deleted_cluster_is_forgotten(api: KubernetesApi) -> None:
    api.cloud.tables.put("releases", "c|argocd|argocd", {})
    api.cloud.tables.put("releases", "other|argocd|argocd", {})

    api.forget()

    assert list(api.cloud.tables.all("releases")) == ["other|argocd|argocd"]
