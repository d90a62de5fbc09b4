"""What the program declares is what the real CRDs accept, closed against unknown fields."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from otel_on_spot import project
from otel_on_spot.plan.record import record
from otel_on_spot.program.recording import Recording
from otel_on_spot.program.values import masked
from tests.charts.footprint import root_objects
from tests.crds.conftest import KARPENTER
from tests.unit.conftest import STACKS, recorded

ROOT = project.root()
Schemas = dict[str, dict[str, Any]]


def closed(schema: Any) -> Any:
    """The schema with unknown fields refused, as the API server prunes them in silence."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    if (
        "properties" in schema
        and "additionalProperties" not in schema
        and not schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        inner["additionalProperties"] = False
    return inner


def complaints(schema: dict[str, Any], resource: dict[str, Any]) -> list[str]:
    """What the CRD's schema says against a resource's spec."""
    validator = Draft202012Validator(closed(schema["properties"]["spec"]))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(resource["spec"])]


def declared(plan: Recording, kind: str) -> Iterator[dict[str, Any]]:
    return (masked(dict(r.inputs)) for r in plan if r.inputs.get("kind") == kind and r.type.startswith("kubernetes:"))


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("kind", ["NodePool", "EC2NodeClass"])
def test_karpenters_crds_accept_what_a_stack_declares(karpenter: Schemas, stack: str, kind: str) -> None:
    resources = list(declared(recorded(stack), kind))

    assert resources
    assert [
        complaints(karpenter[kind], resource) for resource in resources if complaints(karpenter[kind], resource)
    ] == []


def test_karpenters_crds_accept_every_field_of_a_shape(karpenter: Schemas) -> None:
    file = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    node_class = file["otel-on-spot:nodeClass"] | {
        "volumeThroughputMibps": 500,
        "volumeIops": 4000,
        "parallelImagePulls": 5,
        "kubelet": {
            "maxPods": 110,
            "podsPerCore": 20,
            "systemReserved": {"cpu": "100m", "memory": "200Mi"},
            "kubeReserved": {"cpu": "100m", "pid": "1000"},
            "evictionHard": {"memory.available": "5%", "nodefs.available": "1Gi"},
            "imageGCHighThresholdPercent": 80,
            "imageGCLowThresholdPercent": 60,
        },
        "capacityReservations": [
            {"id": "cr-0123456789abcdef0"},
            {"tags": {"team": "shop"}, "ownerId": "444455556666"},
        ],
    }
    pools = file["otel-on-spot:pools"]
    pools["spot"] |= {
        "instanceTypesAtLeast": 15,
        "instanceFamiliesAtLeast": 5,
        "maxMemoryGib": 64,
        "bareMetal": False,
        "zones": ["eu-west-1a"],
        "startupTaints": [{"key": "example.com/agent-not-ready", "effect": "NoExecute"}],
    }
    pools["spot"]["limits"]["nodes"] = 10
    pools["data"] |= {"capacityTypes": ["reserved", "on-demand"], "localStorage": "required"}
    controller = {"version": "1.14.3", "headroom": {"cpu": "2", "memory": "4Gi", "chunks": 3}}
    plan = record("dev", config_overrides={"karpenter": controller, "nodeClass": node_class, "pools": pools})

    for kind in ("NodePool", "EC2NodeClass", "CapacityBuffer"):
        found = [complaints(karpenter[kind], resource) for resource in declared(plan, kind)]
        assert found
        assert [some for some in found if some] == []


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("kind", ["AppProject", "Application"])
def test_argocds_crds_accept_what_a_stack_declares(argocd: Schemas, stack: str, kind: str) -> None:
    resources = list(declared(recorded(stack), kind))

    assert resources
    assert [complaints(argocd[kind], resource) for resource in resources if complaints(argocd[kind], resource)] == []


EVERY_FIELD = {
    "reloader": {
        "repoURL": "https://charts.example.com",
        "chart": "reloader",
        "targetRevision": "2.2.3",
        "namespace": "reloader",
        "createNamespace": True,
        "podSecurity": {"enforce": "restricted"},
        "syncOptions": ["PruneLast=true"],
        "ignoreDifferences": [
            {"group": "apps", "kind": "Deployment", "name": "reloader", "jsonPointers": ["/spec/replicas"]},
            {"kind": "*", "namespace": "reloader", "jqPathExpressions": [".spec"], "managedFieldsManagers": ["hpa"]},
        ],
        "values": {"reloader": {"watchGlobally": False}},
    },
    "several": {
        "namespace": "several",
        "sources": [
            {
                "repoURL": "https://charts.example.com",
                "chart": "reloader",
                "targetRevision": "2.2.3",
                "valueFiles": ["$values/gitops/values/reloader.yaml"],
                "values": {"reloader": {"watchGlobally": False}},
            },
            {"ref": "values"},
            {"path": "gitops/more"},
        ],
    },
    "kustomization": {"namespace": "kustomization", "path": "gitops/team", "sourceType": "Kustomize"},
}


def test_argocds_crd_accepts_every_child_application(argocd: Schemas) -> None:
    children = [*root_objects(), *root_objects({"applications": EVERY_FIELD})]

    assert len(children) == 7
    assert [
        complaints(argocd["Application"], child) for child in children if complaints(argocd["Application"], child)
    ] == []


def test_the_schemas_are_those_of_the_version_that_the_stacks_pin() -> None:
    versions = {
        r.inputs["version"]
        for stack in STACKS
        for r in recorded(stack).of_type("kubernetes:helm.sh/v3:Release")
        if "karpenter" in r.name
    }

    assert versions == {KARPENTER[1].removeprefix("v")}


def test_expire_after_in_its_old_place_would_be_refused(karpenter: Schemas) -> None:
    """It moved from ``disruption`` to the template in v1; there the API server drops it in silence."""
    (pool, *_) = declared(recorded("dev"), "NodePool")
    pool["spec"]["disruption"]["expireAfter"] = pool["spec"]["template"]["spec"].pop("expireAfter")

    assert complaints(karpenter["NodePool"], pool) != []
