"""An account before anything is made in it: fit for the stack, or each fault told with the command that helps."""

import inspect
import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from access.boundary import boundary
from access.deployer import deployer
from access.scope import allow as allowing
from access.scope import deny as denying
from access.scope import document
from infra.documents import Scope as DocumentScope
from infra.documents import given_key_statements, key_policy, volumes_key_policy, volumes_key_statement
from infra.names import OWNER_TAG
from otel_on_spot.plan.record import record
from otel_on_spot.preflight import access, github, keys, permissions, places, run, taken
from otel_on_spot.preflight.situation import Identity, Situation
from otel_on_spot.report import Verdict
from otel_on_spot.simcloud.aws.keys import auto_scaling
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.handler import Site
from tests.simcloud.conftest import Maker, scope_of, situation_of, trust
from tests.unit.settings.test_settings import committed

ROOT = Path(__file__).parents[2]
REGION, ACCOUNT, CLUSTER, ROLE = "eu-west-2", "123456789012", "preflight", "preflight-up"
LIMITS = DocumentScope(cluster=CLUSTER, region=REGION, partition="aws", account_id=ACCOUNT)
SCOPE = scope_of(CLUSTER, CLUSTER, REGION)
BOUNDARY = SCOPE.boundary
WANTED = {"cluster": CLUSTER, "environment": "dev", "managed-by": "pulumi", "cost-centre": "platform"}
SPOT = "spot.amazonaws.com"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
CHECK = {check.id: check for check in run.CHECKS}


@pytest.fixture(scope="module")
def fit(cloud: Cloud) -> Iterator[Situation]:
    """An account with the roles of a bootstrap and Spot's own, and the plan of dev in a region where nothing is."""
    iam = cloud.client("iam", REGION)
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
    for part, told in deployer(SCOPE).items():
        iam.put_role_policy(RoleName=ROLE, PolicyName=part, PolicyDocument=json.dumps(told))
    iam.create_policy(
        PolicyName=BOUNDARY.rpartition("/")[2],
        Path="/otel-on-spot-bootstrap/",
        PolicyDocument=json.dumps(boundary(SCOPE)),
    )
    iam.create_service_linked_role(AWSServiceName=SPOT)
    recording = record(
        "dev",
        config_overrides={
            "region": REGION,
            "cluster": committed("dev")["cluster"] | {"name": CLUSTER},
            "network": committed("dev")["network"] | {"zones": [f"{REGION}a", f"{REGION}b"]},
            "iam": {"permissionsBoundary": BOUNDARY},
        },
    )
    yield situation_of(cloud, recording, REGION, role=ROLE, backend="file:///somewhere")
    _unlink_spot(cloud)


def _unlink_spot(cloud: Cloud) -> None:
    iam = cloud.client("iam", REGION)
    for role in iam.list_roles(PathPrefix=f"/aws-service-role/{SPOT}/")["Roles"]:
        for policy in iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName=role["RoleName"])


def judged(situation: Situation, check: str) -> Verdict:
    return run.run_check(situation, CHECK[check])


def told(verdict: Verdict) -> list[str]:
    assert verdict.status == "found", verdict
    return [f"{one.severity}: {one.subject}: {one.seen}" for one in verdict.findings]


def follow(cloud: Cloud, command: str) -> None:
    """Run a command of the AWS CLI, as printed, against the cloud."""
    words = shlex.split(command)
    assert words[0] == "aws"
    options = dict(zip((word.removeprefix("--") for word in words[3::2]), words[4::2], strict=True))
    client = cloud.client(words[1], options.pop("region", REGION))
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[words[2].replace("-", "_")])
    names = {xform_name(name, "-"): (name, shape) for name, shape in model.input_shape.members.items()}
    arguments = {
        names[key][0]: float(value) if names[key][1].type_name in ("double", "integer") else value
        for key, value in options.items()
    }
    getattr(client, words[2].replace("-", "_"))(**arguments)


def test_a_fit_account_gives_no_line_and_the_bill_is_said(fit: Situation) -> None:
    report = run.examine(fit)
    assert [(verdict.id, verdict.what) for verdict in report.verdicts if verdict.status != "ok"] == []
    assert report.exit_code == 0
    assert report.measures["bill"].startswith("about 0.")
    assert "USD an hour with the demo" in report.measures["bill"]
    looked = {verdict.id: verdict.count for verdict in report.verdicts}
    assert looked["permissions"] > 300
    assert looked["boundary"] > 100
    assert looked["names"] > 20
    assert [check for check, count in looked.items() if count == 0] == [
        "existing-vpc",
        "kms-key",
        "certificates",
        "repository",
    ]


QUOTAS = {
    "Elastic IP addresses": ("ec2", "L-0263D0A3", 0, "critical", 1),
    "VPCs": ("vpc", "L-F678F1CE", 1, "critical", 2),
    "NAT gateways in a zone": ("vpc", "L-FE5A380F", 0, "critical", 1),
    "vCPUs of Spot": ("ec2", "L-34B43A08", 5, "warning", 100),
    "vCPUs of On-Demand": ("ec2", "L-1216C47A", 4, "critical", 38),
}


@pytest.mark.parametrize("noun", QUOTAS)
def test_a_quota_that_is_too_small_is_told_with_the_request_that_is_enough(
    cloud: Cloud, fit: Situation, noun: str
) -> None:
    service, code, allowed, severity, enough = QUOTAS[noun]
    quotas = cloud.client("service-quotas", REGION)
    before = quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"]

    def ask(value: float) -> None:
        quotas.request_service_quota_increase(ServiceCode=service, QuotaCode=code, DesiredValue=value)

    ask(allowed)
    try:
        verdict = judged(fit, "quotas")
        assert [line.partition(": ")[0] for line in told(verdict)] == [severity]
        (found,) = verdict.findings
        assert found.subject == noun
        assert f"{allowed} allowed" in found.seen
        assert found.remedy[0].endswith(f"--quota-code {code} --desired-value {enough} --region {REGION}")
        follow(cloud, found.remedy[0])
        assert judged(fit, "quotas").status == "ok"
    finally:
        ask(before)


def test_what_others_use_counts_and_what_is_this_stacks_own_does_not(cloud: Cloud, fit: Situation) -> None:
    ec2 = cloud.client("ec2", REGION)
    taken_ids = [ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(5)]
    try:
        (found,) = judged(fit, "quotas").findings
        assert found.seen == "5 allowed; others use 5, the stack takes up to 1"
        assert "--desired-value 6" in found.remedy[0]
        ec2.create_tags(Resources=taken_ids[:1], Tags=[{"Key": key, "Value": value} for key, value in WANTED.items()])
        assert judged(fit, "quotas").status == "ok"
    finally:
        for address in taken_ids:
            ec2.release_address(AllocationId=address)


def test_a_quota_that_aws_does_not_tell_is_said_not_to_be_known(fit: Situation) -> None:
    with mock.patch("otel_on_spot.preflight.quotas._allowed", return_value=None):
        assert "not told: Elastic IP addresses, VPCs" in judged(fit, "quotas").what


def test_an_account_without_spots_own_role_is_told_and_the_command_makes_it(cloud: Cloud, fit: Situation) -> None:
    _unlink_spot(cloud)
    (found,) = judged(fit, "linked-roles").findings
    assert found.severity == "critical"
    follow(cloud, found.remedy[0])
    assert judged(fit, "linked-roles").status == "ok"


def test_a_second_role_of_spot_is_told(fit: Situation) -> None:
    made = fit.recording.of_type("aws:iam/role:Role")[0]
    role = replace(
        made, type="aws:iam/serviceLinkedRole:ServiceLinkedRole", name="spot", inputs={"awsServiceName": SPOT}
    )
    recording = replace(fit.recording, registrations=(*fit.recording.registrations, role))
    (line,) = told(judged(replace(fit, recording=recording), "linked-roles"))
    assert "karpenter.spotServiceLinkedRole makes it" in line


class Altered:
    """A client, some of whose answers are others; an exception is raised."""

    def __init__(self, client: Any, **answers: Any) -> None:
        self._client, self._answers = client, answers

    def __getattr__(self, name: str) -> Any:
        if name not in self._answers:
            return getattr(self._client, name)
        answer = self._answers[name]

        def answering(**_: Any) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return answering


def altered(situation: Situation, service: str, **answers: Any) -> Situation:
    def client(name: str, *_: str) -> Any:
        found = situation.client(name)
        return Altered(found, **answers) if name == service else found

    return replace(situation, client=client, elsewhere=client)


def refused(code: str, operation: str, status: int = 400) -> ClientError:
    error = {"Error": {"Code": code, "Message": "told so"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, operation)


def test_a_zone_that_the_account_does_not_have_is_told_with_those_that_it_has(fit: Situation) -> None:
    there = [{"ZoneName": f"{REGION}{letter}", "ZoneId": f"euw2-az{letter}", "State": "available"} for letter in "ac"]
    (found,) = judged(altered(fit, "ec2", describe_availability_zones={"AvailabilityZones": there}), "zones").findings
    assert found.subject == f"{REGION}b"
    assert f"use {REGION}a, {REGION}c" in found.remedy[0]


def test_a_zone_that_eks_refuses_is_told(fit: Situation) -> None:
    there = [{"ZoneName": f"{REGION}{letter}", "ZoneId": f"az-{letter}", "State": "available"} for letter in "ab"]
    with mock.patch.dict(places.ZONES_WITHOUT_CONTROL_PLANE, {REGION: frozenset({"az-a"})}):
        found = judged(altered(fit, "ec2", describe_availability_zones={"AvailabilityZones": there}), "zones").findings
    assert [(one.subject, one.seen) for one in found] == [(f"{REGION}a", "az-a in this account")]


@pytest.mark.parametrize(
    ("lacking", "subjects"),
    [
        (lambda kind: kind.startswith(("m7i.", "m6i.", "m7a.", "m5.")), {"cluster.systemNodes.instanceTypes"}),
        (lambda _: True, {"cluster.systemNodes.instanceTypes", "pools.spot", "pools.data"}),
    ],
    ids=["of the system nodes", "at all"],
)
def test_a_zone_that_offers_no_type_is_told(fit: Situation, lacking: Callable[[str], bool], subjects: set[str]) -> None:
    offered = places.pages

    def fewer(*arguments: Any, **named: Any) -> Iterator[Any]:
        for offer in offered(*arguments, **named):
            if not (offer["Location"].endswith("b") and lacking(offer["InstanceType"])):
                yield offer

    with mock.patch("otel_on_spot.preflight.places.pages", fewer):
        found = judged(fit, "instance-types").findings
    assert subjects <= {one.subject for one in found}
    assert all(f"{REGION}b" in one.seen and f"{REGION}a" not in one.seen for one in found)


TAKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "Role": ("aws:iam/role:Role", {"name": f"{CLUSTER}-cluster", "assumeRolePolicy": trust("eks.amazonaws.com")}),
    "Policy": (
        "aws:iam/policy:Policy",
        {"name": f"{CLUSTER}-karpenter-interruption", "policy": json.dumps(EVERYTHING)},
    ),
    "InstanceProfile": ("aws:iam/instanceProfile:InstanceProfile", {"name": f"{CLUSTER}-karpenter-node"}),
    "Queue": ("aws:sqs/queue:Queue", {"name": f"{CLUSTER}-interruption"}),
    "LogGroup": ("aws:cloudwatch/logGroup:LogGroup", {"name": f"/aws/eks/{CLUSTER}/cluster"}),
    "EventRule": (
        "aws:cloudwatch/eventRule:EventRule",
        {"name": f"{CLUSTER}-rebalance", "eventPattern": json.dumps({"source": ["aws.ec2"]})},
    ),
    "Alias": ("aws:kms/alias:Alias", {"name": f"alias/{CLUSTER}-secrets"}),
}
"""Kind -> something that has a name of the plan's."""


@pytest.mark.parametrize("kind", TAKEN)
def test_a_name_that_is_taken_is_told_with_its_owner_and_this_stacks_own_is_not(
    cloud: Cloud, fit: Situation, kind: str
) -> None:
    of_iam, (token, inputs) = kind in ("Role", "Policy", "InstanceProfile"), TAKEN[kind]
    own = WANTED | ({OWNER_TAG: f"{REGION}/dev"} if of_iam else {})
    others = own | ({OWNER_TAG: "eu-west-1/dev"} if of_iam else {"managed-by": "hand"})
    for tags, line in (({}, "without a tag"), (own, ""), (others, "eu-west-1/dev" if of_iam else "managed-by=hand")):
        maker = Maker(Site(cloud, region=REGION, default_tags=tags))
        target = {"targetKeyId": maker.make("aws:kms/key:Key", "key").id} if kind == "Alias" else {}
        made = maker.make(token, "taken", **inputs, **target)
        try:
            verdict = judged(fit, "names")
        finally:
            made.delete()
        if line:
            (found,) = told(verdict)
            assert kind in found
            assert line in found
        else:
            assert verdict.status == "ok"
            assert "1 of them there already and this stack's own" in verdict.what


def test_a_cluster_of_that_name_is_told(fit: Situation) -> None:
    there = {"cluster": {"name": CLUSTER, "tags": {"cluster": CLUSTER}}}
    assert (
        "Cluster preflight: there already, tagged cluster=preflight"
        in told(judged(altered(fit, "eks", describe_cluster=there), "names"))[0]
    )


def test_each_kind_of_name_that_is_looked_up_is_tried() -> None:
    tried = {*TAKEN, "Cluster", "Bucket", "OpenIdConnectProvider"}
    assert {token.rpartition(":")[2] for token in taken.LOOKS} == tried


@pytest.fixture(scope="module")
def empty(fit: Situation) -> Situation:
    """The plan of the bootstrap, in the same account."""
    bootstrap = ROOT / "bootstrap"
    return replace(fit, recording=record("account", root=bootstrap), root=bootstrap, role="")


def test_a_bucket_of_another_account_is_told_before_the_bootstrap(empty: Situation) -> None:
    assert judged(empty, "names").status == "ok"
    no = refused("403", "HeadBucket", 403)
    (line,) = told(judged(altered(empty, "s3", head_bucket=no), "names"))
    assert "Bucket your-org-otel-on-spot-state: another account has the bucket" in line


def test_a_bucket_and_an_identity_provider_that_the_account_has_are_told(cloud: Cloud, empty: Situation) -> None:
    s3, iam = cloud.client("s3", REGION), cloud.client("iam", REGION)
    s3.create_bucket(Bucket="your-org-otel-on-spot-state", CreateBucketConfiguration={"LocationConstraint": REGION})
    arn = iam.create_open_id_connect_provider(Url="https://token.actions.githubusercontent.com", ThumbprintList=[])
    try:
        (line,) = told(judged(empty, "names"))
    finally:
        s3.delete_bucket(Bucket="your-org-otel-on-spot-state")
        iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn["OpenIDConnectProviderArn"])
    assert "Bucket your-org-otel-on-spot-state" in line
    assert "OpenIdConnectProvider https://token.actions.githubusercontent.com" in line


def test_a_state_whose_bucket_is_not_there_or_shut_is_told(cloud: Cloud, fit: Situation) -> None:
    there = replace(fit, backend=f"s3://preflight-state?region={REGION}")
    assert "there is no such bucket" in told(judged(there, "state"))[0]
    assert "you may not look" in told(judged(altered(there, "s3", head_bucket=refused("403", "H", 403)), "state"))[0]
    moved = altered(there, "s3", head_bucket=refused("301", "H", 301))
    assert f"another region than {REGION}" in told(judged(moved, "state"))[0]
    s3 = cloud.client("s3", REGION)
    s3.create_bucket(Bucket="preflight-state", CreateBucketConfiguration={"LocationConstraint": REGION})
    assert judged(there, "state").what == "s3://preflight-state"
    s3.delete_bucket(Bucket="preflight-state")


def test_a_key_of_the_secrets_that_is_not_there_is_told(cloud: Cloud, fit: Situation, tmp_path: Path) -> None:
    text = (ROOT / "Pulumi.dev.yaml").read_text()
    provider = f"secretsprovider: awskms://alias/preflight-state-key?region={REGION}\n"
    (tmp_path / "Pulumi.dev.yaml").write_text(provider + text)
    there = replace(fit, root=tmp_path)
    assert "alias/preflight-state-key: NotFoundException" in told(judged(there, "state"))[0]
    kms = cloud.client("kms", REGION)
    kms.create_alias(AliasName="alias/preflight-state-key", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    assert judged(there, "state").status == "ok"
    dry = refused("DryRunOperationException", "Encrypt")
    assert judged(altered(there, "kms", encrypt=dry), "state").status == "ok"
    assert "AccessDenied" in told(judged(altered(there, "kms", encrypt=refused("AccessDenied", "E")), "state"))[0]


@pytest.fixture
def given(cloud: Cloud, fit: Situation) -> Situation:
    """The fit account, whose stack is given a key with the policy that docs/kms-key.md shows."""
    groups = [each.inputs["name"] for each in fit.of_type(keys.LOG_GROUP)]
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    through_iam = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    policy = document(through_iam, *given_key_statements(LIMITS, groups))
    made = cloud.client("kms", REGION).create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"]
    return with_key(fit, made)


def with_key(fit: Situation, arn: str) -> Situation:
    """The plan, with this key wherever ``encryption.kmsKeyArn`` puts it."""
    inputs: dict[str, dict[str, Any]] = {
        taken.CLUSTER: {"encryptionConfig": {"provider": {"keyArn": arn}, "resources": ["secrets"]}},
        keys.LOG_GROUP: {"kmsKeyId": arn},
    }
    changed = [
        replace(each, inputs={**each.inputs, **inputs.get(each.type, {})})
        for each in fit.recording
        if each.type not in (keys.KEY, "aws:kms/alias:Alias")
    ]
    topic = replace(changed[-1], type=keys.TOPIC, inputs={"name": f"{CLUSTER}-alarms", "kmsMasterKeyId": arn})
    return replace(fit, recording=replace(fit.recording, registrations=(*changed, topic)))


def test_a_key_that_the_stack_is_given_is_looked_at(cloud: Cloud, given: Situation) -> None:
    found = judged(given, "kms-key")
    assert (found.status, found.count) == ("ok", 1), found
    kms, arn = cloud.client("kms", REGION), found.what

    def metadata(**other: Any) -> Situation:
        told = {**kms.describe_key(KeyId=arn)["KeyMetadata"], **other}
        return altered(given, "kms", describe_key={"KeyMetadata": told})

    assert "AWS manages" in told(judged(metadata(KeyManager="AWS"), "kms-key"))[0]
    assert (
        "RSA_2048 for SIGN_VERIFY" in told(judged(metadata(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY"), "kms-key"))[0]
    )
    assert "us-east-1" in told(judged(metadata(Arn=arn.replace(REGION, "us-east-1")), "kms-key"))[0]
    kms.disable_key(KeyId=arn.rpartition("/")[2])
    assert "its state is Disabled" in told(judged(given, "kms-key"))[0]
    kms.enable_key(KeyId=arn.rpartition("/")[2])


def test_a_key_that_is_not_there_or_not_to_be_seen_is_told(given: Situation) -> None:
    missing = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"
    assert "NotFoundException" in told(judged(with_key(given, missing), "kms-key"))[0]
    closed = altered(given, "kms", describe_key=refused("AccessDeniedException", "DescribeKey"))
    assert "AccessDeniedException" in told(judged(closed, "kms-key"))[0]
    busy = altered(given, "kms", describe_key=refused("ThrottlingException", "DescribeKey"))
    assert judged(busy, "kms-key").status == "unknown"


def test_a_role_whose_stack_is_given_no_key_may_not_lend_it(cloud: Cloud, given: Situation) -> None:
    arn, iam = judged(given, "kms-key").what, cloud.client("iam", REGION)
    denied = judged(given, "permissions").findings
    assert [each.subject for each in denied] == ["kms:DescribeKey", "kms:CreateGrant"]
    assert all(arn in each.seen for each in denied)
    policies = deployer(replace(SCOPE, kms_key_arn=arn))
    for part in ("read", "cluster"):
        iam.put_role_policy(RoleName=ROLE, PolicyName=part, PolicyDocument=json.dumps(policies[part]))
    try:
        assert judged(given, "permissions").status == "ok"
    finally:
        for part in ("read", "cluster"):
            told_before = json.dumps(deployer(SCOPE)[part])
            iam.put_role_policy(RoleName=ROLE, PolicyName=part, PolicyDocument=told_before)


@pytest.mark.parametrize(
    ("left_out", "service"), [(2, f"logs.{REGION}.amazonaws.com"), (3, "cloudwatch.amazonaws.com")]
)
def test_a_service_that_the_keys_policy_shuts_out_is_told_with_its_statement(
    cloud: Cloud, given: Situation, left_out: int, service: str
) -> None:
    kms, arn = cloud.client("kms", REGION), judged(given, "kms-key").what
    whole = json.loads(kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
    lacking = whole["Statement"][:left_out] + whole["Statement"][left_out + 1 :]
    told_policy = {"Policy": json.dumps({**whole, "Statement": lacking})}
    (finding,) = judged(altered(given, "kms", get_key_policy=told_policy), "kms-key").findings
    assert f"its policy does not let {service} call kms:" in finding.seen
    assert json.dumps(whole["Statement"][left_out]) in finding.remedy[0]


def test_of_a_key_of_another_account_it_is_said_what_its_policy_must_allow(given: Situation) -> None:
    elsewhere = replace(given, identity=replace(given.identity, account="444455556666"))
    found = judged(elsewhere, "kms-key")
    assert found.status == "ok"
    assert f"of the account {ACCOUNT}, whose key policy must let this one in: docs/kms-key.md" in found.what
    unread = judged(altered(given, "kms", get_key_policy=refused("AccessDeniedException", "GetKeyPolicy")), "kms-key")
    assert unread.status == "ok"
    assert "you may not read its policy" in unread.what


def with_key_of_volumes(fit: Situation, arn: str) -> Situation:
    """The plan, with this key where ``encryption.volumesKmsKeyArn`` puts it."""
    (template,) = fit.of_type(keys.TEMPLATE)
    mapping = {"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "kmsKeyId": arn}}
    told = json.dumps(volumes_key_policy(arn))
    changed = [
        replace(each, inputs={**each.inputs, "blockDeviceMappings": [mapping]}) if each is template else each
        for each in fit.recording
    ]
    inline = [
        replace(template, type=keys.ROLE_POLICY, inputs={"role": f"{CLUSTER}-{role}", "policy": told})
        for role in ("ebs-csi", "karpenter-controller")
    ]
    return replace(fit, recording=replace(fit.recording, registrations=(*changed, *inline)))


LAUNCHER = "AWSServiceRoleForAutoScaling"


@pytest.mark.parametrize(
    ("statements", "shut_out"),
    [
        ([volumes_key_statement(REGION, ACCOUNT)], []),
        (key_policy(ACCOUNT, "aws")["Statement"], [LAUNCHER]),
        (
            [*key_policy(ACCOUNT, "aws")["Statement"], volumes_key_statement("eu-west-1", ACCOUNT)],
            [LAUNCHER],
        ),
        (
            [
                {
                    **volumes_key_statement(REGION, ACCOUNT),
                    "Principal": {"AWS": auto_scaling("aws", ACCOUNT).role},
                    "Condition": {},
                }
            ],
            ["preflight-ebs-csi", "preflight-karpenter-controller"],
        ),
        (
            [
                {
                    **volumes_key_statement(REGION, ACCOUNT),
                    "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:ReEncrypt*"],
                }
            ],
            [LAUNCHER, "preflight-ebs-csi", "preflight-karpenter-controller"],
        ),
        (
            [volumes_key_statement(REGION, "210987654321")],
            [LAUNCHER, "preflight-ebs-csi", "preflight-karpenter-controller"],
        ),
    ],
)
def test_who_cannot_make_volumes_with_their_key_is_told_with_the_statement(
    cloud: Cloud, fit: Situation, statements: list[dict[str, Any]], shut_out: list[str]
) -> None:
    arn = cloud.client("kms", REGION).create_key()["KeyMetadata"]["Arn"]
    policy = {"Policy": json.dumps(document(*statements))}
    found = judged(altered(with_key_of_volumes(fit, arn), "kms", get_key_policy=policy), "kms-key")
    assert sorted(each.seen.split(" call ")[0].rpartition("/")[2] for each in found.findings) == shut_out
    for each in found.findings:
        assert json.dumps(volumes_key_statement(REGION, ACCOUNT)) in each.remedy[0]


def test_a_grant_lets_auto_scaling_make_volumes_with_its_own_accounts_key_and_with_anothers(
    cloud: Cloud, fit: Situation
) -> None:
    kms = cloud.client("kms", REGION)
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    ours = with_key_of_volumes(fit, arn)
    (shut_out,) = judged(ours, "kms-key").findings
    assert LAUNCHER in shut_out.seen
    theirs = replace(ours, identity=replace(ours.identity, account="444455556666"))
    (finding,) = judged(theirs, "kms-key").findings
    command = shlex.split(finding.remedy[0])
    assert command[:5] == ["aws", "kms", "create-grant", "--key-id", arn]
    assert "444455556666" in command[6]
    operations = command[8:-2]
    assert set(operations) == set(keys.LENT)
    for account in (ACCOUNT, "444455556666"):
        grantee = command[6].replace("444455556666", account)
        kms.create_grant(KeyId=arn, GranteePrincipal=grantee, Operations=operations)
    assert judged(ours, "kms-key").status == judged(theirs, "kms-key").status == "ok"
    closed = altered(theirs, "kms", list_grants=refused("AccessDeniedException", "ListGrants"))
    assert LAUNCHER in judged(closed, "kms-key").findings[0].seen


REAL = Identity(account="738291046527", arn="arn:aws:iam::738291046527:root", user_id="738291046527")


def test_credentials_of_another_account_are_told(fit: Situation) -> None:
    provider, *rest = (each for each in fit.recording if each.type == "pulumi:providers:aws")
    assert not rest
    bound = replace(provider, inputs={**provider.inputs, "allowedAccountIds": '["738291046527"]'})
    others = tuple(each for each in fit.recording if each is not provider)
    elsewhere = replace(fit, recording=replace(fit.recording, registrations=(bound, *others)))
    assert "credentials of the account 123456789012" in told(judged(elsewhere, "identity"))[0]
    assert judged(replace(elsewhere, identity=REAL), "identity").status == "ok"


def test_values_of_the_examples_are_told_in_a_real_account_alone(fit: Situation) -> None:
    found = told(judged(replace(fit, identity=REAL), "examples"))
    assert [line.split(": ")[1] for line in found] == ["cluster.endpoint.publicCidrs[0]", "gitops.repository"]
    assert "which a simulated cloud takes" in judged(fit, "examples").what


@pytest.mark.parametrize(
    ("status", "answer", "seen"),
    [
        (404, None, "GitHub has no repository 2, or does not show it to you"),
        (200, {"full_name": "else/otel-on-spot", "owner": {"id": 1}}, "the repository 2 is else/otel-on-spot"),
        (200, {"full_name": "your-org/otel-on-spot", "owner": {"id": 9}}, "of the owner 9"),
        (200, {"full_name": "Your-Org/otel-on-spot", "owner": {"id": 1}}, ""),
    ],
)
def test_a_repository_that_github_does_not_have_is_told_before_the_bootstrap(
    empty: Situation, status: int, answer: Any, seen: str
) -> None:
    asked: list[str] = []

    def ask(path: str) -> tuple[int, Any]:
        asked.append(path)
        return status, answer

    looked = github.repository(replace(empty, identity=REAL), ask)
    assert asked == ["/repositories/2"]
    assert [seen in one.seen for one in looked.findings] == ([True] if seen else [])
    assert all("gh api repos/your-org/otel-on-spot" in one.remedy[0] for one in looked.findings)


def test_github_is_asked_for_a_real_account_alone_and_its_silence_is_no_answer(empty: Situation) -> None:
    def fails(_: str) -> tuple[int, Any]:
        raise OSError("no way to GitHub")

    assert "GitHub is not asked" in github.repository(empty, fails).what
    with mock.patch.object(inspect.unwrap(github.repository), "__defaults__", (fails,)):
        verdict = judged(replace(empty, identity=REAL), "repository")
    assert (verdict.status, verdict.why_unknown) == ("unknown", "no way to GitHub")
    with pytest.raises(OSError, match="GitHub answered 403"):
        github.repository(replace(empty, identity=REAL), lambda _: (403, None))


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (refused("AccessDenied", "AssumeRole"), ("the role of your profile cannot be assumed", "--as ROLE")),
        (refused("ExpiredToken", "GetCallerIdentity"), ("have expired", "aws sso login")),
        (refused("InvalidClientTokenId", "GetCallerIdentity"), ("AWS does not say who you are",)),
    ],
    ids=["a role that may not be assumed", "expired", "no credentials"],
)
def test_credentials_that_lead_nowhere_end_with_one_message(
    fit: Situation, problem: ClientError, words: tuple[str, ...]
) -> None:
    client = altered(fit, "sts", get_caller_identity=problem).client
    with pytest.raises(access.NoAccessError) as ended:
        access.identity(client)
    assert all(word in str(ended.value) for word in words)


def test_a_check_that_aws_does_not_answer_is_unknown_and_the_others_are_judged(fit: Situation) -> None:
    shut = altered(fit, "service-quotas", get_service_quota=refused("AccessDeniedException", "GetServiceQuota"))
    report = run.examine(shut)
    assert [verdict.id for verdict in report.verdicts if verdict.status == "unknown"] == ["quotas"]
    assert report.exit_code == 2


# Permissions


@pytest.fixture
def deploying(cloud: Cloud, fit: Situation) -> Callable[..., Verdict]:
    """Judge a role with these policies, and this boundary."""
    iam = cloud.client("iam", REGION)

    def judge(*documents: dict[str, Any], bounds: dict[str, Any] | None = None) -> Verdict:
        named = {}
        if bounds is not None:
            made = iam.create_policy(PolicyName="tried-bounds", PolicyDocument=json.dumps(bounds))
            named = {"PermissionsBoundary": made["Policy"]["Arn"]}
        iam.create_role(RoleName="tried", AssumeRolePolicyDocument=trust("ec2.amazonaws.com"), **named)
        for number, told_ in enumerate(documents):
            iam.put_role_policy(RoleName="tried", PolicyName=f"p{number}", PolicyDocument=json.dumps(told_))
        try:
            return judged(replace(fit, role="tried"), "permissions")
        finally:
            for number in range(len(documents)):
                iam.delete_role_policy(RoleName="tried", PolicyName=f"p{number}")
            iam.delete_role(RoleName="tried")
            if named:
                iam.delete_policy(PolicyArn=named["PermissionsBoundary"])

    return judge


@pytest.mark.parametrize("action", ["ec2:CreateVpc", "iam:PassRole", "kms:CreateGrant", "eks:DeleteCluster"])
def test_an_action_that_the_role_lacks_is_told_before_anything_is_made(
    deploying: Callable[..., Verdict], action: str
) -> None:
    less = json.loads(json.dumps(deployer(SCOPE)))
    for told_ in less.values():
        for statement in told_["Statement"]:
            if statement["Effect"] == "Allow":
                left = [each for each in statement["Action"] if each != action]
                statement["Action"] = left or ["sts:GetCallerIdentity"]
    verdict = deploying(*less.values())
    assert {one.subject for one in verdict.findings} == {action}
    assert "no statement of an identity-based policy allows it" in verdict.findings[0].seen
    assert f'"Action": ["{action}"]' in verdict.findings[0].remedy[0]


def test_a_boundary_that_denies_is_told_with_action_and_statement(deploying: Callable[..., Verdict]) -> None:
    bounds = document(allowing("All", ["*"], "*"), denying("NoQueues", ["sqs:CreateQueue"], "*"))
    (line,) = told(deploying(EVERYTHING, bounds=bounds))
    assert "sqs:CreateQueue on arn:aws:sqs:eu-west-2:123456789012:preflight-interruption" in line
    assert "the statement NoQueues of a permissions boundary denies it" in line


def test_a_condition_that_keeps_an_allow_is_told(deploying: Callable[..., Verdict]) -> None:
    region = {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}
    verdict = deploying(document(allowing("OnlyThere", ["*"], "*", region)))
    assert verdict.status == "found"
    assert all(
        "the statement OnlyThere of an identity-based policy would allow it, but:" in o.seen for o in verdict.findings
    )


def test_what_the_organization_denies_is_told_as_iams_own_simulator_has_it(cloud: Cloud, fit: Situation) -> None:
    asked = sorted({request.action for request, _ in permissions.requests(fit)})
    pages = [asked[:30], asked[30:50], *(asked[first : first + 50] for first in range(50, len(asked), 50))]
    simulator = boto3.client("iam", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    stubbed, marker = Stubber(simulator), {}
    for page in pages:
        results = [
            {
                "EvalActionName": action,
                "EvalDecision": "explicitDeny",
                "OrganizationsDecisionDetail": {"AllowedByOrganizations": action != "ec2:CreateVpc"},
            }
            for action in page
        ]
        more = {"IsTruncated": True, "Marker": "more"} if page is pages[0] else {"IsTruncated": False}
        batch = asked[:50] if page[0] in asked[:50] else page
        expected = {"PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:role/{ROLE}", "ActionNames": batch, **marker}
        stubbed.add_response("simulate_principal_policy", {"EvaluationResults": results, **more}, expected)
        marker = {"Marker": "more"} if page is pages[0] else {}
    stubbed.activate()
    real = replace(fit, role=ROLE, identity=replace(REAL, account=ACCOUNT))

    class Simulating(Altered):
        def get_paginator(self, operation: str) -> Any:
            return (simulator if operation == "simulate_principal_policy" else self._client).get_paginator(operation)

    def client(name: str, *_: str) -> Any:
        found = real.client(name)
        return Simulating(found) if name == "iam" else found

    with mock.patch.object(permissions, "is_real", return_value=True):
        (finding,) = judged(replace(real, client=client), "permissions").findings
        assert (finding.severity, finding.subject) == ("warning", "ec2:CreateVpc")
        stubbed.assert_no_pending_responses()
        stubbed.add_client_error("simulate_principal_policy", "AccessDenied")
        verdict = judged(replace(real, client=client), "permissions")
    assert verdict.status == "ok"
    assert "policies are not known: iam:SimulatePrincipalPolicy, AccessDenied" in verdict.what


def test_a_caller_is_read_as_what_it_is(cloud: Cloud, fit: Situation) -> None:
    iam = cloud.client("iam", REGION)
    root = replace(fit, role="", identity=replace(fit.identity, arn=f"arn:aws:iam::{ACCOUNT}:root"))
    assert ":root may make all of them" in judged(root, "permissions").what
    session = replace(
        fit, role="", identity=replace(fit.identity, arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/me")
    )
    assert judged(session, "permissions").status == "ok"
    iam.create_user(UserName="preflight-user")
    iam.create_group(GroupName="preflight-group")
    iam.add_user_to_group(GroupName="preflight-group", UserName="preflight-user")
    user = replace(fit, role="", identity=replace(fit.identity, arn=f"arn:aws:iam::{ACCOUNT}:user/preflight-user"))
    assert judged(user, "permissions").status == "found"
    iam.put_group_policy(GroupName="preflight-group", PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
    assert judged(user, "permissions").status == "ok"
    nobody = replace(fit, role="")
    assert "user/moto may make all of them" in judged(nobody, "permissions").what
    federated = f"arn:aws:sts::{REAL.account}:federated-user/me"
    real = replace(nobody, identity=replace(REAL, arn=federated))
    assert "name a role, --as ROLE" in judged(real, "permissions").why_unknown
    assert "the account 123456789012 has no such role" in told(judged(replace(fit, role="nobody"), "permissions"))[0]


def test_a_boundary_that_leaves_the_platforms_roles_too_little_is_told(cloud: Cloud, fit: Situation) -> None:
    iam = cloud.client("iam", REGION)
    narrow = document(
        allowing("Most", ["ec2:*", "sqs:*", "eks:*", "iam:*", "ssm:*", "logs:*", "kms:*"], "*"),
        denying("NoFleets", ["ec2:CreateFleet"], "*"),
    )
    made = iam.create_policy_version(PolicyArn=BOUNDARY, PolicyDocument=json.dumps(narrow), SetAsDefault=True)
    try:
        lines = told(judged(fit, "boundary"))
    finally:
        iam.set_default_policy_version(PolicyArn=BOUNDARY, VersionId="v1")
        iam.delete_policy_version(PolicyArn=BOUNDARY, VersionId=made["PolicyVersion"]["VersionId"])
    (controller,) = (line for line in lines if f"{CLUSTER}-karpenter-controller" in line)
    assert "ec2:CreateFleet (the statement NoFleets denies it)" in controller
    assert "pricing:GetProducts (no statement allows it)" in controller
    assert judged(fit, "boundary").status == "ok"


def test_a_boundary_that_is_not_there_is_told(fit: Situation) -> None:
    missing = altered(fit, "iam", get_policy=refused("NoSuchEntity", "GetPolicy"))
    assert told(judged(missing, "boundary")) == [f"critical: {BOUNDARY}: there is no such policy"]
