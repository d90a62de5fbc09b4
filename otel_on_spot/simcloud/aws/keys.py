"""KMS keys and aliases, log groups, and whether a volume can be made with a key."""

from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError
from typing_extensions import override

from otel_on_spot.iam import allows
from otel_on_spot.iam.decisions import Caller, Request, Resource, decide
from otel_on_spot.iam.policies import Document
from otel_on_spot.program.values import Unknown
from otel_on_spot.simcloud import policy_documents
from otel_on_spot.simcloud.api_errors import INVALID, ApiError, refuse
from otel_on_spot.simcloud.aws import principals
from otel_on_spot.simcloud.handler import Call, Handler, Seconds, Site, all_tags, gone_tags, own_tags
from otel_on_spot.simcloud.properties import Properties

KEY_POLICY_LIMIT: Final = 32 * 1024
"""Bytes. Source: https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html"""


def refuse_state(site: Site, key: str, code: str) -> None:
    """Refuse a key of this account that is disabled, or waits for its deletion.

    Source: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
    """
    metadata = site.client("kms").describe_key(KeyId=key)["KeyMetadata"]
    told = f"{metadata['Arn']} is {metadata['KeyState']}: it encrypts nothing"
    refuse((metadata["KeyState"] != "Enabled", told), code=code)


class Key(Handler):
    """A KMS key. Deleting it schedules its deletion. AWS refuses a policy that locks its owner out; moto takes it."""

    token = "aws:kms/key:Key"
    taggable = True
    seconds = Seconds(12, 5, 2)

    @override
    def failures(self, inputs: Properties) -> list[tuple[str, str]]:
        days = inputs.get("deletionWindowInDays")
        if days is None or isinstance(days, Unknown) or 7 <= int(days) <= 30:
            return []
        return [("deletionWindowInDays", f"expected to be in the range (7 - 30), got {days}")]

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        kms = call.site.client("kms")
        asked: dict[str, Any] = {
            "Description": inputs.get("description") or "",
            "Tags": self.tags_as_sent(all_tags(call.site, inputs)),
        }
        if inputs.get("policy"):
            self._not_locked_out(call, inputs["policy"])
            asked["Policy"] = inputs["policy"]
        made = kms.create_key(**asked)["KeyMetadata"]
        identity = made["KeyId"]
        if inputs.get("enableKeyRotation"):
            kms.enable_key_rotation(KeyId=identity)
        policy = inputs.get("policy") or kms.get_key_policy(KeyId=identity, PolicyName="default")["Policy"]
        return identity, {"arn": made["Arn"], "keyId": identity, "policy": policy, "rotationPeriodInDays": 365}

    @staticmethod
    def _not_locked_out(call: Call, policy: str) -> None:
        unknown, malformed = principals.unknown(call.site, policy), "MalformedPolicyDocumentException"
        told = f"Policy contains a statement with one or more invalid principals: {', '.join(unknown)}"
        refuse((unknown, told), code=malformed)
        if next(policy_documents.problems(policy, policy_documents.KEY), ""):
            return  # the request is refused for it
        told = f"The key policy has {len(policy)} of {KEY_POLICY_LIMIT} bytes"
        refuse((len(policy) > KEY_POLICY_LIMIT, told), code="LimitExceededException")
        root = {"AWS": f"arn:aws:iam::{call.site.cloud.account}:root"}
        told = "The new key policy will not allow you to update the key policy in the future."
        refuse((not allows(policy, "kms:PutKeyPolicy", principal=root), told), code=malformed)

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        kms = call.site.client("kms")
        metadata = kms.describe_key(KeyId=identity)["KeyMetadata"]
        if metadata["KeyState"] == "PendingDeletion":
            return None
        tags = {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=identity)["Tags"]}
        return {
            "arn": metadata["Arn"],
            "keyId": identity,
            "description": metadata.get("Description") or "",
            "enableKeyRotation": kms.get_key_rotation_status(KeyId=identity)["KeyRotationEnabled"],
            "policy": kms.get_key_policy(KeyId=identity, PolicyName="default")["Policy"],
            **own_tags(call.site, state, tags),
        }

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        kms = call.site.client("kms")
        kms.update_key_description(KeyId=identity, Description=new.get("description") or "")
        (kms.enable_key_rotation if new.get("enableKeyRotation") else kms.disable_key_rotation)(KeyId=identity)
        if new.get("policy"):
            self._not_locked_out(call, new["policy"])
            kms.put_key_policy(KeyId=identity, PolicyName="default", Policy=new["policy"])
        self.retag(call, state, new, "kms", KeyId=identity)

    @override
    def tags_as_sent(self, tags: Mapping[str, str]) -> list[dict[str, str]]:
        return [{"TagKey": key, "TagValue": value} for key, value in tags.items()]

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("kms").schedule_key_deletion(
            KeyId=identity, PendingWindowInDays=int(state.get("deletionWindowInDays") or 30)
        )


class Alias(Handler):
    """A name of a KMS key."""

    token = "aws:kms/alias:Alias"
    seconds = Seconds(1, 1, 1)
    removed_by = ("kms", "delete_alias", "AliasName")

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        kms = call.site.client("kms")
        own, told = inputs["name"].startswith("alias/aws/"), "the prefix alias/aws/ is reserved for AWS"
        refuse((own, f"{inputs['name']}: {told}"), code="NotAuthorizedException")
        target = kms.describe_key(KeyId=inputs["targetKeyId"])["KeyMetadata"]
        going = target["KeyState"] == "PendingDeletion"
        refuse((going, f"{inputs['targetKeyId']} is pending deletion."), code="KMSInvalidStateException")
        kms.create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
        return self.identity(call.site, inputs), {
            "arn": self.arn(call.site, inputs["name"], inputs),
            "targetKeyArn": target["Arn"],
        }

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        for alias in call.site.client("kms").list_aliases()["Aliases"]:
            if alias["AliasName"] == identity:
                return {"targetKeyId": alias["TargetKeyId"]}
        return None

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        call.site.client("kms").update_alias(AliasName=identity, TargetKeyId=new["targetKeyId"])


RETENTIONS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288),
    *(3653,),
)
"""Days for which CloudWatch Logs keeps events.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
"""


class LogGroup(Handler):
    """A CloudWatch log group."""

    token = "aws:cloudwatch/logGroup:LogGroup"
    taggable = True
    seconds = Seconds(2, 1, 1)
    removed_by = ("logs", "delete_log_group", "logGroupName")

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        logs = call.site.client("logs")
        own = inputs["name"].lower().startswith("aws/")
        refuse((own, "Log groups starting with AWS/ are reserved for AWS."))
        key = inputs.get("kmsKeyId") or ""
        if key and f":{call.site.cloud.account}:" in key:
            try:
                refuse_state(call.site, key, INVALID)
            except ClientError:
                raise ApiError(INVALID, "The specified KMS Key Id could not be found.") from None
        told = {**inputs, "tags": all_tags(call.site, inputs)}
        more = {key: told[key] for key in ("kmsKeyId", "logGroupClass", "tags") if told.get(key)}
        logs.create_log_group(logGroupName=inputs["name"], **more)
        self._retain(logs, inputs)
        return self.identity(call.site, inputs), {
            "arn": self.arn(call.site, inputs["name"], inputs),
            "logGroupClass": inputs.get("logGroupClass") or "STANDARD",
        }

    @staticmethod
    def _retain(logs: Any, inputs: Properties) -> None:
        days = int(inputs.get("retentionInDays") or 0)
        refuse(
            (
                days and days not in RETENTIONS,
                f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{', '.join(map(str, RETENTIONS))}]",
            )
        )
        if days:
            logs.put_retention_policy(logGroupName=inputs["name"], retentionInDays=days)
        else:
            logs.delete_retention_policy(logGroupName=inputs["name"])

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        logs = call.site.client("logs")
        for group in logs.describe_log_groups(logGroupNamePrefix=identity)["logGroups"]:
            if group["logGroupName"] == identity:
                tags = logs.list_tags_log_group(logGroupName=identity)["tags"]
                key = {"kmsKeyId": group["kmsKeyId"]} if group.get("kmsKeyId") else {}
                return {"retentionInDays": group.get("retentionInDays", 0), **key, **own_tags(call.site, state, tags)}
        return None

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        logs = call.site.client("logs")
        self._retain(logs, new)
        if new.get("kmsKeyId") and new["kmsKeyId"] != state.get("kmsKeyId"):
            logs.associate_kms_key(logGroupName=identity, kmsKeyId=new["kmsKeyId"])
        elif state.get("kmsKeyId") and not new.get("kmsKeyId"):
            logs.disassociate_kms_key(logGroupName=identity)
        if gone := gone_tags(call.site, state, new):
            logs.untag_log_group(logGroupName=identity, tags=gone)
        if wanted := all_tags(call.site, new):
            logs.tag_log_group(logGroupName=identity, tags=wanted)


OF_A_VOLUME: Final = (
    *("CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"),
)
"""What EC2 does with a volume's key, as whoever launches the instance or makes the volume.

Source: https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html#ebs-encryption-permissions
"""


def auto_scaling(partition: str, account: str) -> Caller:
    """EC2 Auto Scaling's own role, which launches the nodes of a managed group. None of its policies is about keys.

    Source: https://docs.aws.amazon.com/autoscaling/ec2/userguide/autoscaling-service-linked-role.html
    """
    role = "AWSServiceRoleForAutoScaling"
    return Caller(
        arn=f"arn:{partition}:sts::{account}:assumed-role/{role}/AutoScaling",
        role=f"arn:{partition}:iam::{account}:role/aws-service-role/autoscaling.amazonaws.com/{role}",
    )


def refused_of_a_volume(caller: Caller, key_arn: str, policy: Document, region: str) -> list[str]:
    """Actions of KMS that the caller lacks for a volume with the key.

    Args:
        caller: who launches the instance, or makes the volume.
        key_arn: ARN of the key.
        policy: the key's own.
        region: of the volume.
    """
    key = Resource(arn=key_arn, kind="key", policy=policy)
    keys = {"kms:CallerAccount": caller.account, "kms:ViaService": f"ec2.{region}.amazonaws.com"}
    asked = {
        action: keys | ({"kms:GrantIsForAWSResource": True} if action == "CreateGrant" else {})
        for action in OF_A_VOLUME
    }
    return [
        f"kms:{action}"
        for action, told in asked.items()
        if not decide(Request(action=f"kms:{action}", resources=(key,), keys=told), caller)
    ]


def why_no_volume(site: Site, key_arn: str, caller: Caller) -> str:
    """Reason why an instance with such a volume ends at once, as EC2 says it; empty where it lives.

    Of another account's key nothing is known here.
    Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshooting-launch.html#troubleshooting-launch-internal
    """
    if key_arn.split(":")[4] != site.cloud.account:
        return ""
    kms = site.client("kms")
    try:
        state = kms.describe_key(KeyId=key_arn)["KeyMetadata"]["KeyState"]
        policy = kms.get_key_policy(KeyId=key_arn, PolicyName="default")["Policy"]
    except ClientError:
        return f"Client.InternalError: Client error on launch ({key_arn}: there is no such key)"
    if state != "Enabled":
        return f"Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state ({key_arn}: {state})"
    refused = refused_of_a_volume(caller, key_arn, policy, site.region)
    if not refused:
        return ""
    return (
        f"Client.InternalError: Client error on launch ({caller.role} may not call {', '.join(refused)} on {key_arn})"
    )
