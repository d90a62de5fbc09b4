"""A healthy platform gives no line; each fault gives its own line, and no other."""

import json
import shlex
from dataclasses import fields, replace

import pytest

from otel_on_spot.doctor.checks import CHECKS
from otel_on_spot.doctor.examine import examine, run_check
from otel_on_spot.doctor.facts import AWS_GROUPS, KUBERNETES_GROUPS
from otel_on_spot.findings import Finding
from tests.ci import aws_cli, commands
from tests.unit.doctor import access_faults, capacity_faults, node_faults, workload_faults
from tests.unit.doctor.changes import HEALTHY, all_of, changed, named

FAULTS = {**access_faults.FAULTS, **capacity_faults.FAULTS, **workload_faults.FAULTS, **node_faults.FAULTS}
SOUND = {**access_faults.SOUND, **capacity_faults.SOUND, **workload_faults.SOUND, **node_faults.SOUND}


def found(facts) -> dict[str, tuple[Finding, ...]]:
    report = examine(facts, CHECKS)
    assert [verdict.why_unknown for verdict in report.verdicts if verdict.status == "unknown"] == []
    assert report.exit_code == (1 if any(verdict.findings for verdict in report.verdicts) else 0)
    return {verdict.id: verdict.findings for verdict in report.verdicts if verdict.findings}


def test_a_healthy_platform_gives_no_line() -> None:
    assert found(HEALTHY) == {}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_gives_no_line(name: str) -> None:
    changed = SOUND[name](HEALTHY)
    assert changed != HEALTHY
    assert found(changed) == {}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gives_its_own_line_and_no_other_with_the_rule_and_commands_that_can_be_run(name: str) -> None:
    line, fault, said = FAULTS[name]
    lines = found(fault(HEALTHY))
    assert list(lines) == [line]
    assert said in lines[line][0].seen
    for entry in lines[line]:
        assert entry.subject
        assert entry.rule
        assert entry.remedy
        assert all(command.split()[0] in ("aws", "kubectl", "otel-on-spot", "pulumi") for command in entry.remedy)
        assert [why for command in entry.remedy if (why := refused(command))] == []


def refused(command: str) -> str:
    """Why the command line, or the AWS CLI, would not take an advice; empty where it would."""
    program, *words = shlex.split(command)
    if program == "otel-on-spot":
        return commands.refused_by_the_command_line(words)
    return aws_cli.refused(words) if program == "aws" else ""


@pytest.mark.parametrize(
    "command", ["otel-on-spot lab upp", "aws eks describe-addon --addon coredns", "aws ec2 get-ebs-default-key"]
)
def test_an_advice_that_nobody_could_follow_is_seen(command: str) -> None:
    assert refused(command) != ""


def test_every_line_has_a_fault_that_it_names() -> None:
    assert {line for line, _, _ in FAULTS.values()} == {check.id for check in CHECKS}


def test_the_invisible_node_is_told_with_its_age_condition_and_likely_cause() -> None:
    refused = access_faults.FAULTS["role not mapped"][1](capacity_faults.INVISIBLE(HEALTHY))
    seen = found(refused)["invisible-nodes"][0].seen
    assert "running for 3 h 0 min, no Node" in seen
    assert "Registered=Unknown" in seen
    assert "the cluster does not admit its role (aws-auth: mapRoles does not list" in seen


def test_a_way_in_that_is_declared_but_not_needed_is_a_warning() -> None:
    both = replace(HEALTHY, declared=replace(HEALTHY.declared, node_access=("aws-auth", "access-entry")))
    one = found(both)["node-role"][0]
    assert one.severity == "warning"
    assert "nodes still join by aws-auth" in one.seen


@pytest.mark.parametrize("group", sorted(AWS_GROUPS | KUBERNETES_GROUPS))
def test_what_was_not_seen_is_never_judged(group: str) -> None:
    blind = replace(HEALTHY, **{group: None}, unknown={group: "AccessDenied: no"})
    report = examine(blind, CHECKS)
    assert not any(verdict.findings for verdict in report.verdicts)
    unknown = {verdict.id for verdict in report.verdicts if verdict.status == "unknown"}
    assert {check.id for check in CHECKS if group in check.needs} <= unknown
    assert all("AccessDenied: no" in verdict.why_unknown for verdict in report.verdicts if verdict.status == "unknown")
    assert report.exit_code == (2 if unknown else 0)


def test_the_groups_of_both_halves_are_the_facts() -> None:
    groups = {field.name for field in fields(HEALTHY)} - {"format", "taken_at", "declared", "simulated", "unknown"}
    assert groups == AWS_GROUPS | KUBERNETES_GROUPS
    assert {group for check in CHECKS for group in check.needs} <= groups


def test_on_aws_the_remedy_is_an_update_that_looks_first() -> None:
    real = replace(capacity_faults.FAULTS["no Spot role"][1](HEALTHY), simulated=False)
    gone = replace(capacity_faults.FAULTS["queue gone"][1](HEALTHY), simulated=False)
    assert found(real)["spot-role"][0].remedy == (
        "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
    )
    assert found(gone)["interruption-queue"][0].remedy[0] == "pulumi up --stack lab --refresh"


def test_a_line_is_judged_by_itself() -> None:
    check = next(entry for entry in CHECKS if entry.id == "spot-role")
    assert run_check(capacity_faults.FAULTS["no Spot role"][1](HEALTHY), check).status == "found"


def test_no_sync_is_advised_that_a_window_denies() -> None:
    failed = changed("applications", named("otel-demo"), operation="Failed", operation_message="no chart")
    denying = workload_faults.every("0 12 * * *", duration="2h")
    by_hand = replace(denying, manual_sync=True)
    advice = {
        name: found(change(HEALTHY))["applications"][0]
        for name, change in {
            "free": failed,
            "denied": all_of(failed, workload_faults.held(denying)),
            "by hand": all_of(failed, workload_faults.held(by_hand)),
        }.items()
    }
    syncs = {name: "operation" in "".join(finding.remedy) for name, finding in advice.items()}
    assert syncs == {"free": True, "denied": False, "by hand": True}
    assert "held by deny window 0 12 * * * for 2h, until 2026-11-23 14:00 UTC" in advice["denied"].seen


def test_tries_of_what_is_no_longer_declared_are_given_up_not_merged_into() -> None:
    """A merge patch of the operation would keep the revision and the source that are being tried."""
    _, change, _ = workload_faults.FAULTS["a failed sync that tries what is no longer declared"]
    (command,) = (line for line in found(change(HEALTHY))["applications"][0].remedy if "operation" in line)

    assert json.loads(shlex.split(command)[-1].removeprefix("--patch=")) == {
        "operation": None,
        "status": {"operationState": None},
    }


def test_a_sync_is_advised_as_argo_cd_itself_would_start_it() -> None:
    """Up to Argo CD 3.4.7 the last sync's resources and results stand for its own: Succeeded, and no hook runs."""
    options = ("CreateNamespace=true", "ServerSideApply=true")
    failed = changed("applications", named("otel-demo"), operation="Failed", sync_options=options)
    (command,) = (line for line in found(failed(HEALTHY))["applications"][0].remedy if "operation" in line)
    assert json.loads(shlex.split(command)[-1].removeprefix("--patch=")) == {
        "operation": {"sync": {"syncOptions": list(options)}},
        "status": {"operationState": None},
    }
