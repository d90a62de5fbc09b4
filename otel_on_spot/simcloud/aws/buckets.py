"""S3 buckets and what is set on them, one resource of the provider each."""

import json
from typing import Any, ClassVar

from typing_extensions import override

from otel_on_spot.iam import document
from otel_on_spot.simcloud.handler import Call, Handler, Seconds, all_tags, own_tags, tag_list, tags_of
from otel_on_spot.simcloud.properties import Properties


class Bucket(Handler):
    """A bucket. moto and AWS both refuse a name that is taken, and to delete one that holds anything."""

    token = "aws:s3/bucket:Bucket"
    taggable = True
    seconds = Seconds(3, 2, 2)

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        name, region, s3 = inputs["bucket"], call.site.region, call.site.client("s3")
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
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        self._tag(call, identity, new)
        return {"tags": new["tags"]} if "tags" in new else {}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        call.site.client("s3").delete_bucket(Bucket=identity)


class _OnBucket(Handler):
    """Something that is set on a bucket as a whole, and read and removed again."""

    seconds = Seconds(1, 1, 1)

    def put(self, s3: Any, bucket: str, inputs: Properties) -> None:
        """Set it."""
        raise NotImplementedError

    def get(self, s3: Any, bucket: str) -> Properties:
        """Read it."""
        raise NotImplementedError

    def remove(self, s3: Any, bucket: str) -> None:
        """Remove it."""
        raise NotImplementedError

    @override
    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        self.put(call.site.client("s3"), inputs["bucket"], inputs)
        return inputs["bucket"], {}

    @override
    def read(self, call: Call, identity: str, state: Properties) -> Properties | None:
        return {"bucket": identity, **self.get(call.site.client("s3"), identity)}

    @override
    def update(self, call: Call, identity: str, state: Properties, old: Properties, new: Properties) -> Properties:
        self.put(call.site.client("s3"), identity, new)
        return {key: value for key, value in new.items() if not key.startswith("__")}

    @override
    def delete(self, call: Call, identity: str, state: Properties) -> None:
        self.remove(call.site.client("s3"), identity)


class BucketVersioning(_OnBucket):
    """Versions of a bucket's objects. What was versioned once can only be suspended."""

    token = "aws:s3/bucketVersioning:BucketVersioning"

    @override
    def put(self, s3: Any, bucket: str, inputs: Properties) -> None:
        status = inputs["versioningConfiguration"]["status"]
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})

    @override
    def get(self, s3: Any, bucket: str) -> Properties:
        return {"versioningConfiguration": {"status": s3.get_bucket_versioning(Bucket=bucket).get("Status")}}

    @override
    def remove(self, s3: Any, bucket: str) -> None:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


class BucketEncryption(_OnBucket):
    """Encryption of what is put into a bucket."""

    token = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"

    @override
    def put(self, s3: Any, bucket: str, inputs: Properties) -> None:
        rules = []
        for rule in inputs["rules"]:
            told = rule["applyServerSideEncryptionByDefault"]
            default = {"SSEAlgorithm": told["sseAlgorithm"]}
            default |= {"KMSMasterKeyID": told["kmsMasterKeyId"]} if told.get("kmsMasterKeyId") else {}
            rules.append(
                {
                    "ApplyServerSideEncryptionByDefault": default,
                    "BucketKeyEnabled": bool(rule.get("bucketKeyEnabled")),
                }
            )
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})

    @override
    def get(self, s3: Any, bucket: str) -> Properties:
        found = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        rules = []
        for rule in found:
            told = rule["ApplyServerSideEncryptionByDefault"]
            default = {"sseAlgorithm": told["SSEAlgorithm"]}
            default |= {"kmsMasterKeyId": told["KMSMasterKeyID"]} if told.get("KMSMasterKeyID") else {}
            enabled = str(rule.get("BucketKeyEnabled")).lower() == "true"
            rules.append({"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": enabled})
        return {"rules": rules}

    @override
    def remove(self, s3: Any, bucket: str) -> None:
        s3.delete_bucket_encryption(Bucket=bucket)


class BucketPublicAccessBlock(_OnBucket):
    """The block of public access to a bucket."""

    token = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    KEYS: ClassVar = {
        "blockPublicAcls": "BlockPublicAcls",
        "blockPublicPolicy": "BlockPublicPolicy",
        "ignorePublicAcls": "IgnorePublicAcls",
        "restrictPublicBuckets": "RestrictPublicBuckets",
    }

    @override
    def put(self, s3: Any, bucket: str, inputs: Properties) -> None:
        told = {theirs: bool(inputs.get(ours)) for ours, theirs in BucketPublicAccessBlock.KEYS.items()}
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=told)

    @override
    def get(self, s3: Any, bucket: str) -> Properties:
        found = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        return {ours: bool(found.get(theirs)) for ours, theirs in BucketPublicAccessBlock.KEYS.items()}

    @override
    def remove(self, s3: Any, bucket: str) -> None:
        s3.delete_public_access_block(Bucket=bucket)


class BucketPolicy(_OnBucket):
    """A bucket's own policy."""

    token = "aws:s3/bucketPolicy:BucketPolicy"

    @override
    def put(self, s3: Any, bucket: str, inputs: Properties) -> None:
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document(inputs["policy"])))

    @override
    def get(self, s3: Any, bucket: str) -> Properties:
        return {"policy": s3.get_bucket_policy(Bucket=bucket)["Policy"]}

    @override
    def remove(self, s3: Any, bucket: str) -> None:
        s3.delete_bucket_policy(Bucket=bucket)


class BucketLifecycle(_OnBucket):
    """Expiry of a bucket's former versions, and of uploads that were never finished."""

    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"

    @override
    def put(self, s3: Any, bucket: str, inputs: Properties) -> None:
        rules = [
            {
                "ID": rule["id"],
                "Status": rule["status"],
                "Filter": {"Prefix": (rule.get("filter") or {}).get("prefix") or ""},
                "NoncurrentVersionExpiration": {
                    "NoncurrentDays": int(rule["noncurrentVersionExpiration"]["noncurrentDays"])
                },
                "AbortIncompleteMultipartUpload": {
                    "DaysAfterInitiation": int(rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"])
                },
            }
            for rule in inputs["rules"]
        ]
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})

    @override
    def get(self, s3: Any, bucket: str) -> Properties:
        return {
            "rules": [
                {
                    "id": rule["ID"],
                    "status": rule["Status"],
                    "filter": {"prefix": (rule.get("Filter") or {}).get("Prefix") or ""},
                    "noncurrentVersionExpiration": {
                        "noncurrentDays": rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
                    },
                    "abortIncompleteMultipartUpload": {
                        "daysAfterInitiation": rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
                    },
                }
                for rule in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
            ]
        }

    @override
    def remove(self, s3: Any, bucket: str) -> None:
        s3.delete_bucket_lifecycle(Bucket=bucket)
