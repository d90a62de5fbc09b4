"""Events arrive only where the queue's policy lets them; what is changed behind Pulumi's back is seen."""

import json
from typing import Any

import pytest

from otel_on_spot.simcloud.aws.events import moto_url
from otel_on_spot.simcloud.delivery import deliver
from tests.simcloud.conftest import Maker, trust

WARNING = {
    "version": "0",
    "id": "1",
    "source": "aws.ec2",
    "detail-type": "EC2 Spot Instance Interruption Warning",
    "account": "123456789012",
    "time": "2026-01-01T00:00:00Z",
    "region": "eu-west-1",
    "resources": [],
    "detail": {"instance-id": "i-1"},
}


@pytest.mark.parametrize(
    ("condition", "arrives"),
    [
        ({"ArnEquals": {"aws:SourceArn": "{rule}"}}, True),
        ({"ArnEquals": {"aws:SourceArn": "{rule}-of-somebody-else"}}, False),
        (None, False),
    ],
    ids=["this rule", "another rule", "no policy"],
)
def test_a_warning_reaches_the_queue_only_with_a_policy_for_its_rule(
    aws: Maker, condition: dict[str, Any] | None, arrives: bool
) -> None:
    pattern = json.dumps({"source": ["aws.ec2"], "detail-type": [WARNING["detail-type"]]})
    queue = aws.make("aws:sqs/queue:Queue", "q", name="delivery")
    rule = aws.make("aws:cloudwatch/eventRule:EventRule", "r", name="delivery", eventPattern=pattern)
    target = aws.make(
        "aws:cloudwatch/eventTarget:EventTarget", "t", rule="delivery", targetId="q", arn=queue.outputs["arn"]
    )
    made = [target, rule, queue]
    if condition is not None:
        statement = {
            "Sid": "Rules",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue.outputs["arn"],
            "Condition": json.loads(json.dumps(condition).replace("{rule}", rule.outputs["arn"])),
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        made.insert(0, aws.make("aws:sqs/queuePolicy:QueuePolicy", "p", queueUrl=queue.id, policy=policy))
    try:
        told = deliver(aws.site, WARNING)
        assert [bool(delivery.refused) for delivery in told] == [not arrives]
        url = moto_url(aws.site, queue.id)
        messages = aws.site.client("sqs").receive_message(QueueUrl=url).get("Messages", [])
        assert [json.loads(message["Body"])["detail"] for message in messages] == (
            [WARNING["detail"]] if arrives else []
        )
        assert deliver(aws.site, {**WARNING, "source": "aws.s3"}) == []
    finally:
        for handle in made:
            handle.delete()


def test_a_changed_attribute_and_a_foreign_tag_are_read_and_a_policy_survives_them(aws: Maker) -> None:
    queue = aws.make("aws:sqs/queue:Queue", "drifting", name="drifting", messageRetentionSeconds=300)
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}],
        }
    )
    aws.make("aws:sqs/queuePolicy:QueuePolicy", "drifting", queueUrl=queue.id, policy=policy)
    sqs, url = aws.site.client("sqs"), moto_url(aws.site, queue.id)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "900"})
    sqs.tag_queue(QueueUrl=url, Tags={"by": "hand"})
    read = queue.read()
    assert read is not None
    assert read["messageRetentionSeconds"] == 900
    assert read["tagsAll"] == {"by": "hand", "stack": "test"}
    assert json.loads(read["policy"]) == json.loads(policy)
    found = queue.handler.difference(
        read, {"messageRetentionSeconds": 300}, {"messageRetentionSeconds": 300, "name": "drifting"}, aws.site
    )
    assert set(found.paths) == {"messageRetentionSeconds", "tagsAll"}
    queue.delete()


def test_a_rule_of_a_security_group_that_somebody_added_is_read(aws: Maker) -> None:
    vpc = aws.make("aws:ec2/vpc:Vpc", "drift", cidrBlock="10.79.0.0/16")
    group = aws.make("aws:ec2/securityGroup:SecurityGroup", "drift", vpcId=vpc.id, ingress=[], egress=[])
    opened = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    aws.site.client("ec2").authorize_security_group_ingress(GroupId=group.id, IpPermissions=[opened])
    read = group.read()
    assert read is not None
    assert read["ingress"] == [{"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["0.0.0.0/0"]}]
    group.delete()
    vpc.delete()


def test_what_somebody_deleted_is_gone(aws: Maker) -> None:
    made = aws.make("aws:cloudwatch/logGroup:LogGroup", "gone", name="/gone")
    aws.site.client("logs").delete_log_group(logGroupName="/gone")
    assert made.read() is None


def test_an_update_reaches_the_cloud_in_all_that_it_changes(aws: Maker, cluster: Maker) -> None:
    iam, ec2 = aws.site.client("iam"), aws.site.client("ec2")
    about = {"url": "https://issuer.org", "clientIdLists": ["x"], "thumbprintLists": ["a" * 40]}
    issuer = aws.make("aws:iam/openIdConnectProvider:OpenIdConnectProvider", "issuer", **about)
    issuer.change(**about, tags={"team": "shop"})
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=issuer.id)
    assert {"Key": "team", "Value": "shop"} in found["Tags"]

    vpc = aws.make("aws:ec2/vpc:Vpc", "updated", cidrBlock="10.59.0.0/16")
    gateway = {"vpcId": vpc.id, "serviceName": "com.amazonaws.eu-west-1.s3", "vpcEndpointType": "Gateway"}
    endpoint = aws.make("aws:ec2/vpcEndpoint:VpcEndpoint", "updated", **gateway)
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    endpoint.change(**gateway, policy=policy)
    assert ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint.id])["VpcEndpoints"][0]["PolicyDocument"] == policy

    principal = aws.make("aws:iam/role:Role", "called", name="called", assumeRolePolicy=trust("ec2.amazonaws.com"))
    who = {"clusterName": cluster.site.cluster, "principalArn": principal.outputs["arn"]}
    aws.make("aws:eks/accessEntry:AccessEntry", "called", **who).change(**who, userName="someone")
    row = aws.site.cloud.tables.get("access-entries", "/".join(who.values()))
    assert row is not None
    assert row["userName"] == "someone"
