"""KMS keys and aliases, and log groups."""

from typing import Any

from typing_extensions import override

from otel_on_spot.iam import allows
from otel_on_spot.program.values import Unknown
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.aws import principals
from otel_on_spot.simcloud.handler import Call, Handler, Seconds, all_tags, gone_tags, own_tags
from otel_on_spot.simcloud.properties import Properties


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
            "Tags": [{"TagKey": k, "TagValue": v} for k, v in all_tags(call.site, inputs).items()],
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
        if unknown := principals.unknown(call.site, policy):
            raise ApiError(
                "MalformedPolicyDocumentException",
                f"Policy contains a statement with one or more invalid principals: {', '.join(unknown)}",
            )
        root = f"arn:aws:iam::{call.site.cloud.account}:root"
        if allows(policy, "kms:PutKeyPolicy", principal={"AWS": root}):
            return
        raise ApiError(
            "MalformedPolicyDocumentException",
            "The new key policy will not allow you to update the key policy in the future.",
        )

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
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        kms = call.site.client("kms")
        kms.update_key_description(KeyId=identity, Description=new.get("description") or "")
        (kms.enable_key_rotation if new.get("enableKeyRotation") else kms.disable_key_rotation)(KeyId=identity)
        if new.get("policy"):
            self._not_locked_out(call, new["policy"])
            kms.put_key_policy(KeyId=identity, PolicyName="default", Policy=new["policy"])
        if gone := gone_tags(call.site, state, new):
            kms.untag_resource(KeyId=identity, TagKeys=gone)
        kms.tag_resource(
            KeyId=identity, Tags=[{"TagKey": k, "TagValue": v} for k, v in all_tags(call.site, new).items()]
        )
        return {key: new[key] for key in ("description", "enableKeyRotation", "policy") if key in new}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("kms").schedule_key_deletion(
            KeyId=identity, PendingWindowInDays=int(state.get("deletionWindowInDays") or 30)
        )


class Alias(Handler):
    """A name of a KMS key."""

    token = "aws:kms/alias:Alias"
    seconds = Seconds(1, 1, 1)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        kms = call.site.client("kms")
        kms.create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
        target = kms.describe_key(KeyId=inputs["targetKeyId"])["KeyMetadata"]["Arn"]
        return self.identity(call.site, inputs), {
            "arn": self.arn(call.site, inputs["name"], inputs),
            "targetKeyArn": target,
        }

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        for alias in call.site.client("kms").list_aliases()["Aliases"]:
            if alias["AliasName"] == identity:
                return {"targetKeyId": alias["TargetKeyId"]}
        return None

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        call.site.client("kms").update_alias(AliasName=identity, TargetKeyId=new["targetKeyId"])
        return {"targetKeyId": new["targetKeyId"]}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("kms").delete_alias(AliasName=identity)


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

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        logs = call.site.client("logs")
        more = {key: inputs[key] for key in ("kmsKeyId", "logGroupClass") if inputs.get(key)}
        logs.create_log_group(logGroupName=inputs["name"], tags=all_tags(call.site, inputs), **more)
        self._retain(logs, inputs)
        return self.identity(call.site, inputs), {
            "arn": self.arn(call.site, inputs["name"], inputs),
            "logGroupClass": inputs.get("logGroupClass") or "STANDARD",
        }

    @staticmethod
    def _retain(logs: Any, inputs: Properties) -> None:
        days = int(inputs.get("retentionInDays") or 0)
        if days and days not in RETENTIONS:
            raise ApiError(
                "InvalidParameterException",
                f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{', '.join(map(str, RETENTIONS))}]",
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
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        logs = call.site.client("logs")
        self._retain(logs, new)
        if new.get("kmsKeyId") and new["kmsKeyId"] != state.get("kmsKeyId"):
            logs.associate_kms_key(logGroupName=identity, kmsKeyId=new["kmsKeyId"])
        elif state.get("kmsKeyId") and not new.get("kmsKeyId"):
            logs.disassociate_kms_key(logGroupName=identity)
        if gone := gone_tags(call.site, state, new):
            logs.untag_log_group(logGroupName=identity, tags=gone)
        logs.tag_log_group(logGroupName=identity, tags=all_tags(call.site, new))
        return {key: new[key] for key in ("retentionInDays", "kmsKeyId") if key in new}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("logs").delete_log_group(logGroupName=identity)
