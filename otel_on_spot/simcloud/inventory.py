"""Inventory of the cloud: to compare the engine with the recorded graph, and to find what a destroy left."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from infra.names import DEMO_NAMESPACE, DEMO_PASSWORDS
from otel_on_spot.simcloud.cloud import Cloud

TABLES = (
    "clusters",
    "node-groups",
    "addons",
    "access-entries",
    "access-policies",
    "pod-identities",
    "objects",
    "crds",
    "releases",
    "load-balancers",
    "volumes",
    "experiment-templates",
    "budgets",
)


def inventory(cloud: Cloud, region: str) -> list[tuple[str, str]]:
    """(kind, name or id) of everything in the cloud, without what every AWS account has anyway (its default VPC)."""
    return sorted(set(_aws(cloud, region)) | set(_tables(cloud)))


def _tables(cloud: Cloud) -> Iterator[tuple[str, str]]:
    for table in TABLES:
        for key in cloud.tables.all(table):
            yield table, key


def _aws(cloud: Cloud, region: str) -> Iterator[tuple[str, str]]:
    ec2 = cloud.client("ec2", region)
    vpcs = ec2.describe_vpcs()["Vpcs"]
    default = {vpc["VpcId"] for vpc in vpcs if vpc["IsDefault"]}

    def ours(kind: str, rows: list[dict[str, Any]], key: str) -> Iterator[tuple[str, str]]:
        for row in rows:
            if row.get("VpcId") not in default and not row.get("IsDefault"):
                yield kind, row[key]

    yield from ours("vpc", vpcs, "VpcId")
    yield from ours("subnet", ec2.describe_subnets()["Subnets"], "SubnetId")
    yield from ours("security-group", ec2.describe_security_groups()["SecurityGroups"], "GroupId")
    yield from ours("route-table", ec2.describe_route_tables()["RouteTables"], "RouteTableId")
    yield from ours("network-interface", ec2.describe_network_interfaces()["NetworkInterfaces"], "NetworkInterfaceId")
    yield from ours("address", ec2.describe_addresses()["Addresses"], "AllocationId")
    yield from ours("volume", ec2.describe_volumes()["Volumes"], "VolumeId")
    yield from ours("launch-template", ec2.describe_launch_templates()["LaunchTemplates"], "LaunchTemplateId")
    yield from ours("flow-log", ec2.describe_flow_logs()["FlowLogs"], "FlowLogId")
    for bucket in cloud.client("s3", region).list_buckets()["Buckets"]:
        yield "bucket", bucket["Name"]
    for gateway in ec2.describe_internet_gateways()["InternetGateways"]:
        if not any(attached["VpcId"] in default for attached in gateway["Attachments"]):
            yield "internet-gateway", gateway["InternetGatewayId"]
    for nat in ec2.describe_nat_gateways()["NatGateways"]:
        if nat["State"] != "deleted":
            yield "nat-gateway", nat["NatGatewayId"]
    for endpoint in ec2.describe_vpc_endpoints()["VpcEndpoints"]:
        if endpoint.get("State") != "deleted":
            yield "vpc-endpoint", endpoint["VpcEndpointId"]
    for reservation in ec2.describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            if instance["State"]["Name"] not in ("terminated", "shutting-down"):
                yield "instance", instance["InstanceId"]
    yield from _elsewhere(cloud, region)


def _elsewhere(cloud: Cloud, region: str) -> Iterator[tuple[str, str]]:
    iam, kms = cloud.client("iam", region), cloud.client("kms", region)
    # A role that a service made its own is the account's, and outlives every stack.
    own = (role for role in iam.list_roles()["Roles"] if not role["Path"].startswith("/aws-service-role/"))
    yield from (("role", role["RoleName"]) for role in own)
    yield from (("policy", policy["Arn"]) for policy in iam.list_policies(Scope="Local")["Policies"])
    yield from (
        ("instance-profile", profile["InstanceProfileName"])
        for profile in iam.list_instance_profiles()["InstanceProfiles"]
    )
    yield from (
        ("oidc-provider", provider["Arn"])
        for provider in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    )
    yield from (
        ("queue", url.rpartition("/")[2]) for url in cloud.client("sqs", region).list_queues().get("QueueUrls", [])
    )
    alarms = cloud.client("cloudwatch", region).describe_alarms()["MetricAlarms"]
    yield from (("alarm", alarm["AlarmName"]) for alarm in alarms)
    sns = cloud.client("sns", region)
    yield from (("topic", topic["TopicArn"]) for topic in sns.list_topics()["Topics"])
    yield from (("subscription", row["Endpoint"]) for row in sns.list_subscriptions()["Subscriptions"])
    yield from (("rule", rule["Name"]) for rule in cloud.client("events", region).list_rules()["Rules"])
    yield from (
        ("log-group", group["logGroupName"])
        for group in cloud.client("logs", region).describe_log_groups()["logGroups"]
    )
    aliases = kms.list_aliases()["Aliases"]
    # Made by AWS when it is first needed, for a volume that is encrypted without a key of its own.
    aws_keys = {alias.get("TargetKeyId") for alias in aliases if alias["AliasName"].startswith("alias/aws/")}
    for key in kms.list_keys()["Keys"]:
        if (
            key["KeyId"] not in aws_keys
            and kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] != "PendingDeletion"
        ):
            yield "key", key["KeyId"]
    for alias in aliases:
        if not alias["AliasName"].startswith("alias/aws/"):
            yield "alias", alias["AliasName"]


RANDOM = (
    (re.compile(r"\b([a-z]+)-[0-9a-f]{17}\b"), r"\1-*"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "*"),
    (re.compile(r"-[0-9a-f]{7}\b"), "-*"),
    (re.compile(r"\beks-[0-9a-f]{12}\b"), "eks-*"),
    (re.compile(r"127\.0\.0\.1:[0-9]+"), "127.0.0.1:*"),
    (re.compile(r"\bAROA[A-Z0-9]+"), "AROA*"),
)
"""Values that a cloud makes up anew each time: ids, UUIDs, auto-name suffixes, EKS's names, ports, role ids."""


def shape(cloud: Cloud, region: str, *, history: bool = True, passwords: bool = True) -> list[tuple[str, str, str]]:
    """(kind, name, content) of everything but what a cloud makes up: what two clouds of one stack have in common.

    Args:
        cloud: whose inventory it is.
        region: where AWS's part of it is.
        history: with how often Helm wrote each release.
        passwords: with those of the demo, which the program makes up at a stack's first update.
    """
    contents = {(table, key): _settled(row) for table in TABLES for key, row in cloud.tables.all(table).items()}
    if not history:
        contents |= {
            (table, key): {**row, "revision": 0} for (table, key), row in contents.items() if table == "releases"
        }
    if not passwords:
        for (_, key), row in contents.items():
            if f"|Secret|{DEMO_NAMESPACE}|{DEMO_PASSWORDS}" in key:
                row["object"]["data"] = dict.fromkeys(row["object"]["data"], "*")
    contents |= {
        ("policy", arn): _policy(cloud, region, arn) for kind, arn in inventory(cloud, region) if kind == "policy"
    }
    found = []
    for kind, name in inventory(cloud, region):
        content = json.dumps(contents.get((kind, name), {}), sort_keys=True)
        found.append((kind, _masked(name), _masked(content)))
    return sorted(found)


def _policy(cloud: Cloud, region: str, arn: str) -> Any:
    iam = cloud.client("iam", region)
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]


def _settled(value: Any) -> Any:
    """The value with documents in strings opened and lists in order, so that only meaning is compared."""
    if isinstance(value, dict):
        return {
            key: _settled(inner)
            for key, inner in value.items()
            if inner not in (None, "", [], {}) and key not in ("managers", "resourceVersion", "createdAt")
        }
    if isinstance(value, list):
        return sorted((_settled(inner) for inner in value), key=lambda item: _masked(json.dumps(item, sort_keys=True)))
    if isinstance(value, str) and ("\n" in value or value[:1] in "[{"):
        try:
            return _settled(yaml.safe_load(value))
        except yaml.YAMLError:
            return value
    return value


def _masked(text: str) -> str:
    for pattern, instead in RANDOM:
        text = pattern.sub(instead, text)
    return text
