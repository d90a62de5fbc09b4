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
    ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "10.1.0.0/16"}, True),
    ("aws:ec2/vpc:Vpc", {"enableDnsHostnames": True}, {"enableDnsHostnames": False}, False),
    ("aws:ec2/subnet:Subnet", {"cidrBlock": "10.0.0.0/20"}, {"cidrBlock": "10.0.16.0/20"}, True),
    ("aws:ec2/subnet:Subnet", {"availabilityZone": "eu-west-1a"}, {"availabilityZone": "eu-west-1b"}, True),
    ("aws:ec2/route:Route", {"natGatewayId": "nat-1"}, {"natGatewayId": "nat-2"}, False),
    ("aws:ec2/natGateway:NatGateway", {"subnetId": "subnet-1"}, {"subnetId": "subnet-2"}, True),
    ("aws:iam/role:Role", {"name": "a"}, {"name": "b"}, True),
    ("aws:iam/role:Role", {"assumeRolePolicy": "{}"}, {"assumeRolePolicy": '{"Version": "2012-10-17"}'}, False),
    ("aws:sqs/queue:Queue", {"name": "a"}, {"name": "b"}, True),
    ("aws:sqs/queue:Queue", {"messageRetentionSeconds": 300}, {"messageRetentionSeconds": 600}, False),
    ("aws:cloudwatch/eventTarget:EventTarget", {"arn": "a"}, {"arn": "b"}, False),
    ("aws:eks/cluster:Cluster", {"version": "1.34"}, {"version": "1.35"}, False),
    ("aws:eks/cluster:Cluster", {"roleArn": "a"}, {"roleArn": "b"}, True),
    (
        "aws:eks/cluster:Cluster",
        {"vpcConfig": {"endpointPublicAccess": True}},
        {"vpcConfig": {"endpointPublicAccess": False}},
        False,
    ),
    ("aws:eks/nodeGroup:NodeGroup", {"instanceTypes": ["m7i.large"]}, {"instanceTypes": ["m7i.xlarge"]}, True),
    ("aws:eks/nodeGroup:NodeGroup", {"subnetIds": ["a"]}, {"subnetIds": ["b"]}, True),
    (
        "aws:eks/nodeGroup:NodeGroup",
        {"scalingConfig": {"desiredSize": 2}},
        {"scalingConfig": {"desiredSize": 3}},
        False,
    ),
    ("aws:eks/nodeGroup:NodeGroup", {"launchTemplate": {"version": "1"}}, {"launchTemplate": {"version": "2"}}, False),
    ("aws:eks/nodeGroup:NodeGroup", {"launchTemplate": {"id": "lt-1"}}, {"launchTemplate": {"id": "lt-2"}}, True),
    ("aws:eks/addon:Addon", {"addonVersion": "v1"}, {"addonVersion": "v2"}, False),
    ("aws:eks/accessEntry:AccessEntry", {"type": "STANDARD"}, {"type": "EC2_LINUX"}, True),
    (Release.token, {"version": "1.14.3"}, {"version": "1.15.0"}, False),
    (Release.token, {"namespace": "a"}, {"namespace": "b"}, True),
    ("kubernetes:karpenter.sh/v1:NodePool", {"spec": {"weight": 1}}, {"spec": {"weight": 2}}, False),
    ("kubernetes:karpenter.sh/v1:NodePool", {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}, True),
]


@pytest.mark.parametrize(
    ("token", "old", "new", "replaces"), CASES, ids=[f"{t.rpartition(':')[2]} {n}" for t, _, n, _ in CASES]
)
def test_each_change_replaces_or_not_as_the_real_provider_says(
    aws: Maker, token: str, old: dict[str, Any], new: dict[str, Any], replaces: bool
) -> None:
    handler = (
        Release()
        if token == Release.token
        else KubernetesObject(token)
        if token.startswith("kubernetes:")
        else registry.handler(token)
    )
    difference = handler.difference({**old, "tagsAll": dict(aws.site.default_tags)}, old, new, aws.site)
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
