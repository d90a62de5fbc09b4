"""A KMS key of the company's: used wherever the stack would make or leave one, and kept for the cluster's life."""

import json
import re
from functools import cache

import pytest
import yaml

from infra import documents
from infra.living import LivingCluster, key_problems
from infra.names import SECRETS_KEY_TAG
from infra.settings.models import Encryption
from otel_on_spot.iam import allows
from otel_on_spot.iam.decisions import Caller
from otel_on_spot.plan.record import record
from otel_on_spot.plan.verdict import stack_of
from otel_on_spot.program.recording import Recording
from otel_on_spot.program.runner import ProgramError
from otel_on_spot.project import root
from otel_on_spot.simcloud.aws.keys import OF_A_VOLUME, refused_of_a_volume
from policy.guardrails import violations
from tests.unit.infra.test_living import LIVES, with_answers

ARN = "arn:aws:kms:eu-west-1:444455556666:key/0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"
OTHER = ARN.replace("0f0e0d0c", "ffffffff")
CLUSTER, KEY, ALIAS = "aws:eks/cluster:Cluster", "aws:kms/key:Key", "aws:kms/alias:Alias"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
LOG_GROUP, TOPIC, QUEUE = "aws:cloudwatch/logGroup:LogGroup", "aws:sns/topic:Topic", "aws:sqs/queue:Queue"


@cache
def given() -> Recording:
    keys = {"kmsKeyArn": ARN, "volumesKmsKeyArn": OTHER}
    more = {"encryption": keys, "alarms": {"emails": ["on-call@example.com"]}}
    return record("prod", config_overrides=more)


def test_it_serves_secrets_logs_and_topic_and_no_other_key_is_made() -> None:
    (cluster,), (topic,) = given().of_type(CLUSTER), given().of_type(TOPIC)

    assert given().of_type(KEY) == given().of_type(ALIAS) == ()
    assert cluster.inputs["encryptionConfig"] == {"provider": {"keyArn": ARN}, "resources": ["secrets"]}
    assert [group.inputs["kmsKeyId"] for group in given().of_type(LOG_GROUP)] == [ARN, ARN]
    assert topic.inputs["kmsMasterKeyId"] == ARN
    assert violations(stack_of(given())) == []


def test_volumes_of_all_nodes_and_of_new_claims_have_the_key_of_volumes() -> None:
    (template,) = given().of_type("aws:ec2/launchTemplate:LaunchTemplate")
    (node_class,) = given().of_type("kubernetes:karpenter.k8s.aws/v1:EC2NodeClass")
    (root_application,) = [each for each in given() if each.name == "platform-root"]
    values = yaml.safe_load(root_application.inputs["spec"]["source"]["helm"]["values"])

    assert [each["ebs"]["kmsKeyId"] for each in template.inputs["blockDeviceMappings"]] == [OTHER]
    assert [each["ebs"]["kmsKeyID"] for each in node_class.inputs["spec"]["blockDeviceMappings"]] == [OTHER]
    assert values["applications"]["cluster-base"]["values"]["storageClass"] == {"kmsKeyId": OTHER}


def test_karpenter_and_the_driver_may_make_volumes_with_the_key_before_they_are_there() -> None:
    policies = {each.inputs["role"]: each for each in given().of_type(ROLE_POLICY) if OTHER in each.inputs["policy"]}

    assert sorted(policies) == ["otel-prod-ebs-csi", "otel-prod-karpenter-controller"]
    for policy in policies.values():
        for action in OF_A_VOLUME:
            for_aws = {"kms:GrantIsForAWSResource": True}
            assert allows(policy.inputs["policy"], f"kms:{action}", OTHER, for_aws), action
            assert not allows(policy.inputs["policy"], f"kms:{action}", ARN, for_aws), action
        assert not allows(policy.inputs["policy"], "kms:CreateGrant", OTHER, {"kms:GrantIsForAWSResource": False})
    (driver,) = [each for each in given().of_type("aws:eks/addon:Addon") if "ebs" in each.inputs["addonName"]]
    (controller,) = [each for each in given() if each.name == "karpenter-controller" and each.custom]
    assert policies["otel-prod-ebs-csi"].urn in driver.dependencies
    assert policies["otel-prod-karpenter-controller"].urn in controller.dependencies


def test_each_action_and_condition_of_their_policy_is_needed_where_iam_alone_lets_them_in() -> None:
    by_iam = documents.key_policy("444455556666", "aws")
    role = "arn:aws:iam::444455556666:role/driver"

    def refused(policy: documents.Document) -> list[str]:
        return refused_of_a_volume(Caller(arn=role, role=role, identity=(policy,)), ARN, by_iam, "eu-west-1")

    whole = documents.volumes_key_policy(ARN)
    assert refused(whole) == []
    for place, statement in enumerate(whole["Statement"]):
        for action in statement["Action"]:
            less = documents.volumes_key_policy(ARN)
            less["Statement"][place]["Action"].remove(action)
            assert refused(less) == [action]
    misspelt = documents.volumes_key_policy(ARN)
    misspelt["Statement"][0]["Condition"] = {"Bool": {"kms:GrantIsForAwsResources": "true"}}
    assert refused(misspelt) == ["kms:CreateGrant"]


def test_the_queue_keeps_the_encryption_of_sqs() -> None:
    (queue,) = given().of_type(QUEUE)

    assert queue.inputs["sqsManagedSseEnabled"] is True
    assert "kmsMasterKeyId" not in queue.inputs


def test_without_it_nothing_is_declared_of_it(plan: Recording) -> None:
    (cluster,) = plan.of_type(CLUSTER)

    assert len(plan.of_type(KEY)) == len(plan.of_type(ALIAS)) == 1
    assert SECRETS_KEY_TAG not in cluster.inputs["tags"]
    assert [group.name for group in plan.of_type(LOG_GROUP) if "kmsKeyId" in group.inputs] == []
    assert [each.name for each in plan if "volumes-key" in each.name] == []
    everything = json.dumps([str(dict(each.inputs)) for each in plan])
    assert "kmsKeyID" not in everything
    assert "GrantIsForAWSResource" not in everything


@pytest.mark.parametrize(
    ("lives_with", "wanted", "words"),
    [
        ("", ARN, "leave it out"),
        (ARN, None, "put it back"),
        (ARN, OTHER, "put it back"),
    ],
)
def test_a_cluster_keeps_the_key_of_its_creation(lives_with: str, wanted: str | None, words: str) -> None:
    living = LivingCluster(kubernetes_version="1.35", zones=frozenset(), subnets=(), secrets_key=lives_with)
    (problem,) = key_problems(Encryption(kms_key_arn=wanted), living)

    assert problem.key == "encryption.kmsKeyArn"
    assert (lives_with or "its own key") in problem.rule
    assert words in problem.do


def test_the_cluster_itself_tells_its_key() -> None:
    (made,) = given().of_type(CLUSTER)
    lives = {**LIVES, "getCluster": {**LIVES["getCluster"], "tags": made.inputs["tags"]}}
    zones = {"network": {"cidr": "10.10.0.0/16", "zones": ["eu-west-1a", "eu-west-1b"]}}
    with with_answers(**lives):
        record("dev", config_overrides={"encryption": {"kmsKeyArn": ARN}, **zones})
        for key in (None, {"kmsKeyArn": OTHER}):
            with pytest.raises(ProgramError, match=r"encryption\.kmsKeyArn"):
                record("dev", config_overrides={"encryption": key, **zones})


def test_the_page_has_the_statements_that_the_key_policy_needs() -> None:
    page = (root() / "docs" / "kms-key.md").read_text()
    shown, of_volumes = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    groups = [group.inputs["name"].replace("otel-prod", "otel-dev") for group in given().of_type(LOG_GROUP)]

    scope = documents.Scope(cluster="otel-dev", region="eu-west-1", partition="aws", account_id="123456789012")
    told = documents.given_key_statements(scope, sorted(groups))
    assert json.loads(shown) == told
    assert json.loads(of_volumes) == documents.volumes_key_statement("eu-west-1", "123456789012")
