"""S3 buckets and what is set on them, one resource of the provider each."""

import re
from typing import ClassVar, Final

from botocore import xform_name
from typing_extensions import override

from otel_on_spot.iam import statements
from otel_on_spot.iam.conditions import listed
from otel_on_spot.simcloud import policy_documents
from otel_on_spot.simcloud.api_errors import refuse
from otel_on_spot.simcloud.handler import Call, Handler, Rewritten, Seconds, all_tags, own_tags, tag_list, tags_of
from otel_on_spot.simcloud.properties import Properties
from otel_on_spot.simcloud.service_model import in_aws_form, in_provider_form

NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
RESERVED: Final = (
    ("xn--", "sthree-", "amzn-s3-demo-"),
    ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"),
)
"""Beginnings and ends of bucket names that S3 keeps.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""


class Bucket(Handler):
    """A bucket. moto and AWS both refuse a name that is taken, and to delete one that holds anything."""

    token = "aws:s3/bucket:Bucket"
    taggable = True
    seconds = Seconds(3, 2, 2)
    removed_by = ("s3", "delete_bucket", "Bucket")

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        name, region, s3 = inputs["bucket"], call.site.region, call.site.client("s3")
        address = re.fullmatch(r"[0-9]+(\.[0-9]+){3}", name)
        kept = name.startswith(RESERVED[0]) or name.endswith(RESERVED[1])
        invalid = not 3 <= len(name) <= 63 or not NAME.fullmatch(name) or address or kept
        refuse((invalid, f"The specified bucket is not valid: {name}"), code="InvalidBucketName")
        # us-east-1 is where a bucket is without a constraint, and is refused as one.
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **place)
        self._tag(call, name, inputs)
        return name, {"arn": self.arn(call.site, name, inputs), "bucketRegion": region}

    def _tag(self, call: Call, name: str, inputs: Properties) -> None:
        if tags := all_tags(call.site, inputs):
            call.site.client("s3").put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_list(tags)})

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        s3 = call.site.client("s3")
        s3.head_bucket(Bucket=identity)
        try:
            tags = tags_of(s3.get_bucket_tagging(Bucket=identity)["TagSet"])
        except s3.exceptions.ClientError:  # it has none
            tags = {}
        return {"bucket": identity, **own_tags(call.site, state, tags)}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> None:
        self._tag(call, identity, new)


class _OnBucket(Rewritten):
    """Something that is set on a bucket as a whole, and read and removed again.

    Attributes:
        operations: names of S3's own, which set, read and remove it.
        within: member of request and answer that the inputs are in; empty where they are members themselves.
        keys: inputs that are set and read.
    """

    seconds = Seconds(1, 1, 1)
    operations: ClassVar[tuple[str, str, str]]
    within: ClassVar[str] = ""
    keys: ClassVar[tuple[str, ...]]

    def ask(self, call: Call, operation: str, bucket: str, inputs: Properties) -> Properties:
        """Call one of S3's operations."""
        told = {key: inputs[key] for key in self.keys if key in inputs}
        asked = {"bucket": bucket, **({self.within: told} if self.within and told else told)}
        method = getattr(call.site.client("s3"), xform_name(operation))
        return in_provider_form(method(**in_aws_form("s3", f"{operation}Request", asked)))

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        self.ask(call, self.operations[0], inputs["bucket"], inputs)
        return inputs["bucket"], {}

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        found = self.ask(call, self.operations[1], identity, {})
        found = found.get(self.within, found)
        return {"bucket": identity, **{key: found[key] for key in self.keys if key in found}}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        self.ask(call, self.operations[2], identity, {})


class BucketVersioning(_OnBucket):
    """Versions of a bucket's objects. What was versioned once can only be suspended."""

    token = "aws:s3/bucketVersioning:BucketVersioning"
    operations = ("PutBucketVersioning", "GetBucketVersioning", "PutBucketVersioning")
    keys = ("versioningConfiguration",)

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        status = self.ask(call, self.operations[1], identity, {}).get("status")
        return {"bucket": identity, "versioningConfiguration": {"status": status}}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        self.ask(call, self.operations[2], identity, {"versioningConfiguration": {"status": "Suspended"}})


class BucketEncryption(_OnBucket):
    """Encryption of what is put into a bucket."""

    token = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    operations = ("PutBucketEncryption", "GetBucketEncryption", "DeleteBucketEncryption")
    within = "serverSideEncryptionConfiguration"
    keys = ("rules",)


class BucketPublicAccessBlock(_OnBucket):
    """The block of public access to a bucket."""

    token = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    operations = ("PutPublicAccessBlock", "GetPublicAccessBlock", "DeletePublicAccessBlock")
    within = "publicAccessBlockConfiguration"
    keys = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def _public_policies_are_blocked(call: Call, bucket: str) -> bool:
    s3 = call.site.client("s3")
    try:
        told = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    except s3.exceptions.ClientError:  # it has none
        return False
    return bool(told.get("BlockPublicPolicy"))


class BucketPolicy(_OnBucket):
    """A bucket's own policy. moto takes one about other buckets, and a public one where that is blocked."""

    token = "aws:s3/bucketPolicy:BucketPolicy"
    operations = ("PutBucketPolicy", "GetBucketPolicy", "DeleteBucketPolicy")
    keys = ("policy",)

    @override
    def ask(self, call: Call, operation: str, bucket: str, inputs: Properties) -> Properties:
        if operation == self.operations[0]:
            self._refuse(call, bucket, inputs["policy"])
        return super().ask(call, operation, bucket, inputs)

    @staticmethod
    def _refuse(call: Call, bucket: str, policy: str) -> None:
        """Refuse resources of another bucket, and what anybody may where public policies are blocked.

        Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html,
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
        """
        if next(policy_documents.problems(policy, policy_documents.BUCKET), ""):
            return  # the request is refused for it
        own = f"arn:{call.site.scope.partition}:s3:::{bucket}"
        for statement in statements(policy):
            for resource in listed(statement.get("Resource") or []):
                foreign = resource != own and not resource.startswith(f"{own}/")
                refuse((foreign, f"Policy has invalid resource: {resource}"), code="MalformedPolicy")
            anybody = statement.get("Principal") in ("*", {"AWS": "*"}) and statement["Effect"] == "Allow"
            told = "User is not authorized to perform s3:PutBucketPolicy because public policies are prevented by the"
            shut = anybody and not statement.get("Condition") and _public_policies_are_blocked(call, bucket)
            refuse((shut, f"{told} BlockPublicPolicy setting in S3 Block Public Access."), code="AccessDenied")


class BucketLifecycle(_OnBucket):
    """Expiry of a bucket's former versions, and of uploads that were never finished. moto takes rules of one id."""

    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    operations = ("PutBucketLifecycleConfiguration", "GetBucketLifecycleConfiguration", "DeleteBucketLifecycle")
    within = "lifecycleConfiguration"
    keys = ("rules",)

    @override
    def ask(self, call: Call, operation: str, bucket: str, inputs: Properties) -> Properties:
        rules = inputs.get("rules") or []
        days = [(rule.get("expiration") or {}).get("days") for rule in rules]
        refuse(
            (
                len({rule["id"] for rule in rules}) < len(rules),
                "Rule ID must be unique. Found same ID for more than one rule",
            ),
            (
                any(told is not None and int(told) < 1 for told in days),
                "'Days' for Expiration action must be a positive integer",
            ),
            code="InvalidArgument",
        )
        return super().ask(call, operation, bucket, inputs)
