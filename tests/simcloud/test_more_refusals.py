"""What AWS refuses beyond its models, by kind: principals, endpoints, zones, retentions, attributes, quotas, names."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.aws import principals
from otel_on_spot.simcloud.aws.eks_cluster import refuse_endpoint
from otel_on_spot.simcloud.aws.endpoints import endpoint_services
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.handler import Site
from tests.simcloud.conftest import Maker, trust
from tests.unit.conftest import recorded

ACCOUNT = "arn:aws:iam::123456789012"


def trusting(principal: dict[str, Any]) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def known(aws: Maker) -> Maker:
    aws.make("aws:iam/role:Role", "known", name="known", path="/team/", assumeRolePolicy=trust("ec2.amazonaws.com"))
    return aws


@pytest.mark.parametrize(
    ("principal", "unknown"),
    [
        ({"Service": "ec2.amazonaws.com"}, []),
        ({"Service": ["pods.eks.amazonaws.com", "vpc-flow-logs.amazonaws.com", "fis.amazonaws.com"]}, []),
        ({"Service": "logs.eu-west-1.amazonaws.com"}, []),
        ({"Service": "logs.eu-west-2.amazonaws.com"}, ['"SERVICE":"logs.eu-west-2.amazonaws.com"']),
        ({"Service": "ec3.amazonaws.com"}, ['"SERVICE":"ec3.amazonaws.com"']),
        ({"Service": "ec2"}, ['"SERVICE":"ec2"']),
        ({"Service": "ec2.example.com"}, ['"SERVICE":"ec2.example.com"']),
        ({"Service": ["ec2.amazonaws.com", "karpenter.sh"]}, ['"SERVICE":"karpenter.sh"']),
        ({"AWS": "*"}, []),
        ({"AWS": "123456789012"}, []),
        ({"AWS": f"{ACCOUNT}:root"}, []),
        ({"AWS": f"{ACCOUNT}:role/team/known"}, []),
        ({"AWS": f"{ACCOUNT}:role/known"}, [f'"AWS":"{ACCOUNT}:role/known"']),
        ({"AWS": f"{ACCOUNT}:role/nobody"}, [f'"AWS":"{ACCOUNT}:role/nobody"']),
        ({"AWS": f"{ACCOUNT}:user/nobody"}, [f'"AWS":"{ACCOUNT}:user/nobody"']),
        ({"AWS": f"{ACCOUNT}:group/people"}, [f'"AWS":"{ACCOUNT}:group/people"']),
        ({"AWS": "arn:aws:iam::210987654321:role/theirs"}, []),
        ({"AWS": "arn:aws:iam::2109:role/short"}, ['"AWS":"arn:aws:iam::2109:role/short"']),
        ({"Federated": "cognito-identity.amazonaws.com"}, []),
        ({"Robot": "r2"}, ['"ROBOT":"r2"']),
    ],
)
def test_a_principal_that_aws_does_not_find_is_refused_in_every_policy(
    known: Maker, principal: dict[str, Any], unknown: list[str]
) -> None:
    assert principals.unknown(known.site, trusting(principal)) == unknown


@pytest.mark.parametrize(
    ("arn", "why"),
    [
        (f"{ACCOUNT}:role/team/known", ""),
        ("arn:aws:iam::210987654321:role/theirs", ""),
        (f"{ACCOUNT}:role/known", "invalid principal"),
        (f"{ACCOUNT}:root", "invalid principal"),
        ("arn:aws:sts::123456789012:assumed-role/known/me", "invalid principal"),
        (f"{ACCOUNT}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot", "service-linked role"),
    ],
)
def test_an_access_entry_takes_roles_and_users_that_are_there(known: Maker, arn: str, why: str) -> None:
    found = principals.why_no_entry(known.site, arn)
    assert why in found
    assert bool(found) is bool(why)


@pytest.mark.parametrize(("service", "kind"), [("sts", "Interface"), ("ecr.dkr", "Interface"), ("s3", "Gateway")])
def test_an_endpoint_is_of_a_service_that_has_one_in_this_region(aws: Maker, service: str, kind: str) -> None:
    vpc = aws.make("aws:ec2/vpc:Vpc", "endpoints", cidrBlock="10.61.0.0/16")
    asked = {"vpcId": vpc.id, "serviceName": f"com.amazonaws.eu-west-1.{service}", "vpcEndpointType": kind}
    aws.make("aws:ec2/vpcEndpoint:VpcEndpoint", "endpoint", **asked).delete()
    vpc.delete()


def test_every_service_that_karpenter_and_nodes_call_has_an_endpoint() -> None:
    assert {
        "ec2",
        "ecr.api",
        "ecr.dkr",
        "eks",
        "eks-auth",
        "sqs",
        "ssm",
        "sts",
        "logs",
        "kms",
        "s3",
    } <= endpoint_services()


@pytest.mark.parametrize("days", [6, 31])
def test_a_key_waits_a_week_to_a_month_for_its_deletion(aws: Maker, days: int) -> None:
    handler = aws.handler("aws:kms/key:Key")
    _, failures = handler.check("key", {}, {"deletionWindowInDays": days}, b"seed")
    assert [name for name, _ in failures] == ["deletionWindowInDays"]


@pytest.mark.parametrize(
    ("network", "why"),
    [
        ({"endpointPublicAccess": False, "endpointPrivateAccess": False}, "cannot be false"),
        ({"publicAccessCidrs": ["10.1.0.0/16"]}, "not allowed in publicAccessCidrs: 10.1.0.0/16"),
        ({"publicAccessCidrs": ["203.0.113.0/24", "192.168.1.1/32"]}, "192.168.1.1/32"),
        ({"publicAccessCidrs": ["no network"]}, "no network"),
        ({"publicAccessCidrs": ["0.0.0.0/0"]}, ""),
        ({"publicAccessCidrs": ["203.0.113.0/24"], "endpointPrivateAccess": True}, ""),
    ],
)
def test_an_api_endpoint_that_eks_refuses(network: dict[str, Any], why: str) -> None:
    if not why:
        refuse_endpoint(network)
        return
    with pytest.raises(ApiError, match=f"InvalidParameterException.*{why}"):
        refuse_endpoint(network)


@pytest.mark.parametrize("stack", ["dev", "staging", "prod", "lab"])
def test_the_api_endpoint_of_each_stack_is_one_that_eks_takes(stack: str) -> None:
    (cluster,) = recorded(stack).of_type("aws:eks/cluster:Cluster")
    refuse_endpoint(dict(cluster.inputs["vpcConfig"]))


def test_a_zone_without_a_control_plane_takes_no_cluster(cloud: Cloud) -> None:
    aws = Maker(Site(cloud, region="us-east-1"))
    vpc = aws.make("aws:ec2/vpc:Vpc", "zones", cidrBlock="10.62.0.0/16")
    zones = cloud.client("ec2", "us-east-1").describe_availability_zones()["AvailabilityZones"]
    names = {zone["ZoneId"]: zone["ZoneName"] for zone in zones}
    subnets = [
        aws.make(
            "aws:ec2/subnet:Subnet", zone, vpcId=vpc.id, cidrBlock=f"10.62.{n}.0/24", availabilityZone=names[zone]
        ).id
        for n, zone in enumerate(("use1-az1", "use1-az3"))
    ]
    with pytest.raises(ApiError, match=r"UnsupportedAvailabilityZoneException.*use1-az3"):
        aws.make("aws:eks/cluster:Cluster", "zones", roleArn="arn:x", vpcConfig={"subnetIds": subnets})


@pytest.fixture(scope="module")
def small(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Maker]:
    """The same cloud's account with AWS's own quotas, in a region where nothing else is."""
    before = cloud.quotas
    cloud.quotas = {"addresses": 5, "vpcs": 5}
    yield Maker(Site(cloud, region="ap-south-1"))
    cloud.quotas = before


def test_a_region_has_five_addresses_and_five_networks(small: Maker) -> None:
    for number in range(5):
        small.make("aws:ec2/eip:Eip", f"address-{number}", domain="vpc")
    with pytest.raises(ApiError, match="AddressLimitExceeded: The maximum number of addresses has been reached: 5"):
        small.make("aws:ec2/eip:Eip", "one-more", domain="vpc")
    for number in range(4):  # one is there: the default one
        small.make("aws:ec2/vpc:Vpc", f"vpc-{number}", cidrBlock=f"10.{number}.0.0/16")
    with pytest.raises(ApiError, match="VpcLimitExceeded: The maximum number of VPCs has been reached: 5"):
        small.make("aws:ec2/vpc:Vpc", "one-more", cidrBlock="10.5.0.0/16")


def test_a_region_has_as_many_as_service_quotas_tells_and_more_when_they_are_asked_for(cloud: Cloud) -> None:
    told, region = cloud.quotas, "ap-south-2"
    cloud.quotas = {"vpcs": 20}
    try:
        assert (cloud.quota("addresses", region), cloud.quota("vpcs", region)) == (5, 20)
        cloud.client("service-quotas", region).request_service_quota_increase(
            ServiceCode="ec2", QuotaCode="L-0263D0A3", DesiredValue=7
        )
        assert cloud.quota("addresses", region) == 7
    finally:
        cloud.quotas = told


def test_names_of_iam_are_taken_in_every_region_at_once(cloud: Cloud) -> None:
    here, there = (Maker(Site(cloud, region=region)) for region in ("eu-west-1", "eu-central-1"))
    role = here.make("aws:iam/role:Role", "global", name="global", assumeRolePolicy=trust("ec2.amazonaws.com"))
    with pytest.raises(ApiError, match="EntityAlreadyExists"):
        there.make("aws:iam/role:Role", "global", name="global", assumeRolePolicy=trust("ec2.amazonaws.com"))
    there.make("aws:iam/instanceProfile:InstanceProfile", "global", name="global", role="global")
    with pytest.raises(ApiError, match="EntityAlreadyExists"):
        here.make("aws:iam/instanceProfile:InstanceProfile", "global", name="global", role="global")
    with pytest.raises(ApiError, match="DeleteConflict"):
        role.delete()


TEMPLATE: dict[str, Any] = {
    "description": "warn one node",
    "roleArn": f"{ACCOUNT}:role/known",
    "stopConditions": [{"source": "none"}],
    "targets": [
        {
            "name": "node",
            "resourceType": "aws:ec2:spot-instance",
            "selectionMode": "COUNT(1)",
            "resourceTags": [{"key": "stack", "value": "dev"}],
            "filters": [{"path": "State.Name", "values": ["running"]}],
        }
    ],
    "actions": [
        {
            "name": "warn",
            "actionId": "aws:ec2:send-spot-instance-interruptions",
            "parameters": [{"key": "durationBeforeInterruption", "value": "PT2M"}],
            "target": {"key": "SpotInstances", "value": "node"},
        }
    ],
}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"roleArn": "known"}, "'roleArn' failed"),
        ({"description": "x" * 513}, "'description' failed"),
        ({"stopConditions": [{"source": "alarm", "value": "not an arn"}]}, "stopConditions.1.member.value"),
        ({"targets": [{**TEMPLATE["targets"][0], "selectionMode": "one node"}]}, "targets.node.member.selectionMode"),
        ({"targets": [{"name": "node", "selectionMode": "ALL"}]}, "targets.node.member.resourceType"),
        ({"actions": [{**TEMPLATE["actions"][0], "actionId": "warn it"}]}, "actions.warn.member.actionId"),
        ({"targets": []}, "Action warn names target node, which is not there"),
    ],
)
def test_an_experiment_template_that_the_model_of_fis_refuses_is_refused_made_and_changed(
    known: Maker, wrong: dict[str, Any], sentence: str
) -> None:
    kind = "aws:fis/experimentTemplate:ExperimentTemplate"
    with pytest.raises(ApiError, match=sentence):
        known.make(kind, "wrong", **TEMPLATE | wrong)
    sound = known.make(kind, "sound", **TEMPLATE)
    with pytest.raises(ApiError, match=sentence):
        sound.change(**TEMPLATE | wrong)
    sound.delete()
