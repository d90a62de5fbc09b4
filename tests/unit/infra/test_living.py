"""What AWS refuses to change on a living environment is refused before the first resource, with the way out."""

from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any
from unittest import mock

import pytest
from pulumi import InvokeOptions

from infra.living import (
    LivingCluster,
    LivingSubnet,
    claim_problems,
    tell_tag_changes,
    version_problems,
    volume_problems,
    zone_problems,
)
from infra.names import StackNames
from infra.persistence import DATABASES
from infra.settings import parse
from infra.settings.models import Cluster, Network
from otel_on_spot.plan import answers
from otel_on_spot.plan.record import record
from otel_on_spot.program.runner import ProgramError
from tests.unit.settings.test_settings import committed

PRIVATE = {"a": "10.10.0.0/20", "b": "10.10.16.0/20", "c": "10.10.32.0/20"}
PUBLIC = {"a": "10.10.255.0/24", "b": "10.10.254.0/24", "c": "10.10.253.0/24"}


def living(zones: str = "ab", control_plane: str = "ab", version: str = "1.35") -> LivingCluster:
    return LivingCluster(
        kubernetes_version=version,
        zones=frozenset(f"eu-west-1{zone}" for zone in control_plane),
        subnets=tuple(
            LivingSubnet(zone=f"eu-west-1{zone}", cidr=IPv4Network(ranges[zone]), public=ranges is PUBLIC)
            for ranges in (PRIVATE, PUBLIC)
            for zone in zones
        ),
    )


def network(zones: str, **more: Any) -> Network:
    raw = {"cidr": "10.10.0.0/16", "zones": [f"eu-west-1{zone}" for zone in zones], **more}
    return Network.model_validate(raw)


@pytest.mark.parametrize(
    ("wanted", "lives"),
    [
        ("ab", living()),
        ("abc", living()),
        ("abcd", living("abc")),
        ("ab", living("abc")),
        ("abc", living("abc", "abc")),
    ],
)
def test_a_zone_is_added_and_taken_away_at_the_end(wanted: str, lives: LivingCluster) -> None:
    assert list(zone_problems(network(wanted), lives)) == []


@pytest.mark.parametrize(
    ("wanted", "lives", "words"),
    [
        ("ac", living(), "eu-west-1a, eu-west-1b, and EKS moves it to no other set of zones"),
        ("ab", living("abc", "abc"), "put eu-west-1c back"),
        ("ba", living(), "10.10.0.0/20 is eu-west-1a's"),
        ("cab", living(), "eu-west-1c is new, and 10.10.0.0/20 is eu-west-1a's"),
        ("acb", living(), "eu-west-1c is new, and 10.10.16.0/20 is eu-west-1b's"),
        ("abd", living("abc"), "eu-west-1d is new, and 10.10.32.0/20 is eu-west-1c's"),
        ("abdc", living("abc"), "eu-west-1c lives at 10.10.32.0/20"),
    ],
)
def test_other_changes_of_zones_are_refused_with_the_way_out(wanted: str, lives: LivingCluster, words: str) -> None:
    problems = list(zone_problems(network(wanted), lives))

    assert {problem.key for problem in problems} == {"network.zones"}
    assert words in "\n".join(map(str, problems))


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"cidr": "10.99.0.0/16"}, "network.cidr"),
        ({"cidr": "10.10.0.0/17"}, "network.cidr"),
        ({"privatePrefix": 21}, "network.privatePrefix"),
        ({"publicPrefix": 25}, "network.publicPrefix"),
    ],
)
def test_a_living_subnet_keeps_its_range(more: dict[str, Any], key: str) -> None:
    assert [problem.key for problem in zone_problems(network("ab", **more), living())] == [key]


@pytest.mark.parametrize(
    ("now", "wanted", "words"),
    [
        ("1.35", "1.37", 'set it to "1.36"'),
        ("1.33", "1.36", 'set it to "1.34"'),
        ("1.36", "1.35", "nodes first"),
        ("1.37", "1.35", "by one minor only"),
    ],
)
def test_a_minor_is_neither_skipped_nor_gone_back_by_an_update(now: str, wanted: str, words: str) -> None:
    (problem,) = version_problems(_cluster(wanted), living(version=now))

    assert problem.key == "cluster.kubernetesVersion"
    assert f"{wanted}, and the cluster otel-dev is at {now}" in problem.given
    assert words in problem.do + problem.rule


def test_one_minor_up_and_the_same_one_are_no_problem() -> None:
    for wanted in ("1.35", "1.36"):
        assert list(version_problems(_cluster(wanted), living())) == []


def _cluster(version: str) -> Cluster:
    return Cluster.model_validate(committed("dev")["cluster"] | {"kubernetesVersion": version})


def with_answers(**replaced: Any) -> Any:
    """The plan's answers, with some functions answered otherwise."""
    plain = answers._invoked

    def invoke(token: str, *arguments: Any) -> Any:
        return replaced.get(token.rpartition(":")[2], plain(token, *arguments))

    return mock.patch("otel_on_spot.plan.answers._invoked", invoke)


LIVES = {
    "getClusters": {"names": ["otel-dev"], "id": "eu-west-1"},
    "getCluster": {
        "name": "otel-dev",
        "version": "1.35",
        "vpcConfig": {"subnetIds": ["subnet-1"], "vpcId": "vpc-1"},
        "id": "otel-dev",
    },
    "getSubnets": {"ids": ["subnet-1"], "id": "eu-west-1"},
    "getSubnet": {
        "id": "subnet-1",
        "availabilityZone": "eu-west-1b",
        "cidrBlock": "10.10.16.0/20",
        "tags": {"kubernetes.io/role/internal-elb": "1"},
    },
}


def test_control_plane_and_system_nodes_stay_in_the_zones_of_its_creation() -> None:
    with with_answers(**LIVES):
        plan = record("dev")
    (cluster,) = plan.of_type("aws:eks/cluster:Cluster")
    (group,) = plan.of_type("aws:eks/nodeGroup:NodeGroup")
    private = {r.inputs["availabilityZone"]: r.id for r in plan.of_type("aws:ec2/subnet:Subnet") if "private" in r.name}

    assert cluster.inputs["vpcConfig"]["subnetIds"] == group.inputs["subnetIds"] == [private["eu-west-1b"]]
    assert len(private) == 2


@pytest.mark.parametrize(
    ("nodes", "volumes", "kinds"), [(["i-1"], [], ["nodes"]), ([], ["vol-1"], ["volumes"]), ([], [], [])]
)
def test_the_driver_is_not_held_to_tagged_volumes_while_a_node_or_a_volume_has_no_tag(
    monkeypatch: pytest.MonkeyPatch, nodes: list[str], volumes: list[str], kinds: list[str]
) -> None:
    monkeypatch.setattr("infra.living.ec2.get_instances", lambda instance_tags, **_: ids(instance_tags, nodes))
    monkeypatch.setattr("infra.living.ebs.get_ebs_volumes", lambda tags, **_: ids(tags, volumes))
    found = list(volume_problems(StackNames(cluster="otel-dev", region="eu-west-1"), InvokeOptions()))

    assert len(found) == len(kinds)
    for problem, kind in zip(found, kinds, strict=True):
        assert f"1 {kind} without the tag ebs.csi.aws.com/cluster-name" in problem.given


@pytest.mark.parametrize(
    ("given", "size", "zone", "keys"),
    [
        ({}, 10, "eu-west-1a", []),
        ({"kafka": {"gib": 20}}, 10, "eu-west-1b", []),
        ({"kafka": {"gib": 9}}, 10, "eu-west-1a", ["persistence.volumes.kafka.gib"]),
        ({}, 11, "eu-west-1a", ["persistence.volumes.kafka.gib"]),
        ({}, 10, "eu-west-1c", ["network.zones"]),
        ({"kafka": {"restoreFrom": "kafka-data-x7k2p", "gib": 5}}, 10, "eu-west-1c", []),
    ],
)
def test_a_volume_is_made_no_smaller_and_its_zone_is_kept(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], size: int, zone: str, keys: list[str]
) -> None:
    settings, _ = parse(committed("dev") | {"persistence": {"enabled": True, "volumes": given}})
    assert settings is not None
    volumes_live(monkeypatch, ["kafka-data", "grafana"], size, zone)
    found = claim_problems(settings, StackNames(cluster="otel-dev", region="eu-west-1"), InvokeOptions())

    assert [problem.key for problem in found] == keys


def test_the_pool_that_leaves_a_volumes_zone_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = committed("dev")
    raw["pools"]["data"]["zones"] = ["eu-west-1b"]
    settings, _ = parse(raw | {"persistence": {"enabled": True}})
    assert settings is not None
    volumes_live(monkeypatch, [settings.persistence.claim(database) for database in DATABASES], 1, "eu-west-1a")
    found = list(claim_problems(settings, StackNames(cluster="otel-dev", region="eu-west-1"), InvokeOptions()))

    assert {problem.key for problem in found} == {"pools.data.zones"}
    assert len(found) == len(DATABASES)


def volumes_live(monkeypatch: pytest.MonkeyPatch, claims: list[str], size: int, zone: str) -> None:
    """Volumes of these claims in the demo's namespace; none is listed to who asks for other tags."""

    def listed(tags: dict[str, str], **_: object) -> Any:
        return mock.Mock(ids=claims if tags.get("kubernetes.io/created-for/pvc/namespace") == "otel-demo" else [])

    def described(filters: list[Any], **_: object) -> Any:
        tags = {"kubernetes.io/created-for/pvc/name": filters[0].values[0]}
        return mock.Mock(size=size, availability_zone=zone, tags=tags)

    monkeypatch.setattr("infra.living.ebs.get_ebs_volumes", listed)
    monkeypatch.setattr("infra.living.ebs.get_volume", described)


def ids(tags: dict[str, str], untagged: list[str]) -> Any:
    return mock.Mock(ids=["tagged"] if "ebs.csi.aws.com/cluster-name" in tags else ["tagged", *untagged])


@pytest.mark.parametrize(
    ("lives", "told"),
    [
        ({"cost-centre": "other"}, "tags: cost-centre: nodes"),
        ({}, "tags: cost-centre: nodes"),
        ({"cost-centre": "platform", "team": "shop"}, "tags: team goes: nodes"),
        ({"cost-centre": "platform", "somebodys": "own"}, ""),
        ({"cost-centre": "platform"}, ""),
    ],
)
def test_a_change_of_tags_is_told_before_it_drains_every_node(
    monkeypatch: pytest.MonkeyPatch, lives: dict[str, str], told: str
) -> None:
    own = {"environment": "dev", "cluster": "otel-dev", "managed-by": "pulumi"}
    warned: list[str] = []

    def nodes(*, instance_tags: dict[str, str], **_: Any) -> Any:
        return mock.Mock(ids=[] if "somebodys" in instance_tags else ["i-1", "i-2"])

    monkeypatch.setattr("infra.living.ec2.get_instances", nodes)
    monkeypatch.setattr("infra.living.pulumi.log.warn", warned.append)
    stack = StackNames(cluster="otel-dev", region="eu-west-1")
    cluster = replace(living(), tags=own | lives)
    tell_tag_changes(own | {"cost-centre": "platform"}, cluster, stack, InvokeOptions())
    tell_tag_changes(own | {"cost-centre": "x"}, None, stack, InvokeOptions())

    assert len(warned) == bool(told)
    assert told in "".join(warned)
    assert ("all of its nodes (2 now)" in "".join(warned)) == bool(told)


def test_an_alias_without_a_build_for_the_minor_is_refused_for_the_old_minor_too() -> None:
    none = {"names": [], "arns": [], "types": [], "values": [], "id": "none"}
    wanted = committed("dev")["cluster"] | {"kubernetesVersion": "1.36", "addons": {"kubeProxy": "v1.36.0-eksbuild.14"}}
    held = {"kubernetesVersion": "1.35", "releaseVersion": "1.35.8-20260902"}
    with with_answers(**LIVES, getParametersByPath=none), pytest.raises(ProgramError) as refusal:
        record("dev", config_overrides={"cluster": wanted | {"systemNodes": held}})

    for part in ("3 problems", "cluster.systemNodes.releaseVersion", "1.35.8-20260902, for Kubernetes 1.35 on x86_64"):
        assert part in str(refusal.value)
    for part in ("for Kubernetes 1.36 on x86_64", "for Kubernetes 1.35 on x86_64", "1.36 and 1.35"):
        assert part in str(refusal.value)
