"""An add-on's configuration values: what the program sends conforms, and what its schema does not know is refused."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.addons import STAGES
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.aws.addon_configuration import SCHEMAS, check
from otel_on_spot.simcloud.cloud_answers import plain
from tests.simcloud.conftest import Maker
from tests.unit.conftest import recorded

INVALID = "ConfigurationValue provided in request is not supported: Json schema validation failed with error: "
ADDON = "aws:eks/addon:Addon"
FREE = {"nodeSelector", "tolerations", "extraVolumeTags"}
"""Keys whose value is a map of anybody's names, or a list of them."""


def sent() -> dict[str, dict[str, Any]]:
    """Add-on -> the configuration values that prod sends."""
    addons = [plain(registration.inputs) for registration in recorded("prod").of_type(ADDON)]
    assert {addon["addonName"] for addon in addons} == {name for stage in STAGES.values() for name in stage}
    return {a["addonName"]: json.loads(a["configurationValues"]) for a in addons if "configurationValues" in a}


def keys_of(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every key that the schema decides."""
    for key, value in values.items():
        yield (*path, key)
        if isinstance(value, dict) and key not in FREE:
            yield from keys_of(value, (*path, key))


def refusal(addon: str, values: Any) -> str:
    with pytest.raises(ApiError) as caught:
        check(addon, json.dumps(values))
    assert caught.value.code == "InvalidParameterException"
    assert str(caught.value).partition(": ")[2].startswith(INVALID)
    return str(caught.value).partition(INVALID)[2]


def test_what_the_program_sends_conforms_and_every_key_misspelt_and_every_value_of_another_type_is_refused() -> None:
    tried = 0
    for addon, values in sent().items():
        check(addon, json.dumps(values))
        for *parents, key in keys_of(values):
            misspelt, mistyped = copy.deepcopy(values), copy.deepcopy(values)
            spelt, typed = misspelt, mistyped
            for parent in parents:
                spelt, typed = spelt[parent], typed[parent]
            spelt[f"{key}s"], typed[key] = spelt.pop(key), 7
            place = ".".join(["$", *parents, key])
            assert f"{place}s: is not defined in the schema" in refusal(addon, misspelt)
            assert f"{place}: integer found, " in refusal(addon, mistyped)
            tried += 2
    assert tried >= 20


@pytest.mark.parametrize(
    ("addon", "values", "words"),
    [
        (
            "aws-ebs-csi-driver",
            {"nodeSelector": {}},
            "[$.nodeSelector: is not defined in the schema and the schema does not allow additional properties]",
        ),
        ("vpc-cni", {"enableNetworkPolicy": True}, "[$.enableNetworkPolicy: boolean found, string expected]"),
        ("vpc-cni", None, "[$: null found, object expected]"),
        ("coredns", {"autoScaling": {}}, "[$.autoScaling.enabled: is missing but it is required]"),
        (
            "coredns",
            {"autoScaling": {"enabled": True, "minReplicas": 1, "maxReplicas": 1001}},
            "[$.autoScaling.minReplicas: must have a minimum value of 2, "
            "$.autoScaling.maxReplicas: must have a maximum value of 1000]",
        ),
        ("metrics-server", {"tolerations": ["all"]}, "[$.tolerations[0]: string found, object expected]"),
        ("coredns", {"nodeSelector": {"pool": 1}}, "[$.nodeSelector.pool: integer found, string expected]"),
        ("snapshot-controller", {"podLabels": {}}, "[$.podLabels: is not defined in the schema and the schema does not "
         "allow additional properties]"),
        ("vpc-cni", {"env": {"ENABLE_PREFIX_DELEGATIONS": "true"}}, "[$.env.ENABLE_PREFIX_DELEGATIONS: is not defined "
         "in the schema and the schema does not allow additional properties]"),
    ],
)  # fmt: skip
def test_a_refusal_has_ekss_own_words(addon: str, values: Any, words: str) -> None:
    assert refusal(addon, values) == words


def test_values_of_an_add_on_whose_schema_nobody_knows_are_refused_by_name() -> None:
    assert "kube-proxy" not in SCHEMAS
    check("kube-proxy", None)
    with pytest.raises(ApiError, match="no schema of the configuration values of add-on kube-proxy: leave them out"):
        check("kube-proxy", '{"mode": "ipvs"}')


def test_eks_looks_when_an_add_on_is_made_and_when_it_is_changed(cluster: Maker) -> None:
    addon = {"addonName": "coredns", "addonVersion": "v1.14.6-eksbuild.4"}
    given: dict[str, Any] = {"clusterName": cluster.site.cluster, **addon, "tags": {"team": "shop"}}
    with pytest.raises(ApiError, match="not in valid JSON format"):
        cluster.make(ADDON, "dns", **given, configurationValues="{")
    with pytest.raises(ApiError, match=r"\$\.replicas: is not defined in the schema"):
        cluster.make(ADDON, "dns", **given, configurationValues='{"replicas": 2}')
    cluster.site.cloud.tables.put("node-groups", f"{cluster.site.cluster}/system", {"status": "ACTIVE", "instances": 1})
    made = cluster.make(ADDON, "dns", **given, configurationValues='{"replicaCount": 2}')
    with pytest.raises(ApiError, match=r"\$\.replicaCount: string found, integer expected"):
        made.change(**given, configurationValues='{"replicaCount": "2"}')
