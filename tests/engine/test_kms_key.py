"""A KMS key of the company's by the real engine: made with, nothing to do afterwards, and no other one taken."""

import json
from pathlib import Path

from infra.documents import document, key_policy, volumes_key_statement
from tests.engine.workbench import REGION, workbench

ACCOUNT = "123456789012"


def test_it_is_used_changes_nothing_later_and_cannot_be_changed(folder: Path) -> None:
    with workbench(folder, "dev", stand_in=True) as bench:
        kms, logs, sns = (bench.cloud.client(service, REGION) for service in ("kms", "logs", "sns"))
        arn, other = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
        policy = document(*key_policy(ACCOUNT, "aws")["Statement"], volumes_key_statement(REGION, ACCOUNT))
        of_volumes = kms.create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"]
        emails = {"alarms.emails": ["on-call@example.com"], "network.flowLogs": True}
        both = {"encryption.kmsKeyArn": arn, "encryption.volumesKmsKeyArn": of_volumes}
        with bench.settings({**emails, **both}) as file:
            bench.up("--config-file", str(file))
            bench.run("preview", "--expect-no-changes", "--non-interactive", "--config-file", str(file))
        volumes = bench.cloud.client("ec2", REGION).describe_volumes()["Volumes"]
        assert {volume.get("KmsKeyId") for volume in volumes} == {of_volumes}

        made = {resource["type"] for resource in bench.state()["resources"]}
        assert "aws:sns/topic:Topic" in made
        assert not {"aws:kms/key:Key", "aws:kms/alias:Alias"} & made
        groups = logs.describe_log_groups()["logGroups"]
        assert [group.get("kmsKeyId") for group in groups] == [arn, arn]
        (topic,) = sns.list_topics()["Topics"]
        assert sns.get_topic_attributes(TopicArn=topic["TopicArn"])["Attributes"]["KmsMasterKeyId"] == arn

        for changed in ({**emails, "encryption.kmsKeyArn": other}, emails):
            code, told = bench.attempt_with(changed, "preview")
            assert code != 0
            assert "EKS gives its secrets no other key" in told
