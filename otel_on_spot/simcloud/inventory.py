"""Inventory of the cloud: to compare the engine with the recorded graph, and to find what a destroy left."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

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


LISTED: Final = (
    ("vpc", "ec2", "describe_vpcs", "Vpcs", "VpcId"),
    ("subnet", "ec2", "describe_subnets", "Subnets", "SubnetId"),
    ("security-group", "ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    ("route-table", "ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    ("network-interface", "ec2", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
    ("address", "ec2", "describe_addresses", "Addresses", "AllocationId"),
    ("volume", "ec2", "describe_volumes", "Volumes", "VolumeId"),
    ("launch-template", "ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    ("flow-log", "ec2", "describe_flow_logs", "FlowLogs", "FlowLogId"),
    ("internet-gateway", "ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    ("nat-gateway", "ec2", "describe_nat_gateways", "NatGateways", "NatGatewayId"),
    ("vpc-endpoint", "ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    ("bucket", "s3", "list_buckets", "Buckets", "Name"),
    ("role", "iam", "list_roles", "Roles", "RoleName"),
    ("instance-profile", "iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
    ("oidc-provider", "iam", "list_open_id_connect_providers", "OpenIDConnectProviderList", "Arn"),
    ("alarm", "cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("topic", "sns", "list_topics", "Topics", "TopicArn"),
    ("subscription", "sns", "list_subscriptions", "Subscriptions", "Endpoint"),
    ("rule", "events", "list_rules", "Rules", "Name"),
    ("log-group", "logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("alias", "kms", "list_aliases", "Aliases", "AliasName"),
)
"""(kind, service, method, member of its answer, name or id)."""


def _aws(cloud: Cloud, region: str) -> Iterator[tuple[str, str]]:
    ec2, kms = cloud.client("ec2", region), cloud.client("kms", region)
    default = {vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if vpc["IsDefault"]}
    for kind, service, method, member, key in LISTED:
        rows = getattr(cloud.client(service, region), method)()[member]
        yield from ((kind, row[key]) for row in rows if not _is_the_accounts(row, default))
    for reservation in ec2.describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            if instance["State"]["Name"] not in ("terminated", "shutting-down"):
                yield "instance", instance["InstanceId"]
    policies = cloud.client("iam", region).list_policies(Scope="Local")["Policies"]
    yield from (("policy", policy["Arn"]) for policy in policies)
    queues = cloud.client("sqs", region).list_queues().get("QueueUrls", [])
    yield from (("queue", url.rpartition("/")[2]) for url in queues)
    # Made by AWS when it is first needed, for a volume that is encrypted without a key of its own.
    aws_keys = {
        alias.get("TargetKeyId") for alias in kms.list_aliases()["Aliases"] if alias["AliasName"].startswith(AWS_ALIAS)
    }
    for key in {key["KeyId"] for key in kms.list_keys()["Keys"]} - aws_keys:
        if kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] != "PendingDeletion":
            yield "key", key


AWS_ALIAS: Final = "alias/aws/"


def _is_the_accounts(row: Mapping[str, Any], default: set[str]) -> bool:
    """True of what no stack makes: the default VPC and what is in it, AWS's own roles and aliases, what is deleted."""
    networks = {row.get("VpcId"), *(attached.get("VpcId") for attached in row.get("Attachments") or ())}
    return (
        bool(networks & default)
        or bool(row.get("IsDefault"))
        or row.get("State") == "deleted"
        # A role that a service made its own is the account's, and outlives every stack.
        or str(row.get("Path")).startswith("/aws-service-role/")
        or str(row.get("AliasName")).startswith(AWS_ALIAS)
    )


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
