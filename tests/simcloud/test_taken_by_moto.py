"""What AWS refuses and moto takes: routes, rules, endpoints, names, policies, quotas, control planes."""

import json
from typing import Any

import pytest

from otel_on_spot.simcloud.api_errors import ApiError
from tests.simcloud.conftest import Maker, trust

IAM = "arn:aws:iam::123456789012:"
GONE = "arn:aws:kms:eu-west-1:123456789012:key/0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"
VPC, SUBNET, TABLE = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/routeTable:RouteTable"
GATEWAY, ROUTE, GROUP = (
    "aws:ec2/internetGateway:InternetGateway",
    "aws:ec2/route:Route",
    "aws:ec2/securityGroup:SecurityGroup",
)
ENDPOINT, FLOW_LOG = "aws:ec2/vpcEndpoint:VpcEndpoint", "aws:ec2/flowLog:FlowLog"
ROLE, POLICY, INLINE = "aws:iam/role:Role", "aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
RULE, TARGET = "aws:cloudwatch/eventRule:EventRule", "aws:cloudwatch/eventTarget:EventTarget"
QUEUE, ALIAS, LOGS, CLUSTER = (
    "aws:sqs/queue:Queue",
    "aws:kms/alias:Alias",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:eks/cluster:Cluster",
)


def granting(**statement: Any) -> str:
    allowed = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **statement}
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


def trusting(**statement: Any) -> str:
    allowed = {"Effect": "Allow", "Action": "sts:AssumeRole", **statement}
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})


EC2 = {"Service": "ec2.amazonaws.com"}


@pytest.fixture(scope="module")
def there(aws: Maker) -> dict[str, Any]:
    """Ids of a network with two subnets, and of what else the requests name."""
    vpc = aws.make(VPC, "taken", cidrBlock="10.66.0.0/16", enableDnsHostnames=True)
    subnets = [
        aws.make(SUBNET, f"taken-{zone}", vpcId=vpc.id, cidrBlock=f"10.66.{index}.0/24", availabilityZone=zone)
        for index, zone in enumerate(("eu-west-1a", "eu-west-1b"))
    ]
    table = aws.make(TABLE, "taken", vpcId=vpc.id)
    gateway = aws.make(GATEWAY, "taken", vpcId=vpc.id)
    for name, kind, more in (
        ("sts", "Interface", {"subnetIds": [subnets[0].id], "privateDnsEnabled": True}),
        ("s3", "Gateway", {"routeTableIds": [table.id]}),
    ):
        service = f"com.amazonaws.eu-west-1.{name}"
        aws.make(ENDPOINT, f"taken-{name}", vpcId=vpc.id, serviceName=service, vpcEndpointType=kind, **more)
    for name, service in (("taken-nodes", "ec2.amazonaws.com"), ("taken-control", "eks.amazonaws.com")):
        aws.make(ROLE, name, name=name, assumeRolePolicy=trust(service))
    for index in range(10):
        policy = aws.make(POLICY, f"taken-{index}", name=f"taken-{index}", policy=granting())
        aws.make(ATTACHMENT, f"taken-{index}", role="taken-nodes", policyArn=policy.id)
    aws.make(RULE, "taken", name="taken", eventPattern='{"source":["aws.ec2"]}')
    queue = "arn:aws:sqs:eu-west-1:123456789012:taken"
    for index in range(5):
        aws.make(TARGET, f"taken-{index}", rule="taken", arn=queue, targetId=f"t{index}")
    key = aws.make("aws:kms/key:Key", "taken", description="taken")
    return {
        "vpc": vpc.id,
        "a": subnets[0].id,
        "b": subnets[1].id,
        "table": table.id,
        "gateway": gateway.id,
        "key": key.id,
        "key_arn": key.outputs["arn"],
        "queue": queue,
    }


def tcp(low: int, high: int, protocol: str = "tcp") -> list[dict[str, Any]]:
    return [{"protocol": protocol, "fromPort": low, "toPort": high, "cidrBlocks": ["10.0.0.0/8"]}]


GROUP_OF = {"vpcId": "{vpc}", "name": "taken", "description": "taken"}
FROM_A_TO_B = {"subnetIds": ["{a}", "{b}"]}
CONTROL_PLANE = {"roleArn": f"{IAM}role/taken-control", "vpcConfig": FROM_A_TO_B}
ROUTED = {"routeTableId": "{table}", "destinationCidrBlock": "1.0.0.0/8"}
IN_ZONE = {"vpcId": "{vpc}", "cidrBlock": "10.66.9.0/24", "availabilityZone": "eu-west-1a"}


def endpoint(service: str, kind: str = "Interface", **more: Any) -> dict[str, Any]:
    named = {"serviceName": f"com.amazonaws.eu-west-1.{service}", "vpcEndpointType": kind}
    return {"vpcId": "{vpc}", **named, **more}


CASES: list[tuple[str, dict[str, Any], str]] = [
    (SUBNET, {**IN_ZONE, "availabilityZone": "eu-west-2a"}, "following availability"),
    (SUBNET, {**IN_ZONE, "cidrBlock": "10.66.9.0/29"}, r"InvalidSubnet\.Range"),
    (SUBNET, {**IN_ZONE, "cidrBlock": "10.66.0.128/25"}, r"InvalidSubnet\.Conflict"),
    (GATEWAY, {"vpcId": "{vpc}"}, "already has an internet gateway attached"),
    (ROUTE, ROUTED, "MissingParameter"),
    (ROUTE, {**ROUTED, "natGatewayId": "nat-0123456789abcdef0"}, r"InvalidNatGatewayID\.NotFound"),
    (ROUTE, {**ROUTED, "destinationCidrBlock": "10.66.0.0/16", "gatewayId": "{gateway}"}, "RouteAlreadyExists"),
    (GROUP, {**GROUP_OF, "name": "sg-taken"}, r"format sg-\*"),
    (GROUP, {**GROUP_OF, "description": "caf\u00e9"}, "GroupDescription is invalid"),
    (GROUP, {**GROUP_OF, "name": "a|b"}, "GroupName is invalid"),
    (GROUP, {**GROUP_OF, "name": "taken-b", "ingress": tcp(9, 1)}, r"port range \(9:1\)"),
    (GROUP, {**GROUP_OF, "name": "taken-c", "egress": tcp(1, 65536)}, r"port range \(1:65536\)"),
    (GROUP, {**GROUP_OF, "name": "taken-d", "ingress": tcp(1, 1, "tpc")}, "Unknown protocol"),
    (ENDPOINT, endpoint("sqs2"), "^InvalidServiceName: "),
    (ENDPOINT, endpoint("iam"), "^InvalidServiceName: "),
    (ENDPOINT, {**endpoint("sts"), "serviceName": "com.amazonaws.eu-west-2.sts"}, "^InvalidServiceName: "),
    (ENDPOINT, {**endpoint("sts"), "serviceName": "sts"}, "^InvalidServiceName: "),
    (ENDPOINT, endpoint("sts", "Gateway"), "^InvalidParameter: "),
    (ENDPOINT, endpoint("sts", subnetIds=["{b}"], privateDnsEnabled=True), "conflicting DNS domain"),
    (ENDPOINT, endpoint("sqs", subnetIds=["{a}", "{a}"]), "DuplicateSubnetsInSameZone"),
    (ENDPOINT, endpoint("s3", "Gateway", routeTableIds=["{table}"]), "RouteAlreadyExists"),
    (
        FLOW_LOG,
        {"vpcId": "{vpc}", "trafficType": "ALL", "logDestination": "arn:aws:logs:eu-west-1:123456789012:log-group:/x"},
        "DeliverLogsPermissionArn",
    ),
    (ROLE, {"name": "taken-nodes", "assumeRolePolicy": trusting(Principal=EC2)}, "EntityAlreadyExists"),
    (POLICY, {"name": "taken", "policy": granting(Effect="Maybe")}, "MalformedPolicyDocument"),
    (
        POLICY,
        {"name": "taken", "policy": granting(Resource=[f"arn:aws:s3:::bucket-{n}/*" for n in range(300)])},
        r"LimitExceeded.*6144",
    ),
    (
        "aws:kms/key:Key",
        {"policy": granting(Principal={"Service": "eks.amazonaws.com"}, Action="kms:*")},  # it locks its owner out
        "MalformedPolicyDocument",
    ),
    (CLUSTER, {**CONTROL_PLANE, "vpcConfig": {"subnetIds": ["{a}"]}}, "two different AZs"),
    (ROLE, {"name": "taken", "assumeRolePolicy": trusting(Principal=EC2, Resource="*")}, "prohibited field Resource"),
    (ROLE, {"name": "taken", "assumeRolePolicy": trusting()}, "Missing required field Principal"),
    (
        ROLE,
        {"name": "taken", "assumeRolePolicy": trusting(Principal=EC2, Action="s3:GetObject")},
        "may only specify STS",
    ),
    (
        ROLE,
        {
            "name": "taken",
            "assumeRolePolicy": trusting(
                Principal=EC2, Condition={"StringEquals": {"aws:SourceArn": ["x" * 100] * 30}}
            ),
        },
        "ACLSizePerRole: 2048",
    ),
    (ATTACHMENT, {"role": "taken-nodes", "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}, "PoliciesPerRole: 10"),
    (POLICY, {"name": "taken", "policy": granting(Principal="*")}, "should not specify a principal"),
    (POLICY, {"name": "taken", "policy": granting(Sid="a b")}, "must be alpha-numeric"),
    (INLINE, {"role": "taken-nodes", "name": "taken", "policy": granting(Sid="a-b")}, "must be alpha-numeric"),
    (
        INLINE,
        {
            "role": "taken-nodes",
            "name": "taken",
            "policy": granting(Resource=[f"arn:aws:s3:::{'x' * 50}{index}" for index in range(200)]),
        },
        "Maximum policy size of 10240 bytes",
    ),
    (RULE, {"name": "taken-too"}, "EventPattern or ScheduleExpression"),
    (TARGET, {"rule": "taken", "arn": "{queue}", "targetId": "sixth"}, "LimitExceededException"),
    (QUEUE, {"name": "taken.fifo"}, "alphanumeric characters"),
    (
        QUEUE,
        {"name": "taken", "sqsManagedSseEnabled": True, "kmsMasterKeyId": "alias/aws/sqs"},
        "one type of server-side encryption",
    ),
    (ALIAS, {"name": "alias/aws/taken", "targetKeyId": "{key}"}, "reserved for AWS"),
    (LOGS, {"name": "aws/taken"}, "reserved for AWS"),
    (LOGS, {"name": "/taken", "kmsKeyId": GONE}, "could not be found"),
    (CLUSTER, {**CONTROL_PLANE, "roleArn": f"{IAM}role/taken-nodes"}, "trusted entity is not correct"),
    (CLUSTER, {**CONTROL_PLANE, "version": "1.20"}, "unsupported Kubernetes version"),
    (CLUSTER, {**CONTROL_PLANE, "version": "1.99"}, "unsupported Kubernetes version"),
    (
        CLUSTER,
        {**CONTROL_PLANE, "vpcConfig": {**FROM_A_TO_B, "securityGroupIds": ["sg-0123456789abcdef0"]}},
        r"InvalidGroup\.NotFound",
    ),
    (
        CLUSTER,
        {**CONTROL_PLANE, "encryptionConfig": {"resources": ["pods"], "provider": {"keyArn": "{key_arn}"}}},
        "Unsupported resources",
    ),
    (CLUSTER, {**CONTROL_PLANE, "kubernetesNetworkConfig": {"serviceIpv4Cidr": "8.8.0.0/16"}}, "is not a private one"),
]


def filled(value: Any, ids: dict[str, Any]) -> Any:
    """Inputs with ids in place of ``{name}``."""
    if isinstance(value, dict):
        return {key: filled(below, ids) for key, below in value.items()}
    if isinstance(value, list):
        return [filled(below, ids) for below in value]
    return ids[value[1:-1]] if isinstance(value, str) and value[1:-1] in ids and value[0] == "{" else value


@pytest.mark.parametrize(("token", "inputs", "why"), CASES)
def test_what_aws_refuses_is_refused(
    aws: Maker, there: dict[str, Any], token: str, inputs: dict[str, Any], why: str
) -> None:
    named = {"name": "taken"} if token == CLUSTER else {}
    with pytest.raises(ApiError, match=why):
        aws.make(token, "taken-too", **named, **filled(inputs, there))


def test_a_service_has_a_gateway_and_an_interface_with_its_private_name(aws: Maker, there: dict[str, Any]) -> None:
    made = aws.make(
        ENDPOINT,
        "both-ways",
        vpcId=there["vpc"],
        serviceName="com.amazonaws.eu-west-1.s3",
        vpcEndpointType="Interface",
        subnetIds=[there["a"]],
        privateDnsEnabled=True,
        dnsOptions={"privateDnsOnlyForInboundResolverEndpoint": True},
    )
    made.delete()
