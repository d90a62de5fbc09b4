"""Ids that AWS made up: a thing is found by what it is and by the tags that the program gives everything it makes.

Works against AWS and against ``AWS_ENDPOINT_URL`` alike. Every finder answers with all candidates.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from otel_on_spot.recovery.deployment import Identity

Inputs = Mapping[str, Any]
Clients = Callable[[str], Any]
"""Service -> its boto3 client."""
Finder = Callable[[Clients, Inputs, Mapping[str, str]], Iterator[Identity]]
"""(clients, inputs, the tags that it was made with) -> candidates."""

GONE = ("deleted", "deleting", "failed", "rejected", "expired")


def _filters(**values: str) -> list[dict[str, Any]]:
    return [{"Name": key.replace("_", "-").replace("--", "."), "Values": [value]} for key, value in values.items()]


def _rows(clients: Clients, operation: str, rows: str, filters: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    ec2 = clients("ec2")
    word = "Filter" if operation in ("describe_nat_gateways", "describe_flow_logs") else "Filters"
    if ec2.can_paginate(operation):
        for page in ec2.get_paginator(operation).paginate(**{word: filters}):
            yield from page[rows]
    else:
        yield from getattr(ec2, operation)(**{word: filters})[rows]


def _tagged(row: Mapping[str, Any], tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> bool:
    has = {tag[key]: tag[value] for tag in row.get("Tags") or []}
    return all(has.get(name) == text for name, text in tags.items())


def _ec2(operation: str, rows: str, identity: str, *, tagged: bool = True, **filters: str) -> Finder:
    """Things of EC2 whose filters match the inputs.

    ``filters``: filter (``_`` for ``-``, ``__`` for ``.``) -> the input with its value.
    """

    def find(clients: Clients, inputs: Inputs, tags: Mapping[str, str]) -> Iterator[Identity]:
        asked = _filters(**{name: str(inputs[key]) for name, key in filters.items()})
        for row in _rows(clients, operation, rows, asked):
            state = row.get("State") or row.get("FlowLogStatus") or ""
            if str(state).lower() not in GONE and (not tagged or _tagged(row, tags)):
                yield Identity(row[identity])

    return find


def _experiment_template(clients: Clients, inputs: Inputs, tags: Mapping[str, str]) -> Iterator[Identity]:
    for page in clients("fis").get_paginator("list_experiment_templates").paginate():
        for row in page["experimentTemplates"]:
            if row.get("description") == inputs["description"] and tags.items() <= (row.get("tags") or {}).items():
                yield Identity(row["id"])


def _subscription(clients: Clients, inputs: Inputs, _: Mapping[str, str]) -> Iterator[Identity]:
    """Look-up by topic and address; one that nobody has confirmed yet has no ARN that AWS would tell."""
    for page in clients("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=inputs["topic"]):
        for row in page["Subscriptions"]:
            same = (row["Protocol"], row["Endpoint"]) == (inputs["protocol"], inputs["endpoint"])
            if same and row["SubscriptionArn"].startswith("arn:"):
                yield Identity(row["SubscriptionArn"], {"arn": row["SubscriptionArn"]})


def _association(clients: Clients, inputs: Inputs, _: Mapping[str, str]) -> Iterator[Identity]:
    asked = _filters(association__subnet_id=inputs["subnetId"])
    for table in _rows(clients, "describe_route_tables", "RouteTables", asked):
        for row in table["Associations"]:
            if row.get("SubnetId") == inputs["subnetId"] and table["RouteTableId"] == inputs["routeTableId"]:
                yield Identity(row["RouteTableAssociationId"])


def _default_group(clients: Clients, inputs: Inputs, tags: Mapping[str, str]) -> Iterator[Identity]:
    """The group came with the VPC, and making it means to close it: one that is not closed yet was not made.

    The next update then does the whole of it, which makes nothing twice.
    """
    asked = _filters(vpc_id=inputs["vpcId"], group_name="default")
    for row in _rows(clients, "describe_security_groups", "SecurityGroups", asked):
        rules = (row.get("IpPermissions"), row.get("IpPermissionsEgress"), inputs.get("ingress"), inputs.get("egress"))
        if not any(rules) and _tagged(row, tags):
            yield Identity(row["GroupId"])


def _address(clients: Clients, _: Inputs, tags: Mapping[str, str]) -> Iterator[Identity]:
    for row in _rows(clients, "describe_addresses", "Addresses", []):
        if _tagged(row, tags):
            yield Identity(row["AllocationId"], {"allocationId": row["AllocationId"]})


def _key(clients: Clients, inputs: Inputs, tags: Mapping[str, str]) -> Iterator[Identity]:
    kms = clients("kms")
    for page in kms.get_paginator("list_keys").paginate():
        for key in page["Keys"]:
            metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
            if metadata.get("KeyManager") == "AWS" or metadata["KeyState"] == "PendingDeletion":
                continue
            if metadata.get("Description") == inputs.get("description"):
                row = {"Tags": kms.list_resource_tags(KeyId=key["KeyId"])["Tags"]}
                if _tagged(row, tags, "TagKey", "TagValue"):
                    yield Identity(key["KeyId"], {"keyId": key["KeyId"]})


def _service_role(clients: Clients, inputs: Inputs, _: Mapping[str, str]) -> Iterator[Identity]:
    """An account has one of a service: AWS's own, or another stack's, has another description."""
    iam, prefix = clients("iam"), f"/aws-service-role/{inputs['awsServiceName']}/"
    for page in iam.get_paginator("list_roles").paginate(PathPrefix=prefix):
        for role in page["Roles"]:
            if role.get("Description", "") == inputs.get("description", ""):
                yield Identity(role["Arn"])


def _pod_identity(clients: Clients, inputs: Inputs, _: Mapping[str, str]) -> Iterator[Identity]:
    found = clients("eks").list_pod_identity_associations(
        clusterName=inputs["clusterName"], namespace=inputs["namespace"], serviceAccount=inputs["serviceAccount"]
    )
    for row in found["associations"]:
        yield Identity(row["associationId"], {"associationId": row["associationId"]})


FINDERS: Mapping[str, Finder] = {
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _default_group,
    "aws:ec2/eip:Eip": _address,
    "aws:ec2/flowLog:FlowLog": _ec2("describe_flow_logs", "FlowLogs", "FlowLogId", resource_id="vpcId"),
    "aws:ec2/internetGateway:InternetGateway": _ec2(
        "describe_internet_gateways", "InternetGateways", "InternetGatewayId"
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": _ec2(
        "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId", tagged=False, launch_template_name="name"
    ),
    "aws:ec2/natGateway:NatGateway": _ec2("describe_nat_gateways", "NatGateways", "NatGatewayId", subnet_id="subnetId"),
    "aws:ec2/routeTable:RouteTable": _ec2("describe_route_tables", "RouteTables", "RouteTableId", vpc_id="vpcId"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _association,
    "aws:ec2/securityGroup:SecurityGroup": _ec2(
        "describe_security_groups", "SecurityGroups", "GroupId", tagged=False, vpc_id="vpcId", group_name="name"
    ),
    "aws:ec2/subnet:Subnet": _ec2("describe_subnets", "Subnets", "SubnetId", vpc_id="vpcId", cidr_block="cidrBlock"),
    "aws:ec2/vpc:Vpc": _ec2("describe_vpcs", "Vpcs", "VpcId", cidr="cidrBlock"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _ec2(
        "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", vpc_id="vpcId", service_name="serviceName"
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": _pod_identity,
    "aws:fis/experimentTemplate:ExperimentTemplate": _experiment_template,
    "aws:iam/serviceLinkedRole:ServiceLinkedRole": _service_role,
    "aws:kms/key:Key": _key,
    "aws:sns/topicSubscription:TopicSubscription": _subscription,
}
"""Type -> how its id is found."""
