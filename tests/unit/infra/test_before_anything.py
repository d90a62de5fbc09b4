"""Before the first resource: what is left of the examples never meets AWS, nor zones that are none or EKS refuses."""

from typing import Any
from unittest import mock

import grpc
import pytest

from infra.settings import Settings, parse
from infra.settings.placeholders import documentation_account, placeholders
from otel_on_spot.plan import answers
from otel_on_spot.plan.record import record
from otel_on_spot.program.runner import ProgramError
from tests.unit.settings.test_settings import changed, committed

WHO = "aws:index/getCallerIdentity:getCallerIdentity"
ZONES = "aws:index/getAvailabilityZones:getAvailabilityZones"
REAL = "738291046527"
USER = "AROA2QK7EXAMPLEROLEID:me"
MINE = {
    "gitops": {"repository": "https://github.com/acme/otel-on-spot.git", "revision": "v0.1.0"},
    "accountId": REAL,
    "cluster": committed("prod")["cluster"] | {"adminRoleArns": [f"arn:aws:iam::{REAL}:role/platform-admin"]},
}


class NotAllowedError(grpc.RpcError):
    """What the engine hands over when the provider refuses its own configuration."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return "AWS account ID not allowed: 738291046527"


def parsed(raw: dict[str, Any]) -> Settings:
    settings, problems = parse(raw)
    assert settings is not None, problems
    return settings


def answering(**replaced: Any) -> Any:
    """The plan's answers with another account or other zones; an exception is raised."""
    plain = answers._invoked

    def invoke(token: str, *arguments: Any) -> Any:
        value = replaced.get({WHO: "account", ZONES: "zones"}.get(token, ""))
        if isinstance(value, Exception):
            raise value
        if token == WHO and value:
            return {"accountId": value, "arn": f"arn:aws:iam::{value}:role/me", "userId": USER, "id": value}
        if token == ZONES and value:
            return {"names": list(value), "zoneIds": list(value.values()), "groupNames": [], "id": "zones"}
        return plain(token, *arguments)

    return mock.patch("otel_on_spot.plan.answers._invoked", invoke)


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_a_plan_names_all_that_must_be_replaced_in_a_note(stack: str) -> None:
    (note,) = record(stack).messages

    assert note.startswith(f"Pulumi.{stack}.yaml: replace before `pulumi up` on AWS: ")
    assert all(problem.key in note for problem in placeholders(parsed(committed(stack))))


def test_with_an_account_of_aws_the_run_is_refused_and_all_placeholders_are_named() -> None:
    with answering(account=REAL), pytest.raises(ProgramError) as refusal:
        record("prod")

    for part in ("3 problems", "accountId", "111122223333", "your-org", "nothing was created"):
        assert part in str(refusal.value)


def test_an_account_that_cannot_be_asked_for_is_no_reason_to_go_on() -> None:
    with answering(account=NotAllowedError()), pytest.raises(ProgramError) as no:
        record("prod")

    assert "3 problems" in str(no.value)
    assert "AWS account ID not allowed" in str(no.value)


def test_a_plan_with_an_account_of_ones_own_is_still_a_plan() -> None:
    (note,) = record("dev", config_overrides={"accountId": REAL}).messages

    assert "your-org" in note


def test_where_nothing_is_left_of_the_examples_the_run_goes_on() -> None:
    with answering(account=REAL):
        assert record("prod", config_overrides=MINE).registrations
    assert record("prod", config_overrides=MINE).messages == ()


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        *(
            ("cluster.endpoint.publicCidrs", [cidr], "cluster.endpoint.publicCidrs[0]")
            for cidr in ("198.51.100.0/24", "203.0.113.7/32", "192.0.2.0/25", "198.18.0.0/16")
        ),
        *(
            ("accountId", account, "accountId")
            for account in (
                *("111122223333", "123456789012", "444455556666", "000000000000", "999999999999", "012345678901"),
                *("777788889999", "555555555555", "210987654321", "012345678910", "123412341234", "123123123123"),
                *("112233445566", "987654321098"),
            )
        ),
        *(
            ("gitops.repository", repository, "gitops.repository")
            for repository in (
                *("https://github.com/your-org/x.git", "https://git.example.com/a/b.git", "git@example.org:a/b.git"),
                *("https://github.com/your_company/x.git", "https://github.com/my-org/x", "https://a.b.example/x"),
                *("https://git.invalid/x.git", "https://github.com/CHANGEME/x.git", "https://github.com/<org>/x.git"),
                *("https://192.0.2.10/org/x.git", "https://github.com/${ORG}/x.git", "https://github.com/{{org}}/x"),
                *("https://github.com/REPLACE_WITH_YOURS/x.git", "https://github.com/placeholder/x.git"),
            )
        ),
        ("argocd.domain", "argocd.example.com", "argocd.domain"),
        ("argocd.domain", "argocd.test", "argocd.domain"),
        ("tags", {"owner": "your-team"}, "tags.owner"),
        ("tags", {"owner": "TODO"}, "tags.owner"),
        ("gitops.sourceRepositories", ["https://charts.example.net"], "gitops.sourceRepositories[0]"),
        *(
            ("network.proxy", {"url": "http://proxy.acme.io:3128", "noProxy": [direct]}, "network.proxy.noProxy[0]")
            for direct in ("198.51.100.0/24", "203.0.113.7", "2001:db8::/32", "2001:DB8:1::5", "3fff::/24")
        ),
        ("monitoring", {"otlp": {"endpoint": "https://203.0.113.7:4317"}}, "monitoring.otlp.endpoint"),
        (
            "encryption",
            {"kmsKeyArn": f"arn:aws:kms:eu-west-1:{REAL}:key/1234abcd-12ab-34cd-56ef-1234567890ab"},
            "encryption.kmsKeyArn",
        ),
        (
            "cluster.adminRoleArns",
            ["arn:aws:iam::444455556666:role/x"],
            "cluster.adminRoleArns[0]",
        ),
    ],
)
def test_every_kind_of_placeholder_is_found(path: str, value: Any, key: str) -> None:
    ssh = (
        {"gitSshKey": "-----BEGIN PRIVATE KEY-----\na key\n-----END PRIVATE KEY-----"}
        if str(value).startswith("git@")
        else {}
    )

    assert key in [problem.key for problem in placeholders(parsed(changed("dev", path, value) | ssh))]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("cluster.endpoint.publicCidrs", ["198.51.101.0/24"]),
        ("cluster.endpoint.publicCidrs", ["93.184.216.0/24"]),
        ("accountId", "738291046527"),
        ("gitops.repository", "https://github.com/exampleorg/contest-your.git"),
        ("gitops.repository", "https://github.com/acme/example.git"),
        ("argocd.domain", "argocd.internal"),
        ("argocd.domain", "example.com.acme.io"),
        ("tags", {"owner": "todo-app", "id": "1111222233334", "release": "192.0.2.1.5", "at": "12:30:45"}),
        ("network.proxy", {"url": "http://10.0.0.1:3128", "noProxy": ["10.0.0.0/8", "fd00::/8", "2001:4860::/32"]}),
        ("monitoring", {"otlp": {"endpoint": "https://93.184.216.7:4317"}}),
        ("pools.spot.labels", {"example.com/tier": "spot"}),
    ],
)
def test_what_only_looks_like_one_is_left_alone(path: str, value: Any) -> None:
    found = [problem.key for problem in placeholders(parsed(changed("dev", path, value)))]

    assert [key for key in found if key.split("[")[0] == path] == []


def test_the_accounts_of_a_plan_and_of_the_simulated_cloud_are_nobodys() -> None:
    from otel_on_spot.program.resource_types import ProviderScope
    from otel_on_spot.simcloud.cloud import ACCOUNT

    assert documentation_account(ProviderScope().account)
    assert documentation_account(ACCOUNT)
    assert not documentation_account(REAL)


def test_a_zone_without_control_plane_is_refused_by_its_id_and_the_others_are_named() -> None:
    network = committed("dev")["network"] | {"zones": ["us-east-1a", "us-east-1e"]}
    overrides = {"region": "us-east-1", "network": network}
    letters = {"us-east-1a": "use1-az6", "us-east-1b": "use1-az1", "us-east-1e": "use1-az3"}
    with answering(zones=letters), pytest.raises(ProgramError) as refusal:
        record("dev", config_overrides=overrides)

    assert "us-east-1e (use1-az3 in this account)" in str(refusal.value)
    assert "use us-east-1a, us-east-1b" in str(refusal.value)
    with answering(zones=dict(list(letters.items())[:2])), pytest.raises(ProgramError) as none:
        record("dev", config_overrides=overrides)
    assert "us-east-1e" in str(none.value)
    assert "the account has no such zone in us-east-1" in str(none.value)
    with answering(zones=letters | {"us-east-1e": "use1-az5"}):
        assert record("dev", config_overrides=overrides).registrations
