"""A plan asks nothing of the network or the machine, and one run leaves nothing in the next."""

import os
import socket
from typing import Any

import pulumi
import pytest
from pulumi_aws import sqs

from otel_on_spot.plan.manifests import as_document
from otel_on_spot.plan.record import record, record_program
from otel_on_spot.program.runner import ProgramError
from tests.unit.conftest import recorded

QUEUE = "aws:sqs/queue:Queue"


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_whole_program_is_recorded_without_a_connection(stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def refuse(*arguments: Any) -> None:
        asked.append(arguments)
        raise AssertionError("a plan opened a connection")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    assert as_document(record(stack)) == as_document(recorded(stack))
    assert asked == []


def test_the_machines_aws_settings_change_nothing_and_are_there_again_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def program() -> None:
        queue = sqs.Queue("q")
        pulumi.export("arn", queue.arn)
        pulumi.export("seen", sorted(key for key in os.environ if key.startswith("AWS_")))

    plain = record_program(program)
    for key, value in {"AWS_REGION": "us-east-1", "AWS_PROFILE": "other", "AWS_ACCESS_KEY_ID": "x"}.items():
        monkeypatch.setenv(key, value)
    before = dict(os.environ)
    other = record_program(program)

    assert (dict(other.exports), other.registrations) == (dict(plain.exports), plain.registrations)
    assert other.exports["seen"] == []
    assert dict(os.environ) == before


def test_what_a_program_sets_in_the_environment_is_gone_afterwards() -> None:
    before = dict(os.environ)
    record_program(lambda: os.environ.update(LEFT_BEHIND="1"))

    assert dict(os.environ) == before


def test_a_failed_run_leaves_nothing_in_the_next() -> None:
    def program() -> None:
        sqs.Queue("one")
        raise pulumi.RunError("not today")

    with pytest.raises(ProgramError):
        record_program(program, config={"a": "1"})
    second = record_program(lambda: pulumi.export("a", pulumi.Config().get("a") or "gone"))

    assert (second.of_type(QUEUE), second.exports["a"]) == ((), "gone")


def test_two_stacks_in_one_process_do_not_touch_each_other() -> None:
    first = as_document(record("dev"))
    between = as_document(record("prod"))

    assert as_document(record("dev")) == first
    assert "otel-prod" not in str(first["resources"])
    assert "otel-dev" not in str(between["resources"])
