"""A controller's environment is its container's, as the kubelet computes it."""

from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.lab.releases.environment import environment
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.kubernetes_api import Kubernetes

NAMESPACE = "argocd"


@pytest.fixture
def api(tmp_path: Path):
    cloud = Cloud(tmp_path)
    made = cloud.kubernetes("c")
    made.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, "t")
    identity = {"apiVersion": "v1", "metadata": {"name": "settings", "namespace": NAMESPACE}}
    made.apply({**identity, "kind": "ConfigMap", "data": {"level": "debug"}}, "t")
    made.apply({**identity, "kind": "Secret", "data": {"auth": "c2VjcmV0"}}, "t")
    yield made
    cloud.close()


def variables(api: Kubernetes, *entries: dict[str, Any], **container: Any) -> dict[str, str]:
    found = {"name": "main", "env": list(entries), **container}
    workload = {"metadata": {"name": "w"}, "spec": {"template": {"spec": {"containers": [found]}}}}
    return environment(api, NAMESPACE, workload, "main")


def reference(kind: str, name: str, key: str, **more: Any) -> dict[str, Any]:
    return {"name": "V", "valueFrom": {kind: {"name": name, "key": key, **more}}}


def test_values_config_maps_and_secrets_are_read(api: Kubernetes) -> None:
    assert variables(api, {"name": "V", "value": "x"}) == {"V": "x"}
    assert variables(api, reference("configMapKeyRef", "settings", "level")) == {"V": "debug"}
    assert variables(api, reference("secretKeyRef", "settings", "auth")) == {"V": "secret"}


def test_what_is_optional_and_missing_is_not_set(api: Kubernetes) -> None:
    assert variables(api, reference("configMapKeyRef", "settings", "no", optional=True)) == {}
    assert variables(api, reference("configMapKeyRef", "no", "no", optional=True)) == {}


def test_what_is_missing_is_named(api: Kubernetes) -> None:
    with pytest.raises(ApiError, match="ConfigMap argocd/settings has no key 'no'"):
        variables(api, reference("configMapKeyRef", "settings", "no"))
    with pytest.raises(ApiError, match="Secret argocd/no not found"):
        variables(api, reference("secretKeyRef", "no", "auth"))


@pytest.mark.parametrize(
    ("resource", "divisor", "seen"),
    [
        ("requests.cpu", "1m", "1500"),
        ("requests.cpu", "0", "2"),
        ("limits.memory", "0", "1073741824"),
        ("limits.memory", "1Mi", "1024"),
    ],
)
def test_resources_are_divided_and_rounded_up(api: Kubernetes, resource: str, divisor: str, seen: str) -> None:
    entry = {"name": "V", "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}
    resources = {"requests": {"cpu": "1500m"}, "limits": {"memory": "1Gi"}}

    assert variables(api, entry, resources=resources) == {"V": seen}


def test_fields_of_the_pod_are_known_as_far_as_a_process_has_them(api: Kubernetes) -> None:
    namespace = {"name": "V", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    node = {"name": "V", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}

    assert variables(api, namespace) == {"V": NAMESPACE}
    with pytest.raises(ApiError, match=r"spec\.nodeName"):
        variables(api, node)


def test_earlier_variables_are_expanded_and_unknown_ones_left(api: Kubernetes) -> None:
    entries = ({"name": "A", "value": "1"}, {"name": "B", "value": "$(A)-$(C)-$$(A)"})

    assert variables(api, *entries)["B"] == "1-$(C)-$(A)"


def test_env_from_comes_first_and_env_wins(api: Kubernetes) -> None:
    whole = [{"configMapRef": {"name": "settings"}, "prefix": "P_"}]

    assert variables(api, {"name": "P_level", "value": "info"}, envFrom=whole) == {"P_level": "info"}
