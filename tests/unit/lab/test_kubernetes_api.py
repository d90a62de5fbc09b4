"""The lab's API server in the place of the pretended one.

Its answers become the cloud's, and nobody pretends beside it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from otel_on_spot.kubernetes import kubeconfig
from otel_on_spot.kubernetes.client import Api
from otel_on_spot.lab.kubernetes_api import KubernetesApi
from otel_on_spot.simcloud.api_errors import ApiError, NotFoundError
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.handler import Site
from otel_on_spot.simcloud.kubernetes.controllers import reconcile, why_stuck
from otel_on_spot.simcloud.moto_process import free_port
from tests.unit.lab.conftest import ApiServer

MAP: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "namespace": "default"},
    "data": {"a": "1"},
}
Answers = dict[str, tuple[int, Any]]
VERBS = ["get", "list", "patch", "delete"]
RESOURCES = {
    "kind": "APIResourceList",
    "groupVersion": "v1",
    "resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True, "verbs": VERBS, "singularName": ""}],
}


@pytest.fixture
def answers(api_server: ApiServer) -> Answers:
    """What the API server says to each verb, beside that it serves ConfigMaps; nothing is there where it says nothing.

    ``api_server.asked`` has the requests of objects alone.
    """
    given: Answers = {}
    known = {
        "/version": {"gitVersion": "v1.36.3"},
        "/apis": {"kind": "APIGroupList", "groups": []},
        "/api/v1": RESOURCES,
    }

    def answer(verb: str, path: str, _body: Any) -> tuple[int, Any]:
        if verb == "GET" and path in known:
            api_server.asked.pop()
            return 200, known[path]
        missing = {"kind": "Status", "reason": "NotFound", "message": f"{path} not found", "code": 404}
        return given.get(verb, (404, missing))

    api_server.answer = answer
    return given


@pytest.fixture
def api(api_server: ApiServer, answers: Answers, tmp_path: Path) -> Iterator[KubernetesApi]:
    user = kubeconfig.kubeconfig(api_server.server, api_server.authority, "u", {"token": "t"})
    file = kubeconfig.write(tmp_path / "kubeconfig", user)
    cloud = Cloud(tmp_path / "cloud", kubernetes=lambda cloud, name: KubernetesApi(cloud, name, kubeconfig=file))
    cloud.tables.put("clusters", "c", {"status": "ACTIVE", "region": "eu-west-1", "inputs": {"vpcConfig": {}}})
    made = cloud.kubernetes("c")
    assert isinstance(made, KubernetesApi)
    yield made
    cloud.close()


def status(code: int, reason: str, message: str, **details: Any) -> tuple[int, dict[str, Any]]:
    return code, {"kind": "Status", "reason": reason, "message": message, "code": code, "details": details}


def test_apply_is_server_side_with_its_manager_and_force(
    api: KubernetesApi, answers: Answers, api_server: ApiServer
) -> None:
    answers["PATCH"] = (200, {**MAP, "metadata": {**MAP["metadata"], "uid": "u", "managedFields": [{}]}})

    made = api.apply(MAP, "pulumi-kubernetes", force=True)

    path = "/api/v1/namespaces/default/configmaps/settings"
    assert api_server.asked[-1] == ("PATCH", path, MAP, "t")
    assert "fieldManager=pulumi-kubernetes" in api_server.queries[-1]
    assert "force=true" in api_server.queries[-1]
    assert made["metadata"]["uid"] == "u"
    assert "managedFields" not in made["metadata"]


def test_a_conflict_names_managers_and_fields(api: KubernetesApi, answers: Answers) -> None:
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "helm"', "field": ".data.a"}
    answers["PATCH"] = status(409, "Conflict", "Apply failed", causes=[cause])

    with pytest.raises(
        ApiError, match=r'ConfigMap settings: Apply failed with 1 conflict.*data\.a \(conflict with "helm"\)'
    ) as told:
        api.apply(MAP, "somebody")

    assert told.value.code == "Conflict"


@pytest.mark.parametrize(("code", "reason"), [(403, "Forbidden"), (422, "Invalid")])
def test_what_the_api_server_refuses_is_refused_in_its_words(
    api: KubernetesApi, answers: Answers, code: int, reason: str
) -> None:
    answers["PATCH"] = status(code, reason, "because of a rule")

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


def test_a_missing_namespace_is_refused_and_not_taken_for_gone(api: KubernetesApi, answers: Answers) -> None:
    answers["PATCH"] = status(404, "NotFound", 'namespaces "default" not found')

    with pytest.raises(ApiError, match="namespaces") as told:
        api.apply(MAP, "somebody")

    assert not isinstance(told.value, NotFoundError)


def test_a_deletion_is_foreground_and_of_what_is_gone_gone(api: KubernetesApi, api_server: ApiServer) -> None:
    with pytest.raises(NotFoundError):
        api.delete(MAP)

    verb, _, body, _ = api_server.asked[-1]
    assert (verb, body["propagationPolicy"]) == ("DELETE", "Foreground")


def test_an_object_that_is_not_there_is_none(api: KubernetesApi) -> None:
    assert api.get("v1", "ConfigMap", "settings", "default") is None
    assert api.collect(MAP)


def test_nobody_pretends_beside_real_controllers(api: KubernetesApi, api_server: ApiServer) -> None:
    before = list(api_server.asked)

    reconcile(Site(cast("Cloud", api.cloud), cluster="c"))

    assert api_server.asked == before


def test_why_an_object_is_stuck_is_told_by_its_conditions_and_finalizers(api: KubernetesApi, answers: Answers) -> None:
    conditions = [
        {"type": "Drained", "status": "False", "message": "a pod has a budget"},
        {"type": "Ready", "status": "True", "message": "fine"},
    ]
    metadata = {**MAP["metadata"], "finalizers": ["karpenter.sh/termination"]}
    answers["GET"] = (200, {**MAP, "metadata": metadata, "status": {"conditions": conditions}})

    why = why_stuck(Site(cast("Cloud", api.cloud), cluster="c"), MAP)

    assert "Drained: a pod has a budget" in why
    assert "karpenter.sh/termination" in why
    assert "fine" not in why


def test_a_server_that_is_away_for_long_is_unreachable(
    api: KubernetesApi, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.require_reachable()
    monkeypatch.setattr("otel_on_spot.lab.kubernetes_api.GRACE_SECONDS", 0.1)
    api.client = Api.of(f"https://127.0.0.1:{free_port()}", api_server.authority)

    with pytest.raises(ApiError, match="cluster is unreachable"):
        api.require_reachable()


def test_a_deleted_cluster_is_forgotten(api: KubernetesApi) -> None:
    api.cloud.tables.put("releases", "c|argocd|argocd", {})
    api.cloud.tables.put("releases", "other|argocd|argocd", {})

    api.forget()

    assert list(api.cloud.tables.all("releases")) == ["other|argocd|argocd"]
