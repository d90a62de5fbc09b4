"""Every rendered object is one that Kubernetes 1.36 or Argo CD would accept."""

import json
from functools import cache
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from tests.charts.demo_chart import Wrapper
from tests.charts.footprint import child_objects, root_objects
from tests.charts.helm import KUBERNETES_VERSION
from tests.charts.workloads import DATABASES

# Source: https://github.com/argoproj/argo-cd/blob/v3.5.3/manifests/crds/application-crd.yaml, the parts used here.
STRING = {"type": "string", "minLength": 1}
APPLICATION = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "argoproj.io/v1alpha1"},
        "kind": {"const": "Application"},
        "metadata": {"type": "object", "required": ["name", "namespace", "finalizers"]},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["destination", "project", "source"],
            "properties": {
                "project": STRING,
                "revisionHistoryLimit": {"type": "integer"},
                "ignoreDifferences": {"type": "array", "items": {"type": "object", "required": ["kind"]}},
                "destination": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["server", "namespace"],
                    "properties": {"server": STRING, "namespace": STRING},
                },
                "source": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["repoURL", "targetRevision"],
                    "oneOf": [{"required": ["path"]}, {"required": ["chart"]}],
                    "properties": {
                        "repoURL": STRING,
                        "targetRevision": STRING,
                        "path": STRING,
                        "chart": STRING,
                        "helm": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                "releaseName": STRING,
                                "valueFiles": {"type": "array", "items": STRING},
                                "ignoreMissingValueFiles": {"type": "boolean"},
                                "values": STRING,
                            },
                        },
                    },
                },
                "syncPolicy": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "automated": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                key: {"type": "boolean"} for key in ("allowEmpty", "enabled", "prune", "selfHeal")
                            },
                        },
                        "managedNamespaceMetadata": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                key: {"type": "object", "additionalProperties": {"type": "string"}}
                                for key in ("annotations", "labels")
                            },
                        },
                        "retry": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                "limit": {"type": "integer"},
                                "refresh": {"type": "boolean"},
                                "backoff": {
                                    "type": "object",
                                    "additionalProperties": False,
                                    "properties": {
                                        "duration": STRING,
                                        "factor": {"type": "integer"},
                                        "maxDuration": STRING,
                                    },
                                },
                            },
                        },
                        "syncOptions": {
                            "type": "array",
                            "items": {"type": "string", "pattern": "^[A-Za-z]+=[A-Za-z]+$"},
                        },
                    },
                },
            },
        },
    },
}


@cache
def problem(serialized: str) -> str | None:
    """What the Kubernetes schema says against one object. Most objects are the same in every environment."""
    one = json.loads(serialized)
    try:
        kubernetes_validate.validate(one, KUBERNETES_VERSION.rpartition(".")[0], strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{one['kind']}/{one['metadata']['name']}: {error}"
    return None


def problems(objects: list[dict[str, Any]]) -> list[str]:
    return [found for manifest in objects if (found := problem(json.dumps(manifest, sort_keys=True)))]


def test_every_child_is_an_application_that_argo_cd_accepts(environment: str):
    for application in root_objects({"clusterMetadata": {"environment": environment}}):
        jsonschema.Draft7Validator(APPLICATION).validate(application)


def test_kubernetes_accepts_every_object_of_every_child(wrapper: Wrapper, environment: str):
    children = root_objects({"clusterMetadata": {"environment": environment}})
    objects = [child_object for application in children for child_object in child_objects(wrapper, application)]

    assert len(objects) >= (100 if wrapper.demo.source == "real" else 30)
    assert problems(objects) == []


@pytest.mark.parametrize("overrides", [{"placementHook": {"enabled": False}}, {"networkPolicy": {"enabled": False}}])
def test_kubernetes_accepts_what_is_left_when_a_part_is_switched_off(shell: Wrapper, overrides: dict[str, Any]):
    assert problems(shell.objects("dev", overrides)) == []


def test_kubernetes_accepts_what_is_left_when_no_database_is_listed(shell: Wrapper, tmp_path):
    objects = shell.undeclared(DATABASES, tmp_path).objects("dev", {"stateful": []})

    assert problems(objects) == []
    assert {manifest["metadata"]["name"] for manifest in objects if manifest["kind"] == "Job"} == {"pod-lifecycle"}


def test_no_object_is_rendered_empty_or_twice(wrapper: Wrapper, environment: str):
    keys = [
        (manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"])
        for manifest in wrapper.objects(environment)
    ]

    assert len(keys) == len(set(keys))
