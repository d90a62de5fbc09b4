"""The simulated cloud refuses what AWS refuses, in AWS's words, where moto alone would not too."""

import json
from typing import Any

import pytest

from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.aws import eks_cluster, registry
from otel_on_spot.simcloud.aws.eks_nodes import IMAGE, NodeGroup, terminate
from tests.simcloud.conftest import Maker, trust


@pytest.fixture(scope="module")
def vpc(aws: Maker) -> Any:
    return aws.make("aws:ec2/vpc:Vpc", "refusals", cidrBlock="10.77.0.0/16")


def test_a_subnet_with_a_network_interface_in_it_is_not_deleted(aws: Maker, vpc: Any) -> None:
    subnet = aws.make("aws:ec2/subnet:Subnet", "lived-in", vpcId=vpc.id, cidrBlock="10.77.16.0/24")
    ec2 = aws.site.client("ec2")
    eni = ec2.create_network_interface(SubnetId=subnet.id)["NetworkInterface"]["NetworkInterfaceId"]
    with pytest.raises(ApiError, match=rf"DependencyViolation.*{eni}"):
        subnet.delete()
    ec2.delete_network_interface(NetworkInterfaceId=eni)
    subnet.delete()
    assert subnet.read() is None


def test_a_security_group_that_another_refers_to_is_not_deleted(aws: Maker, vpc: Any) -> None:
    used = aws.make("aws:ec2/securityGroup:SecurityGroup", "used", vpcId=vpc.id)
    rule = {"protocol": "tcp", "fromPort": 443, "toPort": 443, "securityGroups": [used.id]}
    using = aws.make("aws:ec2/securityGroup:SecurityGroup", "using", vpcId=vpc.id, ingress=[rule])
    with pytest.raises(ApiError, match=rf"DependencyViolation.*{using.id}"):
        used.delete()
    using.delete()
    used.delete()


def test_a_vpc_with_an_internet_gateway_is_not_deleted(aws: Maker) -> None:
    other = aws.make("aws:ec2/vpc:Vpc", "with-gateway", cidrBlock="10.78.0.0/16")
    gateway = aws.make("aws:ec2/internetGateway:InternetGateway", "gateway", vpcId=other.id)
    with pytest.raises(ApiError, match="DependencyViolation"):
        other.delete()
    gateway.delete()
    other.delete()


def test_an_address_that_a_nat_gateway_uses_is_not_released_and_its_gateway_not_detached(aws: Maker, vpc: Any) -> None:
    gateway = aws.make("aws:ec2/internetGateway:InternetGateway", "nat-way-out", vpcId=vpc.id)
    subnet = aws.make("aws:ec2/subnet:Subnet", "nat", vpcId=vpc.id, cidrBlock="10.77.32.0/24")
    address = aws.make("aws:ec2/eip:Eip", "nat", domain="vpc")
    nat = aws.make("aws:ec2/natGateway:NatGateway", "nat", allocationId=address.id, subnetId=subnet.id)
    for kept, code in (
        (address, r"InvalidIPAddress\.InUse"),
        (gateway, "mapped public address"),
        (subnet, "DependencyViolation"),
    ):
        with pytest.raises(ApiError, match=code):
            kept.delete()
    for deleted in (nat, address, gateway, subnet):
        deleted.delete()


def test_a_role_with_policies_stays(aws: Maker) -> None:
    role = aws.make("aws:iam/role:Role", "once", name="once", assumeRolePolicy=trust("ec2.amazonaws.com"))
    arn = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"
    attached = aws.make("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "attached", role="once", policyArn=arn)
    with pytest.raises(ApiError, match="DeleteConflict"):
        role.delete()
    attached.delete()
    role.delete()


def test_a_managed_policy_that_a_role_has_attached_is_not_deleted(aws: Maker) -> None:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    policy = aws.make(
        "aws:iam/policy:Policy", "attached", policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    role = aws.make("aws:iam/role:Role", "holder", name="holder", assumeRolePolicy=trust("ec2.amazonaws.com"))
    attached = aws.make(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "attachment", role="holder", policyArn=policy.id
    )
    with pytest.raises(ApiError, match=r"DeleteConflict.*holder"):
        policy.delete()
    for made in (attached, policy, role):
        made.delete()


def test_a_rule_with_targets_is_not_deleted(aws: Maker) -> None:
    queue = aws.make("aws:sqs/queue:Queue", "targeted", name="targeted")
    rule = aws.make(
        "aws:cloudwatch/eventRule:EventRule", "rule", name="targets", eventPattern='{"source": ["aws.ec2"]}'
    )
    target = aws.make(
        "aws:cloudwatch/eventTarget:EventTarget", "t", rule="targets", targetId="q", arn=queue.outputs["arn"]
    )
    with pytest.raises(ApiError, match="has targets"):
        rule.delete()
    for made in (target, rule, queue):
        made.delete()


def test_nodes_do_not_join_while_the_network_plugin_has_no_credentials(aws: Maker, cluster: Maker) -> None:
    role = aws.make("aws:iam/role:Role", "no-cni", name="no-cni", assumeRolePolicy=trust("ec2.amazonaws.com"))
    policy = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"
    aws.make("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "no-cni", role="no-cni", policyArn=policy)
    tables, name = cluster.site.cloud.tables, cluster.site.cluster
    for addon in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent"):
        tables.put("addons", f"{name}/{addon}", {"status": "ACTIVE"})
    group = {"subnetIds": [], "nodeRoleArn": role.outputs["arn"]}

    assert "has no credentials: AmazonEKS_CNI_Policy" in NodeGroup._why_not(cluster.site, name, group)
    tables.put("pod-identities", f"{name}/kube-system/aws-node", {"roleArn": role.outputs["arn"]})
    assert NodeGroup._why_not(cluster.site, name, group) == ""
    tables.remove("addons", f"{name}/eks-pod-identity-agent")
    assert "has no credentials" in NodeGroup._why_not(cluster.site, name, group)


def test_a_control_plane_goes_up_by_one_minor_and_back_within_seven_days_where_no_node_is_newer(cluster: Maker) -> None:
    name = cluster.site.cluster
    row: dict[str, Any] = {"inputs": {"version": "1.35"}}

    def move(to: str, nodes_at: str = "1.35") -> None:
        cluster.site.cloud.tables.put("node-groups", f"{name}/group", {"release": f"{nodes_at}.2-20260901"})
        eks_cluster.Cluster._move_minor(cluster.site, name, row, to)
        row["inputs"] = {"version": to}

    for skipped in ("1.37", "1.34"):
        with pytest.raises(ApiError, match=rf"version update from 1\.35 to {skipped}"):
            move(skipped)
    move("1.36")
    with pytest.raises(ApiError, match=r"Nodegroups group must be updated to match cluster version 1\.36"):
        move("1.37")
    with pytest.raises(ApiError, match="kubelet version skew of nodegroups group"):
        move("1.35", nodes_at="1.36")
    move("1.35")
    move("1.36")
    row["raised"]["at"] -= eks_cluster.ROLLBACK_SECONDS + 1
    with pytest.raises(ApiError, match="window of 7 days"):
        move("1.35")


@pytest.mark.parametrize(
    ("minor", "image", "there"),
    [
        ("1.35", "amazon-eks-node-al2023-x86_64-standard-1.35-v20260930", True),
        ("1.36", "amazon-eks-node-al2023-x86_64-standard-1.36-v20260930", True),
        ("1.36", "amazon-eks-node-al2023-x86_64-standard-1.36-v20260601", False),
        ("1.37", "amazon-eks-node-al2023-x86_64-standard-1.37-v20260930", False),
        ("1.36", "amazon-eks-node-al2023-x86_64-standard-1.35-v20260930", False),
        ("1.36", "amazon-eks-node-al2023-arm64-standard-1.36-v20260930", False),
        ("1.36", "recommended", True),
        ("1.37", "recommended", False),
    ],
)
def test_an_image_is_there_for_the_minors_of_its_day(aws: Maker, minor: str, image: str, there: bool) -> None:
    path = f"/aws/service/eks/optimized-ami/{minor}/amazon-linux-2023/x86_64/standard/{image}"
    found = registry.invoke(aws.site, "aws:ssm/getParametersByPath:getParametersByPath", {"path": path})

    assert [name for name in found["names"] if name.endswith("/image_id")] == ([f"{path}/image_id"] if there else [])


def test_instances_and_volumes_are_listed_by_their_tags(aws: Maker, vpc: Any) -> None:
    subnet = aws.make("aws:ec2/subnet:Subnet", "listed", vpcId=vpc.id, cidrBlock="10.77.80.0/24")
    ec2, tags = aws.site.client("ec2"), [{"Key": "listed", "Value": "yes"}]
    told = [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")]
    asked = {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1, "SubnetId": subnet.id, "TagSpecifications": told}
    identity = ec2.run_instances(**asked)["Instances"][0]["InstanceId"]

    def ids(token: str, **arguments: Any) -> list[str]:
        return registry.invoke(aws.site, token, arguments)["ids"]

    for value, number in (("yes", 1), ("no", 0)):
        assert len(ids("aws:ec2/getInstances:getInstances", instanceTags={"listed": value})) == number
        assert len(ids("aws:ebs/getEbsVolumes:getEbsVolumes", tags={"listed": value})) == number
    (volume,) = ids("aws:ebs/getEbsVolumes:getEbsVolumes", tags={"listed": "yes"})
    by_id = {"filters": [{"name": "volume-id", "values": [volume]}]}
    described = registry.invoke(aws.site, "aws:ebs/getVolume:getVolume", by_id)
    assert (described["volumeId"], described["size"] > 0) == (volume, True)
    with pytest.raises(ApiError, match="no results"):
        registry.invoke(
            aws.site, "aws:ebs/getVolume:getVolume", {"filters": [{"name": "volume-id", "values": ["vol-0"]}]}
        )
    stopped = {"instanceTags": {"listed": "yes"}, "instanceStateNames": ["stopped"]}
    assert ids("aws:ec2/getInstances:getInstances", **stopped) == []
    terminate(aws.site, [identity])
    subnet.delete()
