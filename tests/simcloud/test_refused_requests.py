"""Requests that AWS refuses beyond its models and moto takes: of other networks, in other states, sizes and names."""

import itertools
import json
from typing import Any

import pytest
from pulumi_aws import budgets, cloudwatch, ec2, eks
from pydantic.alias_generators import to_camel

from otel_on_spot.simcloud.api_errors import ApiError, UnfinishedError
from otel_on_spot.simcloud.aws import alarms, security_groups
from tests.simcloud.conftest import Maker, trust

IAM = "arn:aws:iam::123456789012:"
VPC, SUBNET, TABLE, ROUTE = (
    f"aws:ec2/{name}" for name in ("vpc:Vpc", "subnet:Subnet", "routeTable:RouteTable", "route:Route")
)
FOLLOWS, GATEWAY = "aws:ec2/routeTableAssociation:RouteTableAssociation", "aws:ec2/internetGateway:InternetGateway"
NAT, ADDRESS, GROUP = "aws:ec2/natGateway:NatGateway", "aws:ec2/eip:Eip", "aws:ec2/securityGroup:SecurityGroup"
ENDPOINT, FLOW_LOG, TEMPLATE = (
    "aws:ec2/vpcEndpoint:VpcEndpoint",
    "aws:ec2/flowLog:FlowLog",
    "aws:ec2/launchTemplate:LaunchTemplate",
)
POLICY_OF_IAM, INLINE, QUEUES = "aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy", "aws:sqs/queue:Queue"
ALIAS, LOGS = "aws:kms/alias:Alias", "aws:cloudwatch/logGroup:LogGroup"
ROLE, ATTACHMENT, KEY = "aws:iam/role:Role", "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "aws:kms/key:Key"
CLUSTER, NODES = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup"
ENTRY, ACCESS = "aws:eks/accessEntry:AccessEntry", "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
ADDON, IDENTITY = "aws:eks/addon:Addon", "aws:eks/podIdentityAssociation:PodIdentityAssociation"
RULE, TARGET = "aws:cloudwatch/eventRule:EventRule", "aws:cloudwatch/eventTarget:EventTarget"
ALARM, BUDGET, BUCKET = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:budgets/budget:Budget", "aws:s3/bucket:Bucket"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"


@pytest.fixture(scope="module")
def there(aws: Maker) -> dict[str, Any]:
    """Ids of two networks, a cluster in one of them, and what else the requests name."""
    vpc = aws.make(VPC, "here", cidrBlock="10.67.0.0/16", enableDnsSupport=True, enableDnsHostnames=False)
    other = aws.make(VPC, "other", cidrBlock="10.68.0.0/16")
    a, b, elsewhere = (
        aws.make(SUBNET, name, vpcId=home.id, cidrBlock=f"{cidr}/24", availabilityZone=f"eu-west-1{name[0]}")
        for name, home, cidr in (("a", vpc, "10.67.0.0"), ("b", vpc, "10.67.1.0"), ("b2", other, "10.68.0.0"))
    )
    tables = [aws.make(TABLE, "table", vpcId=home.id).id for home in (vpc, other)]
    gateway = aws.make(GATEWAY, "here", vpcId=vpc.id)
    foreign = aws.make(GROUP, "foreign", vpcId=other.id, name="foreign", description="d")
    key = aws.make(KEY, "gone", description="gone")
    key.delete()
    for name, service in (("req-control", "eks"), ("req-nodes", "ec2"), ("req-people", "ec2"), ("req-more", "ec2")):
        aws.make(ROLE, name, name=name, assumeRolePolicy=trust(f"{service}.amazonaws.com"))
    document = trust("pods.eks.amazonaws.com", "sts:AssumeRole", "sts:TagSession")
    aws.make(ROLE, "req-pods", name="req-pods", assumeRolePolicy=document)
    templates = [
        aws.make(TEMPLATE, name, name=f"req-{name}", **more)
        for name, more in (("type", {"instanceType": "m7i.large"}), ("image", {"imageId": "ami-12c6146b"}))
    ]
    aws.make(RULE, "req", name="req", eventPattern='{"source":["aws.ec2"]}')
    bucket = aws.make(BUCKET, "req", bucket="refused-requests")
    block = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    aws.make(block, "req", bucket=bucket.id, blockPublicPolicy=True)
    network = {"subnetIds": [a.id, b.id], "endpointPublicAccess": True}
    access = {"authenticationMode": "API_AND_CONFIG_MAP"}
    asked = {"roleArn": f"{IAM}role/req-control", "version": "1.35", "vpcConfig": network, "accessConfig": access}
    cluster = aws.make(CLUSTER, "req", name="req", **asked)
    aws.make(CLUSTER, "req-map", name="req-map", **{**asked, "accessConfig": {"authenticationMode": "CONFIG_MAP"}})
    aws.make(ENTRY, "req", clusterName="req", principalArn=f"{IAM}role/req-people", type="STANDARD")
    named = aws.make(VPC, "taken", cidrBlock="10.66.0.0/16", enableDnsHostnames=True)
    subnets = [
        aws.make(SUBNET, f"taken-{zone}", vpcId=named.id, cidrBlock=f"10.66.{index}.0/24", availabilityZone=zone)
        for index, zone in enumerate(("eu-west-1a", "eu-west-1b"))
    ]
    used_table = aws.make(TABLE, "taken", vpcId=named.id)
    used_gateway = aws.make(GATEWAY, "taken", vpcId=named.id)
    for name, kind, more in (
        ("sts", "Interface", {"subnetIds": [subnets[0].id], "privateDnsEnabled": True}),
        ("s3", "Gateway", {"routeTableIds": [used_table.id]}),
    ):
        service = f"com.amazonaws.eu-west-1.{name}"
        aws.make(ENDPOINT, f"taken-{name}", vpcId=named.id, serviceName=service, vpcEndpointType=kind, **more)
    for name, service in (("taken-nodes", "ec2.amazonaws.com"), ("taken-control", "eks.amazonaws.com")):
        aws.make(ROLE, name, name=name, assumeRolePolicy=trust(service))
    for index in range(10):
        policy = aws.make(POLICY_OF_IAM, f"taken-{index}", name=f"taken-{index}", policy=granting())
        aws.make(ATTACHMENT, f"taken-{index}", role="taken-nodes", policyArn=policy.id)
    aws.make(RULE, "taken", name="taken", eventPattern='{"source":["aws.ec2"]}')
    queue = "arn:aws:sqs:eu-west-1:123456789012:taken"
    for index in range(5):
        aws.make(TARGET, f"taken-{index}", rule="taken", arn=queue, targetId=f"t{index}")
    live_key = aws.make(KEY, "taken", description="taken")
    return {
        "named": named.id,
        "x": subnets[0].id,
        "y": subnets[1].id,
        "used-table": used_table.id,
        "used-gateway": used_gateway.id,
        "live-key": live_key.id,
        "live-arn": live_key.outputs["arn"],
        "queue": queue,
        "vpc": vpc.id,
        "other": other.id,
        "a": a.id,
        "b": b.id,
        "elsewhere": elsewhere.id,
        "table": tables[0],
        "their-table": tables[1],
        "gateway": gateway.id,
        "foreign": foreign.id,
        "key": key.id,
        "key-arn": key.outputs["arn"],
        "of-type": templates[0].id,
        "of-image": templates[1].id,
        "bucket": bucket.id,
        "cluster": cluster,
        "asked": asked,
    }


NUMBERS = itertools.count()
"""Of security groups: one that is made stays where its rules are refused."""


def one_rule(**more: Any) -> dict[str, Any]:
    rule = {"protocol": "tcp", "fromPort": 1, "toPort": 1, "cidrBlocks": ["10.0.0.0/8"], **more}
    return {"vpcId": "{vpc}", "name": f"req-{next(NUMBERS)}", "description": "d", "ingress": [rule]}


def of(defaults: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {key: value for key, value in {**defaults, **more}.items() if value is not None}


INTERFACE = {"vpcId": "{vpc}", "serviceName": "com.amazonaws.eu-west-1.sqs", "vpcEndpointType": "Interface"}
S3 = {"vpcId": "{vpc}", "serviceName": "com.amazonaws.eu-west-1.s3", "vpcEndpointType": "Gateway"}
LOG = {"vpcId": "{vpc}", "trafficType": "ALL", "iamRoleArn": f"{IAM}role/req-nodes"}
LOGS_HERE = "arn:aws:logs:eu-west-1:123456789012:log-group:/req"
CONTROL = {"name": "req-2", "roleArn": f"{IAM}role/req-control", "vpcConfig": {"subnetIds": ["{a}", "{b}"]}}
SIZE = {"minSize": 1, "desiredSize": 1, "maxSize": 2}
SYSTEM = {
    "clusterName": "req",
    "nodeGroupName": "req",
    "nodeRoleArn": f"{IAM}role/req-nodes",
    "subnetIds": ["{a}"],
    "scalingConfig": SIZE,
}
SOMEBODY = {"clusterName": "req", "principalArn": f"{IAM}role/req-more", "type": "STANDARD"}
POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKS"
VIEWS = {
    "clusterName": "req",
    "principalArn": f"{IAM}role/req-people",
    "policyArn": f"{POLICY}ViewPolicy",
    "accessScope": {"type": "cluster"},
}
CNI = {"clusterName": "req", "addonName": "vpc-cni", "addonVersion": "v1.23.2-eksbuild.1"}
POD = {"clusterName": "req", "namespace": "kube-system", "serviceAccount": "x", "roleArn": f"{IAM}role/req-pods"}
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:req"
FIRES = {
    "name": "req",
    "comparisonOperator": "GreaterThanThreshold",
    "threshold": 1,
    "evaluationPeriods": 1,
    "namespace": "AWS/SQS",
    "metricName": "Age",
    "statistic": "Sum",
    "period": 60,
}
QUERIES = {**FIRES, "namespace": None, "metricName": None, "statistic": None, "period": None}
SPENDS = {"name": "req", "budgetType": "COST", "timeUnit": "MONTHLY", "limitAmount": "9", "limitUnit": "USD"}
NOTICE = {
    "comparisonOperator": "GREATER_THAN",
    "threshold": 80,
    "thresholdType": "PERCENTAGE",
    "notificationType": "ACTUAL",
    "subscriberEmailAddresses": ["a@b.org"],
}


def statement(**told: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", **told}]})


GROUP_OF = {"vpcId": "{named}", "name": "taken", "description": "taken"}
FROM_A_TO_B = {"subnetIds": ["{x}", "{y}"]}
CONTROL_PLANE = {"name": "taken", "roleArn": f"{IAM}role/taken-control", "vpcConfig": FROM_A_TO_B}
ROUTED = {"routeTableId": "{used-table}", "destinationCidrBlock": "1.0.0.0/8"}
IN_ZONE = {"vpcId": "{named}", "cidrBlock": "10.66.9.0/24", "availabilityZone": "eu-west-1a"}
EC2, NOBODY = {"Service": "ec2.amazonaws.com"}, {"Service": "ec3.amazonaws.com"}
GONE = "arn:aws:kms:eu-west-1:123456789012:key/0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"


def granting(**more: Any) -> str:
    allowed = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


def trusting(**more: Any) -> str:
    allowed = {"Effect": "Allow", "Action": "sts:AssumeRole", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})


def tcp(low: int, high: int, protocol: str = "tcp") -> list[dict[str, Any]]:
    return [{"protocol": protocol, "fromPort": low, "toPort": high, "cidrBlocks": ["10.0.0.0/8"]}]


def endpoint(service: str, kind: str = "Interface", **more: Any) -> dict[str, Any]:
    named = {"serviceName": f"com.amazonaws.eu-west-1.{service}", "vpcEndpointType": kind}
    return {"vpcId": "{named}", **named, **more}


CASES: list[tuple[str, dict[str, Any], str]] = [
    (SUBNET, {**IN_ZONE, "availabilityZone": "eu-west-2a"}, "following availability"),
    (SUBNET, {**IN_ZONE, "cidrBlock": "10.66.9.0/29"}, r"InvalidSubnet\.Range"),
    (SUBNET, {**IN_ZONE, "cidrBlock": "10.66.0.128/25"}, r"InvalidSubnet\.Conflict"),
    (GATEWAY, {"vpcId": "{named}"}, "already has an internet gateway attached"),
    (ROUTE, ROUTED, "MissingParameter"),
    (ROUTE, {**ROUTED, "natGatewayId": "nat-0123456789abcdef0"}, r"InvalidNatGatewayID\.NotFound"),
    (ROUTE, {**ROUTED, "destinationCidrBlock": "10.66.0.0/16", "gatewayId": "{used-gateway}"}, "RouteAlreadyExists"),
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
    (ENDPOINT, endpoint("sts", subnetIds=["{y}"], privateDnsEnabled=True), "conflicting DNS domain"),
    (ENDPOINT, endpoint("sqs", subnetIds=["{x}", "{x}"]), "DuplicateSubnetsInSameZone"),
    (ENDPOINT, endpoint("s3", "Gateway", routeTableIds=["{used-table}"]), "RouteAlreadyExists"),
    (FLOW_LOG, of(LOG, iamRoleArn=None, logDestination=LOGS_HERE), "DeliverLogsPermissionArn"),
    (ROLE, {"name": "taken-nodes", "assumeRolePolicy": trusting(Principal=EC2)}, "EntityAlreadyExists"),
    (POLICY_OF_IAM, {"name": "taken", "policy": granting(Effect="Maybe")}, "MalformedPolicyDocument"),
    (
        POLICY_OF_IAM,
        {"name": "taken", "policy": granting(Resource=[f"arn:aws:s3:::bucket-{n}/*" for n in range(300)])},
        r"LimitExceeded.*6144",
    ),
    (
        KEY,
        {"policy": granting(Principal={"Service": "eks.amazonaws.com"}, Action="kms:*")},  # it locks its owner out
        "MalformedPolicyDocument",
    ),
    (CLUSTER, {**CONTROL_PLANE, "vpcConfig": {"subnetIds": ["{x}"]}}, "two different AZs"),
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
    (POLICY_OF_IAM, {"name": "taken", "policy": granting(Principal="*")}, "should not specify a principal"),
    (POLICY_OF_IAM, {"name": "taken", "policy": granting(Sid="a b")}, "must be alpha-numeric"),
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
    (QUEUES, {"name": "taken.fifo"}, "alphanumeric characters"),
    (
        QUEUES,
        {"name": "taken", "sqsManagedSseEnabled": True, "kmsMasterKeyId": "alias/aws/sqs"},
        "one type of server-side encryption",
    ),
    (ALIAS, {"name": "alias/aws/taken", "targetKeyId": "{live-key}"}, "reserved for AWS"),
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
        {**CONTROL_PLANE, "encryptionConfig": {"resources": ["pods"], "provider": {"keyArn": "{live-arn}"}}},
        "Unsupported resources",
    ),
    (CLUSTER, {**CONTROL_PLANE, "kubernetesNetworkConfig": {"serviceIpv4Cidr": "8.8.0.0/16"}}, "is not a private one"),
    (VPC, {"cidrBlock": "10.69.0.0/16", "enableDnsSupport": False, "enableDnsHostnames": True}, "DNS hostnames if DNS"),
    (NAT, {"allocationId": "{vpc}", "subnetId": "{elsewhere}"}, r"Gateway\.NotAttached"),
    *(
        (ROUTE, {"routeTableId": "{their-table}", "destinationCidrBlock": "0.0.0.0/0", **target}, why)
        for target, why in (
            ({"gatewayId": "{gateway}"}, "belong to different networks"),
            ({"gatewayId": "{gateway}", "natGatewayId": "nat-0123456789abcdef0"}, "exactly one of the parameters"),
        )
    ),
    (FOLLOWS, {"routeTableId": "{their-table}", "subnetId": "{a}"}, "belong to different networks"),
    (GROUP, one_rule(description="it's"), "Invalid rule description"),
    (GROUP, one_rule(description="x" * 256), "Invalid rule description"),
    (GROUP, one_rule(cidrBlocks=[]), "names no source"),
    (GROUP, one_rule(ipv6CidrBlocks=["::/0"]), "NotSimulated: ipv6CidrBlocks of a rule"),
    (GROUP, one_rule(protocol="icmp", fromPort=300), "Invalid ICMP type/code"),
    (GROUP, one_rule(cidrBlocks=None, securityGroups=["{foreign}"]), r"InvalidGroup\.NotFound.*different networks"),
    (GROUP, one_rule(cidrBlocks=[f"10.{n}.0.0/16" for n in range(61)]), "RulesPerSecurityGroupLimitExceeded"),
    (GROUP, {**one_rule(), "vpcId": "vpc-0123456789abcdef0"}, r"InvalidVpcID\.NotFound"),
    (ENDPOINT, of(INTERFACE, subnetIds=["{a}"], privateDnsEnabled=True), "enableDnsSupport and enableDnsHostnames"),
    (ENDPOINT, of(INTERFACE, subnetIds=["{elsewhere}"]), "belong to different networks"),
    (ENDPOINT, of(INTERFACE, subnetIds=["{a}"], securityGroupIds=["{foreign}"]), "belong to different networks"),
    (ENDPOINT, of(INTERFACE, subnetIds=["{a}"], securityGroupIds=["sg-0123456789abcdef0"]), "NotFound"),
    (ENDPOINT, of(INTERFACE, routeTableIds=["{table}"]), "only supported for Gateway"),
    (ENDPOINT, of(S3, subnetIds=["{a}"]), "only supported for Interface"),
    (ENDPOINT, of(S3, routeTableIds=["{their-table}"]), "belong to different networks"),
    (ENDPOINT, of(S3, privateDnsEnabled=True), "Private DNS is only supported"),
    (ENDPOINT, of(S3, policy="{"), "InvalidPolicyDocument"),
    (FLOW_LOG, of(LOG, logDestination=LOGS_HERE, logFormat="${vpc-id} ${colour}"), "Unknown fields provided: colour"),
    (FLOW_LOG, of(LOG, logDestination=LOGS_HERE.replace("eu-west-1", "us-east-1")), "no log group of eu-west-1"),
    (TEMPLATE, {"name": "req-tag", "tagSpecifications": [{"resourceType": "vpc", "tags": {"a": "b"}}]}, "taggable"),
    (TEMPLATE, {"name": "req-hop", "metadataOptions": {"httpPutResponseHopLimit": 65}}, "is not 1 to 64"),
    (TEMPLATE, {"name": "req-odd", "metadataOptions": {"httpColour": "red"}}, r"parameter LaunchTemplateData.*Colour"),
    (TEMPLATE, {"name": "a b"}, "InvalidLaunchTemplateName"),
    (TEMPLATE, {"name": "ab"}, "InvalidLaunchTemplateName"),
    (ALIAS, {"name": "alias/req", "targetKeyId": "{key}"}, "pending deletion"),
    (LOGS, {"name": "/req", "kmsKeyId": "{key-arn}"}, "is PendingDeletion"),
    ("aws:iam/serviceLinkedRole:ServiceLinkedRole", {"awsServiceName": "nothing.amazonaws.com"}, "Invalid AWS service"),
    (
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        {"url": "http://a.org", "clientIdLists": ["x"], "thumbprintLists": ["a" * 40]},
        "begins with https",
    ),
    (KEY, {"policy": "{"}, "invalid Json"),
    (KEY, {"policy": statement(Action="kms:*", Resource="*", Sid="x" * 33000)}, "LimitExceededException"),
    (ROLE, {"name": "req-2", "assumeRolePolicy": trusting(Principal=NOBODY)}, 'Invalid principal.*E":"ec3'),
    (KEY, {"policy": trusting(Principal=NOBODY)}, "MalformedPolicyDocumentException.*invalid principals"),
    (
        "aws:sqs/queuePolicy:QueuePolicy",
        {"queueUrl": "x", "policy": trusting(Principal=NOBODY)},
        "parameter Policy: pr",
    ),
    *(
        (
            LOGS,
            {"name": f"kept-{days}", "retentionInDays": days},
            r"Exception: 1 validation error detected: Value '\d+'",
        )
        for days in (2, 15, 100, 3654)
    ),
    *(
        (QUEUES, {"name": "req", argument: value}, "InvalidAttributeValue: Invalid value for the parameter")
        for argument, value in (
            ("messageRetentionSeconds", 59),
            ("messageRetentionSeconds", 1209601),
            ("visibilityTimeoutSeconds", 43201),
            ("delaySeconds", 901),
            ("receiveWaitTimeSeconds", 21),
            ("maxMessageSize", 1023),
            ("kmsDataKeyReusePeriodSeconds", 59),
        )
    ),
    (RULE, {"name": "req-2", "eventPattern": "{}"}, "Empty pattern"),
    (RULE, {"name": "req-2", "eventPattern": json.dumps({"source": ["x" * 2048]})}, "of 2048 characters"),
    (TARGET, {"rule": "req", "targetId": "t", "arn": QUEUE.replace("eu-west-1", "us-east-1")}, "the rule's own region"),
    (TARGET, {"rule": "req", "targetId": "t", "arn": QUEUE.replace(":sqs:", ":ec2:")}, "not in correct format"),
    (TARGET, {"rule": "req", "targetId": "t", "arn": QUEUE.replace("arn:aws:", "arn:aws-cn:")}, "correct format"),
    *(
        (BUCKET, {"bucket": name}, "InvalidBucketName")
        for name in ("a_b", "a..b", "192.168.0.1", "xn--abc", "abc-s3alias", "-abc", "a.-b", "ab", "Abc", "abc--x-s3")
    ),
    (
        BUCKET_POLICY,
        {"bucket": "{bucket}", "policy": statement(Action="s3:Get*", Resource="arn:aws:s3:::x/*")},
        "resource",
    ),
    (
        BUCKET_POLICY,
        {"bucket": "{bucket}", "policy": statement(Action="s3:Get*", Resource="arn:aws:s3:::refused-requests/*")},
        "BlockPublicPolicy",
    ),
    (LIFECYCLE, {"bucket": "{bucket}", "rules": [{"id": "a", "status": "Enabled"}] * 2}, "must be unique"),
    (
        LIFECYCLE,
        {"bucket": "{bucket}", "rules": [{"id": "a", "status": "Enabled", "expiration": {"days": 0}}]},
        "positive integer",
    ),
    (ALARM, of(FIRES, period=45), "multiple of 60"),
    (ALARM, of(FIRES, period=3600, evaluationPeriods=200), r"more than 7 day"),
    (ALARM, of(FIRES, period=60, evaluationPeriods=1500), r"more than 1 day"),
    (ALARM, of(FIRES, treatMissingData="bad"), "TreatMissingData"),
    (ALARM, of(FIRES, metricName=None), "MetricName is required"),
    (ALARM, of(FIRES, period=None), "Period is required"),
    (ALARM, of(FIRES, metricQueries=[{"id": "a", "expression": "1", "returnData": True}]), "not both"),
    (ALARM, of(QUERIES, metricQueries=[{"id": "A", "expression": "1", "returnData": True}]), "Invalid id A"),
    (ALARM, of(QUERIES, metricQueries=[{"id": n, "expression": "1", "returnData": True} for n in "ab"]), "Exactly one"),
    (ALARM, of(QUERIES, metricQueries=[{"id": "a", "period": 60, "returnData": True}]), "NotSimulated: period"),
    (ALARM, of(QUERIES, metricQueries=[{"id": "a", "accountId": "1", "returnData": True}]), "NotSimulated: accountId"),
    (
        ALARM,
        of(QUERIES, metricQueries=[{"id": "a", "returnData": True, "metric": {"unit": "Count"}}]),
        "Simulated: unit",
    ),
    ("aws:sns/topic:Topic", {"name": "req", "policy": "{"}, "Policy Error"),
    (
        "aws:sns/topicSubscription:TopicSubscription",
        {"topic": "arn:aws:sns:eu-west-1:123456789012:req", "protocol": "email", "endpoint": "nobody"},
        "Email address",
    ),
    (BUDGET, of(SPENDS, limitAmount="0"), "no positive number"),
    (BUDGET, of(SPENDS, costFilters=[{"name": "Nothing", "values": ["x"]}]), "Unsupported filter"),
    (BUDGET, of(SPENDS, notifications=[{**NOTICE, "threshold": n} for n in range(1, 7)]), "at most 5"),
    (BUDGET, of(SPENDS, notifications=[NOTICE] * 2), "listed twice"),
    (
        BUDGET,
        of(SPENDS, notifications=[{**NOTICE, "subscriberEmailAddresses": [f"a{n}@b.org" for n in range(11)]}]),
        "10",
    ),
    (BUDGET, of(SPENDS, notifications=[{**NOTICE, "subscriberEmailAddresses": ["nobody"]}]), "Invalid email"),
    (CLUSTER, of(CONTROL, vpcConfig={"subnetIds": ["{a}", "{elsewhere}"]}), "belong to different networks"),
    (
        CLUSTER,
        of(CONTROL, vpcConfig={"subnetIds": ["{a}", "{b}"], "securityGroupIds": ["{foreign}"]}),
        "belong to different networks",
    ),
    (
        CLUSTER,
        of(CONTROL, vpcConfig={"subnetIds": ["{a}", "{b}"], "publicAccessCidrs": [f"8.8.{n}.0/24" for n in range(41)]}),
        "at most 40",
    ),
    (
        CLUSTER,
        of(CONTROL, encryptionConfig={"resources": ["secrets"], "provider": {"keyArn": "{key-arn}"}}),
        "is PendingDeletion",
    ),
    (CLUSTER, of(CONTROL, kubernetesNetworkConfig={"serviceIpv4Cidr": "10.100.0.0/28"}), "is not /12 to /24"),
    (CLUSTER, of(CONTROL, kubernetesNetworkConfig={"serviceIpv4Cidr": "10.67.0.0/20"}), "overlaps with 10.67.0.0/16"),
    (ENTRY, of(SOMEBODY, type="ODD"), "The type ODD is none of"),
    (ENTRY, of(SOMEBODY, kubernetesGroups=["system:masters"]), "cannot start with system:"),
    *((ENTRY, of(SOMEBODY, userName=name), "is invalid") for name in ("system:admin", "eks:x", "a:{{Nothing}}")),
    (ENTRY, of(SOMEBODY, clusterName="req-map"), "authentication mode must be set"),
    (ACCESS, of(VIEWS, policyArn=f"{POLICY}SuperPolicy"), "none of EKS's"),
    (ACCESS, of(VIEWS, policyArn=f"{POLICY}ViewPolicy".replace("aws", "aws-cn", 1)), "none of EKS's"),
    (ACCESS, of(VIEWS, policyArn="arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"), "none of EKS's"),
    (ACCESS, of(VIEWS, accessScope={"type": "namespace"}), "of type namespace names some"),
    (ACCESS, of(VIEWS, accessScope={"type": "cluster", "namespaces": ["x"]}), "of type cluster none"),
    (ACCESS, of(VIEWS, clusterName="req-map"), "authentication mode must be set"),
    (ADDON, of(CNI, addonName="vpc-cnii"), "Addon vpc-cnii specified is not supported"),
    (ADDON, of(CNI, addonVersion="latest"), "Addon version specified is not supported"),
    (ADDON, of(CNI, addonName="kube-proxy", addonVersion="v1.36.0-eksbuild.1"), "is not supported.*1.35"),
    *(
        (ADDON, of(CNI, addonName=name, podIdentityAssociations=[{"serviceAccount": "x", "roleArn": "y"}]), why)
        for name, why in (("vpc-cni", "aws-node"), ("kube-proxy", "takes no role"))
    ),
    (IDENTITY, of(POD, roleArn=f"{IAM}role/req-nodes"), r"Trust policy of role .*req-nodes is invalid"),
    (IDENTITY, of(POD, namespace="A B"), "is no name that Kubernetes takes"),
    (IDENTITY, of(POD, serviceAccount="A_B"), "is no name that Kubernetes takes"),
    (IDENTITY, of(POD, roleArn="arn:aws:iam::444455556666:role/x"), "not of the cluster's account"),
    (NODES, of(SYSTEM, launchTemplate={"name": "x", "version": "1"}), "NotSimulated: a launchTemplate by its name"),
    (NODES, of(SYSTEM, subnetIds=[]), "cannot be empty"),
    (NODES, of(SYSTEM, subnetIds=["{elsewhere}"]), "belong to different networks"),
    (NODES, of(SYSTEM, scalingConfig={**SIZE, "desiredSize": 3}), "greater than max size"),
    (NODES, of(SYSTEM, scalingConfig={**SIZE, "minSize": 2}), "greater than desired size"),
    (NODES, of(SYSTEM, nodeRoleArn=f"{IAM}role/req-control"), "required service principals"),
    *(
        (NODES, of(SYSTEM, labels={f"{domain}/x": "y"}), "reserved prefixes")
        for domain in ("kubernetes.io", "node-role.kubernetes.io", "x.k8s.io", "eks.amazonaws.com")
    ),
    (NODES, of(SYSTEM, updateConfig={"maxUnavailable": 1, "maxUnavailablePercentage": 10}), "Only one of"),
    (NODES, of(SYSTEM, version="1.31"), "more than 3 minors behind"),
    *(
        (NODES, of(SYSTEM, instanceTypes=["m7i.large", other], amiType=image), why)
        for other, image, why in (
            ("cc2.8xlarge", None, "Ec2LaunchTemplateInvalidConfiguration: The specified instance type cc2"),
            ("m7i.larg", None, "The specified instance type m7i.larg is not valid"),
            ("t4g.medium", None, r"\[t4g.medium\] is not a valid instance type for requested amiType AL2023_x"),
            ("m7g.large", "AL2023_ARM_64_STANDARD", r"\[m7i.large\] is not a valid .* amiType AL2023_ARM_64_STANDARD"),
        )
    ),
    (NODES, of(SYSTEM, nodeGroupName="x" * 64), "1 to 63"),
    (NODES, of(SYSTEM, nodeGroupName="a b"), "1 to 63"),
    (
        NODES,
        of(SYSTEM, launchTemplate={"id": "{of-type}", "version": "1"}, instanceTypes=["m7i.large"]),
        "instance types in launch template",
    ),
    (
        NODES,
        of(SYSTEM, launchTemplate={"id": "{of-image}", "version": "1"}, amiType="AL2023_x86_64_STANDARD"),
        "cannot specify amiType",
    ),
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
    with pytest.raises((ApiError, UnfinishedError), match=why):
        aws.make(token, "refused", **filled(inputs, there))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"accessConfig": {"authenticationMode": "CONFIG_MAP"}}, "authentication mode update from API_AND_CONFIG_MAP"),
        ({"vpcConfig": {"subnetIds": ["{a}", "{elsewhere}"]}}, "belong to different networks"),
        ({"vpcConfig": {"subnetIds": ["{a}", "{b}"], "securityGroupIds": ["sg-0123456789abcdef0"]}}, "NotFound"),
    ],
)
def test_a_change_of_a_cluster_that_eks_refuses(there: dict[str, Any], change: dict[str, Any], why: str) -> None:
    with pytest.raises(ApiError, match=why):
        there["cluster"].change(name="req", **{**there["asked"], **filled(change, there)})


def test_an_association_keeps_its_role_where_the_new_one_does_not_trust_pods(aws: Maker, there: dict[str, Any]) -> None:
    assert there["cluster"]
    made = aws.make(IDENTITY, "kept", **of(POD, serviceAccount="kept"))
    with pytest.raises(ApiError, match="ResourceInUseException"):
        aws.make(IDENTITY, "again", **of(POD, serviceAccount="kept"))
    accounts = [{"serviceAccount": "aws-node", "roleArn": f"{IAM}role/req-pods"}]
    addon = aws.make(ADDON, "kept", **of(CNI, podIdentityAssociations=accounts))
    with pytest.raises(ApiError, match="Trust policy of role"):
        made.change(**of(POD, serviceAccount="kept", roleArn=f"{IAM}role/req-nodes"))
    other = [{"serviceAccount": "aws-node", "roleArn": f"{IAM}role/req-nodes"}]
    with pytest.raises(ApiError, match="Trust policy of role"):
        addon.change(**of(CNI, podIdentityAssociations=other))
    rows = aws.site.cloud.tables.all("pod-identities", "req/")
    assert {key: row["roleArn"] for key, row in rows.items()} == dict.fromkeys(
        ("req/kube-system/kept", "req/kube-system/aws-node"), f"{IAM}role/req-pods"
    )


@pytest.mark.parametrize(
    ("token", "inputs", "at"),
    [
        (VPC, {"cidrBlock": "10.0.0.1/16"}, "cidrBlock"),
        (SUBNET, {"vpcId": "x", "cidrBlock": "10.0.0/24"}, "cidrBlock"),
        (ROUTE, {"destinationCidrBlock": "8.0.0.1/8"}, "destinationCidrBlock"),
        (GROUP, {"ingress": [{"cidrBlocks": ["10.0.0.0/8", "10.0.0.1/8"]}]}, "ingress.cidrBlocks"),
        (CLUSTER, {"vpcConfig": {"publicAccessCidrs": ["8.8.8.8"]}}, "vpcConfig.publicAccessCidrs"),
        (CLUSTER, {"kubernetesNetworkConfig": {"serviceIpv4Cidr": "x"}}, "kubernetesNetworkConfig.serviceIpv4Cidr"),
    ],
)
def test_a_network_with_host_bits_or_none_at_all_is_refused_by_the_provider(
    aws: Maker, token: str, inputs: dict[str, Any], at: str
) -> None:
    _, failures = aws.handler(token).check("x", {}, inputs, b"")
    assert [(name, "is not a valid CIDR block" in why) for name, why in failures] == [(at, True)]


BY_HAND: dict[str, tuple[type, set[str]]] = {
    "metricQueries": (cloudwatch.MetricAlarmMetricQueryArgs, {*alarms.QUERY, "accountId", "period"}),
    "metricQueries.metric": (cloudwatch.MetricAlarmMetricQueryMetricArgs, {*alarms.METRIC, "unit"}),
    "notifications": (
        budgets.BudgetNotificationArgs,
        {
            *("comparisonOperator", "threshold", "thresholdType", "notificationType"),
            *("subscriberEmailAddresses", "subscriberSnsTopicArns"),
        },
    ),
    "costFilters": (budgets.BudgetCostFilterArgs, {"name", "values"}),
    "podIdentityAssociations": (eks.AddonPodIdentityAssociationArgs, {"roleArn", "serviceAccount"}),
    "accessScope": (eks.AccessPolicyAssociationAccessScopeArgs, {"type", "namespaces"}),
    "launchTemplate": (eks.NodeGroupLaunchTemplateArgs, {"id", "name", "version"}),
    "ingress": (
        ec2.SecurityGroupIngressArgs,
        {*security_groups.RULE, "ipv6CidrBlocks", "prefixListIds"},
    ),
    "tagSpecifications": (ec2.LaunchTemplateTagSpecificationArgs, {"resourceType", "tags"}),
}
"""Blocks whose arguments a handler reads one by one -> the provider's type, and what is sent or refused by its name."""


@pytest.mark.parametrize("block", BY_HAND)
def test_a_block_that_is_read_by_hand_has_no_argument_that_is_dropped(block: str) -> None:
    args, known = BY_HAND[block]
    of_provider = {to_camel(name) for name, value in vars(args).items() if isinstance(value, property)}

    assert of_provider == known


def test_an_addon_is_not_made_to_preserve(aws: Maker) -> None:
    _, failures = aws.handler(ADDON).check("x", {}, {"resolveConflictsOnCreate": "PRESERVE"}, b"")
    assert [name for name, _ in failures] == ["resolveConflictsOnCreate"]


def test_a_service_has_a_gateway_and_an_interface_with_its_private_name(aws: Maker, there: dict[str, Any]) -> None:
    made = aws.make(
        ENDPOINT,
        "both-ways",
        vpcId=there["named"],
        serviceName="com.amazonaws.eu-west-1.s3",
        vpcEndpointType="Interface",
        subnetIds=[there["x"]],
        privateDnsEnabled=True,
        dnsOptions={"privateDnsOnlyForInboundResolverEndpoint": True},
    )
    made.delete()
