"""For each type that the program declares and each of its inputs, plan, simulated cloud and engine replace the same."""

import copy
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from otel_on_spot.plan import compare
from otel_on_spot.program import resource_types
from otel_on_spot.program.recording import Recording, Registration
from otel_on_spot.program.values import Unknown
from otel_on_spot.simcloud.cloud_answers import Providers, plain
from otel_on_spot.simcloud.properties import DEFAULTS
from otel_on_spot.simcloud.session import Session
from tests.simcloud.conftest import Maker
from tests.unit.conftest import recorded

STACKS = ("dev", "staging", "prod")
STACK = "urn:pulumi:dev::otel-on-spot::pulumi:pulumi:Stack::otel-on-spot-dev"


@dataclass(frozen=True)
class Case:
    """One input of one type changed or removed; all else as the program declares it."""

    registration: Registration
    provider: Registration
    path: str
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def name(self) -> str:
        """Unique among the cases."""
        how = "changed" if resource_value(self.after, self.path) is not None else "removed"
        return f"{self.registration.type.rpartition(':')[2]}-{self.path}-{how}"


def resource_value(inputs: Any, path: str) -> Any:
    for key in path.split("."):
        inputs = inputs.get(key) if isinstance(inputs, dict) else None
    return inputs


def leaves(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict) and value and all(isinstance(key, str) and "." not in key for key in value):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    else:
        yield path


def another(value: Any) -> Any:
    """Another value of the same kind; of a JSON document, another one."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case dict():
            return {**value, "another": "other"}
        case list():
            return [*value, "another"]
        case str() if value.startswith("{"):
            return json.dumps({**json.loads(value), "another": "other"})
    return f"{value}-another"


def with_value(inputs: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the inputs with another value at a path; None removes it."""
    made = copy.deepcopy(inputs)
    *above, last = path.split(".")
    inner = made
    for key in above:
        inner = inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return made


def known(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(known, value.values()))
    return all(map(known, value)) if isinstance(value, list) else not isinstance(value, Unknown)


@cache
def cases() -> list[Case]:
    """Every input that any stack gives any type, changed, and every one removed."""
    found: dict[tuple[str, str, bool], Case] = {}
    for recording in map(recorded, STACKS):
        for registration in sorted(recording, key=lambda each: each.urn):  # every worker collects the same
            if not registration.custom or registration.type.startswith("pulumi:providers:"):
                continue
            for case in cases_of(recording, registration):
                found.setdefault((registration.type, case.path, resource_value(case.after, case.path) is None), case)
    return list(found.values())


def cases_of(recording: Recording, registration: Registration) -> Iterator[Case]:
    inputs = plain(registration.inputs)
    provider = recording.by_urn[registration.provider.rpartition("::")[0]]
    for key, value in inputs.items():
        if not known(value):
            continue
        yield Case(registration, provider, key, inputs, with_value(inputs, key, None))
        for path in leaves(value, key):
            changed = with_value(inputs, path, another(resource_value(inputs, path)))
            yield Case(registration, provider, path, inputs, changed)


def planned(case: Case) -> bool:
    """Decide if ``plan --against`` says that the change replaces the resource."""

    def document(inputs: dict[str, Any]) -> dict[str, Any]:
        options = {"aliases": [], "ignore_changes": [], "replace_on_changes": []}
        provider = {"urn": case.provider.urn, "inputs": plain(case.provider.inputs), "name": "provider"}
        resource = {"urn": "urn:one", "type": case.registration.type, "name": "one", "inputs": inputs}
        whole = {**resource, **options, "provider": f"{case.provider.urn}::id"}
        return {"stack": "dev", "resources": [whole, {**provider, **options, "type": "t", "provider": ""}]}

    changes = compare.difference(document(case.before), document(case.after), "main").changes
    return "replace" in {change.action for change in changes}


def checked(providers: Providers, case: Case) -> tuple[Any, Any, dict[str, Any], dict[str, Any]]:
    """Handler, site, and both sides' inputs as the provider's check leaves them."""
    handler, site = providers.of(case.registration, {case.provider.urn: case.provider})
    before, _ = handler.check(case.registration.name, {}, case.before, b"seed")
    after, _ = handler.check(case.registration.name, before, case.after, b"seed")
    return handler, site, before, after


def simulated(providers: Providers, case: Case) -> bool:
    """Decide if the simulated cloud's diff replaces the resource."""
    handler, site, before, after = checked(providers, case)
    return bool(handler.difference(state_of(case, before), before, after, site).replaces)


def state_of(case: Case, before: dict[str, Any]) -> dict[str, Any]:
    outputs = plain(case.registration.outputs)
    return {**outputs, **{key: value for key, value in before.items() if key != DEFAULTS}}


@pytest.fixture
def providers(aws: Maker) -> Providers:
    return Providers(aws.site.cloud)


def test_every_type_and_input_of_the_program_is_among_the_cases() -> None:
    tokens = {r.type for stack in STACKS for r in recorded(stack) if r.custom and not r.type.startswith("pulumi:")}
    assert {case.registration.type for case in cases()} == tokens
    assert tokens - resource_types.AWS.keys() - {resource_types.RELEASE} == {
        token for token in tokens if token.startswith("kubernetes:") and token != resource_types.RELEASE
    }
    assert len(cases()) > 300


def test_plan_and_simulated_cloud_replace_the_same(providers: Providers) -> None:
    assert [case.name for case in cases() if planned(case) != simulated(providers, case)] == []


CLOUDFORMATION = {
    "aws:cloudwatch/eventRule:EventRule": ("AWS::Events::Rule", {}),
    "aws:cloudwatch/logGroup:LogGroup": ("AWS::Logs::LogGroup", {"name": "LogGroupName"}),
    "aws:ec2/eip:Eip": ("AWS::EC2::EIP", {}),
    "aws:ec2/flowLog:FlowLog": (
        "AWS::EC2::FlowLog",
        {"iamRoleArn": "DeliverLogsPermissionArn", "vpcId": "ResourceId"},
    ),
    "aws:ec2/internetGateway:InternetGateway": ("AWS::EC2::InternetGateway", {}),
    "aws:ec2/launchTemplate:LaunchTemplate": ("AWS::EC2::LaunchTemplate", {}),
    "aws:ec2/natGateway:NatGateway": ("AWS::EC2::NatGateway", {}),
    "aws:ec2/route:Route": ("AWS::EC2::Route", {}),
    "aws:ec2/routeTable:RouteTable": ("AWS::EC2::RouteTable", {}),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": ("AWS::EC2::SubnetRouteTableAssociation", {}),
    "aws:ec2/securityGroup:SecurityGroup": (
        "AWS::EC2::SecurityGroup",
        {"description": "GroupDescription", "ingress": "SecurityGroupIngress", "egress": "SecurityGroupEgress"},
    ),
    "aws:ec2/subnet:Subnet": ("AWS::EC2::Subnet", {}),
    "aws:ec2/vpc:Vpc": ("AWS::EC2::VPC", {}),
    "aws:ec2/vpcEndpoint:VpcEndpoint": ("AWS::EC2::VPCEndpoint", {}),
    "aws:eks/accessEntry:AccessEntry": ("AWS::EKS::AccessEntry", {}),
    "aws:eks/addon:Addon": ("AWS::EKS::Addon", {}),
    "aws:eks/cluster:Cluster": ("AWS::EKS::Cluster", {"vpcConfig": "ResourcesVpcConfig"}),
    "aws:eks/nodeGroup:NodeGroup": ("AWS::EKS::Nodegroup", {"nodeRoleArn": "NodeRole", "subnetIds": "Subnets"}),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": ("AWS::EKS::PodIdentityAssociation", {}),
    "aws:iam/instanceProfile:InstanceProfile": ("AWS::IAM::InstanceProfile", {"name": "InstanceProfileName"}),
    "aws:iam/policy:Policy": ("AWS::IAM::ManagedPolicy", {"name": "ManagedPolicyName", "policy": "PolicyDocument"}),
    "aws:iam/role:Role": ("AWS::IAM::Role", {"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument"}),
    "aws:iam/rolePolicy:RolePolicy": ("AWS::IAM::RolePolicy", {"role": "RoleName", "policy": "PolicyDocument"}),
    "aws:iam/serviceLinkedRole:ServiceLinkedRole": (
        "AWS::IAM::ServiceLinkedRole",
        {"awsServiceName": "AWSServiceName"},
    ),
    "aws:kms/alias:Alias": ("AWS::KMS::Alias", {"name": "AliasName"}),
    "aws:kms/key:Key": ("AWS::KMS::Key", {"policy": "KeyPolicy"}),
    "aws:sqs/queue:Queue": ("AWS::SQS::Queue", {"name": "QueueName"}),
}
"""Type -> (the same in CloudFormation, inputs that it calls otherwise)."""
OTHERWISE = {
    # The provider calls ReplaceRouteTableAssociation; CloudFormation makes a new one.
    ("aws:ec2/routeTableAssociation:RouteTableAssociation", "routeTableId"),
    # The provider associates a key in place, and replaces the cluster only where encryption is taken away.
    ("aws:eks/cluster:Cluster", "encryptionConfig"),
    # There is one domain left, vpc: CloudFormation ignores the property.
    ("aws:ec2/eip:Eip", "domain"),
    # Another template is refused by EKS; CloudFormation finds it out when it tries.
    ("aws:eks/nodeGroup:NodeGroup", "launchTemplate"),
}
"""Where the provider does something else than CloudFormation."""


def schema(name: str) -> dict[str, Any]:
    """CloudFormation's schema of a type, as AWS publishes it and cfn-lint carries it."""
    package = find_spec("cfnlint")  # found, and not imported: half a second that no other test needs
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "data" / "schemas"
    index = json.loads((folder / "providers" / "eu-west-1.json").read_text())
    return json.loads((folder / "resources" / f"{index[name]}.json").read_text())


def disagreements(token: str) -> set[str]:
    """Inputs of the program that the table, and not AWS's own schema, has as replacing; or the other way round."""
    name, names = CLOUDFORMATION[token]
    told = schema(name)
    final = [*told.get("createOnlyProperties", ()), *told.get("conditionalCreateOnlyProperties", ())]
    replacing = {path.removeprefix("/properties/").replace("/", ".") for path in final}
    found = set()
    for case in (case for case in cases() if case.registration.type == token and case.name.endswith("-changed")):
        key, dot, rest = case.path.partition(".")
        path = names.get(key, key[0].upper() + key[1:]) + "".join(
            f".{part[0].upper()}{part[1:]}" for part in rest.split(".") if dot
        )
        if path.partition(".")[0] not in told["properties"] or (token, key) in OTHERWISE:
            continue
        values = resource_value(case.before, case.path), resource_value(case.after, case.path)
        if resource_types.resource_type(token).replaced_by(case.path, *values) != any(
            path == each or path.startswith(f"{each}.") for each in replacing
        ):
            found.add(case.path)
    return found


@pytest.mark.parametrize("token", CLOUDFORMATION)
def test_what_replaces_a_resource_is_what_aws_cannot_change(token: str) -> None:
    assert disagreements(token) == set()


@pytest.mark.parametrize("token", CLOUDFORMATION)
def test_a_fault_in_the_table_is_found(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = {case.path for case in cases() if case.registration.type == token}
    facts = resource_types.AWS[token]
    forgotten = {key for key in facts.replace_on if key in declared and (token, key.partition(".")[0]) not in OTHERWISE}
    monkeypatch.setitem(resource_types.AWS, token, replace(facts, replace_on=()))
    assert disagreements(token) == forgotten
    has_tags = "Tags" in schema(CLOUDFORMATION[token][0])["properties"]
    if has_tags and any(path.startswith("tags.") for path in declared):
        monkeypatch.setitem(resource_types.AWS, token, replace(facts, replace_on=(*facts.replace_on, "tags")))
        assert any(path.startswith("tags.") for path in disagreements(token))


PROGRAM = """
import json, pulumi
from pathlib import Path

class Any(pulumi.CustomResource):
    pass

class Provider(pulumi.ProviderResource):
    pass

cases = json.loads(Path("cases.json").read_text())
providers = {name: Provider(package, name, inputs) for name, (package, inputs) in cases["providers"].items()}
for name, case in cases["resources"].items():
    Any(case["type"], name, case["inputs"], pulumi.ResourceOptions(provider=providers[case["provider"]]))
"""


@pytest.mark.engine
@pytest.mark.skipif(shutil.which("pulumi") is None, reason="no pulumi CLI on PATH")
def test_the_engine_replaces_what_the_plan_says(tmp_path: Path, cloud: Any, aws: Maker, providers: Providers) -> None:
    program = tmp_path / "program"
    program.mkdir()
    (program / "Pulumi.yaml").write_text(
        f"name: otel-on-spot\nruntime: {{name: python, options: {{virtualenv: {sys.prefix}}}}}\n"
    )
    (program / "__main__.py").write_text(PROGRAM)
    state, wanted, expected = deployment(providers)
    (program / "cases.json").write_text(json.dumps(wanted))
    (program / "state.json").write_text(json.dumps(state))
    with Session(tmp_path, stand_in=False, cloud=cloud) as session:

        def pulumi(*arguments: str) -> str:
            done = subprocess.run(
                ["pulumi", *arguments, "--stack", "dev", "--non-interactive"],
                cwd=program,
                env=session.environment,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            return done.stdout

        pulumi("stack", "init")
        pulumi("stack", "import", "--file", "state.json")
        steps = json.loads(pulumi("preview", "--json"))["steps"]
    seen = {step["urn"].rpartition("::")[2]: step["op"] for step in steps if not step["op"].startswith("create-")}
    replaced = {name: seen[name] in ("replace", "delete-replaced") for name in expected}
    assert {name for name in expected if replaced[name]} == {name for name in expected if expected[name]}
    assert sum(expected.values()) > 60


def deployment(providers: Providers) -> tuple[dict[str, Any], dict[str, Any], dict[str, bool]]:
    """(state with each case before its change, program with each case after it, whether the plan replaces it)."""
    resources: list[dict[str, Any]] = [
        {"urn": STACK, "custom": False, "type": "pulumi:pulumi:Stack", "inputs": {}, "outputs": {}}
    ]
    configured: dict[str, tuple[str, dict[str, Any]]] = {}
    references, wanted, expected = {}, {}, {}
    for case in cases():
        if case.provider.urn not in references:
            name = f"provider-{len(references)}"
            package = case.provider.type.rpartition(":")[2]
            inputs = {
                key: value if isinstance(value, str) else json.dumps(value)
                for key, value in plain(case.provider.inputs).items()
            }
            configured[name] = (package, inputs)
            urn, identity = urn_of(case.provider.type, name), str(uuid.uuid5(uuid.NAMESPACE_URL, name))
            resources.append(resource(urn, case.provider.type, identity, inputs, inputs))
            references[case.provider.urn] = (name, f"{urn}::{identity}")
        name, reference = references[case.provider.urn]
        handler, _, before, _ = checked(providers, case)
        if handler.check(case.registration.name, before, case.after, b"seed")[1]:
            continue  # a value that the check refuses never comes to a preview
        token, urn = case.registration.type, urn_of(case.registration.type, case.name)
        made = resource(urn, token, case.registration.id or "id", before, state_of(case, before))
        resources.append({**made, "provider": reference})
        wanted[case.name] = {"type": token, "inputs": case.after, "provider": name}
        expected[case.name] = planned(case)
    state = {"version": 3, "deployment": {"manifest": {"time": "2026-01-01T00:00:00Z", "magic": "", "version": ""}}}
    state["deployment"]["resources"] = resources  # ty: ignore[invalid-assignment]
    return state, {"providers": configured, "resources": wanted}, expected


def urn_of(token: str, name: str) -> str:
    return f"urn:pulumi:dev::otel-on-spot::{token}::{name}"


def resource(urn: str, token: str, identity: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "urn": urn,
        "custom": True,
        "id": identity,
        "type": token,
        "inputs": inputs,
        "outputs": outputs,
        "parent": STACK,
    }
