"""Faults that AWS alone shows, put into the simulated cloud, collected and judged; healthy is silent."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from otel_on_spot.doctor.checks import CHECKS
from otel_on_spot.doctor.collectors import aws as collectors
from otel_on_spot.doctor.examine import run_check
from otel_on_spot.doctor.fact import parse_all
from otel_on_spot.doctor.facts import Facts
from otel_on_spot.doctor.facts_kubernetes import NodePool
from otel_on_spot.kubernetes.names import NODE_POOL
from otel_on_spot.report import Verdict
from otel_on_spot.simcloud.cloud import Cloud
from tests.simcloud.conftest import REGION, Maker
from tests.unit.doctor.changes import HEALTHY, one_of

CLUSTER = "faulty"
DISCOVERY = {"karpenter.sh/discovery": CLUSTER}
PRIVATE = {"kubernetes.io/role/internal-elb": "1"}
TERMS = ({"tags": DISCOVERY},)


def already(**groups: Any) -> Any:
    """Facts of other groups, collected before."""
    return SimpleNamespace(wait=groups.get)


def judged(facts: Facts, check_id: str) -> Verdict:
    return run_check(facts, next(check for check in CHECKS if check.id == check_id))


@pytest.fixture(scope="module")
def platform(cloud: Cloud, aws: Maker) -> Facts:
    """A healthy network, queue and account, and what the rest of a healthy lab looks like."""
    vpc = aws.make("aws:ec2/vpc:Vpc", "doctors", cidrBlock="10.90.0.0/16")
    aws.make(
        "aws:ec2/subnet:Subnet",
        "a",
        vpcId=vpc.id,
        cidrBlock="10.90.0.0/20",
        availabilityZone=f"{REGION}a",
        tags={**DISCOVERY, **PRIVATE, "Name": "roomy"},
    )
    aws.make("aws:ec2/securityGroup:SecurityGroup", "g", vpcId=vpc.id, name="cluster", description="d", tags=DISCOVERY)
    aws.make("aws:sqs/queue:Queue", "q", name=f"{CLUSTER}-interruption")
    declared = replace(HEALTHY.declared, cluster=CLUSTER, interruption_queue=f"{CLUSTER}-interruption")
    node_class = replace(one_of("node_classes"), subnet_terms=TERMS, group_terms=TERMS)
    cluster = replace(one_of("clusters"), name=CLUSTER, vpc_id=vpc.id)
    return replace(
        HEALTHY,
        declared=replace(declared, discovery_tags=DISCOVERY),
        clusters=(cluster,),
        node_classes=(node_class,),
    )


def collected(cloud: Cloud, facts: Facts) -> Facts:
    """The facts, with what the collectors read of the cloud."""
    ec2, sqs, kms = (cloud.client(service, REGION) for service in ("ec2", "sqs", "kms"))
    gathered = already(clusters=facts.clusters)
    queues = collectors.queues(sqs, cloud.client("cloudwatch", REGION), facts.declared, gathered, lambda _: None)
    return replace(
        facts,
        subnets=collectors.subnets(ec2, facts.declared, gathered),
        security_groups=collectors.security_groups(ec2, facts.declared, gathered),
        queues=queues,
        encryption_keys=collectors.encryption_keys(lambda _: kms, already(queues=queues)),
        quotas=collectors.quotas(cloud.client("service-quotas", REGION)),
    )


def test_a_healthy_platform_gives_no_line(cloud: Cloud, platform: Facts) -> None:
    facts = collected(cloud, platform)
    ids = ("discovery-tags", "subnet-addresses", "interruption-key", "vcpu-quotas")
    verdicts = [judged(facts, check) for check in ids]
    assert [(verdict.id, verdict.status) for verdict in verdicts] == [(check, "ok") for check in ids]
    assert verdicts[1].what == "1 subnet, at least 4091 free"
    assert verdicts[3].what == "vCPUs: 10000 of Spot, 10000 of On-Demand"


def test_a_spot_pool_whose_subnets_are_in_one_zone_is_told(cloud: Cloud, platform: Facts) -> None:
    terms = ({"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["c", "m", "r"]},)
    pools = tuple(replace(pool, requirements=terms) for pool in platform.node_pools or () if pool.name == "spot")
    (found,) = judged(collected(cloud, replace(platform, node_pools=pools)), "spot-diversity").findings
    assert (found.subject, found.seen) == ("spot", f"1 zone ({REGION}a)")


def test_pools_beyond_the_quotas_are_told(cloud: Cloud, platform: Facts) -> None:
    pools = tuple(replace(pool, limits={"cpu": "20000"}) for pool in platform.node_pools or ())
    found = judged(collected(cloud, replace(platform, node_pools=pools)), "vcpu-quotas").findings
    assert [finding.seen.partition(";")[0] for finding in found] == ["10000 vCPUs of Spot", "10000 vCPUs of On-Demand"]
    assert "--quota-code L-34B43A08 --desired-value 20000" in found[0].remedy[0]


def test_a_queue_that_was_switched_to_a_kms_key_is_told(cloud: Cloud, platform: Facts) -> None:
    sqs, kms = cloud.client("sqs", REGION), cloud.client("kms", REGION)
    url = sqs.get_queue_url(QueueName=platform.declared.interruption_queue)["QueueUrl"]
    key = kms.create_key(Description="somebody's")["KeyMetadata"]["KeyId"]
    seen = {}
    try:
        for named in ("alias/aws/sqs", key, "alias/nowhere"):
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": named})
            seen[named] = judged(collected(cloud, platform), "interruption-key").findings[0].seen
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": ""})
    assert "EventBridge may not use it" in seen["alias/aws/sqs"]
    assert "does not let events.amazonaws.com call kms:GenerateDataKey, kms:Decrypt" in seen[key]
    assert "there is no such key" in seen["alias/nowhere"]


def test_instances_that_die_at_launch_without_their_key_are_told(cloud: Cloud, platform: Facts) -> None:
    ec2, kms = cloud.client("ec2", REGION), cloud.client("kms", REGION)
    key = kms.create_key(Description="of volumes")["KeyMetadata"]
    owned = [{"Key": platform.declared.owned_tag, "Value": "owned"}]
    asked: dict[str, Any] = {
        "ImageId": "ami-12c6146b",
        "MinCount": 1,
        "MaxCount": 1,
        "TagSpecifications": [{"ResourceType": "instance", "Tags": owned}],
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "Encrypted": True, "KmsKeyId": key["Arn"]}}
        ],
    }
    launched = [ec2.run_instances(**asked)["Instances"][0]["InstanceId"]]
    lives = judged(replace(platform, instances=collectors.instances(ec2)), "launch-failures")
    kms.disable_key(KeyId=key["KeyId"])
    launched.append(ec2.run_instances(**asked)["Instances"][0]["InstanceId"])
    (found,) = judged(replace(platform, instances=collectors.instances(ec2)), "launch-failures").findings
    ec2.terminate_instances(InstanceIds=launched[:1])
    assert lives.status == "ok"
    assert (found.subject, launched[1] in found.seen) == ("Client.InternalError", True)
    assert "the root volume's KMS key" in found.seen
    assert launched[0] not in found.seen


def test_instances_that_end_without_a_word_to_the_queue_are_told(cloud: Cloud, platform: Facts) -> None:
    """The rules that lead EC2's notices to the queue are gone.

    moto lets an owner end instances and no one else: that EC2 took one back is put into what is collected.
    """
    ec2, cloudwatch = cloud.client("ec2", REGION), cloud.client("cloudwatch", REGION)
    tags = {platform.declared.owned_tag: "owned", "karpenter.sh/nodepool": "spot", "karpenter.sh/nodeclaim": "spot-x1"}
    told = [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
    (made,) = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, TagSpecifications=told)["Instances"]
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    dimensions = [{"Name": "QueueName", "Value": platform.declared.interruption_queue}]

    def seen(sent: float, **taken_back: Any) -> Verdict:
        now = datetime.now(UTC)
        metric: dict[str, Any] = {"MetricName": "NumberOfMessagesSent", "Dimensions": dimensions, "Value": sent}
        metric["Timestamp"] = now - timedelta(minutes=1)
        cloudwatch.put_metric_data(Namespace="AWS/SQS", MetricData=[metric])
        listed = tuple(replace(instance, **taken_back) for instance in collectors.instances(ec2))
        facts = replace(collected(cloud, platform), instances=listed, taken_at=now + timedelta(minutes=20))
        return judged(facts, "interruption-arrivals")

    reclaimed = {"reason_code": "Server.SpotInstanceTermination", "changed_at": None}
    (silent,), (unheard,) = seen(0).findings, seen(0, **reclaimed).findings
    heard = seen(3)
    assert silent.seen == "1 instance ended within the hour, and no message was sent to the queue"
    assert unheard.seen == f"EC2 took 1 Spot instance back ({made['InstanceId']}), and Karpenter heard nothing"
    assert (heard.status, heard.what) == ("ok", "1 instance ended, 0 taken back, 3 messages sent")


def test_a_budget_that_karpenter_cannot_read_is_told(cluster: Maker, platform: Facts) -> None:
    spec = {
        "template": {"spec": {"requirements": [], "nodeClassRef": {"name": "default"}}},
        "disruption": {"budgets": [{"nodes": "10%"}, {"nodes": "0", "schedule": "0 7 * * 1-7", "duration": "11h"}]},
    }
    cluster.chart("karpenter-crd")
    made = cluster.object(NODE_POOL, "frozen", spec=spec)
    pools = parse_all(NodePool, [made.read() or {}])
    (found,) = judged(replace(platform, node_pools=pools), "pool-budgets").findings
    assert found.subject == "frozen: budget 0 7 * * 1-7"
    assert "the day of the week runs from 0 to 6" in found.seen


def test_a_small_subnet_and_a_second_group_that_carry_the_tag_are_told(
    cloud: Cloud, aws: Maker, platform: Facts
) -> None:
    ec2 = cloud.client("ec2", REGION)
    home = next(iter(platform.clusters or ()))
    small = aws.make(
        "aws:ec2/subnet:Subnet",
        "small",
        vpcId=home.vpc_id,
        cidrBlock="10.90.16.0/28",
        availabilityZone=f"{REGION}b",
        tags={**DISCOVERY, **PRIVATE, "Name": "small"},
    )
    inputs = {"vpcId": home.vpc_id, "name": "second", "description": "d", "tags": DISCOVERY}
    second = aws.make("aws:ec2/securityGroup:SecurityGroup", "second", **inputs)
    try:
        facts = collected(cloud, platform)
        full = judged(facts, "subnet-addresses").findings
        groups = judged(facts, "discovery-tags").findings
        ec2.delete_tags(Resources=[small.id], Tags=[{"Key": key} for key in PRIVATE])
        public = judged(collected(cloud, platform), "discovery-tags").findings
    finally:
        small.delete()
        second.delete()
    assert [(entry.subject, entry.severity, entry.seen) for entry in full] == [
        ("small", "critical", f"11 addresses free in {small.id}")
    ]
    assert ["every node wears all 2 groups" in group.seen for group in groups] == [True]
    assert f"{small.id} carries it too, and no private subnet's tag" in public[0].seen
