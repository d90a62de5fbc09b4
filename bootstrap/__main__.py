"""What an empty account needs before the program: GitHub's identity, the roles, their bounds, and the state."""

import pulumi
import pulumi_aws as aws

from access import github, names
from access import settings as configuration
from access.scope import Scope
from access.stack_access import StackAccess, StackAccessArgs
from access.state import State, StateArgs

settings = configuration.load()
provider = aws.Provider(
    "aws",
    region=settings.region,
    default_tags=aws.ProviderDefaultTagsArgs(tags=names.TAGS),
    allowed_account_ids=[settings.account_id],
)
on_aws = pulumi.ResourceOptions(providers=[provider])

# One provider serves all repositories of the account; AWS knows GitHub's certificates by itself.
existing = f"arn:{settings.partition}:iam::{settings.account_id}:oidc-provider/{names.ISSUER}"
github_identity: pulumi.Input[str] = existing
if settings.oidc_provider == "create":
    github_identity = aws.iam.OpenIdConnectProvider(
        "github",
        url=f"https://{names.ISSUER}",
        client_id_lists=["sts.amazonaws.com"],
        opts=pulumi.ResourceOptions(provider=provider, protect=True),
    ).arn

state = State("state", StateArgs(settings=settings), on_aws)
role_arns: dict[str, pulumi.Output[str]] = {}
boundaries: dict[str, pulumi.Output[str]] = {}
for stack, told in settings.stacks.items():
    scope = Scope(
        stack=stack,
        cluster=told.cluster,
        region=settings.region_of(stack),
        partition=settings.partition,
        account_id=settings.account_id,
        iam_path=told.iam_path,
        service_role=told.service_role,
        kms_key_arn=told.kms_key_arn,
        volumes_kms_key_arn=told.volumes_kms_key_arn,
        vpc_id=told.vpc_id,
        vpc_owner_id=told.vpc_owner_id,
    )
    access_args = StackAccessArgs(
        scope=scope,
        repository=settings.repository,
        provider_arn=github_identity,
        session_hours=told.session_hours,
        bucket_arn=state.bucket_arn,
        bucket_key_arn=state.key_arn,
        secrets_key_arn=state.secrets_key_arns[stack],
    )
    access = StackAccess(stack, access_args, on_aws)
    role_arns |= access.role_arns
    boundaries[stack] = access.boundary_arn

pulumi.export("backend", github.backend(settings))
pulumi.export("secretsProviders", {stack: github.secrets_provider(settings, stack) for stack in settings.stacks})
pulumi.export("permissionsBoundaries", boundaries)
pulumi.export("roles", role_arns)
pulumi.export(
    "commands",
    pulumi.Output.all(**role_arns).apply(lambda known: "\n".join(github.commands(settings, known))),
)
