"""An empty account, bootstrapped: what it holds, whom it lets in, and what nobody can do with its roles."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.iam import document
from otel_on_spot.iam.decisions import Caller, Request, Resource, decide
from otel_on_spot.iam.roles import managed_policy
from otel_on_spot.program.recording import Recording
from otel_on_spot.simcloud import graph
from otel_on_spot.simcloud.authorization import role_caller
from otel_on_spot.simcloud.cloud import Cloud

BOOTSTRAP = Path(__file__).parents[2] / "bootstrap"
ACCOUNT, REGION, STACK, CLUSTER = "123456789012", "eu-west-1", "staging", "otel-staging"
OWN = "otel-on-spot-bootstrap"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/{OWN}/{OWN}-{STACK}-boundary"
BUCKET = "arn:aws:s3:::your-org-otel-on-spot-state"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, Recording]]:
    with Cloud(tmp_path_factory.mktemp("account"), patience=20, forgetful=True) as cloud:
        yield cloud, graph.apply("account", cloud, root=BOOTSTRAP)


@pytest.fixture(scope="module")
def updater(account: tuple[Cloud, Recording]) -> Caller:
    return role_caller(account[0], f"{OWN}-{STACK}-up")


@pytest.fixture(scope="module")
def previewer(account: tuple[Cloud, Recording]) -> Caller:
    return role_caller(account[0], f"{OWN}-{STACK}-preview")


def test_a_second_bootstrap_changes_nothing(account: tuple[Cloud, Recording]) -> None:
    cloud, recording = account
    since = len(cloud.operations.read())
    graph.apply("account", cloud, root=BOOTSTRAP, previous=recording)
    assert [each for each in cloud.operations.read()[since:] if each.operation != "read"] == []


def at(action: str, *arns: str, tags: Mapping[str, str] | None = None, **keys: Any) -> Request:
    held = {f"aws:ResourceTag/{key}": value for key, value in (tags or {}).items()}
    named = {name.replace("__", ":").replace("_slash_", "/"): value for name, value in keys.items()}
    return Request(action=action, resources=tuple(Resource(arn=arn, keys=held) for arn in arns or ("*",)), keys=named)


def iam(kind: str, rest: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:{kind}/{rest}"


def regional(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


OTHERS, OURS = {"cluster": "otel-prod"}, {"cluster": CLUSTER}
ROLE = iam("role", f"{CLUSTER}-karpenter-node")
WIDE = "arn:aws:iam::aws:policy/AdministratorAccess"
TRIED = {
    "a role without the boundary": at("iam:CreateRole", ROLE),
    "a role with another boundary": at("iam:CreateRole", ROLE, iam__PermissionsBoundary=WIDE),
    "another boundary on a role": at("iam:PutRolePermissionsBoundary", ROLE, iam__PermissionsBoundary=WIDE),
    "a role without its boundary": at("iam:DeleteRolePermissionsBoundary", ROLE, iam__PermissionsBoundary=BOUNDARY),
    "a role of another name": at("iam:CreateRole", iam("role", "admin"), iam__PermissionsBoundary=BOUNDARY),
    "a policy for a role without the boundary": at("iam:PutRolePolicy", ROLE),
    "administrator for a bounded role": at(
        "iam:AttachRolePolicy", ROLE, iam__PermissionsBoundary=BOUNDARY, iam__PolicyARN=WIDE
    ),
    "wider bounds": at("iam:CreatePolicyVersion", BOUNDARY),
    "its own policies": at("iam:CreatePolicyVersion", iam("policy", f"{OWN}/{OWN}-{STACK}-up-identity")),
    "more for itself": at(
        "iam:PutRolePolicy", iam("role", f"{OWN}/{OWN}-{STACK}-up"), iam__PermissionsBoundary=BOUNDARY
    ),
    "trust in itself for another": at("iam:UpdateAssumeRolePolicy", iam("role", f"{OWN}/{OWN}-{STACK}-up")),
    "another role passed": at("iam:PassRole", iam("role", "admin"), iam__PassedToService="ec2.amazonaws.com"),
    "another stack's role passed": at(
        "iam:PassRole", iam("role", "otel-prod-karpenter-node"), iam__PassedToService="ec2.amazonaws.com"
    ),
    "a role passed to another service": at("iam:PassRole", ROLE, iam__PassedToService="lambda.amazonaws.com"),
    "a user": at("iam:CreateUser", iam("user", f"{CLUSTER}-me")),
    "an access key": at("iam:CreateAccessKey", iam("user", "me")),
    "another role assumed": at("sts:AssumeRole", iam("role", "admin")),
    "a service's role of another service": at(
        "iam:CreateServiceLinkedRole",
        iam("role", "aws-service-role/x.amazonaws.com/y"),
        iam__AWSServiceName="organizations.amazonaws.com",
    ),
    "another stack's role": at("iam:DeleteRole", iam("role", "otel-prod-karpenter-node")),
    "another stack's policy": at("iam:CreatePolicyVersion", iam("policy", "otel-prod-karpenter-interruption")),
    "another stack's cluster": at("eks:DeleteCluster", regional("eks", "cluster/otel-prod")),
    "another stack's access entries": at("eks:CreateAccessEntry", regional("eks", "cluster/otel-prod")),
    "another stack's VPC": at("ec2:DeleteVpc", regional("ec2", "vpc/vpc-1"), tags=OTHERS),
    "nobody's VPC": at("ec2:DeleteVpc", regional("ec2", "vpc/vpc-1")),
    "another stack's subnet claimed": at(
        "ec2:CreateTags", regional("ec2", "subnet/subnet-1"), tags=OTHERS, aws__RequestTag_slash_cluster=CLUSTER
    ),
    "another stack's default group claimed": at(
        "ec2:CreateTags", regional("ec2", "security-group/sg-1"), tags=OTHERS, aws__RequestTag_slash_cluster=CLUSTER
    ),
    "nobody's subnet claimed": at(
        "ec2:CreateTags", regional("ec2", "subnet/subnet-1"), aws__RequestTag_slash_cluster=CLUSTER
    ),
    "its own subnet given to another": at(
        "ec2:CreateTags", regional("ec2", "subnet/subnet-1"), tags=OURS, aws__RequestTag_slash_cluster="otel-prod"
    ),
    "another stack's group opened": at(
        "ec2:AuthorizeSecurityGroupIngress", regional("ec2", "security-group/sg-1"), tags=OTHERS
    ),
    "something without the stack's tag": at("ec2:CreateVpc", regional("ec2", "vpc/*")),
    "something with another stack's tag": at(
        "ec2:CreateVpc", regional("ec2", "vpc/*"), aws__RequestTag_slash_cluster="otel-prod"
    ),
    "an instance in another stack's subnet": at(
        "ec2:RunInstances", regional("ec2", "instance/*"), regional("ec2", "subnet/subnet-1"), tags=OTHERS
    ),
    "another stack's instances": at("ec2:TerminateInstances", regional("ec2", "instance/i-1"), tags=OTHERS),
    "another stack's key": at("kms:ScheduleKeyDeletion", regional("kms", "key/1"), tags=OTHERS),
    "another stack's key claimed": at(
        "kms:TagResource", regional("kms", "key/1"), tags=OTHERS, aws__RequestTag_slash_cluster=CLUSTER
    ),
    "the state's key": at("kms:ScheduleKeyDeletion", regional("kms", "key/1"), tags={"managed-by": OWN}),
    "another stack's queue": at("sqs:DeleteQueue", regional("sqs", "otel-prod-interruption")),
    "another stack's rules": at("events:RemoveTargets", regional("events", "rule/otel-prod-rebalance")),
    "another stack's logs": at("logs:DeleteLogGroup", regional("logs", "log-group:/aws/eks/otel-prod/cluster")),
    "another stack's experiment": at(
        "fis:DeleteExperimentTemplate", regional("fis", "experiment-template/1"), tags=OTHERS
    ),
    "another stack's state": at("s3:GetObject", f"{BUCKET}/.pulumi/stacks/otel-on-spot/prod.json"),
    "another stack's state written": at("s3:PutObject", f"{BUCKET}/.pulumi/stacks/otel-on-spot/prod.json"),
    "another stack's lock": at("s3:DeleteObject", f"{BUCKET}/.pulumi/locks/organization/otel-on-spot/prod/x.json"),
    "the account's own state": at("s3:GetObject", f"{BUCKET}/.pulumi/stacks/{OWN}/account.json"),
    "former versions of the state": at("s3:DeleteObjectVersion", f"{BUCKET}/.pulumi/stacks/otel-on-spot/{STACK}.json"),
    "the state's bucket": at("s3:DeleteBucket", BUCKET),
    "another stack's secrets": at("kms:Decrypt", regional("kms", "key/another")),
    "a secret": at("secretsmanager:GetSecretValue", regional("secretsmanager", "secret:x")),
    "a parameter": at("ssm:GetParameter", regional("ssm", "parameter/x")),
    "another region": at("ec2:DescribeVpcs", aws__RequestedRegion="us-east-1"),
}


@pytest.mark.parametrize("what", TRIED)
def test_whoever_updates_cannot_have(updater: Caller, what: str) -> None:
    assert not decide(TRIED[what], updater)


def test_what_was_tried_is_allowed_on_the_stacks_own(updater: Caller) -> None:
    """The requests above are refused for whose they are, not for how they are written."""
    own = (
        at("iam:CreateRole", ROLE, iam__PermissionsBoundary=BOUNDARY),
        at("iam:PassRole", ROLE, iam__PassedToService="ec2.amazonaws.com"),
        at("ec2:DeleteVpc", regional("ec2", "vpc/vpc-1"), tags=OURS),
        at("ec2:CreateTags", regional("ec2", "security-group/sg-1"), aws__RequestTag_slash_cluster=CLUSTER),
        at("sqs:DeleteQueue", regional("sqs", f"{CLUSTER}-interruption")),
        at("logs:DeleteLogGroup", regional("logs", f"log-group:/aws/eks/{CLUSTER}/cluster")),
        at("eks:DeleteCluster", regional("eks", f"cluster/{CLUSTER}")),
        at("s3:PutObject", f"{BUCKET}/.pulumi/stacks/otel-on-spot/{STACK}.json"),
        at("s3:GetObject", f"{BUCKET}/.pulumi/meta.yaml"),
        at("ec2:DescribeVpcs", aws__RequestedRegion=REGION),
    )
    assert [request.action for request in own if not decide(request, updater)] == []


@pytest.mark.parametrize(
    "request_of_a_secret",
    [
        at("sts:AssumeRole", iam("role", "admin")),
        at("secretsmanager:GetSecretValue", regional("secretsmanager", "secret:x")),
        at("ssm:GetParameter", regional("ssm", "parameter/x")),
        at("kms:Decrypt", regional("kms", "key/another")),
        at("s3:GetObject", f"{BUCKET}/.pulumi/stacks/otel-on-spot/prod.json"),
        at("s3:PutObject", f"{BUCKET}/.pulumi/stacks/otel-on-spot/{STACK}.json"),
        at("ec2:DescribeInstanceAttribute", regional("ec2", "instance/i-1"), aws__RequestedRegion=REGION),
    ],
    ids=lambda request: request.action,
)
def test_whoever_previews_cannot_have(previewer: Caller, request_of_a_secret: Request) -> None:
    assert not decide(request_of_a_secret, previewer)


ISSUER = "token.actions.githubusercontent.com"


@pytest.mark.parametrize(
    ("role", "subject", "audience", "let"),
    [
        ("up", "repo:your-org@1/otel-on-spot@2:environment:staging", "sts.amazonaws.com", True),
        ("drift", "repo:your-org@1/otel-on-spot@2:environment:staging-read", "sts.amazonaws.com", True),
        ("preview", "repo:your-org@1/otel-on-spot@2:environment:staging-pull-request", "sts.amazonaws.com", True),
        ("up", "repo:your-org@1/otel-on-spot@2:environment:staging-read", "sts.amazonaws.com", False),
        ("up", "repo:your-org@1/otel-on-spot@2:environment:prod", "sts.amazonaws.com", False),
        ("up", "repo:your-org@1/otel-on-spot@3:environment:staging", "sts.amazonaws.com", False),
        ("up", "repo:your-org@9/otel-on-spot@2:environment:staging", "sts.amazonaws.com", False),
        ("up", "repo:your-org/otel-on-spot:environment:staging", "sts.amazonaws.com", False),
        ("up", "repo:your-org@1/otel-on-spot@2:ref:refs/heads/main", "sts.amazonaws.com", False),
        ("up", "repo:your-org@1/otel-on-spot@2:pull_request", "sts.amazonaws.com", False),
        ("up", "repo:your-org@1/otel-on-spot@2:environment:staging", "another", False),
    ],
)
def test_a_role_is_for_the_jobs_of_its_environment_alone(
    account: tuple[Cloud, Recording], role: str, subject: str, audience: str, let: bool
) -> None:
    told = account[0].client("iam", REGION).get_role(RoleName=f"{OWN}-{STACK}-{role}")["Role"]
    job = Caller(arn=iam("oidc-provider", ISSUER))
    resource = Resource(arn=told["Arn"], kind="role", policy=told["AssumeRolePolicyDocument"])
    keys = {f"{ISSUER}:sub": subject, f"{ISSUER}:aud": audience}
    request = Request(action="sts:AssumeRoleWithWebIdentity", resources=(resource,), keys=keys)
    assert bool(decide(request, job)) is let


def test_the_boundary_holds_what_the_roles_of_a_stack_may_not_and_lets_what_they_need(
    account: tuple[Cloud, Recording],
) -> None:
    held = document(managed_policy(account[0].client("iam", REGION), BOUNDARY))
    bounded = Caller(arn=iam("role", "x"), identity=({"Statement": ALL},), boundary=held)
    for request in (
        at("iam:CreateRole", ROLE, iam__PermissionsBoundary=BOUNDARY),
        at("iam:AttachRolePolicy", ROLE),
        at("iam:PassRole", iam("role", "admin"), iam__PassedToService="ec2.amazonaws.com"),
        at("sts:AssumeRole", iam("role", "admin")),
        at("s3:GetObject", f"{BUCKET}/x"),
        at("secretsmanager:GetSecretValue", regional("secretsmanager", "secret:x")),
        at("ssm:GetParameter", regional("ssm", "parameter/x")),
        at("sqs:ReceiveMessage", regional("sqs", "otel-prod-interruption")),
        at("kms:Decrypt", regional("kms", "key/1")),
    ):
        assert not decide(request, bounded), request.action
    for request in (
        at("ec2:RunInstances", regional("ec2", "instance/*")),
        at("iam:PassRole", ROLE, iam__PassedToService="ec2.amazonaws.com"),
        at("ssm:GetParameter", f"arn:aws:ssm:{REGION}::parameter/aws/service/eks/x"),
        at("sqs:ReceiveMessage", regional("sqs", f"{CLUSTER}-interruption")),
        at("eks:DescribeCluster", regional("eks", f"cluster/{CLUSTER}")),
        at("pricing:GetProducts"),
        at("logs:PutLogEvents", regional("logs", f"log-group:/aws/vpc/{CLUSTER}/flow-logs:x")),
        at("ec2:SendSpotInstanceInterruptions", regional("ec2", "instance/i-1")),
    ):
        assert decide(request, bounded), request.action


ALL = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
