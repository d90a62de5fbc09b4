"""The shape of a stack file of this program, its rules, and the one loader: every problem in one message."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

import pulumi
from pulumi.runtime import config as runtime_config
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from access import names

DOCUMENTATION_ACCOUNTS: Final = ("123456789012", "111122223333", "444455556666")
OBJECTS: Final = ("repository", "state", "stacks")


RESERVED_BEGINNINGS: Final = ("xn--", "sthree-", "amzn-s3-demo-")
RESERVED_ENDINGS: Final = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3", "-an")
"""What no general purpose bucket's name begins or ends with; ``-an`` is of an account's own namespace.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""
ELSEWHERE: Final = ("cn-", "eusc-", "us-iso", "eu-iso")
"""Beginnings of the regions in whose partitions the program does not work (infra/regions.py of it)."""


class Model(BaseModel):
    """Frozen, camelCase outside, nothing unknown, nothing coerced."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
    )


class Repository(Model):
    """The GitHub repository whose jobs may deploy. Its ids stay with it; a name may be another's tomorrow."""

    owner: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}$", description="organization or user")
    owner_id: int = Field(gt=0, description="gh api repos/OWNER/NAME --jq .owner.id")
    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,100}$", description="name of the repository, without its owner")
    id: int = Field(gt=0, description="gh api repos/OWNER/NAME --jq .id")
    subject: Literal["immutable", "former"] = Field(
        "immutable",
        description="form of the token's subject: immutable (with ids: every repository made or renamed since "
        "15 July 2026), or former (names alone)",
    )


class State(Model):
    """Where Pulumi's state lies."""

    bucket: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$",
        description="name of the state bucket, unique in the world; lower-case letters, digits and hyphens",
    )
    keep_versions_days: int = Field(
        90, ge=1, le=3650, description="days that a former version of the state can be brought back"
    )


KmsKeyArn = Annotated[str, Field(pattern=r"^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/(mrk-)?[0-9a-f-]{32,36}$")]


class Stack(Model):
    """A stack of the program, and what its roles may touch."""

    cluster: str = Field(
        pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=40, description="cluster.name of the stack's file"
    )
    region: str | None = Field(
        None, pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", description="region of the stack's file, if it is not the state's"
    )
    iam_path: str = Field(
        "/", pattern=r"^/([A-Za-z0-9_+=,.@-]+/)*$", max_length=200, description="iam.path of the stack's file"
    )
    service_role: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_+=,.@-]{1,64}$",
        description="name of the role that a cluster made before November 2026 keeps (cluster-eks-eksRole-role-...)",
    )
    kms_key_arn: KmsKeyArn | None = Field(None, description="encryption.kmsKeyArn of the stack's file")
    volumes_kms_key_arn: KmsKeyArn | None = Field(None, description="encryption.volumesKmsKeyArn of the stack's file")
    vpc_id: str | None = Field(
        None,
        pattern=r"^vpc-([0-9a-f]{8}|[0-9a-f]{17})$",
        description="network.existing.vpcId of the stack's file",
    )
    vpc_owner_id: str | None = Field(
        None,
        pattern=r"^\d{12}$",
        description="quoted account that shares the VPC's subnets with this one; left out, the VPC is this account's",
    )
    session_hours: int = Field(
        2, ge=1, le=12, description="longest session of the role that updates, in hours: an upgrade drains nodes"
    )


class Settings(Model):
    """One account, whole."""

    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", description="AWS region")
    account_id: str = Field(pattern=r"^\d{12}$", description="12 digits, quoted")
    repository: Repository = Field(description="whose jobs may deploy")
    oidc_provider: Literal["create", "existing"] = Field(
        "create", description="existing, where the account has GitHub's identity provider already: there is one for all"
    )
    state: State = Field(description="where the state lies")
    stacks: dict[Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$")], Stack] = Field(
        min_length=1, description="stack -> its cluster"
    )

    @property
    def partition(self) -> str:
        """AWS partition of the account."""
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    def region_of(self, stack: str) -> str:
        """The region that a stack deploys to."""
        return self.stacks[stack].region or self.region


def load() -> Settings:
    """The running stack's settings.

    Raises:
        pulumi.RunError: something is wrong; the message lists every problem.
    """
    project, stack = pulumi.get_project(), pulumi.get_stack()
    configured = runtime_config.CONFIG.get() or runtime_config.get_config_env()
    prefix = f"{project}:"
    raw = {key.removeprefix(prefix): value for key, value in configured.items() if key.startswith(prefix)}
    found, problems = parse(raw)
    if found is None:
        raise pulumi.RunError(f"Pulumi.{stack}.yaml:\n" + "\n".join(f"  {problem}" for problem in problems))
    return found


def parse(raw: Mapping[str, Any]) -> tuple[Settings | None, list[str]]:
    """Settings from configuration values (objects as JSON text or parsed), or every problem."""
    try:
        read = {key: _read(key, value) for key, value in raw.items()}
        settings = Settings.model_validate(read)
    except ValidationError as invalid:
        return None, [
            f"{'.'.join(map(str, error['loc']))}: {error['msg']}, given {error['input']!r}"
            for error in invalid.errors()
        ]
    except ValueError as unreadable:
        return None, [str(unreadable)]
    problems = list(rules(settings))
    return (None, problems) if problems else (settings, [])


def _read(key: str, value: Any) -> Any:
    if key not in OBJECTS or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError(f"{key}: must be an object, given {value!r}") from None


def _names_that_are_taken(settings: Settings) -> Iterator[str]:
    """Names that AWS or GitHub keeps to itself, and regions that the program does not work in."""
    bucket, name = settings.state.bucket, settings.repository.name
    if bucket.startswith(RESERVED_BEGINNINGS) or bucket.endswith(RESERVED_ENDINGS):
        yield (
            f"state.bucket: {bucket}: S3 keeps names that begin with {', '.join(RESERVED_BEGINNINGS)} or end with "
            f"{', '.join(RESERVED_ENDINGS)} to itself: choose another name"
        )
    if name in (".", "..") or name.endswith(".git"):
        yield f"repository.name: {name}: GitHub has no repository of such a name: give it without .git"
    regions = {
        "region": settings.region,
        **{f"stacks.{stack}.region": settings.region_of(stack) for stack in settings.stacks},
    }
    for key, region in regions.items():
        if region.startswith(ELSEWHERE):
            yield f"{key}: {region}: the program does not work in this partition of AWS: choose a region of another"


def rules(settings: Settings) -> Iterator[str]:
    """Rules across the stacks: what belongs to one is found by its name, so no name may begin another."""
    yield from _names_that_are_taken(settings)
    for stack, told in settings.stacks.items():
        place = f"arn:{settings.partition}:kms:{settings.region_of(stack)}:"
        for key, arn in (("kmsKeyArn", told.kms_key_arn), ("volumesKmsKeyArn", told.volumes_kms_key_arn)):
            if arn and not arn.startswith(place):
                yield f"stacks.{stack}.{key}: {arn}: the stack's key is of its region: give {place}..."
    clusters = {stack: told.cluster for stack, told in settings.stacks.items()}
    for stack, cluster in clusters.items():
        if f"{names.OWN}-".startswith(f"{cluster}-"):
            yield (
                f"stacks.{stack}.cluster: {cluster}: its role may touch {cluster}-*, and so what this program "
                f"makes, {names.OWN}-*: choose another name"
            )
        for other, name in clusters.items():
            same_region = settings.region_of(stack) == settings.region_of(other)
            if stack < other and name == cluster:
                where = "" if same_region else ": IAM's names are the account's, whatever the region"
                yield f"stacks.{other}.cluster: {name} is the cluster of {stack} too{where}: choose another name"
            elif stack != other and name.startswith(f"{cluster}-"):
                yield (
                    f"stacks.{other}.cluster: {name} begins with {cluster}-, which the role of {stack} may touch: "
                    "choose names of which none begins another"
                )
