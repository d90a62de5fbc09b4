"""Names that the plan would give and that are taken: in the account, in the region, or in the world for a bucket."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.names import OWNER_TAG
from otel_on_spot.aws_errors import unless_absent
from otel_on_spot.doctor.check import Judging, result_of
from otel_on_spot.doctor.collectors.aws import pages
from otel_on_spot.findings import Finding, format_count
from otel_on_spot.iam import tags_of
from otel_on_spot.preflight.situation import Situation

Tags = Mapping[str, str]
CLUSTER: Final = "aws:eks/cluster:Cluster"
BUCKET: Final = "aws:s3/bucket:Bucket"
OTHERS_BUCKET: Final = "another account's"


@result_of
def judge(situation: Situation) -> Judging:
    """No name of the plan is somebody else's."""
    looked, own = 0, 0
    taken: dict[str, list[tuple[str, str]]] = {}
    for registration in situation.aws():
        look = LOOKS.get(registration.type)
        wanted = situation.wanted(registration)
        if look is None or not _name(wanted):
            continue
        looked += 1
        tags = look(situation, wanted, situation.here(registration.outputs.get("arn") or ""))
        if tags is None:
            continue
        if situation.owns(tags, _owning_tags(situation, wanted)):
            own += 1
            continue
        kind = registration.type.rpartition(":")[2]
        taken.setdefault(_owner(tags), []).append((kind, _name(wanted)))
    yield from (_finding(owner, things) for owner, things in sorted(taken.items()))
    note = f", {own} of them there already and this stack's own" if own else ""
    return looked, format_count(looked, "name") + note


def _name(wanted: Mapping[str, Any]) -> str:
    return str(wanted.get("name") or wanted.get("bucket") or wanted.get("url") or "")


def _owning_tags(situation: Situation, wanted: Mapping[str, Any]) -> Tags:
    """Tags by which something is this stack's: IAM's are told apart by region and stack as well."""
    told = wanted.get("tags") or {}
    return {**situation.default_tags, **({OWNER_TAG: told[OWNER_TAG]} if OWNER_TAG in told else {})}


def _owner(tags: Tags) -> str:
    if OTHERS_BUCKET in tags:
        return OTHERS_BUCKET
    if OWNER_TAG in tags:
        return f"of the stack {tags[OWNER_TAG]} (region/stack)"
    told = ", ".join(f"{key}={tags[key]}" for key in ("cluster", "environment", "managed-by") if key in tags)
    return f"tagged {told}" if told else "without a tag of any stack"


def _finding(owner: str, things: list[tuple[str, str]]) -> Finding:
    names = ", ".join(f"{kind} {name}" for kind, name in things)
    if owner == OTHERS_BUCKET:
        return Finding(
            subject=things[0][1],
            seen=f"{names}: another account has the bucket, or does not let you look at it",
            rule="the name of a bucket is one in the world: S3 answers BucketAlreadyExists",
            remedy=("Pulumi.account.yaml: choose another state.bucket, with your organisation's name in it",),
        )
    return Finding(
        subject=things[0][1],
        seen=f"{names}: there already, {owner}",
        rule="what the stack makes has names that nobody has yet: AWS refuses each one that is taken, after what came "
        "before it was made",
        remedy=(
            "give the cluster a name of its own (cluster.name), or delete what is left over, or bring it back into "
            "the state: otel-on-spot recover",
        ),
    )


def _cluster(situation: Situation, wanted: Mapping[str, Any], _: str) -> Tags | None:
    found = unless_absent(situation.client("eks").describe_cluster, name=wanted["name"])
    return None if found is None else found["cluster"].get("tags") or {}


def _of_iam(call: str, argument: str, key: str) -> Callable[[Situation, Mapping[str, Any], str], Tags | None]:
    def look(situation: Situation, wanted: Mapping[str, Any], arn: str) -> Tags | None:
        value = arn if argument.endswith("Arn") else wanted["name"]
        found = unless_absent(getattr(situation.client("iam"), call), **{argument: value})
        return None if found is None else tags_of((found[key] if key else found).get("Tags"))

    return look


def _queue(situation: Situation, wanted: Mapping[str, Any], _: str) -> Tags | None:
    sqs = situation.client("sqs")
    found = unless_absent(sqs.get_queue_url, QueueName=wanted["name"])
    return None if found is None else sqs.list_queue_tags(QueueUrl=found["QueueUrl"]).get("Tags") or {}


def _log_group(situation: Situation, wanted: Mapping[str, Any], _: str) -> Tags | None:
    logs = situation.client("logs")
    for group in pages(logs, "describe_log_groups", "logGroups", logGroupNamePrefix=wanted["name"]):
        if group["logGroupName"] == wanted["name"]:
            return logs.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"]
    return None


def _alias(situation: Situation, wanted: Mapping[str, Any], _: str) -> Tags | None:
    kms = situation.client("kms")
    for alias in pages(kms, "list_aliases", "Aliases"):
        if alias["AliasName"] == wanted["name"]:
            told = kms.list_resource_tags(KeyId=alias["TargetKeyId"])["Tags"]
            return {tag["TagKey"]: tag["TagValue"] for tag in told}
    return None


def _rule(situation: Situation, wanted: Mapping[str, Any], _: str) -> Tags | None:
    events = situation.client("events")
    found = unless_absent(events.describe_rule, Name=wanted["name"])
    return None if found is None else tags_of(events.list_tags_for_resource(ResourceARN=found["Arn"])["Tags"])


def _bucket(situation: Situation, wanted: Mapping[str, Any], _: str) -> Tags | None:
    s3 = situation.client("s3")
    try:
        s3.head_bucket(Bucket=wanted["bucket"])
    except ClientError as problem:
        status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status in (301, 403):
            return {OTHERS_BUCKET: ""}
        if status == 404:
            return None
        raise
    try:
        return tags_of(s3.get_bucket_tagging(Bucket=wanted["bucket"])["TagSet"])
    except ClientError:
        return {}


Look = Callable[[Situation, Mapping[str, Any], str], Tags | None]
LOOKS: Final[Mapping[str, Look]] = {
    CLUSTER: _cluster,
    "aws:iam/role:Role": _of_iam("get_role", "RoleName", "Role"),
    "aws:iam/policy:Policy": _of_iam("get_policy", "PolicyArn", "Policy"),
    "aws:iam/instanceProfile:InstanceProfile": _of_iam(
        "get_instance_profile", "InstanceProfileName", "InstanceProfile"
    ),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": _of_iam(
        "get_open_id_connect_provider", "OpenIDConnectProviderArn", ""
    ),
    "aws:sqs/queue:Queue": _queue,
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:cloudwatch/eventRule:EventRule": _rule,
    "aws:kms/alias:Alias": _alias,
    BUCKET: _bucket,
}
"""Type -> what looks its name up: the tags of what has it, None where nothing has. A KMS alias has its key's tags."""
