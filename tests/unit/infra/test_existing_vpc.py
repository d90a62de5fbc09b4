"""A VPC that is there: looked at, refused by name where it lacks something, and left alone."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Network
from typing import Any
from unittest import mock

import pytest

from infra.existing_vpc import (
    FREE_IN_A_ZONE,
    INSTEAD_OF_A_WAY_OUT,
    INTERNET,
    NOWHERE,
    PRIVATE_TAG,
    PUBLIC_TAG,
    UNSEEN,
    FoundSubnet,
    FoundVpc,
    problems_of,
    way_out,
)
from infra.living import LivingCluster, vpc_problems
from infra.names import EXISTING_VPC_TAG
from infra.settings import parse
from infra.settings.models import ExistingVpc, Network
from otel_on_spot.lab import stack as lab_stack
from otel_on_spot.plan import cost, pools
from otel_on_spot.plan.answers import AssumedVpc
from otel_on_spot.plan.manifests import as_document
from otel_on_spot.plan.record import record
from otel_on_spot.plan.verdict import stack_of
from otel_on_spot.program.recording import Recording
from otel_on_spot.program.runner import ProgramError
from otel_on_spot.project import root
from policy.guardrails import violations
from tests.unit.infra.test_living import with_answers
from tests.unit.settings.test_settings import committed

OWNER = "210987654321"
VPC, OTHER_VPC = "vpc-0f0e0d0c1a2b3c4d5", "vpc-11111111111111111"
ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
PRIVATE = [f"subnet-{number}a1b2c3d4e5f60718" for number in range(3)]
PUBLIC = [f"subnet-{number}b1b2c3d4e5f60718" for number in range(3)]
BY_ID = {"vpcId": VPC, "privateSubnetIds": PRIVATE, "publicSubnetIds": PUBLIC}
BY_TAGS = {"vpcId": VPC, "privateSubnetTags": {"tier": "private"}, "publicSubnetTags": {"tier": "public"}}
NODE_CLASS, CLUSTER = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass", "aws:eks/cluster:Cluster"


@cache
def given(by_tags: bool = False) -> Recording:
    return record(
        "prod", config_overrides={"network": {"zones": list(ZONES), "existing": BY_TAGS if by_tags else BY_ID}}
    )


def terms(recording: Recording) -> Any:
    (node_class,) = recording.of_type(NODE_CLASS)
    return node_class.inputs["spec"]["subnetSelectorTerms"]


def test_nothing_of_a_network_is_made_and_everything_lives_in_the_subnets_given() -> None:
    (cluster,), (group,) = given().of_type(CLUSTER), given().of_type("aws:eks/nodeGroup:NodeGroup")
    made = {each.type for each in given() if each.type.startswith("aws:ec2/")}

    assert made == {"aws:ec2/securityGroup:SecurityGroup", "aws:ec2/launchTemplate:LaunchTemplate", "aws:ec2/tag:Tag"}
    assert not {each.inputs["resourceId"] for each in given().of_type("aws:ec2/tag:Tag")} & {VPC, *PRIVATE, *PUBLIC}
    assert [each.inputs["vpcId"] for each in given().of_type("aws:ec2/securityGroup:SecurityGroup")] == [VPC]
    assert cluster.inputs["vpcConfig"]["subnetIds"] == group.inputs["subnetIds"] == PRIVATE
    assert cluster.inputs["tags"][EXISTING_VPC_TAG] == VPC
    assert given().exports["vpcId"] == VPC
    assert violations(stack_of(given())) == []


def test_karpenter_is_told_the_subnets_by_their_ids() -> None:
    assert terms(given()) == [{"id": subnet} for subnet in PRIVATE]
    (cluster,) = given(by_tags=True).of_type(CLUSTER)
    found = [term["id"] for term in terms(given(by_tags=True))]

    assert found == cluster.inputs["vpcConfig"]["subnetIds"]
    assert len(set(found)) == len(ZONES)


def test_without_it_nothing_is_asked_and_nothing_else_declared(plan: Recording) -> None:
    (cluster,) = plan.of_type(CLUSTER)

    assert terms(plan) == [{"tags": {"karpenter.sh/discovery": cluster.inputs["name"]}}]
    assert EXISTING_VPC_TAG not in cluster.inputs["tags"]
    assert not {"getVpc", "getVpcs", "getSubnets", "getRouteTables"} & {
        invoke.token.rpartition(":")[2] for invoke in plan.invokes
    }


def test_the_plan_counts_its_zones_and_no_nat_gateway_of_ours() -> None:
    document = as_document(given())
    lines = {line.what for line in cost.estimate(document, cost.workloads_of(document, root())).lines}

    assert cost.zones_of(document) == list(ZONES)
    assert {pool.zones for pool in pools.report(given(), root()).pools} == {ZONES}
    assert [what for what in lines if "NAT" in what or "flow logs" in what or "public addresses" in what] == []


def test_a_lab_makes_a_vpc_of_its_own() -> None:
    network = {"zones": list(ZONES), "existing": BY_ID, "proxy": {"url": "http://proxy.acme.io:3128"}}
    own, told = lab_stack._own_network(lab_stack.stack_file.text(network))
    settings, problems = parse(committed("prod") | {"network": own})

    assert settings is not None, problems
    assert (settings.network.existing, settings.network.proxy, len(told)) == (None, None, 2)
    assert settings.network.zones == ZONES
    assert lab_stack._own_network(lab_stack.stack_file.text(committed("prod")["network"])) == (None, [])


def keys(**network: Any) -> list[str]:
    _, problems = parse(committed("dev") | {"network": {"zones": list(ZONES[:2])} | network})
    return sorted(problem.key.removeprefix("network.") for problem in problems)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, []),
        ({"privateSubnetIds": PRIVATE[:2]}, []),
        ({"privateSubnetIds": PRIVATE[:1]}, ["existing.privateSubnetIds"]),
        ({"privateSubnetIds": [*PRIVATE, PRIVATE[0]]}, ["existing.privateSubnetIds"]),
        ({"privateSubnetIds": []}, ["existing.privateSubnetIds"]),
        ({"privateSubnetTags": {"tier": "private"}}, ["existing.privateSubnetIds"]),
        ({"publicSubnetTags": {"tier": "public"}}, ["existing.publicSubnetIds"]),
        ({"publicSubnetIds": PRIVATE[:1]}, ["existing.publicSubnetIds"]),
        (BY_TAGS | {"privateSubnetIds": [], "publicSubnetIds": []}, []),
        (BY_TAGS | {"privateSubnetIds": [], "privateSubnetTags": {"tier": "*"}}, ["existing.privateSubnetTags.tier"]),
        ({"privateSubnetIds": ["subnet-1"]}, ["existing.privateSubnetIds[0]"]),
        ({"vpcId": "10.10.0.0/16"}, ["existing.vpcId"]),
        ({"privateSubnets": PRIVATE}, ["existing.privateSubnets"]),
    ],
)
def test_its_settings_are_whole_and_of_one_mind(changes: dict[str, Any], wrong: list[str]) -> None:
    found = set(keys(existing=BY_ID | changes))
    assert {key if key in wrong else key.removesuffix(".[key]") for key in found} >= set(wrong)
    assert bool(found) is bool(wrong)


def test_what_is_of_a_vpc_that_the_stack_makes_is_refused_beside_it_all_at_once() -> None:
    own = {key: value for key, value in committed("prod")["network"].items() if key != "zones"}
    more = {"privatePrefix": 20, "gatewayEndpoints": ["s3"]}

    assert keys(existing=BY_ID, **(own | more)) == sorted({*own, *more})
    assert keys() == ["cidr"]


def subnet(number: int, **changes: Any) -> FoundSubnet:
    return replace(
        FoundSubnet(
            id=PRIVATE[number], vpc_id=VPC, zone=ZONES[number], free=4000, way_out="elsewhere", tags={PRIVATE_TAG: "1"}
        ),
        **changes,
    )


def public(number: int, **changes: Any) -> FoundSubnet:
    return subnet(number, **({"id": PUBLIC[number], "way_out": INTERNET, "tags": {PUBLIC_TAG: ""}} | changes))


FIT = FoundVpc(
    ranges=(IPv4Network("10.0.0.0/16"),),
    dns_support=True,
    dns_hostnames=True,
    private=(subnet(0), subnet(1), subnet(2)),
    public=(public(0), public(1), public(2)),
)
SMALL = FREE_IN_A_ZONE - 1
FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no DNS support": ({"dns_support": False}, "vpcId", "--enable-dns-support"),
    "no DNS hostnames": ({"dns_hostnames": False}, "vpcId", "--enable-dns-hostnames"),
    "name servers of the company's alone": ({"name_servers": ("10.9.0.2", "10.9.0.3")}, "vpcId", "10.9.0.2, 10.9.0.3"),
    "no DHCP options": ({"name_servers": ()}, "vpcId", "name servers are none"),
    "the resolver of a secondary range": (
        {"ranges": (*FIT.ranges, IPv4Network("10.77.0.0/16")), "name_servers": ("10.77.0.2",)},
        "vpcId",
        "domain-name-servers=AmazonProvidedDNS",
    ),
    "tags of the owner of shared subnets": (
        {"shared_by": OWNER, "private": (subnet(0, tags={}), subnet(1), subnet(2))},
        "privateSubnetIds",
        f"{OWNER} gave what it shares are not seen here",
    ),
    "both Service ranges taken": (
        {"ranges": (IPv4Network("172.16.0.0/12"), IPv4Network("10.100.4.0/24"))},
        "vpcId",
        "172.20.0.0/16 or 10.100.0.0/16",
    ),
    "another VPC's subnet": ({"private": (*FIT.private, subnet(2, vpc_id=OTHER_VPC))}, "privateSubnetIds", OTHER_VPC),
    "a subnet of another zone": (
        {"private": (*FIT.private, subnet(2, zone="eu-west-1d"))},
        "privateSubnetIds",
        "in eu-west-1d",
    ),
    "a zone without one": (
        {"private": (subnet(0), subnet(1), subnet(2, zone=ZONES[1]))},
        "privateSubnetIds",
        "none in eu-west-1c",
    ),
    "no free /24": ({"private": (subnet(0), subnet(1), subnet(2, free=SMALL))}, "privateSubnetIds", "a whole /24"),
    "a full subnet beside a free one": (
        {"private": (*FIT.private, subnet(2, id="subnet-33333333", free=5))},
        "privateSubnetIds",
        "subnet-33333333 with 5",
    ),
    "no way out": (
        {"private": (subnet(0), subnet(1), subnet(2, way_out=NOWHERE))},
        "privateSubnetIds",
        "without a route",
    ),
    "a public one for nodes": (
        {"private": (subnet(0), subnet(1), subnet(2, way_out=INTERNET))},
        "privateSubnetIds",
        "Internet gateway carries nothing",
    ),
    "no tag": (
        {"private": (subnet(0, tags={}), subnet(1), subnet(2, tags={PRIVATE_TAG: "true"}))},
        "privateSubnetIds",
        f"create-tags --resources {PRIVATE[0]} {PRIVATE[2]} --tags Key={PRIVATE_TAG},Value=1 --region eu-west-1",
    ),
    "a public one that is none": (
        {"public": (public(0), public(1, way_out="elsewhere"), public(2))},
        "publicSubnetIds",
        "not to an Internet gateway",
    ),
    "no public tag": (
        {"public": (public(0), public(1), public(2, tags={PRIVATE_TAG: "1"}))},
        "publicSubnetIds",
        f"--resources {PUBLIC[2]} --tags Key={PUBLIC_TAG},Value=1",
    ),
    "a subnet that is not there": ({"public": FIT.public[:2]}, "publicSubnetIds", PUBLIC[2]),
}


def found(vpc: FoundVpc | None, existing: dict[str, Any] = BY_ID, *, new: bool = True) -> list[Any]:
    return list(problems_of(ExistingVpc.model_validate(existing), ZONES, "eu-west-1", vpc, new=new))


@pytest.mark.parametrize("fault", FAULTS)
def test_what_it_lacks_is_told_with_the_way_out(fault: str) -> None:
    changes, key, words = FAULTS[fault]
    problems = found(replace(FIT, **changes))

    assert {problem.key for problem in problems} == {f"network.existing.{key}"}
    assert words in "\n".join(map(str, problems))


def test_all_of_it_is_told_at_once_and_a_fit_one_is_taken() -> None:
    worst = replace(FIT, dns_support=False, private=(subnet(0, free=3, way_out=NOWHERE, tags={}),), public=())

    assert found(FIT) == []
    for servers in (("10.9.0.2", "AmazonProvidedDNS"), ("10.0.0.2",), ("169.254.169.253",)):
        assert found(replace(FIT, name_servers=servers)) == []
    unseen = {"private": tuple(subnet(number, way_out=UNSEEN) for number in range(3))}
    assert (
        found(replace(FIT, shared_by=OWNER, public=tuple(public(n, way_out=UNSEEN) for n in range(3)), **unseen)) == []
    )
    assert found(replace(FIT, ranges=(IPv4Network("172.16.0.0/12"),))) == []
    assert len(found(worst)) >= 8
    assert [problem.key for problem in found(None)] == ["network.existing.vpcId"]
    assert [problem.given for problem in found(replace(FIT, private=(), public=()), BY_TAGS)] == [
        "tier=private",
        "tier=public",
    ]


def test_shared_subnets_are_tagged_by_who_sees_the_tags() -> None:
    """Each account sees its own tags of a shared subnet: those of the owner's command would never be found."""
    untagged = (subnet(0, tags={}), subnet(1), subnet(2))
    (own,), (shared,) = (found(replace(FIT, private=untagged, shared_by=owner)) for owner in ("", OWNER))
    assert own.do.startswith("its owner runs: aws ec2 create-tags")
    assert shared.do.startswith("an administrator of this account runs: aws ec2 create-tags")


def test_a_vpc_of_another_account_is_told_apart_and_its_main_table_may_not_be_seen() -> None:
    def answered(self: AssumedVpc, token: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        told = asked(self, token, arguments)
        kind = token.rpartition(":")[2]
        if kind == "getVpc" and told:
            return told | {"ownerId": OWNER, "mainRouteTableId": ""}
        if kind == "getRouteTables":
            return {"ids": [], "id": "tables"}
        return told | {"tags": {}} if kind == "getSubnet" and told else told

    asked = AssumedVpc.invoked
    with mock.patch.object(AssumedVpc, "invoked", answered), pytest.raises(ProgramError) as refused:
        record("prod", config_overrides={"network": {"zones": list(ZONES), "existing": BY_ID}})
    assert str(refused.value).count(f"{OWNER} gave what it shares") == 2
    assert "0.0.0.0/0" not in str(refused.value)


def test_a_living_clusters_own_addresses_are_not_missed() -> None:
    full = replace(FIT, private=tuple(subnet(number, free=3) for number in range(3)))

    assert found(full, new=False) == []
    assert len(found(full)) == len(ZONES) + 1


def test_endpoints_stand_for_a_way_out_where_none_of_them_is_missing() -> None:
    enclosed = replace(FIT, private=tuple(subnet(number, way_out=NOWHERE) for number in range(3)))
    by_endpoints = BY_ID | {"wayOut": "endpoints"}

    assert found(replace(enclosed, endpoints=frozenset(INSTEAD_OF_A_WAY_OUT)), by_endpoints) == []
    (problem,) = found(replace(enclosed, endpoints=frozenset(INSTEAD_OF_A_WAY_OUT) - {"sqs"}), by_endpoints)
    assert (problem.key, problem.given) == ("network.existing.wayOut", f"endpoints, and {VPC} has none of sqs")


@pytest.mark.parametrize(("identity", "private_names"), [("both", True), ("irsa", False), ("pod-identity", True)])
def test_an_eks_endpoint_of_the_vpcs_own_hides_the_issuer_from_a_runner_inside(
    monkeypatch: pytest.MonkeyPatch, identity: str, private_names: bool
) -> None:
    plain, asked = AssumedVpc.invoked, list[Mapping[str, Any]]()

    def invoked(assumed: AssumedVpc, token: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        if not token.endswith(":getVpcEndpoint"):
            return plain(assumed, token, arguments)
        asked.append(arguments)
        return {"id": "vpce-1", "privateDnsEnabled": private_names}

    monkeypatch.setattr(AssumedVpc, "invoked", invoked)
    network = {"zones": list(ZONES), "existing": BY_ID}
    karpenter = committed("prod")["karpenter"] | {"identity": identity}
    overrides = {"network": network, "karpenter": karpenter}
    if identity == "pod-identity" or not private_names:
        assert record("prod", config_overrides=overrides).registrations
    else:
        with pytest.raises(ProgramError) as refusal:
            record("prod", config_overrides=overrides)
        assert f"given: {identity}, with a runner in {VPC}" in str(refusal.value)
        assert "hide oidc.eks.eu-west-1" in str(refusal.value)
    assert [one["serviceName"] for one in asked] == ["com.amazonaws.eu-west-1.eks"] * (identity != "pod-identity")


def test_karpenter_asks_no_service_without_an_endpoint_where_there_is_no_way_out(plan: Recording) -> None:
    network = {"zones": list(ZONES), "existing": BY_ID | {"wayOut": "endpoints"}}

    def settings_of(recording: Recording) -> Any:
        (release,) = [each for each in recording if each.name == "karpenter-controller" and "values" in each.inputs]
        return release.inputs["values"]["settings"]

    assert settings_of(record("prod", config_overrides={"network": network}))["isolatedVPC"] is True
    assert "isolatedVPC" not in settings_of(given())
    assert "isolatedVPC" not in settings_of(plan)


@pytest.mark.parametrize(
    ("routes", "leads"),
    [
        ([("10.0.0.0/16", False, False), ("0.0.0.0/0", False, True)], "elsewhere"),
        ([("0.0.0.0/0", True, False)], INTERNET),
        ([("0.0.0.0/1", False, True), ("128.0.0.0/1", False, True)], "elsewhere"),
        ([("0.0.0.0/1", False, True)], NOWHERE),
        ([("0.0.0.0/0", False, False)], NOWHERE),
        ([("10.0.0.0/8", False, True)], NOWHERE),
        ([("0.0.0.0/0", False, True), ("52.0.0.0/8", True, False)], "elsewhere"),
        ([], NOWHERE),
    ],
)
def test_a_way_out_is_a_route_to_everywhere(routes: list[tuple[str, bool, bool]], leads: str) -> None:
    assert way_out(routes) == leads


@pytest.mark.parametrize(
    ("lives_in", "wanted", "words"),
    [("", VPC, "leave it out"), (VPC, None, "put it back"), (VPC, OTHER_VPC, "put it back"), (VPC, VPC, None)],
)
def test_a_cluster_keeps_the_vpc_of_its_creation(lives_in: str, wanted: str | None, words: str | None) -> None:
    existing = {"existing": BY_ID | {"vpcId": wanted}} if wanted else {"cidr": "10.10.0.0/16"}
    living = LivingCluster(kubernetes_version="1.35", zones=frozenset(), subnets=(), existing_vpc=lives_in)
    problems = list(vpc_problems(Network.model_validate({"zones": list(ZONES), **existing}), living))

    assert [problem.do.partition(";")[0] for problem in problems] == ([words] if words else [])


def test_the_cluster_itself_tells_its_vpc() -> None:
    (made,) = given().of_type(CLUSTER)
    named = {"name": "otel-dev", "id": "otel-dev", "version": committed("dev")["cluster"]["kubernetesVersion"]}
    network = {"vpcConfig": {"subnetIds": [], "vpcId": VPC}, "tags": made.inputs["tags"]}
    with with_answers(getClusters={"names": ["otel-dev"], "id": "eu-west-1"}, getCluster=named | network):
        for given_now in ({"existing": BY_ID | {"vpcId": OTHER_VPC}}, {"cidr": "10.10.0.0/16"}):
            with pytest.raises(ProgramError, match=rf"network\.existing\n.*\n.*the cluster lives in {VPC}"):
                record("dev", config_overrides={"network": {"zones": list(ZONES), **given_now}})
