"""The company's key that the stack is given: whether it is there, fit, and lets in the services that use it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from infra import documents
from otel_on_spot.aws_errors import error_code
from otel_on_spot.doctor.check import CheckResult
from otel_on_spot.findings import Finding
from otel_on_spot.iam import allows
from otel_on_spot.preflight.situation import Situation
from otel_on_spot.preflight.taken import CLUSTER

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


def given(situation: Situation) -> CheckResult:
    """The key of ``encryption.kmsKeyArn`` is there, enabled and symmetric, in the stack's region, and lets AWS in."""
    arn = _arn(situation)
    if not arn:
        return CheckResult(count=0, what="none: the stack makes keys of its own")
    kms = situation.client("kms")
    try:
        key = kms.describe_key(KeyId=arn)["KeyMetadata"]
    except ClientError as problem:
        if error_code(problem) not in ("NotFoundException", "AccessDeniedException", "InvalidArnException"):
            raise
        seen = f"{error_code(problem)}: {problem.response['Error'].get('Message', '')}"
        rule = "the key is there, in the stack's region, and whoever deploys may describe it: by its key policy too"
        return CheckResult(count=1, what=arn, findings=(_finding(situation, arn, seen, rule),))
    findings = [_finding(situation, arn, seen, rule) for seen, rule in _unfit(situation, key)]
    owner = arn.split(":")[4]
    if owner != situation.identity.account:
        note = f", of the account {owner}, whose key policy must let this one in: {PAGE}"
        return CheckResult(count=1, what=f"{arn}{note}", findings=tuple(findings))
    try:
        policy = kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"]
    except ClientError as problem:
        if error_code(problem) != "AccessDeniedException":
            raise
        note = f"; you may not read its policy, which must let services in: {PAGE}"
        return CheckResult(count=1, what=f"{arn}{note}", findings=tuple(findings))
    findings += _shut_out(situation, arn, policy)
    return CheckResult(count=1, what=arn, findings=tuple(findings))


def _arn(situation: Situation) -> str:
    """ARN of the key that the planned cluster is given; empty where the stack makes it, or has no cluster."""
    own = {each.outputs.get("arn") for each in situation.of_type(KEY)}
    for cluster in situation.of_type(CLUSTER):
        arn = ((cluster.inputs.get("encryptionConfig") or {}).get("provider") or {}).get("keyArn") or ""
        if arn and arn not in own:
            return str(arn)
    return ""


def _unfit(situation: Situation, key: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the key is, and what it should be."""
    if key["KeyState"] != "Enabled":
        yield f"its state is {key['KeyState']}", "the key is Enabled, as long as the cluster lives"
    kind = key.get("KeySpec", "SYMMETRIC_DEFAULT"), key.get("KeyUsage", "ENCRYPT_DECRYPT")
    if kind != ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"):
        yield f"it is {kind[0]} for {kind[1]}", "EKS, SNS and CloudWatch Logs take a symmetric key that encrypts"
    if key["KeyManager"] != "CUSTOMER":
        yield "it is a key that AWS manages", "CloudWatch is let in by the key policy, and nobody can change AWS's"
    region = key["Arn"].split(":")[3]
    if region != situation.region:
        yield f"it is in {region}", f"a key encrypts in its own region, and the stack's is {situation.region}"


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
    statements = documents.given_key_statements(partition, region, account, groups)
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
            remedy=(
                f"add to the key policy: {json.dumps(needed[service])}",
                situation.command(f"kms get-key-policy --key-id {arn} --policy-name default"),
                f"see {PAGE}",
            ),
        )


def _finding(situation: Situation, arn: str, seen: str, rule: str) -> Finding:
    return Finding(
        subject=arn, seen=seen, rule=rule, remedy=(situation.command(f"kms describe-key --key-id {arn}"), f"see {PAGE}")
    )
