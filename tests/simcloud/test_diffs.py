"""What changes in place and what makes a new resource, as AWS's provider has it."""

from typing import Any

import pytest

from otel_on_spot.program.values import UNKNOWN
from otel_on_spot.simcloud.aws import registry
from otel_on_spot.simcloud.kubernetes.helm import Release
from otel_on_spot.simcloud.kubernetes.objects import KubernetesObject
from otel_on_spot.simcloud.properties import changes, same
from tests.simcloud.conftest import Maker

CASES: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("aws:cloudwatch/eventTarget:EventTarget", {"arn": "a"}, {"arn": "b"}, False),
    ("aws:eks/nodeGroup:NodeGroup", {"launchTemplate": {"version": "1"}}, {"launchTemplate": {"version": "2"}}, False),
    ("aws:eks/nodeGroup:NodeGroup", {"launchTemplate": {"id": "lt-1"}}, {"launchTemplate": {"id": "lt-2"}}, True),
    (Release.token, {"version": "1.14.3"}, {"version": "1.15.0"}, False),
    (Release.token, {"namespace": "a"}, {"namespace": "b"}, True),
    ("kubernetes:karpenter.sh/v1:NodePool", {"spec": {"weight": 1}}, {"spec": {"weight": 2}}, False),
    ("kubernetes:karpenter.sh/v1:NodePool", {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}, True),
]
"""What CloudFormation's schemas do not tell: test_resource_types.py holds the rest against them."""


@pytest.mark.parametrize(
    ("token", "old", "new", "replaces"), CASES, ids=[f"{t.rpartition(':')[2]} {n}" for t, _, n, _ in CASES]
)
def test_each_change_replaces_or_not_as_the_real_provider_says(
    aws: Maker, token: str, old: dict[str, Any], new: dict[str, Any], replaces: bool
) -> None:
    difference = aws.handler(token).difference({**old, "tagsAll": dict(aws.site.default_tags)}, old, new, aws.site)
    assert difference.paths
    assert bool(difference.replaces) is replaces


@pytest.mark.parametrize(("mutable", "replaces"), [(True, False), (False, True)])
def test_a_config_map_changes_in_place_only_where_the_provider_says_that_it_is_mutable(
    aws: Maker, mutable: bool, replaces: bool
) -> None:
    handler = KubernetesObject("kubernetes:core/v1:ConfigMap", {"enableConfigMapMutable": mutable})
    difference = handler.difference({"data": {"a": "1"}}, {"data": {"a": "1"}}, {"data": {"a": "2"}}, aws.site)
    assert bool(difference.replaces) is replaces


def test_a_name_that_somebody_chose_is_freed_before_it_is_given_again(aws: Maker) -> None:
    handler = registry.handler("aws:iam/role:Role")
    old = {"name": "chosen", "path": "/"}
    assert handler.difference(
        old, old, {"name": "chosen", "path": "/x/", "__defaults": []}, aws.site
    ).delete_before_replace
    assert not handler.difference(
        old, old, {"name": "chosen", "path": "/x/", "__defaults": ["name"]}, aws.site
    ).delete_before_replace


def test_an_unknown_value_is_a_change_and_a_missing_tag_is_one(aws: Maker) -> None:
    assert dict(changes({"a": 1}, {"a": 1}, {"a": UNKNOWN})) == {"a": "update"}
    handler = registry.handler("aws:sqs/queue:Queue")
    assert handler.difference({"tagsAll": {}}, {}, {}, aws.site).paths == {"tagsAll": ("update", False)}
    assert handler.difference({"tagsAll": dict(aws.site.default_tags)}, {}, {}, aws.site).paths == {}


def test_white_space_order_of_sets_and_keys_that_the_cloud_adds_are_no_change() -> None:
    assert same('{"a": [1, 2]}', '{"a":[2,1]}')
    assert same({"x": 1, "added": 2}, {"x": 1})
    assert not same(["a", "b"], ["a"])
    assert list(changes({"tags": {"a": "1", "b": "2"}}, {"tags": {"a": "1", "b": "2"}}, {"tags": {"a": "1"}})) == [
        ("tags.b", "delete")
    ]


def test_an_auto_name_comes_from_the_engines_seed_and_stays(aws: Maker) -> None:
    handler = registry.handler("aws:ec2/securityGroup:SecurityGroup")
    first, _ = handler.check("api", {}, {}, b"seed")
    assert first["name"].startswith("api-")
    assert handler.check("api", {}, {}, b"seed")[0]["name"] == first["name"]
    assert handler.check("api", {}, {}, b"other")[0]["name"] != first["name"]
    assert handler.check("api", first, {}, b"other")[0]["name"] == first["name"]
