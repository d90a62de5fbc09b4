"""What the bootstrap's stack file may say, what it refuses, and what it tells to set in GitHub."""

import ast
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from access import github
from access.boundary import boundary
from access.deployer import ATTACHED, deployer
from access.github import ENVIRONMENTS, environment, subject
from access.reader import reader
from access.scope import POLICY_SIZE_LIMIT, Scope
from access.settings import Settings, parse
from infra.documents import volumes_key_policy
from otel_on_spot.iam import allows
from tests.unit.conftest import recorded

BOOTSTRAP = Path(__file__).parents[3] / "bootstrap"
PREFIX = "otel-on-spot-bootstrap:"
KEY = "arn:aws:kms:eu-west-1:444455556666:key/0f0e0d0c-1a2b-3c4d-5e6f-0123456789ab"
DEV = Scope(
    stack="dev",
    cluster="otel-dev",
    region="eu-west-1",
    partition="aws",
    account_id="123456789012",
    iam_path="/",
    service_role=None,
)


def committed() -> dict[str, Any]:
    told = yaml.safe_load((BOOTSTRAP / "Pulumi.account.yaml").read_text())["config"]
    return {key.removeprefix(PREFIX): value for key, value in told.items()}


@pytest.fixture
def settings() -> Settings:
    found, problems = parse(committed())
    assert problems == []
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("accountId", "1234", "accountId"),
        ("accountId", 123456789012, "accountId"),
        ("region", "Ireland", "region"),
        ("typo", "x", "typo"),
        ("oidcProvider", "maybe", "oidcProvider"),
        ("repository.id", 0, "repository.id"),
        ("repository.id", "2", "repository.id"),
        ("repository.ownerId", None, "repository.ownerId"),
        ("repository.owner", "your-org/x", "repository.owner"),
        ("repository.name", "your-org/x", "repository.name"),
        ("repository.subject", "any", "repository.subject"),
        ("state.bucket", "Upper", "state.bucket"),
        ("state.bucket", "a", "state.bucket"),
        *(
            ("state.bucket", name, "state.bucket")
            for name in ("xn--state", "sthree-state", "amzn-s3-demo-state", "state-s3alias", "state--x-s3", "our-an")
        ),
        *(("repository.name", name, "repository.name") for name in (".", "..", "otel-on-spot.git")),
        *(
            ("region", region, "region")
            for region in ("cn-north-1", "eusc-de-east-1", "us-iso-east-1", "eu-isoe-west-1")
        ),
        ("stacks.dev.region", "cn-north-1", "stacks.dev.region"),
        ("state.keepVersionsDays", 0, "state.keepVersionsDays"),
        ("stacks", {}, "stacks"),
        ("stacks", "no object", "stacks"),
        ("stacks.dev.cluster", "arn:aws:eks:eu-west-1:1:cluster/x", "stacks.dev.cluster"),
        ("stacks.dev.cluster", "otel", "stacks.dev.cluster"),
        ("stacks.dev.cluster", "otel-on-spot", "stacks.dev.cluster"),
        ("stacks.dev.cluster", "otel-prod", "stacks.prod.cluster"),
        ("stacks.prod.cluster", "otel-dev-next", "stacks.prod.cluster"),
        ("stacks.dev.sessionHours", 13, "stacks.dev.sessionHours"),
        ("stacks.dev.iamPath", "platform", "stacks.dev.iamPath"),
        ("stacks.dev.iamPath", "/é/", "stacks.dev.iamPath"),
        ("stacks.dev.kmsKeyArn", "alias/company", "stacks.dev.kmsKeyArn"),
        ("stacks.dev.kmsKeyArn", KEY.replace("eu-west-1", "us-east-1"), "stacks.dev.kmsKeyArn"),
        ("stacks.dev.kmsKeyArn", KEY.replace("arn:aws:", "arn:aws-us-gov:"), "stacks.dev.kmsKeyArn"),
        ("stacks.dev.volumesKmsKeyArn", "alias/company", "stacks.dev.volumesKmsKeyArn"),
        ("stacks.dev.volumesKmsKeyArn", KEY.replace("eu-west-1", "us-east-1"), "stacks.dev.volumesKmsKeyArn"),
    ],
)
def test_what_cannot_be_is_refused_with_its_key_named(path: str, value: Any, named: str) -> None:
    raw = committed()
    *parents, last = path.split(".")
    target: Any = raw
    for parent in parents:
        target = target[parent]
    target[last] = value
    found, problems = parse(raw)

    assert found is None
    assert any(problem.startswith(named) for problem in problems), problems


def test_one_cluster_name_in_two_regions_of_an_account_is_refused() -> None:
    raw = committed()
    raw["stacks"]["dr"] = {"cluster": "otel-prod", "region": "eu-central-1"}

    assert any("IAM's names are the account's" in problem for problem in parse(raw)[1])


def test_the_subject_has_the_ids_that_no_new_owner_of_a_name_can_have(settings: Settings) -> None:
    assert subject(settings.repository, "dev") == "repo:your-org@1/otel-on-spot@2:environment:dev"
    former = settings.repository.model_copy(update={"subject": "former"})
    assert subject(former, "dev") == "repo:your-org/otel-on-spot:environment:dev"


def test_the_environments_are_those_of_the_workflows() -> None:
    workflows = BOOTSTRAP.parent / ".github" / "workflows"
    told = {
        purpose: (workflows / file).read_text()
        for purpose, file in {"preview": "preview.yml", "drift": "drift.yml", "up": "up.yml"}.items()
    }
    assert "environment: ${{ matrix.stack }}-pull-request\n" in told["preview"]
    assert "environment: ${{ matrix.stack }}-read\n" in told["drift"]
    assert "environment: ${{ inputs.stack || 'dev' }}\n" in told["up"]
    assert [environment("x", purpose) for purpose in ENVIRONMENTS] == ["x-pull-request", "x-read", "x"]


def test_every_command_for_github_can_be_pasted(settings: Settings) -> None:
    roles = {
        environment(stack, purpose): f"arn:aws:iam::123456789012:role/{stack}-{purpose}"
        for stack in settings.stacks
        for purpose in ENVIRONMENTS
    }
    lines = [shlex.split(line) for line in github.commands(settings, roles)]

    assert {line[0] for line in lines} == {"gh"}
    values = {
        (line[line.index("--env") + 1] if "--env" in line else "", line[3]): line[-1]
        for line in lines
        if line[1] == "variable"
    }
    assert json.loads(values["", "STACKS"]) == ["dev", "staging", "prod"]
    assert values["", "PULUMI_BACKEND_URL"] == "s3://your-org-otel-on-spot-state?region=eu-west-1"
    assert {where: values[where, "AWS_ROLE_ARN"] for where in roles} == roles
    assert values["prod", "AWS_ROLE_DURATION_SECONDS"] == "7200"
    assert {line[-1].rpartition("/")[2] for line in lines if "PUT" in line} == {*roles}


def test_every_policy_fits_with_the_longest_names() -> None:
    scope = Scope(
        stack="s" * 20,
        cluster="c" * 40,
        region="ap-southeast-1",
        partition="aws-us-gov",
        account_id="123456789012",
        iam_path="/platform/",
        service_role=f"cluster-eks-eksRole-role-{'0' * 7}",
        kms_key_arn=KEY.replace("arn:aws:kms:eu-west-1", "arn:aws-us-gov:kms:ap-southeast-1"),
        volumes_kms_key_arn=KEY.replace("arn:aws:kms:eu-west-1", "arn:aws-us-gov:kms:ap-southeast-1"),
        vpc_id="vpc-0f0e0d0c1a2b3c4d5",
    )
    policies = {"boundary": boundary(scope), "reads": reader(scope), **deployer(scope)}

    assert {
        name: len(json.dumps(told, separators=(",", ":")))
        for name, told in policies.items()
        if len(json.dumps(told, separators=(",", ":"))) > POLICY_SIZE_LIMIT
    } == {}


def test_the_roles_may_use_the_key_that_their_stack_is_given_and_no_other() -> None:
    raw = committed()
    raw["stacks"]["dev"]["kmsKeyArn"] = KEY
    settings, problems = parse(raw)
    assert settings is not None, problems

    def may(action: str, resource: str, kms_key_arn: str | None) -> dict[str, bool]:
        scope = replace(DEV, kms_key_arn=kms_key_arn)
        policies = {"read": [reader(scope)], "write": [*deployer(scope).values()]}
        return {who: bool(allows(told, action, resource, {})) for who, told in policies.items()}

    given = settings.stacks["dev"].kms_key_arn
    other = KEY.replace("0f0e", "ffff")
    group = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/eks/otel-dev/cluster"
    assert may("kms:DescribeKey", KEY, given) == {"read": True, "write": True}
    assert may("kms:CreateGrant", KEY, given) == {"read": False, "write": True}
    assert may("logs:AssociateKmsKey", group, given) == {"read": False, "write": True}
    for action, resource, key in (
        ("kms:DescribeKey", other, given),
        ("kms:CreateGrant", other, given),
        ("kms:Decrypt", KEY, given),
        ("kms:DescribeKey", KEY, None),
        ("kms:CreateGrant", KEY, None),
    ):
        assert may(action, resource, key) == {"read": False, "write": False}, (action, resource)


def test_the_boundary_leaves_the_stacks_roles_the_key_of_volumes_and_no_other() -> None:
    scope = replace(DEV, volumes_kms_key_arn=KEY)
    needed = [action for told in volumes_key_policy(KEY)["Statement"] for action in told["Action"]]
    assert [action for action in needed if not allows(boundary(scope), action, KEY, {})] == []
    elsewhere = {"kms:DescribeKey"}
    other, without = KEY.replace("0f0e", "ffff"), replace(scope, volumes_kms_key_arn=None)
    assert {action for action in needed if allows(boundary(scope), action, other, {})} == elsewhere
    assert {action for action in needed if allows(boundary(without), action, KEY, {})} == elsewhere


def test_a_shared_vpc_is_found_by_its_owners_account() -> None:
    scope = replace(DEV, vpc_id="vpc-0f0e0d0c1a2b3c4d5")
    for owner in ("123456789012", "210987654321"):
        told = deployer(replace(scope, vpc_owner_id=None if owner == scope.account_id else owner)).values()
        for account in ("123456789012", "210987654321"):
            vpc = f"arn:aws:ec2:eu-west-1:{account}:vpc/{scope.vpc_id}"
            subnet = f"arn:aws:ec2:eu-west-1:{account}:subnet/subnet-0a1b2c3d4e5f60718"
            assert bool(allows(told, "ec2:CreateSecurityGroup", vpc, {})) is (account == owner)
            assert bool(allows(told, "ec2:RunInstances", subnet, {"ec2:Vpc": vpc})) is (account == owner)


def test_what_may_be_attached_is_what_the_program_attaches() -> None:
    attached = {
        made.inputs["policyArn"].removeprefix("arn:aws:iam::aws:policy/")
        for stack in ("dev", "staging", "prod")
        for made in recorded(stack).of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    }
    managed = {name for name in attached if not name.startswith("arn:")}
    assert len(managed) > 4
    assert managed <= {*ATTACHED}


def test_it_can_be_taken_alone() -> None:
    let = {*sys.stdlib_module_names, "pulumi", "pulumi_aws", "pydantic", "access"}
    for file in BOOTSTRAP.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.partition(".")[0] for name in names} <= let, file
