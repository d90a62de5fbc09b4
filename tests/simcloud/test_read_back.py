"""Whoever has an AWS client reads from the simulated cloud what the program declares: every argument of every type."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import boto3
import jmespath
import pytest
from botocore.config import Config

from otel_on_spot.iam import document
from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.simcloud import graph
from otel_on_spot.simcloud.arguments import AWS
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.cloud_answers import is_made, plain
from otel_on_spot.simcloud.properties import same
from otel_on_spot.simcloud.service_model import ModelOfService, model_of

REGION = "eu-west-1"
STACKS = ("staging", "prod")
Client = Callable[[str], Any]
Read = dict[str, Any]
Reader = Callable[[Client, Registration], Read]

MORE: Mapping[str, Mapping[str, Any]] = {
    "staging": {
        "alarms": {"emails": ["on-call@example.org"]},
        "costs": {"monthlyLimitUsd": 600, "budgetEmails": ["on-call@example.org"]},
    }
}
"""What a stack gets beside its stack file, so that every type is declared by one."""

UNTOLD: Mapping[str, set[str]] = {
    "aws:ec2/launchTemplate:LaunchTemplate": {"updateDefaultVersion"},
    "aws:eks/addon:Addon": {"resolveConflictsOnCreate", "resolveConflictsOnUpdate", "preserve"},
    "aws:eks/cluster:Cluster": {"bootstrapSelfManagedAddons"},
    "aws:kms/key:Key": {"deletionWindowInDays"},
}
"""Arguments that no API of AWS tells: they say how something is made, changed or deleted."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, list[Recording]]]:
    with Cloud(tmp_path_factory.mktemp("read"), patience=20, forgetful=True) as cloud:
        yield cloud, [graph.apply(stack, cloud, config_overrides=MORE.get(stack)) for stack in STACKS]


@pytest.fixture(scope="module")
def client(made: tuple[Cloud, list[Recording]]) -> Client:
    """Plain clients, as a scanner has them."""

    @cache
    def of(service: str) -> Any:
        where = {"region_name": REGION, "endpoint_url": made[0].moto.url}
        session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b")
        return session.client(service, **where, config=Config(proxies={}))

    return of


def tags(listed: list[dict[str, str]] | None, key: str = "Key", value: str = "Value") -> dict[str, str]:
    return {tag[key]: tag[value] for tag in listed or [] if not tag[key].startswith("aws:")}


def provider_form(value: Any) -> Any:
    """An answer of the API with the provider's small first letters."""
    if isinstance(value, list):
        return [provider_form(item) for item in value]
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: provider_form(inner) for key, inner in value.items()}
    return value


def read_by(service: str, operation: str, asked: Mapping[str, str], at: str, **names: str) -> Reader:
    """A reader of one call.

    Its arguments are looked for in the registration, the resource at a place of the answer, and inputs that AWS calls
    otherwise in the resource: each by JMESPath.
    """

    def read(aws: Client, r: Registration) -> Read:
        known = {"id": r.id, "inputs": r.inputs, "outputs": r.outputs}
        request = {argument: jmespath.search(where, known) for argument, where in asked.items()}
        found = jmespath.search(at, getattr(aws(service), operation)(**request))
        # The members of EKS are named as the provider names them, and it has maps of free keys.
        told = found if service == "eks" else provider_form(found) | {"tags": tags(found.get("Tags"))}
        return told | {key: jmespath.search(where, found | {"asked": known}) for key, where in names.items()}

    return read


def of_ec2(what: str, ids: str, **names: str) -> Reader:
    """A reader of something of EC2 by its id."""
    return read_by("ec2", f"describe_{what}", {ids: "[id]"}, "*[] | [0]", **names)


def read_alarm(aws: Client, r: Registration) -> Read:
    (alarm,) = aws("cloudwatch").describe_alarms(AlarmNames=[r.id])["MetricAlarms"]
    listed = aws("cloudwatch").list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]

    def dimensions(rows: list[dict[str, str]] | None) -> dict[str, str] | None:
        return {row["Name"]: row["Value"] for row in rows} if rows else None

    queries = []
    for query in alarm.get("Metrics", ()):
        told = {key: value for key, value in provider_form(query).items() if value and key != "metricStat"}
        if statistic := query.get("MetricStat"):
            measured = provider_form({**statistic["Metric"], "Period": statistic["Period"], "Stat": statistic["Stat"]})
            told["metric"] = {**measured, "dimensions": dimensions(statistic["Metric"]["Dimensions"])}
        queries.append(told)
    return {
        **provider_form(alarm),
        "name": alarm["AlarmName"],
        "okActions": alarm["OKActions"],
        "dimensions": dimensions(alarm.get("Dimensions")),
        "metricQueries": queries or None,
        "tags": tags(listed),
    }


def read_topic(aws: Client, r: Registration) -> Read:
    told = provider_form(aws("sns").get_topic_attributes(TopicArn=r.id)["Attributes"])
    listed = aws("sns").list_tags_for_resource(ResourceArn=r.id)["Tags"]
    return {**told, "name": told["topicArn"].rpartition(":")[2], "tags": tags(listed)}


def read_subscription(aws: Client, r: Registration) -> Read:
    told = provider_form(aws("sns").get_subscription_attributes(SubscriptionArn=r.id)["Attributes"])
    (listed,) = aws("sns").list_subscriptions_by_topic(TopicArn=told["topicArn"])["Subscriptions"]
    return {**told, "topic": told["topicArn"], "protocol": listed["Protocol"]}


def read_rule(aws: Client, r: Registration) -> Read:
    rule = aws("events").describe_rule(Name=r.id)
    return {**provider_form(rule), "tags": tags(aws("events").list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"])}


def read_log_group(aws: Client, r: Registration) -> Read:
    (group,) = aws("logs").describe_log_groups(logGroupNamePrefix=r.id)["logGroups"]
    return {"name": group["logGroupName"], **group, "tags": aws("logs").list_tags_log_group(logGroupName=r.id)["tags"]}


def read_vpc(aws: Client, r: Registration) -> Read:
    (vpc,) = aws("ec2").describe_vpcs(VpcIds=[r.id])["Vpcs"]
    flags = {
        key: aws("ec2").describe_vpc_attribute(VpcId=r.id, Attribute=key)[key[0].upper() + key[1:]]["Value"]
        for key in ("enableDnsSupport", "enableDnsHostnames")
    }
    return {**provider_form(vpc), **flags, "tags": tags(vpc["Tags"])}


def read_route(aws: Client, r: Registration) -> Read:
    (table,) = aws("ec2").describe_route_tables(RouteTableIds=[r.inputs["routeTableId"]])["RouteTables"]
    to = r.inputs["destinationCidrBlock"]
    (route,) = [route for route in table["Routes"] if route.get("DestinationCidrBlock") == to]
    return {**provider_form(route), "routeTableId": table["RouteTableId"]}


def read_association(aws: Client, r: Registration) -> Read:
    (table,) = aws("ec2").describe_route_tables(RouteTableIds=[r.inputs["routeTableId"]])["RouteTables"]
    (one,) = [each for each in table["Associations"] if each["RouteTableAssociationId"] == r.id]
    return provider_form(one)


def read_group(aws: Client, r: Registration) -> Read:
    (group,) = aws("ec2").describe_security_groups(GroupIds=[r.id])["SecurityGroups"]
    return {
        "name": group["GroupName"],
        "description": group["Description"],
        "vpcId": group["VpcId"],
        "ingress": rules(group["IpPermissions"]),
        "egress": rules(group["IpPermissionsEgress"]),
        "tags": tags(group["Tags"]),
    }


def rules(listed: list[dict[str, Any]]) -> list[Read]:
    found = []
    for rule in listed:
        sources = {"cidrBlocks": [each["CidrIp"] for each in rule["IpRanges"]]} if rule["IpRanges"] else {}
        pairs = rule["UserIdGroupPairs"]
        sources |= {"securityGroups": [each["GroupId"] for each in pairs]} if pairs else {}
        description = next((each["Description"] for each in [*rule["IpRanges"], *pairs] if "Description" in each), "")
        ports = {"fromPort": rule.get("FromPort", 0), "toPort": rule.get("ToPort", 0)}
        found.append({"protocol": rule["IpProtocol"], **ports, **sources, "description": description})
    return found


def read_tag(aws: Client, r: Registration) -> Read:
    here = [{"Name": name, "Values": [r.inputs[key]]} for name, key in (("resource-id", "resourceId"), ("key", "key"))]
    (tag,) = aws("ec2").describe_tags(Filters=here)["Tags"]
    return {"resourceId": tag["ResourceId"], "key": tag["Key"], "value": tag["Value"]}


def read_template(aws: Client, r: Registration) -> Read:
    (template,) = aws("ec2").describe_launch_templates(LaunchTemplateIds=[r.id])["LaunchTemplates"]
    asked = {"LaunchTemplateId": r.id, "Versions": ["$Default"]}
    (version,) = aws("ec2").describe_launch_template_versions(**asked)["LaunchTemplateVersions"]
    data = provider_form(version["LaunchTemplateData"])
    for specification in data.get("tagSpecifications", []):
        specification["tags"] = {tag["key"]: tag["value"] for tag in specification["tags"]}
    return {**data, "name": template["LaunchTemplateName"], "tags": tags(template["Tags"])}


def read_cluster(aws: Client, r: Registration) -> Read:
    cluster = aws("eks").describe_cluster(name=r.id)["cluster"]
    on = [types for log in cluster["logging"]["clusterLogging"] if log["enabled"] for types in log["types"]]
    told = {"vpcConfig": cluster["resourcesVpcConfig"], "enabledClusterLogTypes": on}
    return {**cluster, **told, "encryptionConfig": next(iter(cluster["encryptionConfig"]), None)}


def read_addon(aws: Client, r: Registration) -> Read:
    who = {"clusterName": r.inputs["clusterName"], "addonName": r.inputs["addonName"]}
    addon = aws("eks").describe_addon(**who)["addon"]
    associations = [
        aws("eks").describe_pod_identity_association(
            clusterName=who["clusterName"], associationId=arn.rpartition("/")[2]
        )["association"]
        for arn in addon.get("podIdentityAssociations", [])
    ]
    assert all(association["ownerArn"] == addon["addonArn"] for association in associations)
    return {**addon, "podIdentityAssociations": associations}


def read_policy(aws: Client, r: Registration) -> Read:
    policy = aws("iam").get_policy(PolicyArn=r.id)["Policy"]
    version = aws("iam").get_policy_version(PolicyArn=r.id, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    told = {"name": policy["PolicyName"], "policy": json.dumps(document(version["Document"]))}
    return {**provider_form(policy), **told, "tags": tags(policy["Tags"])}


def read_role(aws: Client, r: Registration) -> Read:
    role = aws("iam").get_role(RoleName=r.id)["Role"]
    boundary = (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
    trust = json.dumps(document(role["AssumeRolePolicyDocument"]))
    told = {"name": role["RoleName"], "assumeRolePolicy": trust, "permissionsBoundary": boundary}
    return {**provider_form(role), **told, "tags": tags(role.get("Tags"))}


def read_role_policy(aws: Client, r: Registration) -> Read:
    role, _, name = r.id.partition(":")
    found = aws("iam").get_role_policy(RoleName=role, PolicyName=name)
    return {"role": role, "name": name, "policy": json.dumps(document(found["PolicyDocument"]))}


def read_attachment(aws: Client, r: Registration) -> Read:
    listed = aws("iam").list_attached_role_policies(RoleName=r.inputs["role"])["AttachedPolicies"]
    (arn,) = [policy["PolicyArn"] for policy in listed if policy["PolicyArn"] == r.inputs["policyArn"]]
    return {"role": r.inputs["role"], "policyArn": arn}


def read_linked_role(aws: Client, r: Registration) -> Read:
    role = aws("iam").get_role(RoleName=r.id.rpartition("/")[2])["Role"]
    return {**provider_form(role), "awsServiceName": role["Path"].split("/")[2]}


def read_alias(aws: Client, r: Registration) -> Read:
    (alias,) = [each for each in aws("kms").list_aliases()["Aliases"] if each["AliasName"] == r.id]
    return {"name": alias["AliasName"], "targetKeyId": alias["TargetKeyId"]}


def read_key(aws: Client, r: Registration) -> Read:
    key = aws("kms").describe_key(KeyId=r.id)["KeyMetadata"]
    rotation = aws("kms").get_key_rotation_status(KeyId=r.id)["KeyRotationEnabled"]
    policy = aws("kms").get_key_policy(KeyId=r.id, PolicyName="default")["Policy"]
    listed = tags(aws("kms").list_resource_tags(KeyId=r.id)["Tags"], "TagKey", "TagValue")
    return {**provider_form(key), "enableKeyRotation": rotation, "policy": policy, "tags": listed}


def queue_attributes(aws: Client, r: Registration) -> tuple[str, Read]:
    url = aws("sqs").get_queue_url(QueueName=r.id.rpartition("/")[2])["QueueUrl"]
    return url, aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def read_queue(aws: Client, r: Registration) -> Read:
    url, told = queue_attributes(aws, r)
    names = {"messageRetentionSeconds": "MessageRetentionPeriod", "sqsManagedSseEnabled": "SqsManagedSseEnabled"}
    found = {ours: told[theirs] for ours, theirs in names.items() if theirs in told}
    return {
        "name": told["QueueArn"].rpartition(":")[2],
        **found,
        "tags": aws("sqs").list_queue_tags(QueueUrl=url)["Tags"],
    }


def read_queue_policy(aws: Client, r: Registration) -> Read:
    return {"queueUrl": r.id, "policy": queue_attributes(aws, r)[1]["Policy"]}


BUDGET = "aws:budgets/budget:Budget"
"""Kept in a table, because moto keeps no subscribers of one."""

IN_CLUSTER = {"clusterName": "inputs.clusterName"}
PRINCIPAL = {**IN_CLUSTER, "principalArn": "inputs.principalArn"}

READERS: dict[str, Reader] = {
    "aws:cloudwatch/eventRule:EventRule": read_rule,
    "aws:cloudwatch/eventTarget:EventTarget": read_by(
        "events", "list_targets_by_rule", {"Rule": "inputs.rule"}, "Targets[0]", rule="asked.inputs.rule", targetId="Id"
    ),
    "aws:cloudwatch/logGroup:LogGroup": read_log_group,
    "aws:cloudwatch/metricAlarm:MetricAlarm": read_alarm,
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": read_group,
    "aws:ec2/eip:Eip": of_ec2("addresses", "AllocationIds"),
    "aws:ec2/flowLog:FlowLog": of_ec2(
        "flow_logs",
        "FlowLogIds",
        vpcId="ResourceId",
        logDestination=f"join('', ['arn:aws:logs:{REGION}:123456789012:log-group:', LogGroupName])",
        iamRoleArn="DeliverLogsPermissionArn",
    ),
    "aws:ec2/internetGateway:InternetGateway": of_ec2(
        "internet_gateways", "InternetGatewayIds", vpcId="Attachments[0].VpcId"
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": read_template,
    "aws:ec2/natGateway:NatGateway": of_ec2(
        "nat_gateways", "NatGatewayIds", allocationId="NatGatewayAddresses[0].AllocationId"
    ),
    "aws:ec2/route:Route": read_route,
    "aws:ec2/routeTable:RouteTable": of_ec2("route_tables", "RouteTableIds"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": read_association,
    "aws:ec2/securityGroup:SecurityGroup": read_group,
    "aws:ec2/subnet:Subnet": of_ec2("subnets", "SubnetIds"),
    "aws:ec2/tag:Tag": read_tag,
    "aws:ec2/vpc:Vpc": read_vpc,
    "aws:ec2/vpcEndpoint:VpcEndpoint": of_ec2("vpc_endpoints", "VpcEndpointIds", securityGroupIds="Groups[].GroupId"),
    "aws:eks/accessEntry:AccessEntry": read_by("eks", "describe_access_entry", PRINCIPAL, "accessEntry"),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": read_by(
        "eks",
        "list_associated_access_policies",
        PRINCIPAL,
        "associatedAccessPolicies[0]",
        **{key: f"asked.{where}" for key, where in PRINCIPAL.items()},
    ),
    "aws:eks/addon:Addon": read_addon,
    "aws:eks/cluster:Cluster": read_cluster,
    "aws:eks/nodeGroup:NodeGroup": read_by(
        "eks",
        "describe_nodegroup",
        {**IN_CLUSTER, "nodegroupName": "outputs.nodeGroupName"},
        "nodegroup",
        nodeGroupName="nodegroupName",
        nodeRoleArn="nodeRole",
        subnetIds="subnets",
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": read_by(
        "eks", "describe_pod_identity_association", {**IN_CLUSTER, "associationId": "id"}, "association"
    ),
    "aws:iam/instanceProfile:InstanceProfile": read_by(
        "iam",
        "get_instance_profile",
        {"InstanceProfileName": "id"},
        "InstanceProfile",
        name="InstanceProfileName",
        role="Roles[0].RoleName",
    ),
    "aws:iam/policy:Policy": read_policy,
    "aws:iam/role:Role": read_role,
    "aws:iam/rolePolicy:RolePolicy": read_role_policy,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": read_attachment,
    "aws:iam/serviceLinkedRole:ServiceLinkedRole": read_linked_role,
    "aws:kms/alias:Alias": read_alias,
    "aws:kms/key:Key": read_key,
    "aws:sns/topic:Topic": read_topic,
    "aws:sns/topicSubscription:TopicSubscription": read_subscription,
    "aws:sqs/queue:Queue": read_queue,
    "aws:sqs/queuePolicy:QueuePolicy": read_queue_policy,
}
"""Type -> its arguments as a client reads them."""


def unread(client: Client, registration: Registration) -> list[str]:
    """Arguments that the program declares and the API does not tell, or tells otherwise."""
    declared = plain(registration.inputs)
    if "tagsAll" in registration.outputs:
        declared["tags"] = registration.outputs["tagsAll"]
    read = READERS[registration.type](client, registration)
    told = UNTOLD.get(registration.type, set())
    return [
        f"{registration.name}.{key}: {value!r} is {read.get(key)!r}"
        for key, value in declared.items()
        if key not in told and not same(read.get(key), value)
    ]


@pytest.mark.parametrize("token", READERS)
def test_what_the_program_declares_is_what_the_api_tells(
    made: tuple[Cloud, list[Recording]], client: Client, token: str
) -> None:
    found = [r for recording in made[1] for r in recording.of_type(token) if is_made(r)]
    if token != "aws:iam/serviceLinkedRole:ServiceLinkedRole":
        assert found, f"neither stack declares {token}"
    assert [line for registration in found for line in unread(client, registration)] == []


def test_no_type_is_left_out(made: tuple[Cloud, list[Recording]]) -> None:
    tokens = {r.type for recording in made[1] for r in recording if is_made(r) and r.type.startswith("aws:")}
    assert tokens <= {*READERS, BUDGET}
    assert AWS.keys() - READERS.keys() == {
        BUDGET,
        "aws:fis/experimentTemplate:ExperimentTemplate",
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        "kubernetes:helm.sh/v3:Release",
        *(token for token in AWS if token.startswith("aws:s3/")),  # declared by the bootstrap alone
    }


def test_every_request_of_both_stacks_was_held_against_the_model(made: tuple[Cloud, list[Recording]]) -> None:
    requests = made[0].requests
    assert sum(requests.sent.values()) > 300
    assert not requests.sent - requests.held


def test_a_managed_groups_instances_are_what_its_launch_template_and_its_role_say(client: Client) -> None:
    ec2, here = client("ec2"), [{"Name": "tag:eks:cluster-name", "Values": ["otel-prod"]}]
    instances = [i for found in ec2.describe_instances(Filters=here)["Reservations"] for i in found["Instances"]]
    volumes = [device["Ebs"]["VolumeId"] for instance in instances for device in instance["BlockDeviceMappings"]]
    assert {instance["MetadataOptions"]["HttpTokens"] for instance in instances} == {"required"}
    assert {volume["Encrypted"] for volume in ec2.describe_volumes(VolumeIds=volumes)["Volumes"]} == {True}
    (key,) = {volume["KmsKeyId"] for volume in ec2.describe_volumes(VolumeIds=volumes)["Volumes"]}
    assert client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyManager"] == "AWS"
    (profile,) = {instance["IamInstanceProfile"]["Arn"].rpartition("/")[2] for instance in instances}
    roles = client("iam").get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"]
    assert [role["RoleName"] for role in roles] == ["otel-prod-system-node"]


ANSWERS: dict[str, Callable[[Any], Any]] = {
    "DescribeCluster": lambda eks: eks.describe_cluster(name="otel-prod"),
    "DescribeNodegroup": lambda eks: eks.describe_nodegroup(
        clusterName="otel-prod", nodegroupName=eks.list_nodegroups(clusterName="otel-prod")["nodegroups"][0]
    ),
    "DescribeAddon": lambda eks: eks.describe_addon(clusterName="otel-prod", addonName="aws-ebs-csi-driver"),
    "DescribeAccessEntry": lambda eks: eks.describe_access_entry(
        clusterName="otel-prod", principalArn=eks.list_access_entries(clusterName="otel-prod")["accessEntries"][0]
    ),
    "ListPodIdentityAssociations": lambda eks: eks.list_pod_identity_associations(clusterName="otel-prod"),
}


@pytest.mark.parametrize("operation", ANSWERS)
def test_an_answer_meets_the_model_too(client: Client, operation: str) -> None:
    answer = ANSWERS[operation](client("eks"))
    answer.pop("ResponseMetadata")
    shape = model_of("eks").operation_model(operation).output_shape
    assert shape is not None
    assert list(ModelOfService(model_of("eks")).violations(shape.name, answer)) == []
