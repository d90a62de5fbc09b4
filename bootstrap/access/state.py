"""Where Pulumi's state lies: a versioned, encrypted, private bucket, and who may use which part of it."""

import json
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import kms, s3

from access import names
from access.scope import Document, Statement, allow, deny, document
from access.settings import Settings

KEY_DELETION_WINDOW_DAYS: Final = 30


def key_policy(partition: str, account_id: str) -> Document:
    """Key policy: the account decides through IAM who may use the key, as AWS's own default does.

    Source: https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
    """
    root = {"AWS": f"arn:{partition}:iam::{account_id}:root"}
    return document({**allow("AllowTheAccountThroughIam", ["kms:*"], "*"), "Principal": root})


def bucket_policy(bucket_arn: str) -> Document:
    """Bucket policy: nobody without TLS. Who may do what is said by the roles.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
    """
    return document(
        {
            **deny("DenyWithoutTls", "s3:*", [bucket_arn, f"{bucket_arn}/*"], _without_tls()),
            "Principal": "*",
        }
    )


def _without_tls() -> dict[str, dict[str, str]]:
    return {"Bool": {"aws:SecureTransport": "false"}}


def state_policy(bucket_arn: str, bucket_key_arn: str, secrets_key_arn: str, stack: str, *, writes: bool) -> Document:
    """Permissions on the state: one stack's files, its secrets, and of the bucket no more than their names.

    A preview takes no lock and writes nothing; an update writes the state, its history, its backup and a lock.
    Source: https://github.com/pulumi/pulumi/blob/v3.272.0/pkg/backend/diy/store.go (where each file lies)

    Args:
        bucket_arn: of the bucket.
        bucket_key_arn: of the key that encrypts it.
        secrets_key_arn: of the key that the stack's own secrets are encrypted with.
        stack: its name.
        writes: whether it may update.
    """
    within = f"{bucket_arn}/.pulumi"
    project = names.PROGRAM
    files = [
        f"{within}/stacks/{project}/{stack}.*",
        f"{within}/history/{project}/{stack}/*",
        f"{within}/backups/{project}/{stack}/*",
        f"{within}/locks/organization/{project}/{stack}/*",
    ]
    statements: list[Statement] = [
        allow("ListTheState", ["s3:GetBucketLocation", "s3:ListBucket"], bucket_arn),
        allow("ReadTheState", ["s3:GetObject"], [f"{within}/meta.yaml", *files]),
        allow("OpenTheState", ["kms:Decrypt"], bucket_key_arn),
        allow("OpenTheStacksSecrets", ["kms:Decrypt"], secrets_key_arn),
    ]
    if writes:
        statements += [
            allow("WriteTheState", ["s3:DeleteObject", "s3:PutObject"], files),
            allow("SealTheState", ["kms:GenerateDataKey"], bucket_key_arn),
            allow("SealTheStacksSecrets", ["kms:Encrypt"], secrets_key_arn),
        ]
    return document(*statements)


@dataclass(frozen=True, kw_only=True)
class StateArgs:
    """Arguments of the state's bucket."""

    settings: Settings


class State(pulumi.ComponentResource):
    """The bucket, its key, and for each stack a key of its own: who opens dev's secrets opens no others."""

    bucket_arn: pulumi.Output[str]
    """ARN of the bucket."""
    key_arn: pulumi.Output[str]
    """ARN of the bucket's key."""

    def __init__(self, name: str, args: StateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot-bootstrap:index:State", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # Losing the state or a key loses every stack's: Pulumi refuses to delete or replace them.
        kept = pulumi.ResourceOptions(parent=self, protect=True)
        settings = args.settings
        policy = json.dumps(key_policy(settings.partition, settings.account_id))

        key = kms.Key(
            f"{name}-bucket",
            description="Pulumi state of otel-on-spot",
            enable_key_rotation=True,
            deletion_window_in_days=KEY_DELETION_WINDOW_DAYS,
            policy=policy,
            opts=kept,
        )
        kms.Alias(f"{name}-bucket", name=f"alias/{names.OWN}-state", target_key_id=key.key_id, opts=child)
        bucket = s3.Bucket(f"{name}-bucket", bucket=settings.state.bucket, opts=kept)
        s3.BucketVersioning(
            f"{name}-versions",
            bucket=bucket.id,
            versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=child,
        )
        s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.id,
            rules=[
                s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                        sse_algorithm="aws:kms", kms_master_key_id=key.arn
                    ),
                    bucket_key_enabled=True,
                )
            ],
            opts=child,
        )
        closed = s3.BucketPublicAccessBlock(
            f"{name}-closed",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        s3.BucketPolicy(
            f"{name}-tls",
            bucket=bucket.id,
            policy=bucket.arn.apply(lambda arn: json.dumps(bucket_policy(arn))),
            # S3 refuses two changes of a bucket's access at once (OperationAborted).
            opts=pulumi.ResourceOptions(parent=self, depends_on=[closed]),
        )
        s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.id,
            rules=[
                s3.BucketLifecycleConfigurationRuleArgs(
                    id="former-versions",
                    status="Enabled",
                    filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    noncurrent_version_expiration=s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                        noncurrent_days=settings.state.keep_versions_days
                    ),
                    abort_incomplete_multipart_upload=s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                        days_after_initiation=7
                    ),
                )
            ],
            opts=child,
        )
        self.secrets_key_arns: dict[str, pulumi.Output[str]] = {}
        """Stack -> ARN of the key of its secrets."""
        for stack in settings.stacks:
            secrets = kms.Key(
                f"{name}-{stack}-secrets",
                description=f"Secrets of the stack {stack} of otel-on-spot",
                enable_key_rotation=True,
                deletion_window_in_days=KEY_DELETION_WINDOW_DAYS,
                policy=policy,
                opts=kept,
            )
            kms.Alias(
                f"{name}-{stack}-secrets", name=names.secrets_alias(stack), target_key_id=secrets.key_id, opts=child
            )
            self.secrets_key_arns[stack] = secrets.arn
        self.bucket_arn = bucket.arn
        self.key_arn = key.arn
        self.register_outputs({"bucketArn": self.bucket_arn, "keyArn": self.key_arn})
