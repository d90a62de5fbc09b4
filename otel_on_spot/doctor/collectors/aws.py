"""Facts of AWS: the cluster, who is admitted, where nodes may live, what runs, what is left over, and interruptions.

Nothing is received from the queue: a peek with ReceiveMessage would count against the message and could take it from
Karpenter; counts and CloudWatch's age are harmless.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from otel_on_spot.aws_errors import error_code, unless_absent
from otel_on_spot.declared import Declared
from otel_on_spot.doctor import facts_aws as facts
from otel_on_spot.doctor.collectors.gathering import Gathered
from otel_on_spot.doctor.fact import parse, parse_all
from otel_on_spot.doctor.facts_kubernetes import QUEUE_VARIABLE
from otel_on_spot.kubernetes.names import CLAIM_NAME_TAG, CLUSTER_TAG_PREFIX

Client = Any
SPOT_ROLE_PATH: Final = "/aws-service-role/spot.amazonaws.com/"
"""Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html"""
CLUSTER_TAG: Final = f"{CLUSTER_TAG_PREFIX}*"
"""Filters of EC2 take wild cards. Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html"""
WAITING: Final = "ApproximateNumberOfMessages"
IN_FLIGHT: Final = "ApproximateNumberOfMessagesNotVisible"
LOOKS: Final = 4
LOOK_SECONDS: Final = 2.0
"""Looks at a queue in which messages wait, while nothing says that somebody takes them, and the time between two."""
AGE_WINDOW: Final = timedelta(minutes=10)
SENT_WINDOW: Final = timedelta(hours=1)
SENT_PERIOD: Final = 300
QUEUE_ATTRIBUTES: Final = [
    "QueueArn",
    "KmsMasterKeyId",
    "Policy",
    "MessageRetentionPeriod",
    WAITING,
    IN_FLIGHT,
]


def pages(client: Client, call: str, key: str, **arguments: Any) -> Iterable[dict[str, Any]]:
    """Every item of every page of a call.

    Args:
        client: of the service.
        call: the client's method, such as ``list_rules``; it has a paginator.
        key: the list in each page, such as ``Rules``.
        arguments: the call's own, such as ``Filters``.
    """
    for page in client.get_paginator(call).paginate(**arguments):
        yield from page.get(key) or ()


def _role_name(arn: str) -> str:
    return arn.rpartition("/")[2]


def clusters(eks: Client, declared: Declared) -> tuple[facts.AwsCluster, ...]:
    """The stack's cluster, where it exists."""
    found = unless_absent(eks.describe_cluster, name=declared.cluster)
    return () if found is None else (parse(facts.AwsCluster, found["cluster"]),)


def cluster_names(eks: Client) -> tuple[str, ...]:
    """Names of the region's clusters."""
    return tuple(map(str, pages(eks, "list_clusters", "clusters")))


def access_entries(eks: Client, declared: Declared, gathered: Gathered) -> tuple[facts.AccessEntry, ...]:
    """Principals that have an access entry; those of the node roles with type and time."""
    listed = list(pages(eks, "list_access_entries", "accessEntries", clusterName=declared.cluster))
    ours = {role.name for role in gathered.wait("roles") or ()} | {declared.node_role}

    def described(arn: str) -> facts.AccessEntry:
        if _role_name(arn) not in ours:
            return facts.AccessEntry(principal_arn=arn)
        found = eks.describe_access_entry(clusterName=declared.cluster, principalArn=arn)
        return parse(facts.AccessEntry, found["accessEntry"])

    return tuple(described(str(arn)) for arn in listed)


def pod_identities(eks: Client, declared: Declared) -> tuple[facts.PodIdentity, ...]:
    """Associations of the controller's service account."""
    listed = pages(
        eks,
        "list_pod_identity_associations",
        "associations",
        clusterName=declared.cluster,
        namespace=declared.karpenter_namespace,
        serviceAccount=declared.karpenter_service_account,
    )
    described = (
        eks.describe_pod_identity_association(clusterName=declared.cluster, associationId=association["associationId"])
        for association in listed
    )
    return parse_all(facts.PodIdentity, (answer["association"] for answer in described))


def kubernetes_versions(eks: Client, gathered: Gathered) -> tuple[facts.KubernetesVersion, ...]:
    """The cluster's Kubernetes minor, where EKS lists it."""
    minors = [cluster.version for cluster in gathered.wait("clusters") or ()]
    if not minors:
        return ()
    return parse_all(
        facts.KubernetesVersion, pages(eks, "describe_cluster_versions", "clusterVersions", clusterVersions=minors)
    )


def addons(eks: Client, declared: Declared) -> tuple[facts.Addon, ...]:
    """The add-ons with their health."""
    names = map(str, pages(eks, "list_addons", "addons", clusterName=declared.cluster))

    def described(name: str) -> facts.Addon | None:
        found = unless_absent(eks.describe_addon, clusterName=declared.cluster, addonName=name)
        return None if found is None else parse(facts.Addon, found["addon"])

    with ThreadPoolExecutor(8) as pool:
        return tuple(addon for addon in pool.map(described, names) if addon)


def node_groups(eks: Client, declared: Declared) -> tuple[facts.NodeGroup, ...]:
    """The managed node groups with their health."""
    names = map(str, pages(eks, "list_nodegroups", "nodegroups", clusterName=declared.cluster))
    found = (unless_absent(eks.describe_nodegroup, clusterName=declared.cluster, nodegroupName=name) for name in names)
    return parse_all(facts.NodeGroup, (answer["nodegroup"] for answer in found if answer))


def insights(eks: Client, declared: Declared) -> tuple[facts.Insight, ...]:
    """EKS's own insights that do not pass."""
    wanted = {"statuses": ["WARNING", "ERROR", "UNKNOWN"]}
    return parse_all(
        facts.Insight, pages(eks, "list_insights", "insights", clusterName=declared.cluster, filter=wanted)
    )


def instance_profiles(iam: Client, declared: Declared, gathered: Gathered) -> tuple[facts.InstanceProfile, ...]:
    """The declared instance profile, and those that node classes name."""
    named = {node_class.instance_profile for node_class in gathered.wait("node_classes") or ()}
    names = sorted((named | {declared.instance_profile}) - {""})
    answers = [unless_absent(iam.get_instance_profile, InstanceProfileName=name) for name in names]
    return parse_all(facts.InstanceProfile, (answer["InstanceProfile"] for answer in answers if answer))


def roles(iam: Client, declared: Declared, gathered: Gathered) -> tuple[facts.Role, ...]:
    """The node roles and the controller's role, whole: declared ones, and those that the cluster's objects name."""
    names = {declared.node_role, declared.controller_role}
    names |= {_role_name(profile.role_arn) for profile in gathered.wait("instance_profiles") or ()}
    names |= {node_class.role for node_class in gathered.wait("node_classes") or ()}
    names |= {_role_name(controller.service_account_role) for controller in gathered.wait("controllers") or ()}
    names |= {_role_name(association.role_arn) for association in gathered.wait("pod_identities") or ()}
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda name: unless_absent(_role, iam, name), sorted(names - {""}))
        return tuple(role for role in found if role)


def _role(iam: Client, name: str) -> facts.Role:
    found = iam.get_role(RoleName=name)
    attached = pages(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=name)
    inline = map(str, pages(iam, "list_role_policies", "PolicyNames", RoleName=name))
    return parse(
        facts.Role,
        {
            **found["Role"],
            "policies": {policy["PolicyName"]: _policy(iam, policy["PolicyArn"]) for policy in attached},
            "inline": {
                policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"] for policy in inline
            },
        },
    )


def _policy(iam: Client, arn: str) -> Any:
    """Document of a policy; None for one that AWS manages."""
    if ":iam::aws:policy/" in arn:
        return None
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]


def spot_roles(iam: Client) -> tuple[str, ...]:
    """The account's service-linked role for Spot, where it has one."""
    return tuple(role["RoleName"] for role in pages(iam, "list_roles", "Roles", PathPrefix=SPOT_ROLE_PATH))


def instances(ec2: Client) -> tuple[facts.Instance, ...]:
    """Instances of any cluster, those among them that were terminated within the hour."""
    filters = [{"Name": "tag-key", "Values": [CLUSTER_TAG]}]
    reservations = pages(ec2, "describe_instances", "Reservations", Filters=filters)
    return parse_all(
        facts.Instance, (instance for reservation in reservations for instance in reservation["Instances"])
    )


def volumes(ec2: Client) -> tuple[facts.Volume, ...]:
    """Volumes that were made for a claim of any cluster."""
    filters = [{"Name": "tag-key", "Values": [CLAIM_NAME_TAG]}]
    return parse_all(facts.Volume, pages(ec2, "describe_volumes", "Volumes", Filters=filters))


def interfaces(ec2: Client) -> tuple[facts.Interface, ...]:
    """Network interfaces that are attached to nothing."""
    filters = [{"Name": "status", "Values": ["available"]}]
    return parse_all(facts.Interface, pages(ec2, "describe_network_interfaces", "NetworkInterfaces", Filters=filters))


def load_balancers(client: Callable[[str], Client]) -> tuple[facts.LoadBalancer, ...]:
    """Every load balancer with tags: one API knows the tags of all kinds of them, for a while of deleted ones too.

    Source: https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
    """
    kinds = ["elasticloadbalancing:loadbalancer"]
    tagging = client("resourcegroupstaggingapi")
    found = list(pages(tagging, "get_resources", "ResourceTagMappingList", ResourceTypeFilters=kinds))
    if not found:
        return ()
    there = {
        balancer["LoadBalancerArn"] for balancer in pages(client("elbv2"), "describe_load_balancers", "LoadBalancers")
    }
    classic = pages(client("elb"), "describe_load_balancers", "LoadBalancerDescriptions")
    there |= {balancer["LoadBalancerName"] for balancer in classic}
    named = (
        balancer for balancer in found if {balancer["ResourceARN"], balancer["ResourceARN"].rpartition("/")[2]} & there
    )
    return parse_all(facts.LoadBalancer, named)


def subnets(ec2: Client, declared: Declared, gathered: Gathered) -> tuple[facts.Located, ...]:
    """Subnets of the cluster's VPC, and those of any VPC that carry its discovery tag."""
    return _located(lambda only: pages(ec2, "describe_subnets", "Subnets", Filters=only), declared, gathered)


def security_groups(ec2: Client, declared: Declared, gathered: Gathered) -> tuple[facts.Located, ...]:
    """Security groups of the cluster's VPC, and those of any VPC that carry its discovery tag."""
    return _located(
        lambda only: pages(ec2, "describe_security_groups", "SecurityGroups", Filters=only), declared, gathered
    )


def _located(
    listed: Callable[[list[dict[str, Any]]], Iterable[Mapping[str, Any]]], declared: Declared, gathered: Gathered
) -> tuple[facts.Located, ...]:
    tagged: list[dict[str, Any]] = [
        {"Name": f"tag:{tag}", "Values": [value]} for tag, value in declared.discovery_tags.items()
    ]
    home = [cluster.vpc_id for cluster in gathered.wait("clusters") or ()]
    found = [*listed(tagged), *(listed([{"Name": "vpc-id", "Values": home}]) if home else ())]
    return tuple({thing.id: thing for thing in parse_all(facts.Located, found)}.values())


def queues(
    sqs: Client,
    cloudwatch: Client,
    declared: Declared,
    gathered: Gathered,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[facts.Queue, ...]:
    """The declared queue, and the one that the controller reads where it is another.

    Args:
        sqs: client.
        cloudwatch: client.
        declared: names the queue.
        gathered: the controllers name theirs.
        sleep: waits between two counts of messages, in seconds.
    """
    read = {controller.environment.get(QUEUE_VARIABLE, "") for controller in gathered.wait("controllers") or ()}
    names = {declared.interruption_queue} | {name for name in read if name and ":" not in name}
    found = (unless_absent(_queue, sqs, cloudwatch, name, sleep) for name in sorted(names))
    return tuple(queue for queue in found if queue is not None)


def _queue(sqs: Client, cloudwatch: Client, name: str, sleep: Callable[[float], None]) -> facts.Queue:
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=QUEUE_ATTRIBUTES)["Attributes"]
    waiting, in_flight = [int(attributes[WAITING])], [int(attributes[IN_FLIGHT])]
    while len(waiting) < LOOKS and waiting[-1] and not any(in_flight) and waiting[-1] >= max(waiting):
        sleep(LOOK_SECONDS)
        again = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[WAITING, IN_FLIGHT])["Attributes"]
        waiting.append(int(again[WAITING]))
        in_flight.append(int(again[IN_FLIGHT]))
    ages = _of_queue(cloudwatch, name, "ApproximateAgeOfOldestMessage", "Maximum", AGE_WINDOW, 60)
    sent = _of_queue(cloudwatch, name, "NumberOfMessagesSent", "Sum", SENT_WINDOW, SENT_PERIOD)
    return parse(
        facts.Queue,
        {
            **attributes,
            "waiting": waiting,
            IN_FLIGHT: max(in_flight),
            "name": name,
            "oldest_seconds": ages[-1] if ages else None,
            "sent": sum(sent) if sent else None,
        },
    )


def _of_queue(
    cloudwatch: Client, queue: str, metric: str, statistic: str, window: timedelta, period: int
) -> list[float]:
    """Values of a queue's metric, oldest first; none where CloudWatch has no datapoint, or may not be asked.

    ``metric``: of the namespace AWS/SQS. ``window``: how far back. ``period``: seconds that a value is about.
    """
    now = datetime.now(UTC)
    try:
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName=metric,
            Dimensions=[{"Name": "QueueName", "Value": queue}],
            StartTime=now - window,
            EndTime=now,
            Period=period,
            Statistics=[statistic],
        )["Datapoints"]
    except (ClientError, BotoCoreError):
        return []
    return [float(point[statistic]) for point in sorted(points, key=lambda point: point["Timestamp"])]


def encryption_keys(client: Callable[[str], Client], gathered: Gathered) -> tuple[facts.EncryptionKey, ...]:
    """KMS keys of the queues. ``client`` makes that of KMS, where a queue has a key."""
    named = sorted({queue.kms_key for queue in gathered.wait("queues") or ()} - {""})
    found = (unless_absent(_encryption_key, client("kms"), name) for name in named)
    return tuple(key for key in found if key is not None)


def _encryption_key(kms: Client, name: str) -> facts.EncryptionKey:
    key = kms.describe_key(KeyId=name)["KeyMetadata"]
    policy = kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"]
    return parse(facts.EncryptionKey, {**key, "named": name, "policy": policy})


def quotas(service_quotas: Client) -> tuple[facts.Quota, ...]:
    """Quotas of vCPUs, as far as they are told."""
    told = (quota(service_quotas, "ec2", code) for code in (facts.SPOT_VCPUS, facts.ON_DEMAND_VCPUS))
    return tuple(known for known in told if known)


def quota(service_quotas: Client, service: str, code: str) -> facts.Quota | None:
    """One quota of the account in the region; None where AWS tells none.

    Raises:
        botocore.exceptions.ClientError: AWS refused for another reason than that there is no such quota.
    """
    try:
        return parse(facts.Quota, service_quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"])
    except ClientError as problem:
        if error_code(problem) != "NoSuchResourceException":
            raise
        return None


def rules(events: Client, declared: Declared) -> tuple[facts.Rule, ...]:
    """The declared rules that exist, with their targets."""
    listed = pages(events, "list_rules", "Rules", NamePrefix=f"{declared.cluster}-")

    def targets(name: str) -> list[str]:
        return [str(target["Arn"]) for target in pages(events, "list_targets_by_rule", "Targets", Rule=name)]

    found = (rule for rule in listed if rule["Name"] in declared.rules)
    return parse_all(facts.Rule, ({**rule, "targets": targets(rule["Name"])} for rule in found))
