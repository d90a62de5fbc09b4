"""Nothing that a program asks for is silently accepted: an argument is sent, read, listed as undecided, or refused."""

from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws
import pytest

from otel_on_spot.simcloud import graph
from otel_on_spot.simcloud.api_errors import ApiError
from otel_on_spot.simcloud.arguments import AWS, PROVIDERS, UNDECIDED, Arguments, markdown, refuse_unknown
from otel_on_spot.simcloud.aws import registry
from otel_on_spot.simcloud.cloud import Cloud
from otel_on_spot.simcloud.cloud_answers import plain
from otel_on_spot.simcloud.handler import Handler
from otel_on_spot.simcloud.kubernetes.helm import Release
from tests.simcloud.conftest import Maker, trust
from tests.unit.conftest import STACKS, recorded

ROOT = Path(__file__).parents[2]


def arguments_of_the_sdk(token: str) -> set[str]:
    """Every argument that the provider's SDK has of a type, in the engine's spelling."""
    _, module, name = token.split(":")
    package = getattr(pulumi_aws, module.partition("/")[0])
    # Named otherwise where a part of another type has the name already.
    made = getattr(package, f"{name}InitArgs", None) or getattr(package, f"{name}Args")
    words = [each.split("_") for each, value in vars(made).items() if isinstance(value, property)]
    return {head + "".join(word.capitalize() for word in tail) for head, *tail in words}


def test_each_handler_has_its_arguments_and_no_other_type_has() -> None:
    assert {*registry.HANDLERS, Release.token} == AWS.keys()


@pytest.mark.parametrize("token", AWS)
def test_an_argument_that_nobody_knows_is_refused_by_its_name_in_both_doors_check(aws: Maker, token: str) -> None:
    told = dict(aws.handler(token).check("one", {}, {"noSuchArgument": 1}, b"seed")[1])
    assert "noSuchArgument" in told
    assert "the simulated cloud does not know this argument" in told["noSuchArgument"]


@pytest.mark.parametrize("token", [token for token in AWS if token.startswith("aws:")])
def test_every_argument_of_the_providers_sdk_is_taken_or_refused(token: str) -> None:
    """No argument of the real provider is passed over: what is not in the table is refused, by name."""
    known = AWS[token]
    listed = {*known.taken, *known.only, *known.undecided}
    assert arguments_of_the_sdk(token) >= listed
    for name in arguments_of_the_sdk(token) - listed:
        assert [argument for argument, _ in refuse_unknown(token, {name: "x"})] == [name]
    assert not {*known.taken} & {*known.only}
    assert not {*known.taken} & {*known.undecided}


@pytest.mark.parametrize("token", [token for token, known in AWS.items() if known.only])
def test_an_argument_of_one_value_is_refused_with_another(token: str) -> None:
    for name, value in AWS[token].only.items():
        assert refuse_unknown(token, {name: value}) == []
        for other in ("another", ["another"], not value):
            assert [argument for argument, _ in refuse_unknown(token, {name: other})] == [name]


class Watched(dict[str, Any]):
    """Inputs that remember which of them were looked at by name."""

    def __init__(self, inputs: dict[str, Any]) -> None:
        super().__init__(inputs)
        self.seen: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.seen.add(key)
        return super().__getitem__(key)

    def get(self, key: Any, default: Any = None, /) -> Any:
        self.seen.add(key)
        return super().get(key, default)

    def items(self) -> Any:
        self.seen |= self.keys()
        return super().items()


CREATED: list[tuple[str, dict[str, Any]]] = [
    ("aws:cloudwatch/logGroup:LogGroup", {"name": "watched", "retentionInDays": 30, "logGroupClass": "STANDARD"}),
    (
        "aws:cloudwatch/eventRule:EventRule",
        {"name": "watched", "eventPattern": '{"source": ["aws.ec2"]}', "state": "ENABLED", "description": "d"},
    ),
    ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.66.0.0/16", "enableDnsSupport": True, "enableDnsHostnames": True}),
    ("aws:ec2/eip:Eip", {"domain": "vpc"}),
    (
        "aws:iam/role:Role",
        {
            "name": "watched",
            "assumeRolePolicy": trust("ec2.amazonaws.com"),
            "permissionsBoundary": "arn:aws:iam::aws:policy/PowerUserAccess",
        },
    ),
    ("aws:iam/instanceProfile:InstanceProfile", {"name": "watched", "role": "watched"}),
    ("aws:kms/key:Key", {"description": "watched", "enableKeyRotation": True}),
    (
        "aws:sqs/queue:Queue",
        {
            "name": "watched",
            "messageRetentionSeconds": 300,
            "visibilityTimeoutSeconds": 30,
            "delaySeconds": 0,
            "maxMessageSize": 1024,
            "receiveWaitTimeSeconds": 0,
            "kmsMasterKeyId": "alias/Watched",
            "kmsDataKeyReusePeriodSeconds": 300,
        },
    ),
]
NOT_AT_CREATION = {"deletionWindowInDays"}


@pytest.mark.parametrize(("token", "inputs"), CREATED, ids=[token.rpartition(":")[2] for token, _ in CREATED])
def test_what_is_taken_is_looked_at(
    aws: Maker, token: str, inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Watched] = []
    create = type(registry.handler(token)).create

    def watching(self: Handler, call: Any, given: dict[str, Any]) -> Any:
        found.append(Watched(given))
        return create(self, call, found[-1])

    monkeypatch.setattr(type(registry.handler(token)), "create", watching)
    aws.make(token, "watched", **inputs)
    assert {*inputs} - found[0].seen - {*AWS[token].only} - NOT_AT_CREATION == set()


def test_the_committed_stacks_declare_nothing_that_is_refused() -> None:
    for stack in STACKS:
        for registration in recorded(stack):
            if registration.custom:
                assert refuse_unknown(registration.type, plain(registration.inputs)) == [], registration.urn


def test_a_program_that_asks_for_something_unknown_ends_and_is_told_its_name(cloud: Cloud) -> None:
    def program() -> None:
        opts = pulumi.ResourceOptions(provider=pulumi_aws.Provider("aws", region="eu-north-1"))
        pulumi_aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", assign_generated_ipv6_cidr_block=True, opts=opts)

    with pytest.raises(
        graph.ApplyError, match=r"CheckFailed: assignGeneratedIpv6CidrBlock: the simulated cloud does not"
    ):
        graph.apply_program(program, cloud)


def test_a_provider_and_a_function_are_held_too(cloud: Cloud, aws: Maker) -> None:
    def program() -> None:
        pulumi_aws.Provider("aws", region="eu-north-1", profile="work")

    with pytest.raises(graph.ApplyError, match="CheckFailed: profile: the simulated cloud does not know"):
        graph.apply_program(program, cloud)
    with pytest.raises(ApiError, match="getAvailabilityZones: state: the simulated cloud does not know"):
        registry.invoke(aws.site, "aws:index/getAvailabilityZones:getAvailabilityZones", {"state": "available"})


def test_the_page_lists_what_is_not_decided() -> None:
    page = (ROOT / "docs" / "simulated-cloud.md").read_text()
    listed = page.partition("<!-- undecided:begin -->\n")[2].partition("<!-- undecided:end -->")[0]
    assert listed == markdown(), "python -m otel_on_spot.simcloud.arguments prints the list"
    lines = len(UNDECIDED) + sum(len(known.undecided) for known in {**AWS, **PROVIDERS}.values())
    assert listed.count("\n") == lines


def test_no_value_and_the_engines_own_keys_are_no_arguments() -> None:
    assert list(Arguments().refusals({"gone": None, "__defaults": []})) == []
