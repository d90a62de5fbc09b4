"""The company's keys that the stack is given: whether each is there, fit, and lets in the services that use it."""

import json
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from infra import documents
from otel_on_spot.aws_errors import error_code
from otel_on_spot.doctor.check import Judging, result_of
from otel_on_spot.findings import Finding
from otel_on_spot.iam import allows
from otel_on_spot.iam.decisions import Caller
from otel_on_spot.preflight.situation import Situation
from otel_on_spot.preflight.taken import CLUSTER
from otel_on_spot.simcloud.aws.keys import auto_scaling, refused_of_a_volume

TEMPLATE, ROLE_POLICY = "aws:ec2/launchTemplate:LaunchTemplate", "aws:iam/rolePolicy:RolePolicy"
KEY, TOPIC, LOG_GROUP = "aws:kms/key:Key", "aws:sns/topic:Topic", "aws:cloudwatch/logGroup:LogGroup"
PAGE: Final = "docs/kms-key.md"
LOGS: Final = ("Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "DescribeKey")
"""What CloudWatch Logs does with the key of a log group.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
"""
ALARMS: Final = ("Decrypt", "GenerateDataKey")
"""What CloudWatch does with the key of a topic.

Source: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
"""
LENT: Final = (
    "CreateGrant",
    "Decrypt",
    "DescribeKey",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
)
"""Operations of the grant that lets EC2 Auto Scaling use another account's key.

Source: https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
"""


@result_of
def given(situation: Situation) -> Judging:
    """The keys of ``encryption`` are there, enabled and symmetric, in the stack's region, and let AWS in."""
    arns = dict.fromkeys(filter(None, (_arn(situation), _of_volumes(situation))), "")
    if not arns:
        return 0, "none: the stack makes keys of its own"
    for arn in arns:
        arns[arn] = yield from _look(situation, arn)
    return len(arns), "; ".join(arns.values())


def _look(situation: Situation, arn: str) -> Generator[Finding, None, str]:
    """What is wrong with a key, and at the end what it is.

    Raises:
        ClientError: AWS refused for another reason than that the key, or its policy, is not to be seen.
    """
    kms = situation.client("kms")
    try:
        key = kms.describe_key(KeyId=arn)["KeyMetadata"]
    except ClientError as problem:
        if error_code(problem) not in ("NotFoundException", "AccessDeniedException", "InvalidArnException"):
            raise
        seen = f"{error_code(problem)}: {problem.response['Error'].get('Message', '')}"
        rule = "the key is there, in the stack's region, and whoever deploys may describe it: by its key policy too"
        yield _finding(situation, arn, seen, rule)
        return arn
    for seen, rule in _unfit(situation, key):
        yield _finding(situation, arn, seen, rule)
    owner = arn.split(":")[4]
    if owner != situation.identity.account:
        note = f", of the account {owner}, whose key policy must let this one in: {PAGE}"
        if arn == _of_volumes(situation):
            yield from _not_lent(situation, arn)
        return arn + note
    try:
        policy = kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"]
    except ClientError as problem:
        if error_code(problem) != "AccessDeniedException":
            raise
        note = f"; you may not read its policy, which must let services in: {PAGE}"
        return arn + note
    yield from _shut_out(situation, arn, policy)
    if arn == _of_volumes(situation):
        yield from _volumes_shut_out(situation, arn, policy)
    return arn


def _arn(situation: Situation) -> str:
    """ARN of the key that the planned cluster is given; empty where the stack makes it, or has no cluster."""
    own = {key.outputs.get("arn") for key in situation.of_type(KEY)}
    for cluster in situation.of_type(CLUSTER):
        arn = ((cluster.inputs.get("encryptionConfig") or {}).get("provider") or {}).get("keyArn") or ""
        if arn and arn not in own:
            return str(arn)
    return ""


def _of_volumes(situation: Situation) -> str:
    """ARN of the key of the planned nodes' volumes; empty where they have the account's key for EBS."""
    for template in situation.of_type(TEMPLATE):
        for mapping in template.inputs.get("blockDeviceMappings") or ():
            if arn := (mapping.get("ebs") or {}).get("kmsKeyId"):
                return str(arn)
    return ""


def _unfit(situation: Situation, key: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the key is, and what it should be."""
    if key["KeyState"] != "Enabled":
        yield f"its state is {key['KeyState']}", "the key is Enabled, as long as the cluster lives"
    kind = key.get("KeySpec", "SYMMETRIC_DEFAULT"), key.get("KeyUsage", "ENCRYPT_DECRYPT")
    if kind != ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"):
        yield f"it is {kind[0]} for {kind[1]}", "EKS, EBS, SNS and CloudWatch Logs take a symmetric key that encrypts"
    if key["KeyManager"] != "CUSTOMER":
        yield "it is a key that AWS manages", "services are let in by the key policy, and nobody can change AWS's"
    region = key["Arn"].split(":")[3]
    if region != situation.region:
        yield f"it is in {region}", f"a key encrypts in its own region, and the stack's is {situation.region}"


def _add_to_policy(situation: Situation, arn: str, statement: documents.Statement) -> tuple[str, ...]:
    """Remedy where a key's policy lacks a statement."""
    return (
        f"add to the key policy: {json.dumps(statement)}",
        situation.command(f"kms get-key-policy --key-id {arn} --policy-name default"),
        f"see {PAGE}",
    )


def _shut_out(situation: Situation, arn: str, policy: str) -> Iterator[Finding]:
    """Services that the key policy does not let use the key."""
    partition, region, account = arn.split(":")[1], situation.region, situation.identity.account
    groups = [group.inputs["name"] for group in situation.of_type(LOG_GROUP) if group.inputs.get("kmsKeyId") == arn]
    uses: list[tuple[str, tuple[str, ...], dict[str, str]]] = [
        (
            f"logs.{region}.amazonaws.com",
            LOGS,
            {"kms:EncryptionContext:aws:logs:arn": f"arn:{partition}:logs:{region}:{account}:log-group:{group}"},
        )
        for group in groups
    ]
    if any(topic.inputs.get("kmsMasterKeyId") == arn for topic in situation.of_type(TOPIC)):
        uses.append(("cloudwatch.amazonaws.com", ALARMS, {"aws:SourceAccount": account}))
    cluster = situation.default_tags.get("cluster", "")
    scope = documents.Scope(cluster=cluster, region=region, partition=partition, account_id=account)
    statements = documents.given_key_statements(scope, groups)
    needed = {statement["Principal"].get("Service"): statement for statement in statements}
    missing: dict[str, set[str]] = {}
    for service, actions, context in uses:
        denied = {
            f"kms:{action}"
            for action in actions
            if not allows(policy, f"kms:{action}", arn, context, {"Service": service})
        }
        if denied:
            missing.setdefault(service, set()).update(denied)
    for service, denied in missing.items():
        yield Finding(
            subject=arn,
            seen=f"its policy does not let {service} call {', '.join(sorted(denied))}",
            rule="the key policy lets in the services that use the key: without it no log group or alarm is made",
            remedy=_add_to_policy(situation, arn, needed[service]),
        )


def _volumes_shut_out(situation: Situation, arn: str, policy: str) -> Iterator[Finding]:
    """Identities that launch nodes or make volumes, and may not use their key."""
    partition, account = arn.split(":")[1], situation.identity.account
    launcher = auto_scaling(partition, account)
    refused = {launcher.role: refused_of_a_volume(launcher, arn, policy, situation.region)}
    if _grants(situation, arn, launcher.role) >= set(LENT):
        del refused[launcher.role]
    for inline in situation.of_type(ROLE_POLICY):
        if arn in inline.inputs["policy"]:
            role = f"arn:{partition}:iam::{account}:role/{inline.inputs['role']}"
            session = role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/preflight"
            caller = Caller(arn=session, role=role, identity=(inline.inputs["policy"],))
            refused[role] = refused_of_a_volume(caller, arn, policy, situation.region)
    for role, denied in refused.items():
        if denied:
            statement = documents.volumes_key_statement(situation.region, account)
            yield Finding(
                subject=arn,
                seen=f"its policy does not let {role} call {', '.join(denied)} through EC2",
                rule="whoever launches nodes or makes volumes may use their key: an instance ends at once otherwise",
                remedy=_add_to_policy(situation, arn, statement),
            )


def _not_lent(situation: Situation, arn: str) -> Iterator[Finding]:
    """Another account's key that EC2 Auto Scaling has no grant of: its role takes no policy that would let it in."""
    role = auto_scaling(arn.split(":")[1], situation.identity.account).role
    if _grants(situation, arn, role) >= set(LENT):
        return
    yield Finding(
        subject=arn,
        seen=f"no grant of the key lets {role} make volumes",
        rule="EC2 Auto Scaling launches the system nodes, and its role uses another account's key by a grant alone",
        remedy=(
            situation.command(
                f"kms create-grant --key-id {arn} --grantee-principal {role} --operations {' '.join(LENT)}"
            ),
            f"see {PAGE}",
        ),
    )


def _grants(situation: Situation, arn: str, role: str) -> set[str]:
    """Operations that grants of the key let a role do; none where they may not be listed.

    Raises:
        ClientError: AWS refused for another reason than that they may not be listed.
    """
    try:
        found = situation.client("kms").list_grants(KeyId=arn)["Grants"]
    except ClientError as problem:
        if error_code(problem) != "AccessDeniedException":
            raise
        return set()
    return {operation for grant in found if grant["GranteePrincipal"] == role for operation in grant["Operations"]}


def _finding(situation: Situation, arn: str, seen: str, rule: str) -> Finding:
    return Finding(
        subject=arn, seen=seen, rule=rule, remedy=(situation.command(f"kms describe-key --key-id {arn}"), f"see {PAGE}")
    )
