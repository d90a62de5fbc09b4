"""The program's whole life without a CLI: up, nodes, load balancers and volumes, down, nothing left."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
import yaml

from infra.documents import document, key_policy, volumes_key_statement
from otel_on_spot.iam.decisions import FREE, Caller, decide
from otel_on_spot.plan.record import record
from otel_on_spot.preflight import permissions
from otel_on_spot.preflight.keys import TEMPLATE
from otel_on_spot.program.recording import Recording
from otel_on_spot.simcloud import graph
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.authorization import Authorization, Call, judged
from otel_on_spot.simcloud.aws import registry
from otel_on_spot.simcloud.aws.eks_access import admitted_by
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.inventory import inventory
from otel_on_spot.simcloud.kubernetes.controllers import why_karpenter_is_dead
from otel_on_spot.simcloud.live import claim_volume, cluster_site, expose, launch_nodes
from otel_on_spot.simcloud.moto_main import SERVICES
from tests.simcloud.conftest import Made, situation_of

SHOP: dict[str, Any] = {
    "host": "shop.acme.io",
    "scheme": "internet-facing",
    "inboundCidrs": ["0.0.0.0/0"],
    "certificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab",
}
CLUSTER, REGION = "otel-dev", "eu-west-1"
NODE_ROLE = "arn:aws:iam::123456789012:role/otel-dev-karpenter-node"
ACCOUNT_STATEMENT = key_policy("123456789012", "aws")["Statement"]
KEY_POLICY = document(*ACCOUNT_STATEMENT, volumes_key_statement(REGION, "123456789012"))
"""Policy of the key of volumes, as docs/kms-key.md has it."""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, Recording]]:
    with Cloud(tmp_path_factory.mktemp("dev"), patience=20, forgetful=True) as cloud, judged(cloud):
        key = cloud.client("kms", REGION).create_key(Policy=json.dumps(KEY_POLICY))["KeyMetadata"]["Arn"]
        told = {"ingress": {"shop": SHOP}, "encryption": {"volumesKmsKeyArn": key}}
        yield cloud, graph.apply("dev", cloud, config_overrides=told)


def test_everything_that_the_program_declares_is_there(up: tuple[Cloud, Recording]) -> None:
    cloud, recording = up
    made = [registration for registration in recording if graph.is_made(registration)]
    told = [line for line in cloud.operations.read() if line.operation == "create"]
    assert {line.urn for line in told} == {registration.urn for registration in made}
    assert {line.result for line in told} == {"ok"}
    assert recording.exports["clusterEndpoint"] == f"{cloud.api_url}/{CLUSTER}"
    assert why_karpenter_is_dead(cluster_site(cloud, CLUSTER)) == ""


def test_nothing_starts_before_what_it_depends_on_is_done(up: tuple[Cloud, Recording]) -> None:
    cloud, recording = up
    lines = {line.urn: line for line in cloud.operations.read() if line.operation == "create"}
    edges = 0
    for registration in recording:
        for below in recording.direct_dependencies(registration) if registration.urn in lines else ():
            if below in lines and not recording.by_urn[below].type.startswith("pulumi:"):
                edges += 1
                assert lines[below].end <= lines[registration.urn].start, (below, registration.urn)
    assert edges > 100


def test_a_node_whose_role_nobody_maps_launches_and_never_joins(up: tuple[Cloud, Recording]) -> None:
    cloud, _ = up
    site, api = cluster_site(cloud, CLUSTER), cloud.kubernetes(CLUSTER)
    assert admitted_by(site, CLUSTER, NODE_ROLE) == {"aws-auth"}
    aws_auth = api.get("v1", "ConfigMap", "aws-auth", "kube-system")
    assert aws_auth is not None
    api.replace({**aws_auth, "data": {"mapRoles": yaml.safe_dump([])}})
    try:
        invisible = launch_nodes(site, "spot")[0]
    finally:
        api.replace(aws_auth)
    joined = launch_nodes(site, "spot", 2)
    assert invisible["status"]["registered"] is False
    assert [claim["status"]["registered"] for claim in joined] == [True, True]
    assert {node["metadata"]["name"] for node in api.objects("v1", "Node")} == {
        claim["metadata"]["name"] for claim in joined
    }


def test_a_pool_whose_controller_lost_its_role_hangs_and_says_why(up: tuple[Cloud, Recording]) -> None:
    cloud, _ = up
    site, api = cluster_site(cloud, CLUSTER), cloud.kubernetes(CLUSTER)
    launch_nodes(site, "data")
    key = f"{CLUSTER}/kube-system/karpenter"
    association = cloud.tables.remove("pod-identities", key)
    assert association is not None
    assert "no pod identity association" in why_karpenter_is_dead(site)
    with pytest.raises(ApiError, match="Karpenter launches nothing"):
        launch_nodes(site, "data")
    cloud.tables.put("pod-identities", key, association)
    assert api.objects("karpenter.sh/v1", "NodeClaim")


@pytest.fixture
def volumes_key(up: tuple[Cloud, Recording]) -> Iterator[str]:
    """ARN of the key of volumes, which is as it was afterwards."""
    cloud, recording = up
    (template,) = recording.of_type(TEMPLATE)
    arn = template.inputs["blockDeviceMappings"][0]["ebs"]["kmsKeyId"]
    yield arn
    kms = cloud.client("kms", REGION)
    kms.enable_key(KeyId=arn.rpartition("/")[2])
    kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=json.dumps(KEY_POLICY))


def test_volumes_of_nodes_and_of_claims_have_the_key_that_the_stack_is_given(
    up: tuple[Cloud, Recording], volumes_key: str
) -> None:
    cloud, _ = up
    ec2 = cloud.client("ec2", REGION)
    volume = claim_volume(cluster_site(cloud, CLUSTER), "platform", "with-the-key")
    (group,) = cloud.tables.all("node-groups", f"{CLUSTER}/").values()
    of_nodes = group["instances"]
    attached = [{"Name": "attachment.instance-id", "Values": of_nodes}]
    made = ec2.describe_volumes(VolumeIds=[volume])["Volumes"] + ec2.describe_volumes(Filters=attached)["Volumes"]
    assert len(made) == 1 + len(of_nodes)
    assert {each.get("KmsKeyId") for each in made} == {volumes_key}


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (
            lambda kms, arn: kms.disable_key(KeyId=arn.rpartition("/")[2]),
            "InvalidState: The KMS key provided is in an incorrect state",
        ),
        (
            lambda kms, arn: kms.put_key_policy(
                KeyId=arn, PolicyName="default", Policy=json.dumps(document(*ACCOUNT_STATEMENT))
            ),
            r"AWSServiceRoleForAutoScaling may not call kms:CreateGrant",
        ),
    ],
)
def test_system_nodes_whose_key_shuts_auto_scaling_out_are_refused(
    up: tuple[Cloud, Recording],
    volumes_key: str,
    spoil: Callable[[Any, str], Any],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud, recording = up
    monkeypatch.setattr(cloud, "authorization", None)  # it is no call of the life that the others judge
    spoil(cloud.client("kms", REGION), volumes_key)
    (planned,) = recording.of_type("aws:eks/nodeGroup:NodeGroup")
    site = cluster_site(cloud, CLUSTER)
    (had,) = cloud.tables.all("node-groups", f"{CLUSTER}/").values()
    newer = {**had["inputs"], "launchTemplate": {**had["inputs"]["launchTemplate"], "version": "$Latest"}}
    made = Made(site, registry.handler(planned.type), planned.name, planned.id, dict(had["inputs"]))
    with pytest.raises(ApiError, match=f"AsgInstanceLaunchFailures.*{why}"):
        made.change(**newer)


@pytest.mark.parametrize(("role", "launches"), [("karpenter-controller", True), ("ebs-csi", False)])
def test_nodes_and_claims_whose_role_may_not_use_the_key_are_refused(
    up: tuple[Cloud, Recording], volumes_key: str, role: str, launches: bool
) -> None:
    cloud, _ = up
    site, iam, name = cluster_site(cloud, CLUSTER), cloud.client("iam", REGION), f"{CLUSTER}-{role}"
    by_iam = json.dumps(document(*ACCOUNT_STATEMENT))
    cloud.client("kms", REGION).put_key_policy(KeyId=volumes_key, PolicyName="default", Policy=by_iam)

    def use() -> None:
        launch_nodes(site, "spot") if launches else claim_volume(site, "platform", "by-iam")

    use()  # the role's own policy is enough
    (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    told = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    iam.delete_role_policy(RoleName=name, PolicyName=policy)
    try:
        with pytest.raises(ApiError, match=f"{name} may not call kms:CreateGrant, kms:Decrypt"):
            use()
    finally:
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(told))


def test_a_protected_resource_stops_the_destroy_before_it_begins(up: tuple[Cloud, Recording]) -> None:
    cloud, recording = up
    before = inventory(cloud, REGION)
    guarded = tuple(replace(r, protect=r.type == "aws:ec2/vpc:Vpc") for r in recording)
    with pytest.raises(ApiError, match=r"Protected.*network-vpc"):
        graph.destroy(replace(recording, registrations=guarded), cloud)
    assert inventory(cloud, REGION) == before


def test_an_ingress_whose_controller_lost_its_role_first_stays_and_says_why(
    up: tuple[Cloud, Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the order is for: its load balancer's interfaces would keep the subnets and the VPC."""
    cloud, recording = up
    monkeypatch.setattr(cloud.clock, "patience", 0.5)  # it stays for as long as anybody waits
    site = cluster_site(cloud, CLUSTER)
    expose(site, "ingress", "early", ingress=True)
    (application,) = (r for r in recording if r.name == "ingress-application")
    key = f"{CLUSTER}/aws-load-balancer-controller/aws-load-balancer-controller"
    association = cloud.tables.remove("pod-identities", key)
    assert association is not None
    alone = replace(recording, registrations=(*(r for r in recording if not graph.is_made(r)), application))
    with pytest.raises(graph.ApplyError, match="aws-load-balancer-controller has no role"):
        graph.destroy(alone, cloud)
    assert [interface for interface in inventory(cloud, REGION) if "eni-" in str(interface)]
    cloud.tables.put("pod-identities", key, association)


def test_destroy_with_live_nodes_load_balancers_and_volumes_leaves_nothing(
    up: tuple[Cloud, Recording], volumes_key: str
) -> None:
    cloud, recording = up
    site = cluster_site(cloud, CLUSTER)
    launch_nodes(site, "spot", 2)
    expose(site, "platform", "frontend")
    expose(site, "ingress", "shop", ingress=True)
    claim_volume(site, "platform", "opensearch")
    graph.destroy(recording, cloud)
    assert inventory(cloud, REGION) == [("key", volumes_key.rpartition("/")[2])], "the company's"


def test_every_request_of_a_life_was_held_against_the_model_of_its_service(up: tuple[Cloud, Recording]) -> None:
    requests = up[0].requests
    assert not requests.sent - requests.held
    assert sum(requests.sent.values()) > 200
    assert {name.partition(".")[0] for name in requests.sent} == {*SERVICES} - {"ssm"}


def of_aws(calls: Authorization) -> list[Call]:
    """The calls that IAM decides; a cluster's own API decides the others."""
    return [call for call in calls.calls if not call.request.action.startswith("kubernetes:")]


def least(calls: Authorization) -> dict[str, Any]:
    """A policy with a statement for each action that was asked for, on its resources, in its region, with its tags."""
    found: dict[str, dict[str, Any]] = {}
    for call in of_aws(calls):
        for resource in call.request.resources:
            one = found.setdefault(call.request.action, {"Effect": "Allow", "Action": call.request.action})
            one["Resource"] = sorted({*one.get("Resource", []), resource.arn})
            region = call.request.keys["aws:RequestedRegion"]
            one["Condition"] = {"StringEquals": {"aws:RequestedRegion": region}}
    return {"Statement": list(found.values())}


def test_a_whole_life_is_judged_and_any_permission_taken_away_is_missed(up: tuple[Cloud, Recording]) -> None:
    """After up and destroy: what was asked would pass a role with just that, and no role with anything less."""
    calls = up[0].authorization
    assert isinstance(calls, Authorization)
    judged = of_aws(calls)
    assert len(judged) > 300
    told = least(calls)
    caller = Caller(arn="arn:aws:sts::123456789012:assumed-role/up/s", role="arn:aws:iam::123456789012:role/up")

    whole = replace(caller, identity=(told,))
    assert [call.request.action for call in judged if not decide(call.request, whole)] == []
    faults = 0
    for number, statement in enumerate(told["Statement"]):
        if statement["Action"] in FREE:
            continue
        elsewhere = {"Condition": {"StringEquals": {"aws:RequestedRegion": "ap-south-2"}}}
        another = {"Resource": [arn.replace("123456789012", "999999999999") for arn in statement["Resource"]]}
        for less in (None, elsewhere, another):
            rest = [entry for place, entry in enumerate(told["Statement"]) if place != number]
            faulty = [*rest, *([{**statement, **less}] if less else [])]
            if less is another and another["Resource"] == statement["Resource"]:
                continue
            faults += 1
            asking = replace(caller, identity=({"Statement": faulty},))
            mine = [call for call in judged if call.request.action == statement["Action"]]
            assert not all(decide(entry.request, asking) for entry in mine), (statement["Action"], less)
    assert faults > 250


def test_preflight_asks_for_the_permissions_of_a_whole_life(up: tuple[Cloud, Recording], volumes_key: str) -> None:
    """Of up, a refresh and destroy: no call is left for an update to be refused halfway."""
    cloud = up[0]
    assert isinstance(cloud.authorization, Authorization)
    recording = record("dev", config_overrides={"encryption": {"volumesKmsKeyArn": volumes_key}})
    planned = {request.action for request, _ in permissions.requests(situation_of(cloud, recording))}
    asked = {call.request.action for call in of_aws(cloud.authorization)}
    assert planned - {"iam:CreateServiceLinkedRole"} == asked - {"iam:CreateServiceLinkedRole"}


def test_what_the_cloud_refuses_ends_the_run_and_names_it(cloud: Cloud) -> None:
    elsewhere = "eu-central-1"

    def program() -> None:
        opts = pulumi.ResourceOptions(provider=aws.Provider("aws", region=elsewhere))
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=opts)
        aws.ec2.Subnet("outside", vpc_id=vpc.id, cidr_block="10.1.0.0/24", opts=opts)

    before = inventory(cloud, elsewhere)
    with pytest.raises(graph.ApplyError, match=r"outside: InvalidSubnet\.Range") as failed:
        graph.apply_program(program, cloud)
    assert [r.name for r in failed.value.recording if graph.is_made(r)] == ["vpc"]
    graph.destroy(failed.value.recording, cloud)
    assert inventory(cloud, elsewhere) == before
