"""Faults of the way of an interruption, and what a former life left in the account."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psutil

from otel_on_spot.lab.aws import events
from tests.lab.faults import CLUSTER, QUEUE, REGION, Faults, swapped
from tests.lab.running import Lab, until

FAULTS = Faults()

FORMER = "kubernetes.io/cluster/otel-former"
DISCOVERY = {"Key": "karpenter.sh/discovery", "Value": CLUSTER}
RULE = f"{CLUSTER}-spot-interruption"


def subnet_of(lab: Lab, letter: str = "a") -> str:
    wanted = [{"Name": "tag:Name", "Values": [f"{CLUSTER}-private-{letter}"]}]
    return lab.aws("ec2", "describe_subnets", Filters=wanted)["Subnets"][0]["SubnetId"]


def untagged(lab: Lab, identity: str) -> Iterator[None]:
    yield from swapped(lab, "ec2", "delete_tags", "create_tags", Resources=[identity], Tags=[DISCOVERY])


@FAULTS.named("discovery-tags", "lost the discovery tag", also=("spot-diversity",))
def a_subnet_lost_its_discovery_tag(lab: Lab) -> Iterator[None]:
    yield from untagged(lab, subnet_of(lab, "b"))


@FAULTS.named("discovery-tags", "no security group matches", also=("node-classes", "node-pools"))
def the_security_group_lost_its_discovery_tag(lab: Lab) -> Iterator[None]:
    wanted = [{"Name": f"tag:{DISCOVERY['Key']}", "Values": [CLUSTER]}]
    group = lab.aws("ec2", "describe_security_groups", Filters=wanted)["SecurityGroups"][0]["GroupId"]
    yield from untagged(lab, group)


@FAULTS.named("interruption-policy", "it has no policy")
def the_queue_lost_its_policy(lab: Lab) -> Iterator[None]:
    url = lab.queue_url()
    policy = lab.aws("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    lab.aws("sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": ""})
    yield
    lab.aws("sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": policy})


@FAULTS.named("interruption-rules", "the rule is DISABLED")
def a_rule_is_disabled(lab: Lab) -> Iterator[None]:
    yield from swapped(lab, "events", "disable_rule", "enable_rule", Name=RULE)


@FAULTS.named("interruption-rules", "the queue is not among them")
def a_rule_lost_its_target(lab: Lab) -> Iterator[None]:
    targets = lab.aws("events", "list_targets_by_rule", Rule=RULE)["Targets"]
    lab.aws("events", "remove_targets", Rule=RULE, Ids=[target["Id"] for target in targets])
    yield
    lab.aws("events", "put_targets", Rule=RULE, Targets=targets)


@FAULTS.named("interruption-rules", "the rule does not exist")
def a_rule_is_gone(lab: Lab) -> Iterator[None]:
    targets = lab.aws("events", "list_targets_by_rule", Rule=RULE)["Targets"]
    rule = lab.aws("events", "describe_rule", Name=RULE)
    lab.aws("events", "remove_targets", Rule=RULE, Ids=[target["Id"] for target in targets])
    lab.aws("events", "delete_rule", Name=RULE)
    yield
    lab.aws("events", "put_rule", Name=RULE, EventPattern=rule["EventPattern"], State="ENABLED")
    lab.aws("events", "put_targets", Rule=RULE, Targets=targets)


@contextmanager
def hung(lab: Lab, program: str) -> Generator[None]:
    """A process of the lab stands still."""
    first = psutil.Process(lab.folder.read_state()["pid"])
    process = next(child for child in first.children(recursive=True) if child.name() == program)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@FAULTS.named("interruption-backlog", "waiting (by count", seconds=90)
def karpenter_hangs_and_messages_wait(lab: Lab) -> Iterator[None]:
    with hung(lab, "karpenter"):
        for number in range(3):
            lab.ask("event", event=events.spot_interruption(REGION, f"i-0123456789abcde{number:02}"))
        yield
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    given = {"QueueUrl": lab.queue_url(), "AttributeNames": counts}
    until(
        "Karpenter empties the queue",
        lambda: set(lab.aws("sqs", "get_queue_attributes", **given)["Attributes"].values()) == {"0"},
    )


@FAULTS.named("interruption-backlog", "oldest message 240 s (CloudWatch)")
def cloudwatch_knows_of_an_old_message(lab: Lab) -> Iterator[None]:
    metric = {
        "MetricName": "ApproximateAgeOfOldestMessage",
        "Dimensions": [{"Name": "QueueName", "Value": QUEUE}],
        "Unit": "Seconds",
    }

    def put(value: float, ago: timedelta) -> None:
        data = [{**metric, "Timestamp": (datetime.now(UTC) - ago).isoformat(), "Value": value}]
        lab.aws("cloudwatch", "put_metric_data", Namespace="AWS/SQS", MetricData=data)

    put(240.0, timedelta(minutes=2))
    yield
    put(0.0, timedelta())


@FAULTS.named("interruption-queue", "the queue does not exist")
def the_queue_is_gone(lab: Lab) -> Iterator[None]:
    lab.aws("sqs", "delete_queue", QueueUrl=lab.queue_url())
    yield
    lab.apply()


def tagged(kind: str, **tags: str) -> list[dict[str, object]]:
    listed = [{"Key": key.replace("__", "/"), "Value": value} for key, value in {FORMER: "owned", **tags}.items()]
    return [{"ResourceType": kind, "Tags": listed}]


@FAULTS.named("orphan-instances", "has no EKS cluster otel-former")
def a_former_cluster_left_an_instance(lab: Lab) -> Iterator[None]:
    image = lab.aws("ec2", "describe_images", Owners=["amazon"])["Images"][0]["ImageId"]
    made = lab.aws(
        "ec2",
        "run_instances",
        ImageId=image,
        InstanceType="m7i.large",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet_of(lab),
        TagSpecifications=tagged("instance", **{"karpenter.sh/nodepool": "spot"}),
    )["Instances"][0]["InstanceId"]
    yield
    lab.aws("ec2", "terminate_instances", InstanceIds=[made])


@FAULTS.named("orphan-volumes", "has no EKS cluster otel-former")
def a_former_cluster_left_a_volume(lab: Lab) -> Iterator[None]:
    tags = tagged("volume", **{"kubernetes.io/created-for/pvc/name": "data-postgresql-0"})
    made = lab.aws("ec2", "create_volume", AvailabilityZone=f"{REGION}a", Size=8, TagSpecifications=tags)["VolumeId"]
    yield
    lab.aws("ec2", "delete_volume", VolumeId=made)


@FAULTS.named("orphan-load-balancers", "Service shop/web is not there")
def a_deleted_service_left_a_load_balancer(lab: Lab) -> Iterator[None]:
    tags = [{"Key": "elbv2.k8s.aws/cluster", "Value": CLUSTER}, {"Key": "service.k8s.aws/stack", "Value": "shop/web"}]
    made = lab.aws(
        "elbv2", "create_load_balancer", Name="k8s-shop-web", Type="network", Subnets=[subnet_of(lab)], Tags=tags
    )["LoadBalancers"][0]["LoadBalancerArn"]
    yield
    lab.aws("elbv2", "delete_load_balancer", LoadBalancerArn=made)


@FAULTS.named("orphan-interfaces", "attached to nothing; region eu-west-1 has no EKS cluster otel-former")
def a_former_cluster_left_an_interface(lab: Lab) -> Iterator[None]:
    made = lab.aws(
        "ec2",
        "create_network_interface",
        SubnetId=subnet_of(lab),
        Description="aws-K8S-i-0former",
        TagSpecifications=tagged("network-interface"),
    )["NetworkInterface"]["NetworkInterfaceId"]
    yield
    lab.aws("ec2", "delete_network_interface", NetworkInterfaceId=made)
